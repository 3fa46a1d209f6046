//! One transaction that many verbs share, with what is added up in memory until it is committed.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::inbox::{self, Inbox};
use super::writer::checkpoint;
use crate::store::StoreError;

/// The connection that writes.
pub(super) struct Batch {
    db: Connection,
    /// By how much the numbers of deliveries change: written once per commit, not with each delivery.
    changes: RefCell<Vec<Change>>,
    pub(super) inbox: Arc<Inbox>,
    /// Up to which number the inbox is filed by this transaction, if it files.
    filed: Cell<Option<i64>>,
    /// Whether its transactions wait for the disk, as they do except when the inbox is filed lazily.
    synced: Cell<bool>,
    /// A transaction failed while others before it hadn't been synced, perhaps since a sync failed: what that should have brought
    /// to the disk the next one needn't bring there, and without it nothing after it in the log would be found.
    doubtful: Cell<bool>,
    /// Whether some subject may be paused: else nobody need look. Never no if one is.
    pub(super) subjects_paused: Cell<bool>,
}

struct Change {
    handler: String,
    state: &'static str,
    by: i64,
}

impl Deref for Batch {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.db
    }
}

impl Batch {
    pub(super) fn new(db: Connection, inbox: Arc<Inbox>) -> Self {
        Self {
            db,
            changes: RefCell::default(),
            inbox,
            filed: Cell::default(),
            synced: Cell::new(true),
            doubtful: Cell::new(false),
            subjects_paused: Cell::new(true),
        }
    }

    /// Does all of `work` or nothing.
    pub(super) fn transaction<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.set_synced(true)?;
        if self.doubtful.get() {
            self.start_log_anew()?;
        }
        self.one(work, true)
    }

    /// Brings all that is in the log to the disk by another way: into the database.
    fn start_log_anew(&self) -> Result<(), StoreError> {
        // somebody reads from it
        if checkpoint(self, "TRUNCATE")? > 0 {
            return Err(StoreError::Unavailable);
        }
        self.doubtful.set(false);
        Ok(())
    }

    /// Files the inbox without waiting for the disk: all of it is still in the journal, and the next transaction that syncs
    /// syncs this one too.
    pub(super) fn file_lazily(&self) -> Result<(), StoreError> {
        self.set_synced(false)?;
        let filed = self.one(inbox::file, false);
        self.set_synced(true)?;
        filed
    }

    /// Whether the next transactions wait for the disk.
    fn set_synced(&self, synced: bool) -> Result<(), StoreError> {
        if self.synced.get() != synced {
            self.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
            self.synced.set(synced);
        }
        Ok(())
    }

    fn one<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
        synced: bool,
    ) -> Result<T, StoreError> {
        // Only if an earlier rollback failed.
        if !self.is_autocommit() {
            self.simple("ROLLBACK")?;
        }
        self.changes.borrow_mut().clear();
        self.filed.set(None);
        self.simple("BEGIN IMMEDIATE")?;
        let ended = work(self).and_then(|done| {
            self.write_changes()?;
            self.simple("COMMIT")?;
            Ok(done)
        });
        if matches!(ended, Err(StoreError::Failed(_))) && self.inbox.filed() > self.inbox.durable() {
            self.doubtful.set(true);
        }
        match &ended {
            // A transaction that files writes, and only one that writes syncs.
            Ok(_) => {
                if let Some(number) = self.filed.get() {
                    self.inbox.forget_to(number, synced);
                }
            }
            // Some errors (a full disk) have ended the transaction already.
            Err(_) if !self.is_autocommit() => self.simple("ROLLBACK")?,
            Err(_) => {}
        }
        ended
    }

    /// Up to which number the inbox is filed, in this transaction or before.
    pub(super) fn filed(&self) -> i64 {
        self.filed.get().unwrap_or_else(|| self.inbox.filed())
    }

    /// It is filed up to `number` now.
    pub(super) fn set_filed(&self, number: i64) {
        self.filed.set(Some(number));
    }

    /// There are `by` more deliveries of this handler in this state.
    pub(super) fn count(&self, handler: &str, state: &'static str, by: i64) {
        let mut changes = self.changes.borrow_mut();
        match changes.iter_mut().find(|change| change.state == state && change.handler == handler) {
            Some(change) => change.by += by,
            None => changes.push(Change { handler: handler.to_owned(), state, by }),
        }
    }

    fn write_changes(&self) -> Result<(), StoreError> {
        for Change { handler, state, by } in
            self.changes.borrow_mut().drain(..).filter(|change| change.by != 0)
        {
            self.prepare_cached(
                "INSERT INTO tally VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?
            .execute(params![handler, state, by])?;
        }
        Ok(())
    }

    fn simple(&self, sql: &str) -> Result<(), StoreError> {
        self.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
