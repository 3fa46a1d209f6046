//! What an operator does with deliveries: replay, cancel, have another handler get them; and pauses, notes and breakers.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::accept::NewDeliveries;
use super::changes::{Changes, Onward};
use super::connect::Session;
use super::fault::Fault;
use super::lane::{self, Into, Placed};
use super::row::{self, Columns, event_columns, micros, small, text};
use crate::breaker::{Breaker, BreakerState};
use crate::delivery::{DeliveryId, State};
use crate::event::{EventId, Subject};
use crate::handler::Order;
use crate::store::number::{DELIVERIES, delivery_id};
use crate::store::spread::spread;
use crate::store::{Cancellation, Last, LastPage, Pause, Scope, Subscription};

/// The newest that waits in each of these lanes.
const NEWEST: &str = "\
    SELECT w.lane, n.rank, n.seq FROM unnest($1::uuid[]) AS w (lane)
    CROSS JOIN LATERAL (
        SELECT n.rank, n.seq FROM delivery n WHERE n.lane = w.lane AND n.open AND n.state = 'pending'
        ORDER BY n.rank DESC, n.seq DESC LIMIT 1) n";

pub(super) async fn replay(
    mut session: Session,
    ids: &[DeliveryId],
    due: Timestamp,
    gap: Duration,
) -> Result<Vec<DeliveryId>, Fault> {
    let placed = lane::lock(&mut session, ids, Into::Any).await?;
    let mut newest = newest(&mut session, &placed).await?;
    let mut by_id: HashMap<_, _> = placed.iter().map(|placed| (placed.id, placed)).collect();
    let mut chosen = Vec::new();
    // an id that comes twice is replayed once
    for placed in ids.iter().filter_map(|id| by_id.remove(id)) {
        let newer = newest.get(&placed.lane).filter(|_| placed.order == Order::Latest);
        let may = match placed.state {
            State::InFlight { .. } | State::Awaiting { .. } => false,
            // it keeps its place
            State::Pending { .. } => true,
            State::Delivered { .. }
            | State::Parked { .. }
            | State::Superseded { .. }
            | State::Cancelled { .. } => newer.is_none_or(|newest| *newest < placed.place()),
        };
        if may {
            let newest = newest.entry(placed.lane).or_insert(placed.place());
            *newest = placed.place().max(*newest);
            let due = spread(due, gap, chosen.len());
            chosen.push((placed, due, State::Pending { due }));
        }
    }
    let mut changes = Changes::default();
    placed.iter().for_each(|placed| changes.look_at(placed.lane));
    for (placed, due, state) in &chosen {
        let Placed { attempts, .. } = **placed;
        changes.go_on(placed, Onward { state, attempts, tries: 0, since: micros(*due), at: *due });
    }
    let replayed = chosen.iter().map(|(placed, ..)| placed.id).collect();
    changes.commit(session).await?;
    Ok(replayed)
}

async fn newest(session: &mut Session, placed: &[Placed]) -> Result<HashMap<Uuid, (i64, i64)>, Fault> {
    let latest = placed.iter().filter(|placed| placed.order == Order::Latest);
    let mut lanes: Vec<_> = latest.map(|placed| placed.lane).collect();
    lanes.sort_unstable();
    lanes.dedup();
    if lanes.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = session.rows(NEWEST, &[&lanes]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))).collect()
}

pub(super) async fn cancel(
    mut session: Session,
    ids: &[DeliveryId],
    how: &Cancellation,
) -> Result<Vec<DeliveryId>, Fault> {
    let placed = lane::lock(&mut session, ids, Into::Present).await?;
    let state = how.state();
    let mut by_id: HashMap<_, _> = placed.iter().map(|placed| (placed.id, placed)).collect();
    let asked = ids.iter().filter_map(|id| by_id.remove(id));
    let cancelled: Vec<_> = asked.filter(|placed| placed.state.may_be_cancelled()).collect();
    let status = |placed: &&Placed| {
        how.status(&placed.handler, placed.subject.i_account(), &placed.state, placed.attempts)
    };
    let told: Vec<_> = cancelled.iter().filter_map(status).collect();
    let mut changes = Changes::default();
    for placed in &cancelled {
        let Placed { attempts, tries, since, .. } = **placed;
        changes.go_on(placed, Onward { state: &state, attempts, tries, since, at: how.at });
    }
    told.iter().for_each(|status| changes.status(status));
    let cancelled = cancelled.iter().map(|placed| placed.id).collect();
    changes.commit(session).await?;
    Ok(cancelled)
}

const LOCK_EVENTS: &str = "\
    SELECT 1 FROM event WHERE id = ANY ($1::uuid[]) ORDER BY seq FOR UPDATE";

/// Events that have no delivery for this handler, with their numbers and that of the next delivery.
const WITHOUT: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", e.seq, coalesce((
        SELECT max(d.seq) + 1 FROM delivery d WHERE d.seq BETWEEN e.seq * 1024 AND e.seq * 1024 + 1023), e.seq * 1024)
    FROM unnest($1::uuid[]) AS w (id) JOIN event e ON e.id = w.id
    WHERE NOT EXISTS (
        SELECT 1 FROM delivery d WHERE d.seq BETWEEN e.seq * 1024 AND e.seq * 1024 + 1023 AND d.handler = $2)"
);

pub(super) async fn subscribe(
    mut session: Session,
    events: &[(EventId, Timestamp)],
    handler: &str,
    order: Order,
    due: Timestamp,
    gap: Duration,
) -> Result<Vec<DeliveryId>, Fault> {
    let ids: Vec<_> = events.iter().map(|(id, _)| id.0).collect();
    session.begin();
    session.rows(LOCK_EVENTS, &[&ids]).await?;
    let rows = session.rows(WITHOUT, &[&ids, &text(handler)]).await?;
    let mut found = HashMap::new();
    for row in &rows {
        let mut columns = Columns::of(row);
        let (event, seq, next) = (columns.event()?, columns.next::<i64>()?, columns.next::<i64>()?);
        if next < (seq + 1) * DELIVERIES {
            found.insert(event.id, (event, next));
        }
    }
    let mut chosen = Vec::new();
    for (id, rank) in events {
        let Some((event, seq)) = found.remove(id) else { continue };
        chosen.push((event, seq, Subscription { handler: handler.to_owned(), order, rank: *rank }));
    }
    let mut deliveries = NewDeliveries::default();
    for (n, (event, seq, to)) in chosen.iter().enumerate() {
        deliveries.add(*seq, event, to, micros(spread(due, gap, n)));
    }
    let made = chosen.iter().map(|(event, seq, _)| delivery_id(event.id, *seq)).collect();
    deliveries.commit(session).await?;
    Ok(made)
}

pub(super) async fn pause(mut session: Session, pause: &Pause) -> Result<(), Fault> {
    let (scope, name) = pause.scope.words();
    session
        .write(
            "INSERT INTO pause (scope, name, at, reason) VALUES ($1, $2, $3, $4)
             ON CONFLICT (scope, name) DO UPDATE SET reason = excluded.reason",
            &[&scope, &text(&name), &micros(pause.at), &pause.reason.as_deref().map(text)],
        )
        .await?;
    Ok(())
}

/// Answers whether there was one.
pub(super) async fn resume(mut session: Session, scope: &Scope) -> Result<bool, Fault> {
    let (scope, name) = scope.words();
    Ok(session.write("DELETE FROM pause WHERE scope = $1 AND name = $2", &[&scope, &text(&name)]).await? > 0)
}

pub(super) async fn pauses(mut session: Session) -> Result<Vec<Pause>, Fault> {
    let rows =
        session.rows("SELECT scope, name, at, reason FROM pause ORDER BY at, scope, name", &[]).await?;
    rows.iter().map(read_pause).collect()
}

fn read_pause(row: &Row) -> Result<Pause, Fault> {
    let mut columns = Columns::of(row);
    let (scope, name) = (columns.text()?, columns.text()?);
    let scope = Scope::from_words(&scope, &name).ok_or_else(|| Fault::strange("a pause", scope))?;
    Ok(Pause { scope, at: columns.time()?, reason: columns.maybe_text()? })
}

pub(super) async fn lasts(
    mut session: Session,
    handler: &str,
    subjects: &[Subject],
) -> Result<Vec<Last>, Fault> {
    let lanes: Vec<_> =
        subjects.iter().map(|subject| row::lane(handler, subject.kind.as_str(), &subject.id)).collect();
    let rows = session
        .rows("SELECT lane, pb_data, at FROM last_delivered WHERE lane = ANY ($1::uuid[])", &[&lanes])
        .await?;
    let mut found = HashMap::<Uuid, _>::new();
    for row in &rows {
        let mut columns = Columns::of(row);
        found.insert(columns.next()?, (columns.text()?, columns.time()?));
    }
    let last = |(lane, subject): (&Uuid, &Subject)| {
        let (pb_data, at) = found.get(lane)?.clone();
        Some(Last { subject: subject.clone(), pb_data, at })
    };
    Ok(lanes.iter().zip(subjects).filter_map(last).collect())
}

/// After the lane with this id.
pub(super) const DELIVERED: &str = "\
    SELECT lane, subject_kind, subject_id, pb_data, at FROM last_delivered
    WHERE handler = $1 AND lane > $2 ORDER BY lane LIMIT $3";

pub(super) async fn delivered(
    mut session: Session,
    handler: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<LastPage, Fault> {
    let after = after.and_then(|after| after.parse::<Uuid>().ok()).unwrap_or_default();
    let rows = session.rows(DELIVERED, &[&text(handler), &after, &row::limit(limit)]).await?;
    let (mut lasts, mut next) = (Vec::with_capacity(rows.len()), None);
    for row in &rows {
        let mut columns = Columns::of(row);
        next = Some(columns.next::<Uuid>()?.to_string());
        lasts.push(Last { subject: columns.subject()?, pb_data: columns.text()?, at: columns.time()? });
    }
    Ok(LastPage { next: next.filter(|_| rows.len() >= limit), lasts })
}

pub(super) async fn breakers(mut session: Session) -> Result<Vec<Breaker>, Fault> {
    let rows = session
        .rows("SELECT name, state, since, until, openings, reason, version FROM breaker ORDER BY name", &[])
        .await?;
    rows.iter().map(read_breaker).collect()
}

fn read_breaker(row: &Row) -> Result<Breaker, Fault> {
    let mut columns = Columns::of(row);
    let (name, word) = (columns.text()?, columns.text()?);
    let (since, until) = (columns.time()?, columns.maybe_time()?);
    Ok(Breaker {
        name,
        state: BreakerState::from_word(&word, until).ok_or_else(|| Fault::strange("a breaker", word))?,
        since,
        openings: columns.count()?,
        reason: columns.maybe_text()?,
        version: columns.next()?,
    })
}

/// Two gateways may want to: the row's version says who was first.
const PUT_BREAKER: &str = "\
    INSERT INTO breaker AS b (name, state, since, until, openings, reason, version)
    SELECT $1, $2, $3, $4, $5, $6, $7
    WHERE $7 = 1::int8 OR EXISTS (SELECT 1 FROM breaker WHERE name = $1)
    ON CONFLICT (name) DO UPDATE SET state = excluded.state, since = excluded.since, until = excluded.until,
        openings = excluded.openings, reason = excluded.reason, version = excluded.version
    WHERE b.version = excluded.version - 1";

pub(super) async fn put_breaker(mut session: Session, breaker: &Breaker) -> Result<bool, Fault> {
    let kept = session
        .write(
            PUT_BREAKER,
            &[
                &text(&breaker.name),
                &breaker.state.word(),
                &micros(breaker.since),
                &breaker.state.until().map(micros),
                &small(breaker.openings),
                &breaker.reason.as_deref().map(text),
                &breaker.version,
            ],
        )
        .await?;
    Ok(kept > 0)
}

pub(super) async fn note(session: &mut Session, name: &str) -> Result<Option<String>, Fault> {
    let found = session.row("SELECT text FROM note WHERE name = $1", &[&text(name)]).await?;
    found.map(|row| Columns::of(&row).text()).transpose()
}

pub(super) const PUT_NOTE: &str = "\
    INSERT INTO note (name, text) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET text = excluded.text";

pub(super) async fn put_note(mut session: Session, name: &str, note: &str) -> Result<(), Fault> {
    session.write(PUT_NOTE, &[&text(name), &text(note)]).await?;
    Ok(())
}

pub(super) async fn swap_note(
    mut session: Session,
    name: &str,
    before: Option<&str>,
    note: &str,
) -> Result<bool, Fault> {
    let kept = match before {
        Some(before) => {
            let sql = "UPDATE note SET text = $3 WHERE name = $1 AND text = $2";
            session.write(sql, &[&text(name), &text(before), &text(note)]).await?
        }
        None => {
            let sql = "INSERT INTO note (name, text) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            session.write(sql, &[&text(name), &text(note)]).await?
        }
    };
    Ok(kept > 0)
}
