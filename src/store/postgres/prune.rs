//! Forgets what is old enough, a bounded part at a time; of several gateways one at a time.
//!
//! Events lie in the order of their acceptance, so it goes on where it stopped: the place is kept as a note.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::changes::COUNT;
use super::connect::Session;
use super::control::{PUT_NOTE, note};
use super::fault::Fault;
use super::row::{self, Columns, micros};
use crate::event::SubjectKind;
use crate::store::control::Part;
use crate::store::number::DELIVERIES;
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

const LOCK_DELIVERIES: &str = "\
    SELECT d.seq, d.handler, d.state, d.open FROM unnest($1::int8[]) AS w (seq)
    JOIN delivery d ON d.seq BETWEEN w.seq * 1024 AND w.seq * 1024 + 1023 ORDER BY d.seq FOR UPDATE OF d";

/// What was delivered last lives as long as its subject: until an event says that that is gone. One that can come back has
/// done so if an event came after.
const FORGET_LASTS: &str = "\
    DELETE FROM last_delivered l USING (
        SELECT d.lane FROM unnest($1::int8[], $2::bool[]) AS w (seq, comes_back) JOIN event e ON e.seq = w.seq
        JOIN delivery d ON d.seq BETWEEN w.seq * 1024 AND w.seq * 1024 + 1023
        WHERE NOT (w.comes_back AND EXISTS (
            SELECT 1 FROM event n WHERE hashtextextended(n.subject_id, 0) = hashtextextended(e.subject_id, 0)
                AND n.seq > e.seq AND n.subject_id = e.subject_id AND n.subject_kind = e.subject_kind))) gone
    WHERE l.lane = gone.lane";

/// Those that are still needed stay behind, and are looked at again when the rest has been done. Ends the transaction.
async fn events(mut session: Session, prune: &Prune) -> Result<(u64, bool), Fault> {
    let from: i64 = note(&mut session, PLACE).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let found = session
        .rows(
            "SELECT seq, received_at, event_type, subject_kind FROM event WHERE seq > $1 ORDER BY seq LIMIT $2",
            &[&from, &row::limit(prune.limit)],
        )
        .await?;
    let (mut times, mut ends) = (Vec::with_capacity(found.len()), HashMap::new());
    for row in &found {
        let mut columns = Columns::of(row);
        let seq: i64 = columns.next()?;
        times.push((seq, columns.time()?));
        let (event_type, kind) = (columns.text()?, columns.text()?);
        let kind = SubjectKind::from_word(&kind).filter(|kind| kind.is_ended_by(&event_type));
        ends.extend(kind.map(|kind| (seq, kind.comes_back())));
    }
    let Part { old, seen, more } = prune.old(&times, prune.events_before);
    let forgettable = Forgettable::look(&mut session, &old).await?;
    let ends = forgettable.events.iter().filter_map(|seq| Some((*seq, *ends.get(seq)?)));
    let (ended, come_back): (Vec<_>, Vec<_>) = ends.unzip();
    let (handlers, (states, by)): (Vec<_>, (Vec<_>, Vec<_>)) =
        forgettable.tally.iter().map(|((handler, state), by)| (handler, (state, *by))).unzip();
    session
        .commit(&[
            (FORGET_LASTS, &[&ended, &come_back]),
            ("DELETE FROM attempt WHERE delivery = ANY ($1)", &[&forgettable.deliveries]),
            ("DELETE FROM delivery WHERE seq = ANY ($1)", &[&forgettable.deliveries]),
            ("DELETE FROM event WHERE seq = ANY ($1)", &[&forgettable.events]),
            (COUNT, &[&handlers, &states, &by]),
            (PUT_NOTE, &[&PLACE, &seen.filter(|_| more).unwrap_or(0).to_string()]),
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
        let rows = session.rows(LOCK_DELIVERIES, &[&old]).await?;
        let (mut needed, mut all) = (HashSet::new(), Vec::with_capacity(rows.len()));
        for row in &rows {
            let seq: i64 = row.try_get(0)?;
            if row.try_get(3)? {
                needed.insert(seq / DELIVERIES);
            }
            all.push((seq, (row.try_get::<_, String>(1)?, row.try_get::<_, String>(2)?)));
        }
        let events = old.iter().copied().filter(|seq| !needed.contains(seq)).collect();
        let (mut deliveries, mut tally) = (Vec::new(), BTreeMap::new());
        for (seq, of) in all {
            if !needed.contains(&(seq / DELIVERIES)) {
                deliveries.push(seq);
                *tally.entry(of).or_insert(0) -= 1;
            }
        }
        Ok(Self { events, deliveries, tally })
    }
}
