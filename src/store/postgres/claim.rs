//! Deliveries are claimed: from lanes that nobody else is at, under a lease that is live.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::connect::Session;
use super::fault::Fault;
use super::lane::ADVANCE;
use super::lease::Taken;
use super::row::{self, Columns, delivery_columns, event_columns, micros, text};
use crate::store::{Claimed, Want};

/// Handlers that nothing pauses, `w` being the wants.
macro_rules! let_through {
    () => {
        "NOT EXISTS (
            SELECT 1 FROM pause p WHERE p.scope = 'everything' OR p.scope = 'handler' AND p.name = w.handler
                OR p.scope = 'connector' AND p.name = w.connector)"
    };
}

/// Lanes that nothing keeps, `l` being the lanes.
macro_rules! free {
    () => {
        "l.handler = w.handler AND l.held IS NULL AND NOT EXISTS (
            SELECT 1 FROM pause p WHERE p.scope = 'subject' AND p.name = l.subject_kind || ' ' || l.subject_id)"
    };
}

/// Locks the lanes whose heads are due, the longest due first. The first row says that the lease is live; as long as this goes on
/// nobody can end it.
pub(super) const DUE: &str = concat!(
    "WITH me AS MATERIALIZED (
        SELECT 1 FROM gateway WHERE id = $1 AND lease_until > clock_timestamp() FOR KEY SHARE
    ), due AS MATERIALIZED (
        SELECT w.n, l.head, l.due
        FROM (
            SELECT * FROM unnest($2::text[], $3::text[], $4::int8[]) WITH ORDINALITY AS w (handler, connector, places, n)
            WHERE EXISTS (SELECT 1 FROM me) AND ",
    let_through!(),
    " OFFSET 0) w
        CROSS JOIN LATERAL (
            SELECT l.head, l.due FROM lane l WHERE ",
    free!(),
    " AND l.due <= $5 ORDER BY l.due, l.head LIMIT w.places FOR UPDATE OF l SKIP LOCKED) l
    )
    SELECT NULL::int8 FROM me UNION ALL (SELECT head FROM due ORDER BY n, due, head)"
);

/// Marks them: a statement of its own, since it must see what was written before the lanes were locked. How it asks whether they are
/// pending is nothing that an index could serve: while there are few deliveries the planner likes those that have few.
pub(super) const TAKE: &str = concat!(
    "WITH flying AS (
        UPDATE delivery d SET state = 'in_flight', at = $2, claims = d.claims + 1, gateway = $3, taken = $4
        FROM unnest($1::int8[]) AS w (seq) WHERE d.seq = w.seq AND CASE WHEN d.open THEN d.state END = 'pending'
        RETURNING d.*
    ), held AS (
        UPDATE lane l SET held = f.seq FROM flying f WHERE l.id = f.lane
    ), counted AS (
        INSERT INTO tally_change (handler, state, by)
        SELECT f.handler, s.state, s.by * count(*)
        FROM flying f CROSS JOIN (VALUES ('pending', -1), ('in_flight', 1)) AS s (state, by)
        GROUP BY f.handler, s.state, s.by
    )
    SELECT ",
    delivery_columns!(),
    ", ",
    event_columns!(),
    ", d.claims, l.pb_data
    FROM flying d JOIN event e ON e.seq = d.seq / 1024 LEFT JOIN last_delivered l ON l.lane = d.lane"
);

/// What a claim took whose answer got lost.
pub(super) const TAKEN: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", ",
    event_columns!(),
    ", d.claims, l.pb_data
    FROM delivery d JOIN event e ON e.seq = d.seq / 1024 LEFT JOIN last_delivered l ON l.lane = d.lane
    WHERE d.gateway = $1 AND d.taken = $2 ORDER BY d.seq"
);

pub(super) async fn claim(
    mut session: Session,
    now: Timestamp,
    wants: &[Want],
    Taken { gateway, mark }: Taken,
) -> Result<Vec<Claimed>, Fault> {
    let (handlers, (connectors, places)): (Vec<_>, (Vec<_>, Vec<_>)) = wants
        .iter()
        .map(|want| (text(&want.handler), (text(&want.connector), row::limit(want.limit))))
        .unzip();
    session.begin();
    let rows = session.rows(DUE, &[&gateway, &handlers, &connectors, &places, &micros(now)]).await?;
    let Some((_, due)) = rows.split_first() else {
        session.commit(&[]).await?;
        return Err(Fault::Lease);
    };
    let heads: Vec<i64> = due.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if heads.is_empty() {
        session.commit(&[]).await?;
        return Ok(Vec::new());
    }
    let rows = session.rows(TAKE, &[&heads, &micros(now), &gateway, &mark]).await?;
    let mut claimed: HashMap<_, _> =
        rows.iter().map(|row| Columns::of(row).claimed()).collect::<Result<_, _>>()?;
    if claimed.len() < heads.len() {
        // A head that isn't pending: nothing should come to that, but if it did the lane must not stand still.
        tracing::error!(missing = heads.len() - claimed.len(), "lanes with wrong heads are put right");
        let lanes =
            session.rows("SELECT id FROM lane WHERE head = ANY ($1) AND held IS NULL", &[&heads]).await?;
        let lanes: Vec<Uuid> = lanes.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        session.commit(&[(ADVANCE, &[&lanes])]).await?;
    } else {
        session.commit(&[]).await?;
    }
    Ok(heads.iter().filter_map(|seq| claimed.remove(seq)).collect())
}

pub(super) async fn taken(
    mut session: Session,
    Taken { gateway, mark }: Taken,
) -> Result<Vec<Claimed>, Fault> {
    let rows = session.rows(TAKEN, &[&gateway, &mark]).await?;
    rows.iter().map(|row| Ok(Columns::of(row).claimed()?.1)).collect()
}

pub(super) const NEXT_DUE: &str = concat!(
    "SELECT (
        SELECT l.due FROM lane l WHERE ",
    free!(),
    " ORDER BY l.due LIMIT 1)
    FROM unnest($1::text[], $2::text[]) AS w (handler, connector) WHERE ",
    let_through!()
);

pub(super) async fn next_due(mut session: Session, wants: &[Want]) -> Result<Option<Timestamp>, Fault> {
    let (handlers, connectors): (Vec<_>, Vec<_>) =
        wants.iter().map(|want| (text(&want.handler), text(&want.connector))).unzip();
    let mut soonest = None;
    for row in session.rows(NEXT_DUE, &[&handlers, &connectors]).await? {
        let due = Columns::of(&row).maybe_time()?;
        soonest = soonest.into_iter().chain(due).min();
    }
    Ok(soonest)
}
