//! Deliveries: claimed in order, recorded.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::inbox;
use super::row::{self, delivery_columns, event_columns};
use crate::delivery::{Attempt, DeliveryId, State};
use crate::event::EventId;
use crate::store::{Claimed, Record, StoreError, Want};

/// What is due for one handler, the longest due first.
pub(super) const DUE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", ",
    event_columns!(),
    ", l.pb_data
     FROM delivery d
     CROSS JOIN event e ON e.seq = d.seq / 1024
     LEFT JOIN last_delivered l
         ON l.handler = d.handler AND l.subject_kind = d.subject_kind AND l.subject_id = d.subject_id
     WHERE d.handler = ?1 AND d.head = 1 AND d.state = 'pending' AND d.at <= ?2
     ORDER BY d.at, d.seq
     LIMIT ?3"
);

pub(super) fn claim(db: &Batch, now: Timestamp, wants: &[Want]) -> Result<Vec<Claimed>, StoreError> {
    inbox::file(db)?;
    let mut due = db.prepare_cached(DUE)?;
    let mut take = db.prepare_cached("UPDATE delivery SET state = 'in_flight', at = ?2 WHERE seq = ?1")?;
    let mut claimed = Vec::new();
    for want in wants {
        let limit = i64::try_from(want.limit).unwrap_or(i64::MAX);
        let found = due
            .query_map(params![want.handler, row::micros(now), limit], claimed_from)?
            .collect::<Result<Vec<_>, _>>()?;
        let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
        db.count(&want.handler, "pending", -count);
        db.count(&want.handler, "in_flight", count);
        for (seq, mut one) in found {
            take.execute(params![seq, row::micros(now)])?;
            one.delivery.state = State::InFlight { since: now };
            claimed.push(one);
        }
    }
    Ok(claimed)
}

fn claimed_from(found: &Row<'_>) -> rusqlite::Result<(i64, Claimed)> {
    let (seq, delivery) = row::delivery(found)?;
    let event = row::event(found, row::DELIVERY)?;
    let last = found.get(row::DELIVERY + row::EVENT)?;
    Ok((seq, Claimed { delivery, event, last }))
}

pub(super) const NEXT_DUE: &str =
    "SELECT min(at) FROM delivery WHERE handler = ?1 AND head = 1 AND state = 'pending'";

pub(super) fn next_due(db: &Connection, handlers: &[String]) -> Result<Option<Timestamp>, StoreError> {
    let mut next = db.prepare_cached(NEXT_DUE)?;
    let mut soonest: Option<i64> = None;
    for handler in handlers {
        let at: Option<i64> = next.query_row([handler], |row| row.get(0))?;
        soonest = soonest.into_iter().chain(at).min();
    }
    Ok(soonest.map(row::time).transpose()?)
}

/// A delivery as its lane sees it.
struct Place {
    seq: i64,
    handler: String,
    subject_kind: String,
    subject_id: String,
    strict: bool,
    state: State,
    attempts: u32,
}

impl Place {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            handler: row.get(1)?,
            subject_kind: row.get(2)?,
            subject_id: row.get(3)?,
            strict: row.get(4)?,
            attempts: row.get(5)?,
            state: row::state(row, 6)?,
        })
    }
}

/// Columns that [`Place`] reads, `d` being the table.
macro_rules! place_columns {
    () => {
        "d.seq, d.handler, d.subject_kind, d.subject_id, d.strict, d.attempts, d.state, d.at, d.reason"
    };
}

const PLACE: &str = concat!(
    "SELECT ",
    place_columns!(),
    ", e.id FROM delivery d CROSS JOIN event e ON e.seq = d.seq / 1024 WHERE d.seq = ?1"
);

/// The delivery with this id; its number alone would also find that of another store.
fn place(db: &Connection, id: DeliveryId) -> Result<Option<Place>, StoreError> {
    let found = db
        .prepare_cached(PLACE)?
        .query_row([row::delivery_seq(id)], |row| {
            let event = EventId(uuid::Uuid::from_bytes(row.get(9)?));
            Ok((Place::read(row)?, event))
        })
        .optional()?;
    Ok(found.filter(|(place, event)| row::delivery_id(*event, place.seq) == id).map(|(place, _)| place))
}

pub(super) fn record(db: &Batch, record: &Record) -> Result<(), StoreError> {
    let place = place(db, record.delivery)?
        .ok_or_else(|| StoreError::Rejected(format!("there is no delivery {}", record.delivery)))?;
    let number = record.attempt.number;
    if number <= place.attempts {
        return Ok(());
    }
    let flies = matches!(place.state, State::InFlight { .. });
    if !flies || number != place.attempts + 1 || matches!(record.state, State::InFlight { .. }) {
        return Err(StoreError::Rejected(format!(
            "attempt {number} of delivery {}, which is {} after {} attempts",
            record.delivery,
            place.state.word(),
            place.attempts
        )));
    }
    keep_attempt(db, place.seq, &record.attempt)?;
    set_state(db, &place, &record.state, number)?;
    if let Some(pb_data) = &record.last {
        db.prepare_cached(
            "INSERT INTO last_delivered (handler, subject_kind, subject_id, pb_data, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET pb_data = excluded.pb_data, at = excluded.at",
        )?
        .execute(params![
            place.handler,
            place.subject_kind,
            place.subject_id,
            pb_data,
            row::micros(record.attempt.ended_at)
        ])?;
    }
    match &record.status {
        Some(status) => super::statuses::put(db, status),
        None => Ok(()),
    }
}

fn keep_attempt(db: &Connection, delivery: i64, attempt: &Attempt) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO attempt (delivery, number, started_at, ended_at, outcome, reason, after, request, response)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        delivery,
        attempt.number,
        row::micros(attempt.started_at),
        row::micros(attempt.ended_at),
        attempt.outcome.word(),
        attempt.outcome.reason(),
        row::after(&attempt.outcome),
        attempt.request,
        attempt.response,
    ])?;
    Ok(())
}

pub(super) const ADVANCE: &str = "\
    UPDATE delivery SET head = 1 WHERE seq = (
        SELECT min(seq) FROM delivery
        WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3 AND open = 1)";

/// Writes the state down and, where the delivery leaves its lane, makes the next one the head.
fn set_state(db: &Batch, place: &Place, state: &State, attempts: u32) -> Result<(), StoreError> {
    let open = match state {
        State::Pending { .. } | State::InFlight { .. } => true,
        State::Parked { .. } => place.strict,
        State::Delivered { .. } => false,
    };
    let (at, reason) = row::state_columns(state);
    db.count(&place.handler, place.state.word(), -1);
    db.count(&place.handler, state.word(), 1);
    db.prepare_cached(
        "UPDATE delivery SET state = ?2, at = ?3, reason = ?4, attempts = ?5, open = ?6, head = ?6 WHERE seq = ?1",
    )?
    .execute(params![place.seq, state.word(), at, reason, attempts, open])?;
    if !open {
        db.prepare_cached(ADVANCE)?.execute(params![place.handler, place.subject_kind, place.subject_id])?;
    }
    Ok(())
}

/// What was in flight when the gateway died, by way of the tally, so that it costs what there is to do and not what there
/// is.
pub(super) const INTERRUPTED: &str = concat!(
    "SELECT ",
    place_columns!(),
    " FROM tally t
     CROSS JOIN delivery d ON d.handler = t.handler AND d.state = 'in_flight' AND d.state <> 'delivered'
     WHERE t.state = 'in_flight' AND t.count > 0"
);

/// What was in flight when the gateway died is pending again; answers how many.
pub(super) fn recover(db: &Batch, now: Timestamp) -> Result<usize, StoreError> {
    let found = db.prepare(INTERRUPTED)?.query_map([], Place::read)?.collect::<Result<Vec<_>, _>>()?;
    for place in &found {
        let (state, outcome) = place.state.interrupted(now);
        let (State::InFlight { since }, Some(outcome)) = (&place.state, outcome) else { continue };
        let number = place.attempts + 1;
        let attempt =
            Attempt { number, started_at: *since, ended_at: now, outcome, request: None, response: None };
        keep_attempt(db, place.seq, &attempt)?;
        set_state(db, place, &state, number)?;
    }
    Ok(found.len())
}
