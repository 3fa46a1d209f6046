//! PortaBilling's client against a PortaBilling that SOAP::Lite serves (`servers/portabilling.pl`): sessions, accounts, lists
//! and faults in the bytes of the software that PortaBilling itself is thought to be made of.
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use portabilling::account::{
    AccountInfo, GetAccountInfo, GetAccountInfoRequest, GetAccountList, GetAccountListRequest, UpdateAccount,
    UpdateAccountRequest,
};
use portabilling::client::{AuthInfo, Client, Credentials, Error, Realm, Settings, SoapPath};
use portabilling::fault::{Class, FaultCode};
use portabilling::session::{Ping, PingRequest};
use portabilling::{Call, Nillable};
use serde_json::Value as Json;

use super::installed;
use super::lab::{Manner, PASSWORD};
use super::servers::Server;

const ACCOUNT: i64 = 1003;

/// None where SOAP::Lite isn't installed. Its tokens live as many seconds as said.
fn start(lifetime: &str) -> Option<Server> {
    let there = installed::has("soaplite");
    there.then(|| Server::with("portabilling", Manner::Rpc, &[("LAB_LIFETIME", lifetime)]))
}

fn client(server: &Server, change: impl FnOnce(&mut Settings)) -> Client {
    let mut settings = Settings::new(&server.url, Credentials::password("demo", PASSWORD));
    change(&mut settings);
    Client::new(settings).unwrap()
}

async fn ask(server: &Server, path: &str) -> Json {
    let answer = reqwest::get(format!("{}/{path}", server.url)).await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn by_id(client: &Client, id: &str) -> Result<Option<AccountInfo>, Error> {
    let request = GetAccountInfoRequest { id: Some(id.into()), ..Default::default() };
    client.call::<GetAccountInfo>(&request).await.map(|answer| answer.account_info)
}

async fn account(client: &Client) -> AccountInfo {
    let request = GetAccountInfoRequest { i_account: Some(ACCOUNT), ..Default::default() };
    client.call::<GetAccountInfo>(&request).await.unwrap().account_info.unwrap()
}

async fn update(client: &Client, change: AccountInfo) -> Result<(), Error> {
    let change = UpdateAccountRequest { account_info: Some(change) };
    client.call::<UpdateAccount>(&change).await.map(drop)
}

#[tokio::test]
async fn soaplite_takes_every_way_in_which_the_client_says_who_it_is() {
    let Some(server) = start("900") else { return };
    let mut answers = Vec::new();
    for credentials in [Credentials::password("demo", PASSWORD), Credentials::token("demo", "api-tøken")] {
        for way in
            [AuthInfo::SessionId, AuthInfo::AccessToken, AuthInfo::Inline, AuthInfo::Bearer, AuthInfo::Cookie]
        {
            let client = client(&server, |settings| {
                settings.credentials = credentials.clone();
                settings.auth_info = way;
            });
            answers.push(account(&client).await);
        }
    }
    let given = client(&server, |_| {}).call::<portabilling::session::Login>(&login()).await.unwrap();
    let (id, token) = (given.session_id.unwrap(), given.access_token.unwrap());
    for (credentials, way) in [
        (Credentials::session(id), AuthInfo::SessionId),
        (Credentials::access_token(token.clone()), AuthInfo::AccessToken),
        (Credentials::access_token(token), AuthInfo::Bearer),
    ] {
        let client = client(&server, |settings| {
            settings.credentials = credentials;
            settings.auth_info = way;
            settings.soap_path = SoapPath::Classic;
        });
        answers.push(account(&client).await);
    }
    assert_eq!(answers.len(), 13);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(ask(&server, "count").await["login"], 9, "none for inline and for what is given");
}

fn login() -> portabilling::session::LoginRequest {
    let (login, password) = (Some("demo".to_string()), Some(PASSWORD.to_string()));
    portabilling::session::LoginRequest { login, password, ..Default::default() }
}

#[tokio::test]
async fn a_session_at_soaplite_is_checked_ended_and_taken_on_by_somebody_else() {
    let Some(server) = start("900") else { return };
    let client = client(&server, |_| {});
    let given = client.call::<portabilling::session::Login>(&login()).await.unwrap();
    let ping = PingRequest { session_id: given.session_id, ..Default::default() };
    assert_eq!(client.call::<Ping>(&ping).await.unwrap().user_id, Some(42));
    let other = client.login_to_realm("16045551003", Realm::Account).await.unwrap();
    assert!(other.settings().url.ends_with(":8445") && other.settings().credentials.login.is_empty());
    client.log_out().await;
    ask(&server, "end-sessions").await;
    let dead = client.call::<Ping>(&ping).await.unwrap();
    assert_ne!(dead.user_id, Some(42), "a dead session is a success without a user");
    let count = ask(&server, "count").await;
    assert_eq!((&count["logout"], &count["login"]), (&1.into(), &3.into()), "by hand, before, after");
}

#[tokio::test]
async fn tokens_of_soaplite_are_renewed_and_dying_sessions_replaced_without_a_call_that_fails() {
    let Some(server) = start("2") else { return };
    let client = client(&server, |_| {});
    let began = Instant::now();
    let count = loop {
        account(&client).await;
        let count = ask(&server, "count").await;
        if count["renew"].as_i64() >= Some(2) || began.elapsed() > Duration::from_secs(60) {
            break count;
        }
    };
    let (given, elapsed) =
        (count["renew"].as_f64().unwrap() + count["login"].as_f64().unwrap(), began.elapsed());
    assert!(count["renew"].as_i64() >= Some(2), "{count}");
    assert!(
        given <= elapsed.as_secs_f64() / 1.6 + 1.0,
        "{count} in {elapsed:?}: not before four fifths are over"
    );
    let logins = count["login"].as_i64().unwrap();
    ask(&server, "end-sessions").await;
    account(&client).await;
    let after = ask(&server, "count").await["login"].as_i64().unwrap();
    assert!((logins..=logins + 1).contains(&after) && after > 1, "{logins}, then {after}");
}

#[tokio::test]
async fn an_update_at_soaplite_leaves_clears_and_sets_in_every_alphabet_and_character_set() {
    let Some(server) = start("900") else { return };
    let client = client(&server, |_| {});
    let before = account(&client).await;
    assert!(before.lastname.is_some() && !before.service_features.is_empty());
    for limit in [Nillable::Value("12.50".parse().unwrap()), Nillable::Nil] {
        let change = AccountInfo { i_account: Some(ACCOUNT), credit_limit: limit, ..Default::default() };
        update(&client, change).await.unwrap();
        let after = account(&client).await;
        assert_eq!(after.credit_limit.value(), limit.value());
        assert_eq!(AccountInfo { credit_limit: before.credit_limit, ..after }, before, "the rest stays");
    }
    for (charset, text) in [
        ("utf-8", "Žlutá <&> \"кот\" 😀 漢字"),
        ("iso-8859-2", "Žluťoučký kůň & <spol>"),
        ("windows-1251", "Товарищ «кот» №7"),
        ("iso-8859-1", "Müßiggång ÿ"),
    ] {
        ask(&server, &format!("charset/{charset}")).await;
        let change =
            AccountInfo { i_account: Some(ACCOUNT), lastname: Some(text.into()), ..Default::default() };
        update(&client, change).await.unwrap();
        assert_eq!(account(&client).await.lastname.as_deref(), Some(text), "{charset}");
        let (wire, answer) = raw(&client).await;
        answer.unwrap();
        assert!(wire.response.contains(&format!("encoding=\"{charset}\"")), "{}", wire.response);
    }
}

async fn raw(client: &Client) -> (soapstone_soap::Exchange, Result<(), Error>) {
    let request = GetAccountInfoRequest { i_account: Some(ACCOUNT), ..Default::default() };
    let mut response = (GetAccountInfo::operation().output.empty)();
    let (wire, answer) = client.call_raw(GetAccountInfo::operation(), &request, &mut *response).await;
    (wire.unwrap(), answer)
}

#[tokio::test]
async fn a_list_of_soaplite_is_read_to_its_end_though_its_pages_are_shorter_than_asked_for() {
    let Some(server) = start("900") else { return };
    let client = client(&server, |_| {});
    for page in [1, 3, 4, 100] {
        let list = client.list::<GetAccountList>(GetAccountListRequest::default(), page);
        let found: Vec<_> = list.map_ok(|account| account.i_account.unwrap()).try_collect().await.unwrap();
        assert_eq!(found, (1001..=1010).collect::<Vec<_>>(), "{page}");
    }
}

#[tokio::test]
async fn faults_of_soaplite_are_told_apart_by_their_class() {
    let Some(server) = start("900") else { return };
    let client = client(&server, |settings| settings.retries = 0);
    assert_eq!(by_id(&client, "nobody").await.unwrap(), None, "not found is a success without it");
    for (code, class, later) in [
        ("Server.Account.get_account_info.not_found", Class::NotFound, false),
        ("Server.Account.duplicate_login", Class::Duplicate, false),
        ("Client.Customer.too_short.customer_info.login", Class::Validation, false),
        ("Server.Account.get_account_info.access_denied", Class::Permission, false),
        ("standalone_mode", Class::SiteBusy, true),
        ("pb_delta.connection_failed", Class::SiteBusy, true),
        ("Server.Account.internal", Class::Unknown, true),
    ] {
        let error = by_id(&client, &format!("fault:{code}")).await.unwrap_err();
        assert_eq!((error.class(), error.may_work_later()), (Some(class), later), "{error:?}");
        assert!(!error.may_have_been_carried_out());
        assert_eq!(error.fault().unwrap().message, "As you wish");
    }
    let change = |i_account, login: &str, id: &str| AccountInfo {
        i_account: Some(i_account),
        login: Some(login.into()),
        id: Some(id.into()),
        ..Default::default()
    };
    let invalid = update(&client, change(ACCOUNT, "x", "7")).await.unwrap_err();
    assert_eq!(invalid.class(), Some(Class::Validation));
    let field = FaultCode::from(invalid.fault().unwrap()).field;
    assert_eq!(field.as_deref(), Some("account_info.login"));
    let taken = update(&client, change(ACCOUNT, "xxx", "16045551004")).await.unwrap_err();
    assert_eq!(taken.class(), Some(Class::Duplicate));
    let missing = update(&client, change(7, "xxx", "7")).await.unwrap_err();
    assert_eq!(missing.class(), Some(Class::NotFound));
}

#[tokio::test]
async fn a_refused_login_at_soaplite_says_why_and_is_not_repeated() {
    let Some(server) = start("900") else { return };
    let with = |credentials| client(&server, |settings| settings.credentials = credentials);
    let class = async |client: &Client| by_id(client, "x").await.unwrap_err().class();
    let old = with(Credentials::password("old", "x"));
    assert_eq!(class(&old).await, Some(Class::PasswordExpired));
    let wrong = with(Credentials::password("demo", "no"));
    for _ in 0..5 {
        assert_eq!(class(&wrong).await, Some(Class::LoginRefused));
    }
    assert_eq!(ask(&server, "count").await["login"], 2, "once each");
    let inline = client(&server, |settings| {
        settings.credentials = Credentials::password("demo", "no");
        settings.auth_info = AuthInfo::Inline;
    });
    assert_eq!(class(&inline).await, Some(Class::SessionEnded));
    let again = async || class(&with(Credentials::password("demo", "no"))).await;
    assert_eq!((again().await, again().await), (Some(Class::LoginRefused), Some(Class::LockedOut)));
    assert_eq!(by_id(&with(Credentials::password("demo", PASSWORD)), "x").await.unwrap(), None);
}
