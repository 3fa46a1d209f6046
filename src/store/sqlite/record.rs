//! What has become of a claim: its attempt is written down, and what follows from that.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::batch::Batch;
use super::deliveries::{self, Onward, Placed};
use super::lane::{self, Lane};
use super::statuses::Told;
use super::{claim, filing, row, statuses};
use crate::delivery::{Attempt, State};
use crate::event::Event;
use crate::store::{Record, Settle, StoreError};

pub(super) fn record(db: &Batch, record: &Record) -> Result<(), StoreError> {
    filing::file(db)?;
    let placed = deliveries::known(db, record.delivery)?;
    let number = record.attempt.number;
    if placed.claims != record.claim || !matches!(placed.state, State::InFlight { .. }) {
        return match is_recorded(db, placed.place.seq, record)? {
            true => Ok(()),
            false => Err(StoreError::Overtaken(record.delivery)),
        };
    }
    if number != placed.attempts + 1 || matches!(record.state, State::InFlight { .. }) {
        return Err(StoreError::Rejected(format!(
            "attempt {number} of delivery {}, which is {} after {} attempts",
            record.delivery,
            placed.state.word(),
            placed.attempts
        )));
    }
    keep(db, &placed, record, Told::Now)
}

/// Writes an attempt down that was recorded in the journal. What it says has been promised to whoever recorded it; that it
/// doesn't fit what is there can only be a mistake in the gateway.
pub(super) fn catch_up(db: &Batch, record: &Record, told: Told) -> Result<(), StoreError> {
    let id = record.delivery;
    db.drop_left(row::delivery_seq(id));
    let Some(mut placed) = deliveries::placed(db, id)? else {
        tracing::error!(delivery = %id, "an attempt was recorded of a delivery that isn't there");
        return Ok(());
    };
    if placed.lacks_claim_of(record) {
        let since = record.attempt.started_at;
        claim::take(db, placed.place.seq, &placed.handler, since)?;
        placed.claims += 1;
        placed.state = State::InFlight { since };
    }
    let fits = placed.claims == record.claim && placed.attempts + 1 == record.attempt.number;
    if fits && matches!(placed.state, State::InFlight { .. }) {
        return keep(db, &placed, record, told);
    }
    if !is_recorded(db, placed.place.seq, record)? {
        let (number, state) = (record.attempt.number, placed.state.word());
        tracing::error!(delivery = %id, number, state, "an attempt was recorded that doesn't fit its delivery");
    }
    Ok(())
}

/// Makes the claim again that an attempt was recorded of, if the power has taken it.
pub(super) fn claim_again(db: &Batch, record: &Record) -> Result<(), StoreError> {
    match deliveries::placed(db, record.delivery)?.filter(|placed| placed.lacks_claim_of(record)) {
        Some(placed) => claim::take(db, placed.place.seq, &placed.handler, record.attempt.started_at),
        None => Ok(()),
    }
}

/// Writes down the attempt of one that is in flight, and what follows from it.
fn keep(db: &Batch, placed: &Placed, record: &Record, told: Told) -> Result<(), StoreError> {
    keep_attempt(db, placed.place.seq, record.claim, &record.attempt)?;
    let (attempts, since, at) = (record.attempt.number, placed.since, record.attempt.ended_at);
    let onward = Onward { state: &record.state, attempts, tries: record.tries, since, at };
    deliveries::go_on(db, placed, onward)?;
    keep_what_follows(db, placed.lane(), placed.place.seq, record, told)
}

/// Puts down a delivery that was delivered before it was filed, with its only attempt. It has left its lane already.
pub(super) fn insert_delivered(
    db: &Batch,
    lane: Lane<'_>,
    me: lane::Place,
    event: &Event,
    record: &Record,
    told: Told,
) -> Result<(), StoreError> {
    let put = lane::Put {
        state: &record.state,
        attempts: record.attempt.number,
        tries: record.tries,
        claims: record.claim,
        accepted_at: event.received_at,
        since: event.received_at,
        open: false,
        head: false,
    };
    lane::put(db, lane, me, &put)?;
    keep_attempt(db, me.seq, record.claim, &record.attempt)?;
    keep_what_follows(db, lane, me.seq, record, told)
}

/// What an attempt brings besides where its delivery goes: what was delivered last, who is waited for, the status.
fn keep_what_follows(
    db: &Batch,
    lane: Lane<'_>,
    seq: i64,
    record: &Record,
    told: Told,
) -> Result<(), StoreError> {
    match &record.state {
        State::Delivered { .. } => {
            if let Some(pb_data) = &record.last {
                keep_last(db, lane, pb_data, record.attempt.ended_at)?;
            }
        }
        State::Awaiting { deadline } => {
            db.prepare_cached(
                "INSERT INTO awaiting (delivery, claim, deadline, pb_data) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![seq, record.claim, row::micros(*deadline), record.last])?;
        }
        _ => {}
    }
    record.status.iter().try_for_each(|status| statuses::put(db, status, told))
}

/// Whether this very attempt has been recorded before. One that was recorded for it by whoever took over isn't the same.
fn is_recorded(db: &Connection, delivery: i64, record: &Record) -> Result<bool, StoreError> {
    let Attempt { number, started_at, ended_at, .. } = record.attempt;
    let mut same = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM attempt WHERE delivery = ?1 AND number = ?2 AND claim = ?3
            AND started_at = ?4 AND ended_at = ?5)",
    )?;
    let values = params![delivery, number, record.claim, row::micros(started_at), row::micros(ended_at)];
    Ok(same.query_row(values, |row| row.get(0))?)
}

fn keep_last(db: &Connection, lane: Lane<'_>, pb_data: &str, at: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO last_delivered (handler, subject_kind, subject_id, pb_data, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET pb_data = excluded.pb_data, at = excluded.at",
    )?
    .execute(params![lane.handler, lane.kind, lane.id, pb_data, row::micros(at)])?;
    Ok(())
}

pub(super) fn keep_attempt(
    db: &Connection,
    delivery: i64,
    claim: u32,
    attempt: &Attempt,
) -> Result<(), StoreError> {
    let (class, after, within) = row::outcome_columns(&attempt.outcome);
    db.prepare_cached(
        "INSERT INTO attempt (delivery, number, claim, started_at, ended_at, outcome, class, reason, after, within,
            request, response)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        delivery,
        attempt.number,
        claim,
        row::micros(attempt.started_at),
        row::micros(attempt.ended_at),
        attempt.outcome.word(),
        class,
        attempt.outcome.reason(),
        after,
        within,
        attempt.request,
        attempt.response,
    ])?;
    Ok(())
}

pub(super) fn settle(db: &Batch, settle: &Settle) -> Result<(), StoreError> {
    filing::file(db)?;
    let placed = deliveries::known(db, settle.delivery)?;
    if placed.claims != settle.claim || !matches!(placed.state, State::Awaiting { .. }) {
        return Err(StoreError::Overtaken(settle.delivery));
    }
    let seq = placed.place.seq;
    let settlement = &settle.settlement;
    let (class, after, _) = row::outcome_columns(&settlement.outcome);
    db.prepare_cached(
        "UPDATE attempt SET settled_at = ?3, settled_outcome = ?4, settled_class = ?5, settled_reason = ?6,
            settled_after = ?7, settled_body = ?8
         WHERE delivery = ?1 AND number = ?2",
    )?
    .execute(params![
        seq,
        placed.attempts,
        row::micros(settlement.at),
        settlement.outcome.word(),
        class,
        settlement.outcome.reason(),
        after,
        settlement.body,
    ])?;
    if matches!(settle.state, State::Delivered { .. }) {
        let pb_data: Option<String> = db
            .prepare_cached("SELECT pb_data FROM awaiting WHERE delivery = ?1")?
            .query_row([seq], |row| row.get(0))
            .optional()?
            .flatten();
        if let Some(pb_data) = pb_data {
            keep_last(db, placed.lane(), &pb_data, settlement.at)?;
        }
    }
    let Placed { attempts, since, .. } = placed;
    let onward = Onward { state: &settle.state, attempts, tries: settle.tries, since, at: settlement.at };
    deliveries::go_on(db, &placed, onward)?;
    settle.status.iter().try_for_each(|status| statuses::put(db, status, Told::Now))
}
