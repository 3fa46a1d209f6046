//! Connections that only read, so that an operator's search never keeps an event from being accepted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::StoreSettings;
use super::place::Place;
use crate::store::StoreError;

/// A few connections, opened when first needed.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
    place: Arc<dyn Place>,
    busy_timeout: Duration,
    patience: Duration,
}

impl Readers {
    pub(super) fn new(place: Arc<dyn Place>, settings: &StoreSettings) -> Self {
        Self {
            idle: Arc::default(),
            free: Arc::new(Semaphore::new(settings.readers.max(1))),
            place,
            busy_timeout: settings.busy_timeout,
            patience: settings.patience,
        }
    }

    /// A connection for somebody who reads all the time.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        open(&*self.place, self.busy_timeout)
    }

    /// Has `query` read from one consistent state.
    pub(super) async fn run<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let free = tokio::time::timeout(self.patience, Arc::clone(&self.free).acquire_owned());
        let permit = free.await.map_err(|_| StoreError::Unavailable)?.map_err(|_| StoreError::Unavailable)?;
        let (idle, place, busy_timeout) =
            (Arc::clone(&self.idle), Arc::clone(&self.place), self.busy_timeout);
        let read = move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut db = match taken {
                Some(db) => db,
                None => open(&*place, busy_timeout)?,
            };
            // One that fails is closed, not put back.
            let snapshot = db.transaction()?;
            let result = query(&snapshot)?;
            drop(snapshot);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            drop(permit);
            Ok(result)
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Unavailable)?
    }
}

fn open(place: &dyn Place, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = place.database(flags)?;
    db.busy_timeout(busy_timeout)?;
    Ok(db)
}
