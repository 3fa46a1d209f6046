//! What an operator does with deliveries: replay, cancel, have another handler get them; and notes and breakers.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::batch::Batch;
use super::deliveries::{self, Onward};
use super::filing;
use super::lane::{self, Lane, Place};
use super::query::seq_of;
use super::row::{self, delivery_columns};
use super::statuses::{self, Told};
use crate::breaker::{Breaker, BreakerState};
use crate::delivery::{Delivery, DeliveryId, State};
use crate::event::{EventId, Subject, SubjectKind};
use crate::handler::Order;
use crate::store::number::{highest_id_until, lowest_id_since};
use crate::store::spread::spread;
use crate::store::{Cancellation, DeliveryDetail, Last, LastPage, Select, StoreError};

pub(super) fn replay(
    db: &Batch,
    ids: &[DeliveryId],
    due: Timestamp,
    gap: Duration,
) -> Result<Vec<DeliveryId>, StoreError> {
    filing::file(db)?;
    let mut replayed = Vec::new();
    for id in ids {
        // an id that comes twice is replayed once
        let Some(placed) = deliveries::placed(db, *id)?.filter(|_| !replayed.contains(id)) else { continue };
        let due = spread(due, gap, replayed.len());
        let done = match placed.state {
            State::InFlight { .. } | State::Awaiting { .. } => false,
            State::Pending { .. } => deliveries::hasten(db, &placed, due).map(|()| true)?,
            State::Delivered { .. }
            | State::Parked { .. }
            | State::Superseded { .. }
            | State::Cancelled { .. } => deliveries::reopen(db, &placed, *id, due)?,
        };
        if done {
            replayed.push(*id);
        }
    }
    Ok(replayed)
}

pub(super) fn cancel(
    db: &Batch,
    ids: &[DeliveryId],
    how: &Cancellation,
) -> Result<Vec<DeliveryId>, StoreError> {
    filing::file(db)?;
    let state = how.state();
    let mut cancelled = Vec::new();
    for id in ids {
        let Some(placed) = deliveries::placed(db, *id)? else { continue };
        if placed.state.may_be_cancelled() {
            let (attempts, tries, since) = (placed.attempts, placed.tries, placed.since);
            deliveries::go_on(db, &placed, Onward { state: &state, attempts, tries, since, at: how.at })?;
            let status = how.status(&placed.handler, placed.i_account(), &placed.state, attempts);
            status.iter().try_for_each(|status| statuses::put(db, status, Told::Now))?;
            cancelled.push(*id);
        }
    }
    Ok(cancelled)
}

pub(super) fn subscribe(
    db: &Batch,
    events: &[(EventId, Timestamp)],
    handler: &str,
    order: Order,
    due: Timestamp,
    gap: Duration,
) -> Result<Vec<DeliveryId>, StoreError> {
    filing::file(db)?;
    let mut made = Vec::new();
    for (id, rank) in events {
        let Some(event) = seq_of(db, *id)? else { continue };
        let Some(seq) = free_place(db, event, handler)? else { continue };
        let found = db
            .prepare_cached("SELECT subject_kind, subject_id, received_at FROM event WHERE seq = ?1")?
            .query_row([event], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
            })?;
        let (kind, subject, received_at) = found;
        let lane = Lane { handler, kind: &kind, id: &subject };
        let place = Place { seq, rank: row::micros(*rank), order };
        lane::insert(db, lane, place, *id, row::time(received_at)?, spread(due, gap, made.len()))?;
        made.push(row::delivery_id(*id, seq));
    }
    Ok(made)
}

/// The number of a further delivery of this event; none if there is one for the handler, or no room.
fn free_place(db: &Connection, event: i64, handler: &str) -> Result<Option<i64>, StoreError> {
    let (first, last) = (event * row::DELIVERIES, event * row::DELIVERIES + row::DELIVERIES - 1);
    let (highest, has): (Option<i64>, Option<bool>) = db
        .prepare_cached("SELECT max(seq), max(handler = ?3) FROM delivery WHERE seq BETWEEN ?1 AND ?2")?
        .query_row(params![first, last, handler], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let next = highest.map_or(first, |highest| highest + 1);
    Ok((has != Some(true) && next <= last).then_some(next))
}

pub(super) fn deliveries(
    db: &Connection,
    select: &Select,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let after = after.map_or(-1, row::delivery_seq).max(before_since(db, select.from)?);
    let last = last_until(db, select.until)?;
    let handlers = match (&select.handler, &select.state) {
        // the index on what isn't delivered goes by handler, so each handler's first are looked up and merged
        (None, Some(state)) if state != "delivered" => {
            let mut all = db.prepare_cached("SELECT handler FROM tally WHERE state = ?1 AND count > 0")?;
            let found = all.query_map([state], |row| row.get(0))?;
            found.collect::<Result<Vec<Option<String>>, _>>()?
        }
        (handler, _) => vec![handler.clone()],
    };
    let mut found = Vec::new();
    for handler in handlers {
        let (sql, values) = selected(&Select { handler, ..select.clone() }, after, last, limit);
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), row::delivery)?;
        found.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    found.sort_by_key(|(seq, _)| *seq);
    Ok(found.into_iter().take(limit).map(|(_, delivery)| delivery).collect())
}

/// After one number, up to another. Goes by the events if they are few, else by the deliveries.
pub(super) fn selected(select: &Select, after: i64, last: i64, limit: usize) -> (String, Vec<Value>) {
    let mut sql = String::from(concat!("SELECT ", delivery_columns!()));
    let mut values = Vec::new();
    let mut and = |condition: &str, value: Value| {
        sql.push_str(condition);
        values.push(value);
    };
    let by_events = select.event_type.is_some() || select.subject.is_some();
    if by_events {
        let join = " FROM event e CROSS JOIN delivery d ON d.seq BETWEEN e.seq * 1024 AND e.seq * 1024 + 1023
            WHERE e.seq >= ?";
        and(join, Value::Integer(after / row::DELIVERIES));
        and(" AND e.seq <= ?", Value::Integer(last / row::DELIVERIES));
        and(" AND d.seq > ?", Value::Integer(after));
    } else {
        let join = " FROM delivery d CROSS JOIN event e ON e.seq = d.seq / 1024 WHERE d.seq > ?";
        and(join, Value::Integer(after));
        and(" AND d.seq <= ?", Value::Integer(last));
    }
    if let Some(handler) = &select.handler {
        and(" AND d.handler = ?", Value::Text(handler.clone()));
    }
    if let Some(state) = &select.state {
        // said twice, so that the index on what isn't delivered serves
        and(" AND d.state = ?", Value::Text(state.clone()));
        if state != "delivered" {
            and(" AND d.state <> 'delivered' AND 1 = ?", Value::Integer(1));
        }
    }
    if let Some(event_type) = &select.event_type {
        and(" AND e.event_type = ?", Value::Text(event_type.clone()));
    }
    if let Some(subject) = &select.subject {
        and(" AND e.subject_id = ?", Value::Text(subject.clone()));
    }
    if let Some(until) = select.until {
        and(" AND e.received_at < ?", Value::Integer(row::micros(until)));
    }
    if let Some(from) = select.from {
        and(" AND e.received_at >= ?", Value::Integer(row::micros(from)));
    }
    let order = if by_events { " ORDER BY e.seq, d.seq LIMIT ?" } else { " ORDER BY d.seq LIMIT ?" };
    and(order, Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    (sql, values)
}

/// A number before all deliveries of events accepted since then. Ids go by the time, so it needn't be looked for; clocks that
/// were set back make it a little too early at worst.
fn before_since(db: &Connection, from: Option<Timestamp>) -> Result<i64, StoreError> {
    let Some(from) = from else { return Ok(-1) };
    let first: Option<i64> = db
        .prepare_cached("SELECT seq FROM event WHERE id >= ?1 ORDER BY id LIMIT 1")?
        .query_row([lowest_id_since(from).as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(first.map_or(i64::MAX, |seq| seq * row::DELIVERIES - 1))
}

/// A number that no delivery of an event accepted before then has exceeded.
fn last_until(db: &Connection, until: Option<Timestamp>) -> Result<i64, StoreError> {
    let Some(until) = until else { return Ok(i64::MAX) };
    let last: Option<i64> = db
        .prepare_cached("SELECT seq FROM event WHERE id < ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([highest_id_until(until).as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(last.map_or(-1, |seq| seq * row::DELIVERIES + row::DELIVERIES - 1))
}

pub(super) fn delivery(db: &Connection, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
    let Some(placed) = deliveries::placed(db, id)? else { return Ok(None) };
    super::query::delivery(db, placed.place.seq, placed.claims).map(Some)
}

pub(super) fn lasts(db: &Connection, handler: &str, subjects: &[Subject]) -> Result<Vec<Last>, StoreError> {
    let mut lasts = Vec::new();
    for subject in subjects {
        let found = last(db, handler, subject)?;
        lasts.extend(found.map(|(pb_data, at)| Last { subject: subject.clone(), pb_data, at }));
    }
    Ok(lasts)
}

/// What was delivered last, and when.
pub(super) fn last(
    db: &Connection,
    handler: &str,
    subject: &Subject,
) -> Result<Option<(String, Timestamp)>, StoreError> {
    let mut last = db.prepare_cached(
        "SELECT pb_data, at FROM last_delivered WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3",
    )?;
    let values = params![handler, subject.kind.as_str(), subject.id];
    Ok(last.query_row(values, |row| Ok((row.get(0)?, row::time(row.get(1)?)?))).optional()?)
}

/// After a subject, by kind and id.
pub(super) const DELIVERED: &str = "\
    SELECT subject_kind, subject_id, pb_data, at FROM last_delivered
    WHERE handler = ?1 AND (subject_kind, subject_id) > (?2, ?3) ORDER BY subject_kind, subject_id LIMIT ?4";

pub(super) fn delivered(
    db: &Connection,
    handler: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<LastPage, StoreError> {
    // kind and id, as a subject is shown
    let (kind, id) = after.and_then(|after| after.split_once(' ')).unwrap_or_default();
    let mut statement = db.prepare_cached(DELIVERED)?;
    let mut rows = statement.query(params![handler, kind, id, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut lasts = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(0)?;
        let kind = SubjectKind::from_word(&kind).ok_or_else(|| row::strange("a subject", kind))?;
        let subject = Subject { kind, id: row.get(1)? };
        lasts.push(Last { subject, pb_data: row.get(2)?, at: row::time(row.get(3)?)? });
    }
    let full = limit > 0 && lasts.len() >= limit;
    let next = lasts.last().filter(|_| full).map(|last| last.subject.to_string());
    Ok(LastPage { lasts, next })
}

pub(super) fn breakers(db: &Connection) -> Result<Vec<Breaker>, StoreError> {
    let mut all = db.prepare_cached(
        "SELECT name, state, since, until, openings, reason, version FROM breaker ORDER BY name",
    )?;
    let mut rows = all.query([])?;
    let mut breakers = Vec::new();
    while let Some(row) = rows.next()? {
        let until = row.get::<_, Option<i64>>(3)?.map(row::time).transpose()?;
        let word: String = row.get(1)?;
        breakers.push(Breaker {
            name: row.get(0)?,
            state: BreakerState::from_word(&word, until).ok_or_else(|| row::strange("a breaker", word))?,
            since: row::time(row.get(2)?)?,
            openings: row.get(4)?,
            reason: row.get(5)?,
            version: row.get(6)?,
        });
    }
    Ok(breakers)
}

pub(super) fn put_breaker(db: &Connection, breaker: &Breaker) -> Result<bool, StoreError> {
    let kept = db
        .prepare_cached(
            "INSERT INTO breaker (name, state, since, until, openings, reason, version)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE ?7 = 1 OR EXISTS (SELECT 1 FROM breaker WHERE name = ?1)
             ON CONFLICT DO UPDATE SET state = excluded.state, since = excluded.since, until = excluded.until,
                 openings = excluded.openings, reason = excluded.reason, version = excluded.version
             WHERE breaker.version = excluded.version - 1",
        )?
        .execute(params![
            breaker.name,
            breaker.state.word(),
            row::micros(breaker.since),
            breaker.state.until().map(row::micros),
            breaker.openings,
            breaker.reason,
            breaker.version,
        ])?;
    Ok(kept > 0)
}

pub(super) fn note(db: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    let mut note = db.prepare_cached("SELECT text FROM note WHERE name = ?1")?;
    Ok(note.query_row([name], |row| row.get(0)).optional()?)
}

pub(super) fn put_note(db: &Connection, name: &str, text: &str) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO note VALUES (?1, ?2) ON CONFLICT DO UPDATE SET text = excluded.text")?
        .execute([name, text])?;
    Ok(())
}

pub(super) fn swap_note(
    db: &Connection,
    name: &str,
    before: Option<&str>,
    text: &str,
) -> Result<bool, StoreError> {
    let kept = match before {
        Some(before) => db
            .prepare_cached("UPDATE note SET text = ?3 WHERE name = ?1 AND text = ?2")?
            .execute([name, before, text])?,
        None => db
            .prepare_cached("INSERT INTO note VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute([name, text])?,
    };
    Ok(kept > 0)
}
