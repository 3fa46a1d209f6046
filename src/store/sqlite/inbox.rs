//! Events are accepted into a table without any index, and filed later, many at a time.
//!
//! A commit costs what the pages cost that it touches, and an event with its indexes and deliveries touches ten or more. In
//! the inbox it touches one, which it shares with all events of its commit. What is in there is filed before anybody asks
//! for it (a claim, an operator), or when there is enough of it; so nobody but this module knows of the inbox. It is as
//! durable as the rest: after a crash it is read again.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::row::{self, event_columns};
use crate::event::{Event, EventId};
use crate::handler::Order;
use crate::store::{Accepted, StoreError, Subscription};

/// An event with those that it is for.
pub(super) type Addressed = Arc<(Event, Vec<Subscription>)>;

/// What is in the table, for finding duplicates and for filing.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    events: Vec<(i64, Addressed)>,
    /// The number of the next event.
    next: i64,
}

const INSERT: &str = "\
    INSERT INTO inbox (seq, id, source, i_env, i_event, event_type, subject_kind, subject_id, event_time, received_at,
        body, handlers)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// By its id as well: an event that is offered once more after an error is the same one.
pub(super) const SAME_EVENT: &str = "\
    SELECT id FROM event WHERE id = ?1
    UNION ALL
    SELECT id FROM event WHERE i_event = ?2 AND source = ?3 AND event_type = ?4 AND subject_kind = ?5
        AND subject_id = ?6 AND coalesce(i_env, -1) = coalesce(?7, -1)
    LIMIT 1";

const LOAD: &str = concat!("SELECT ", event_columns!(), ", e.seq, e.handlers FROM inbox e ORDER BY e.seq");

impl Inbox {
    /// Reads what is in the table.
    pub(super) fn load(db: &Connection) -> Result<Self, StoreError> {
        let events =
            db.prepare_cached(LOAD)?.query_map([], from_row)?.collect::<Result<Vec<_>, rusqlite::Error>>()?;
        let last: Option<i64> = db.query_row("SELECT max(seq) FROM event", [], |row| row.get(0))?;
        let last = events.last().map(|(seq, _)| *seq).max(last).unwrap_or(0);
        Ok(Self { events, next: last + 1 })
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    fn same(&self, event: &Event) -> Option<EventId> {
        let found = self.events.iter().find(|(_, addressed)| is_same(&addressed.0, event));
        found.map(|(_, addressed)| addressed.0.id)
    }
}

fn is_same(one: &Event, other: &Event) -> bool {
    let numbered = one.i_event.is_some() && one.i_event == other.i_event;
    one.id == other.id
        || (numbered
            && one.subject == other.subject
            && one.event_type == other.event_type
            && one.source == other.source
            && one.i_env.unwrap_or(-1) == other.i_env.unwrap_or(-1))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(i64, Addressed)> {
    let handlers: String = row.get(row::EVENT + 1)?;
    let handlers: Vec<(String, bool)> =
        serde_json::from_str(&handlers).map_err(|error| row::strange("handlers", error))?;
    let order = |strict| if strict { Order::Strict } else { Order::Skip };
    let handlers = handlers
        .into_iter()
        .map(|(handler, strict)| Subscription { handler, order: order(strict) })
        .collect();
    Ok((row.get(row::EVENT)?, Arc::new((row::event(row, 0)?, handlers))))
}

fn handlers_text(handlers: &[Subscription]) -> Result<String, StoreError> {
    let handlers: Vec<_> = handlers.iter().map(|one| (&one.handler, one.order == Order::Strict)).collect();
    serde_json::to_string(&handlers).map_err(|error| StoreError::Rejected(error.to_string()))
}

pub(super) fn accept(db: &Batch, addressed: &Addressed) -> Result<Accepted, StoreError> {
    let (event, handlers) = &**addressed;
    if i64::try_from(handlers.len()).is_ok_and(|many| many > row::DELIVERIES) {
        return Err(StoreError::Rejected(format!("an event for more than {} handlers", row::DELIVERIES)));
    }
    let mut inbox = db.inbox.borrow_mut();
    let same = match inbox.same(event) {
        Some(id) => Some(id),
        None => same_filed(db, event)?,
    };
    if let Some(id) = same {
        return Ok(Accepted::Duplicate(id));
    }
    db.prepare_cached(INSERT)?.execute(params![
        inbox.next,
        event.id.0.as_bytes(),
        event.source,
        event.i_env,
        event.i_event,
        event.event_type,
        event.subject.kind.as_str(),
        event.subject.id,
        event.event_time.map(row::micros),
        row::micros(event.received_at),
        event.body,
        handlers_text(handlers)?,
    ])?;
    let seq = inbox.next;
    inbox.next += 1;
    inbox.events.push((seq, Arc::clone(addressed)));
    Ok(Accepted::New(event.id))
}

fn same_filed(db: &Connection, event: &Event) -> Result<Option<EventId>, StoreError> {
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
const FILE_EVENTS: &str = "\
    INSERT OR FAIL INTO event (seq, id, source, i_env, i_event, event_type, subject_kind, subject_id, event_time, received_at, body)
    SELECT seq, id, source, i_env, i_event, event_type, subject_kind, subject_id, event_time, received_at, body
    FROM inbox ORDER BY seq";

/// Nothing before it in its lane is open, so it is the head.
pub(super) const LANE_IS_FREE: &str = "\
    SELECT NOT EXISTS (
        SELECT 1 FROM delivery WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3 AND open = 1)";

const INSERT_DELIVERY: &str = "\
    INSERT INTO delivery
        (seq, handler, subject_kind, subject_id, strict, state, at, attempts, accepted_at, open, head)
    VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, 0, ?6, 1, ?7)";

/// Empties the inbox: each event gets its indexes and its deliveries.
pub(super) fn file(db: &Batch) -> Result<(), StoreError> {
    let mut inbox = db.inbox.borrow_mut();
    if inbox.events.is_empty() {
        return Ok(());
    }
    db.prepare_cached(FILE_EVENTS)?.execute([])?;
    for (seq, addressed) in inbox.events.drain(..) {
        let (event, handlers) = &*addressed;
        let received_at = row::micros(event.received_at);
        let (kind, id) = (event.subject.kind.as_str(), &event.subject.id);
        for (seq, Subscription { handler, order }) in (seq * row::DELIVERIES..).zip(handlers) {
            let is_head: bool =
                db.prepare_cached(LANE_IS_FREE)?.query_row(params![handler, kind, id], |row| row.get(0))?;
            let strict = *order == Order::Strict;
            db.prepare_cached(INSERT_DELIVERY)?.execute(params![
                seq,
                handler,
                kind,
                id,
                strict,
                received_at,
                is_head
            ])?;
            db.count(handler, "pending", 1);
        }
    }
    db.prepare_cached("DELETE FROM inbox")?.execute([])?;
    Ok(())
}
