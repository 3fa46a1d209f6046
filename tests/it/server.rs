//! What clients may do to a listener, and how it ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{BASIC, Gateway, Setting, answer, request, soon};

const EVENT: &str = r#"{"event_type":"Subscriber/Updated","variables":{"i_event":5,"i_account":1000889}}"#;

fn hurried() -> Setting {
    Setting::listen(|listen| listen.header_timeout = Duration::from_millis(100))
}

#[tokio::test]
async fn whoever_is_too_slow_with_the_headers_is_cut_off_without_an_answer() {
    let gateway = Gateway::with(hurried()).await;
    // Nothing, half of a head, and what might become HTTP/2: none is answered, above all not with a 4xx.
    for beginning in ["", "POST /espf HTTP/1.1\r\nHost:", "PRI * HTTP/2.0\r\n"] {
        let mut stream = TcpStream::connect(gateway.intake).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut stream).await, None, "{beginning}");
    }
    assert_eq!(gateway.post(EVENT).await.status, 200);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let gateway = Gateway::start().await;
    let mut stream = TcpStream::connect(gateway.intake).await.unwrap();
    let length = EVENT.len();
    let head = format!(
        "POST /espf HTTP/1.1\r\nHost: x\r\nAuthorization: {BASIC}\r\nContent-Length: {length}\r\n\r\n"
    );
    for _ in 0..3 {
        stream.write_all(format!("{head}{EVENT}").as_bytes()).await.unwrap();
        assert!(head_of(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(gateway.events().await.len(), 1);
}

/// Reads the head of one answer, which has no body.
async fn head_of(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_its_turn() {
    let gateway = Gateway::with(Setting::listen(|listen| listen.max_connections = 1)).await;
    let mut first = TcpStream::connect(gateway.intake).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(head_of(&mut first).await.starts_with("HTTP/1.1 404"));
    let second = gateway.post(EVENT);
    tokio::pin!(second);
    // It isn't refused, and it isn't answered as long as the first one is there.
    assert!(tokio::time::timeout(Duration::from_millis(200), second.as_mut()).await.is_err());
    drop(first);
    assert_eq!(soon(second).await.status, 200);
}

#[tokio::test]
async fn http_2_is_spoken_without_tls() {
    let gateway = Gateway::start().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let url = format!("http://{}/espf", gateway.intake);
    let sent = client.post(url).header("Authorization", BASIC).body(EVENT).send();
    let answer = soon(sent).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
}

#[tokio::test]
async fn a_request_in_progress_is_answered_when_the_gateway_is_stopped_and_then_nobody_can_connect() {
    let mut gateway = Gateway::start().await;
    gateway.store.stall();
    let address = gateway.intake;
    let sent =
        tokio::spawn(
            async move { request(address, "POST", "/espf", &[("Authorization", BASIC)], EVENT).await },
        );
    // The request is in progress once the store is asked.
    soon(gateway.store.asked()).await;
    gateway.shutdown.cancel();
    gateway.store.up();
    assert_eq!(soon(sent).await.unwrap().status, 200);
    soon(gateway.intake_ended.take().unwrap()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn after_the_time_of_grace_connections_are_cut_off() {
    let grace = Duration::from_millis(100);
    let mut gateway = Gateway::with(Setting::listen(|listen| listen.shutdown_grace = grace)).await;
    gateway.store.stall();
    let mut stream = TcpStream::connect(gateway.intake).await.unwrap();
    let length = EVENT.len();
    let head = format!(
        "POST /espf HTTP/1.1\r\nHost: x\r\nAuthorization: {BASIC}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{EVENT}").as_bytes()).await.unwrap();
    soon(gateway.store.asked()).await;
    gateway.shutdown.cancel();
    soon(gateway.intake_ended.take().unwrap()).await.unwrap();
    assert_eq!(answer(&mut stream).await, None);
}

#[tokio::test]
async fn open_connections_are_counted() {
    let gateway = Gateway::start().await;
    let mut stream = TcpStream::connect(gateway.intake).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    head_of(&mut stream).await;
    assert_eq!(gateway.telemetry.connections("intake").get(), 1);
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let grace = Duration::from_secs(3600);
    let mut gateway = Gateway::with(Setting::listen(|listen| listen.shutdown_grace = grace)).await;
    let mut used = TcpStream::connect(gateway.intake).await.unwrap();
    used.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    head_of(&mut used).await;
    let mut silent = TcpStream::connect(gateway.intake).await.unwrap();
    // Both have been accepted once a later connection is answered.
    assert_eq!(gateway.post(EVENT).await.status, 200);
    gateway.shutdown.cancel();
    soon(gateway.intake_ended.take().unwrap()).await.unwrap();
    assert_eq!(answer(&mut used).await, None);
    assert_eq!(answer(&mut silent).await, None);
}
