//! How events, deliveries and attempts are shown in JSON. These names are part of the API: they are added to, not changed.
//!
//! Times are RFC 3339 in UTC.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::delivery::{Attempt, Delivery, Failure, Outcome, State};
use crate::event::Event;
use crate::store::{EventDetail, EventSummary, KeptStatus, Status, StatusStand};

/// A page of events, newest first.
#[derive(Debug, Serialize)]
pub struct EventPage<'a> {
    /// The events, with deliveries but without attempts.
    pub events: Vec<EventView<'a>>,
    /// What to ask for as `before` to get the next page; none at the end.
    pub next: Option<String>,
}

/// A page of deliveries, oldest first.
#[derive(Debug, Serialize)]
pub struct DeliveryPage<'a> {
    /// The deliveries, without attempts.
    pub deliveries: Vec<DeliveryView<'a>>,
    /// What to ask for as `after` to get the next page; none at the end.
    pub next: Option<String>,
}

impl<'a> DeliveryPage<'a> {
    /// A page for which `limit` deliveries were asked.
    pub fn new(deliveries: &'a [Delivery], limit: usize) -> Self {
        let next = deliveries.last().filter(|_| deliveries.len() >= limit).map(|last| last.id.to_string());
        Self { deliveries: deliveries.iter().map(DeliveryView::from).collect(), next }
    }
}

/// An event.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    /// Ours; sorts by time.
    pub id: String,
    /// The `[[intake]]` that it came by.
    pub source: &'a str,
    /// PortaBilling's environment.
    pub i_env: Option<i64>,
    /// ESPF's id.
    pub i_event: Option<i64>,
    /// As sent.
    pub event_type: &'a str,
    /// What it is about.
    pub subject: SubjectView<'a>,
    /// When it happened, as far as it said so.
    pub event_time: Option<Timestamp>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// What ESPF posted.
    pub body: BodyView<'a>,
    /// One for each handler that wants it.
    pub deliveries: Vec<DeliveryView<'a>>,
    /// Those of its account, whatever event they are of; only with a single event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Vec<StatusView<'a>>>,
}

/// A provisioning status, and how far its write-back is.
#[derive(Debug, Serialize)]
pub struct StatusView<'a> {
    /// The account.
    pub i_account: i64,
    /// The service group.
    pub group: &'a str,
    /// `OK`, `IN_PROGRESS`, `RETRY`, `FAILED`.
    pub value: &'static str,
    /// What is said beside it.
    pub message: Option<&'a str>,
    /// When it became so.
    pub at: Timestamp,
    /// `due`, `writing`, `written`, `given_up`.
    pub state: &'static str,
    /// When it is to be written (due).
    pub due: Option<Timestamp>,
    /// How often that has been tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub reason: Option<&'a str>,
    /// When a status of this account and group was written last, this one or one before.
    pub written_at: Option<Timestamp>,
}

impl<'a> From<&'a KeptStatus> for StatusView<'a> {
    fn from(kept: &'a KeptStatus) -> Self {
        let Status { i_account, group, value, message, at } = &kept.status;
        Self {
            i_account: *i_account,
            group,
            value: value.as_str(),
            message: message.as_deref(),
            at: *at,
            state: kept.stand.word(),
            due: match kept.stand {
                StatusStand::Due { at } => Some(at),
                StatusStand::Writing | StatusStand::Written | StatusStand::GivenUp => None,
            },
            attempts: kept.attempts,
            reason: kept.reason.as_deref(),
            written_at: kept.written_at,
        }
    }
}

/// A body as it came.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum BodyView<'a> {
    /// JSON, byte for byte.
    Json(&'a RawValue),
    /// Should it not be JSON after all.
    Text(&'a str),
}

/// What an event is about.
#[derive(Debug, Serialize)]
pub struct SubjectView<'a> {
    /// `account`, `customer`, `did`, `invoice`, `sim`, `product`, `other`.
    pub kind: &'static str,
    /// Its id.
    pub id: &'a str,
}

/// One event for one handler.
#[derive(Debug, Serialize)]
pub struct DeliveryView<'a> {
    /// The idempotency key that the external system sees.
    pub id: String,
    /// Its event.
    pub event: String,
    /// The handler.
    pub handler: &'a str,
    /// What it is about.
    pub subject: SubjectView<'a>,
    /// `pending`, `in_flight`, `awaiting`, `delivered`, `parked`, `superseded`, `cancelled`.
    pub state: &'static str,
    /// When it is due (pending), when the callback is (awaiting), or since when it is so.
    pub at: Timestamp,
    /// Why it was given up (parked), is no longer wanted (cancelled), or by what it was superseded.
    pub reason: Option<Cow<'a, str>>,
    /// How many attempts have been made.
    pub attempts: u32,
    /// How many of them the retry schedule counts.
    pub tries: u32,
    /// When the event was accepted.
    pub accepted_at: Timestamp,
    /// The attempts; only with a single event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_list: Option<Vec<AttemptView<'a>>>,
}

/// One attempt.
#[derive(Debug, Serialize)]
pub struct AttemptView<'a> {
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// `delivered`, `accepted`, `retry`, `refused`.
    pub outcome: &'static str,
    /// What kind of failure it is (retry).
    pub class: Option<&'static str>,
    /// Why it isn't delivered.
    pub reason: Option<&'a str>,
    /// What the external system asked for with `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// What was sent, masked and bounded.
    pub request: Option<&'a str>,
    /// What was answered, masked and bounded.
    pub response: Option<&'a str>,
    /// How the wait for a callback ended, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<SettlementView<'a>>,
}

/// How the wait for a callback ended.
#[derive(Debug, Serialize)]
pub struct SettlementView<'a> {
    /// When.
    pub at: Timestamp,
    /// `delivered`, `retry`, `refused`.
    pub outcome: &'static str,
    /// Why it isn't delivered.
    pub reason: Option<&'a str>,
    /// What was called back.
    pub body: Option<&'a str>,
}

impl<'a> EventPage<'a> {
    /// A page for which `limit` events were asked.
    pub fn new(events: &'a [EventSummary], limit: usize) -> Self {
        let next = events.last().filter(|_| events.len() >= limit).map(|last| last.event.id.to_string());
        Self { events: events.iter().map(EventView::from).collect(), next }
    }
}

impl<'a> EventView<'a> {
    /// With these of its deliveries.
    pub fn new(event: &'a Event, deliveries: Vec<DeliveryView<'a>>) -> Self {
        Self {
            id: event.id.to_string(),
            source: &event.source,
            i_env: event.i_env,
            i_event: event.i_event,
            event_type: &event.event_type,
            subject: SubjectView { kind: event.subject.kind.as_str(), id: &event.subject.id },
            event_time: event.event_time,
            received_at: event.received_at,
            body: serde_json::from_str(&event.body).map_or(BodyView::Text(&event.body), BodyView::Json),
            deliveries,
            statuses: None,
        }
    }

    /// The same with the statuses of its account.
    pub fn with_statuses(self, statuses: &'a [KeptStatus]) -> Self {
        Self { statuses: Some(statuses.iter().map(StatusView::from).collect()), ..self }
    }
}

impl<'a> From<&'a EventSummary> for EventView<'a> {
    fn from(summary: &'a EventSummary) -> Self {
        Self::new(&summary.event, summary.deliveries.iter().map(DeliveryView::from).collect())
    }
}

impl<'a> From<&'a EventDetail> for EventView<'a> {
    fn from(detail: &'a EventDetail) -> Self {
        let view = |(delivery, attempts): &'a (Delivery, Vec<Attempt>)| {
            DeliveryView::with_attempts(delivery, attempts)
        };
        Self::new(&detail.event, detail.deliveries.iter().map(view).collect())
    }
}

impl<'a> DeliveryView<'a> {
    /// With all its attempts.
    pub fn with_attempts(delivery: &'a Delivery, attempts: &'a [Attempt]) -> Self {
        let attempts = attempts.iter().map(AttemptView::from).collect();
        Self { attempt_list: Some(attempts), ..Self::from(delivery) }
    }
}

impl<'a> From<&'a Delivery> for DeliveryView<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        let (at, reason) = match &delivery.state {
            State::Pending { due } => (*due, None),
            State::InFlight { since } => (*since, None),
            State::Delivered { at } => (*at, None),
            State::Awaiting { deadline } => (*deadline, None),
            State::Parked { at, reason } | State::Cancelled { at, reason } => {
                (*at, Some(reason.as_str().into()))
            }
            State::Superseded { at, by } => {
                (*at, Some(format!("a newer delivery takes its place: {by}").into()))
            }
        };
        Self {
            id: delivery.id.to_string(),
            event: delivery.event.to_string(),
            handler: &delivery.handler,
            subject: SubjectView { kind: delivery.subject.kind.as_str(), id: &delivery.subject.id },
            state: delivery.state.word(),
            at,
            reason,
            attempts: delivery.attempts,
            tries: delivery.tries,
            accepted_at: delivery.accepted_at,
            attempt_list: None,
        }
    }
}

impl<'a> From<&'a Attempt> for AttemptView<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        let retry_after = match &attempt.outcome {
            Outcome::Retry { after, .. } => after.map(|after| after.as_secs()),
            Outcome::Delivered | Outcome::Accepted { .. } | Outcome::Refused { .. } => None,
        };
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome.word(),
            class: attempt.outcome.failure().map(Failure::as_str),
            reason: attempt.outcome.reason(),
            retry_after,
            request: attempt.request.as_deref(),
            response: attempt.response.as_deref(),
            settled: attempt.settled.as_ref().map(|settled| SettlementView {
                at: settled.at,
                outcome: settled.outcome.word(),
                reason: settled.outcome.reason(),
                body: settled.body.as_deref(),
            }),
        }
    }
}
