//! What a transaction changes about deliveries, gathered for many and written at once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::connect::{Session, Values};
use super::fault::Fault;
use super::lane::{ADVANCE, Placed, SUPERSEDE};
use super::row::{self, micros, small, text};
use super::statuses::{self, Puts};
use crate::delivery::{Attempt, Settlement, State};
use crate::handler::Order;
use crate::store::Status;

/// How a delivery goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Onward<'a> {
    pub(super) state: &'a State,
    pub(super) attempts: u32,
    pub(super) tries: u32,
    pub(super) since: i64,
    /// When that is: for one that turns out to be superseded.
    pub(super) at: Timestamp,
}

/// Columns, one entry per row.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    deliveries: Deliveries<'a>,
    attempts: Attempts<'a>,
    settlements: Settlements<'a>,
    /// Deliveries that don't await any more.
    settled: Vec<i64>,
    awaiting: Awaiting<'a>,
    lasts: Lasts<'a>,
    statuses: Vec<&'a Status>,
    tally: BTreeMap<(String, &'static str), i64>,
    /// Lanes that are to be looked at, and where the order is latest: when.
    lanes: Vec<Uuid>,
    latest: BTreeMap<Uuid, i64>,
}

#[derive(Debug, Default)]
struct Deliveries<'a> {
    seq: Vec<i64>,
    state: Vec<&'static str>,
    at: Vec<i64>,
    reason: Vec<Option<Cow<'a, str>>>,
    attempts: Vec<i32>,
    tries: Vec<i32>,
    since: Vec<i64>,
    open: Vec<bool>,
}

const GO_ON: &str = "\
    UPDATE delivery d SET state = w.state, at = w.at, reason = w.reason, attempts = w.attempts, tries = w.tries,
        since = w.since, open = w.open, gateway = NULL, taken = NULL
    FROM unnest($1::int8[], $2::text[], $3::int8[], $4::text[], $5::int4[], $6::int4[], $7::int8[], $8::bool[])
        AS w (seq, state, at, reason, attempts, tries, since, open)
    WHERE d.seq = w.seq";

#[derive(Debug, Default)]
struct Attempts<'a> {
    delivery: Vec<i64>,
    number: Vec<i32>,
    claim: Vec<i32>,
    started_at: Vec<i64>,
    ended_at: Vec<i64>,
    outcome: Vec<&'static str>,
    class: Vec<Option<&'static str>>,
    reason: Vec<Option<Cow<'a, str>>>,
    after: Vec<Option<i64>>,
    within: Vec<Option<i64>>,
    request: Vec<Option<Cow<'a, str>>>,
    response: Vec<Option<Cow<'a, str>>>,
}

const KEEP_ATTEMPTS: &str = "\
    INSERT INTO attempt (delivery, number, claim, started_at, ended_at, outcome, class, reason, after, within, request, response)
    SELECT * FROM unnest($1::int8[], $2::int4[], $3::int4[], $4::int8[], $5::int8[], $6::text[], $7::text[], $8::text[],
        $9::int8[], $10::int8[], $11::text[], $12::text[])";

#[derive(Debug, Default)]
struct Settlements<'a> {
    delivery: Vec<i64>,
    number: Vec<i32>,
    at: Vec<i64>,
    outcome: Vec<&'static str>,
    class: Vec<Option<&'static str>>,
    reason: Vec<Option<Cow<'a, str>>>,
    after: Vec<Option<i64>>,
    body: Vec<Option<Cow<'a, str>>>,
}

const SETTLE: &str = "\
    UPDATE attempt a SET settled_at = w.at, settled_outcome = w.outcome, settled_class = w.class, settled_reason = w.reason,
        settled_after = w.after, settled_body = w.body
    FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::text[], $5::text[], $6::text[], $7::int8[], $8::text[])
        AS w (delivery, number, at, outcome, class, reason, after, body)
    WHERE a.delivery = w.delivery AND a.number = w.number";

#[derive(Debug, Default)]
struct Awaiting<'a> {
    delivery: Vec<i64>,
    claim: Vec<i32>,
    deadline: Vec<i64>,
    pb_data: Vec<Option<Cow<'a, str>>>,
}

const AWAIT: &str = "\
    INSERT INTO awaiting (delivery, claim, deadline, pb_data)
    SELECT * FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::text[])";

const AWAIT_NO_MORE: &str = "DELETE FROM awaiting WHERE delivery = ANY ($1::int8[])";

#[derive(Debug, Default)]
struct Lasts<'a> {
    lane: Vec<Uuid>,
    handler: Vec<Cow<'a, str>>,
    kind: Vec<&'static str>,
    id: Vec<Cow<'a, str>>,
    pb_data: Vec<Cow<'a, str>>,
    at: Vec<i64>,
}

const KEEP_LASTS: &str = "\
    INSERT INTO last_delivered (lane, handler, subject_kind, subject_id, pb_data, at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int8[])
    ON CONFLICT (lane) DO UPDATE SET pb_data = excluded.pb_data, at = excluded.at";

pub(super) const COUNT: &str = "\
    INSERT INTO tally_change (handler, state, by) SELECT * FROM unnest($1::text[], $2::text[], $3::int8[])";

impl<'a> Changes<'a> {
    /// Writes the state down, and what that means for the lane.
    pub(super) fn go_on(&mut self, placed: &Placed, onward: Onward<'a>) {
        let (at, reason) = row::state_columns(onward.state);
        let deliveries = &mut self.deliveries;
        deliveries.seq.push(placed.seq);
        deliveries.state.push(onward.state.word());
        deliveries.at.push(at);
        deliveries.reason.push(reason);
        deliveries.attempts.push(small(onward.attempts));
        deliveries.tries.push(small(onward.tries));
        deliveries.since.push(onward.since);
        deliveries.open.push(onward.state.holds(placed.order));
        self.count(&placed.handler, placed.state.word(), -1);
        self.count(&placed.handler, onward.state.word(), 1);
        if matches!(placed.state, State::Awaiting { .. }) {
            self.settled.push(placed.seq);
        }
        self.look_at(placed.lane);
        if placed.order == Order::Latest && matches!(onward.state, State::Pending { .. }) {
            self.supersede(placed.lane, micros(onward.at));
        }
    }

    /// There are `by` more deliveries of this handler in this state.
    pub(super) fn count(&mut self, handler: &str, state: &'static str, by: i64) {
        *self.tally.entry((handler.to_owned(), state)).or_default() += by;
    }

    /// Who is the head of this lane may have changed.
    pub(super) fn look_at(&mut self, lane: Uuid) {
        self.lanes.push(lane);
    }

    /// In this lane one may supersede others.
    pub(super) fn supersede(&mut self, lane: Uuid, at: i64) {
        self.look_at(lane);
        let latest = self.latest.entry(lane).or_insert(at);
        *latest = at.max(*latest);
    }

    pub(super) fn attempt(&mut self, placed: &Placed, claim: u32, attempt: &'a Attempt) {
        let (class, after, within) = row::outcome_columns(&attempt.outcome);
        let attempts = &mut self.attempts;
        attempts.delivery.push(placed.seq);
        attempts.number.push(small(attempt.number));
        attempts.claim.push(small(claim));
        attempts.started_at.push(micros(attempt.started_at));
        attempts.ended_at.push(micros(attempt.ended_at));
        attempts.outcome.push(attempt.outcome.word());
        attempts.class.push(class);
        attempts.reason.push(attempt.outcome.reason().map(text));
        attempts.after.push(after);
        attempts.within.push(within);
        attempts.request.push(attempt.request.as_deref().map(text));
        attempts.response.push(attempt.response.as_deref().map(text));
    }

    /// How the wait of the last attempt ended.
    pub(super) fn settle(&mut self, placed: &Placed, settlement: &'a Settlement) {
        let (class, after, _) = row::outcome_columns(&settlement.outcome);
        let settlements = &mut self.settlements;
        settlements.delivery.push(placed.seq);
        settlements.number.push(small(placed.attempts));
        settlements.at.push(micros(settlement.at));
        settlements.outcome.push(settlement.outcome.word());
        settlements.class.push(class);
        settlements.reason.push(settlement.outcome.reason().map(text));
        settlements.after.push(after);
        settlements.body.push(settlement.body.as_deref().map(text));
    }

    pub(super) fn wait(
        &mut self,
        placed: &Placed,
        claim: u32,
        deadline: Timestamp,
        pb_data: Option<&'a str>,
    ) {
        self.awaiting.delivery.push(placed.seq);
        self.awaiting.claim.push(small(claim));
        self.awaiting.deadline.push(micros(deadline));
        self.awaiting.pb_data.push(pb_data.map(text));
    }

    pub(super) fn last(&mut self, placed: &'a Placed, pb_data: &'a str, at: Timestamp) {
        self.lasts.lane.push(placed.lane);
        self.lasts.handler.push(text(&placed.handler));
        self.lasts.kind.push(placed.subject.kind.as_str());
        self.lasts.id.push(text(&placed.subject.id));
        self.lasts.pb_data.push(text(pb_data));
        self.lasts.at.push(micros(at));
    }

    pub(super) fn status(&mut self, status: &'a Status) {
        self.statuses.push(status);
    }

    /// Writes all of it and ends the transaction.
    pub(super) async fn commit(mut self, session: Session) -> Result<(), Fault> {
        self.lanes.sort_unstable();
        self.lanes.dedup();
        self.tally.retain(|_, by| *by != 0);
        let (handlers, (states, by)): (Vec<_>, (Vec<_>, Vec<_>)) =
            self.tally.iter().map(|((handler, state), by)| (text(handler), (*state, *by))).unzip();
        let (latest, when): (Vec<_>, Vec<_>) = self.latest.iter().map(|(lane, at)| (*lane, *at)).unzip();
        let Deliveries { seq, state, at, reason, attempts, tries, since, open } = &self.deliveries;
        let attempt = &self.attempts;
        let settlement = &self.settlements;
        let awaiting = &self.awaiting;
        let last = &self.lasts;
        let puts = Puts::of(&self.statuses);
        let parts: [(bool, &str, Values<'_>); 10] = [
            (seq.is_empty(), GO_ON, &[seq, state, at, reason, attempts, tries, since, open]),
            (
                attempt.delivery.is_empty(),
                KEEP_ATTEMPTS,
                &[
                    &attempt.delivery,
                    &attempt.number,
                    &attempt.claim,
                    &attempt.started_at,
                    &attempt.ended_at,
                    &attempt.outcome,
                    &attempt.class,
                    &attempt.reason,
                    &attempt.after,
                    &attempt.within,
                    &attempt.request,
                    &attempt.response,
                ],
            ),
            (
                settlement.delivery.is_empty(),
                SETTLE,
                &[
                    &settlement.delivery,
                    &settlement.number,
                    &settlement.at,
                    &settlement.outcome,
                    &settlement.class,
                    &settlement.reason,
                    &settlement.after,
                    &settlement.body,
                ],
            ),
            (self.settled.is_empty(), AWAIT_NO_MORE, &[&self.settled]),
            (
                awaiting.delivery.is_empty(),
                AWAIT,
                &[&awaiting.delivery, &awaiting.claim, &awaiting.deadline, &awaiting.pb_data],
            ),
            (
                last.lane.is_empty(),
                KEEP_LASTS,
                &[&last.lane, &last.handler, &last.kind, &last.id, &last.pb_data, &last.at],
            ),
            (handlers.is_empty(), COUNT, &[&handlers, &states, &by]),
            (latest.is_empty(), SUPERSEDE, &[&latest, &when]),
            (self.lanes.is_empty(), ADVANCE, &[&self.lanes]),
            (puts.is_empty(), statuses::PUT, &puts.values()),
        ];
        let statements: Vec<_> =
            parts.into_iter().filter(|part| !part.0).map(|(_, sql, values)| (sql, values)).collect();
        session.commit(&statements).await
    }
}
