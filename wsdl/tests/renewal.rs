//! Tokens that live for a second, and many callers: they are renewed in time, one at a time, and nobody notices.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response, StatusCode};
use portabilling::account::{GetAccountInfo, GetAccountInfoRequest};
use portabilling::client::{AuthInfo, Client, Credentials, Settings, Transport};
use portabilling::fault::Class;
use serde_json::{Value, json};
use tower::BoxError;
use tower::util::BoxCloneSyncService;

const LIFETIME: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Site {
    state: Mutex<State>,
    /// Refreshing is refused from now on.
    refuses_refresh: bool,
    login_fault: Option<&'static str>,
}

#[derive(Default)]
struct State {
    /// Access token to its end and refresh token.
    open: HashMap<String, (Instant, String)>,
    logins: usize,
    refreshes: usize,
    at_once: usize,
    most_at_once: usize,
    calls: usize,
    faults: usize,
}

impl Site {
    fn client(self: &Arc<Self>, change: impl FnOnce(&mut Settings)) -> Client {
        let site = Arc::clone(self);
        let transport = BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let site = Arc::clone(&site);
            async move { Ok::<_, BoxError>(site.answer(&request).await) }
        }));
        let mut settings = Settings::new("http://pb.test", Credentials::token("demo", "t"));
        settings.transport = Transport::Json;
        settings.auth_info = AuthInfo::AccessToken;
        settings.max_in_flight = 20;
        change(&mut settings);
        Client::over(settings, transport, None)
    }

    async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let path = request.uri().path();
        let sessions = path.starts_with("/rest/Session/");
        if sessions {
            let mut state = self.state.lock().unwrap();
            state.at_once += 1;
            state.most_at_once = state.most_at_once.max(state.at_once);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let answer = match path.rsplit('/').next() {
            Some("login") => self.login(),
            Some("refresh_access_token") => self.refresh(body["params"]["refresh_token"].as_str().unwrap()),
            _ => self.call(body["auth_info"]["access_token"].as_str().unwrap()),
        };
        if sessions {
            self.state.lock().unwrap().at_once -= 1;
        }
        let (status, body) = match answer {
            Ok(body) => (StatusCode::OK, body),
            Err(code) => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "faultcode": code, "faultstring": "" })),
        };
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = status;
        response
    }

    fn issue(&self, state: &mut State) -> Value {
        let number = state.logins + state.refreshes;
        let (access, refresh) = (format!("a{number}"), format!("r{number}"));
        state.open.insert(access.clone(), (Instant::now() + LIFETIME, refresh.clone()));
        json!({ "access_token": access, "refresh_token": refresh, "expires_in": LIFETIME.as_secs() })
    }

    fn login(&self) -> Result<Value, &'static str> {
        let mut state = self.state.lock().unwrap();
        state.logins += 1;
        match self.login_fault {
            Some(code) => Err(code),
            None => Ok(self.issue(&mut state)),
        }
    }

    fn refresh(&self, token: &str) -> Result<Value, &'static str> {
        let mut state = self.state.lock().unwrap();
        let known =
            state.open.iter().find(|(_, (_, refresh))| refresh == token).map(|(access, _)| access.clone());
        match known {
            Some(_) if !self.refuses_refresh => {
                state.refreshes += 1;
                Ok(self.issue(&mut state))
            }
            _ => Err("Server.Session.refresh_access_token.refresh_failed"),
        }
    }

    fn call(&self, token: &str) -> Result<Value, &'static str> {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        if state.open.get(token).is_some_and(|(end, _)| *end > Instant::now()) {
            return Ok(json!({ "account_info": { "i_account": 7 } }));
        }
        state.faults += 1;
        Err("Client.Session.check_auth.failed_to_process_access_token")
    }
}

/// 200 callers, for three lifetimes of a token and a half.
async fn many(client: &Client) -> usize {
    let end = Instant::now() + LIFETIME.mul_f32(3.5);
    let callers = (0..200).map(|_| async {
        let mut calls = 0;
        while Instant::now() < end {
            client.call::<GetAccountInfo>(&GetAccountInfoRequest::default()).await.unwrap();
            calls += 1;
        }
        calls
    });
    join_all(callers).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_renewed_before_they_end_one_at_a_time() {
    let site = Arc::new(Site::default());
    let calls = many(&site.client(|_| {})).await;
    let state = site.state.lock().unwrap();
    assert!(calls > 500, "{calls}");
    assert_eq!((state.logins, state.most_at_once), (1, 1));
    assert!((3..=6).contains(&state.refreshes), "{}", state.refreshes);
    assert_eq!(state.calls - state.faults, calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_renewal_is_a_login_and_still_one_at_a_time() {
    let site = Arc::new(Site { refuses_refresh: true, ..Site::default() });
    let calls = many(&site.client(|_| {})).await;
    let state = site.state.lock().unwrap();
    assert!(calls > 500, "{calls}");
    assert_eq!((state.refreshes, state.most_at_once), (0, 1));
    assert!((4..=7).contains(&state.logins), "{}", state.logins);
}

#[tokio::test]
async fn a_lock_out_is_waited_for_longer_than_a_wrong_password() {
    for (code, class, refused_again) in [
        ("Server.Session.auth_failed", Class::LoginRefused, false),
        ("Server.Session.cannot_login_brute_force_activity", Class::LockedOut, true),
        ("Server.Session.alert_You_must_change_password", Class::PasswordExpired, true),
    ] {
        let site = Arc::new(Site { login_fault: Some(code), ..Site::default() });
        let client = site.client(|settings| {
            settings.login_pause = Duration::ZERO;
            settings.lockout_pause = Duration::from_secs(600);
        });
        for _ in 0..5 {
            let error = client.call::<GetAccountInfo>(&GetAccountInfoRequest::default()).await.unwrap_err();
            assert_eq!(error.class(), Some(class));
            assert!(!error.may_have_been_carried_out() && error.may_work_later());
        }
        let state = site.state.lock().unwrap();
        assert_eq!((state.logins, state.calls), (if refused_again { 1 } else { 5 }, 0), "{code}");
    }
}
