//! The simulated PortaBilling from outside: its JSON side, its tokens, and an ESPF that sends as ESPF does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use soapstone::simulator::{
    Sender, SenderSettings, SenderStats, Sent, SessionSettings, Simulator, SimulatorSettings,
};

use crate::harness::{free_port, soon};

async fn start(accounts: usize) -> Simulator {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = SimulatorSettings { accounts, ..SimulatorSettings::default() };
    Simulator::start(local, settings).await.unwrap()
}

/// A JSON call: status and body.
async fn call(simulator: &Simulator, method: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/rest/{method}", simulator.url());
    let client = reqwest::Client::new();
    let answer = client.post(url).body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

async fn log_in(simulator: &Simulator) -> Value {
    let SessionSettings { login, password, .. } = SessionSettings::default();
    let params = json!({ "params": { "login": login, "password": password } });
    let (status, answer) = call(simulator, "Session/login", params).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn whoever_logs_in_over_json_may_ask_with_session_or_token() {
    let simulator = start(3).await;
    let login = log_in(&simulator).await;
    for name in ["session_id", "access_token", "refresh_token", "expires_at"] {
        assert!(login[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {login}");
    }
    for auth in ["session_id", "access_token"] {
        let body = json!({ "params": { "i_account": 1_000_002 }, "auth_info": { auth: login[auth] } });
        let (status, answer) = call(&simulator, "Account/get_account_info", body).await;
        assert_eq!((status, &answer["account_info"]["i_account"]), (200, &json!(1_000_002)), "{answer}");
    }
    let url = format!("{}/rest/Account/get_account_info", simulator.url());
    let request = reqwest::Client::new().post(url).bearer_auth(login["access_token"].as_str().unwrap());
    let answer = request.body(r#"{"params":{"i_account":1000002}}"#).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_missing_account_is_a_success_without_it() {
    let simulator = start(3).await;
    let auth = json!({ "session_id": log_in(&simulator).await["session_id"] });
    let body = json!({ "params": { "i_account": 5 }, "auth_info": auth });
    let (status, answer) = call(&simulator, "Account/get_account_info", body).await;
    assert_eq!(status, 200);
    assert!(answer.get("account_info").is_none_or(Value::is_null), "{answer}");
}

#[tokio::test]
async fn faults_over_json_are_500_with_code_and_string() {
    let simulator = start(3).await;
    let session = log_in(&simulator).await["session_id"].clone();
    let cases = [
        ("Account/get_account_info", json!({}), "Client.check_auth.envelope_missed"),
        (
            "Account/get_account_info",
            json!({ "auth_info": { "session_id": "gone" } }),
            "Server.Session.check_auth.auth_failed",
        ),
        (
            "Account/get_account_info",
            json!({ "auth_info": { "access_token": "gone" } }),
            "Client.Session.check_auth.failed_to_process_access_token",
        ),
        ("Account/get_everything", json!({}), "Client.UnknownMethod"),
        (
            "Session/login",
            json!({ "params": { "login": "demo", "password": "wrong" } }),
            "Server.Session.auth_failed",
        ),
        (
            "DID/get_number_list",
            json!({ "params": { "limit": 101 }, "auth_info": { "session_id": session } }),
            "Client.DID.get_number_list.limit",
        ),
    ];
    for (method, body, code) in cases {
        let (status, answer) = call(&simulator, method, body).await;
        assert_eq!((status, &answer["faultcode"]), (500, &json!(code)), "{method}: {answer}");
        assert!(!answer["faultstring"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn lists_come_in_pages_that_make_a_whole() {
    let simulator = start(130).await;
    let auth = json!({ "session_id": log_in(&simulator).await["session_id"] });
    let list = async |params: Value| {
        let body = json!({ "params": params, "auth_info": auth });
        let (status, answer) = call(&simulator, "Account/get_account_list", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let ids = |answer: &Value| -> Vec<i64> {
        // an empty list may be left out
        let accounts = answer["account_list"].as_array();
        accounts.into_iter().flatten().map(|account| account["i_account"].as_i64().unwrap()).collect()
    };
    let mut all = Vec::new();
    for offset in [0, 60, 120] {
        let answer = list(json!({ "limit": 60, "offset": offset, "get_total": 1 })).await;
        assert_eq!(answer["total"], 130);
        all.extend(ids(&answer));
    }
    assert_eq!(all, (1_000_000..1_000_130).collect::<Vec<i64>>());
    // without a limit there are fifty, and without being asked for no total
    let answer = list(json!({})).await;
    assert_eq!(ids(&answer).len(), 50);
    assert!(answer.get("total").is_none_or(Value::is_null), "{answer}");
    assert_eq!(ids(&list(json!({ "offset": 130 })).await), [0; 0]);
    let one = list(json!({ "id": "420701000007@msisdn", "get_total": 1 })).await;
    assert_eq!((ids(&one), &one["total"]), (vec![1_000_007], &json!(1)));
}

#[tokio::test]
async fn tokens_are_signed_with_the_key_that_it_shows_and_carry_portabillings_claims() {
    let simulator = start(1).await;
    let login = log_in(&simulator).await;
    let token = login["access_token"].as_str().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let json =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    assert_eq!(json(head), json!({ "alg": "RS256" }));

    let pem = simulator.public_key();
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, STANDARD.decode(text).unwrap());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(signed.as_bytes(), &signature).expect("the signature is wrong");
    key.verify(format!("{signed}x").as_bytes(), &signature).expect_err("any text would do");

    let claims = json(claims);
    assert_eq!(claims["login"], "demo");
    assert_eq!(claims["realm"], "admin");
    assert!(claims["aud"].as_array().unwrap().contains(&json!("espf-api")), "{claims}");
    assert!(claims["i_user"].is_i64() && claims["i_env"].is_i64(), "{claims}");
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, login["expires_in"].as_i64().unwrap());
    assert_eq!(life, 172_800);
}

#[tokio::test]
async fn a_refresh_gives_new_tokens_once_and_a_logout_ends_them() {
    let simulator = start(1).await;
    let first = log_in(&simulator).await;
    let refresh = json!({ "params": { "refresh_token": first["refresh_token"] } });
    let (status, second) = call(&simulator, "Session/refresh_access_token", refresh.clone()).await;
    assert_eq!(status, 200, "{second}");
    assert_ne!(second["access_token"], first["access_token"]);
    let (status, again) = call(&simulator, "Session/refresh_access_token", refresh).await;
    assert_eq!(status, 500, "{again}");
    let ping = async |token: &Value| {
        let (_, answer) =
            call(&simulator, "Session/ping", json!({ "params": { "access_token": token } })).await;
        answer["user_id"].as_i64().unwrap()
    };
    assert_eq!(ping(&first["access_token"]).await, 0);
    assert!(ping(&second["access_token"]).await > 0);
    call(&simulator, "Session/logout", json!({ "params": { "access_token": second["access_token"] } })).await;
    assert_eq!(ping(&second["access_token"]).await, 0);
}

#[tokio::test]
async fn definitions_name_the_address_that_they_are_fetched_from() {
    let simulator = start(1).await;
    let url = format!("{}/wsdl/AccountAdminService.wsdl", simulator.url());
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.contains(&format!("location=\"{}/soap/", simulator.url())), "{text}");
}

#[tokio::test]
async fn a_service_gives_its_definition_where_it_is_called() {
    let simulator = start(1).await;
    for path in ["/soap/Account", "/Porta/SOAP/account", "/soap/Account/get_account_info"] {
        let url = format!("{}{path}", simulator.url());
        let answer = reqwest::get(format!("{url}?wsdl")).await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        assert!(text.contains(&format!("<soap:address location=\"{url}\"/>")), "{path}");
        assert_eq!(reqwest::get(url).await.unwrap().status(), 405);
    }
    let unknown = format!("{}/soap/Nothing?wsdl", simulator.url());
    assert_eq!(reqwest::get(unknown).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_method_that_is_not_simulated_says_so_once_the_session_is_checked() {
    let simulator = start(1).await;
    let session = log_in(&simulator).await["session_id"].clone();
    // a service of which nothing is simulated, and one of which something is
    for (method, code) in [
        ("UA/get_phone_directory_list", "Server.UA.get_phone_directory_list.not_simulated"),
        ("Account/get_alias_list", "Server.Account.get_alias_list.not_simulated"),
    ] {
        let (status, answer) = call(&simulator, method, json!({})).await;
        assert_eq!(
            (status, &answer["faultcode"]),
            (500, &json!("Client.check_auth.envelope_missed")),
            "{answer}"
        );
        let body = json!({ "auth_info": { "session_id": session } });
        let (status, answer) = call(&simulator, method, body).await;
        assert_eq!((status, &answer["faultcode"]), (500, &json!(code)), "{answer}");
    }
}

/// How a receiver of events treats a request.
#[derive(Clone, Copy)]
enum Treat {
    Answer(u16),
    Silence,
}

/// Receives events, and treats the request number n about an event as the script says.
struct Receiver {
    url: String,
    seen: Arc<Mutex<Vec<i64>>>,
}

impl Receiver {
    async fn start(treat: impl Fn(i64, usize) -> Treat + Send + Sync + 'static) -> Self {
        let (listener, address) = free_port().await;
        let seen: Arc<Mutex<Vec<i64>>> = Arc::default();
        let treat = Arc::new(treat);
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (record, treat) = (Arc::clone(&record), Arc::clone(&treat));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (record, treat) = (Arc::clone(&record), Arc::clone(&treat));
                    async move {
                        assert_eq!(request.headers()["authorization"], "Basic dTpw");
                        assert!(request.headers().contains_key("date"));
                        let body = request.into_body().collect().await?.to_bytes();
                        let body: Value = serde_json::from_slice(&body).unwrap();
                        let i_event = body["variables"]["i_event"].as_i64().unwrap();
                        let number = {
                            let mut seen = record.lock().unwrap();
                            seen.push(i_event);
                            seen.iter().filter(|seen| **seen == i_event).count()
                        };
                        match treat(i_event, number) {
                            Treat::Answer(code) => answer(code),
                            Treat::Silence => std::future::pending().await,
                        }
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url: format!("http://{address}/espf"), seen }
    }

    /// Sends events, one of each of these accounts, and waits until the sender has no more to do.
    async fn send(&self, accounts: &[i64], duplicates: u8) -> SenderStats {
        let mut settings = SenderSettings::new(&self.url, "u", "p");
        settings.resend_after = Duration::from_millis(1);
        settings.timeout = Duration::from_millis(200);
        settings.duplicates = duplicates;
        let sender = Sender::new(settings).unwrap();
        for (i_event, i_account) in (1..).zip(accounts) {
            let body =
                json!({ "event_type": "SIM/Updated", "variables": { "i_event": i_event } }).to_string();
            sender.offer(Sent { i_event, subject: format!("account:{i_account}"), body });
        }
        sender.close();
        soon(sender.run()).await;
        sender.stats()
    }

    fn seen(&self) -> Vec<i64> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(code: u16) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    Ok(response)
}

#[tokio::test]
async fn espf_sends_again_after_5xx_and_silence_until_it_is_200() {
    let receiver = Receiver::start(|_, number| match number {
        1 => Treat::Answer(503),
        2 => Treat::Answer(500),
        3 => Treat::Silence,
        // read literally, anything that is neither 200 nor 4xx is sent again
        4 => Treat::Answer(202),
        _ => Treat::Answer(200),
    })
    .await;
    let stats = receiver.send(&[1, 2], 0).await;
    assert_eq!((stats.offered, stats.acknowledged, stats.resent, stats.dropped), (2, 2, 8, 0));
    assert_eq!(receiver.seen().len(), 10);
}

#[tokio::test]
async fn espf_drops_an_event_at_any_4xx() {
    let receiver =
        Receiver::start(|i_event, _| Treat::Answer([401, 404, 408, 429, 200][i_event as usize - 1])).await;
    let stats = receiver.send(&[1, 2, 3, 4, 5], 0).await;
    assert_eq!((stats.acknowledged, stats.dropped, stats.resent), (1, 4, 0));
    assert_eq!(receiver.seen().len(), 5);
}

#[tokio::test]
async fn events_of_one_account_are_sent_one_after_the_other() {
    let receiver = Receiver::start(|i_event, number| match (i_event % 3, number) {
        (0, 1) => Treat::Answer(503),
        _ => Treat::Answer(200),
    })
    .await;
    let accounts: Vec<i64> = (0..40).map(|number| number % 2).collect();
    let stats = receiver.send(&accounts, 50).await;
    assert_eq!((stats.acknowledged, stats.duplicates), (40, 20));
    for parity in [0, 1] {
        let seen: Vec<_> = receiver.seen().into_iter().filter(|i_event| i_event % 2 == parity).collect();
        assert!(seen.is_sorted(), "{seen:?}");
    }
}

#[tokio::test]
async fn customers_are_added_changed_and_closed_and_only_lists_that_want_them_have_closed_ones() {
    let simulator = start(30).await;
    let login = log_in(&simulator).await;
    let ask = async |method: &str, params: Value| {
        let body = json!({ "params": params, "auth_info": { "session_id": login["session_id"] } });
        call(&simulator, &format!("Customer/{method}"), body).await
    };
    let acme = json!({ "customer_info": { "name": "Acme", "i_parent": 2 } });
    let (_, added) = ask("add_customer", acme.clone()).await;
    assert_eq!(added, json!({ "i_customer": 4 }));
    let (status, twice) = ask("add_customer", acme).await;
    assert_eq!((status, &twice["faultcode"]), (500, &json!("Server.Customer.duplicate_name")), "{twice}");
    ask("update_customer", json!({ "customer_info": { "i_customer": 4, "email": "acme@example.org" } }))
        .await;
    let (_, found) = ask("get_customer_info", json!({ "i_customer": 4 })).await;
    let info = &found["customer_info"];
    assert_eq!((&info["name"], &info["email"]), (&json!("Acme"), &json!("acme@example.org")));
    let (_, nobody) = ask("update_customer", json!({ "customer_info": { "i_customer": 9 } })).await;
    assert_eq!(nobody["faultcode"], "Server.Customer.update_customer.not_found");

    for success in [1, 0] {
        let (_, ended) = ask("terminate_customer", json!({ "i_customer": 2 })).await;
        assert_eq!(ended, json!({ "success": success }));
    }
    let listed = async |params: Value| {
        let (_, answer) = ask("get_customer_list", params).await;
        let list = answer["customer_list"].as_array().cloned().unwrap_or_default();
        let ids: Vec<i64> = list.iter().filter_map(|customer| customer["i_customer"].as_i64()).collect();
        (ids, answer["total"].as_i64())
    };
    assert_eq!(listed(json!({ "get_total": 1 })).await, (vec![1, 3, 4], Some(3)));
    assert_eq!(
        listed(json!({ "get_total": 1, "with_terminated": 1, "limit": 2, "offset": 1 })).await,
        (vec![2, 3], Some(4))
    );
    assert_eq!(listed(json!({ "bill_status": "C", "with_terminated": 1 })).await, (vec![2], None));
    assert_eq!(listed(json!({ "i_parent": 2 })).await, (vec![4], None));
}
