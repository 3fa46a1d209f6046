//! What is accepted: many events with their deliveries and lanes in one transaction.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::changes::COUNT;
use super::connect::{Db, Session, Values};
use super::fault::Fault;
use super::lane::{ADVANCE, HURRY, SUPERSEDE};
use super::row::{self, micros, text};
use crate::event::{Event, EventId};
use crate::handler::Order;
use crate::store::number::DELIVERIES;
use crate::store::{Accepted, StoreError, Subscription};

/// An event with those that it is for.
pub(super) type Addressed = (Event, Vec<Subscription>);

/// Numbers are taken in the order of arrival; rows are written in that of their digests, so that two gateways with the same events
/// don't wait crosswise.
const INSERT_EVENTS: &str = "\
    INSERT INTO event (seq, id, same, source, i_env, i_event, event_type, subject_kind, subject_id, event_time, received_at, body)
    SELECT * FROM (
        SELECT nextval('event_seq') AS seq, w.*
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int8[], $5::int8[], $6::text[], $7::text[], $8::text[], $9::int8[],
            $10::int8[], $11::text[])
            AS w (id, same, source, i_env, i_event, event_type, subject_kind, subject_id, event_time, received_at, body)
        OFFSET 0) numbered
    ORDER BY same, id
    ON CONFLICT DO NOTHING
    RETURNING seq, id";

/// By its id as well: an event that is offered once more after an error is the same one.
pub(super) const SAME_EVENTS: &str = "\
    SELECT w.id, coalesce((SELECT e.id FROM event e WHERE e.id = w.id), (SELECT e.id FROM event e WHERE e.same = w.same))
    FROM unnest($1::uuid[], $2::uuid[]) AS w (id, same)";

const INSERT_DELIVERIES: &str = "\
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest($1::int8[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int2[], $7::int8[], $8::int8[],
            $9::int8[])
            AS w (seq, lane, handler, subject_kind, subject_id, mode, rank, accepted_at, due)
    ), placed AS (
        INSERT INTO delivery (seq, lane, handler, subject_kind, subject_id, mode, rank, state, at, attempts, tries, accepted_at,
            since, claims, open)
        SELECT seq, lane, handler, subject_kind, subject_id, mode, rank, 'pending', due, 0, 0, accepted_at, due, 0, true
        FROM wanted
    )
    INSERT INTO lane AS l (id, handler, subject_kind, subject_id, head, rank, due)
    SELECT DISTINCT ON (lane) lane, handler, subject_kind, subject_id, seq, rank, due FROM wanted ORDER BY lane, rank, seq
    ON CONFLICT (id) DO UPDATE SET head = excluded.head, rank = excluded.rank, due = excluded.due
    WHERE (excluded.rank, excluded.head) < (l.rank, l.head)";

/// Deliveries that are to be made.
#[derive(Debug, Default)]
pub(super) struct NewDeliveries<'a> {
    seq: Vec<i64>,
    lane: Vec<Uuid>,
    handler: Vec<Cow<'a, str>>,
    kind: Vec<&'static str>,
    id: Vec<Cow<'a, str>>,
    mode: Vec<i16>,
    rank: Vec<i64>,
    accepted_at: Vec<i64>,
    due: Vec<i64>,
    /// Lanes in which these may supersede, or be superseded, and when.
    latest: BTreeMap<Uuid, i64>,
    /// Lanes into which something has just come, and when.
    live: BTreeMap<Uuid, i64>,
    tally: BTreeMap<&'a str, i64>,
}

impl<'a> NewDeliveries<'a> {
    /// That of an event that has just come.
    fn add_live(&mut self, seq: i64, event: &'a Event, to: &'a Subscription) {
        let due = micros(event.received_at);
        let lane = self.add(seq, event, to, due);
        let at = self.live.entry(lane).or_insert(due);
        *at = due.min(*at);
    }

    /// Answers its lane.
    pub(super) fn add(&mut self, seq: i64, event: &'a Event, to: &'a Subscription, due: i64) -> Uuid {
        let kind = event.subject.kind.as_str();
        let lane = row::lane(&to.handler, kind, &event.subject.id);
        self.seq.push(seq);
        self.lane.push(lane);
        self.handler.push(text(&to.handler));
        self.kind.push(kind);
        self.id.push(text(&event.subject.id));
        self.mode.push(row::mode(to.order));
        self.rank.push(micros(to.rank));
        self.accepted_at.push(micros(event.received_at));
        self.due.push(due);
        *self.tally.entry(&to.handler).or_default() += 1;
        if to.order == Order::Latest {
            let at = self.latest.entry(lane).or_insert(due);
            *at = due.max(*at);
        }
        lane
    }

    /// Writes them and ends the transaction.
    pub(super) async fn commit(self, session: Session) -> Result<(), Fault> {
        if self.seq.is_empty() {
            return session.commit(&[]).await;
        }
        let (handlers, by): (Vec<_>, Vec<_>) =
            self.tally.iter().map(|(handler, by)| (text(handler), *by)).unzip();
        let states = vec!["pending"; handlers.len()];
        let (latest, when): (Vec<_>, Vec<_>) = self.latest.iter().map(|(lane, at)| (*lane, *at)).unzip();
        let insert: Values<'_> = &[
            &self.seq,
            &self.lane,
            &self.handler,
            &self.kind,
            &self.id,
            &self.mode,
            &self.rank,
            &self.accepted_at,
            &self.due,
        ];
        let count: Values<'_> = &[&handlers, &states, &by];
        let supersede: Values<'_> = &[&latest, &when];
        let advance: Values<'_> = &[&latest];
        let (live, since): (Vec<_>, Vec<_>) = self.live.iter().map(|(lane, at)| (*lane, *at)).unzip();
        let hurry: Values<'_> = &[&live, &since];
        let all = [
            (true, INSERT_DELIVERIES, insert),
            (true, COUNT, count),
            (!latest.is_empty(), SUPERSEDE, supersede),
            (!latest.is_empty(), ADVANCE, advance),
            (!live.is_empty(), HURRY, hurry),
        ];
        let needed: Vec<_> =
            all.into_iter().filter(|(needed, ..)| *needed).map(|(_, sql, with)| (sql, with)).collect();
        session.commit(&needed).await
    }
}

/// Keeps all of them, or finds that they are there.
pub(super) async fn accept(db: &Db, events: &[Arc<Addressed>]) -> Result<Vec<Accepted>, StoreError> {
    let tried = AtomicBool::new(false);
    db.again(true, || async {
        let again = tried.swap(true, Ordering::Relaxed);
        let mut answers = once(db, events).await?;
        // Found by its own id: the try before has worked after all.
        for (answer, one) in answers.iter_mut().zip(events).filter(|_| again) {
            if *answer == Accepted::Duplicate(one.0.id) {
                *answer = Accepted::New(one.0.id);
            }
        }
        Ok(answers)
    })
    .await
}

async fn once(db: &Db, events: &[Arc<Addressed>]) -> Result<Vec<Accepted>, Fault> {
    let mut session = db.session().await?;
    session.begin();
    let same: Vec<_> = events.iter().map(|one| row::same(&one.0)).collect();
    let mut fresh = insert_events(&mut session, events, &same).await?;
    let mut deliveries = NewDeliveries::default();
    let mut answers = Vec::with_capacity(events.len());
    for (event, handlers) in events.iter().map(|one| &**one) {
        // of two with the same id the first is the new one
        let seq = fresh.remove(&event.id.0);
        answers.push(seq.map(|_| Accepted::New(event.id)));
        for (seq, to) in seq.into_iter().flat_map(|seq| (seq * DELIVERIES..).zip(handlers)) {
            deliveries.add_live(seq, event, to);
        }
    }
    find_the_same(&mut session, events, &same, &mut answers).await?;
    deliveries.commit(session).await?;
    // One that was there, and has been forgotten since: it is new if it is offered again.
    answers.into_iter().map(|answer| answer.ok_or(Fault::Store(StoreError::Unavailable))).collect()
}

/// Answers the numbers of those that are new, by id.
async fn insert_events(
    session: &mut Session,
    events: &[Arc<Addressed>],
    same: &[Option<Uuid>],
) -> Result<HashMap<Uuid, i64>, Fault> {
    fn column<'e, T>(events: &'e [Arc<Addressed>], of: impl Fn(&'e Event) -> T) -> Vec<T> {
        events.iter().map(|one| of(&one.0)).collect()
    }
    let rows = session
        .rows(
            INSERT_EVENTS,
            &[
                &column(events, |event| event.id.0),
                &same,
                &column(events, |event| text(&event.source)),
                &column(events, |event| event.i_env),
                &column(events, |event| event.i_event),
                &column(events, |event| text(&event.event_type)),
                &column(events, |event| event.subject.kind.as_str()),
                &column(events, |event| text(&event.subject.id)),
                &column(events, |event| event.event_time.map(micros)),
                &column(events, |event| micros(event.received_at)),
                &column(events, |event| text(&event.body)),
            ],
        )
        .await?;
    rows.iter().map(|row| Ok((row.try_get(1)?, row.try_get(0)?))).collect()
}

/// Fills in what is there already.
async fn find_the_same(
    session: &mut Session,
    events: &[Arc<Addressed>],
    same: &[Option<Uuid>],
    answers: &mut [Option<Accepted>],
) -> Result<(), Fault> {
    let old = || answers.iter().enumerate().filter(|(_, answer)| answer.is_none()).map(|(at, _)| at);
    let (ids, same): (Vec<_>, Vec<_>) = old().map(|at| (events[at].0.id.0, same[at])).unzip();
    if ids.is_empty() {
        return Ok(());
    }
    let mut found = HashMap::<Uuid, Option<Uuid>>::new();
    for row in session.rows(SAME_EVENTS, &[&ids, &same]).await? {
        found.insert(row.try_get(0)?, row.try_get(1)?);
    }
    for (answer, one) in answers.iter_mut().zip(events).filter(|(answer, _)| answer.is_none()) {
        let first = found.get(&one.0.id.0).copied().flatten();
        *answer = first.map(|id| Accepted::Duplicate(EventId(id)));
    }
    Ok(())
}
