//! One event for one handler, and the only judge of what becomes of it: [`State::next`].

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use crate::event::{EventId, Subject};

/// One event for one handler.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The idempotency key: the same at every attempt, unknown to nobody who has seen one.
    pub id: DeliveryId,
    /// The event.
    pub event: EventId,
    /// The handler's name.
    pub handler: String,
    /// The event's subject: order holds per handler and subject.
    pub subject: Subject,
    /// Where it stands.
    pub state: State,
    /// How many attempts have been made.
    pub attempts: u32,
    /// When the event was accepted: the retry horizon counts from here.
    pub accepted_at: Timestamp,
}

/// The id of a [`Delivery`]; stable across retries, so that the external system can recognise a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub Uuid);

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Waits until `due`, and for the earlier ones of its subject.
    Pending {
        /// Not before this.
        due: Timestamp,
    },
    /// Being attempted.
    InFlight {
        /// Since then.
        since: Timestamp,
    },
    /// Done: the external system has it.
    Delivered {
        /// Since then.
        at: Timestamp,
    },
    /// Given up: refused for good, or the retry horizon is over. Kept for an operator.
    Parked {
        /// Since then.
        at: Timestamp,
        /// Why, for the operator.
        reason: String,
    },
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The external system has it.
    Delivered,
    /// It may work later.
    Retry {
        /// Why, for the operator; no secrets.
        reason: String,
        /// Not before this long (`Retry-After`).
        after: Option<std::time::Duration>,
    },
    /// It won't work however often it is tried.
    Refused {
        /// Why, for the operator; no secrets.
        reason: String,
    },
}

/// One attempt as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// What was sent to the external system, masked; none where it didn't come to that.
    pub request: Option<String>,
    /// What it answered (status line and a bounded part of the body).
    pub response: Option<String>,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
