//! What is accepted, in the journal and in memory, and not yet filed in the tables.
//!
//! A commit costs what the pages cost that it touches, and an event with its indexes and deliveries touches ten or more. So
//! an acceptance waits for the journal only ([`super::acceptor`]); what is in there is filed before anybody asks for it (a
//! claim, an operator), or when there is enough of it, many at a time. Nobody outside this store knows of the inbox. It is
//! as durable as the rest: after a crash it is read again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use super::batch::Batch;
use super::entry::Addressed;
use super::lane::{self, Lane, Place};
use super::row;
use crate::event::{Event, EventId};
use crate::store::{StoreError, Subscription};

/// By its id as well: an event that is offered once more after an error is the same one.
pub(super) const SAME_EVENT: &str = "\
    SELECT id FROM event WHERE id = ?1
    UNION ALL
    SELECT id FROM event WHERE i_event = ?2 AND source = ?3 AND event_type = ?4 AND subject_kind = ?5
        AND subject_id = ?6 AND coalesce(i_env, -1) = coalesce(?7, -1)
    LIMIT 1";

/// Shared by the thread that accepts and the one that files.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Unfiled>);

#[derive(Debug, Default)]
struct Unfiled {
    /// In the order of their numbers, all of them durable.
    events: VecDeque<(i64, Arc<Addressed>)>,
    /// Those and the ones that are being written to the journal, by ESPF's number and by ours.
    by_number: HashMap<i64, Vec<Arc<Addressed>>>,
    ids: HashSet<EventId>,
    /// All up to this number are filed.
    filed: i64,
    /// All up to this number would be found in the tables after a crash.
    durable: i64,
    /// The highest of what is filed: only what isn't higher can have been there before.
    highest: Highest,
}

/// The highest of ESPF's numbers, and of our ids, which go by the time.
#[derive(Debug, Clone, Copy, Default)]
struct Highest {
    i_event: Option<i64>,
    id: Option<EventId>,
}

/// Where an event may have been seen before.
pub(super) enum Seen {
    /// In the inbox.
    Here(EventId),
    /// Perhaps among what is filed.
    Perhaps,
    /// Nowhere.
    Never,
}

impl Inbox {
    /// As the tables say; what is in the journal is still to be added.
    pub(super) fn load(db: &Connection, filed: i64) -> Result<Self, StoreError> {
        let i_event =
            db.query_row("SELECT max(i_event) FROM event WHERE i_event IS NOT NULL", [], |row| row.get(0))?;
        let id: Option<[u8; 16]> = db.query_row("SELECT max(id) FROM event", [], |row| row.get(0))?;
        let highest = Highest { i_event, id: id.map(|id| EventId(uuid::Uuid::from_bytes(id))) };
        Ok(Self(Mutex::new(Unfiled { filed, durable: filed, highest, ..Unfiled::default() })))
    }

    /// Takes the tables' word, after a load has filled them.
    pub(super) fn believe(&self, tables: Self) {
        *self.lock() = tables.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    }

    fn lock(&self) -> MutexGuard<'_, Unfiled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many events wait to be filed.
    pub(super) fn len(&self) -> usize {
        self.lock().events.len()
    }

    /// Up to which number all are filed.
    pub(super) fn filed(&self) -> i64 {
        self.lock().filed
    }

    /// Up to which number nothing is needed from the journal any more.
    pub(super) fn durable(&self) -> i64 {
        self.lock().durable
    }

    pub(super) fn seen(&self, event: &Event) -> Seen {
        let unfiled = self.lock();
        if unfiled.ids.contains(&event.id) {
            return Seen::Here(event.id);
        }
        let same = event.i_event.and_then(|number| unfiled.by_number.get(&number));
        if let Some(same) = same.and_then(|same| same.iter().find(|one| is_same(&one.0, event))) {
            return Seen::Here(same.0.id);
        }
        let new_number =
            event.i_event.is_none_or(|number| unfiled.highest.i_event.is_none_or(|highest| number > highest));
        let new_id = unfiled.highest.id.is_none_or(|highest| event.id > highest);
        if new_number && new_id { Seen::Never } else { Seen::Perhaps }
    }

    /// From now on it is found by [`Self::seen`].
    pub(super) fn announce(&self, event: &Arc<Addressed>) {
        let mut unfiled = self.lock();
        unfiled.ids.insert(event.0.id);
        if let Some(number) = event.0.i_event {
            unfiled.by_number.entry(number).or_default().push(Arc::clone(event));
        }
    }

    /// It isn't durable after all.
    pub(super) fn withdraw(&self, event: &Addressed) {
        let mut unfiled = self.lock();
        unfiled.forget(event);
        unfiled.events.retain(|(_, one)| one.0.id != event.0.id);
    }

    /// They are durable, and may be filed.
    pub(super) fn add(&self, events: impl IntoIterator<Item = (i64, Arc<Addressed>)>) {
        self.lock().events.extend(events);
    }

    fn after(&self, number: i64) -> Vec<(i64, Arc<Addressed>)> {
        let unfiled = self.lock();
        let first = unfiled.events.partition_point(|(one, _)| *one <= number);
        unfiled.events.range(first..).cloned().collect()
    }

    /// What is filed up to `number` is committed, and synced unless it was done lazily.
    pub(super) fn forget_to(&self, number: i64, synced: bool) {
        let mut unfiled = self.lock();
        if synced {
            unfiled.durable = unfiled.durable.max(number);
        }
        while unfiled.events.front().is_some_and(|(one, _)| *one <= number)
            && let Some((_, event)) = unfiled.events.pop_front()
        {
            unfiled.forget(&event);
            unfiled.highest.i_event = unfiled.highest.i_event.max(event.0.i_event);
            unfiled.highest.id = unfiled.highest.id.max(Some(event.0.id));
        }
        unfiled.filed = unfiled.filed.max(number);
    }
}

impl Unfiled {
    fn forget(&mut self, (event, _): &Addressed) {
        self.ids.remove(&event.id);
        if let Some(number) = event.i_event
            && let Some(same) = self.by_number.get_mut(&number)
        {
            same.retain(|one| one.0.id != event.id);
            if same.is_empty() {
                self.by_number.remove(&number);
            }
        }
    }
}

fn is_same(one: &Event, other: &Event) -> bool {
    one.subject == other.subject
        && one.event_type == other.event_type
        && one.source == other.source
        && one.i_env.unwrap_or(-1) == other.i_env.unwrap_or(-1)
}

/// The same event among what is filed.
pub(super) fn same_filed(db: &Connection, event: &Event) -> Result<Option<EventId>, StoreError> {
    let found: Option<[u8; 16]> = db
        .prepare_cached(SAME_EVENT)?
        .query_row(
            params![
                event.id.0.as_bytes(),
                event.i_event,
                event.source,
                event.event_type,
                event.subject.kind.as_str(),
                event.subject.id,
                event.i_env,
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.map(|id| EventId(uuid::Uuid::from_bytes(id))))
}

/// `OR FAIL`, since an error undoes the whole transaction: else SQLite copies each page to be able to undo the statement.
const INSERT_EVENT: &str = "\
    INSERT OR FAIL INTO event (seq, id, source, i_env, i_event, event_type, subject_kind, subject_id, event_time,
        received_at, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Puts what is accepted where it belongs: each event gets its indexes and its deliveries.
pub(super) fn file(db: &Batch) -> Result<(), StoreError> {
    let waiting = db.inbox.after(db.filed());
    let last = waiting.last().map_or(db.filed(), |(last, _)| *last);
    // A transaction that writes nothing syncs nothing, either.
    if last == db.inbox.durable() {
        return Ok(());
    }
    db.prepare_cached("UPDATE inbox SET filed = ?1")?.execute([last])?;
    for (seq, addressed) in &waiting {
        file_one(db, *seq, addressed)?;
    }
    db.set_filed(last);
    Ok(())
}

fn file_one(db: &Batch, seq: i64, (event, handlers): &Addressed) -> Result<(), StoreError> {
    let received_at = row::micros(event.received_at);
    let (kind, id) = (event.subject.kind.as_str(), &event.subject.id);
    db.prepare_cached(INSERT_EVENT)?.execute(params![
        seq,
        event.id.0.as_bytes(),
        event.source,
        event.i_env,
        event.i_event,
        event.event_type,
        kind,
        id,
        event.event_time.map(row::micros),
        received_at,
        event.body,
    ])?;
    for (seq, Subscription { handler, order, rank }) in (seq * row::DELIVERIES..).zip(handlers) {
        let lane = Lane { handler, kind, id };
        let place = Place { seq, rank: row::micros(*rank), order: *order };
        lane::insert(db, lane, place, event.id, event.received_at, event.received_at)?;
    }
    Ok(())
}
