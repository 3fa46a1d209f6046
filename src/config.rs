//! The configuration: what an operator may set, read so that one run names every mistake with its line.
//!
//! [`Config::load`] reads a file, [`Config::parse`] a text. Unknown keys are mistakes. Secrets come from the environment
//! or from files of their own ([`Secret`]), never from the configuration itself. Defaults stand in [`defaults`], and in
//! [`EXAMPLE`], which explains every key. Relative paths count from the folder of the configuration file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use serde::Serialize;

pub mod defaults;
mod effective;
mod read;
mod reader;
mod secret;
mod units;

pub use portabilling::client::{AuthInfo, EspfAuth, SoapPath, StatusEncoding, Tls, Transport};
pub use secret::Secret;

use crate::breaker::BreakerSettings;
use crate::dispatch::DispatchSettings;
use crate::handler::{Handler, RetrySchedule};
use crate::reconcile::ReconcileSettings;
use crate::status::StatusSettings;
use crate::store::open::Place;
use crate::store::postgres::PostgresSettings;
use crate::store::sqlite;
use effective::{as_breaker, as_handlers, as_optional_duration, as_optional_url, as_retry, as_url, as_urls};
use units::{serialize_duration, serialize_size};

/// A configuration that explains itself: every key with its default.
pub const EXAMPLE: &str = include_str!("config/example.toml");

/// The whole configuration, checked.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// Where the gateway listens, and the limits of that.
    pub listen: Listen,
    /// Where events are kept.
    pub store: StoreSettings,
    /// How deliveries are made.
    pub dispatch: Dispatch,
    /// How provisioning statuses are written back.
    pub status: StatusWriting,
    /// How external systems that finish later call back; none: they can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackListening>,
    /// How long what has happened is kept.
    pub retention: Retention,
    /// How what was delivered is compared with PortaBilling beside the events.
    pub reconcile: Reconciling,
    /// The PortaBilling that is asked what is true, and told what came of it.
    pub portabilling: PortaBillingSettings,
    /// Where ESPF's events come in; at least one, each with its own path.
    #[serde(rename = "intake")]
    pub intakes: Vec<IntakeSettings>,
    /// External systems by name.
    #[serde(rename = "connector")]
    pub connectors: BTreeMap<String, ConnectorSettings>,
    /// Who gets which events.
    #[serde(rename = "handler", serialize_with = "as_handlers")]
    pub handlers: Vec<Handler>,
}

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

/// `[store]`: the embedded store, or a database for several gateways.
#[derive(Debug, Clone, Serialize)]
pub struct StoreSettings {
    /// The embedded store's file.
    pub path: PathBuf,
    /// How many requests may wait for the writer.
    pub queue: u64,
    /// How many of them one commit carries at most.
    pub batch_max: u64,
    /// How many events may be accepted before they get their indexes and deliveries, if nobody asks for them earlier.
    pub inbox_max: u64,
    /// How large the file is that they are in until then, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub inbox_size: u64,
    /// How long a request waits for the writer, or for a reader, before it fails.
    #[serde(serialize_with = "serialize_duration")]
    pub patience: Duration,
    /// How many connections read at a time.
    pub readers: u64,
    /// How long to wait while somebody else locks the file.
    #[serde(serialize_with = "serialize_duration")]
    pub busy_timeout: Duration,
    /// How much memory the writer's cache takes, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub cache: u64,
    /// How often the log is copied into the file.
    #[serde(serialize_with = "serialize_duration")]
    pub checkpoint_every: Duration,
    /// From what size of the log on the writer waits for that, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub log_limit: u64,
    /// How many requests are kept that couldn't be read as events.
    pub samples: u64,
    /// How much is kept of each, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub sample_limit: u64,
    /// How many events a page of the operator's API has at most.
    pub page_max: u64,
    /// The database; none: the embedded store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresPlace>,
}

/// `[store.postgres]`: a database for several gateways.
#[derive(Debug, Clone, Serialize)]
pub struct PostgresPlace {
    /// Where it is, user and password included.
    pub url: Secret,
    /// The schema that everything is in.
    pub schema: String,
    /// What this gateway is called there; none: the machine's name.
    pub name: Option<String>,
    /// Certificates to trust besides the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Whether a start brings older tables up to date.
    pub migrate: bool,
    /// The most connections, besides one for the lease.
    pub connections: u64,
    /// How many batches of events, and how many of attempts, are written at the same time.
    pub batches: u64,
    /// How long a new connection may take.
    #[serde(serialize_with = "serialize_duration")]
    pub connect_timeout: Duration,
    /// How long a request may take, all tries together.
    #[serde(serialize_with = "serialize_duration")]
    pub timeout: Duration,
    /// How often a request is tried that fails because the database is busy or the connection broke.
    pub tries: u64,
    /// How often the lease is renewed.
    #[serde(serialize_with = "serialize_duration")]
    pub heartbeat: Duration,
    /// How long a gateway may be silent before others take over what it has in hand.
    #[serde(serialize_with = "serialize_duration")]
    pub lease: Duration,
}

impl PostgresPlace {
    /// The defaults of the store itself.
    pub fn new(url: Secret) -> Self {
        let default = PostgresSettings::new("");
        Self {
            url,
            schema: default.schema,
            name: None,
            ca_file: None,
            migrate: default.migrate,
            connections: default.connections as u64,
            batches: default.accept_at_once as u64,
            connect_timeout: default.connect_timeout,
            timeout: default.verb_max,
            tries: default.tries.into(),
            heartbeat: default.heartbeat,
            lease: default.lease,
        }
    }
}

/// SQLite's pages, in which it counts its log.
const PAGE: u64 = 4096;

impl StoreSettings {
    /// The defaults of the store itself, in the units of the configuration.
    fn with_defaults(path: PathBuf) -> Self {
        let default = sqlite::StoreSettings::default();
        let signed = |count: i64| u64::try_from(count).unwrap_or_default();
        Self {
            path,
            queue: default.queue as u64,
            batch_max: default.batch_max as u64,
            inbox_max: default.inbox_max as u64,
            inbox_size: default.inbox_bytes,
            patience: default.patience,
            readers: default.readers as u64,
            busy_timeout: default.busy_timeout,
            cache: signed(default.cache_kib) * 1024,
            checkpoint_every: default.checkpoint_every,
            log_limit: signed(default.log_pages_max) * PAGE,
            samples: signed(default.samples),
            sample_limit: default.sample_bytes as u64,
            page_max: default.page_max as u64,
            postgres: None,
        }
    }

    /// Where the store is.
    pub fn place(&self) -> Place {
        match &self.postgres {
            Some(postgres) => Place::Postgres(Box::new(self.database(postgres))),
            None => Place::Sqlite(self.path.clone(), self.sqlite()),
        }
    }

    fn database(&self, postgres: &PostgresPlace) -> PostgresSettings {
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let default = PostgresSettings::new(postgres.url.expose());
        PostgresSettings {
            schema: postgres.schema.clone(),
            name: postgres.name.clone().unwrap_or(default.name),
            // the configuration has been checked: it can be read
            ca_pem: postgres.ca_file.as_ref().and_then(|file| std::fs::read(file).ok()).unwrap_or_default(),
            migrate: postgres.migrate,
            connections: size(postgres.connections),
            accept_at_once: size(postgres.batches),
            record_at_once: size(postgres.batches),
            connect_timeout: postgres.connect_timeout,
            verb_max: postgres.timeout,
            tries: u32::try_from(postgres.tries).unwrap_or(u32::MAX),
            heartbeat: postgres.heartbeat,
            lease: postgres.lease,
            queue: size(self.queue),
            batch_max: size(self.batch_max),
            patience: self.patience,
            samples: i64::try_from(self.samples).unwrap_or(i64::MAX),
            sample_bytes: size(self.sample_limit),
            page_max: size(self.page_max),
            ..default
        }
    }

    /// As the store takes them.
    pub fn sqlite(&self) -> sqlite::StoreSettings {
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        sqlite::StoreSettings {
            queue: size(self.queue),
            batch_max: size(self.batch_max),
            inbox_max: size(self.inbox_max),
            inbox_bytes: self.inbox_size,
            patience: self.patience,
            readers: size(self.readers),
            busy_timeout: self.busy_timeout,
            cache_kib: signed(self.cache / 1024),
            checkpoint_every: self.checkpoint_every,
            log_pages_max: signed(self.log_limit / PAGE),
            samples: signed(self.samples),
            sample_bytes: size(self.sample_limit),
            page_max: size(self.page_max),
        }
    }
}

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

/// `[dispatch]`: how deliveries are made.
#[derive(Debug, Clone, Serialize)]
pub struct Dispatch {
    /// The most deliveries under way at a time, per handler.
    pub max_in_flight: u64,
    /// How long one attempt may take, PortaBilling's answers and the external system's included.
    #[serde(serialize_with = "serialize_duration")]
    pub attempt_timeout: Duration,
    /// How often it looks for work by itself, should nothing have told it.
    #[serde(serialize_with = "serialize_duration")]
    pub tick: Duration,
    /// How long deliveries under way may go on after the gateway was told to stop.
    #[serde(serialize_with = "serialize_duration")]
    pub drain: Duration,
    /// Whether `IN_PROGRESS` is written back when the first attempt of a delivery starts.
    pub announce: bool,
}

impl Dispatch {
    /// As the dispatcher takes them.
    pub fn settings(&self) -> DispatchSettings {
        DispatchSettings {
            max_in_flight: usize::try_from(self.max_in_flight).unwrap_or(usize::MAX),
            attempt_max: self.attempt_timeout,
            tick: self.tick,
            drain: self.drain,
            announce: self.announce,
            ..DispatchSettings::default()
        }
    }
}

impl Default for Dispatch {
    fn default() -> Self {
        let default = DispatchSettings::default();
        Self {
            max_in_flight: default.max_in_flight as u64,
            attempt_timeout: default.attempt_max,
            tick: default.tick,
            drain: default.drain,
            announce: default.announce,
        }
    }
}

/// `[callback]`: how external systems that finish later call back.
#[derive(Debug, Clone, Serialize)]
pub struct CallbackListening {
    /// Where they reach the intake's address, without a path: what they are told begins with it.
    #[serde(serialize_with = "as_url")]
    pub url: Url,
    /// Signs the addresses that they are told; the same on all gateways of one store.
    pub secret: Secret,
    /// The longest body, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub body_limit: u64,
    /// How long a callback may wait for the attempt that it belongs to: it may be quicker than our own record of it.
    #[serde(serialize_with = "serialize_duration")]
    pub patience: Duration,
}

/// `[retention]`: how long what has happened is kept.
#[derive(Debug, Clone, Serialize)]
pub struct Retention {
    /// Events with their deliveries and attempts, once all of them have ended.
    #[serde(serialize_with = "serialize_duration")]
    pub events: Duration,
    /// What was asked and answered at an attempt.
    #[serde(serialize_with = "serialize_duration")]
    pub bodies: Duration,
    /// How often it is looked for what is old enough.
    #[serde(serialize_with = "serialize_duration")]
    pub every: Duration,
    /// How many events and attempts one step looks at.
    pub step: u64,
    /// How long the store is left alone between two steps.
    #[serde(serialize_with = "serialize_duration")]
    pub pause: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events: defaults::RETENTION_EVENTS,
            bodies: defaults::RETENTION_BODIES,
            every: defaults::RETENTION_EVERY,
            step: defaults::RETENTION_STEP,
            pause: defaults::RETENTION_PAUSE,
        }
    }
}

/// `[reconcile]`: how what was delivered is compared with what PortaBilling says, beside the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciling {
    /// How often; none: only when somebody asks for it.
    #[serde(serialize_with = "as_optional_duration", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// How many accounts per second, for each handler.
    pub rate: u64,
    /// How many accounts one page of PortaBilling's list has.
    pub page: u64,
    /// How many accounts are asked for at a time, for each handler.
    pub in_flight: u64,
    /// How many of those that differ are shown.
    pub examples: u64,
    /// For how many that are gone a walk makes events before it breaks off.
    pub gone_max: u64,
}

impl Reconciling {
    /// As the walks take them.
    pub fn settings(&self) -> ReconcileSettings {
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        ReconcileSettings {
            every: self.every,
            rate: self.rate as f64,
            page: size(self.page),
            in_flight: size(self.in_flight),
            examples: size(self.examples),
            gone_max: self.gone_max,
            ..ReconcileSettings::default()
        }
    }
}

impl Default for Reconciling {
    fn default() -> Self {
        let default = ReconcileSettings::default();
        Self {
            every: default.every,
            // truncation is meant: the default is whole
            rate: default.rate as u64,
            page: default.page as u64,
            in_flight: default.in_flight as u64,
            examples: default.examples as u64,
            gone_max: default.gone_max,
        }
    }
}

/// `[status]`: how provisioning statuses are written back.
#[derive(Debug, Clone, Serialize)]
pub struct StatusWriting {
    /// The most write-backs at a time.
    pub max_in_flight: u64,
    /// How long one may take.
    #[serde(serialize_with = "serialize_duration")]
    pub timeout: Duration,
    /// How long write-backs under way may go on after the gateway was told to stop.
    #[serde(serialize_with = "serialize_duration")]
    pub drain: Duration,
    /// When a failed one is tried again.
    #[serde(serialize_with = "as_retry")]
    pub retry: RetrySchedule,
}

impl StatusWriting {
    /// As the writer takes them.
    pub fn settings(&self) -> StatusSettings {
        StatusSettings {
            max_in_flight: usize::try_from(self.max_in_flight).unwrap_or(usize::MAX),
            write_max: self.timeout,
            drain: self.drain,
            retry: self.retry.clone(),
            ..StatusSettings::default()
        }
    }
}

impl Default for StatusWriting {
    fn default() -> Self {
        let default = StatusSettings::default();
        Self {
            max_in_flight: default.max_in_flight as u64,
            timeout: default.write_max,
            drain: default.drain,
            retry: default.retry,
        }
    }
}

/// One `[[intake]]`: a path that ESPF posts events to.
#[derive(Debug, Clone, Serialize)]
pub struct IntakeSettings {
    /// The source's name; events bear it, and it is part of what makes two events the same.
    pub name: String,
    /// The path.
    pub path: String,
    /// What wrong credentials are answered with: 401, upon which ESPF drops the event for good, or 503.
    pub unauthorized: u16,
    /// Who may post.
    pub auth: IntakeAuth,
}

/// Who may post events: one or two credentials, so that they can be changed without losing an event.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum IntakeAuth {
    /// HTTP Basic, ESPF's default.
    Basic {
        /// The credentials.
        basic: Vec<BasicCredential>,
    },
    /// Two words in a header, ESPF's custom method.
    Custom {
        /// The header.
        header: String,
        /// The credentials.
        custom: Vec<CustomCredential>,
    },
    /// An HMAC-SHA1 over the `Date` header.
    Signature {
        /// How far `Date` may be off.
        #[serde(serialize_with = "serialize_duration")]
        max_skew: Duration,
        /// The credentials.
        signature: Vec<SignatureCredential>,
    },
}

/// User and password of HTTP Basic.
#[derive(Debug, Clone, Serialize)]
pub struct BasicCredential {
    /// The user, without a colon.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// The two words of ESPF's custom method: `Authorization: <scheme> <value>`.
#[derive(Debug, Clone, Serialize)]
pub struct CustomCredential {
    /// The first word, in any case.
    pub scheme: String,
    /// The rest.
    pub value: Secret,
}

/// A key of ESPF's signature method.
#[derive(Debug, Clone, Serialize)]
pub struct SignatureCredential {
    /// `keyId` of the header.
    pub key_id: String,
    /// The shared secret.
    pub secret: Secret,
}

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

/// A mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong; holds no secret.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Why there is no configuration: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{file}: the configuration can't be read; check the path and the file's permissions")]
    Unreadable {
        /// As it was given.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong: one line for each mistake.
    #[error("{0}")]
    Wrong(Problems),
}

/// The mistakes of one file.
#[derive(Debug)]
pub struct Problems {
    /// As it was given.
    pub file: String,
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, what, remedy }) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(formatter, "{newline}{}:{line}: {what}; {remedy}", self.file)?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads a file, with secrets from the process's environment.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Unreadable { file: name.clone(), source })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::parse(&name, &text, folder, &|name| std::env::var(name).ok())
    }

    /// Reads a text. `file` names it in errors, relative paths count from `folder`, secrets come from `env` or files.
    pub fn parse(
        file: &str,
        text: &str,
        folder: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        read::config(text, folder, env)
            .map_err(|problems| ConfigError::Wrong(Problems { file: file.to_owned(), problems }))
    }
}

#[cfg(test)]
mod tests;
