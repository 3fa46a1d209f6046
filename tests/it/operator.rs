//! What the operator sees.

use serde_json::{Value, json};
use soapstone::breaker::{Breaker, BreakerSettings, BreakerState};
use soapstone::store::Store as _;

use crate::harness::{Gateway, Setting, listen_to_log, request};

fn event(number: u32, event_type: &str) -> String {
    format!(
        r#"{{"event_type":"{event_type}","variables":{{"i_event":{number},"i_account":{}}}}}"#,
        100 + number
    )
}

#[tokio::test]
async fn it_is_alive_and_ready_until_the_store_is_down_or_it_is_stopped() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.ask("/health/live").await, (200, json!({ "live": true })));
    assert_eq!(gateway.ask("/health/ready").await, (200, json!({ "ready": true, "reasons": [] })));
    gateway.store.down();
    let (status, body) = gateway.ask("/health/ready").await;
    assert_eq!((status, body["reasons"].as_array().unwrap().len()), (503, 1));
    assert_eq!(gateway.ask("/health/live").await.0, 200);
    gateway.no_more.cancel();
    let (status, body) = gateway.ask("/health/ready").await;
    assert_eq!((status, body["reasons"].as_array().unwrap().len()), (503, 2));
}

#[tokio::test]
async fn metrics_show_what_came_and_what_waits() {
    let gateway = Gateway::with(Setting { events: vec!["SIM/*".into()], ..Setting::default() }).await;
    gateway.post(&event(1, "SIM/Updated")).await;
    gateway.post(&event(2, "DID/Updated")).await;
    let metrics = request(gateway.operator, "GET", "/metrics", &[], "").await;
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        r#"soapstone_events_total{source="default",type="SIM/Updated",answer="kept"} 1"#,
        r#"soapstone_events_total{source="default",type="DID/Updated",answer="unhandled"} 1"#,
        r#"soapstone_backlog_deliveries{handler="sim",state="pending"} 1"#,
        r#"soapstone_backlog_oldest_age_seconds{handler="sim"} "#,
        r#"soapstone_connections{listener="operator"} 1"#,
    ] {
        assert!(metrics.body.contains(line), "{line} is missing from\n{}", metrics.body);
    }
    gateway.store.down();
    let metrics = request(gateway.operator, "GET", "/metrics", &[], "").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains("soapstone_store_errors_total 1"), "{}", metrics.body);
}

fn numbers(page: &Value) -> Vec<i64> {
    page["events"].as_array().unwrap().iter().map(|event| event["i_event"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn events_come_in_pages_newest_first_and_can_be_chosen() {
    let gateway = Gateway::with(Setting { events: vec!["SIM/*".into()], ..Setting::default() }).await;
    for number in 1..=5 {
        gateway.post(&event(number, if number == 3 { "DID/Updated" } else { "SIM/Updated" })).await;
    }
    let (status, first) = gateway.ask("/api/v1/events?limit=2").await;
    assert_eq!((status, numbers(&first)), (200, vec![5, 4]));
    let next = first["next"].as_str().unwrap();
    let (_, second) = gateway.ask(&format!("/api/v1/events?limit=2&before={next}")).await;
    assert_eq!(numbers(&second), [3, 2]);
    let (_, all) = gateway.ask("/api/v1/events").await;
    assert_eq!((numbers(&all), &all["next"]), (vec![5, 4, 3, 2, 1], &Value::Null));
    let (status, most) = gateway.ask("/api/v1/events?limit=501").await;
    assert_eq!((status, most["events"].as_array().unwrap().len()), (200, 5), "a page has what it may have");
    assert_eq!(numbers(&gateway.ask("/api/v1/events?type=DID/Updated").await.1), [3]);
    assert_eq!(numbers(&gateway.ask("/api/v1/events?subject=104").await.1), [4]);
    assert_eq!(numbers(&gateway.ask("/api/v1/events?state=pending&limit=500").await.1), [5, 4, 2, 1]);
    assert_eq!(numbers(&gateway.ask("/api/v1/events?state=parked").await.1), [] as [i64; 0]);
}

#[tokio::test]
async fn one_event_is_shown_with_its_deliveries_and_attempts_and_as_it_was_posted() {
    let gateway = Gateway::start().await;
    let posted =
        r#"{"event_type":"SIM/Updated","variables":{"i_event":"7","i_account":9,"i_env":3,"x":1.50}}"#;
    gateway.post(posted).await;
    let (_, page) = gateway.ask("/api/v1/events").await;
    let id = page["events"][0]["id"].as_str().unwrap();
    let shown = request(gateway.operator, "GET", &format!("/api/v1/events/{id}"), &[], "").await;
    assert!(shown.body.contains(posted), "{}", shown.body);
    let event: Value = serde_json::from_str(&shown.body).unwrap();
    assert_eq!(event["i_event"], 7);
    assert_eq!(event["i_env"], 3);
    assert_eq!(event["source"], "default");
    assert_eq!(event["event_type"], "SIM/Updated");
    assert_eq!(event["subject"], json!({ "kind": "account", "id": "9" }));
    assert!(event["received_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let delivery = &event["deliveries"][0];
    assert_eq!((&delivery["handler"], &delivery["state"]), (&json!("sim"), &json!("pending")));
    assert_eq!((&delivery["attempts"], &delivery["attempt_list"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn what_is_not_there_or_wrong_is_an_error_in_json() {
    let gateway = Gateway::start().await;
    for (path, expected) in [
        ("/", 404),
        ("/api/v1/other", 404),
        ("/api/v1/events/5", 404),
        ("/api/v1/events/01890a5d-ac96-774b-bcce-b302099a8057", 404),
        ("/api/v1/events?limit=0", 400),
        ("/api/v1/events?limit=x", 400),
        ("/api/v1/events?before=x", 400),
        ("/api/v1/events?state=gone", 400),
        ("/api/v1/events?colour=red", 400),
    ] {
        let (status, body) = gateway.ask(path).await;
        assert_eq!(status, expected, "{path}");
        assert!(!body["error"].as_str().unwrap().is_empty(), "{path}");
    }
    let answer = request(gateway.operator, "POST", "/api/v1/events", &[], "").await;
    assert_eq!(answer.status, 405);
    gateway.store.down();
    assert_eq!(gateway.ask("/api/v1/events").await.0, 503);
}

#[tokio::test]
async fn a_breaker_is_closed_by_hand() {
    let gateway = Gateway::start().await;
    let settings = BreakerSettings { failures: 1, ..BreakerSettings::default() };
    let now = jiff::Timestamp::now();
    let open = Breaker::closed("connector:hlr").failed(1, "down", None, &settings, now).unwrap();
    assert!(gateway.store.put_breaker(open).await.unwrap());

    let close = |name: &str| {
        let (url, name) = (format!("http://{}", gateway.operator), name.to_owned());
        tokio::task::spawn_blocking(move || {
            std::process::Command::new(env!("CARGO_BIN_EXE_soapstone"))
                .args(["breaker", "close", &name, "--operator", &url])
                .env_remove("SOAPSTONE_CONFIG")
                .output()
                .unwrap()
        })
    };
    let output = close("connector:hlr").await.unwrap();
    assert!(output.stdout.starts_with(b"closed; the backlog resumes gently"), "{output:?}");
    let breaker = gateway.store.breakers().await.unwrap().remove(0);
    assert_eq!((breaker.state, breaker.openings, breaker.version), (BreakerState::Closed, 0, 2));

    let output = close("connector:hlr").await.unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"that is closed already\n".to_vec()));
    let output = close("connector:hrl").await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("those that have: connector:hlr"), "{said}");
}

#[tokio::test]
async fn whoever_asks_by_a_name_that_is_not_ours_is_refused() {
    let gateway = Gateway::start().await;
    let json = ("Content-Type", "application/json");
    let body = r#"{"scope":"everything"}"#;
    let ask = async |host: &'static str, method: &str, path: &str, body: &str| {
        request(gateway.operator, method, path, &[("Host", host), json], body).await
    };
    let port = gateway.operator.port();
    for host in [
        "evil.example.com".to_owned(),
        format!("evil.example.com:{port}"),
        "localhost.evil.example.com".into(),
    ] {
        let host: &'static str = host.leak();
        for (method, path, body) in
            [("POST", "/api/v1/pauses", body), ("GET", "/api/v1/events", ""), ("GET", "/nothing", "")]
        {
            let answer = ask(host, method, path, body).await;
            assert_eq!(answer.status, 421, "{host} {path}");
            assert!(answer.body.contains("`hosts` in [operator]"), "{answer:?}");
        }
    }
    assert_eq!(gateway.ask("/api/v1/pauses").await.1, json!({ "pauses": [] }));
    for host in ["127.0.0.1:8081", "[::1]:8081", "localhost", "gateway.example.com:8081"] {
        assert_eq!(ask(host, "GET", "/api/v1/pauses", "").await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn what_an_operator_does_is_in_the_log_with_the_name_that_was_given() {
    let (log, _guard) = listen_to_log();
    let gateway = Gateway::start().await;
    gateway.post(&event(1, "SIM/Updated")).await;
    let headers = [("Content-Type", "application/json"), ("X-Operator", "alice \"<x>\"")];
    let tell = async |path: &str, body: Value| {
        let answer = request(gateway.operator, "POST", path, &headers, &body.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let scope = json!({ "scope": "handler", "name": "sim", "reason": "night" });
    tell("/api/v1/pauses", scope.clone()).await;
    tell("/api/v1/resume", json!({ "scope": "handler", "name": "sim" })).await;
    tell("/api/v1/cancel", json!({ "select": { "state": "pending" }, "reason": "a mistake" })).await;
    tell("/api/v1/replay", json!({ "select": {} })).await;
    tell("/api/v1/subscribe", json!({ "handler": "sim" })).await;
    let of = |message: &str, members: Value| {
        let found = log.entries(message);
        assert_eq!(found.len(), 1, "{message}: {found:?}");
        for (name, value) in members.as_object().unwrap() {
            assert_eq!(&found[0][name], value, "{name} of {}", found[0]);
        }
        assert_eq!(found[0]["who"], "alicex", "nothing that could be taken for something else");
    };
    of("paused", json!({ "scope": "handler", "name": "sim", "reason": "night" }));
    of("resumed", json!({ "scope": "handler", "name": "sim", "was_paused": true }));
    of("deliveries are cancelled", json!({ "looked_at": 1, "cancelled": 1, "reason": "a mistake" }));
    of("deliveries are replayed", json!({ "looked_at": 1, "replayed": 1 }));
    of("a handler gets what was before", json!({ "handler": "sim", "looked_at": 1, "made": 0 }));
}

#[tokio::test]
async fn what_could_not_be_read_is_listed_as_text_newest_first() {
    let gateway = Gateway::start().await;
    for body in ["<script>alert(1)</script>", "{\"event_type\": \"\"}", "not JSON"] {
        assert_eq!(gateway.post(body).await.status, 400);
    }
    let answer = request(gateway.operator, "GET", "/api/v1/samples?limit=2", &[], "").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let page: Value = serde_json::from_str(&answer.body).unwrap();
    let bodies = |page: &Value| {
        let samples = page["samples"].as_array().unwrap().clone();
        samples.iter().map(|sample| sample["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(&page), ["not JSON", "{\"event_type\": \"\"}"]);
    assert!(page["samples"][0]["reason"].as_str().unwrap().contains("not a JSON object"), "{page}");
    assert_eq!(page["samples"][0]["source"], "default");
    let (_, rest) = gateway.ask(&format!("/api/v1/samples?limit=2&before={}", page["next"])).await;
    assert_eq!((bodies(&rest), &rest["next"]), (vec!["<script>alert(1)</script>".to_owned()], &Value::Null));
    let url = format!("http://{}", gateway.operator);
    let run = move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_soapstone"));
        command.args(["samples", "--operator", &url]).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let shown: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((shown.len(), &shown[0]["body"]), (3, &json!("not JSON")), "{said}");
}
