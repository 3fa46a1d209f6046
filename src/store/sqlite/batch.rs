//! One transaction that many verbs share, with what is added up in memory until it is committed.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::inbox::Inbox;
use crate::store::StoreError;

/// The connection that writes.
pub(super) struct Batch {
    db: Connection,
    /// By how much the numbers of deliveries change: written once per commit, not with each delivery.
    changes: RefCell<Vec<Change>>,
    pub(super) inbox: Arc<Inbox>,
    /// Up to which number the inbox is filed, should this transaction be committed.
    filed: Cell<i64>,
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
        Self { db, changes: RefCell::default(), inbox, filed: Cell::new(0) }
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
        self.filed.set(self.inbox.filed());
        self.simple("BEGIN IMMEDIATE")?;
        let ended = self.all_of(work);
        // Some errors (a full disk) have ended the transaction already.
        if ended.is_err() && !self.is_autocommit() {
            self.simple("ROLLBACK")?;
        }
        ended
    }

    fn all_of<T>(&self, work: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let done = work(self)?;
        self.write_changes()?;
        self.simple("COMMIT")?;
        self.inbox.forget_to(self.filed.get());
        Ok(done)
    }

    /// Up to which number the inbox is filed, in this transaction or before.
    pub(super) fn filed(&self) -> i64 {
        self.filed.get()
    }

    /// It is filed up to `number` now.
    pub(super) fn set_filed(&self, number: i64) {
        self.filed.set(number);
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
