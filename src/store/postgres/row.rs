//! Rows to types and back: the only place that knows how a value lies in a column.

use std::borrow::Cow;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::fault::Fault;
use crate::delivery::{Attempt, Delivery, DeliveryId, Failure, Outcome, Settlement, State};
use crate::event::{Event, EventId, Subject, SubjectKind};
use crate::handler::Order;
use crate::store::number::delivery_id;
use crate::store::{Claimed, Status, StatusValue};

/// The columns that [`Columns::event`] reads, `e` being the table.
macro_rules! event_columns {
    () => {
        "e.id, e.source, e.i_env, e.i_event, e.event_type, e.subject_kind, e.subject_id, e.event_time, \
         e.received_at, e.body"
    };
}

/// The columns that [`Columns::delivery`] reads, `d` and `e` being the tables.
macro_rules! delivery_columns {
    () => {
        "d.seq, e.id, d.handler, d.subject_kind, d.subject_id, d.attempts, d.tries, d.accepted_at, d.since, d.state, \
         d.at, d.reason"
    };
}

/// The columns that [`Columns::attempt`] reads.
macro_rules! attempt_columns {
    () => {
        "number, started_at, ended_at, outcome, class, reason, after, within, request, response, settled_at, \
         settled_outcome, settled_class, settled_reason, settled_after, settled_body"
    };
}

pub(super) use {attempt_columns, delivery_columns, event_columns};

/// A text as it lies in a column: PostgreSQL's can't hold the character 0.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte < 2) {
        text.replace('\u{1}', "\u{1}1").replace('\u{0}', "\u{1}0").into()
    } else {
        text.into()
    }
}

fn untext(text: String) -> String {
    if text.contains('\u{1}') { text.replace("\u{1}0", "\u{0}").replace("\u{1}1", "\u{1}") } else { text }
}

/// Microseconds since 1970: finer than that no two clocks agree.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A count for a column; nothing here is counted to two thousand millions.
pub(super) fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A limit for a statement.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Uuid {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    Uuid::from_bytes(bytes)
}

/// The id of a lane.
pub(super) fn lane(handler: &str, kind: &str, id: &str) -> Uuid {
    digest([handler, kind, id].map(str::as_bytes))
}

/// What makes an event the same as another; none without ESPF's number.
pub(super) fn same(event: &Event) -> Option<Uuid> {
    let i_event = event.i_event?.to_le_bytes();
    let i_env = event.i_env.unwrap_or(-1).to_le_bytes();
    let Event { source, event_type, subject, .. } = event;
    let words = [source, event_type, subject.kind.as_str(), &subject.id].map(str::as_bytes);
    Some(digest([&i_event[..], &i_env].into_iter().chain(words)))
}

/// The column `mode`.
pub(super) fn mode(order: Order) -> i16 {
    match order {
        Order::Skip => 0,
        Order::Strict => 1,
        Order::Latest => 2,
    }
}

/// What the column `mode` says.
pub(super) fn order(mode: i16) -> Result<Order, Fault> {
    [Order::Skip, Order::Strict, Order::Latest]
        .into_iter()
        .find(|order| self::mode(*order) == mode)
        .ok_or_else(|| Fault::strange("an order", mode))
}

/// The columns `at` and `reason` of a state.
pub(super) fn state_columns(state: &State) -> (i64, Option<Cow<'_, str>>) {
    match state {
        State::Pending { due } => (micros(*due), None),
        State::InFlight { since } => (micros(*since), None),
        State::Awaiting { deadline } => (micros(*deadline), None),
        State::Delivered { at } => (micros(*at), None),
        State::Parked { at, reason } | State::Cancelled { at, reason } => (micros(*at), Some(text(reason))),
        State::Superseded { at, by } => (micros(*at), Some(by.to_string().into())),
    }
}

/// The columns `class`, `after` and `within` of an outcome.
pub(super) fn outcome_columns(outcome: &Outcome) -> (Option<&'static str>, Option<i64>, Option<i64>) {
    let micros = |pause: Duration| i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
    match outcome {
        Outcome::Delivered | Outcome::Refused { .. } => (None, None, None),
        Outcome::Accepted { within } => (None, None, Some(micros(*within))),
        Outcome::Retry { class, after, .. } => (Some(class.as_str()), after.map(micros), None),
    }
}

/// Reads a row from left to right.
pub(super) struct Columns<'r> {
    row: &'r Row,
    at: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r Row) -> Self {
        Self { row, at: 0 }
    }

    pub(super) fn next<T: FromSql<'r>>(&mut self) -> Result<T, Fault> {
        let value = self.row.try_get(self.at)?;
        self.at += 1;
        Ok(value)
    }

    pub(super) fn text(&mut self) -> Result<String, Fault> {
        self.next().map(untext)
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, Fault> {
        Ok(self.next::<Option<String>>()?.map(untext))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Fault> {
        time(self.next()?)
    }

    pub(super) fn maybe_time(&mut self) -> Result<Option<Timestamp>, Fault> {
        self.next::<Option<i64>>()?.map(time).transpose()
    }

    /// A count that lies as an integer.
    pub(super) fn count(&mut self) -> Result<u32, Fault> {
        let count: i32 = self.next()?;
        u32::try_from(count).map_err(|_| Fault::strange("a count", count))
    }

    pub(super) fn subject(&mut self) -> Result<Subject, Fault> {
        let word: &str = self.next()?;
        let kind = SubjectKind::from_word(word).ok_or_else(|| Fault::strange("a kind of subject", word))?;
        Ok(Subject { kind, id: self.text()? })
    }

    pub(super) fn event(&mut self) -> Result<Event, Fault> {
        Ok(Event {
            id: EventId(self.next()?),
            source: self.text()?,
            i_env: self.next()?,
            i_event: self.next()?,
            event_type: self.text()?,
            subject: self.subject()?,
            event_time: self.maybe_time()?,
            received_at: self.time()?,
            body: self.text()?,
        })
    }

    /// The delivery and its number.
    pub(super) fn delivery(&mut self) -> Result<(i64, Delivery), Fault> {
        let seq = self.next()?;
        let event = EventId(self.next()?);
        let delivery = Delivery {
            id: delivery_id(event, seq),
            event,
            handler: self.text()?,
            subject: self.subject()?,
            attempts: self.count()?,
            tries: self.count()?,
            accepted_at: self.time()?,
            since: self.time()?,
            state: self.state()?,
        };
        Ok((seq, delivery))
    }

    /// A delivery, its event, the number of the claim and what was delivered last.
    pub(super) fn claimed(&mut self) -> Result<(i64, Claimed), Fault> {
        let (seq, delivery) = self.delivery()?;
        let event = self.event()?;
        Ok((seq, Claimed { delivery, event, claim: self.count()?, last: self.maybe_text()? }))
    }

    /// The columns `state`, `at` and `reason`.
    pub(super) fn state(&mut self) -> Result<State, Fault> {
        let word: &str = self.next()?;
        let at = self.time()?;
        let reason = self.maybe_text()?.unwrap_or_default();
        Ok(match word {
            "pending" => State::Pending { due: at },
            "in_flight" => State::InFlight { since: at },
            "awaiting" => State::Awaiting { deadline: at },
            "delivered" => State::Delivered { at },
            "parked" => State::Parked { at, reason },
            "cancelled" => State::Cancelled { at, reason },
            "superseded" => {
                let by = reason.parse().map_err(|_| Fault::strange("a delivery's id", &reason))?;
                State::Superseded { at, by: DeliveryId(by) }
            }
            _ => return Err(Fault::strange("a state", word)),
        })
    }

    pub(super) fn attempt(&mut self) -> Result<Attempt, Fault> {
        Ok(Attempt {
            number: self.count()?,
            started_at: self.time()?,
            ended_at: self.time()?,
            outcome: self.outcome(true)?,
            request: self.maybe_text()?,
            response: self.maybe_text()?,
            settled: self.settlement()?,
        })
    }

    fn settlement(&mut self) -> Result<Option<Settlement>, Fault> {
        let Some(at) = self.maybe_time()? else { return Ok(None) };
        Ok(Some(Settlement { at, outcome: self.outcome(false)?, body: self.maybe_text()? }))
    }

    fn outcome(&mut self, has_within: bool) -> Result<Outcome, Fault> {
        let word: &str = self.next()?;
        let class: Option<&str> = self.next()?;
        let reason = self.maybe_text()?.unwrap_or_default();
        let pause = |micros: i64| u64::try_from(micros).ok().map(Duration::from_micros);
        let after = self.next::<Option<i64>>()?.and_then(pause);
        let within = if has_within { self.next::<Option<i64>>()?.and_then(pause) } else { None };
        Ok(match word {
            "delivered" => Outcome::Delivered,
            "accepted" => Outcome::Accepted { within: within.unwrap_or_default() },
            "refused" => Outcome::Refused { reason },
            "retry" => {
                let known = class.and_then(Failure::from_word);
                let class =
                    known.ok_or_else(|| Fault::strange("a kind of failure", class.unwrap_or("nothing")))?;
                Outcome::Retry { class, reason, after }
            }
            _ => return Err(Fault::strange("an outcome", word)),
        })
    }

    /// The columns `i_account`, `service_group`, `value`, `message` and `at`.
    pub(super) fn status(&mut self) -> Result<Status, Fault> {
        let values = [StatusValue::Ok, StatusValue::InProgress, StatusValue::Retry, StatusValue::Failed];
        let (i_account, group) = (self.next()?, self.text()?);
        let word: &str = self.next()?;
        let value = values.into_iter().find(|value| value.as_str() == word);
        Ok(Status {
            i_account,
            group,
            value: value.ok_or_else(|| Fault::strange("a status", word))?,
            message: self.maybe_text()?,
            at: self.time()?,
        })
    }
}

pub(super) fn time(micros: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(micros).map_err(|_| Fault::strange("a time", micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_the_character_0_comes_back_as_it_was() {
        for kept in ["", "plain", "a\u{0}b", "\u{1}0", "\u{1}\u{0}\u{1}1\u{0}0", "\u{0}\u{0}1"] {
            let lies = text(kept);
            assert!(!lies.contains('\u{0}'));
            assert_eq!(untext(lies.into_owned()), kept);
        }
    }

    #[test]
    fn lanes_are_told_apart_by_where_their_parts_end() {
        assert_ne!(lane("a", "account", "1"), lane("aa", "ccount", "1"));
        assert_eq!(lane("a", "account", "1"), lane("a", "account", "1"));
    }
}
