//! Which deliveries are to be dealt with: due ones are claimed in order, and given back; overdue ones are told.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::batch::Batch;
use super::deliveries::{self, Onward, Placed};
use super::pauses::Pauses;
use super::row::{self, delivery_columns, event_columns};
use super::{control, express, filing};
use crate::delivery::{DeliveryId, State};
use crate::store::{Claimed, StoreError, Want};

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
        let Due { filed, free, seen } = due(db, now, want, Late::IfNeeded)?;
        let (mut filed, mut free) = (filed.into_iter().peekable(), free.into_iter().peekable());
        let already = claimed.len();
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
        claimed[already..].iter().for_each(|one| db.flies(one, seen));
    }
    Ok(claimed)
}

/// Whether the attempts recorded last are filed first: what waits behind them in their lanes may be due longer than what is free.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    Always,
    /// If there isn't enough else to do.
    IfNeeded,
}

/// What is due for one handler: in the tables, and before it is filed.
struct Due {
    filed: Vec<Filed>,
    free: Vec<express::Free>,
    /// What is in the lanes of these has this number or a lower one; what comes into them later has a higher one.
    seen: i64,
}

fn due(db: &Batch, now: Timestamp, want: &Want, late: Late) -> Result<Due, StoreError> {
    // before it is looked what is in the inbox of these lanes
    let seen = db.inbox.last();
    let mut found = match late {
        Late::IfNeeded => filed(db, now, want)?,
        Late::Always => Vec::new(),
    };
    if found.len() < want.limit && (late == Late::Always || db.inbox.has_late()) {
        filing::file_late(db, usize::MAX)?;
        found = filed(db, now, want)?;
    }
    // a backlog comes before all that has just arrived, and then nobody need know what of that is free
    let last = found.last().filter(|_| found.len() >= want.limit);
    let until = last.map_or(row::micros(now), |(due, ..)| *due);
    let free = express::free(db, &want.handler, until, want.limit)?;
    // what isn't filed may come before one that is
    let mixed = found.iter().any(|(.., one)| db.inbox.is_in(&want.handler, &one.delivery.subject));
    match free {
        Some(free) if !mixed => Ok(Due { filed: found, free, seen }),
        _ => {
            filing::file(db)?;
            Ok(Due { filed: filed(db, now, want)?, free: Vec::new(), seen: db.filed() })
        }
    }
}

/// One that is due in the tables: since when, its number, and itself.
type Filed = (i64, i64, Claimed);

fn filed(db: &Connection, now: Timestamp, want: &Want) -> Result<Vec<Filed>, StoreError> {
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
    let last = control::last(db, handler, free.subject())?.map(|(pb_data, _)| pb_data);
    db.prepare_cached("INSERT OR FAIL INTO unfiled_claim (delivery, at) VALUES (?1, ?2)")?
        .execute(params![free.seq, row::micros(now)])?;
    db.take(free.seq, now);
    Ok(free.claimed(handler, now, last))
}

fn claimed_from(found: &Row<'_>) -> rusqlite::Result<(i64, Claimed)> {
    let (seq, delivery) = row::delivery(found)?;
    let event = row::event(found, row::DELIVERY)?;
    let claim = found.get(row::DELIVERY + row::EVENT)?;
    let last = found.get(row::DELIVERY + row::EVENT + 1)?;
    Ok((seq, Claimed { delivery, claim, event, last }))
}

pub(super) fn next_due(db: &Batch, wants: &[Want]) -> Result<Option<Timestamp>, StoreError> {
    let pauses = Pauses::load(db)?;
    let mut soonest: Option<i64> = None;
    for want in wants.iter().filter(|want| pauses.let_through(want)) {
        let Due { filed, free, .. } =
            due(db, Timestamp::MAX, &Want { limit: 1, ..want.clone() }, Late::Always)?;
        let filed = filed.first().map(|(due, ..)| *due);
        soonest = soonest.into_iter().chain(filed).chain(free.first().map(|free| free.due)).min();
    }
    Ok(soonest.map(row::time).transpose()?)
}

pub(super) fn release(
    db: &Batch,
    delivery: DeliveryId,
    claim: u32,
    due: Timestamp,
) -> Result<(), StoreError> {
    filing::file(db)?;
    let placed = deliveries::known(db, delivery)?;
    let State::InFlight { since } = placed.state else { return Err(StoreError::Overtaken(delivery)) };
    if placed.claims != claim {
        return Err(StoreError::Overtaken(delivery));
    }
    let state = State::Pending { due };
    let Placed { attempts, tries, since: horizon, .. } = placed;
    deliveries::go_on(db, &placed, Onward { state: &state, attempts, tries, since: horizon, at: since })
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
