//! Lanes: all deliveries of one handler and subject that are still to be dealt with, in order; who enters, who is the head.
//!
//! Only the head can be claimed, and that it is the head is written down. It is the first by rank, then by number, unless
//! another is in flight, awaits its callback or is parked and holds the lane: then that one stays the head until it goes.
//! While the subject is paused, a lane has no head but one that is in flight or awaiting.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::batch::Batch;
use super::{record, row};
use crate::delivery::{DeliveryId, State};
use crate::event::EventId;
use crate::handler::Order;
use crate::store::StoreError;

/// A handler and subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane<'a> {
    pub(super) handler: &'a str,
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
}

/// A place in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: i64,
    pub(super) rank: i64,
    pub(super) order: Order,
}

impl Place {
    fn is_before(self, other: Self) -> bool {
        (self.rank, self.seq) < (other.rank, other.seq)
    }
}

/// One that is in the lane already.
struct Present {
    place: Place,
    pending: bool,
    head: bool,
}

impl Present {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            place: Place { seq: row.get(0)?, rank: row.get(1)?, order: row::order(row.get(2)?)? },
            pending: row.get(3)?,
            head: row.get(4)?,
        })
    }
}

/// What becomes of one that wants to enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is the next.
    Head,
    /// Others are before it, or the subject is paused.
    Waits,
    /// Its order is latest, and this newer one waits already.
    Superseded(DeliveryId),
}

pub(super) const FIRST: &str = "\
    SELECT seq, rank, mode, state = 'pending', head FROM delivery
    WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3 AND open = 1
    ORDER BY rank, seq LIMIT 1";

pub(super) const WAITING: &str = "\
    SELECT seq, rank, mode, 1, head FROM delivery
    WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3 AND open = 1 AND state = 'pending'
    ORDER BY rank, seq";

/// The first that is open.
fn first(db: &Batch, lane: Lane<'_>) -> Result<Option<Present>, StoreError> {
    let mut first = db.prepare_cached(FIRST)?;
    Ok(first.query_row(params![lane.handler, lane.kind, lane.id], Present::read).optional()?)
}

/// Whether somebody is in it.
pub(super) fn is_held(db: &Batch, lane: Lane<'_>) -> Result<bool, StoreError> {
    Ok(first(db, lane)?.is_some())
}

/// Makes room for one that isn't open (yet): afterwards it is to be put down as the answer says.
pub(super) fn enter(
    db: &Batch,
    lane: Lane<'_>,
    me: Place,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Entry, StoreError> {
    take_what_was_claimed_before(db, lane, me)?;
    if me.order == Order::Latest {
        let newer = supersede_older(db, lane, me, id, now)?;
        if let Some(newer) = newer {
            return Ok(Entry::Superseded(newer));
        }
    }
    let heads = match first(db, lane)? {
        None => !is_paused(db, lane)?,
        Some(first) if me.is_before(first.place) && first.head && first.pending => {
            set_head(db, first.place.seq, false)?;
            true
        }
        Some(_) => false,
    };
    Ok(if heads { Entry::Head } else { Entry::Waits })
}

/// One that is due at `due` has come and waits behind others: if the first of these waits for nothing but its turn at the rate of an
/// operator, it and all that do so are due as well. Else an event would have to wait for hours, since its subject is replayed.
pub(super) fn hurry(db: &Batch, lane: Lane<'_>, due: Timestamp) -> Result<(), StoreError> {
    let due = row::micros(due);
    let spread: Option<bool> = db
        .prepare_cached(FIRST_IS_SPREAD)?
        .query_row(params![lane.handler, lane.kind, lane.id, due], |row| row.get(0))
        .optional()?;
    if spread == Some(true) {
        db.prepare_cached(HURRY)?.execute(params![lane.handler, lane.kind, lane.id, due])?;
    }
    Ok(())
}

pub(super) const FIRST_IS_SPREAD: &str = "\
    SELECT state = 'pending' AND tries = 0 AND at = since AND at > ?4 FROM delivery
    WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3 AND open = 1
    ORDER BY rank, seq LIMIT 1";

pub(super) const HURRY: &str = "\
    UPDATE delivery SET at = ?4, since = ?4
    WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3 AND open = 1 AND state = 'pending'
        AND tries = 0 AND at = since AND at > ?4";

/// Those that wait, in order.
fn waiting(db: &Batch, lane: Lane<'_>) -> Result<Vec<Present>, StoreError> {
    let mut waiting = db.prepare_cached(WAITING)?;
    let found = waiting.query_map(params![lane.handler, lane.kind, lane.id], Present::read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Nobody who is on the way is superseded, nor is anybody let in before: of a gateway that died the head is, if its attempt was recorded
/// later under a claim that knew nothing of `me`.
fn take_what_was_claimed_before(db: &Batch, lane: Lane<'_>, me: Place) -> Result<(), StoreError> {
    if !db.has_left() {
        return Ok(());
    }
    let head = first(db, lane)?.filter(|first| first.head && first.pending);
    let left = head.and_then(|head| db.next_left(head.place.seq));
    match left.filter(|left| left.seen < me.seq / row::DELIVERIES) {
        Some(left) => record::claim_again(db, &left.record),
        None => Ok(()),
    }
}

/// Where the order is latest: those that wait and are older are superseded by `me`; answers one that is newer.
fn supersede_older(
    db: &Batch,
    lane: Lane<'_>,
    me: Place,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Option<DeliveryId>, StoreError> {
    let waiting = waiting(db, lane)?;
    if let Some(newest) = waiting.last().filter(|last| me.is_before(last.place)) {
        return Ok(Some(id_of(db, newest.place.seq)?));
    }
    let by = State::Superseded { at: now, by: id };
    for older in waiting.iter().filter(|one| one.place.order == Order::Latest && one.place.seq != me.seq) {
        db.count(lane.handler, "pending", -1);
        db.count(lane.handler, by.word(), 1);
        let (at, reason) = row::state_columns(&by);
        db.prepare_cached(CLOSE)?.execute(params![older.place.seq, by.word(), at, reason])?;
        if older.head {
            advance(db, lane)?;
        }
    }
    Ok(None)
}

const CLOSE: &str = "UPDATE delivery SET state = ?2, at = ?3, reason = ?4, open = 0, head = 0 WHERE seq = ?1";

/// `me` is to wait again. Where the order is latest: those that wait and are older are superseded by it; answers one that is newer,
/// which supersedes it.
pub(super) fn give_way(
    db: &Batch,
    lane: Lane<'_>,
    me: Place,
    now: Timestamp,
) -> Result<Option<DeliveryId>, StoreError> {
    if me.order != Order::Latest {
        return Ok(None);
    }
    let id = id_of(db, me.seq)?;
    supersede_older(db, lane, me, id, now)
}

/// The head has gone, or there was none: the first that is open is it now.
pub(super) fn advance(db: &Batch, lane: Lane<'_>) -> Result<(), StoreError> {
    if let Some(first) = first(db, lane)?
        && !(first.pending && is_paused(db, lane)?)
    {
        set_head(db, first.place.seq, true)?;
    }
    Ok(())
}

/// The head waits again: one that came meanwhile may be before it.
pub(super) fn step_back(db: &Batch, lane: Lane<'_>, seq: i64) -> Result<(), StoreError> {
    let Some(first) = first(db, lane)? else { return Ok(()) };
    if first.place.seq != seq || is_paused(db, lane)? {
        set_head(db, seq, false)?;
        advance(db, lane)?;
    }
    Ok(())
}

/// The subject is paused: nobody that waits is the head.
pub(super) fn hold(db: &Batch, lane: Lane<'_>) -> Result<(), StoreError> {
    db.prepare_cached(HOLD)?.execute(params![lane.handler, lane.kind, lane.id])?;
    Ok(())
}

pub(super) const HOLD: &str = "\
    UPDATE delivery SET head = 0
    WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3 AND open = 1 AND state = 'pending' AND head = 1";

/// The subject isn't paused any more.
pub(super) fn let_go(db: &Batch, lane: Lane<'_>) -> Result<(), StoreError> {
    let headed: bool =
        db.prepare_cached(HEADED)?.query_row(params![lane.handler, lane.kind, lane.id], |row| row.get(0))?;
    if headed { Ok(()) } else { advance(db, lane) }
}

pub(super) const HEADED: &str = "\
    SELECT EXISTS (SELECT 1 FROM delivery
        WHERE handler = ?1 AND subject_kind = ?2 AND subject_id = ?3 AND open = 1 AND head = 1)";

fn set_head(db: &Batch, seq: i64, head: bool) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE delivery SET head = ?2 WHERE seq = ?1")?.execute(params![seq, head])?;
    Ok(())
}

fn is_paused(db: &Batch, lane: Lane<'_>) -> Result<bool, StoreError> {
    if !db.subjects_paused()? {
        return Ok(false);
    }
    let mut paused = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM pause WHERE scope = 'subject' AND name = ?1 || ' ' || ?2)",
    )?;
    Ok(paused.query_row([lane.kind, lane.id], |row| row.get(0))?)
}

fn id_of(db: &Batch, seq: i64) -> Result<DeliveryId, StoreError> {
    let event: [u8; 16] = db
        .prepare_cached("SELECT id FROM event WHERE seq = ?1 / 1024")?
        .query_row([seq], |row| row.get(0))?;
    Ok(row::delivery_id(EventId(uuid::Uuid::from_bytes(event)), seq))
}

/// `OR FAIL`, since an error undoes the whole transaction: else SQLite copies each page to be able to undo the statement.
const INSERT: &str = "\
    INSERT OR FAIL INTO delivery
        (seq, handler, subject_kind, subject_id, mode, rank, state, at, reason, attempts, tries, claims, accepted_at, since,
         open, head)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

/// Puts a new delivery into its lane, due at `due`. Answers whether it is the next.
pub(super) fn insert(
    db: &Batch,
    lane: Lane<'_>,
    me: Place,
    event: EventId,
    accepted_at: Timestamp,
    due: Timestamp,
) -> Result<bool, StoreError> {
    let entry = enter(db, lane, me, row::delivery_id(event, me.seq), due)?;
    let state = match entry {
        Entry::Superseded(by) => State::Superseded { at: due, by },
        Entry::Head | Entry::Waits => State::Pending { due },
    };
    let put = Put {
        state: &state,
        attempts: 0,
        tries: 0,
        claims: 0,
        accepted_at,
        since: due,
        open: !matches!(entry, Entry::Superseded(_)),
        head: entry == Entry::Head,
    };
    self::put(db, lane, me, &put)?;
    Ok(put.head)
}

/// A delivery that isn't in the tables, as it is to be put down.
pub(super) struct Put<'a> {
    pub(super) state: &'a State,
    pub(super) attempts: u32,
    pub(super) tries: u32,
    pub(super) claims: u32,
    pub(super) accepted_at: Timestamp,
    pub(super) since: Timestamp,
    pub(super) open: bool,
    pub(super) head: bool,
}

/// Puts it down at its place, whatever else is in the lane.
pub(super) fn put(db: &Batch, lane: Lane<'_>, me: Place, put: &Put<'_>) -> Result<(), StoreError> {
    let (at, reason) = row::state_columns(put.state);
    db.prepare_cached(INSERT)?.execute(params![
        me.seq,
        lane.handler,
        lane.kind,
        lane.id,
        row::mode(me.order),
        me.rank,
        put.state.word(),
        at,
        reason,
        put.attempts,
        put.tries,
        put.claims,
        row::micros(put.accepted_at),
        row::micros(put.since),
        put.open,
        put.head,
    ])?;
    db.count(lane.handler, put.state.word(), 1);
    Ok(())
}
