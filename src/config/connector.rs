//! The external systems.

use super::Secret;
use super::defaults;
use super::effective::as_breaker;
use super::effective::as_url;
use super::units::serialize_duration;
use super::units::serialize_size;
use crate::breaker::BreakerSettings;
use reqwest::Url;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One `[connector.NAME]`: an external system.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ConnectorSettings {
    /// One that speaks the NSPS connector contract.
    Http(HttpConnectorSettings),
}

/// An external system that speaks the NSPS connector contract.
#[derive(Debug, Clone, Serialize)]
pub struct HttpConnectorSettings {
    /// Where events are posted to.
    #[serde(serialize_with = "as_url")]
    pub url: Url,
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    /// How long opening a connection may take.
    #[serde(serialize_with = "serialize_duration")]
    pub connect_timeout: Duration,
    /// How long a request may take in all.
    #[serde(serialize_with = "serialize_duration")]
    pub timeout: Duration,
    /// The most requests at a time.
    pub max_in_flight: u64,
    /// The most requests begun per second, on average; 0: any number.
    pub per_second: u64,
    /// The longest answer that is read, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub answer_limit: u64,
    /// How much of what was sent and answered is kept for the operator, in bytes each.
    #[serde(serialize_with = "serialize_size")]
    pub keep_limit: u64,
    /// The longest `Retry-After` that is honoured.
    #[serde(serialize_with = "serialize_duration")]
    pub retry_after_limit: Duration,
    /// The HTTP codes that end a delivery at once; any other failure is tried again.
    #[serde(rename = "final")]
    pub final_codes: Vec<u16>,
    /// Certificates to trust besides the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate will do. Whoever stands between can then read and change everything.
    pub danger_accept_invalid_certs: bool,
    /// Further headers, sent with every request.
    pub headers: BTreeMap<String, HeaderText>,
    /// When it is left alone.
    #[serde(serialize_with = "as_breaker")]
    pub breaker: BreakerSettings,
    /// How it says that it will call back; none: it is done when it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackSettings>,
}

/// How an external system says that it is not done yet and will call back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallbackSettings {
    /// The HTTP codes by which it does.
    pub codes: Vec<u16>,
    /// How long to wait; then the attempt has failed.
    #[serde(serialize_with = "serialize_duration")]
    pub deadline: Duration,
}

impl HttpConnectorSettings {
    /// The external system at `url`, with the default of everything else.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            bearer: None,
            connect_timeout: defaults::CONNECTOR_CONNECT_TIMEOUT,
            timeout: defaults::CONNECTOR_TIMEOUT,
            max_in_flight: defaults::CONNECTOR_MAX_IN_FLIGHT,
            per_second: 0,
            answer_limit: defaults::CONNECTOR_ANSWER_LIMIT,
            keep_limit: defaults::CONNECTOR_KEEP_LIMIT,
            retry_after_limit: defaults::CONNECTOR_RETRY_AFTER_LIMIT,
            final_codes: defaults::CONNECTOR_FINAL.to_vec(),
            ca_file: None,
            danger_accept_invalid_certs: false,
            headers: BTreeMap::new(),
            breaker: BreakerSettings::default(),
            callback: None,
        }
    }
}

/// The value of a further header.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum HeaderText {
    /// Anybody may see it.
    Plain(String),
    /// Nobody may see it.
    Secret(Secret),
}

impl HeaderText {
    /// The value, for the request.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}
