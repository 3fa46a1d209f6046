//! What the gateway listens to, and the limits of whoever comes.

use super::defaults;
use super::units::serialize_duration;
use super::units::serialize_size;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// `[listen]`: addresses, and what a client may do to us.
#[derive(Debug, Clone, Serialize)]
pub struct Listen {
    /// Where ESPF's events come in.
    pub intake: SocketAddr,
    /// Where the operator looks.
    pub operator: SocketAddr,
    /// How long a request's headers may take; also how long an idle connection stays open.
    #[serde(serialize_with = "serialize_duration")]
    pub header_timeout: Duration,
    /// How long a request's body may take.
    #[serde(serialize_with = "serialize_duration")]
    pub body_timeout: Duration,
    /// How long an answer may take, store included.
    #[serde(serialize_with = "serialize_duration")]
    pub answer_timeout: Duration,
    /// The longest body, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub body_limit: u64,
    /// The longest request line with headers, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub head_limit: u64,
    /// The most headers of a request.
    pub max_headers: u64,
    /// The most connections at a time, per listener.
    pub max_connections: u64,
    /// How long requests in progress may go on after the gateway was told to stop.
    #[serde(serialize_with = "serialize_duration")]
    pub shutdown_grace: Duration,
    /// What `Retry-After` says beside a 503.
    #[serde(serialize_with = "serialize_duration")]
    pub retry_after: Duration,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            intake: SocketAddr::from(defaults::LISTEN_INTAKE),
            operator: SocketAddr::from(defaults::LISTEN_OPERATOR),
            header_timeout: defaults::HEADER_TIMEOUT,
            body_timeout: defaults::BODY_TIMEOUT,
            answer_timeout: defaults::ANSWER_TIMEOUT,
            body_limit: defaults::BODY_LIMIT,
            head_limit: defaults::HEAD_LIMIT,
            max_headers: defaults::MAX_HEADERS,
            max_connections: defaults::MAX_CONNECTIONS,
            shutdown_grace: defaults::SHUTDOWN_GRACE,
            retry_after: defaults::RETRY_AFTER,
        }
    }
}

/// `[operator]`: the operator's side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Operating {
    /// The names, in small letters, by which it may be asked besides `localhost` and IP addresses.
    pub hosts: Vec<String>,
}
