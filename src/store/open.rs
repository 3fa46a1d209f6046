//! The store that the configuration names: for one gateway, or for several.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::postgres::{PostgresSettings, PostgresStore};
use super::sqlite::{SqliteStore, StoreSettings};
use super::{Control, StoreError};

/// Where a store is, with its settings.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a file of this machine, for one gateway.
    Sqlite(PathBuf, StoreSettings),
    /// In a database, for several.
    Postgres(Box<PostgresSettings>),
}

/// An open store.
#[derive(Debug, Clone)]
pub enum Opened {
    /// In a file.
    Sqlite(Arc<SqliteStore>),
    /// In a database.
    Postgres(Arc<PostgresStore>),
}

impl Place {
    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`] and [`PostgresStore::open`].
    pub async fn open(self, now: Timestamp) -> Result<Opened, StoreError> {
        match self {
            Self::Sqlite(path, settings) => {
                let opened =
                    tokio::task::spawn_blocking(move || SqliteStore::open(&path, settings, now)).await;
                let store = opened.map_err(|error| StoreError::Failed(error.to_string()))??;
                Ok(Opened::Sqlite(Arc::new(store)))
            }
            Self::Postgres(settings) => Ok(Opened::Postgres(Arc::new(patiently(*settings, now).await?))),
        }
    }

    /// Where it is, for people; no secret.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path, _) => path.display().to_string(),
            Self::Postgres(settings) => format!("PostgreSQL, schema {}", settings.schema),
        }
    }
}

/// After a power cut the database may come up later than the gateway: it is waited for as long as a request may take.
async fn patiently(settings: PostgresSettings, now: Timestamp) -> Result<PostgresStore, StoreError> {
    const PAUSE: Duration = Duration::from_millis(500);
    let until = Instant::now() + settings.verb_max;
    loop {
        match PostgresStore::open(settings.clone(), now).await {
            Err(StoreError::Unavailable) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
            opened => return opened,
        }
    }
}

impl Opened {
    /// For whoever works with it.
    pub fn store(&self) -> Arc<dyn Control> {
        match self {
            Self::Sqlite(store) => Arc::clone(store) as Arc<dyn Control>,
            Self::Postgres(store) => Arc::clone(store) as Arc<dyn Control>,
        }
    }

    /// Notified when another gateway has done something that gives this one work; none where there is no other.
    pub fn nudge(&self) -> Option<Arc<Notify>> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(store) => Some(store.nudge()),
        }
    }

    /// Does what is queued, takes no more, and closes.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}
