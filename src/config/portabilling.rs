//! How PortaBilling is reached.

use super::Secret;
use super::defaults;
use super::effective::as_breaker;
use super::effective::as_optional_url;
use super::effective::as_url;
use super::effective::as_urls;
use super::units::serialize_duration;
use super::units::serialize_size;
use crate::breaker::BreakerSettings;
use portabilling::client::AuthInfo;
use portabilling::client::EspfAuth;
use portabilling::client::SoapPath;
use portabilling::client::StatusEncoding;
use portabilling::client::Tls;
use portabilling::client::Transport;
use reqwest::Url;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// `[portabilling]`: how PortaBilling is reached.
#[derive(Debug, Clone, Serialize)]
pub struct PortaBillingSettings {
    /// Its web server, without a path.
    #[serde(serialize_with = "as_url")]
    pub url: Url,
    /// The web servers of further sites, without a path, in the order in which they are asked.
    #[serde(serialize_with = "as_urls")]
    pub other_urls: Vec<Url>,
    /// Its ESPF API; none: `/espf/v1` of the site that is asked.
    #[serde(serialize_with = "as_optional_url", skip_serializing_if = "Option::is_none")]
    pub espf_url: Option<Url>,
    /// The user.
    pub login: String,
    /// The user's secret.
    #[serde(flatten)]
    pub credential: Credential,
    /// How calls are written.
    pub transport: Transport,
    /// Where SOAP is spoken.
    pub soap_path: SoapPath,
    /// How a call says who we are.
    pub auth_info: AuthInfo,
    /// How a provisioning status is written.
    pub status_encoding: StatusEncoding,
    /// How the ESPF API is authenticated.
    pub espf_auth: EspfAuth,
    /// How long opening a connection may take.
    #[serde(serialize_with = "serialize_duration")]
    pub connect_timeout: Duration,
    /// How long a call may take in all.
    #[serde(serialize_with = "serialize_duration")]
    pub timeout: Duration,
    /// The most calls at a time.
    pub max_in_flight: u64,
    /// The most calls begun per second, on average; 0: any number.
    pub calls_per_second: u64,
    /// When it is left alone.
    #[serde(serialize_with = "as_breaker")]
    pub breaker: BreakerSettings,
    /// How long an answer counts as fresh; zero: never.
    #[serde(serialize_with = "serialize_duration")]
    pub cache_ttl: Duration,
    /// The longest answer, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub answer_limit: u64,
    /// Certificates to trust besides the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, with those that lead to its authority (PEM).
    pub client_certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub client_key: Option<Secret>,
    /// The oldest TLS that is spoken.
    pub min_tls: Tls,
    /// The newest.
    pub max_tls: Tls,
    /// Whether any certificate will do. Whoever stands between can then read and change everything.
    pub danger_accept_invalid_certs: bool,
}

impl PortaBillingSettings {
    /// The PortaBilling at `url`, with the default of everything else.
    pub fn new(url: Url, login: String, credential: Credential) -> Self {
        Self {
            url,
            other_urls: Vec::new(),
            espf_url: None,
            login,
            credential,
            transport: Transport::Soap,
            soap_path: SoapPath::Modern,
            auth_info: AuthInfo::SessionId,
            status_encoding: StatusEncoding::Form,
            espf_auth: EspfAuth::Bearer,
            connect_timeout: defaults::PORTABILLING_CONNECT_TIMEOUT,
            timeout: defaults::PORTABILLING_TIMEOUT,
            max_in_flight: defaults::PORTABILLING_MAX_IN_FLIGHT,
            calls_per_second: 0,
            breaker: BreakerSettings::default(),
            cache_ttl: defaults::CACHE_TTL,
            answer_limit: defaults::PORTABILLING_ANSWER_LIMIT,
            ca_file: None,
            client_certificate: None,
            client_key: None,
            min_tls: Tls::V1_2,
            max_tls: Tls::V1_3,
            danger_accept_invalid_certs: false,
        }
    }
}

/// The secret of a PortaBilling user.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// The password.
    Password(Secret),
    /// An API token, which is used in the password's place and doesn't expire with it.
    Token(Secret),
}
