//! The client over a stub: logins, sessions that end, refusals; no socket.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response, StatusCode};
use portabilling::Call;
use portabilling::account::{AccountInfo, GetAccountInfo, GetAccountInfoRequest, GetAccountInfoResponse};
use portabilling::client::{AccountStatus, Cause, Client, Credentials, Settings, StatusEncoding};
use portabilling::session::{Login, LoginRequest, LoginResponse, RefreshAccessToken};
use portabilling::types::AuthInfoStructure;
use soapstone_soap::{Envelope, Fault, Limits, NotSent, Transport, write};
use tower::BoxError;
use tower::util::BoxCloneSyncService;

/// A PortaBilling of a few lines.
#[derive(Default)]
struct Stub {
    logins: AtomicUsize,
    calls: AtomicUsize,
    /// The session that is good now; another one gets the fault.
    good: Mutex<String>,
    login_fault: Mutex<Option<&'static str>>,
    unreachable: Mutex<bool>,
    espf: Mutex<Vec<(String, String)>>,
}

impl Stub {
    fn transport(self: &Arc<Self>) -> Transport {
        let stub = Arc::clone(self);
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let stub = Arc::clone(&stub);
            async move {
                tokio::task::yield_now().await;
                stub.answer(&request)
            }
        }))
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        if *self.unreachable.lock().unwrap() {
            return Err(NotSent("refused".into()).into());
        }
        if request.uri().path().starts_with("/espf/") {
            return Ok(self.status(request));
        }
        let limits = Limits::default();
        let text = std::str::from_utf8(request.body()).unwrap();
        let envelope = Envelope::open(text, &limits).unwrap();
        let answer = match envelope.name() {
            Some("login") => self.login(envelope),
            _ => self.info(&envelope),
        };
        Ok(match answer {
            Ok(text) => Response::new(Bytes::from(text)),
            Err(fault) => {
                let mut response = Response::new(Bytes::from(write::fault(&fault)));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        })
    }

    fn login(&self, envelope: Envelope<'_>) -> Result<String, Fault> {
        let mut request = LoginRequest::default();
        envelope.read("LoginRequest", &mut request).unwrap();
        assert_eq!(request.password.as_deref(), Some("p&ss"));
        let number = self.logins.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(code) = *self.login_fault.lock().unwrap() {
            return Err(Fault::new(code, "no"));
        }
        *self.good.lock().unwrap() = format!("s-{number}");
        let response = LoginResponse {
            session_id: Some(format!("s-{number}")),
            access_token: Some(format!("a-{number}")),
            ..LoginResponse::default()
        };
        Ok(write::response(Login::operation(), &response).unwrap())
    }

    fn info(&self, envelope: &Envelope<'_>) -> Result<String, Fault> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut auth = AuthInfoStructure::default();
        assert!(envelope.header("auth_info", &mut auth).unwrap());
        if auth.session_id.as_deref() != Some(self.good.lock().unwrap().as_str()) {
            return Err(Fault::new("Server.Session.check_auth.auth_failed", "Authentification failed"));
        }
        let account_info = Some(AccountInfo { i_account: Some(7), ..AccountInfo::default() });
        Ok(write::response(GetAccountInfo::operation(), &GetAccountInfoResponse { account_info }).unwrap())
    }

    fn status(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let bearer = request.headers()["authorization"].to_str().unwrap().to_string();
        let good = format!("Bearer a-{}", self.good.lock().unwrap().trim_start_matches("s-"));
        let mut response = Response::new(Bytes::new());
        if bearer != good {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        } else {
            let body = String::from_utf8(request.body().to_vec()).unwrap();
            self.espf.lock().unwrap().push((request.uri().path().to_string(), body));
        }
        response
    }

    fn end_session(&self) {
        *self.good.lock().unwrap() = "none".into();
    }
}

fn client(stub: &Arc<Stub>) -> Client {
    let settings = Settings::new("http://pb.test", Credentials::password("demo", "p&ss"));
    Client::over(settings, stub.transport(), None)
}

async fn info(client: &Client) -> Result<Option<AccountInfo>, portabilling::client::Error> {
    let request = GetAccountInfoRequest { i_account: Some(7), ..GetAccountInfoRequest::default() };
    client.call::<GetAccountInfo>(&request).await.map(|response| response.account_info)
}

#[tokio::test]
async fn a_hundred_callers_share_one_login() {
    let stub = Arc::new(Stub::default());
    let client = client(&stub);
    for answer in join_all((0..100).map(|_| info(&client))).await {
        assert_eq!(answer.unwrap().unwrap().i_account, Some(7));
    }
    assert_eq!((stub.logins.load(Ordering::SeqCst), stub.calls.load(Ordering::SeqCst)), (1, 100));
}

#[tokio::test]
async fn a_session_that_ends_is_replaced_once_for_all() {
    let stub = Arc::new(Stub::default());
    let client = client(&stub);
    info(&client).await.unwrap();
    stub.end_session();
    for answer in join_all((0..50).map(|_| info(&client))).await {
        answer.unwrap();
    }
    assert_eq!(stub.logins.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_login_is_not_hammered() {
    let stub = Arc::new(Stub::default());
    *stub.login_fault.lock().unwrap() = Some("Server.Session.auth_failed");
    let client = client(&stub);
    for answer in join_all((0..20).map(|_| info(&client))).await {
        let error = answer.unwrap_err();
        assert!(error.may_work_later() && !error.may_have_been_carried_out());
    }
    assert!(matches!(info(&client).await.unwrap_err().cause, Cause::LoginPause(..)));
    assert_eq!(stub.logins.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_was_not_sent_says_so() {
    let stub = Arc::new(Stub::default());
    let client = client(&stub);
    info(&client).await.unwrap();
    *stub.unreachable.lock().unwrap() = true;
    let error = info(&client).await.unwrap_err();
    assert!(error.may_work_later() && !error.may_have_been_carried_out());
    assert_eq!(error.to_string(), "Account/get_account_info");
}

#[tokio::test]
async fn a_status_is_written_with_the_token_of_the_login_and_again_after_401() {
    let stub = Arc::new(Stub::default());
    let status = AccountStatus { i_account: 7, status: "FAILED", group: "HSS", message: Some("a&b ž") };
    let client = client(&stub);
    client.set_account_status(&status).await.unwrap();
    stub.end_session();
    client.set_account_status(&status).await.unwrap();
    let mut settings = client.settings().clone();
    settings.status_encoding = StatusEncoding::Json;
    Client::over(settings, stub.transport(), None).set_account_status(&status).await.unwrap();
    let written = stub.espf.lock().unwrap().clone();
    let path = "/espf/v1/account/i/7/status".to_string();
    assert_eq!(written[0], (path, "status=FAILED&group=HSS&message=a%26b+%C5%BE".to_string()));
    assert_eq!(written.len(), 3);
    let json: serde_json::Value = serde_json::from_str(&written[2].1).unwrap();
    assert_eq!(json["message"], "a&b ž");
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_wait_and_then_give_up() {
    let mut settings = Settings::new("http://pb.test", Credentials::password("demo", "p&ss"));
    settings.max_in_flight = 1;
    settings.queue_timeout = Duration::from_secs(5);
    let never: Transport = BoxCloneSyncService::new(tower::service_fn(|_: Request<Bytes>| {
        std::future::pending::<Result<Response<Bytes>, BoxError>>()
    }));
    let client = Client::over(settings, never, None);
    let first = client.clone();
    let stuck = tokio::spawn(async move { info(&first).await });
    tokio::task::yield_now().await;
    // the login of the first call holds the only place; a call that needs no session has to queue
    let error = client.call::<RefreshAccessToken>(&Default::default()).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Queue(1)), "{error:?}");
    stuck.abort();
}

#[test]
fn every_operation_of_the_registry_makes_its_own_structures() {
    let mut operations = 0;
    for service in portabilling::SERVICES {
        for operation in service.operations {
            assert_eq!((operation.input.empty)().shape().name, operation.input.shape.name);
            assert_eq!((operation.output.empty)().shape().name, operation.output.shape.name);
            assert_eq!(operation.service, service.name);
            operations += 1;
        }
    }
    assert_eq!((portabilling::SERVICES.len(), operations), (24, 132));
}
