//! Forgets what is old enough, a bounded part at a time; of several gateways one at a time.
//!
//! Events lie in the order of their acceptance, so it goes on where it stopped: the place is kept as a note.

use std::collections::{BTreeMap, HashSet};

use super::changes::COUNT;
use super::connect::Session;
use super::control::{PUT_NOTE, note};
use super::fault::Fault;
use super::row::{self, micros};
use crate::store::{Prune, Pruned};

const PLACE: &str = "prune.events";

const ONE_AT_A_TIME: &str = "SELECT pg_try_advisory_xact_lock(hashtext(current_schema()), 2)";

pub(super) async fn prune(mut session: Session, prune: &Prune) -> Result<Pruned, Fault> {
    session.begin();
    let mine = session.row(ONE_AT_A_TIME, &[]).await?;
    if !mine.map(|row| row.try_get(0)).transpose()?.unwrap_or(false) {
        session.commit(&[]).await?;
        return Ok(Pruned::default());
    }
    let (bodies, more_bodies) = bodies(&mut session, prune).await?;
    let (events, more_events) = events(session, prune).await?;
    Ok(Pruned { events, bodies, more: more_events || more_bodies })
}

pub(super) const BODIES: &str = "\
    UPDATE attempt a SET request = NULL, response = NULL, settled_body = NULL
    FROM (
        SELECT delivery, number FROM attempt
        WHERE ended_at < $1 AND (request IS NOT NULL OR response IS NOT NULL OR settled_body IS NOT NULL)
        ORDER BY ended_at LIMIT $2) old
    WHERE a.delivery = old.delivery AND a.number = old.number RETURNING 1";

async fn bodies(session: &mut Session, prune: &Prune) -> Result<(u64, bool), Fault> {
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&micros(prune.bodies_before), &row::limit(prune.limit)];
    let changed = session.rows(BODIES, values).await?.len();
    Ok((changed as u64, changed >= prune.limit))
}

const LOCK_EVENTS: &str = "SELECT 1 FROM event WHERE seq = ANY ($1) ORDER BY seq FOR UPDATE";

const DELIVERIES: &str = "\
    SELECT d.seq, d.handler, d.state, d.open FROM unnest($1::int8[]) AS w (seq)
    JOIN delivery d ON d.seq BETWEEN w.seq * 1024 AND w.seq * 1024 + 1023 ORDER BY d.seq FOR UPDATE OF d";

/// What was delivered last lives as long as its subject: until an event says that it has been deleted or closed, and none came after.
const FORGET_LASTS: &str = "\
    DELETE FROM last_delivered l USING (
        SELECT d.lane FROM unnest($1::int8[]) AS w (seq) JOIN event e ON e.seq = w.seq
        JOIN delivery d ON d.seq BETWEEN w.seq * 1024 AND w.seq * 1024 + 1023
        WHERE (e.event_type LIKE '%/Deleted' OR e.event_type LIKE '%/Status/Closed') AND NOT EXISTS (
            SELECT 1 FROM event n WHERE hashtextextended(n.subject_id, 0) = hashtextextended(e.subject_id, 0)
                AND n.seq > e.seq AND n.subject_id = e.subject_id AND n.subject_kind = e.subject_kind)) gone
    WHERE l.lane = gone.lane";

/// Those that are still needed stay behind, and are looked at again when the rest has been done. Ends the transaction.
async fn events(mut session: Session, prune: &Prune) -> Result<(u64, bool), Fault> {
    let from: i64 = note(&mut session, PLACE).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let found = session
        .rows(
            "SELECT seq, received_at FROM event WHERE seq > $1 ORDER BY seq LIMIT $2",
            &[&from, &row::limit(prune.limit)],
        )
        .await?;
    let before = micros(prune.events_before);
    let mut old = Vec::new();
    for row in &found {
        if row.try_get::<_, i64>(1)? >= before {
            break;
        }
        old.push(row.try_get::<_, i64>(0)?);
    }
    let more = !old.is_empty() && old.len() >= prune.limit;
    let place = if more { old.last().copied().unwrap_or(0) } else { 0 };
    let forgettable = Forgettable::look(&mut session, &old).await?;
    let (handlers, (states, by)): (Vec<_>, (Vec<_>, Vec<_>)) =
        forgettable.tally.iter().map(|((handler, state), by)| (handler, (state, *by))).unzip();
    session
        .commit(&[
            (FORGET_LASTS, &[&forgettable.events]),
            ("DELETE FROM attempt WHERE delivery = ANY ($1)", &[&forgettable.deliveries]),
            ("DELETE FROM delivery WHERE seq = ANY ($1)", &[&forgettable.deliveries]),
            ("DELETE FROM event WHERE seq = ANY ($1)", &[&forgettable.events]),
            (COUNT, &[&handlers, &states, &by]),
            (PUT_NOTE, &[&PLACE, &place.to_string()]),
        ])
        .await?;
    Ok((forgettable.events.len() as u64, more))
}

/// Events none of whose deliveries holds a place in a lane.
struct Forgettable {
    events: Vec<i64>,
    deliveries: Vec<i64>,
    tally: BTreeMap<(String, String), i64>,
}

impl Forgettable {
    async fn look(session: &mut Session, old: &[i64]) -> Result<Self, Fault> {
        session.rows(LOCK_EVENTS, &[&old]).await?;
        let rows = session.rows(DELIVERIES, &[&old]).await?;
        let (mut needed, mut all) = (HashSet::new(), Vec::with_capacity(rows.len()));
        for row in &rows {
            let seq: i64 = row.try_get(0)?;
            if row.try_get(3)? {
                needed.insert(seq / crate::store::number::DELIVERIES);
            }
            all.push((seq, (row.try_get::<_, String>(1)?, row.try_get::<_, String>(2)?)));
        }
        let events = old.iter().copied().filter(|seq| !needed.contains(seq)).collect();
        let (mut deliveries, mut tally) = (Vec::new(), BTreeMap::new());
        for (seq, of) in all {
            if !needed.contains(&(seq / crate::store::number::DELIVERIES)) {
                deliveries.push(seq);
                *tally.entry(of).or_insert(0) -= 1;
            }
        }
        Ok(Self { events, deliveries, tally })
    }
}
