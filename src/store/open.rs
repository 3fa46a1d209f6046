//! The store that the configuration names: for one gateway, or for several.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::postgres::{self, PostgresSettings, PostgresStore};
use super::sqlite::{self, SqliteStore, StoreSettings};
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
    /// Those of [`SqliteStore::open`] and [`PostgresStore::open`]; and it isn't opened if an import into it broke off: of what is
    /// in it then nothing would be delivered, or only a part.
    pub async fn open(self, now: Timestamp) -> Result<Opened, StoreError> {
        // After a power cut the database may come up later than the gateway: it is waited for as long as a request may take.
        const PAUSE: Duration = Duration::from_millis(500);
        let patience = match &self {
            Self::Sqlite(..) => Duration::ZERO,
            Self::Postgres(settings) => settings.verb_max,
        };
        let until = Instant::now() + patience;
        loop {
            match self.open_whole(now).await {
                Err(StoreError::Unavailable) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                opened => return opened,
            }
        }
    }

    async fn open_whole(&self, now: Timestamp) -> Result<Opened, StoreError> {
        let opened = self.clone().open_as_it_is(now).await?;
        if let Err(half) = self.whole().await {
            opened.close().await;
            return Err(half);
        }
        Ok(opened)
    }

    /// Makes sure that no import into it broke off. Changes nothing.
    ///
    /// # Errors
    /// One has, with what to do; or the store can't be read.
    pub async fn whole(&self) -> Result<(), StoreError> {
        let (half, remedy) = match self {
            Self::Sqlite(path, _) => {
                let name = path.display();
                let remedy = format!("remove {name}, {name}-wal, {name}-shm and {name}-inbox");
                (sqlite::is_half_loaded(path)?, remedy)
            }
            Self::Postgres(settings) => {
                (postgres::is_half_loaded(settings).await?, format!("drop the schema {}", settings.schema))
            }
        };
        match half {
            false => Ok(()),
            true => Err(StoreError::Failed(format!(
                "an import into it broke off, or is under way, so not all is in it: {remedy}, and import again"
            ))),
        }
    }

    async fn open_as_it_is(self, now: Timestamp) -> Result<Opened, StoreError> {
        match self {
            Self::Sqlite(path, settings) => {
                let opened =
                    tokio::task::spawn_blocking(move || SqliteStore::open(&path, settings, now)).await;
                let store = opened.map_err(|error| StoreError::Failed(error.to_string()))??;
                Ok(Opened::Sqlite(Arc::new(store)))
            }
            Self::Postgres(settings) => {
                Ok(Opened::Postgres(Arc::new(PostgresStore::open(*settings, now).await?)))
            }
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
