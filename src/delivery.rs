//! One event for one handler, and the only judge of what becomes of it: [`State::next`].

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::event::{EventId, Subject, uuid_at};
use crate::handler::RetrySchedule;
use crate::store::StatusValue;

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
        after: Option<Duration>,
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

impl DeliveryId {
    /// A new id that sorts by `now`, to the millisecond.
    pub fn at(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }
}

impl Outcome {
    /// The word for it: `delivered`, `retry`, `refused`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry { .. } => "retry",
            Self::Refused { .. } => "refused",
        }
    }

    /// Why it isn't delivered.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Retry { reason, .. } | Self::Refused { reason } => Some(reason),
        }
    }
}

impl State {
    /// The word for it: `pending`, `in_flight`, `delivered`, `parked`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::InFlight { .. } => "in_flight",
            Self::Delivered { .. } => "delivered",
            Self::Parked { .. } => "parked",
        }
    }

    /// Where a delivery stands after an attempt: the only place where that is decided.
    ///
    /// `attempts` includes the one that has just ended; `jitter` is 0 to 1. A delivery that isn't in flight stays as
    /// it is, unless the external system turns out to have it after all.
    #[must_use]
    pub fn next(
        &self,
        outcome: &Outcome,
        attempts: u32,
        accepted_at: Timestamp,
        schedule: &RetrySchedule,
        jitter: f64,
        now: Timestamp,
    ) -> Self {
        match (self, outcome) {
            (Self::Delivered { .. }, _) => self.clone(),
            (_, Outcome::Delivered) => Self::Delivered { at: now },
            (Self::Pending { .. } | Self::Parked { .. }, _) => self.clone(),
            (Self::InFlight { .. }, Outcome::Refused { reason }) => {
                Self::Parked { at: now, reason: reason.clone() }
            }
            (Self::InFlight { .. }, Outcome::Retry { reason, after }) => {
                match due(attempts, accepted_at, schedule, *after, jitter, now) {
                    Some(due) => Self::Pending { due },
                    None => Self::Parked {
                        at: now,
                        reason: format!("given up after {attempts} attempts; the last: {reason}"),
                    },
                }
            }
        }
    }

    /// Where a delivery stands that was in flight when the gateway died: nobody knows whether the external system has
    /// it, so it is tried again at once; and the outcome under which the attempt is kept. Others stay as they are.
    pub fn interrupted(&self, now: Timestamp) -> (Self, Option<Outcome>) {
        match self {
            Self::InFlight { .. } => {
                let reason = "the gateway stopped in the middle; it may have been carried out".to_owned();
                (Self::Pending { due: now }, Some(Outcome::Retry { reason, after: None }))
            }
            other => (other.clone(), None),
        }
    }

    /// The provisioning status that says so in PortaBilling (ESPF: `IN_PROGRESS` when the first attempt starts, `RETRY`
    /// once one has failed and more will come, then `OK` or `FAILED`); none where nothing has changed.
    pub fn status(&self, attempts: u32) -> Option<StatusValue> {
        match self {
            Self::InFlight { .. } => (attempts == 0).then_some(StatusValue::InProgress),
            Self::Pending { .. } => (attempts > 0).then_some(StatusValue::Retry),
            Self::Delivered { .. } => Some(StatusValue::Ok),
            Self::Parked { .. } => Some(StatusValue::Failed),
        }
    }
}

/// When to try again; none where the schedule or its horizon has come to its end.
pub(crate) fn due(
    attempts: u32,
    accepted_at: Timestamp,
    schedule: &RetrySchedule,
    after: Option<Duration>,
    jitter: f64,
    now: Timestamp,
) -> Option<Timestamp> {
    let pause = schedule.pause(attempts, jitter)?;
    let asked = after.unwrap_or_default().min(schedule.longest_pause());
    let due = later(now, pause.max(asked))?;
    let end = later(accepted_at, schedule.horizon).unwrap_or(Timestamp::MAX);
    (due <= end).then_some(due)
}

fn later(time: Timestamp, by: Duration) -> Option<Timestamp> {
    time.checked_add(SignedDuration::try_from(by).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn retry(after: Option<u64>) -> Outcome {
        Outcome::Retry { reason: "busy".into(), after: after.map(Duration::from_secs) }
    }

    fn refused() -> Outcome {
        Outcome::Refused { reason: "no such SIM".into() }
    }

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn what_follows_from_an_outcome() {
        let flying = State::InFlight { since: at(0) };
        let pending = |seconds| State::Pending { due: at(seconds) };
        let parked = |seconds, reason: &str| State::Parked { at: at(seconds), reason: reason.into() };
        // state, outcome, attempts, now, what follows (all accepted at 0, no jitter)
        let table = [
            (&flying, Outcome::Delivered, 1, 5, State::Delivered { at: at(5) }),
            (&flying, retry(None), 1, 5, pending(5 + 60)),
            (&flying, retry(None), 2, 5, pending(5 + 120)),
            (&flying, retry(None), 50, 5, pending(5 + 600)),
            (&flying, retry(None), 100, 5, pending(5 + HOUR)),
            (&flying, retry(None), 500, 5, pending(5 + DAY)),
            // Retry-After lengthens a pause, never shortens it, and is bounded.
            (&flying, retry(Some(1)), 1, 5, pending(5 + 60)),
            (&flying, retry(Some(300)), 1, 5, pending(5 + 300)),
            (&flying, retry(Some(u64::MAX)), 1, 5, pending(5 + DAY)),
            // The horizon is 31 days, and counts from acceptance.
            (&flying, retry(None), 120, 30 * DAY, pending(31 * DAY)),
            (
                &flying,
                retry(None),
                120,
                30 * DAY + 1,
                parked(30 * DAY + 1, "given up after 120 attempts; the last: busy"),
            ),
            (&flying, refused(), 1, 5, parked(5, "no such SIM")),
            (&flying, Outcome::Delivered, 500, 90 * DAY, State::Delivered { at: at(90 * DAY) }),
        ];
        for (state, outcome, attempts, now, expected) in table {
            let next = state.next(&outcome, attempts, at(0), &RetrySchedule::default(), 0.0, at(now));
            assert_eq!(next, expected, "{state:?} {outcome:?} {attempts} at {now}");
        }
    }

    #[test]
    fn an_outcome_that_comes_late_changes_nothing_unless_it_is_a_success() {
        let schedule = RetrySchedule::default();
        let settled = [
            State::Pending { due: at(9) },
            State::Delivered { at: at(1) },
            State::Parked { at: at(1), reason: "no".into() },
        ];
        for state in &settled {
            for outcome in [retry(None), refused()] {
                assert_eq!(state.next(&outcome, 1, at(0), &schedule, 0.0, at(5)), *state);
            }
            assert!(matches!(
                state.next(&Outcome::Delivered, 1, at(0), &schedule, 0.0, at(5)),
                State::Delivered { .. }
            ));
        }
        assert_eq!(settled[1].next(&Outcome::Delivered, 1, at(0), &schedule, 0.0, at(5)), settled[1]);
    }

    #[test]
    fn the_status_says_where_it_stands() {
        let flying = State::InFlight { since: at(0) };
        assert_eq!(flying.status(0), Some(StatusValue::InProgress));
        assert_eq!(flying.status(1), None);
        assert_eq!(State::Pending { due: at(0) }.status(0), None);
        assert_eq!(State::Pending { due: at(0) }.status(1), Some(StatusValue::Retry));
        assert_eq!(State::Delivered { at: at(0) }.status(3), Some(StatusValue::Ok));
        assert_eq!(State::Parked { at: at(0), reason: String::new() }.status(3), Some(StatusValue::Failed));
    }

    #[test]
    fn a_crash_interrupts_only_what_is_in_flight() {
        let (state, outcome) = State::InFlight { since: at(0) }.interrupted(at(9));
        assert_eq!(state, State::Pending { due: at(9) });
        assert!(matches!(outcome, Some(Outcome::Retry { .. })));
        let delivered = State::Delivered { at: at(1) };
        assert_eq!(delivered.interrupted(at(9)), (delivered.clone(), None));
    }
}
