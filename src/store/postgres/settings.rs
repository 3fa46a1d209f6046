//! Where the database is, and how much of what.

use std::time::Duration;

use secrecy::SecretString;

/// Where the database is, and the limits of the store, with their defaults.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://user:password@host/database`, or libpq's words. Without `sslmode` what isn't on this machine must speak TLS;
    /// `require` and `verify-full` mean the same here: certificate and name are always checked. `verify-ca` isn't known. Of several
    /// hosts it is the first that takes writes; what `target_session_attrs` says goes before that.
    pub url: SecretString,
    /// The schema that everything is in; it is made. `soapstone`.
    pub schema: String,
    /// PEM with certificates that are trusted besides the system's. None.
    pub ca_pem: Vec<u8>,
    /// What this gateway is called in the table of gateways and in logs; the name of the machine.
    pub name: String,
    /// Whether opening a store with an older schema brings it up to date; yes.
    pub migrate: bool,
    /// How many connections there are at most, besides one for the lease; 8.
    pub connections: usize,
    /// How many batches of events are being accepted at the same time; 2.
    pub accept_at_once: usize,
    /// How many batches of attempts are being recorded at the same time; 2.
    pub record_at_once: usize,
    /// How many events, and how many attempts, may wait to be written; 4 096.
    pub queue: usize,
    /// How many are written together at most; 512.
    pub batch_max: usize,
    /// How many bytes they have together, about; 4 MiB.
    pub batch_bytes: usize,
    /// How long a verb waits for a place in a queue, for a connection or for a lock before it fails; 5 s.
    pub patience: Duration,
    /// How long a new connection may take; 5 s.
    pub connect_timeout: Duration,
    /// How long one try of a verb may take; 30 s.
    pub verb_max: Duration,
    /// How often a verb is tried that fails because the database is busy or the connection broke; 4.
    pub tries: u32,
    /// How often the lease is renewed; 5 s.
    pub heartbeat: Duration,
    /// How long a gateway may be silent before others take over what it has in hand; 15 s.
    pub lease: Duration,
    /// The shortest time between two nudges for the other gateways; 50 ms.
    pub nudge_every: Duration,
    /// How many samples of unreadable requests are kept; 1 000.
    pub samples: i64,
    /// How much of such a request is kept, in bytes; 16 384.
    pub sample_bytes: usize,
    /// How many events a page has at most; 500.
    pub page_max: usize,
}

impl PostgresSettings {
    /// The defaults, for the database at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into().into(),
            schema: "soapstone".into(),
            ca_pem: Vec::new(),
            name: host_name(),
            migrate: true,
            connections: 8,
            accept_at_once: 2,
            record_at_once: 2,
            queue: 4096,
            batch_max: 512,
            batch_bytes: 4 * 1024 * 1024,
            patience: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            verb_max: Duration::from_secs(30),
            tries: 4,
            heartbeat: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            nudge_every: Duration::from_millis(50),
            samples: 1000,
            sample_bytes: 16_384,
            page_max: 500,
        }
    }
}

/// Only to tell gateways apart.
fn host_name() -> String {
    let named = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let told = || std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned());
    named.or_else(told).unwrap_or_else(|| "gateway".into())
}
