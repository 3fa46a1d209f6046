//! An attempt with all that follows from it, as a line of JSON: with the words and numbers that stand in the tables.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::row;
use crate::delivery::{Attempt, DeliveryId};
use crate::store::{Record, Status};

type Text<'e> = Cow<'e, str>;

#[derive(Serialize, Deserialize)]
pub(super) struct Line<'e> {
    delivery: Uuid,
    claim: u32,
    number: u32,
    started_at: i64,
    ended_at: i64,
    outcome: Text<'e>,
    class: Option<Text<'e>>,
    reason: Option<Text<'e>>,
    after: Option<i64>,
    within: Option<i64>,
    request: Option<Text<'e>>,
    response: Option<Text<'e>>,
    state: Text<'e>,
    at: i64,
    state_reason: Option<Text<'e>>,
    tries: u32,
    status: Option<StatusLine<'e>>,
    last: Option<Text<'e>>,
    /// Older programs didn't say: then the claim counts as the first, since what came after it is never left out.
    #[serde(default)]
    seen: i64,
}

#[derive(Serialize, Deserialize)]
struct StatusLine<'e> {
    i_account: i64,
    group: Text<'e>,
    value: Text<'e>,
    message: Option<Text<'e>>,
    at: i64,
}

fn borrowed(text: Option<&String>) -> Option<Text<'_>> {
    text.map(|text| Cow::Borrowed(text.as_str()))
}

fn owned(text: Option<Text<'_>>) -> Option<String> {
    text.map(Cow::into_owned)
}

impl<'e> Line<'e> {
    pub(super) fn new(record: &'e Record, seen: i64) -> Self {
        let Attempt { number, started_at, ended_at, outcome, request, response, .. } = &record.attempt;
        let (class, after, within) = row::outcome_columns(outcome);
        let (at, state_reason) = row::state_columns(&record.state);
        Self {
            delivery: record.delivery.0,
            claim: record.claim,
            number: *number,
            started_at: row::micros(*started_at),
            ended_at: row::micros(*ended_at),
            outcome: outcome.word().into(),
            class: class.map(Cow::Borrowed),
            reason: outcome.reason().map(Cow::Borrowed),
            after,
            within,
            request: borrowed(request.as_ref()),
            response: borrowed(response.as_ref()),
            state: record.state.word().into(),
            at,
            state_reason: state_reason.map(Cow::Owned),
            tries: record.tries,
            status: record.status.as_ref().map(StatusLine::from),
            last: borrowed(record.last.as_ref()),
            seen,
        }
    }
}

impl<'e> From<&'e Status> for StatusLine<'e> {
    fn from(status: &'e Status) -> Self {
        Self {
            i_account: status.i_account,
            group: Cow::Borrowed(&status.group),
            value: status.value.as_str().into(),
            message: borrowed(status.message.as_ref()),
            at: row::micros(status.at),
        }
    }
}

impl Line<'_> {
    /// What it was made of; none if it was made of nothing of the kind.
    pub(super) fn read(self) -> Option<(Record, i64)> {
        let reason = owned(self.reason);
        let outcome = row::outcome(&self.outcome, self.class.as_deref(), reason, self.after, self.within);
        let state_reason = owned(self.state_reason);
        let record = Record {
            delivery: DeliveryId(self.delivery),
            claim: self.claim,
            attempt: Attempt {
                number: self.number,
                started_at: row::time(self.started_at).ok()?,
                ended_at: row::time(self.ended_at).ok()?,
                outcome: outcome.ok()?,
                request: owned(self.request),
                response: owned(self.response),
                settled: None,
            },
            state: row::state_of(&self.state, self.at, || Ok(state_reason)).ok()??,
            tries: self.tries,
            status: match self.status {
                Some(status) => Some(status.read()?),
                None => None,
            },
            last: owned(self.last),
        };
        Some((record, self.seen))
    }
}

impl StatusLine<'_> {
    fn read(self) -> Option<Status> {
        Some(Status {
            i_account: self.i_account,
            group: self.group.into_owned(),
            value: row::status_value(&self.value).ok()?,
            message: owned(self.message),
            at: row::time(self.at).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::Entry;
    use super::*;
    use crate::delivery::{Failure, Outcome, State};
    use crate::store::StatusValue;
    use crate::store::conformance::at;

    fn record(outcome: Outcome, state: State) -> Record {
        Record {
            delivery: DeliveryId::at(at(1)),
            claim: 3,
            attempt: Attempt {
                number: 2,
                started_at: at(2),
                ended_at: at(3),
                outcome,
                request: Some("{\"ü\":\"\\\"\n\"}".into()),
                response: None,
                settled: None,
            },
            state,
            tries: 1,
            status: None,
            last: None,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let retry = |after| Outcome::Retry { class: Failure::Busy, reason: "429".into(), after };
        let refused = Outcome::Refused { reason: "no".into() };
        let within = Duration::from_secs(60);
        let status = Status {
            i_account: 7,
            group: "HLR".into(),
            value: StatusValue::Failed,
            message: Some("no".into()),
            at: at(4),
        };
        let by = DeliveryId::at(at(9));
        for record in [
            Record { last: Some("{}".into()), ..record(Outcome::Delivered, State::Delivered { at: at(3) }) },
            record(retry(None), State::Pending { due: at(5) }),
            record(retry(Some(within)), State::Superseded { at: at(5), by }),
            record(Outcome::Accepted { within }, State::Awaiting { deadline: at(63) }),
            Record {
                status: Some(status),
                ..record(refused, State::Parked { at: at(3), reason: "no".into() })
            },
        ] {
            let entry = Entry::Recorded { record: Arc::new(record), seen: 17 };
            let read = Entry::decode(&entry.encode().expect("written")).expect("read");
            assert_eq!(format!("{read:?}"), format!("{entry:?}"));
        }
    }
}
