//! Deliveries: claimed in order, released, recorded, settled.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::lane::{self, Lane};
use super::pauses::Pauses;
use super::row::{self, delivery_columns, event_columns};
use super::{express, filing};
use crate::delivery::{Attempt, DeliveryId, State};
use crate::event::{Event, EventId, Subject};
use crate::store::{Claimed, Record, Settle, StoreError, Want};

/// What is due for one handler, the longest due first.
pub(super) const DUE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", ",
    event_columns!(),
    ", d.claims, l.pb_data
     FROM delivery d
     CROSS JOIN event e ON e.seq = d.seq / 1024
     LEFT JOIN last_delivered l
         ON l.handler = d.handler AND l.subject_kind = d.subject_kind AND l.subject_id = d.subject_id
     WHERE d.handler = ?1 AND d.head = 1 AND d.state = 'pending' AND d.at <= ?2
     ORDER BY d.at, d.seq
     LIMIT ?3"
);

const TAKE: &str = "UPDATE delivery SET state = 'in_flight', at = ?2, claims = claims + 1 WHERE seq = ?1";

pub(super) fn claim(db: &Batch, now: Timestamp, wants: &[Want]) -> Result<Vec<Claimed>, StoreError> {
    let pauses = Pauses::load(db)?;
    let mut claimed = Vec::new();
    for want in wants.iter().filter(|want| pauses.let_through(want)) {
        // first, since it may have to file what then is found in the tables
        let free = express::free(db, &want.handler, now, want.limit)?;
        let mut filed = due(db, now, want)?.into_iter().peekable();
        let mut free = free.into_iter().peekable();
        for _ in 0..want.limit {
            let first = match (filed.peek(), free.peek()) {
                (Some(filed), Some(free)) => (filed.0, filed.1) <= (free.due, free.seq),
                (filed, None) => filed.is_some(),
                (None, Some(_)) => false,
            };
            if first && let Some((_, seq, mut one)) = filed.next() {
                take(db, seq, &want.handler, now)?;
                one.delivery.state = State::InFlight { since: now };
                one.claim += 1;
                claimed.push(one);
            } else if let Some(free) = free.next() {
                claimed.push(take_unfiled(db, &free, &want.handler, now)?);
            } else {
                break;
            }
        }
    }
    claimed.iter().for_each(|one| db.flies(one));
    Ok(claimed)
}

/// What is due in the tables for one handler: since when, its number, and itself.
fn due(db: &Connection, now: Timestamp, want: &Want) -> Result<Vec<(i64, i64, Claimed)>, StoreError> {
    let limit = i64::try_from(want.limit).unwrap_or(i64::MAX);
    let mut due = db.prepare_cached(DUE)?;
    let found = due.query_map(params![want.handler, row::micros(now), limit], |found| {
        let (seq, one) = claimed_from(found)?;
        Ok((found.get(row::AT)?, seq, one))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// One that is pending in the tables is in flight.
pub(super) fn take(db: &Batch, seq: i64, handler: &str, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(TAKE)?.execute(params![seq, row::micros(now)])?;
    db.count(handler, "pending", -1);
    db.count(handler, "in_flight", 1);
    Ok(())
}

fn take_unfiled(
    db: &Batch,
    free: &express::Free,
    handler: &str,
    now: Timestamp,
) -> Result<Claimed, StoreError> {
    let mut claimed = free.claimed(handler, now, None);
    let Subject { kind, id } = &claimed.event.subject;
    claimed.last = db
        .prepare_cached(
            "SELECT pb_data FROM last_delivered WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3",
        )?
        .query_row(params![handler, kind.as_str(), id], |row| row.get(0))
        .optional()?;
    db.prepare_cached("INSERT OR FAIL INTO unfiled_claim (delivery, at) VALUES (?1, ?2)")?
        .execute(params![free.seq, row::micros(now)])?;
    db.take(free.seq, now);
    Ok(claimed)
}

fn claimed_from(found: &Row<'_>) -> rusqlite::Result<(i64, Claimed)> {
    let (seq, delivery) = row::delivery(found)?;
    let event = row::event(found, row::DELIVERY)?;
    let claim = found.get(row::DELIVERY + row::EVENT)?;
    let last = found.get(row::DELIVERY + row::EVENT + 1)?;
    Ok((seq, Claimed { delivery, claim, event, last }))
}

pub(super) const NEXT_DUE: &str =
    "SELECT min(at) FROM delivery WHERE handler = ?1 AND head = 1 AND state = 'pending'";

pub(super) fn next_due(db: &Batch, wants: &[Want]) -> Result<Option<Timestamp>, StoreError> {
    let pauses = Pauses::load(db)?;
    let mut soonest: Option<i64> = None;
    for want in wants.iter().filter(|want| pauses.let_through(want)) {
        let free = express::free(db, &want.handler, Timestamp::MAX, 1)?;
        let mut next = db.prepare_cached(NEXT_DUE)?;
        let at: Option<i64> = next.query_row([&want.handler], |row| row.get(0))?;
        soonest = soonest.into_iter().chain(at).chain(free.first().map(|free| free.due)).min();
    }
    Ok(soonest.map(row::time).transpose()?)
}

/// A delivery as its lane sees it.
pub(super) struct Placed {
    pub(super) place: lane::Place,
    handler: String,
    subject_kind: String,
    subject_id: String,
    pub(super) claims: u32,
    pub(super) attempts: u32,
    pub(super) tries: u32,
    pub(super) since: i64,
    head: bool,
    open: bool,
    pub(super) state: State,
}

impl Placed {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            place: lane::Place { seq: row.get(0)?, rank: row.get(1)?, order: row::order(row.get(2)?)? },
            handler: row.get(3)?,
            subject_kind: row.get(4)?,
            subject_id: row.get(5)?,
            claims: row.get(6)?,
            attempts: row.get(7)?,
            tries: row.get(8)?,
            since: row.get(9)?,
            head: row.get(10)?,
            open: row.get(11)?,
            state: row::state(row, 12)?,
        })
    }

    /// A claim isn't waited for, and the power may have taken it; an attempt that was recorded of it proves that it was made.
    fn lacks_claim_of(&self, record: &Record) -> bool {
        matches!(self.state, State::Pending { .. }) && self.claims + 1 == record.claim
    }

    pub(super) fn lane(&self) -> Lane<'_> {
        Lane { handler: &self.handler, kind: &self.subject_kind, id: &self.subject_id }
    }
}

/// Columns that [`Placed`] reads, `d` being the table.
macro_rules! placed_columns {
    () => {
        "d.seq, d.rank, d.mode, d.handler, d.subject_kind, d.subject_id, d.claims, d.attempts, d.tries, d.since, \
         d.head, d.open, d.state, d.at, d.reason"
    };
}

const PLACED: &str = concat!(
    "SELECT ",
    placed_columns!(),
    ", e.id FROM delivery d CROSS JOIN event e ON e.seq = d.seq / 1024 WHERE d.seq = ?1"
);

/// The delivery with this id; its number alone would also find that of another store.
pub(super) fn placed(db: &Connection, id: DeliveryId) -> Result<Option<Placed>, StoreError> {
    let found = db
        .prepare_cached(PLACED)?
        .query_row([row::delivery_seq(id)], |row| {
            let event = EventId(uuid::Uuid::from_bytes(row.get(15)?));
            Ok((Placed::read(row)?, event))
        })
        .optional()?;
    Ok(found
        .filter(|(placed, event)| row::delivery_id(*event, placed.place.seq) == id)
        .map(|(placed, _)| placed))
}

fn known(db: &Connection, id: DeliveryId) -> Result<Placed, StoreError> {
    placed(db, id)?.ok_or_else(|| StoreError::Rejected(format!("there is no delivery {id}")))
}

/// How a delivery goes on.
pub(super) struct Onward<'a> {
    pub(super) state: &'a State,
    pub(super) attempts: u32,
    pub(super) tries: u32,
    pub(super) since: i64,
    /// When that is: for one that turns out to be superseded.
    pub(super) at: Timestamp,
}

pub(super) fn release(
    db: &Batch,
    delivery: DeliveryId,
    claim: u32,
    due: Timestamp,
) -> Result<(), StoreError> {
    filing::file(db)?;
    let placed = known(db, delivery)?;
    let State::InFlight { since } = placed.state else { return Err(StoreError::Overtaken(delivery)) };
    if placed.claims != claim {
        return Err(StoreError::Overtaken(delivery));
    }
    let state = State::Pending { due };
    let Placed { attempts, tries, since: horizon, .. } = placed;
    go_on(db, &placed, Onward { state: &state, attempts, tries, since: horizon, at: since })
}

pub(super) fn record(db: &Batch, record: &Record) -> Result<(), StoreError> {
    filing::file(db)?;
    let placed = known(db, record.delivery)?;
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
    keep(db, &placed, record)
}

/// Writes an attempt down that was recorded in the journal. What it says has been promised to whoever recorded it; that it
/// doesn't fit what is there can only be a mistake in the gateway.
pub(super) fn catch_up(db: &Batch, record: &Record) -> Result<(), StoreError> {
    let id = record.delivery;
    db.drop_left(row::delivery_seq(id));
    let Some(mut placed) = placed(db, id)? else {
        tracing::error!(delivery = %id, "an attempt was recorded of a delivery that isn't there");
        return Ok(());
    };
    if placed.lacks_claim_of(record) {
        let since = record.attempt.started_at;
        take(db, placed.place.seq, &placed.handler, since)?;
        placed.claims += 1;
        placed.state = State::InFlight { since };
    }
    let fits = placed.claims == record.claim && placed.attempts + 1 == record.attempt.number;
    if fits && matches!(placed.state, State::InFlight { .. }) {
        return keep(db, &placed, record);
    }
    if !is_recorded(db, placed.place.seq, record)? {
        let (number, state) = (record.attempt.number, placed.state.word());
        tracing::error!(delivery = %id, number, state, "an attempt was recorded that doesn't fit its delivery");
    }
    Ok(())
}

/// Makes the claim again that an attempt was recorded of, if the power has taken it.
pub(super) fn claim_again(db: &Batch, record: &Record) -> Result<(), StoreError> {
    match placed(db, record.delivery)?.filter(|placed| placed.lacks_claim_of(record)) {
        Some(placed) => take(db, placed.place.seq, &placed.handler, record.attempt.started_at),
        None => Ok(()),
    }
}

/// Writes down the attempt of one that is in flight, and what follows from it.
fn keep(db: &Batch, placed: &Placed, record: &Record) -> Result<(), StoreError> {
    keep_attempt(db, placed.place.seq, record.claim, &record.attempt)?;
    let (attempts, since, at) = (record.attempt.number, placed.since, record.attempt.ended_at);
    let onward = Onward { state: &record.state, attempts, tries: record.tries, since, at };
    go_on(db, placed, onward)?;
    match &record.state {
        State::Delivered { .. } => {
            if let Some(pb_data) = &record.last {
                keep_last(db, placed.lane(), pb_data, record.attempt.ended_at)?;
            }
        }
        State::Awaiting { deadline } => {
            db.prepare_cached(
                "INSERT INTO awaiting (delivery, claim, deadline, pb_data) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                placed.place.seq,
                record.claim,
                row::micros(*deadline),
                record.last
            ])?;
        }
        _ => {}
    }
    match &record.status {
        Some(status) => super::statuses::put(db, status),
        None => Ok(()),
    }
}

const INSERT_DELIVERED: &str = "\
    INSERT OR FAIL INTO delivery
        (seq, handler, subject_kind, subject_id, mode, rank, state, at, reason, attempts, tries, claims, accepted_at, since,
         open, head)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'delivered', ?7, NULL, ?8, ?9, ?10, ?11, ?11, 0, 0)";

/// Puts down a delivery that was delivered before it was filed, with its only attempt. It has left its lane already.
pub(super) fn insert_delivered(
    db: &Batch,
    lane: Lane<'_>,
    me: lane::Place,
    event: &Event,
    record: &Record,
) -> Result<(), StoreError> {
    let (at, _) = row::state_columns(&record.state);
    db.prepare_cached(INSERT_DELIVERED)?.execute(params![
        me.seq,
        lane.handler,
        lane.kind,
        lane.id,
        row::mode(me.order),
        me.rank,
        at,
        record.attempt.number,
        record.tries,
        record.claim,
        row::micros(event.received_at),
    ])?;
    db.count(lane.handler, record.state.word(), 1);
    keep_attempt(db, me.seq, record.claim, &record.attempt)?;
    if let Some(pb_data) = &record.last {
        keep_last(db, lane, pb_data, record.attempt.ended_at)?;
    }
    match &record.status {
        Some(status) => super::statuses::put(db, status),
        None => Ok(()),
    }
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

fn keep_attempt(db: &Connection, delivery: i64, claim: u32, attempt: &Attempt) -> Result<(), StoreError> {
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
    let placed = known(db, settle.delivery)?;
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
    go_on(db, &placed, onward)?;
    match &settle.status {
        Some(status) => super::statuses::put(db, status),
        None => Ok(()),
    }
}

pub(super) const OVERDUE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", ",
    event_columns!(),
    ", d.claims, a.pb_data
     FROM awaiting a
     CROSS JOIN delivery d ON d.seq = a.delivery
     CROSS JOIN event e ON e.seq = d.seq / 1024
     WHERE a.deadline <= ?1
     ORDER BY a.deadline
     LIMIT ?2"
);

pub(super) fn overdue(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<Claimed>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut overdue = db.prepare_cached(OVERDUE)?;
    let found = overdue.query_map(params![row::micros(now), limit], claimed_from)?;
    found.map(|found| Ok(found?.1)).collect()
}

pub(super) const NEXT_DEADLINE: &str = "SELECT min(deadline) FROM awaiting";

pub(super) fn next_deadline(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let deadline: Option<i64> = db.prepare_cached(NEXT_DEADLINE)?.query_row([], |row| row.get(0))?;
    Ok(deadline.map(row::time).transpose()?)
}

/// Writes the state down, and what that means for the lane.
pub(super) fn go_on(db: &Batch, placed: &Placed, onward: Onward<'_>) -> Result<(), StoreError> {
    let Placed { place, .. } = *placed;
    let lane = placed.lane();
    let newer = match onward.state {
        State::Pending { .. } => lane::give_way(db, lane, place, onward.at)?,
        _ => None,
    };
    let superseded = newer.map(|by| State::Superseded { at: onward.at, by });
    let state = superseded.as_ref().unwrap_or(onward.state);
    let open = state.holds(place.order);
    let (at, reason) = row::state_columns(state);
    db.count(&placed.handler, placed.state.word(), -1);
    db.count(&placed.handler, state.word(), 1);
    db.prepare_cached(
        "UPDATE delivery SET state = ?2, at = ?3, reason = ?4, attempts = ?5, tries = ?6, since = ?7, open = ?8,
            head = head AND ?8
         WHERE seq = ?1",
    )?
    .execute(params![place.seq, state.word(), at, reason, onward.attempts, onward.tries, onward.since, open])?;
    if matches!(placed.state, State::Awaiting { .. }) {
        db.prepare_cached("DELETE FROM awaiting WHERE delivery = ?1")?.execute([place.seq])?;
    }
    match state {
        _ if !placed.head => Ok(()),
        _ if !open => lane::advance(db, lane),
        State::Pending { .. } => lane::step_back(db, lane, place.seq),
        _ => Ok(()),
    }
}

/// Opens one that is closed, or that is parked and holds its lane, as pending again. Answers whether it did: where the order
/// is latest, one that a newer one makes superfluous stays as it is.
pub(super) fn reopen(
    db: &Batch,
    placed: &Placed,
    id: DeliveryId,
    due: Timestamp,
) -> Result<bool, StoreError> {
    let Placed { place, attempts, .. } = *placed;
    let (state, since) = (State::Pending { due }, row::micros(due));
    if placed.open {
        go_on(db, placed, Onward { state: &state, attempts, tries: 0, since, at: due })?;
        return Ok(true);
    }
    let entry = lane::enter(db, placed.lane(), place, id, due)?;
    if matches!(entry, lane::Entry::Superseded(_)) {
        return Ok(false);
    }
    db.count(&placed.handler, placed.state.word(), -1);
    db.count(&placed.handler, state.word(), 1);
    db.prepare_cached(
        "UPDATE delivery SET state = 'pending', at = ?2, reason = NULL, tries = 0, since = ?2, open = 1, head = ?3
         WHERE seq = ?1",
    )?
    .execute(params![place.seq, since, entry == lane::Entry::Head])?;
    Ok(true)
}

/// What was in flight when the gateway died, by way of the tally, so that it costs what there is to do and not what there
/// is.
pub(super) const INTERRUPTED: &str = concat!(
    "SELECT ",
    placed_columns!(),
    " FROM tally t
     CROSS JOIN delivery d ON d.handler = t.handler AND d.state = 'in_flight' AND d.state <> 'delivered'
     WHERE t.state = 'in_flight' AND t.count > 0"
);

/// What was in flight when the gateway died is pending again; answers how many. The external system didn't fail, so that
/// isn't counted as a try.
pub(super) fn recover(db: &Batch, now: Timestamp) -> Result<usize, StoreError> {
    let found = db.prepare(INTERRUPTED)?.query_map([], Placed::read)?.collect::<Result<Vec<_>, _>>()?;
    for placed in &found {
        let (state, outcome) = placed.state.interrupted(now);
        let (State::InFlight { since: started_at }, Some(outcome)) = (&placed.state, outcome) else {
            continue;
        };
        let number = placed.attempts + 1;
        let attempt = Attempt {
            number,
            started_at: *started_at,
            ended_at: now,
            outcome,
            request: None,
            response: None,
            settled: None,
        };
        keep_attempt(db, placed.place.seq, placed.claims, &attempt)?;
        let Placed { tries, since, .. } = *placed;
        go_on(db, placed, Onward { state: &state, attempts: number, tries, since, at: now })?;
    }
    Ok(found.len())
}
