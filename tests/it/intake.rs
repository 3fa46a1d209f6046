//! What ESPF is answered, for each of its ways to ask: an answer decides whether it forgets the event.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use soapstone::config::{CustomCredential, IntakeAuth, Secret, SignatureCredential};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{BASIC, Gateway, Setting, answer, basic, intake, soon};

const EVENT: &str = r#"{"event_type":"Subscriber/Updated","variables":{"i_event":5,"i_account":1000889}}"#;
const TYPE: &str = "Subscriber/Updated";

#[tokio::test]
async fn an_event_is_kept_for_its_handler_and_answered_200_with_an_empty_body() {
    let gateway = Gateway::start().await;
    let answer = gateway.post(EVENT).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    soon(gateway.accepted.notified()).await;
    let events = gateway.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event.body, EVENT);
    assert_eq!(events[0].deliveries.len(), 1);
    assert_eq!(events[0].deliveries[0].handler, "sim");
    assert_eq!(gateway.answered(TYPE, "kept"), 1);
}

#[tokio::test]
async fn every_way_to_write_an_event_is_taken_and_kept_byte_for_byte() {
    let gateway = Gateway::start().await;
    let bodies = [
        // Ids as strings, as numbers, `i_event` at the top level.
        r#"{"event_type":"Subscriber/Updated","variables":{"i_event":"5","i_account":"1000889"}}"#,
        r#"{"event_type":"Subscriber/Updated","variables":{"i_event":7615,"i_account":1000889}}"#,
        r#"{"event_type":"Subscriber/Updated","i_event":6,"variables":{"i_account":1000889}}"#,
        // Keys that nobody knows, spaces, escapes and numbers as they were written.
        "{\"variables\": {\"i_event\":8, \"x\":1.50, \"\\u00fc\":[{}], \"i_env\":3},\n \"event_type\":\"SIM/Updated\", \"y\":null}\n",
        // A native balance event without i_account, four segments, telephone numbers, two spellings of one type.
        r#"{"event_type":"Account/BalanceChanged","variables":{"i_event":9,"billing_entity_id":7,"curr_balance":"1.50"}}"#,
        r#"{"event_type":"Account/Service/Netaccess/QuotaExceeded","variables":{"i_event":10,"i_account":7}}"#,
        r#"{"event_type":"DID/Updated","variables":{"i_event":11,"number":"+0441234"}}"#,
        r#"{"event_type":"DID/Updated","variables":{"i_event":11,"number":"0441234"}}"#,
        r#"{"event_type":"Account/ID/Changed","variables":{"i_event":12,"i_account":7}}"#,
        r#"{"event_type":"Account/Id/Changed","variables":{"i_event":13,"i_account":7}}"#,
        // The number of an event that was, with another type: numbers are used again.
        r#"{"event_type":"Subscriber/Deleted","variables":{"i_event":"5","i_account":"1000889"}}"#,
    ];
    for body in bodies {
        assert_eq!(gateway.post(body).await.status, 200, "{body}");
    }
    let kept: Vec<String> =
        gateway.events().await.into_iter().rev().map(|summary| summary.event.body).collect();
    assert_eq!(kept, bodies);
}

#[tokio::test]
async fn the_same_event_at_the_same_time_is_kept_once_and_always_answered_200() {
    let gateway = Gateway::start().await;
    let answers = futures::future::join_all((0..32).map(|_| gateway.post(EVENT))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body.is_empty()));
    assert_eq!(gateway.events().await.len(), 1);
    assert_eq!((gateway.answered(TYPE, "kept"), gateway.answered(TYPE, "duplicate")), (1, 31));
}

#[tokio::test]
async fn the_same_event_by_two_sources_is_two_events() {
    let auth = || IntakeAuth::Basic { basic: vec![basic("espf", "secret")] };
    let intakes = vec![intake("default", "/espf", auth()), intake("north", "/espf/north", auth())];
    let gateway = Gateway::with(Setting { intakes, ..Setting::default() }).await;
    for path in ["/espf", "/espf/north", "/espf/north/", "/espf?x=1"] {
        assert_eq!(gateway.post_to(path, &[("Authorization", BASIC)], EVENT).await.status, 200, "{path}");
    }
    let mut sources: Vec<_> =
        gateway.events().await.into_iter().map(|summary| summary.event.source).collect();
    sources.sort();
    assert_eq!(sources, ["default", "north"]);
}

#[tokio::test]
async fn a_type_that_nobody_handles_is_kept_counted_and_answered_200() {
    let gateway = Gateway::with(Setting { events: vec!["SIM/*".into()], ..Setting::default() }).await;
    assert_eq!(gateway.post(EVENT).await.status, 200);
    let events = gateway.events().await;
    assert_eq!((events.len(), events[0].deliveries.len()), (1, 0));
    assert_eq!(gateway.answered(TYPE, "unhandled"), 1);
}

#[tokio::test]
async fn what_is_not_an_event_is_kept_as_a_sample_counted_and_answered_400() {
    let gateway = Gateway::start().await;
    let bodies = [
        // The sample of PortaOne's guide: a comma is missing.
        "{\"event_type\":\"Subscriber/Created\",\"variables\":{\"i_event\":\"5\"\n\"i_account\":\"1\"}}",
        r#"["event_type"]"#,
        r#"{"variables":{"i_event":5}}"#,
        r#"{"event_type":5,"variables":{}}"#,
        r#"{"event_type":"A/B"} trailing"#,
        "",
    ];
    for body in bodies {
        assert_eq!(gateway.post(body).await.status, 400, "{body}");
    }
    let samples: Vec<_> = gateway.store.samples().into_iter().map(|sample| sample.body).collect();
    assert_eq!(samples, bodies.map(|body| body.as_bytes().to_vec()));
    assert!(
        gateway.store.samples().iter().all(|sample| !sample.reason.is_empty() && sample.source == "default")
    );
    assert_eq!(gateway.answered("", "not_an_event"), bodies.len() as u64);
    assert!(gateway.events().await.is_empty());
}

#[tokio::test]
async fn what_is_not_an_event_is_not_dropped_before_a_sample_is_kept() {
    let gateway = Gateway::start().await;
    gateway.store.down();
    assert_eq!(gateway.post("{").await.status, 503);
    gateway.store.up();
    assert_eq!(gateway.post("{").await.status, 400);
}

#[tokio::test]
async fn basic_is_taken_in_any_case_and_all_else_is_401() {
    let gateway = Gateway::start().await;
    for text in ["basic ZXNwZjpzZWNyZXQ=", "BASIC ZXNwZjpzZWNyZXQ="] {
        assert_eq!(gateway.post_to("/espf", &[("Authorization", text)], EVENT).await.status, 200, "{text}");
    }
    // Without a colon: the defective sample of a guide. Then a wrong password, no base64, no scheme, another scheme.
    let wrong =
        ["Basic dXNlciBwQHNzdzByZA==", "Basic ZXNwZjp3cm9uZw==", "Basic §", "Basic", "", "Bearer secret"];
    for text in wrong {
        let answer = gateway.post_to("/espf", &[("Authorization", text)], EVENT).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{text}");
    }
    assert_eq!(gateway.post_to("/espf", &[], EVENT).await.status, 401);
    assert_eq!(gateway.answered("", "unauthorized"), wrong.len() as u64 + 1);
    assert_eq!(gateway.events().await.len(), 1);
}

#[tokio::test]
async fn two_credentials_are_right_while_they_are_changed() {
    let auth = IntakeAuth::Basic { basic: vec![basic("espf", "new"), basic("espf", "secret")] };
    let gateway = Gateway::with(Setting::auth(auth)).await;
    let new = format!("Basic {}", BASE64_STANDARD.encode("espf:new"));
    assert_eq!(gateway.post_to("/espf", &[("Authorization", &new)], EVENT).await.status, 200);
    assert_eq!(gateway.post_to("/espf", &[("Authorization", BASIC)], EVENT).await.status, 200);
}

#[tokio::test]
async fn wrong_credentials_are_503_where_the_source_is_set_so() {
    let mut setting = Setting::default();
    setting.intakes[0].unauthorized = 503;
    let gateway = Gateway::with(setting).await;
    let answer = gateway.post_to("/espf", &[], EVENT).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
}

#[tokio::test]
async fn wrong_credentials_are_answered_before_the_body_is_there() {
    let gateway = Gateway::start().await;
    let mut stream = TcpStream::connect(gateway.intake).await.unwrap();
    let head = "POST /espf HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\nContent-Length: 100\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.unwrap().status, 401);
}

#[tokio::test]
async fn custom_credentials_come_in_the_header_of_the_configuration() {
    let credential = |value| CustomCredential { scheme: "Token".into(), value: Secret::new(value) };
    let auth =
        IntakeAuth::Custom { header: "X-Auth".into(), custom: vec![credential("one"), credential("two")] };
    let gateway = Gateway::with(Setting::auth(auth)).await;
    for (header, value, status) in [
        ("X-Auth", "Token one", 200),
        ("x-auth", "Token two", 200),
        ("X-Auth", "Token three", 401),
        ("X-Auth", "one", 401),
        ("Authorization", "Token one", 401),
    ] {
        assert_eq!(
            gateway.post_to("/espf", &[(header, value)], EVENT).await.status,
            status,
            "{header}: {value}"
        );
    }
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn post_signed(gateway: &Gateway, secret: &str, date: &str, form: &str) -> u16 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let text = if form.starts_with("draft") { format!("date: {date}") } else { date.to_owned() };
    let tag = hmac::sign(&key, text.as_bytes());
    let signature = match form.ends_with("hex") {
        true => tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        false => BASE64_STANDARD.encode(tag.as_ref()),
    };
    let value = format!(r#"Signature keyId="espf",algorithm="hmac-sha1",signature="{signature}""#);
    gateway.post_to("/espf", &[("Authorization", &value), ("Date", date)], EVENT).await.status
}

#[tokio::test]
async fn a_signature_is_taken_in_all_four_forms_with_either_secret_and_a_stale_one_is_503() {
    let credential = |secret| SignatureCredential { key_id: "espf".into(), secret: Secret::new(secret) };
    let signature = vec![credential("one"), credential("two")];
    let auth = IntakeAuth::Signature { max_skew: Duration::from_secs(300), signature };
    let gateway = Gateway::with(Setting::auth(auth)).await;
    let now = Timestamp::now();
    for secret in ["one", "two"] {
        for form in ["plain hex", "plain base64", "draft hex", "draft base64"] {
            assert_eq!(post_signed(&gateway, secret, &http_date(now), form).await, 200, "{secret} {form}");
        }
    }
    let hour = jiff::SignedDuration::from_hours(1);
    assert_eq!(post_signed(&gateway, "one", &http_date(now - hour), "plain hex").await, 503);
    assert_eq!(post_signed(&gateway, "one", &http_date(now + hour), "plain hex").await, 503);
    assert_eq!(gateway.answered("", "clock_off"), 2);
    assert_eq!(post_signed(&gateway, "three", &http_date(now), "plain hex").await, 401);
    assert_eq!(post_signed(&gateway, "three", &http_date(now - hour), "plain hex").await, 401);
}

#[tokio::test]
async fn while_the_store_is_down_the_answer_is_503_and_afterwards_200() {
    let gateway = Gateway::start().await;
    gateway.store.down();
    let answer = gateway.post(EVENT).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    gateway.store.up();
    assert_eq!(gateway.post(EVENT).await.status, 200);
    assert_eq!((gateway.answered(TYPE, "store_failed"), gateway.answered(TYPE, "kept")), (1, 1));
}

#[tokio::test]
async fn a_store_that_hangs_is_503_long_before_espf_gives_up() {
    let gateway =
        Gateway::with(Setting::listen(|listen| listen.answer_timeout = Duration::from_millis(100))).await;
    gateway.store.stall();
    assert_eq!(gateway.post(EVENT).await.status, 503);
    assert_eq!(gateway.answered(TYPE, "too_slow"), 1);
}

#[tokio::test]
async fn a_panic_is_503_and_the_next_request_is_answered() {
    let gateway = Gateway::start().await;
    gateway.store.panic();
    assert_eq!(gateway.post(EVENT).await.status, 503);
    assert_eq!(gateway.answered(TYPE, "panicked"), 1);
    gateway.store.up();
    assert_eq!(gateway.post(EVENT).await.status, 200);
}

#[tokio::test]
async fn while_the_gateway_is_being_stopped_the_answer_is_503() {
    let gateway = Gateway::start().await;
    gateway.no_more.cancel();
    assert_eq!(gateway.post(EVENT).await.status, 503);
    assert_eq!(gateway.answered("", "shutting_down"), 1);
}

fn event_of_length(length: usize) -> String {
    let empty = r#"{"event_type":"A/B","variables":{"x":""}}"#;
    empty.replace(r#""x":"""#, &format!(r#""x":"{}""#, "x".repeat(length - empty.len())))
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_taken_and_a_longer_one_is_413_with_its_beginning_kept() {
    let gateway = Gateway::start().await;
    let limit = 64 * 1024;
    assert_eq!(gateway.post(&event_of_length(limit)).await.status, 200);
    for length in [limit + 1, 10 * limit] {
        assert_eq!(gateway.post(&event_of_length(length)).await.status, 413, "{length}");
    }
    assert_eq!(gateway.answered("", "too_long"), 2);
    let samples = gateway.store.samples();
    assert_eq!(samples.len(), 2);
    assert!(samples[0].body.starts_with(br#"{"event_type":"A/B""#));
    assert_eq!(gateway.events().await.len(), 1);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_503() {
    let gateway =
        Gateway::with(Setting::listen(|listen| listen.body_timeout = Duration::from_millis(100))).await;
    let mut stream = TcpStream::connect(gateway.intake).await.unwrap();
    let head =
        format!("POST /espf HTTP/1.1\r\nHost: x\r\nAuthorization: {BASIC}\r\nContent-Length: 100\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.unwrap().status, 503);
    assert_eq!(gateway.answered("", "slow_body"), 1);
}

#[tokio::test]
async fn a_post_to_an_unknown_path_is_503_since_it_may_be_meant_for_us() {
    let gateway = Gateway::start().await;
    for path in ["/", "/espf/other", "/ESPF", "/test"] {
        assert_eq!(gateway.post_to(path, &[("Authorization", BASIC)], EVENT).await.status, 503, "{path}");
    }
    assert_eq!(gateway.answered("", "unknown_path"), 4);
}

#[tokio::test]
async fn other_methods_are_405_on_a_known_path_and_404_elsewhere() {
    let gateway = Gateway::start().await;
    for method in ["GET", "PUT", "DELETE"] {
        let answer = gateway.request(method, "/espf", &[("Authorization", BASIC)], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
        assert_eq!(gateway.request(method, "/other", &[], "").await.status, 404, "{method}");
    }
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let gateway = Gateway::start().await;
    for content_type in ["application/json; charset=utf-8", "text/plain", "x"] {
        let headers = [("Authorization", BASIC), ("Content-Type", content_type)];
        assert_eq!(gateway.post_to("/espf", &headers, EVENT).await.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn the_time_of_an_event_is_its_date_header_unless_it_says_so_itself() {
    let gateway = Gateway::start().await;
    let headers = [("Authorization", BASIC), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(gateway.post_to("/espf", &headers, EVENT).await.status, 200);
    let time = gateway.events().await[0].event.event_time.unwrap();
    assert_eq!(time.to_string(), "1994-11-06T08:49:37Z");
}

#[tokio::test]
async fn acceptance_is_measured() {
    let gateway = Gateway::start().await;
    gateway.post(EVENT).await;
    let text = gateway.telemetry.render(&[], Timestamp::now()).unwrap();
    assert!(text.contains(r#"soapstone_stage_duration_seconds_count{stage="accept"} 1"#), "{text}");
}
