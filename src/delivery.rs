//! One event for one handler, and the only judge of what becomes of it: [`State::next`].

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::event::{EventId, Subject, uuid_at};
use crate::handler::{Order, Retries, RetrySchedule};
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
    /// How many of them the retry schedule counts: those since the last replay that didn't run into an open breaker.
    pub tries: u32,
    /// When the event was accepted.
    pub accepted_at: Timestamp,
    /// Since when it is to be delivered: the retry horizon counts from here. A replay sets it anew.
    pub since: Timestamp,
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
    /// The external system has taken it on, and will call back when it is done.
    Awaiting {
        /// If it hasn't by then, it counts as failed.
        deadline: Timestamp,
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
    /// Not needed any more: a newer delivery of the same handler and subject brings what is true now ([`Order::Latest`]).
    ///
    /// [`Order::Latest`]: crate::handler::Order::Latest
    Superseded {
        /// Since then.
        at: Timestamp,
        /// The newer one.
        by: DeliveryId,
    },
    /// An operator wants no more of it.
    Cancelled {
        /// Since then.
        at: Timestamp,
        /// Why, as the operator said.
        reason: String,
    },
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The external system has it.
    Delivered,
    /// The external system has taken it on, and will call back.
    Accepted {
        /// For how long to wait for that.
        within: Duration,
    },
    /// It may work later.
    Retry {
        /// What kind of failure it is.
        class: Failure,
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

/// Kinds of failures that may pass; each can have a retry schedule of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// The external system can't be reached, or doesn't answer in time.
    Unreachable,
    /// It asks for patience (429, 503).
    Busy,
    /// It has failed (500, 502, 504 and whatever else isn't named here).
    Failed,
    /// It doesn't want what it was sent (4xx), and that isn't final.
    Rejected,
    /// PortaBilling couldn't be asked.
    PortaBilling,
    /// The external system took it on and didn't call back in time, or called back that it failed.
    Callback,
    /// The gateway stopped in the middle (then it is tried again at once), or made a mistake.
    Interrupted,
}

/// How the wait for a callback ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// When.
    pub at: Timestamp,
    /// What came of the attempt after all.
    pub outcome: Outcome,
    /// What was called back, as it came and bounded; none if nothing was.
    pub body: Option<String>,
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
    /// How the wait for a callback ended, where there was one and it has.
    pub settled: Option<Settlement>,
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

impl Failure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::Busy,
        Self::Failed,
        Self::Rejected,
        Self::PortaBilling,
        Self::Callback,
        Self::Interrupted,
    ];

    /// The word for it: `unreachable`, `busy`, `failed`, `rejected`, `portabilling`, `callback`, `interrupted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::PortaBilling => "portabilling",
            Self::Callback => "callback",
            Self::Interrupted => "interrupted",
        }
    }

    /// The failure that [`Self::as_str`] calls `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == word)
    }

    /// Whether it says that the external system is unwell, and not only this delivery.
    pub const fn is_outage(self) -> bool {
        matches!(self, Self::Unreachable | Self::Busy | Self::Failed)
    }
}

impl Outcome {
    /// The word for it: `delivered`, `accepted`, `retry`, `refused`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Accepted { .. } => "accepted",
            Self::Retry { .. } => "retry",
            Self::Refused { .. } => "refused",
        }
    }

    /// Why it isn't delivered.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Delivered | Self::Accepted { .. } => None,
            Self::Retry { reason, .. } | Self::Refused { reason } => Some(reason),
        }
    }

    /// What kind of failure it is, where it may pass.
    pub const fn failure(&self) -> Option<Failure> {
        match self {
            Self::Retry { class, .. } => Some(*class),
            _ => None,
        }
    }
}

impl State {
    /// The words for all of them.
    pub const WORDS: [&'static str; 7] =
        ["pending", "in_flight", "awaiting", "delivered", "parked", "superseded", "cancelled"];

    /// The word for it, one of [`Self::WORDS`].
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::InFlight { .. } => "in_flight",
            Self::Awaiting { .. } => "awaiting",
            Self::Delivered { .. } => "delivered",
            Self::Parked { .. } => "parked",
            Self::Superseded { .. } => "superseded",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether it keeps those behind it in its lane waiting.
    pub fn holds(&self, order: Order) -> bool {
        match self {
            Self::Pending { .. } | Self::InFlight { .. } | Self::Awaiting { .. } => true,
            Self::Parked { .. } => order == Order::Strict,
            Self::Delivered { .. } | Self::Superseded { .. } | Self::Cancelled { .. } => false,
        }
    }

    /// Whether an operator may still have it left alone: nobody has it in hand, and it hasn't ended.
    pub const fn may_be_cancelled(&self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Awaiting { .. } | Self::Parked { .. })
    }

    /// Where a delivery stands after an attempt, or after the wait for a callback: decided here and in
    /// [`Self::next_uncounted`], and nowhere else.
    ///
    /// `tries` includes the one that has just ended; the horizon is counted from `since`; `jitter` is 0 to 1. A delivery that is
    /// neither in flight nor awaiting stays as it is, unless the external system turns out to have it after all.
    ///
    /// It may have spent its age waiting, behind a breaker that was open or behind others of its subject. So the quick tries
    /// that the horizon has room for ([`RetrySchedule::has_room`]) are left to it whatever its age.
    #[must_use]
    pub fn next(
        &self,
        outcome: &Outcome,
        tries: u32,
        since: Timestamp,
        retries: &Retries,
        jitter: f64,
        now: Timestamp,
    ) -> Self {
        self.after(outcome, tries, now, |class, asked| {
            let schedule = retries.of(class);
            let since = if schedule.has_room(tries) { now } else { since };
            due(tries, since, schedule, asked, jitter, now)
        })
    }

    /// The same after an attempt that isn't counted, since a system that it asked is left alone: an outage is no fault of the
    /// delivery, and however long it lasts it parks none. Before the breaker lets it through it isn't tried again anyway.
    #[must_use]
    pub fn next_uncounted(
        &self,
        outcome: &Outcome,
        tries: u32,
        retries: &Retries,
        jitter: f64,
        now: Timestamp,
    ) -> Self {
        self.after(outcome, tries, now, |class, asked| {
            let schedule = retries.of(class);
            let pause = schedule.pause(tries, jitter).unwrap_or(schedule.first);
            Some(later(now, pause.max(schedule.bounded(asked))).unwrap_or(Timestamp::MAX))
        })
    }

    /// Where it stands after that; `due` says when a failure that may pass is tried again, if it is.
    fn after(
        &self,
        outcome: &Outcome,
        tries: u32,
        now: Timestamp,
        due: impl FnOnce(Failure, Option<Duration>) -> Option<Timestamp>,
    ) -> Self {
        match (self, outcome) {
            (Self::Delivered { .. }, _) => self.clone(),
            (_, Outcome::Delivered) => Self::Delivered { at: now },
            (Self::InFlight { .. }, Outcome::Accepted { within }) => {
                Self::Awaiting { deadline: later(now, *within).unwrap_or(Timestamp::MAX) }
            }
            (Self::InFlight { .. } | Self::Awaiting { .. }, Outcome::Refused { reason }) => {
                Self::Parked { at: now, reason: reason.clone() }
            }
            (Self::InFlight { .. } | Self::Awaiting { .. }, Outcome::Retry { class, reason, after }) => {
                match due(*class, *after) {
                    Some(due) => Self::Pending { due },
                    None => Self::Parked {
                        at: now,
                        reason: format!("given up after {}; the last: {reason}", counted(tries)),
                    },
                }
            }
            _ => self.clone(),
        }
    }

    /// Where a delivery stands that was in flight when the gateway died: nobody knows whether the external system has
    /// it, so it is tried again at once; and the outcome under which the attempt is kept. Others stay as they are.
    pub fn interrupted(&self, now: Timestamp) -> (Self, Option<Outcome>) {
        match self {
            Self::InFlight { .. } => {
                let reason = "the gateway stopped in the middle; it may have been carried out".to_owned();
                let outcome = Outcome::Retry { class: Failure::Interrupted, reason, after: None };
                (Self::Pending { due: now }, Some(outcome))
            }
            other => (other.clone(), None),
        }
    }

    /// The provisioning status that says so in PortaBilling (ESPF: `IN_PROGRESS` when the first attempt starts and while a
    /// callback is awaited, `RETRY` once one has failed and more will come, then `OK` or `FAILED`); none where nothing has
    /// changed, where a newer delivery will say, or where whoever cancels says.
    pub fn status(&self, attempts: u32) -> Option<StatusValue> {
        match self {
            Self::InFlight { .. } => (attempts == 0).then_some(StatusValue::InProgress),
            Self::Awaiting { .. } => Some(StatusValue::InProgress),
            Self::Pending { .. } => (attempts > 0).then_some(StatusValue::Retry),
            Self::Delivered { .. } => Some(StatusValue::Ok),
            Self::Parked { .. } => Some(StatusValue::Failed),
            Self::Superseded { .. } | Self::Cancelled { .. } => None,
        }
    }
}

fn counted(tries: u32) -> String {
    match tries {
        1 => "1 try".into(),
        tries => format!("{tries} tries"),
    }
}

/// When to try again; none where the schedule or its horizon has come to its end.
pub(crate) fn due(
    tries: u32,
    since: Timestamp,
    schedule: &RetrySchedule,
    after: Option<Duration>,
    jitter: f64,
    now: Timestamp,
) -> Option<Timestamp> {
    let pause = schedule.pause(tries, jitter)?;
    let due = later(now, pause.max(schedule.bounded(after)))?;
    let end = later(since, schedule.horizon).unwrap_or(Timestamp::MAX);
    (due <= end).then_some(due)
}

/// So long after that; none beyond the end of time.
pub(crate) fn later(time: Timestamp, by: Duration) -> Option<Timestamp> {
    time.checked_add(SignedDuration::try_from(by).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn retry(after: Option<u64>) -> Outcome {
        Outcome::Retry { class: Failure::Busy, reason: "busy".into(), after: after.map(Duration::from_secs) }
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
                parked(30 * DAY + 1, "given up after 120 tries; the last: busy"),
            ),
            (&flying, refused(), 1, 5, parked(5, "no such SIM")),
            (&flying, Outcome::Delivered, 500, 90 * DAY, State::Delivered { at: at(90 * DAY) }),
        ];
        for (state, outcome, attempts, now, expected) in table {
            let next = state.next(&outcome, attempts, at(0), &Retries::default(), 0.0, at(now));
            assert_eq!(next, expected, "{state:?} {outcome:?} {attempts} at {now}");
        }
    }

    #[test]
    fn who_has_waited_for_others_is_left_the_quick_tries_that_the_horizon_has_room_for() {
        let flying = State::InFlight { since: at(0) };
        let hour = RetrySchedule { horizon: Duration::from_secs(3600), ..RetrySchedule::default() };
        let after = |tries| flying.next(&retry(None), tries, at(0), &hour.clone().into(), 0.0, at(6 * HOUR));
        assert_eq!(after(1), State::Pending { due: at(6 * HOUR + 60) });
        // 1 + 2 + 4 + 8 + 10 + 10 + 10 + 10 minutes; ten more are too many
        assert_eq!(after(8), State::Pending { due: at(6 * HOUR + 600) });
        assert!(matches!(after(9), State::Parked { .. }));
        let few = RetrySchedule { tries: 3, ..hour.clone() };
        let slow = flying.next(&retry(None), 3, at(0), &few.into(), 0.0, at(6 * HOUR));
        assert!(matches!(slow, State::Parked { .. }), "the quick ones are over: {slow:?}");
    }

    #[test]
    fn an_attempt_that_is_not_counted_parks_nothing_that_is_not_refused() {
        let flying = State::InFlight { since: at(0) };
        let impatient = RetrySchedule {
            tries: 3,
            then: Vec::new(),
            horizon: Duration::from_secs(1),
            ..RetrySchedule::default()
        };
        let after = |outcome: Outcome, tries| {
            flying.next_uncounted(&outcome, tries, &impatient.clone().into(), 0.0, at(90 * DAY))
        };
        let due = |seconds| State::Pending { due: at(90 * DAY + seconds) };
        assert_eq!(after(retry(None), 0), due(60));
        assert_eq!(after(retry(None), 2), due(120));
        assert_eq!(after(retry(None), 9), due(60), "other kinds of failures may have used up more");
        assert_eq!(after(retry(Some(u64::MAX)), 0), due(600));
        assert!(matches!(after(refused(), 0), State::Parked { .. }));
        assert_eq!(after(Outcome::Delivered, 0), State::Delivered { at: at(90 * DAY) });
    }

    #[test]
    fn an_outcome_that_comes_late_changes_nothing_unless_it_is_a_success() {
        let schedule = Retries::default();
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
