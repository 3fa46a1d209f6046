//! Rows to types and back: the only place that knows how a value lies in a column.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};
use uuid::Uuid;

use crate::delivery::{Attempt, Delivery, DeliveryId, Outcome, State};
use crate::event::{Event, EventId, Subject, SubjectKind};
use crate::store::{Status, StatusValue};

/// The columns that [`event`] reads, `e` being the table.
pub(super) const EVENT: &str = "e.id AS e_id, e.source, e.i_env, e.i_event, e.event_type, \
     e.subject_kind AS e_kind, e.subject_id AS e_subject, e.event_time, e.received_at, e.body";

/// The columns that [`delivery`] reads, `d` and `e` being the tables.
pub(super) const DELIVERY: &str = "d.seq AS d_seq, d.id AS d_id, e.id AS d_event, d.handler, d.subject_kind, \
     d.subject_id, d.state, d.at, d.reason, d.attempts, d.accepted_at";

/// The columns that [`attempt`] reads.
pub(super) const ATTEMPT: &str = "number, started_at, ended_at, outcome, reason, after, request, response";

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
fn strange(what: &str, error: impl std::fmt::Display) -> Error {
    Error::FromSqlConversionFailure(0, Type::Null, format!("{what}: {error}").into())
}

fn uuid(row: &Row<'_>, column: &str) -> Result<Uuid> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(Uuid::from_bytes(bytes))
}

fn subject(row: &Row<'_>, kind: &str, id: &str) -> Result<Subject> {
    let word: String = row.get(kind)?;
    let kind = SubjectKind::from_word(&word).ok_or_else(|| strange("a kind of subject", word))?;
    Ok(Subject { kind, id: row.get(id)? })
}

pub(super) fn event(row: &Row<'_>) -> Result<Event> {
    Ok(Event {
        id: EventId(uuid(row, "e_id")?),
        source: row.get("source")?,
        i_env: row.get("i_env")?,
        i_event: row.get("i_event")?,
        event_type: row.get("event_type")?,
        subject: subject(row, "e_kind", "e_subject")?,
        event_time: row.get::<_, Option<i64>>("event_time")?.map(time).transpose()?,
        received_at: time(row.get("received_at")?)?,
        body: row.get("body")?,
    })
}

pub(super) fn delivery(row: &Row<'_>) -> Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId(uuid(row, "d_id")?),
        event: EventId(uuid(row, "d_event")?),
        handler: row.get("handler")?,
        subject: subject(row, "subject_kind", "subject_id")?,
        state: state(row)?,
        attempts: row.get("attempts")?,
        accepted_at: time(row.get("accepted_at")?)?,
    })
}

pub(super) fn state(row: &Row<'_>) -> Result<State> {
    let at = time(row.get("at")?)?;
    let word: String = row.get("state")?;
    Ok(match word.as_str() {
        "pending" => State::Pending { due: at },
        "in_flight" => State::InFlight { since: at },
        "delivered" => State::Delivered { at },
        "parked" => State::Parked { at, reason: row.get::<_, Option<String>>("reason")?.unwrap_or_default() },
        _ => return Err(strange("a state", word)),
    })
}

/// The columns `at` and `reason` of a state.
pub(super) fn state_columns(state: &State) -> (i64, Option<&str>) {
    match state {
        State::Pending { due } => (micros(*due), None),
        State::InFlight { since } => (micros(*since), None),
        State::Delivered { at } => (micros(*at), None),
        State::Parked { at, reason } => (micros(*at), Some(reason)),
    }
}

pub(super) fn attempt(row: &Row<'_>) -> Result<Attempt> {
    let reason = row.get::<_, Option<String>>("reason")?;
    let after = row.get::<_, Option<i64>>("after")?;
    let word: String = row.get("outcome")?;
    Ok(Attempt {
        number: row.get("number")?,
        started_at: time(row.get("started_at")?)?,
        ended_at: time(row.get("ended_at")?)?,
        outcome: match word.as_str() {
            "delivered" => Outcome::Delivered,
            "retry" => Outcome::Retry {
                reason: reason.unwrap_or_default(),
                after: after.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros),
            },
            "refused" => Outcome::Refused { reason: reason.unwrap_or_default() },
            _ => return Err(strange("an outcome", word)),
        },
        request: row.get("request")?,
        response: row.get("response")?,
    })
}

/// The column `after` of an outcome.
pub(super) fn after(outcome: &Outcome) -> Option<i64> {
    match outcome {
        Outcome::Retry { after, .. } => {
            after.map(|pause| i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
        }
        _ => None,
    }
}

pub(super) fn status(row: &Row<'_>) -> Result<Status> {
    let word: String = row.get("value")?;
    let values = [StatusValue::Ok, StatusValue::InProgress, StatusValue::Retry, StatusValue::Failed];
    Ok(Status {
        i_account: row.get("i_account")?,
        group: row.get("service_group")?,
        value: values
            .into_iter()
            .find(|value| value.as_str() == word)
            .ok_or_else(|| strange("a status", word))?,
        message: row.get("message")?,
        at: time(row.get("at")?)?,
    })
}
