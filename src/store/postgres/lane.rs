//! Lanes: all deliveries of one handler and subject that are still to be dealt with, in order.
//!
//! A lane is a row that says which of them is the head and when that is due, so that a claim finds it whatever waits behind it; and
//! that row is the lock under which the lane's deliveries change. Whoever locks several does so in the order of their ids, so
//! nobody waits crosswise; a claim skips those that are locked.
//!
//! The head is the first by rank, then by number, unless the lane is held: by one that is in flight, awaits its callback, or is
//! parked where the order is strict.

use tokio_postgres::Row;
use uuid::Uuid;

use super::connect::Session;
use super::fault::Fault;
use super::row::{self, Columns};
use crate::delivery::{DeliveryId, State};
use crate::event::{EventId, Subject};
use crate::handler::Order;
use crate::store::StoreError;
use crate::store::number::{delivery_id, delivery_seq};

/// A delivery as its lane sees it.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) seq: i64,
    pub(super) id: DeliveryId,
    pub(super) lane: Uuid,
    pub(super) handler: String,
    pub(super) subject: Subject,
    pub(super) order: Order,
    pub(super) rank: i64,
    pub(super) claims: u32,
    pub(super) attempts: u32,
    pub(super) tries: u32,
    pub(super) since: i64,
    pub(super) gateway: Option<Uuid>,
    pub(super) state: State,
}

impl Placed {
    fn read(row: &Row) -> Result<Self, Fault> {
        let mut columns = Columns::of(row);
        let seq = columns.next()?;
        Ok(Self {
            seq,
            id: delivery_id(EventId(columns.next()?), seq),
            lane: columns.next()?,
            handler: columns.text()?,
            subject: columns.subject()?,
            order: row::order(columns.next()?)?,
            rank: columns.next()?,
            claims: columns.count()?,
            attempts: columns.count()?,
            tries: columns.count()?,
            since: columns.next()?,
            gateway: columns.next()?,
            state: columns.state()?,
        })
    }

    /// Its place: what has a lower one goes first.
    pub(super) fn place(&self) -> (i64, i64) {
        (self.rank, self.seq)
    }
}

pub(super) const LOCK: &str = "\
    SELECT 1 FROM unnest($1::int8[]) AS w (seq) JOIN delivery d ON d.seq = w.seq JOIN lane l ON l.id = d.lane
    ORDER BY l.id FOR UPDATE OF l";

/// The same for deliveries that may not be in their lanes any more.
const ENTER: &str = "\
    INSERT INTO lane AS l (id, handler, subject_kind, subject_id, head, rank, due)
    SELECT DISTINCT ON (d.lane) d.lane, d.handler, d.subject_kind, d.subject_id, d.seq, d.rank, d.at
    FROM unnest($1::int8[]) AS w (seq) JOIN delivery d ON d.seq = w.seq
    ORDER BY d.lane
    ON CONFLICT (id) DO UPDATE SET head = l.head";

/// Once the lanes are locked: what was written before that is seen by a statement that begins afterwards.
pub(super) const PLACED: &str = "\
    SELECT d.seq, e.id, d.lane, d.handler, d.subject_kind, d.subject_id, d.mode, d.rank, d.claims, d.attempts, d.tries, d.since,
        d.gateway, d.state, d.at, d.reason
    FROM unnest($1::int8[]) AS w (seq) JOIN delivery d ON d.seq = w.seq JOIN event e ON e.seq = d.seq / 1024
    ORDER BY d.seq FOR UPDATE OF d";

/// Whether the lanes must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    /// Only those that are.
    Present,
    /// They are made, and deliveries may enter.
    Any,
}

/// Begins a transaction and locks the lanes of these deliveries; answers those deliveries, in no particular order. One whose number
/// is another store's isn't among them.
pub(super) async fn lock(
    session: &mut Session,
    ids: &[DeliveryId],
    lanes: Into,
) -> Result<Vec<Placed>, Fault> {
    let seqs: Vec<i64> = ids.iter().map(|id| delivery_seq(*id)).collect();
    session.begin();
    let mut placed = lock_seqs(session, &seqs, lanes).await?;
    placed.retain(|one| ids.contains(&one.id));
    Ok(placed)
}

/// The same in a transaction that has begun, by the deliveries' numbers.
pub(super) async fn lock_seqs(
    session: &mut Session,
    seqs: &[i64],
    lanes: Into,
) -> Result<Vec<Placed>, Fault> {
    session.rows(if lanes == Into::Any { ENTER } else { LOCK }, &[&seqs]).await?;
    session.rows(PLACED, &[&seqs]).await?.iter().map(Placed::read).collect()
}

/// The delivery with this id among those that are locked.
pub(super) fn known(placed: &[Placed], id: DeliveryId) -> Result<&Placed, StoreError> {
    let found = placed.iter().find(|placed| placed.id == id);
    found.ok_or_else(|| StoreError::Rejected(format!("there is no delivery {id}")))
}

/// Where the order is latest: those that wait and are older than the newest that waits are superseded by it. `$1` lanes, `$2` when
/// that is, for each.
pub(super) const SUPERSEDE: &str = "\
    WITH gone AS (
        UPDATE delivery d SET state = 'superseded', open = false, at = w.at,
            reason = (left(replace(e.id::text, '-', ''), 20) || lpad(to_hex(n.seq), 12, '0'))::uuid::text
        FROM unnest($1::uuid[], $2::int8[]) AS w (lane, at)
        CROSS JOIN LATERAL (
            SELECT n.seq, n.rank FROM delivery n WHERE n.lane = w.lane AND n.open AND n.state = 'pending'
            ORDER BY n.rank DESC, n.seq DESC LIMIT 1) n
        JOIN event e ON e.seq = n.seq / 1024
        WHERE d.lane = w.lane AND d.open AND d.mode = 2 AND d.state = 'pending' AND (d.rank, d.seq) < (n.rank, n.seq)
        RETURNING d.handler)
    INSERT INTO tally_change (handler, state, by)
    SELECT g.handler, s.state, s.by * count(*)
    FROM gone g CROSS JOIN (VALUES ('pending', -1), ('superseded', 1)) AS s (state, by)
    GROUP BY g.handler, s.state, s.by";

/// Writes down who is the head now, and who holds the lane; one where nothing is open any more is gone. `$1` lanes.
pub(super) const ADVANCE: &str = "\
    WITH looked AS MATERIALIZED (
        SELECT l.id, h.seq, h.rank, h.at, h.state, b.seq AS held
        FROM unnest($1::uuid[]) AS w (id)
        JOIN lane l ON l.id = w.id
        LEFT JOIN LATERAL (
            SELECT d.seq, d.rank, d.at, d.state FROM delivery d WHERE d.lane = l.id AND d.open
            ORDER BY d.rank, d.seq LIMIT 1) h ON true
        LEFT JOIN delivery b ON b.seq = l.held AND CASE WHEN b.open THEN b.state END <> 'pending'
    ), gone AS (
        DELETE FROM lane l USING looked o WHERE l.id = o.id AND o.seq IS NULL
    )
    UPDATE lane l SET head = o.seq, rank = o.rank, due = o.at,
        held = coalesce(o.held, CASE WHEN o.state <> 'pending' THEN o.seq END)
    FROM looked o WHERE l.id = o.id AND o.seq IS NOT NULL";

/// Something that is due at `$2` has come into each of the lanes `$1`: if the head waits for nothing but its turn at the rate of an
/// operator, it and all that do so are due as well. Else an event would have to wait for hours, since its subject is replayed.
///
/// What is behind `OFFSET 0` is looked up by the lane, or the number, however few rows there were when the plan was made.
pub(super) const HURRY: &str = "\
    WITH late AS MATERIALIZED (
        SELECT l.id, w.due FROM unnest($1::uuid[], $2::int8[]) AS w (lane, due)
        CROSS JOIN LATERAL (SELECT l.id, l.head, l.due FROM lane l WHERE l.id = w.lane OFFSET 0) l
        CROSS JOIN LATERAL (SELECT h.* FROM delivery h WHERE l.due > w.due AND h.seq = l.head OFFSET 0) h
        WHERE h.open AND h.state = 'pending' AND h.tries = 0 AND h.at = h.since AND h.at > w.due
    ), spread AS MATERIALIZED (
        SELECT d.seq, late.due FROM late
        CROSS JOIN LATERAL (SELECT d.* FROM delivery d WHERE d.lane = late.id AND d.open OFFSET 0) d
        WHERE d.state = 'pending' AND d.tries = 0 AND d.at = d.since AND d.at > late.due
    ), hurried AS (
        UPDATE delivery d SET at = spread.due, since = spread.due FROM spread WHERE d.seq = spread.seq
    )
    UPDATE lane l SET due = late.due FROM late WHERE l.id = late.id";
