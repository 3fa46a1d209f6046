//! Rows to types and back: the only place that knows how a value lies in a column.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};
use uuid::Uuid;

use crate::delivery::{Attempt, Delivery, DeliveryId, Failure, Outcome, Settlement, State};
use crate::event::{Event, EventId, Subject, SubjectKind};
use crate::handler::Order;
use crate::store::{Status, StatusValue};

/// The columns that [`event`] reads, `e` being the table.
macro_rules! event_columns {
    () => {
        "e.id, e.source, e.i_env, e.i_event, e.event_type, e.subject_kind, e.subject_id, e.event_time, \
         e.received_at, e.body"
    };
}

/// The columns that [`delivery`] reads, `d` and `e` being the tables.
macro_rules! delivery_columns {
    () => {
        "d.seq, e.id, d.handler, d.subject_kind, d.subject_id, d.attempts, d.tries, d.accepted_at, d.since, d.state, \
         d.at, d.reason"
    };
}

pub(super) use crate::store::number::{DELIVERIES, EVENTS, delivery_id, delivery_seq};
pub(super) use {delivery_columns, event_columns};

/// How many columns those are.
pub(super) const DELIVERY: usize = 12;
pub(super) const EVENT: usize = 10;
/// Which of them is `at`.
pub(super) const AT: usize = 10;

/// The columns that [`attempt`] reads.
pub(super) const ATTEMPT: &str = "number, started_at, ended_at, outcome, class, reason, after, within, request, response, \
    settled_at, settled_outcome, settled_class, settled_reason, settled_after, settled_body";

/// The columns that [`status`] reads.
pub(super) const STATUS: &str = "i_account, service_group, value, message, at";

/// Microseconds since 1970: finer than that no two clocks agree.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

pub(super) fn time(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|error| strange("a time", error))
}

/// What lies in a column isn't what was put there: somebody else wrote, or the disk lies.
pub(super) fn strange(what: &str, error: impl std::fmt::Display) -> Error {
    Error::FromSqlConversionFailure(0, Type::Null, format!("{what}: {error}").into())
}

fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

/// A word that stands in a column, without making a string of it.
fn word<T>(row: &Row<'_>, column: usize, what: &str, known: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let word = row.get_ref(column)?.as_str().map_err(|error| strange(what, error))?;
    known(word).ok_or_else(|| strange(what, word))
}

fn subject(row: &Row<'_>, from: usize) -> Result<Subject> {
    let kind = word(row, from, "a kind of subject", SubjectKind::from_word)?;
    Ok(Subject { kind, id: row.get(from + 1)? })
}

/// Reads the columns from `from` on: by number, since looking them up by name takes longer than reading them.
pub(super) fn event(row: &Row<'_>, from: usize) -> Result<Event> {
    Ok(Event {
        id: EventId(uuid(row, from)?),
        source: row.get(from + 1)?,
        i_env: row.get(from + 2)?,
        i_event: row.get(from + 3)?,
        event_type: row.get(from + 4)?,
        subject: subject(row, from + 5)?,
        event_time: row.get::<_, Option<i64>>(from + 7)?.map(time).transpose()?,
        received_at: time(row.get(from + 8)?)?,
        body: row.get(from + 9)?,
    })
}

/// The delivery and its number.
pub(super) fn delivery(row: &Row<'_>) -> Result<(i64, Delivery)> {
    let seq = row.get(0)?;
    let event = EventId(uuid(row, 1)?);
    let delivery = Delivery {
        id: delivery_id(event, seq),
        event,
        handler: row.get(2)?,
        subject: subject(row, 3)?,
        attempts: row.get(5)?,
        tries: row.get(6)?,
        accepted_at: time(row.get(7)?)?,
        since: time(row.get(8)?)?,
        state: state(row, 9)?,
    };
    Ok((seq, delivery))
}

/// Reads the column `state` without the others.
pub(super) fn state_word(row: &Row<'_>, column: usize) -> Result<&'static str> {
    word(row, column, "a state", |word| State::WORDS.into_iter().find(|known| *known == word))
}

/// Reads the columns `state`, `at` and `reason`.
pub(super) fn state(row: &Row<'_>, from: usize) -> Result<State> {
    let at = row.get(from + 1)?;
    let state = |word: &str| state_of(word, at, || row.get(from + 2)).transpose();
    word(row, from, "a state", state)?
}

/// The state that these columns say; none if there is no such word.
pub(super) fn state_of(
    word: &str,
    at: i64,
    reason: impl FnOnce() -> Result<Option<String>>,
) -> Result<Option<State>> {
    let at = time(at)?;
    let reason = || -> Result<String> { Ok(reason()?.unwrap_or_default()) };
    Ok(Some(match word {
        "pending" => State::Pending { due: at },
        "in_flight" => State::InFlight { since: at },
        "awaiting" => State::Awaiting { deadline: at },
        "delivered" => State::Delivered { at },
        "parked" => State::Parked { at, reason: reason()? },
        "cancelled" => State::Cancelled { at, reason: reason()? },
        "superseded" => {
            let by = reason()?.parse().map_err(|error| strange("a delivery's id", error))?;
            State::Superseded { at, by: DeliveryId(by) }
        }
        _ => return Ok(None),
    }))
}

/// The columns `at` and `reason` of a state.
pub(super) fn state_columns(state: &State) -> (i64, Option<String>) {
    match state {
        State::Pending { due } => (micros(*due), None),
        State::InFlight { since } => (micros(*since), None),
        State::Awaiting { deadline } => (micros(*deadline), None),
        State::Delivered { at } => (micros(*at), None),
        State::Parked { at, reason } | State::Cancelled { at, reason } => (micros(*at), Some(reason.clone())),
        State::Superseded { at, by } => (micros(*at), Some(by.to_string())),
    }
}

/// The column `mode`.
pub(super) fn mode(order: Order) -> i64 {
    match order {
        Order::Skip => 0,
        Order::Strict => 1,
        Order::Latest => 2,
    }
}

/// What the column `mode` says.
pub(super) fn order(mode: i64) -> Result<Order> {
    [Order::Skip, Order::Strict, Order::Latest]
        .into_iter()
        .find(|order| self::mode(*order) == mode)
        .ok_or_else(|| strange("an order", mode))
}

pub(super) fn attempt(row: &Row<'_>) -> Result<Attempt> {
    let settled_at = row.get::<_, Option<i64>>("settled_at")?;
    let settled = match settled_at {
        Some(at) => Some(Settlement {
            at: time(at)?,
            outcome: outcome(
                &row.get::<_, String>("settled_outcome")?,
                row.get::<_, Option<String>>("settled_class")?.as_deref(),
                row.get("settled_reason")?,
                row.get("settled_after")?,
                None,
            )?,
            body: row.get("settled_body")?,
        }),
        None => None,
    };
    Ok(Attempt {
        number: row.get("number")?,
        started_at: time(row.get("started_at")?)?,
        ended_at: time(row.get("ended_at")?)?,
        outcome: outcome(
            &row.get::<_, String>("outcome")?,
            row.get::<_, Option<String>>("class")?.as_deref(),
            row.get("reason")?,
            row.get("after")?,
            row.get("within")?,
        )?,
        request: row.get("request")?,
        response: row.get("response")?,
        settled,
    })
}

/// The outcome that these columns say.
pub(super) fn outcome(
    word: &str,
    class: Option<&str>,
    reason: Option<String>,
    after: Option<i64>,
    within: Option<i64>,
) -> Result<Outcome> {
    let pause = |micros: i64| u64::try_from(micros).ok().map(Duration::from_micros);
    let reason = reason.unwrap_or_default();
    Ok(match word {
        "delivered" => Outcome::Delivered,
        "accepted" => Outcome::Accepted { within: within.and_then(pause).unwrap_or_default() },
        "retry" => {
            let class = class.and_then(Failure::from_word);
            let class = class.ok_or_else(|| strange("a kind of failure", "unknown"))?;
            Outcome::Retry { class, reason, after: after.and_then(pause) }
        }
        "refused" => Outcome::Refused { reason },
        _ => return Err(strange("an outcome", word)),
    })
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

pub(super) fn status(row: &Row<'_>) -> Result<Status> {
    Ok(Status {
        i_account: row.get("i_account")?,
        group: row.get("service_group")?,
        value: status_value(&row.get::<_, String>("value")?)?,
        message: row.get("message")?,
        at: time(row.get("at")?)?,
    })
}

/// What ESPF's word means.
pub(super) fn status_value(word: &str) -> Result<StatusValue> {
    let values = [StatusValue::Ok, StatusValue::InProgress, StatusValue::Retry, StatusValue::Failed];
    values.into_iter().find(|value| value.as_str() == word).ok_or_else(|| strange("a status", word))
}
