//! PortaBilling's client against the simulated PortaBilling, over SOAP and over JSON: the same calls, the same answers.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use portabilling::Nillable;
use portabilling::account::{
    AccountInfo, GetAccountInfo, GetAccountInfoRequest, GetAccountList, GetAccountListRequest, UpdateAccount,
    UpdateAccountRequest,
};
use portabilling::client::{
    AccountStatus, AuthInfo, Client, Credentials, JsonBody, NewEvent, Realm, Settings, Transport,
};
use portabilling::fault::Class;
use portabilling::invoice::{GetInvoiceInfo, GetInvoiceInfoRequest, InvoiceInfo};
use portabilling::session::{Login, LoginRequest};
use portabilling::token::{TokenError, Verifier};
use serde_json::json;
use soapstone::simulator::{Disturbance, SessionSettings, Simulator, SimulatorSettings};

const ACCOUNT: i64 = 1_000_001;

async fn start(accounts: usize, lifetime: Duration) -> Simulator {
    let sessions = SessionSettings { lifetime, ..SessionSettings::default() };
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    Simulator::start(local, SimulatorSettings { accounts, sessions }).await.unwrap()
}

fn settings(simulator: &Simulator) -> Settings {
    let SessionSettings { login, password, .. } = SessionSettings::default();
    Settings::new(simulator.url(), Credentials::password(login, password))
}

fn client(simulator: &Simulator, change: impl FnOnce(&mut Settings)) -> Client {
    let mut settings = settings(simulator);
    change(&mut settings);
    Client::new(settings).unwrap()
}

async fn info(client: &Client) -> Result<Option<AccountInfo>, portabilling::client::Error> {
    let request = GetAccountInfoRequest { i_account: Some(ACCOUNT), ..GetAccountInfoRequest::default() };
    client.call::<GetAccountInfo>(&request).await.map(|response| response.account_info)
}

#[tokio::test]
async fn every_way_to_authenticate_is_taken_over_both_transports_and_gives_the_same_account() {
    let simulator = start(3, Duration::from_secs(900)).await;
    let mut answers = Vec::new();
    for transport in [Transport::Soap, Transport::Json] {
        for auth_info in
            [AuthInfo::SessionId, AuthInfo::AccessToken, AuthInfo::Inline, AuthInfo::Bearer, AuthInfo::Cookie]
        {
            let client = client(&simulator, |settings| {
                settings.transport = transport;
                settings.auth_info = auth_info;
            });
            let account = info(&client).await.unwrap_or_else(|error| panic!("{auth_info:?}: {error:?}"));
            answers.push(account.unwrap());
            client.log_out().await;
        }
    }
    let SessionSettings { login, token, .. } = SessionSettings::default();
    let by_token = client(&simulator, |settings| settings.credentials = Credentials::token(login, token));
    answers.push(info(&by_token).await.unwrap().unwrap());
    let other = by_token.login_to_realm("16045550001", Realm::Account).await.unwrap();
    assert!(other.settings().url.ends_with(":8445"), "the realm's port");
    // here the realms have one port
    let credentials = other.settings().credentials.clone();
    answers.push(
        info(&client(&simulator, |settings| settings.credentials = credentials)).await.unwrap().unwrap(),
    );
    let request = LoginRequest {
        login: Some("demo".into()),
        password: Some(SessionSettings::default().password),
        ..Default::default()
    };
    let given = by_token.call::<Login>(&request).await.unwrap();
    for (credentials, auth_info) in [
        (Credentials::session(given.session_id.unwrap()), AuthInfo::SessionId),
        (Credentials::access_token(given.access_token.clone().unwrap()), AuthInfo::AccessToken),
        (Credentials::access_token(given.access_token.unwrap()), AuthInfo::Bearer),
    ] {
        let theirs = client(&simulator, |settings| {
            (settings.credentials, settings.auth_info) = (credentials, auth_info)
        });
        answers.push(info(&theirs).await.unwrap().unwrap());
    }
    assert_eq!(answers.len(), 15);
    assert!(answers.iter().all(|account| *account == answers[0]));
    assert_eq!(answers[0].i_account, Some(ACCOUNT));
}

#[tokio::test]
async fn a_change_has_three_states_over_both_transports_and_in_every_form() {
    let simulator = start(3, Duration::from_secs(900)).await;
    for (transport, json_body) in [
        (Transport::Soap, JsonBody::Json),
        (Transport::Json, JsonBody::Json),
        (Transport::Json, JsonBody::Form),
        (Transport::Json, JsonBody::Multipart),
    ] {
        let client = client(&simulator, |settings| {
            settings.transport = transport;
            settings.json_body = json_body;
        });
        let id = info(&client).await.unwrap().unwrap().id;
        for limit in [Nillable::Value("12.50".parse().unwrap()), Nillable::Nil] {
            let change = AccountInfo {
                i_account: Some(ACCOUNT),
                credit_limit: limit,
                city: Some("Köln & <Bonn>".into()),
                ..AccountInfo::default()
            };
            client.call::<UpdateAccount>(&UpdateAccountRequest { account_info: Some(change) }).await.unwrap();
            let account = info(&client).await.unwrap().unwrap();
            assert_eq!(account.credit_limit.value(), limit.value(), "{transport:?} {json_body:?}");
            assert_eq!(account.city.as_deref(), Some("Köln & <Bonn>"));
            assert_eq!(account.id, id, "what isn't named stays");
        }
    }
}

#[tokio::test]
async fn lists_files_rows_and_products_are_had() {
    let simulator = start(250, Duration::from_secs(900)).await;
    for transport in [Transport::Soap, Transport::Json] {
        let client = client(&simulator, |settings| settings.transport = transport);
        let all = client.list::<GetAccountList>(GetAccountListRequest::default(), 60);
        let ids: Vec<_> = all.map_ok(|account| account.i_account.unwrap()).try_collect().await.unwrap();
        assert_eq!(ids.len(), 250);
        assert!(ids.is_sorted());
    }
    let client = client(&simulator, |_| {});
    let invoices = client.extended_data_list("Invoice", &serde_json::Map::new()).await.unwrap();
    let i_invoice = invoices.typed::<InvoiceInfo>().unwrap()[0].i_invoice;
    let request = GetInvoiceInfoRequest { i_invoice, get_pdf: Some(1), ..Default::default() };
    let download = client.download::<GetInvoiceInfo>(&request).await.unwrap();
    let mut bytes = Vec::new();
    assert_eq!(download.content_type.as_deref(), Some("application/pdf"));
    download.write_to(&mut bytes).await.unwrap();
    assert!(bytes.starts_with(b"%PDF"));

    let criteria = json!({ "limit": 100, "offset": 200 });
    let rows = client.extended_data_list("Account", criteria.as_object().unwrap()).await.unwrap();
    assert_eq!((rows.rows.len(), rows.total), (50, Some(250)));
    let products = client.api2().list("products", &["i_product"], &[("limit", "2")]).await.unwrap();
    assert_eq!(products, json!({ "products": [{ "i_product": 1 }, { "i_product": 2 }] }));
}

#[tokio::test]
async fn the_espf_api_takes_statuses_groups_and_events() {
    let simulator = start(3, Duration::from_secs(900)).await;
    let client = client(&simulator, |_| {});
    let groups = client.service_groups().await.unwrap();
    assert!(groups.iter().any(|group| group.name == "HSS" && !group.is_custom), "{groups:?}");
    let status = |group| AccountStatus { i_account: ACCOUNT, status: "OK", group, message: None };
    let error = client.set_account_status(&status("IOT")).await.unwrap_err();
    assert!(!error.may_work_later() && !error.may_have_been_carried_out(), "{error:?}");
    let made = client.create_service_group("IOT").await;
    assert!(made.is_err(), "a form isn't what the simulator takes for a group");
    client.set_account_status(&status("HSS")).await.unwrap();
    let id = info(&client).await.unwrap().unwrap().id.unwrap();
    client.set_account_status_by_id(&id, &status("PCRF")).await.unwrap();
    let variables = json!({ "i_account": ACCOUNT }).as_object().unwrap().clone();
    let event =
        NewEvent { event_type: "Custom/NewMonth", variables, start_time: Some("2026-12-01 00:00:00") };
    assert_eq!(client.insert_event(&event).await.unwrap()["i_event"], 1);
}

#[tokio::test]
async fn faults_have_their_class_over_both_transports() {
    let simulator = start(3, Duration::from_secs(900)).await;
    for transport in [Transport::Soap, Transport::Json] {
        let good = client(&simulator, |settings| settings.transport = transport);
        let change = AccountInfo { i_account: Some(7), ..AccountInfo::default() };
        let update = UpdateAccountRequest { account_info: Some(change) };
        let error = good.call::<UpdateAccount>(&update).await.unwrap_err();
        assert_eq!(error.class(), Some(Class::NotFound), "{error:?}");
        let wrong = client(&simulator, |settings| {
            settings.transport = transport;
            settings.credentials = Credentials::password("demo", "wrong");
        });
        assert_eq!(info(&wrong).await.unwrap_err().class(), Some(Class::LoginRefused));
    }
}

#[tokio::test]
async fn a_session_that_ends_early_is_replaced_and_a_token_that_ends_is_renewed() {
    let simulator = start(3, Duration::from_secs(1)).await;
    for transport in [Transport::Soap, Transport::Json] {
        let client = client(&simulator, |settings| settings.transport = transport);
        let before = simulator.logins();
        let until = std::time::Instant::now() + Duration::from_millis(2500);
        while std::time::Instant::now() < until {
            info(&client).await.unwrap();
        }
        assert_eq!(simulator.logins(), before + 1, "renewed, not logged in again");
        simulator.drop_sessions();
        info(&client).await.unwrap();
        assert_eq!(simulator.logins(), before + 2);
    }
}

#[tokio::test]
async fn a_site_that_is_on_its_own_or_down_is_left_for_the_other() {
    let (first, second) =
        (start(3, Duration::from_secs(900)).await, start(3, Duration::from_secs(900)).await);
    let client = client(&first, |settings| {
        settings.other_urls = vec![second.url()];
        settings.site_pause = Duration::ZERO;
    });
    info(&client).await.unwrap();
    assert_eq!((first.logins(), second.logins()), (1, 0));
    first.disturb(Disturbance { fault: Some("standalone_mode"), ..Disturbance::default() });
    let long = Settings { site_pause: Duration::from_secs(600), ..client.settings().clone() };
    let client = Client::new(long).unwrap();
    info(&client).await.unwrap();
    info(&client).await.unwrap();
    assert_eq!(second.logins(), 1);
    let url = first.url();
    first.stop().await;
    let mut without = settings(&second);
    without.url = url;
    without.other_urls = vec![second.url()];
    info(&Client::new(without).unwrap()).await.unwrap();
}

#[tokio::test]
async fn its_tokens_are_verified_with_its_public_key() {
    let simulator = start(3, Duration::from_secs(900)).await;
    let SessionSettings { login, token, .. } = SessionSettings::default();
    let client = client(&simulator, |_| {});
    let request = LoginRequest { login: Some(login), token: Some(token), ..LoginRequest::default() };
    let given = client.call::<Login>(&request).await.unwrap().access_token.unwrap();
    let verifier = Verifier::from_pem(simulator.public_key().as_bytes()).unwrap().audience("espf-api");
    let now = Timestamp::now().as_second();
    let claims = verifier.verify(&given, now).unwrap();
    assert!(claims.has_scope("espf.api:write") && claims.lifetime() == Some(Duration::from_secs(900)));
    assert_eq!(verifier.verify(&given, now + 1000), Err(TokenError::Expired));
    let other = start(1, Duration::from_secs(900)).await;
    let strangers = Verifier::from_pem(other.public_key().as_bytes()).unwrap();
    assert_eq!(strangers.verify(&given, now), Err(TokenError::Signature));
}

#[tokio::test]
async fn every_example_runs_against_the_simulator() {
    let simulator = start(250, Duration::from_secs(900)).await;
    let url = simulator.url();
    let run = move || {
        for (example, says) in [
            ("accounts", "250 accounts"),
            ("swap_sim", "done"),
            ("block", "owe too much"),
            ("invoice", "bytes"),
            ("report", "balance"),
        ] {
            for switch in ["--json", "--soap"] {
                let mut cargo = Command::new(env!("CARGO"));
                cargo.args([
                    "run",
                    "--quiet",
                    "-p",
                    "portabilling",
                    "--features",
                    "client",
                    "--example",
                    example,
                ]);
                let output = cargo.args(["--", &url, switch]).output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                let wrong = String::from_utf8_lossy(&output.stderr);
                assert!(
                    output.status.success() && said.contains(says),
                    "{example} {switch}: {said}\n{wrong}"
                );
            }
        }
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}
