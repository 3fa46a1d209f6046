//! What an external system is sent, and what its answers mean.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use soapstone::config::{HeaderText, HttpConnectorSettings, Listen, Secret};
use soapstone::connector::http::HttpConnector;
use soapstone::connector::{Applied, Apply, Connector};
use soapstone::delivery::{DeliveryId, Outcome};
use soapstone::event::Event;
use soapstone::http::server::{self, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::harness::{free_port, soon};

const TOKEN: &str = "top-secret-token";
const KEY: &str = "top-secret-key";

/// One request as the external system saw it.
#[derive(Debug, Clone)]
struct Seen {
    method: String,
    path: String,
    headers: HeaderMap,
    body: String,
}

/// An external system that answers what the test wants, in turn; 202 when it wants nothing.
struct Stub {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    shutdown: CancellationToken,
}

type Reply = (u16, Vec<(&'static str, String)>, String);

impl Stub {
    async fn start(replies: Vec<Reply>) -> Self {
        let (listener, address) = free_port().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(VecDeque::from(replies)));
        let shutdown = CancellationToken::new();
        let record = seen.clone();
        let service = service_fn(move |request| reply(request, record.clone(), replies.clone()));
        let limits = Limits::from(&Listen::default());
        tokio::spawn(server::serve(listener, limits, service, Default::default(), shutdown.clone()));
        Self { url: format!("http://{address}/process-event"), seen, shutdown }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn reply(
    request: Request<Incoming>,
    record: Arc<Mutex<Vec<Seen>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let seen =
        Seen { method: head.method.to_string(), path: head.uri.path().into(), headers: head.headers, body };
    record.lock().unwrap().push(seen);
    let next = replies.lock().unwrap().pop_front();
    let (status, headers, body) = next.unwrap_or((202, Vec::new(), r#"{"message":"ok"}"#.into()));
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(body)).unwrap())
}

fn settings(url: &str) -> HttpConnectorSettings {
    HttpConnectorSettings {
        bearer: Some(Secret::new(TOKEN)),
        ..HttpConnectorSettings::new(url.parse().unwrap())
    }
}

fn connector(settings: &HttpConnectorSettings) -> HttpConnector {
    HttpConnector::new("hlr", settings).unwrap()
}

/// As ESPF sent it, with spaces, an escape and a number that are easily lost.
const POSTED: &str = "{\"event_type\": \"SIM/Updated\",  \"variables\":{\"i_event\":\"5\",\"i_account\":7,\"x\":1.50,\"y\":\"\\u00fc\"}}";
const PB_DATA: &str = r#"{"account_info":{"i_account":7,"blocked":false,"id":"380661310764@msisdn","assigned_addons":[{"i_product":3,"name":"Roaming"}]},"sim_info":{"imsi":"001010000020349","i_sim_card":3793}}"#;

/// What a dispatcher hands over.
struct Given {
    delivery: DeliveryId,
    event: Event,
    pb_data: Box<RawValue>,
    created_at: Timestamp,
}

impl Given {
    fn new() -> Self {
        let created_at = "2026-05-01T12:00:00.000123Z".parse().unwrap();
        Self {
            delivery: DeliveryId::at(created_at),
            event: Event::read("default", POSTED.as_bytes(), None, created_at).unwrap(),
            pb_data: RawValue::from_string(PB_DATA.into()).unwrap(),
            created_at,
        }
    }

    async fn apply(&self, connector: &HttpConnector, attempt: u32) -> Applied {
        let request = Apply {
            delivery: self.delivery,
            attempt,
            handler: "sim",
            event: &self.event,
            pb_data: Some(&self.pb_data),
            callback: None,
            created_at: self.created_at,
            now: "1994-11-06T08:49:00Z".parse().unwrap(),
        };
        soon(connector.apply(request)).await
    }
}

async fn outcome_of(reply: Reply) -> Outcome {
    let stub = Stub::start(vec![reply]).await;
    Given::new().apply(&connector(&settings(&stub.url)), 1).await.outcome
}

fn reason(outcome: &Outcome) -> &str {
    outcome.reason().unwrap_or_default()
}

#[tokio::test]
async fn what_is_sent_is_what_the_contract_says() {
    let stub = Stub::start(Vec::new()).await;
    let given = Given::new();
    let applied = given.apply(&connector(&settings(&stub.url)), 1).await;
    assert_eq!(applied.outcome, Outcome::Delivered);
    let [seen] = <[Seen; 1]>::try_from(stub.seen()).unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/process-event"));
    let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(header("content-type"), "application/json");
    let trace = header("x-b3-traceid");
    assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{trace}");
    assert!(!header("x-request-id").is_empty());

    assert!(seen.body.contains(&format!(r#""data":{POSTED}"#)), "the event isn't unchanged: {}", seen.body);
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    let contract: Value = serde_json::from_str(include_str!("../cases/nsps/event.json")).unwrap();
    assert_eq!(violations(&contract, "Event", &body), [] as [String; 0]);
    assert_eq!(body["event_id"], given.delivery.to_string());
    assert_eq!(body["handler_id"], "sim");
    assert_eq!(body["status"], "queued");
    assert_eq!(body["created_at"], "2026-05-01T12:00:00.000123+00:00");
    assert_eq!(body["updated_at"], "1994-11-06T08:49:00.000000+00:00");
    assert_eq!(body["pb_data"], serde_json::from_str::<Value>(PB_DATA).unwrap());
}

#[test]
fn it_works_on_a_machine_without_certificates() {
    // The environment of a process is nothing that a test may change for the others, so this is a process of its own.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "connector::what_is_sent_is_what_the_contract_says"])
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Where a value differs from the contract's table: member to type, `!` for what must be there and not null.
fn violations(contract: &Value, kind: &str, value: &Value) -> Vec<String> {
    let right = match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        _ if kind.starts_with('[') => {
            let Some(items) = value.as_array() else { return vec![format!("{value} is not {kind}")] };
            return items
                .iter()
                .flat_map(|item| violations(contract, kind.trim_matches(['[', ']']), item))
                .collect();
        }
        _ => return members_violations(contract, kind, value),
    };
    if right { Vec::new() } else { vec![format!("{value} is not {kind}")] }
}

fn members_violations(contract: &Value, kind: &str, value: &Value) -> Vec<String> {
    let members = contract[kind].as_object().unwrap_or_else(|| panic!("the contract has no {kind}"));
    let check = |(name, kind): (&String, &Value)| {
        let kind = kind.as_str().unwrap();
        match value.get(name).filter(|value| !value.is_null()) {
            Some(value) => violations(contract, kind.trim_end_matches('!'), value),
            None if kind.ends_with('!') => vec![format!("{name} is missing")],
            None => Vec::new(),
        }
    };
    members.iter().flat_map(check).collect()
}

#[test]
fn the_check_against_the_contract_can_fail() {
    let contract: Value = serde_json::from_str(include_str!("../cases/nsps/event.json")).unwrap();
    let wrong =
        serde_json::json!({ "data": { "event_type": 5 }, "pb_data": { "sim_info": { "i_sim_card": "1" } } });
    assert_eq!(violations(&contract, "Event", &wrong).len(), 3);
}

#[tokio::test]
async fn the_event_id_is_the_same_at_every_attempt_and_the_request_id_is_not() {
    let stub = Stub::start(vec![(503, vec![], String::new())]).await;
    let (connector, given) = (connector(&settings(&stub.url)), Given::new());
    given.apply(&connector, 1).await;
    given.apply(&connector, 2).await;
    let seen = stub.seen();
    let id = |seen: &Seen| serde_json::from_str::<Value>(&seen.body).unwrap()["event_id"].clone();
    assert_eq!(id(&seen[0]), id(&seen[1]));
    assert_eq!(seen[0].headers["x-b3-traceid"], seen[1].headers["x-b3-traceid"]);
    assert_ne!(seen[0].headers["x-request-id"], seen[1].headers["x-request-id"]);
}

#[tokio::test]
async fn every_2xx_is_processed_and_what_is_final_is_a_setting() {
    for status in [200, 202, 204] {
        assert_eq!(outcome_of((status, vec![], String::new())).await, Outcome::Delivered, "{status}");
    }
    for status in [401, 404, 405, 422, 429, 500, 503] {
        assert!(
            matches!(outcome_of((status, vec![], String::new())).await, Outcome::Retry { .. }),
            "{status}"
        );
    }
    assert!(matches!(outcome_of((400, vec![], String::new())).await, Outcome::Refused { .. }));
    let stub = Stub::start(vec![(404, vec![], String::new()), (400, vec![], String::new())]).await;
    let connector = connector(&HttpConnectorSettings { final_codes: vec![404], ..settings(&stub.url) });
    assert!(matches!(Given::new().apply(&connector, 1).await.outcome, Outcome::Refused { .. }));
    assert!(matches!(Given::new().apply(&connector, 1).await.outcome, Outcome::Retry { .. }));
}

#[tokio::test]
async fn an_error_reaches_the_operator_in_every_spelling() {
    for (body, expected) in [
        (
            r#"{"message":"Timed out","error":"No answer","type":"CONNECTION_ERROR"}"#,
            "Timed out: No answer (connection_error)",
        ),
        (
            r#"{"detail":{"message":"Timed out","error":"E","type":"connection_error"}}"#,
            "Timed out: E (connection_error)",
        ),
        (r#"{"detail":"Not Found"}"#, "Not Found"),
        (r#"{"detail":[{"loc":["body","data"],"msg":"Field required"}]}"#, "body.data: Field required"),
    ] {
        let outcome = outcome_of((422, vec![], body.into())).await;
        assert_eq!(reason(&outcome), format!("HTTP 422 Unprocessable Entity: {expected}"));
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    for (text, seconds) in [("7", 7), ("Sun, 06 Nov 1994 08:49:37 GMT", 37), ("86400", 3600)] {
        let outcome = outcome_of((429, vec![("retry-after", text.into())], String::new())).await;
        let Outcome::Retry { after, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(after, Some(Duration::from_secs(seconds)), "{text}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Stub::start(Vec::new()).await;
    let outcome = outcome_of((302, vec![("location", elsewhere.url.clone())], String::new())).await;
    assert!(matches!(&outcome, Outcome::Retry { reason, .. } if reason.contains("redirect")), "{outcome:?}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_refused_connection_says_that_nothing_was_sent() {
    let (listener, address) = free_port().await;
    drop(listener);
    let applied = Given::new().apply(&connector(&settings(&format!("http://{address}/"))), 1).await;
    assert!(matches!(applied.outcome, Outcome::Retry { .. }));
    assert!(reason(&applied.outcome).contains("nothing was sent"), "{:?}", applied.outcome);
    assert!(applied.request.is_some() && applied.response.is_none());
}

/// Takes connections, reads a little of each, and then does as told.
async fn rude(listener: TcpListener, answer: &'static [u8], hang: bool) {
    let mut open = Vec::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut some = [0; 64];
        stream.read_exact(&mut some).await.unwrap();
        stream.write_all(answer).await.unwrap();
        if hang {
            open.push(stream);
        }
    }
}

async fn outcome_of_rude(answer: &'static [u8], hang: bool) -> Outcome {
    let (listener, address) = free_port().await;
    let system = tokio::spawn(rude(listener, answer, hang));
    let timeout = Duration::from_millis(500);
    let settings = HttpConnectorSettings { timeout, ..settings(&format!("http://{address}/")) };
    let applied = Given::new().apply(&connector(&settings), 1).await;
    system.abort();
    applied.outcome
}

#[tokio::test]
async fn no_answer_and_a_broken_connection_say_that_it_may_have_been_carried_out() {
    for (answer, hang) in [(&b""[..], true), (b"", false), (b"HTTP/1.1 20", false), (b"HTTP/1.1 20", true)] {
        let outcome = outcome_of_rude(answer, hang).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
        assert!(reason(&outcome).contains("may have been carried out"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_status_counts_even_if_the_body_never_comes() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{";
    for hang in [true, false] {
        assert_eq!(outcome_of_rude(head, hang).await, Outcome::Delivered);
    }
}

#[tokio::test]
async fn no_secret_is_shown_even_if_the_other_side_repeats_it() {
    let echo = format!(r#"{{"message":"wrong token {TOKEN}","error":"{KEY}","type":"x"}}"#);
    let stub = Stub::start(vec![(401, vec![], echo)]).await;
    let mut settings = settings(&stub.url);
    settings.headers.insert("X-Tenant".into(), HeaderText::Plain("north".into()));
    settings.headers.insert("X-Key".into(), HeaderText::Secret(Secret::new(KEY)));
    let connector = connector(&settings);
    let applied = Given::new().apply(&connector, 1).await;
    let seen = &stub.seen()[0];
    assert_eq!(
        (&seen.headers["x-tenant"], &seen.headers["x-key"]),
        (&"north".parse().unwrap(), &KEY.parse().unwrap())
    );
    let shown = format!("{applied:?} {connector:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains(KEY), "{shown}");
    let request = applied.request.unwrap();
    assert!(request.contains("authorization: ***") && request.contains("x-tenant: north"), "{request}");
    assert!(request.contains(POSTED), "{request}");
    assert!(applied.response.unwrap().contains("wrong token ***"));
}

#[tokio::test]
async fn what_is_kept_of_an_answer_is_bounded() {
    let stub = Stub::start(vec![(500, vec![], "é".repeat(5_000_000))]).await;
    let settings = HttpConnectorSettings { keep_limit: 1000, ..settings(&stub.url) };
    let applied = Given::new().apply(&connector(&settings), 1).await;
    assert!(applied.response.unwrap().len() < 1100);
    assert!(reason(&applied.outcome).len() < 700);
    assert!(matches!(applied.outcome, Outcome::Retry { .. }));
}
