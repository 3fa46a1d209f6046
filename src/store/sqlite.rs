//! The embedded store: an inbox and a database, each with one thread that writes for all (group commit), and readers beside.
//!
//! SQLite in WAL mode: a commit is on the disk before anybody hears of it, and an operator can look inside with `sqlite3`. What is
//! accepted and what is recorded of attempts goes to a journal first, which is quicker, and is filed in the database before
//! anybody asks for it; most deliveries are done by then, and get there once. Only claims don't wait for the disk. A lock on a
//! file beside it makes sure that two gateways never share one store.
//!
//! If the power fails, what wasn't waited for may be gone from the database: what was filed is in the journal still, since that is
//! written over only once the database has been synced, and an attempt's entry says what its claim had seen, so that it finds its
//! place among what came before and after. What a sync that failed leaves behind is made good before anybody goes on (`log`).
//!
//! Order is kept by lanes: all deliveries of one handler and subject, in the order of acceptance. Only the head of a lane
//! can be claimed, and that it is the head is written down when it becomes so; hence a claim costs the same with ten
//! deliveries waiting as with a million.

mod acceptor;
mod batch;
mod claim;
mod control;
mod deliveries;
mod dump;
mod entry;
mod express;
mod filing;
mod inbox;
mod journal;
mod lane;
mod log;
mod operator;
mod pauses;
mod place;
mod prune;
mod query;
mod readers;
mod record;
mod row;
mod schema;
mod statuses;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use self::acceptor::{Acceptor, Desk, Kept};
use self::batch::Batch;
use self::entry::Entry;
use self::inbox::Inbox;
use self::journal::Journal;
use self::log::Log;
use self::place::{Place, beside};
use self::readers::Readers;
use self::writer::{Files, Writer};
use super::{
    Accepted, Backlog, Claimed, EventDetail, EventSummary, Page, Record, Sample, Settle, Status, StatusEnd,
    StatusJob, Store, StoreError, Subscription, Want,
};
use crate::breaker::Breaker;
use crate::delivery::DeliveryId;
use crate::event::{Event, EventId};

/// The limits of the embedded store, with their defaults.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// How many verbs may wait for the writer; 4 096.
    pub queue: usize,
    /// How many verbs one commit carries at most; 512.
    pub batch_max: usize,
    /// How many events and attempts may wait for being filed, if nobody asks for them earlier; 4 096.
    pub inbox_max: usize,
    /// How many entries of that are written into the tables together, when nobody asks for them: whoever claims meanwhile waits for
    /// these; 32. Where nobody has claimed for a while, a quarter of `inbox_max`.
    pub part_max: usize,
    /// How large the file is that they are in until then, in bytes; 16 MiB. It has all of it from the beginning.
    pub inbox_bytes: u64,
    /// How long a verb waits for a place in the queue, or for a reader, before it fails; 5 s.
    pub patience: Duration,
    /// How many connections read at the same time; 4.
    pub readers: usize,
    /// How long to wait for somebody else's lock on the database, such as an operator's `sqlite3`; 5 s.
    pub busy_timeout: Duration,
    /// How much memory the writer's page cache takes, in KiB; 16 384. A larger one makes commits slower: SQLite walks
    /// through all of it after most commits that split a page.
    pub cache_kib: i64,
    /// How often the log is copied into the database, beside the writing; 1 s.
    pub checkpoint_every: Duration,
    /// From how many pages (of 4 KiB) on the writer waits until the log can start anew; 32 768, which is 128 MiB.
    pub log_pages_max: i64,
    /// How many samples of unreadable requests are kept; 1 000.
    pub samples: i64,
    /// How much of such a request is kept, in bytes; 16 384.
    pub sample_bytes: usize,
    /// How many events a page has at most; 500.
    pub page_max: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            queue: 4096,
            batch_max: 512,
            inbox_max: 4096,
            part_max: 32,
            inbox_bytes: 16 * 1024 * 1024,
            patience: Duration::from_secs(5),
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            cache_kib: 16_384,
            checkpoint_every: Duration::from_secs(1),
            log_pages_max: 32_768,
            samples: 1000,
            sample_bytes: 16_384,
            page_max: 500,
        }
    }
}

pub use dump::is_half_loaded;
pub use schema::plan;

/// Applies the steps that [`plan`] names; answers which.
///
/// # Errors
/// As [`SqliteStore::open`].
pub fn apply(path: &Path, settings: &StoreSettings) -> Result<Vec<(i64, &'static str)>, StoreError> {
    let _lock = lock(path)?;
    let steps = plan(path)?;
    schema::migrate(&mut connect(&path.to_owned(), settings)?)?;
    Ok(steps)
}

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    acceptor: Acceptor,
    writer: Writer,
    readers: Readers,
    inbox: Arc<Inbox>,
    settings: StoreSettings,
}

impl SqliteStore {
    /// Opens the store in the file `path`, or makes it. What was in flight when the last gateway died is pending again,
    /// with the interrupted attempt on record.
    ///
    /// Blocks for as long as the disk takes. Fails if another gateway has it open.
    pub fn open(path: &Path, settings: StoreSettings, now: Timestamp) -> Result<Self, StoreError> {
        Self::open_at(Arc::new(path.to_owned()), lock(path)?, settings, now)
    }

    fn open_at(
        place: Arc<dyn Place>,
        lock: File,
        settings: StoreSettings,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let log = Arc::new(Log::of(Arc::clone(&place))?);
        let mut db = connect(&*place, &settings)?;
        log.begin(&db)?;
        schema::migrate(&mut db)?;
        let (store, filed) =
            db.query_row("SELECT id, filed FROM inbox", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (journal, entries) = Journal::open(&*place, settings.inbox_bytes, store)?;
        let inbox = Arc::new(Inbox::load(&db, filed)?);
        let next = entries.last().map_or(0, |(number, _)| *number).max(filed) + 1;
        for (number, entry) in entries.into_iter().filter(|(number, _)| *number > filed) {
            inbox.add([(number, Entry::decode(&entry)?)]);
        }
        let db = Batch::new(db, log, Arc::clone(&inbox));
        db.transaction(true, filing::file_what_is_left)?;
        // by the tally, which is written with a commit
        let (deliveries, statuses) =
            db.transaction(true, |db| Ok((deliveries::recover(db, now)?, statuses::recover(db)?)))?;
        if deliveries + statuses > 0 {
            tracing::info!(deliveries, statuses, "taken up again what was interrupted");
        }
        let checkpointer = connect(&*place, &settings)?;
        let readers = Readers::new(place, &settings);
        let tables = readers.open()?;
        let writer = Writer::start(Files { db, checkpointer, lock }, &settings)?;
        let desk = Desk { journal, inbox: Arc::clone(&inbox), tables, writer: writer.queue(), next };
        let acceptor = Acceptor::start(desk, &settings)?;
        Ok(Self { acceptor, writer, readers, inbox, settings })
    }

    /// Reads, and finds all that is accepted. Should the disk be full, what is filed can still be read.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_or_say(query).await.map(|(found, _)| found)
    }

    /// The same, and whether all that is accepted was found.
    async fn read_or_say<T, F>(&self, query: F) -> Result<(T, Result<(), StoreError>), StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let filed = if self.inbox.len() > 0 { self.writer.run_lazily(filing::file).await } else { Ok(()) };
        if let Err(error) = &filed {
            tracing::warn!(%error, "the events accepted last can't be shown yet");
        }
        Ok((self.readers.run(query).await?, filed))
    }

    /// Does what is queued, takes no more, and closes the files; then they may be opened again.
    pub async fn close(&self) {
        self.acceptor.close().await;
        self.writer.close().await;
    }
}

/// The lock goes with the process, however it ends.
fn lock(path: &Path) -> Result<File, StoreError> {
    let name = beside(path, ".lock");
    let failed = |what: &str, error: std::io::Error| {
        StoreError::Failed(format!("cannot {what} {}: {error}", name.display()))
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| failed("open", error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Failed(format!(
            "another gateway has {} open; stop it first, or give this one a store of its own",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed("lock", error)),
    }
}

fn connect(place: &dyn Place, settings: &StoreSettings) -> Result<Connection, StoreError> {
    let db = place
        .database(OpenFlags::default())
        .map_err(|error| StoreError::Failed(format!("cannot open {}: {error}", place.name())))?;
    db.busy_timeout(settings.busy_timeout)?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Failed(format!(
            "{} is where no write-ahead log is possible; put it on a local disk",
            place.name()
        )));
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    // Plans depend on what is asked, not on the values: else statements are prepared anew when those change.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "trusted_schema", "OFF")?;
    // What a statement needs to undo itself is small, and would else be written to a file.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -settings.cache_kib)?;
    // Checkpoints are made beside the writing, not by whoever's commit happens to be the thousandth.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", settings.log_pages_max.saturating_mul(4096))?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, event: Event, handlers: Vec<Subscription>) -> Result<Accepted, StoreError> {
        self.acceptor.accept((event, handlers)).await
    }

    async fn keep_sample(&self, mut sample: Sample) -> Result<(), StoreError> {
        sample.body.truncate(self.settings.sample_bytes);
        let keep = self.settings.samples;
        self.writer.run(move |db| keep_sample(db, &sample, keep)).await
    }

    async fn claim(&self, now: Timestamp, wants: Vec<Want>) -> Result<Vec<Claimed>, StoreError> {
        self.writer.run_lazily(move |db| claim::claim(db, now, &wants)).await
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        let record = Arc::new(record);
        if let Some(flying) = self.inbox.depart(&record) {
            match self.acceptor.keep(Arc::clone(&record), flying.seen).await {
                Ok(Kept::Here) => return Ok(()),
                Ok(Kept::TooLong) => {}
                Err(error) => {
                    self.inbox.fly_on(record.delivery, flying);
                    return Err(error);
                }
            }
        }
        self.inbox.land(record.delivery);
        self.writer.run(move |db| record::record(db, &record)).await
    }

    async fn release(&self, delivery: DeliveryId, claim: u32, due: Timestamp) -> Result<(), StoreError> {
        self.inbox.land(delivery);
        self.writer.run(move |db| claim::release(db, delivery, claim, due)).await
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        self.writer.run(move |db| record::settle(db, &settle)).await
    }

    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Claimed>, StoreError> {
        self.readers.run(move |db| claim::overdue(db, now, limit)).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.run(claim::next_deadline).await
    }

    async fn breakers(&self) -> Result<Vec<Breaker>, StoreError> {
        self.readers.run(control::breakers).await
    }

    async fn put_breaker(&self, breaker: Breaker) -> Result<bool, StoreError> {
        self.writer.run(move |db| control::put_breaker(db, &breaker)).await
    }

    async fn next_due(&self, wants: Vec<Want>) -> Result<Option<Timestamp>, StoreError> {
        self.writer.run_lazily(move |db| claim::next_due(db, &wants)).await
    }

    /// Not for the disk: what comes of the delivery will say more.
    async fn announce(&self, delivery: DeliveryId, claim: u32, status: Status) -> Result<(), StoreError> {
        self.writer.run_lazily(move |db| statuses::announce(db, delivery, claim, &status)).await
    }

    async fn claim_statuses(&self, now: Timestamp, limit: usize) -> Result<Vec<StatusJob>, StoreError> {
        self.writer
            .run(move |db| {
                file_statuses(db)?;
                statuses::claim(db, now, limit)
            })
            .await
    }

    async fn finish_status(&self, job: &StatusJob, end: StatusEnd, now: Timestamp) -> Result<(), StoreError> {
        let job = job.clone();
        self.writer.run(move |db| statuses::finish(db, &job, &end, now)).await
    }

    async fn next_status_due(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.inbox.has_statuses() {
            self.read(statuses::next_due).await
        } else {
            self.readers.run(statuses::next_due).await
        }
    }

    async fn events(&self, mut page: Page) -> Result<Vec<EventSummary>, StoreError> {
        page.limit = page.limit.min(self.settings.page_max);
        self.read(move |db| query::events(db, &page)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.read(move |db| query::event(db, id)).await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.read(query::backlog).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.acceptor.probe().await?;
        // only a write shows that writing works
        self.writer.run(|db| batch::touch(db)).await
    }
}

fn keep_sample(db: &Connection, sample: &Sample, keep: i64) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO sample (source, received_at, reason, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![sample.source, row::micros(sample.received_at), sample.reason, sample.body])?;
    db.prepare_cached("DELETE FROM sample WHERE seq <= ?1")?.execute([db.last_insert_rowid() - keep])?;
    Ok(())
}

/// Those that came with attempts.
fn file_statuses(db: &Batch) -> Result<(), StoreError> {
    if db.inbox.has_statuses() { filing::file(db) } else { Ok(()) }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Unavailable
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}
