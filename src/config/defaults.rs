//! Every default of the configuration, in one place; but for those of the workers, which stand with them:
//! [`sqlite::StoreSettings::default`], [`RetrySchedule::default`], [`DispatchSettings::default`],
//! [`StatusSettings::default`] and [`ReconcileSettings::default`].
//!
//! `example.toml` shows the same values; a test compares them.

use std::time::Duration;

#[cfg(doc)]
use crate::{
    dispatch::DispatchSettings, handler::RetrySchedule, reconcile::ReconcileSettings, status::StatusSettings,
    store::sqlite,
};

const KIB: u64 = 1024;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

/// Where ESPF's events come in: from other machines.
pub const LISTEN_INTAKE: ([u8; 4], u16) = ([0, 0, 0, 0], 8080);
/// Where the operator looks: from this machine only, since there is no authentication yet.
pub const LISTEN_OPERATOR: ([u8; 4], u16) = ([127, 0, 0, 1], 8081);
/// How long a client may take for a request's headers; also how long an idle connection stays open.
pub const HEADER_TIMEOUT: Duration = seconds(30);
/// How long a client may take for a request's body.
pub const BODY_TIMEOUT: Duration = seconds(30);
/// How long an answer may take, store included. ESPF gives up after 300 s and sends again.
pub const ANSWER_TIMEOUT: Duration = seconds(60);
/// The longest body. ESPF: about 0.2 KB is typical; a longer one is answered 413 and lost, so be generous.
pub const BODY_LIMIT: u64 = 64 * KIB;
/// The longest head of a request: request line and headers.
pub const HEAD_LIMIT: u64 = 64 * KIB;
/// The most headers of a request.
pub const MAX_HEADERS: u64 = 100;
/// The most connections at a time; others wait.
pub const MAX_CONNECTIONS: u64 = 1024;
/// How long requests in progress may go on after the gateway was told to stop.
pub const SHUTDOWN_GRACE: Duration = seconds(20);
/// What `Retry-After` says beside a 503.
pub const RETRY_AFTER: Duration = seconds(10);

/// The embedded store's file.
pub const STORE_PATH: &str = "soapstone.db";

/// How long opening a connection to PortaBilling may take.
pub const PORTABILLING_CONNECT_TIMEOUT: Duration = seconds(5);
/// How long a call to PortaBilling may take in all.
pub const PORTABILLING_TIMEOUT: Duration = seconds(30);
/// The most calls to PortaBilling at a time.
pub const PORTABILLING_MAX_IN_FLIGHT: u64 = 20;
/// How long an answer of PortaBilling counts as fresh. NSPS: 5 s by default.
pub const CACHE_TTL: Duration = seconds(5);
/// The longest answer of PortaBilling.
pub const PORTABILLING_ANSWER_LIMIT: u64 = 16 * KIB * KIB;

/// How far the clock of a signed request may be off. ESPF: bounded so that a captured request ages.
pub const MAX_SKEW: Duration = seconds(300);
/// The header that custom credentials come in.
pub const CUSTOM_HEADER: &str = "Authorization";

/// How long opening a connection to an external system may take.
pub const CONNECTOR_CONNECT_TIMEOUT: Duration = seconds(5);
/// How long a request to an external system may take in all.
pub const CONNECTOR_TIMEOUT: Duration = seconds(30);
/// The most requests to one external system at a time.
pub const CONNECTOR_MAX_IN_FLIGHT: u64 = 16;
/// The longest answer of an external system that is read.
pub const CONNECTOR_ANSWER_LIMIT: u64 = 64 * KIB;
/// How much of what was sent and answered is kept for the operator.
pub const CONNECTOR_KEEP_LIMIT: u64 = 16 * KIB;
/// The longest `Retry-After` of an external system that is honoured.
pub const CONNECTOR_RETRY_AFTER_LIMIT: Duration = hours(1);
/// The HTTP codes that end a delivery at once.
///
/// Few, on purpose. 400 and 413 are about this very request and stay true. 404 and 405 as often mean a wrong URL, or a
/// proxy while the connector restarts, 401 and 403 a secret being changed: an operator repairs those, and the deliveries
/// then go through by themselves. NSPS: a published connector answers 422 for a time-out of its own upstream.
pub const CONNECTOR_FINAL: [u16; 2] = [400, 413];

/// The codes by which an external system says that it will call back, and by when it has to.
pub const CALLBACK_CODES: [u16; 1] = [202];
/// See [`CALLBACK_CODES`].
pub const CALLBACK_DEADLINE: Duration = Duration::from_secs(3600);
/// The longest body of a callback, in bytes.
pub const CALLBACK_BODY_LIMIT: u64 = 64 * 1024;
/// How long a callback may wait for the attempt that it belongs to: it may be quicker than our own record of it.
pub const CALLBACK_PATIENCE: Duration = Duration::from_secs(5);
/// How long events are kept.
pub const RETENTION_EVENTS: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long what was asked and answered is kept.
pub const RETENTION_BODIES: Duration = Duration::from_secs(14 * 24 * 3600);
/// How often it is looked for what is old enough.
pub const RETENTION_EVERY: Duration = Duration::from_secs(3600);
/// How many events and attempts are looked at in one step of that, and how long to leave the store alone afterwards.
pub const RETENTION_STEP: u64 = 500;
/// See [`RETENTION_STEP`].
pub const RETENTION_PAUSE: Duration = Duration::from_millis(50);
/// What doesn't count when accounts are compared: counters go down with every use, and no event says so.
pub const RECONCILE_IGNORE: [&str; 1] = ["full_vd_counter_info"];
