//! Each way to authenticate and to write a call, over a PortaBilling of a few lines that speaks both, without a socket.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{Request, Response, StatusCode};
use portabilling::Call;
use portabilling::account::{
    AccountInfo, GetAccountInfo, GetAccountInfoRequest, GetAccountInfoResponse, GetAccountList,
    GetAccountListRequest, UpdateAccount, UpdateAccountRequest,
};
use portabilling::cdr::{GetCallRecording, GetCallRecordingRequest};
use portabilling::client::{
    AuthInfo, Cause, Client, Credentials, EspfAuth, JsonBody, Realm, Settings, StatusEncoding, Transport,
};
use portabilling::fault::Class;
use portabilling::session::{Login, LoginResponse};
use serde_json::{Value, json};
use soapstone_soap::{NotSent, write};
use tower::BoxError;
use tower::util::BoxCloneSyncService;

/// What went over the wire, and what is to come back.
#[derive(Default)]
struct Wire {
    seen: Mutex<Vec<Request<Bytes>>>,
    /// In turn; when there are no more, everything works.
    answers: Mutex<VecDeque<Result<Response<Bytes>, Failure>>>,
}

enum Failure {
    NotSent,
    Broken,
}

fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", content_type.parse().unwrap());
    response
}

fn fault(code: &str) -> Response<Bytes> {
    answer(500, "application/json", json!({ "faultcode": code, "faultstring": "no" }).to_string())
}

impl Wire {
    fn new(answers: impl IntoIterator<Item = Result<Response<Bytes>, Failure>>) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::default(), answers: Mutex::new(answers.into_iter().collect()) })
    }

    fn transport(self: &Arc<Self>) -> soapstone_soap::Transport {
        let wire = Arc::clone(self);
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let answer = wire.answer(&request);
            wire.seen.lock().unwrap().push(request);
            async move { answer }
        }))
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let path = request.uri().path();
        if path.ends_with("/login") {
            return Ok(login(path));
        }
        match self.answers.lock().unwrap().pop_front() {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(Failure::NotSent)) => Err(NotSent("refused".into()).into()),
            Some(Err(Failure::Broken)) => Err("reset in the middle".into()),
            None if path.starts_with("/soap/") => Ok(answer(200, "text/xml", account_xml())),
            None => Ok(answer(
                200,
                "application/json",
                r#"{"account_info":{"i_account":"7","credit_limit":"1.50"}}"#,
            )),
        }
    }

    fn client(self: &Arc<Self>, change: impl FnOnce(&mut Settings)) -> Client {
        let mut settings = Settings::new("http://pb.test", Credentials::password("demo", "p&ss"));
        settings.retry_pause = Duration::ZERO;
        change(&mut settings);
        Client::over(settings, self.transport(), None)
    }

    /// Paths, in the order in which they were asked.
    fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|request| request.uri().to_string()).collect()
    }

    /// The last request's body, as it came, and one of its headers.
    fn last(&self, header: &str) -> (String, Option<String>) {
        let seen = self.seen.lock().unwrap();
        let request = seen.last().unwrap();
        let header = request.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
        (String::from_utf8(request.body().to_vec()).unwrap(), header)
    }
}

fn login(path: &str) -> Response<Bytes> {
    let mut response = if path.starts_with("/rest/") {
        let body =
            json!({ "session_id": "s1", "access_token": "a1", "refresh_token": "r1", "expires_in": "900" });
        answer(200, "application/json; charset=UTF-8", body.to_string())
    } else {
        let given = LoginResponse {
            session_id: Some("s1".into()),
            access_token: Some("a1".into()),
            ..LoginResponse::default()
        };
        answer(200, "text/xml", write::response(Login::operation(), &given).unwrap())
    };
    response.headers_mut().append("set-cookie", "session_id=s1; Path=/; HttpOnly".parse().unwrap());
    response
}

fn account_xml() -> String {
    let account_info = Some(AccountInfo {
        i_account: Some(7),
        credit_limit: "1.50".parse::<portabilling::Decimal>().unwrap().into(),
        ..Default::default()
    });
    write::response(GetAccountInfo::operation(), &GetAccountInfoResponse { account_info }).unwrap()
}

async fn info(client: &Client) -> Result<Option<AccountInfo>, portabilling::client::Error> {
    let request = GetAccountInfoRequest { i_account: Some(7), ..GetAccountInfoRequest::default() };
    client.call::<GetAccountInfo>(&request).await.map(|response| response.account_info)
}

#[tokio::test]
async fn each_way_to_say_who_we_are_is_on_the_wire_over_soap_and_over_json() {
    for transport in [Transport::Soap, Transport::Json] {
        let cases = [
            (AuthInfo::SessionId, "session_id", "s1", None),
            (AuthInfo::AccessToken, "access_token", "a1", None),
            (AuthInfo::Inline, "login", "demo", None),
            (AuthInfo::Bearer, "", "", Some(("authorization", "Bearer a1"))),
            (AuthInfo::Cookie, "", "", Some(("cookie", "session_id=s1"))),
        ];
        for (auth_info, member, value, header) in cases {
            let wire = Wire::new([]);
            let client = wire.client(|settings| {
                settings.auth_info = auth_info;
                settings.transport = transport;
            });
            assert_eq!(info(&client).await.unwrap().unwrap().i_account, Some(7));
            let (body, found) = wire.last(header.map_or("none", |(name, _)| name));
            assert_eq!(found.as_deref(), header.map(|(_, value)| value), "{auth_info:?}");
            assert_eq!(body.contains("auth_info"), !member.is_empty(), "{body}");
            let written = match transport {
                Transport::Soap => format!(">{value}</{member}>"),
                Transport::Json => format!("\"{member}\":\"{value}\""),
            };
            assert!(member.is_empty() || body.contains(&written), "{auth_info:?}: {body}");
            assert_eq!(wire.paths().len(), if auth_info == AuthInfo::Inline { 1 } else { 2 });
        }
    }
}

#[tokio::test]
async fn a_session_or_token_of_somebody_else_is_used_and_never_replaced() {
    for (credentials, member) in [
        (Credentials::session("theirs"), "\"session_id\":\"theirs\""),
        (Credentials::access_token("theirs"), "\"access_token\":\"theirs\""),
    ] {
        let ended = || Ok(fault("Server.Session.check_auth.auth_failed"));
        let wire = Wire::new([Ok(answer(200, "application/json", "{}")), ended(), ended()]);
        let client = wire.client(|settings| {
            settings.credentials = credentials;
            settings.transport = Transport::Json;
        });
        assert_eq!(info(&client).await.unwrap(), None);
        assert!(wire.last("none").0.contains(member));
        assert_eq!(info(&client).await.unwrap_err().class(), Some(Class::SessionEnded));
        assert_eq!(wire.paths().len(), 2);
    }
}

#[tokio::test]
async fn both_transports_give_the_same_answers_and_the_same_errors() {
    for transport in [Transport::Soap, Transport::Json] {
        let coded = |code: &str| match transport {
            Transport::Json => fault(code),
            Transport::Soap => answer(500, "text/xml", write::fault(&soapstone_soap::Fault::new(code, "no"))),
        };
        let wire = Wire::new([
            Ok(coded("Server.Account.duplicate_id")),
            Ok(coded("Client.Account.too_short.account_info.login")),
            Ok(answer(502, "text/html", "<html>bad gateway</html>")),
        ]);
        let client = wire.client(|settings| settings.transport = transport);
        let request = UpdateAccountRequest::default();
        let mut classes = Vec::new();
        for _ in 0..3 {
            let error = client.call::<UpdateAccount>(&request).await.unwrap_err();
            classes.push((error.class(), error.may_have_been_carried_out(), error.may_work_later()));
        }
        let expected = [
            (Some(Class::Duplicate), false, false),
            (Some(Class::Validation), false, false),
            (None, true, true),
        ];
        assert_eq!(classes, expected);
        let account = info(&client).await.unwrap().unwrap();
        assert_eq!(account.credit_limit.value().map(ToString::to_string).as_deref(), Some("1.50"));
    }
}

#[tokio::test]
async fn json_is_written_in_whichever_of_three_forms_is_asked_for() {
    for (kind, content_type) in [
        (JsonBody::Json, "application/json"),
        (JsonBody::Form, "application/x-www-form-urlencoded"),
        (JsonBody::Multipart, "multipart/form-data; boundary="),
    ] {
        let wire = Wire::new([]);
        let client = wire.client(|settings| {
            settings.transport = Transport::Json;
            settings.json_body = kind;
        });
        info(&client).await.unwrap();
        assert!(wire.last("content-type").1.unwrap().starts_with(content_type));
        assert_eq!(
            wire.paths(),
            ["http://pb.test/rest/Session/login", "http://pb.test/rest/Account/get_account_info"]
        );
    }
}

#[tokio::test]
async fn only_what_can_do_no_harm_is_sent_again() {
    let request = UpdateAccountRequest::default();
    for (failure, reads, times) in [
        (Failure::NotSent, true, 2),
        (Failure::NotSent, false, 2),
        (Failure::Broken, true, 2),
        (Failure::Broken, false, 1),
    ] {
        let wire = Wire::new([Err(failure)]);
        let client = wire.client(|settings| settings.transport = Transport::Json);
        let error = match reads {
            true => info(&client).await.err(),
            false => client.call::<UpdateAccount>(&request).await.err(),
        };
        assert_eq!(wire.paths().len(), 1 + times, "{error:?}");
        assert_eq!(error.is_some_and(|error| error.may_have_been_carried_out()), times == 1);
    }
}

#[tokio::test]
async fn a_site_that_cannot_serve_is_left_for_the_next_with_a_session_of_its_own() {
    for first in [Err(Failure::NotSent), Ok(fault("standalone_mode"))] {
        let wire = Wire::new([first]);
        let client = wire.client(|settings| {
            settings.transport = Transport::Json;
            settings.other_urls = vec!["http://other.test/".into()];
            settings.retries = 0;
        });
        let request = UpdateAccountRequest::default();
        client.call::<UpdateAccount>(&request).await.unwrap();
        let (a, b) = ("http://pb.test/rest", "http://other.test/rest");
        let login = |site| format!("{site}/Session/login");
        let update = |site| format!("{site}/Account/update_account");
        assert_eq!(wire.paths(), [login(a), update(a), login(b), update(b)]);
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page_whatever_caps_the_server_has() {
    let page = |ids: std::ops::Range<i64>, total: Value| {
        let accounts: Vec<_> = ids.map(|id| json!({ "i_account": id })).collect();
        Ok(answer(200, "application/json", json!({ "account_list": accounts, "total": total }).to_string()))
    };
    // the second page is cut by the server
    let wire =
        Wire::new([page(0..3, json!("8")), page(3..4, json!(8)), page(4..7, json!(8)), page(7..8, json!(8))]);
    let client = wire.client(|settings| settings.transport = Transport::Json);
    let all = client.list::<GetAccountList>(GetAccountListRequest::default(), 3);
    let ids: Vec<_> = all.map_ok(|account| account.i_account.unwrap()).try_collect().await.unwrap();
    assert_eq!(ids, (0..8).collect::<Vec<_>>());
    assert_eq!(wire.paths().len(), 5);
    let last = wire.last("none").0;
    assert!(last.contains(r#""limit":3,"offset":7"#) && last.contains(r#""get_total":1"#), "{last}");

    // without a total an empty page is the end
    let wire = Wire::new([page(0..2, Value::Null), page(2..3, Value::Null), page(0..0, Value::Null)]);
    let client = wire.client(|settings| settings.transport = Transport::Json);
    let all = client.list::<GetAccountList>(GetAccountListRequest::default(), 2);
    assert_eq!(all.try_collect::<Vec<_>>().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_file_is_received_and_what_is_none_is_an_error() {
    let mut wav = answer(200, "audio/x-wav", vec![7; 1000]);
    wav.headers_mut().insert("content-disposition", "attachment; filename=\"../call.wav\"".parse().unwrap());
    let long = answer(200, "audio/x-wav", vec![7; 2001]);
    let wire = Wire::new([
        Ok(wav),
        Ok(fault("Server.CDR.xdr_not_found")),
        Ok(answer(200, "application/json", "{}")),
        Ok(long),
    ]);
    let client = wire.client(|settings| settings.download_bytes = 2000);
    let request = GetCallRecordingRequest::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("here.wav");

    let download = client.download::<GetCallRecording>(&request).await.unwrap();
    assert_eq!(download.name.as_deref(), Some("call.wav"));
    assert_eq!(download.save(&path).await.unwrap(), 1000);
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 1000]);

    let error = client.download::<GetCallRecording>(&request).await.unwrap_err();
    assert_eq!(error.class(), Some(Class::NotFound));
    let error = client.download::<GetCallRecording>(&request).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreadable { .. }), "{error:?}");

    let download = client.download::<GetCallRecording>(&request).await.unwrap();
    let error = download.save(folder.path().join("long.wav")).await.unwrap_err();
    assert!(matches!(error.cause, Cause::File(_)), "{error:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half done is left");
}

#[tokio::test]
async fn an_administrator_becomes_somebody_else_at_the_realm_s_port() {
    let given = json!({ "session_id": "s2", "access_token": "a2", "expires_in": 900 });
    let wire = Wire::new([Ok(answer(200, "application/json", given.to_string()))]);
    let client = wire.client(|settings| settings.transport = Transport::Json);
    let other = client.login_to_realm("491234", Realm::Account).await.unwrap();
    assert!(wire.last("none").0.contains(r#""login":"491234","realm":"accounts""#));
    info(&other).await.unwrap();
    assert_eq!(wire.paths().last().unwrap(), "http://pb.test:8445/rest/Account/get_account_info");
    assert!(wire.last("none").0.contains(r#""session_id":"s2""#));
}

#[tokio::test]
async fn the_end_of_a_program_ends_its_session() {
    let wire = Wire::new([]);
    let client = wire.client(|settings| settings.transport = Transport::Json);
    client.log_out().await;
    assert!(wire.paths().is_empty(), "there is nothing to end");
    info(&client).await.unwrap();
    client.log_out().await;
    assert_eq!(wire.paths().last().unwrap(), "http://pb.test/rest/Session/logout");
    assert!(wire.last("none").0.contains(r#""params":{"session_id":"s1"}"#));
}

#[tokio::test]
async fn the_espf_api_and_the_api_2_are_asked_where_they_are() {
    let wire = Wire::new([
        Ok(answer(
            200,
            "application/json",
            r#"{"group_list":[{"i_group":"1","name":"VoIP","is_custom":false}]}"#,
        )),
        Ok(answer(200, "application/json", r#"{"name":"IOT","i_group":1001}"#)),
        Ok(answer(200, "application/json", r#"{"products":[{"i_product":1}]}"#)),
        Ok(answer(401, "text/plain", "")),
        Ok(answer(200, "application/json", "{}")),
    ]);
    let client = wire.client(|settings| settings.status_encoding = StatusEncoding::Json);
    assert_eq!(client.service_groups().await.unwrap()[0].name, "VoIP");
    assert_eq!(client.create_service_group("IOT").await.unwrap().i_group, Some(1001));
    assert_eq!(wire.last("authorization"), (r#"{"name":"IOT"}"#.into(), Some("Bearer a1".into())));
    let products = client.api2().list("products", &["i_product", "name"], &[("limit", "5")]).await.unwrap();
    assert_eq!(products["products"][0]["i_product"], 1);
    let path = wire.paths().pop().unwrap();
    assert_eq!(path, "http://pb.test/api/v2/products?limit=5&fields=i_product%2Cname");
    // a token that is no longer good is replaced once
    client.api2().one("products", "a/b", &[]).await.unwrap();
    assert_eq!(wire.paths().pop().unwrap(), "http://pb.test/api/v2/products/a%2Fb");
    assert_eq!(wire.paths().iter().filter(|path| path.ends_with("/login")).count(), 2);
}

#[tokio::test]
async fn a_secret_that_was_refused_with_a_call_is_not_sent_again_before_a_pause() {
    let refused = || Ok(fault("Server.Session.auth_failed"));
    let wire = Wire::new([refused(), Ok(answer(401, "text/plain", ""))]);
    let client = wire.client(|settings| {
        settings.transport = Transport::Json;
        settings.auth_info = AuthInfo::Inline;
    });
    assert_eq!(info(&client).await.unwrap_err().class(), Some(Class::LoginRefused));
    for _ in 0..3 {
        let error = info(&client).await.unwrap_err();
        assert!(matches!(error.cause, Cause::LoginPause(left, _) if left.as_secs() > 1), "{error:?}");
        assert_eq!(error.class(), Some(Class::LoginRefused));
    }
    assert_eq!(wire.paths().len(), 1, "a lock-out isn't courted");
    let client = wire.client(|settings| settings.espf_auth = EspfAuth::Basic);
    for _ in 0..3 {
        let error = client.service_groups().await.unwrap_err();
        assert!(error.may_work_later() && !error.may_have_been_carried_out(), "{error:?}");
    }
    assert_eq!(wire.paths().len(), 2);
}

#[tokio::test]
async fn portabilling_is_asked_how_long_a_token_lives_where_the_settings_want_that() {
    let lifetime = || Ok(answer(200, "application/json", r#"{"access_token_lifetime":"0.0"}"#));
    let short = || Ok(answer(200, "application/json", r#"{"access_token_lifetime":"1"}"#));
    let none = || Ok(answer(500, "application/json", "<html>"));
    for (said, logins) in [(lifetime(), 1), (none(), 1), (short(), 2)] {
        let wire = Wire::new([said]);
        let client = wire.client(|settings| {
            settings.transport = Transport::Json;
            settings.ask_lifetime = true;
            settings.refresh = false;
        });
        info(&client).await.unwrap();
        // the login says 900 s
        tokio::time::sleep(Duration::from_millis(1100)).await;
        info(&client).await.unwrap();
        let paths = wire.paths();
        let asked = |method: &str| paths.iter().filter(|path| path.ends_with(method)).count();
        assert_eq!((asked("/login"), asked("/get_access_token_lifetime")), (logins, logins), "{paths:?}");
    }
}
