//! One transaction that many verbs share, with what is added up in memory until it is committed.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::{Connection, params};

use super::inbox::{self, Inbox};
use crate::store::StoreError;

/// The connection that writes.
pub(super) struct Batch {
    db: Connection,
    /// By how much the numbers of deliveries change: written once per commit, not with each delivery.
    changes: RefCell<Vec<Change>>,
    pub(super) inbox: RefCell<Inbox>,
    /// Whether that is what is in the table.
    inbox_is_loaded: Cell<bool>,
    inbox_max: usize,
    /// How many events are in there, for those who read beside the writer.
    unfiled: Arc<AtomicUsize>,
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
    /// `inbox_max` is how many events may be accepted before they are filed.
    pub(super) fn new(db: Connection, inbox_max: usize) -> Self {
        Self {
            db,
            changes: RefCell::default(),
            inbox: RefCell::default(),
            inbox_is_loaded: Cell::new(false),
            inbox_max,
            unfiled: Arc::default(),
        }
    }

    /// How many events are accepted and not yet filed, after the last commit.
    pub(super) fn unfiled(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.unfiled)
    }

    /// Does all of `work` or nothing.
    pub(super) fn transaction<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Only if an earlier rollback failed.
        if !self.is_autocommit() {
            self.simple("ROLLBACK")?;
        }
        self.changes.borrow_mut().clear();
        self.simple("BEGIN IMMEDIATE")?;
        let ended = self.all_of(work);
        if ended.is_err() {
            self.inbox_is_loaded.set(false);
            // Some errors (a full disk) have ended the transaction already.
            if !self.is_autocommit() {
                self.simple("ROLLBACK")?;
            }
        }
        ended
    }

    fn all_of<T>(&self, work: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if !self.inbox_is_loaded.get() {
            *self.inbox.borrow_mut() = Inbox::load(&self.db)?;
            self.inbox_is_loaded.set(true);
        }
        let done = work(self)?;
        if self.inbox.borrow().len() >= self.inbox_max {
            inbox::file(self)?;
        }
        self.write_changes()?;
        self.simple("COMMIT")?;
        self.unfiled.store(self.inbox.borrow().len(), Ordering::Release);
        Ok(done)
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
