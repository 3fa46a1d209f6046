//! The NSPS connector contract: one POST for each attempt, so that whatever was written for NSPS works behind us unchanged.
//!
//! Any 2xx means processed, everything else failed. Connectors can't be trusted to tell a failure that lasts from one that
//! passes, so only the codes of the setting `final` end a delivery. How many requests are under way at a time is the
//! dispatcher's business.

mod answer;

use std::fmt::Write;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Applied, Apply, Connector};
use crate::chain::chain;
use crate::config::{CallbackSettings, HeaderText, HttpConnectorSettings};
use crate::delivery::{Failure, Outcome};
use crate::http::client::{ClientError, ClientSettings, client};
use answer::Answer;

/// An external system that speaks the contract.
#[derive(Debug)]
pub struct HttpConnector {
    client: Client,
    url: Url,
    /// What goes with every request; secrets among it are marked, so that they aren't shown.
    headers: HeaderMap,
    /// What must not be shown even if the other side repeats it.
    secrets: Vec<SecretString>,
    final_codes: Vec<u16>,
    timeout: Duration,
    answer_limit: usize,
    keep_limit: usize,
    retry_after_limit: Duration,
    callback: Option<CallbackSettings>,
}

/// Why there is no connector: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum HttpConnectorError {
    /// There is no client for it.
    #[error("connector {name} can't be set up")]
    Client {
        /// Its name.
        name: String,
        /// Why.
        source: ClientError,
    },
    /// A header can't be sent.
    #[error("connector {name} can't be set up: its header {header} can't be sent; use visible ASCII")]
    Header {
        /// Its name.
        name: String,
        /// The header's name.
        header: String,
    },
}

/// The body of a request, as the contract has it.
#[derive(Serialize)]
struct Body<'a> {
    event_id: String,
    data: &'a RawValue,
    handler_id: &'a str,
    status: &'static str,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pb_data: Option<&'a RawValue>,
}

impl HttpConnector {
    /// The connector `name`, with a pool of connections of its own.
    pub fn new(name: &str, settings: &HttpConnectorSettings) -> Result<Self, HttpConnectorError> {
        let client = client(&ClientSettings {
            upstream: name,
            connect_timeout: settings.connect_timeout,
            timeout: settings.timeout,
            ca_file: settings.ca_file.as_deref(),
            danger_accept_invalid_certs: settings.danger_accept_invalid_certs,
        })
        .map_err(|source| HttpConnectorError::Client { name: name.to_owned(), source })?;
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Self {
            client,
            url: settings.url.clone(),
            headers: headers(name, settings)?,
            secrets: secrets(settings),
            final_codes: settings.final_codes.clone(),
            timeout: settings.timeout,
            answer_limit: size(settings.answer_limit),
            keep_limit: size(settings.keep_limit),
            retry_after_limit: settings.retry_after_limit,
            callback: settings.callback.clone(),
        })
    }

    /// One POST, and what came of it.
    async fn post(&self, headers: HeaderMap, body: String, now: Timestamp) -> (Outcome, Option<String>) {
        let sent = self.client.post(self.url.clone()).headers(headers).body(body).send().await;
        match sent {
            Ok(response) => {
                let answer = Answer::read(response, self.answer_limit).await;
                let outcome =
                    answer.outcome(&self.final_codes, self.callback.as_ref(), self.retry_after_limit, now);
                (self.masked(outcome), Some(self.shown(answer.text())))
            }
            Err(error) => {
                let reason = self.unanswered(&error.without_url());
                (Outcome::Retry { class: Failure::Unreachable, reason, after: None }, None)
            }
        }
    }

    /// Why there was no answer, and whether it may have been carried out all the same.
    fn unanswered(&self, error: &reqwest::Error) -> String {
        let cause = chain(error);
        if error.is_connect() {
            format!("no connection to the external system, so nothing was sent: {cause}")
        } else if error.is_builder() {
            format!("the request could not be made, so nothing was sent: {cause}")
        } else if error.is_timeout() {
            format!("no answer within {:?}; it may have been carried out", self.timeout)
        } else {
            format!("the connection broke before the answer; it may have been carried out: {cause}")
        }
    }

    /// An outcome whose reason holds no secret, though the other side may have repeated one.
    fn masked(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Delivered | Outcome::Accepted { .. } => outcome,
            Outcome::Retry { class, reason, after } => {
                Outcome::Retry { class, reason: self.mask(reason), after }
            }
            Outcome::Refused { reason } => Outcome::Refused { reason: self.mask(reason) },
        }
    }

    fn mask(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| match text.contains(secret.expose_secret()) {
            true => text.replace(secret.expose_secret(), "***"),
            false => text,
        })
    }

    /// A text for the operator: masked first and cut then, so that no half of a secret is left over.
    fn shown(&self, text: String) -> String {
        cut(self.mask(text), self.keep_limit)
    }

    fn request_text(&self, headers: &HeaderMap, body: &str) -> String {
        let mut text = format!("POST {}\n", self.url);
        for (name, value) in headers {
            let value = if value.is_sensitive() { "***" } else { value.to_str().unwrap_or("?") };
            // Writing to a String doesn't fail.
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push('\n');
        text.push_str(body);
        self.shown(text)
    }
}

#[async_trait]
impl Connector for HttpConnector {
    async fn apply(&self, request: Apply<'_>) -> Applied {
        let body = match body(&request) {
            Ok(body) => body,
            Err(error) => {
                let reason = format!("the event is not JSON, so nothing was sent: {error}");
                return Applied { outcome: Outcome::Refused { reason }, request: None, response: None };
            }
        };
        let mut headers = self.headers.clone();
        headers.extend(trace(&request));
        headers.extend(self.callback.as_ref().and(request.callback).and_then(callback));
        let text = self.request_text(&headers, &body);
        let (outcome, response) = self.post(headers, body, request.now).await;
        Applied { outcome, request: Some(text), response }
    }
}

fn body(request: &Apply<'_>) -> Result<String, serde_json::Error> {
    let body = Body {
        event_id: request.delivery.to_string(),
        data: serde_json::from_str(&request.event.body)?,
        handler_id: request.handler,
        status: "queued",
        created_at: time(request.created_at),
        updated_at: time(request.now),
        pb_data: request.pb_data,
    };
    serde_json::to_string(&body)
}

/// NSPS: RFC 3339 with microseconds and `+00:00`.
fn time(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// All attempts for an event, by whatever handler, are one trace; each request has an id of its own.
fn trace(request: &Apply<'_>) -> [(HeaderName, HeaderValue); 2] {
    // A UUID is always a header's value.
    let value = |id: &str| HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static(""));
    [
        (HeaderName::from_static("x-b3-traceid"), value(&request.event.id.0.simple().to_string())),
        (HeaderName::from_static("x-request-id"), value(&Uuid::new_v4().to_string())),
    ]
}

/// Where to call back; whoever knows it can say that it is done, so it isn't shown.
fn callback(url: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(url).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::from_static("x-callback-url"), value))
}

fn headers(name: &str, settings: &HttpConnectorSettings) -> Result<HeaderMap, HttpConnectorError> {
    let wrong =
        |header: &str| HttpConnectorError::Header { name: name.to_owned(), header: header.to_owned() };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (header, text) in &settings.headers {
        let mut value = HeaderValue::from_str(text.expose()).map_err(|_| wrong(header))?;
        value.set_sensitive(matches!(text, HeaderText::Secret(_)));
        headers.insert(HeaderName::from_bytes(header.as_bytes()).map_err(|_| wrong(header))?, value);
    }
    if let Some(bearer) = &settings.bearer {
        let value = format!("Bearer {}", bearer.expose());
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong("authorization"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn secrets(settings: &HttpConnectorSettings) -> Vec<SecretString> {
    let headers = settings.headers.values().filter_map(|text| match text {
        HeaderText::Secret(secret) => Some(secret),
        HeaderText::Plain(_) => None,
    });
    let secrets = settings.bearer.iter().chain(headers);
    secrets.filter(|secret| !secret.expose().is_empty()).map(|secret| secret.value().clone()).collect()
}

/// At most `limit` bytes of a text, whole characters, with a word on what is missing.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let length = text.len();
        text.truncate(boundary(&text, limit));
        // Writing to a String doesn't fail.
        let _ = write!(text, "… ({length} bytes in all)");
    }
    text
}

fn boundary(text: &str, limit: usize) -> usize {
    (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
