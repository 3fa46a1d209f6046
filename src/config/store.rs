//! Where events are kept, with the limits of both stores.

use super::Secret;
use super::units::serialize_duration;
use super::units::serialize_size;
use crate::store::open::Place;
use crate::store::postgres::PostgresSettings;
use crate::store::sqlite;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

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
    /// How many entries get them together then: whoever claims meanwhile waits for these.
    pub part_max: u64,
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
    pub(super) fn with_defaults(path: PathBuf) -> Self {
        let default = sqlite::StoreSettings::default();
        let signed = |count: i64| u64::try_from(count).unwrap_or_default();
        Self {
            path,
            queue: default.queue as u64,
            batch_max: default.batch_max as u64,
            inbox_max: default.inbox_max as u64,
            part_max: default.part_max as u64,
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
            part_max: size(self.part_max),
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
