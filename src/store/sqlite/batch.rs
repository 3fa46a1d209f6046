//! One transaction that many verbs share, with what is added up in memory until it is committed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::inbox::{Flying, Inbox, Left, Waiting};
use super::log::Log;
use crate::delivery::DeliveryId;
use crate::store::{Claimed, StoreError};

/// The connection that writes.
pub(super) struct Batch {
    db: Connection,
    /// By how much the numbers of deliveries change: written once per commit, not with each delivery.
    changes: RefCell<Vec<Change>>,
    pub(super) inbox: Arc<Inbox>,
    /// Up to which number the inbox is filed by this transaction, if it files.
    filed: Cell<Option<i64>>,
    /// What this transaction has claimed: all of it, and by number what isn't filed.
    flying: RefCell<Vec<(DeliveryId, Flying)>>,
    taken: RefCell<HashMap<i64, Timestamp>>,
    /// Attempts that a gateway that died has recorded and not filed, those of each delivery in their order.
    left: RefCell<HashMap<i64, VecDeque<Left>>>,
    /// The attempts that this transaction has filed by themselves, perhaps before what came before them.
    caught_up: RefCell<HashSet<i64>>,
    /// Whether its transactions wait for the disk.
    synced: Cell<bool>,
    /// Whether something may be in the log, and not on the disk; also left by the program's life before.
    owes: Cell<bool>,
    /// What it writes to. After a doubt the next transaction is synced, too: else what failed may be found in its place.
    pub(super) log: Arc<Log>,
    /// Whether some subject is paused, once that was looked at.
    subjects_paused: Cell<Option<bool>>,
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
    pub(super) fn new(db: Connection, log: Arc<Log>, inbox: Arc<Inbox>) -> Self {
        Self {
            db,
            log,
            changes: RefCell::default(),
            inbox,
            filed: Cell::default(),
            flying: RefCell::default(),
            taken: RefCell::default(),
            left: RefCell::default(),
            caught_up: RefCell::default(),
            synced: Cell::new(true),
            owes: Cell::new(true),
            subjects_paused: Cell::default(),
        }
    }

    /// Does all of `work` or nothing, and waits for the disk if it is to be `synced`. What isn't survives the death of the
    /// program, not that of the machine, until the next transaction that is synced, which brings it to the disk as well.
    pub(super) fn transaction<T>(
        &self,
        synced: bool,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let doubt = self.log.in_doubt();
        if doubt.is_some() {
            self.log.write_again()?;
        }
        let synced = synced || doubt.is_some();
        self.set_synced(synced)?;
        let brings = doubt.is_some() || synced && self.owes.get();
        let ended = self.one(|db| {
            if brings {
                touch(db)?;
            }
            work(db)
        });
        if ended.is_ok() {
            self.owes.set(!synced);
            doubt.into_iter().for_each(|doubt| self.log.settle(doubt));
        }
        ended
    }

    /// Whether this transaction waits for the disk.
    pub(super) fn is_synced(&self) -> bool {
        self.synced.get()
    }

    /// Whether the next transactions wait for the disk.
    fn set_synced(&self, synced: bool) -> Result<(), StoreError> {
        if self.synced.get() != synced {
            self.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
            self.synced.set(synced);
        }
        Ok(())
    }

    fn one<T>(&self, work: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Only if an earlier rollback failed.
        if !self.is_autocommit() {
            self.simple("ROLLBACK")?;
        }
        self.changes.borrow_mut().clear();
        self.filed.set(None);
        self.flying.borrow_mut().clear();
        self.taken.borrow_mut().clear();
        self.caught_up.borrow_mut().clear();
        self.simple("BEGIN IMMEDIATE")?;
        let ended = work(self).and_then(|done| {
            self.write_changes()?;
            self.simple("COMMIT")?;
            Ok(done)
        });
        if ended.is_err() {
            // what was seen may be undone
            self.look_at_pauses();
        }
        if matches!(ended, Err(StoreError::Failed(_))) {
            self.log.doubt();
        }
        match &ended {
            Ok(_) => {
                self.inbox.fly(self.taken.take(), self.flying.take());
                self.inbox.caught_up(&self.caught_up.take());
                // once it is synced, what was filed before is
                self.inbox.forget_to(self.filed(), self.is_synced());
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

    /// What waits in the inbox for being claimed.
    pub(super) fn waiting(&self, handler: &str, now: i64, limit: usize) -> Vec<Waiting> {
        self.inbox.waiting(handler, now, self.filed(), limit, &self.taken.borrow())
    }

    /// This delivery is claimed before it is filed.
    pub(super) fn take(&self, seq: i64, at: Timestamp) {
        self.taken.borrow_mut().insert(seq, at);
    }

    /// Since when it is claimed, if that was in this transaction and before it was filed.
    pub(super) fn taken(&self, seq: i64) -> Option<Timestamp> {
        self.taken.borrow().get(&seq).copied()
    }

    /// These attempts were left behind, by the number of their delivery.
    pub(super) fn leave(&self, attempts: HashMap<i64, VecDeque<Left>>) {
        self.left.replace(attempts);
    }

    /// Whether there are any.
    pub(super) fn has_left(&self) -> bool {
        !self.left.borrow().is_empty()
    }

    /// The next attempt that was left behind of this delivery.
    pub(super) fn next_left(&self, seq: i64) -> Option<Left> {
        self.left.borrow().get(&seq)?.front().cloned()
    }

    /// That one is dealt with.
    pub(super) fn drop_left(&self, seq: i64) {
        if let Some(attempts) = self.left.borrow_mut().get_mut(&seq) {
            attempts.pop_front();
        }
    }

    /// The attempt with this number is about to be filed, perhaps before what came before it; false if this transaction has
    /// filed it already.
    pub(super) fn begins_to_catch_up(&self, number: i64) -> bool {
        self.caught_up.borrow_mut().insert(number)
    }

    /// Whether some subject is paused: else nobody need ask for each.
    pub(super) fn subjects_paused(&self) -> Result<bool, StoreError> {
        if let Some(paused) = self.subjects_paused.get() {
            return Ok(paused);
        }
        let mut any = self.prepare_cached("SELECT EXISTS (SELECT 1 FROM pause WHERE scope = 'subject')")?;
        let paused = any.query_row([], |row| row.get(0))?;
        self.subjects_paused.set(Some(paused));
        Ok(paused)
    }

    /// That may have changed.
    pub(super) fn look_at_pauses(&self) {
        self.subjects_paused.set(None);
    }

    /// It is on its way, and whoever has it may record what comes of it; `seen`: see [`Flying`].
    pub(super) fn flies(&self, Claimed { delivery, claim, .. }: &Claimed, seen: i64) {
        let flying = Flying { claim: *claim, attempts: delivery.attempts, seen };
        self.flying.borrow_mut().push((delivery.id, flying));
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

/// Writes something that means nothing and was never there. Only a transaction that changes something is synced, and what came before
/// with it; SQLite leaves out a row that is written as it was, and then the page and the sync as well. Nor does the log go on in
/// the very words it had before the power failed (see [`Log::begin`]).
pub(super) fn touch(db: &Connection) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO probe VALUES (1, random()) ON CONFLICT DO UPDATE SET count = excluded.count",
    )?
    .execute([])?;
    Ok(())
}
