//! A PortaBilling that asks for patience, or lacks a right for us: what the worker and the status writer make of it.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use jiff::Timestamp;
use portabilling::client::{Client, Credentials, Settings, Transport};
use soapstone::enrich::{Enrich as _, EnrichError, PortaBilling};
use soapstone::event::{Event, EventId, Subject, SubjectKind};
use soapstone::handler::Fetch;
use soapstone::status::StatusSink as _;
use soapstone::status::espf::EspfApi;
use soapstone::store::{Status, StatusValue};

/// A server that answers everything like that; its URL.
async fn always(status: u16, retry_after: &'static str, kind: &'static str, body: &'static str) -> String {
    let status = StatusCode::from_u16(status).unwrap();
    let router = Router::new()
        .fallback(move || async move { (status, [(RETRY_AFTER, retry_after), (CONTENT_TYPE, kind)], body) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn client(url: &str, credentials: Credentials, transport: Transport) -> Client {
    let mut settings = Settings::new(url, credentials);
    settings.transport = transport;
    settings.retry_pause = Duration::ZERO;
    Client::new(settings).unwrap()
}

async fn ask(client: Client) -> EnrichError {
    let now = Timestamp::now();
    let event = Event {
        id: EventId::at(now),
        source: "default".into(),
        i_env: None,
        i_event: Some(1),
        event_type: "Subscriber/Updated".into(),
        subject: Subject { kind: SubjectKind::Account, id: "7".into() },
        event_time: None,
        received_at: now,
        body: r#"{"variables": {"i_account": 7}}"#.into(),
    };
    let portabilling = PortaBilling::new(client, Duration::ZERO);
    portabilling.pb_data(&event, &[Fetch::AccountInfo], None, now).await.unwrap_err()
}

fn status() -> Status {
    let group = "HSS".into();
    Status { i_account: 7, group, value: StatusValue::Ok, message: None, at: Timestamp::now() }
}

#[tokio::test]
async fn a_portabilling_that_asks_for_patience_gets_it() {
    for status_code in [429, 503] {
        let url = always(status_code, "77", "text/html", "<html>later</html>").await;
        let asked = Some(Duration::from_secs(77));
        for transport in [Transport::Soap, Transport::Json] {
            for credentials in [Credentials::session("s"), Credentials::password("soap", "p")] {
                let error = ask(client(&url, credentials, transport)).await;
                let seen = (error.after, error.retryable, error.outage);
                assert_eq!(seen, (asked, true, true), "{transport:?}: {error:?}");
            }
        }
        let client = client(&url, Credentials::access_token("t"), Transport::Soap);
        let error = EspfApi::new(client).write(&status()).await.unwrap_err();
        assert_eq!((error.after, error.retryable, error.outage), (asked, true, true), "{error:?}");
    }
}

#[tokio::test]
async fn a_right_that_the_api_user_lacks_is_an_outage_that_says_which() {
    let soap = r#"<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault>
        <faultcode>Server.Account.permission_denied</faultcode><faultstring>no</faultstring>
        </soap:Fault></soap:Body></soap:Envelope>"#;
    let json = r#"{"faultcode":"Server.Account.permission_denied","faultstring":"no"}"#;
    for (transport, kind, body) in
        [(Transport::Soap, "text/xml", soap), (Transport::Json, "application/json", json)]
    {
        let url = always(500, "77", kind, body).await;
        let error = ask(client(&url, Credentials::session("s"), transport)).await;
        assert_eq!((error.after, error.retryable, error.outage), (None, true, true), "{error:?}");
        assert!(error.reason.contains("lacks the right to Account/get_account_info"), "{}", error.reason);
    }
}
