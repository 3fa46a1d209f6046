//! Deliveries as they stand in the tables: found, moved on, opened again, recovered.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::batch::Batch;
use super::lane::{self, Lane};
use super::{record, row};
use crate::delivery::{Attempt, DeliveryId, State};
use crate::event::{EventId, Subject, SubjectKind};
use crate::store::{Record, StoreError};

/// A delivery as its lane sees it.
pub(super) struct Placed {
    pub(super) place: lane::Place,
    pub(super) handler: String,
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
    pub(super) fn lacks_claim_of(&self, record: &Record) -> bool {
        matches!(self.state, State::Pending { .. }) && self.claims + 1 == record.claim
    }

    /// The account that it is about, where it is about one.
    pub(super) fn i_account(&self) -> Option<i64> {
        let kind = SubjectKind::from_word(&self.subject_kind)?;
        Subject { kind, id: self.subject_id.clone() }.i_account()
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

/// The delivery with this id, which somebody got from here.
pub(super) fn known(db: &Connection, id: DeliveryId) -> Result<Placed, StoreError> {
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

/// One that waits is due at another time, from which its schedule begins anew; its place in the lane stays.
pub(super) fn hasten(db: &Batch, placed: &Placed, due: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE delivery SET at = ?2, tries = 0, since = ?2 WHERE seq = ?1")?
        .execute(params![placed.place.seq, row::micros(due)])?;
    Ok(())
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
        record::keep_attempt(db, placed.place.seq, placed.claims, &attempt)?;
        let Placed { tries, since, .. } = *placed;
        go_on(db, placed, Onward { state: &state, attempts: number, tries, since, at: now })?;
    }
    Ok(found.len())
}
