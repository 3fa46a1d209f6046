//! One call over the wire, as SOAP or as JSON: the same structures in and out, the same errors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, SET_COOKIE};
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use soapstone_soap::{CallError, Fault, Json, NotSent, Operation, Structure, fill_json, retry_after};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt as _};

use super::auth::Proof;
use super::settings::{JsonBody, Transport};
use super::site::Site;
use super::{Cause, Client, trace};
use crate::types::AuthInfoStructure;

/// How much of an unreadable answer an error keeps, in bytes.
const RAW_LIMIT: usize = 2048;

impl Client {
    /// Answers the headers of the answer.
    pub(crate) async fn exchange(
        &self,
        site: &Site,
        operation: &'static Operation,
        proof: &Proof,
        request: &dyn Structure,
        response: &mut dyn Structure,
    ) -> Result<HeaderMap, Cause> {
        match self.settings().transport {
            Transport::Soap => self.soap(site, operation, proof, request, response).await,
            Transport::Json => {
                let params =
                    serde_json::to_string(&Json(request)).map_err(|error| Cause::not_sent(error.into()))?;
                let answer = self.json(site, operation.service, operation.name, proof, &params).await?;
                read_answer(&answer, |body| {
                    let mut deserializer = serde_json::Deserializer::from_slice(body);
                    fill_json(response, &mut deserializer)?;
                    deserializer.end()
                })?;
                Ok(answer.into_parts().0.headers)
            }
        }
    }

    async fn soap(
        &self,
        site: &Site,
        operation: &'static Operation,
        proof: &Proof,
        request: &dyn Structure,
        response: &mut dyn Structure,
    ) -> Result<HeaderMap, Cause> {
        let url = self.settings().soap_url(&site.url, operation.service, operation.name);
        let seen = Arc::default();
        let soap = soapstone_soap::Client::new(
            self.bearing(proof.headers.clone(), Arc::clone(&seen)),
            self.settings().limits,
        );
        let header = proof.auth_info.as_ref().map(|header| header as &dyn Structure);
        let called = soap.call(operation, &url, header, request, response).await;
        called.map_err(|error| Cause::Call(Arc::new(error)))?;
        Ok(std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// A transport that adds headers to each request and keeps those of an answer that sets cookies.
    pub(crate) fn bearing(
        &self,
        headers: HeaderMap,
        seen: Arc<Mutex<HeaderMap>>,
    ) -> soapstone_soap::Transport {
        let client = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |mut request: Request<Bytes>| {
            request.headers_mut().extend(headers.clone());
            client.trace(&mut request);
            let (carrier, seen) = (client.inner.carrier.transport.clone(), Arc::clone(&seen));
            async move {
                let answer = carrier.oneshot(request).await?;
                if answer.headers().contains_key(SET_COOKIE) {
                    answer.headers().clone_into(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
                }
                Ok(answer)
            }
        }))
    }

    /// Posts a JSON call and answers whatever comes.
    pub(crate) async fn json(
        &self,
        site: &Site,
        service: &str,
        method: &str,
        proof: &Proof,
        params: &str,
    ) -> Result<Response<Bytes>, Cause> {
        self.send(self.json_request(site, service, method, proof, params)?).await
    }

    pub(crate) fn json_request(
        &self,
        site: &Site,
        service: &str,
        method: &str,
        proof: &Proof,
        params: &str,
    ) -> Result<Request<Bytes>, Cause> {
        let auth_info =
            proof.auth_info.as_ref().map(|auth: &AuthInfoStructure| serde_json::to_string(&Json(auth)));
        let auth_info = auth_info.transpose().map_err(|error| Cause::not_sent(error.into()))?;
        let (content_type, body) = body(self.settings().json_body, auth_info.as_deref(), params);
        let mut request = Request::post(format!("{}/rest/{service}/{method}", site.url))
            .header(CONTENT_TYPE, content_type)
            .body(body)
            .map_err(|error| Cause::not_sent(error.into()))?;
        request.headers_mut().extend(proof.headers.clone());
        Ok(request)
    }

    pub(crate) async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, Cause> {
        self.trace(&mut request);
        self.inner.carrier.transport.clone().oneshot(request).await.map_err(unanswered)
    }

    pub(crate) fn trace(&self, request: &mut Request<Bytes>) {
        if self.settings().trace_headers {
            trace::mark(request.headers_mut());
        }
    }
}

/// What a transport's error means.
pub(crate) fn unanswered(error: BoxError) -> Cause {
    match error.downcast::<NotSent>() {
        Ok(not_sent) => Cause::not_sent(not_sent.0),
        Err(error) => Cause::Call(Arc::new(CallError::MaybeSent(error))),
    }
}

/// The body of a JSON call with its type.
fn body(kind: JsonBody, auth_info: Option<&str>, params: &str) -> (String, Bytes) {
    match kind {
        JsonBody::Json => {
            let auth = auth_info.map(|auth| format!("\"auth_info\":{auth},")).unwrap_or_default();
            ("application/json".into(), format!("{{{auth}\"params\":{params}}}").into())
        }
        JsonBody::Form => {
            let mut fields: Vec<(&str, &str)> =
                auth_info.map(|auth| ("auth_info", auth)).into_iter().collect();
            fields.push(("params", params));
            let text = serde_urlencoded::to_string(&fields).unwrap_or_default();
            ("application/x-www-form-urlencoded".into(), text.into())
        }
        JsonBody::Multipart => multipart(auth_info, params),
    }
}

/// RFC 7578. A random boundary isn't in the text by any chance that counts.
fn multipart(auth_info: Option<&str>, params: &str) -> (String, Bytes) {
    let boundary = uuid::Uuid::new_v4().simple();
    let part = |name: &str, text: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let auth = auth_info.map(|auth| part("auth_info", auth)).unwrap_or_default();
    let text = format!("{auth}{}--{boundary}--\r\n", part("params", params));
    (format!("multipart/form-data; boundary={boundary}"), text.into())
}

#[derive(Deserialize)]
struct JsonFault {
    faultcode: String,
    #[serde(default)]
    faultstring: String,
}

/// Reads the answer of a JSON call: a fault comes with HTTP 500, but it is the body that says so.
pub(crate) fn read_answer<T>(
    answer: &Response<Bytes>,
    read: impl FnOnce(&[u8]) -> Result<T, serde_json::Error>,
) -> Result<T, Cause> {
    if let Some(fault) = fault(answer) {
        return Err(fault);
    }
    if answer.status() != StatusCode::OK {
        return Err(unreadable(answer, "neither an answer nor a fault"));
    }
    read(answer.body()).map_err(|error| unreadable(answer, &error.to_string()))
}

pub(crate) fn fault(answer: &Response<Bytes>) -> Option<Cause> {
    if answer.status().is_success() && !answer.body().starts_with(b"{\"faultcode\"") {
        return None;
    }
    let fault: JsonFault = serde_json::from_slice(answer.body()).ok()?;
    let fault = Fault::new(fault.faultcode, fault.faultstring);
    Some(Cause::Call(Arc::new(CallError::Fault(fault.into()))))
}

/// How long the answer asks us to wait.
pub(crate) fn asked<B>(answer: &Response<B>) -> Option<Duration> {
    retry_after(answer.status(), answer.headers(), Timestamp::now())
}

pub(crate) fn unreadable(answer: &Response<Bytes>, reason: &str) -> Cause {
    let kept = &answer.body()[..answer.body().len().min(RAW_LIMIT)];
    Cause::Unreadable {
        status: answer.status().as_u16(),
        reason: reason.to_string(),
        raw: String::from_utf8_lossy(kept).into_owned(),
        retry_after: asked(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_written_in_three_ways() {
        let (kind, text) = body(JsonBody::Json, Some(r#"{"session_id":"x"}"#), "{}");
        assert_eq!(
            (kind.as_str(), &*text),
            ("application/json", &br#"{"auth_info":{"session_id":"x"},"params":{}}"#[..])
        );
        let (_, text) = body(JsonBody::Json, None, "{}");
        assert_eq!(&*text, br#"{"params":{}}"#);
        let (_, text) = body(JsonBody::Form, Some("{}"), r#"{"a":"&="}"#);
        assert_eq!(&*text, b"auth_info=%7B%7D&params=%7B%22a%22%3A%22%26%3D%22%7D");
        let (kind, text) = body(JsonBody::Multipart, Some("{}"), r#"{"a":1}"#);
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("a boundary");
        let parts: Vec<_> = std::str::from_utf8(&text).expect("text").split(boundary).collect();
        assert_eq!(parts.len(), 4);
        assert!(parts[1].contains("name=\"auth_info\"\r\n\r\n{}\r\n"), "{}", parts[1]);
        assert_eq!(parts[3], "--\r\n");
    }

    #[test]
    fn faults_and_strange_answers_are_told_apart() {
        let read = |status: u16, body: &'static str| {
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
            read_answer(&answer, |body| serde_json::from_slice::<serde_json::Value>(body)).map(|_| ())
        };
        assert!(read(200, "{}").is_ok());
        let fault = read(500, r#"{"faultcode":"Server.Session.auth_failed","faultstring":"no"}"#);
        assert!(fault.expect_err("a fault").fault().is_some());
        for (status, body) in [(500, "<html>"), (502, "{}"), (200, "<html>"), (404, "")] {
            let cause = read(status, body).expect_err("no answer");
            assert!(matches!(cause, Cause::Unreadable { .. }) && cause.may_have_been_carried_out(), "{body}");
        }
    }
}
