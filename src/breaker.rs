//! Circuit breakers: whether an external system, or PortaBilling, is worth asking now. Pure; kept by the store, so that a
//! restart and the other gateways know.
//!
//! A breaker opens when a number of attempts in a row have found the other side unwell. While it is open nothing is claimed
//! for it, so deliveries wait without using up attempts. When its time is over it is half open: one delivery is the probe.
//! If that fails it is open again, for longer; if it works it is closed, and the backlog resumes gently.

use std::time::Duration;

use jiff::Timestamp;

use crate::delivery::later;

/// What PortaBilling's breaker is called; connectors' have the connector's name.
pub const PORTABILLING: &str = "portabilling";
/// What the breaker of PortaBilling's ESPF API is called, where statuses are written: it may be well while the rest is not.
pub const ESPF: &str = "espf";

/// What the breaker of a connector is called.
pub fn of_connector(name: &str) -> String {
    format!("connector:{name}")
}

/// A breaker as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// [`of_connector`], or [`PORTABILLING`], or [`ESPF`].
    pub name: String,
    /// How it stands.
    pub state: BreakerState,
    /// Since when.
    pub since: Timestamp,
    /// How often it has opened in a row without having worked in between: pauses grow with it.
    pub openings: u32,
    /// Why it opened, for the operator.
    pub reason: Option<String>,
    /// Each change has a higher one by 1; 1 for the first.
    pub version: i64,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// All is well.
    Closed,
    /// Nothing goes through.
    Open {
        /// Until then; then one probe may.
        until: Timestamp,
    },
    /// One probe is on its way.
    HalfOpen {
        /// If nothing has been heard of it by then, another may.
        until: Timestamp,
    },
}

/// The limits of breakers, with their defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    /// How many attempts in a row must fail for it to open; 10. Zero: it never does.
    pub failures: u32,
    /// How long it is open the first time; 30 s.
    pub first: Duration,
    /// The longest that it is open at a time; 10 min. Pauses double up to it.
    pub longest: Duration,
    /// How long a probe may take; 3 min. It should be longer than an attempt.
    pub probe: Duration,
    /// How long it takes after it has closed until everything may go through again; 60 s. The number in flight grows
    /// from one.
    pub slow_start: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            failures: 10,
            first: seconds(30),
            longest: seconds(600),
            probe: seconds(180),
            slow_start: seconds(60),
        }
    }
}

impl BreakerSettings {
    /// The longest that it is open at a time: nobody's `Retry-After` may ask for more.
    pub fn longest_pause(&self) -> Duration {
        self.longest.max(self.first)
    }
}

impl BreakerState {
    /// The word for it: `closed`, `open`, `half_open`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }

    /// The state that [`Self::word`] calls `word`.
    pub fn from_word(word: &str, until: Option<Timestamp>) -> Option<Self> {
        Some(match (word, until) {
            ("closed", _) => Self::Closed,
            ("open", Some(until)) => Self::Open { until },
            ("half_open", Some(until)) => Self::HalfOpen { until },
            _ => return None,
        })
    }

    /// Until when it stands like that.
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Closed => None,
            Self::Open { until } | Self::HalfOpen { until } => Some(until),
        }
    }
}

impl Breaker {
    /// One that has never opened.
    pub fn closed(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: BreakerState::Closed,
            since: Timestamp::UNIX_EPOCH,
            openings: 0,
            reason: None,
            version: 0,
        }
    }

    /// How many may be in flight at the same time, of `max`.
    pub fn allows(&self, max: usize, settings: &BreakerSettings, now: Timestamp) -> usize {
        match self.state {
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => 0,
            BreakerState::Closed => {
                let Some(passed) = self.passed(settings, now).filter(|_| self.version > 0) else {
                    return max;
                };
                let share = passed.as_secs_f64() / settings.slow_start.as_secs_f64();
                // truncation is meant: whole slots
                ((max as f64 * share) as usize).clamp(1, max.max(1))
            }
        }
    }

    /// Whether a probe may be sent now; whoever manages to keep the answer sends it.
    ///
    /// It may be, too, if there is far more left than it is ever open for: then the clock has stepped back.
    pub fn probing(&self, settings: &BreakerSettings, now: Timestamp) -> Option<Self> {
        let longest = settings.longest_pause().max(settings.probe);
        let left = Duration::try_from(self.state.until()?.duration_since(now)).unwrap_or_default();
        if !left.is_zero() && left <= longest.saturating_mul(2) {
            return None;
        }
        let until = later(now, settings.probe)?;
        Some(self.changed(BreakerState::HalfOpen { until }, now))
    }

    /// The probe has shown nothing: there was nothing to probe with after all, or it ended before it came so far. The next
    /// who has something may, after the first pause: whatever it was may be there still.
    pub fn unprobed(&self, settings: &BreakerSettings, now: Timestamp) -> Option<Self> {
        match self.state {
            BreakerState::HalfOpen { .. } => {
                let until = later(now, settings.first)?;
                Some(self.changed(BreakerState::Open { until }, now))
            }
            BreakerState::Closed | BreakerState::Open { .. } => None,
        }
    }

    /// An operator knows better: it is closed whatever it has seen, and what was before is forgotten. The backlog resumes
    /// gently.
    pub fn closed_by_hand(&self, now: Timestamp) -> Option<Self> {
        match self.state {
            BreakerState::Closed => None,
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => {
                Some(Self { openings: 0, reason: None, ..self.changed(BreakerState::Closed, now) })
            }
        }
    }

    /// After `failures` failures in a row, or after a probe that failed; `after` is what the other side asked for with
    /// `Retry-After`.
    pub fn failed(
        &self,
        failures: u32,
        reason: &str,
        after: Option<Duration>,
        settings: &BreakerSettings,
        now: Timestamp,
    ) -> Option<Self> {
        let opens = match self.state {
            BreakerState::Closed => settings.failures > 0 && failures >= settings.failures,
            BreakerState::HalfOpen { .. } => true,
            BreakerState::Open { .. } => false,
        };
        if !opens {
            return None;
        }
        let doubled = 1_u32.checked_shl(self.openings).unwrap_or(u32::MAX);
        let pause = settings.first.saturating_mul(doubled).max(after.unwrap_or_default());
        let pause = pause.min(settings.longest_pause());
        let until = later(now, pause)?;
        let mut open = self.changed(BreakerState::Open { until }, now);
        open.openings = self.openings.saturating_add(1);
        open.reason = Some(reason.to_owned());
        Some(open)
    }

    /// After an attempt that found the other side well.
    pub fn worked(&self, settings: &BreakerSettings, now: Timestamp) -> Option<Self> {
        match self.state {
            // A late answer of an attempt that began before it opened says little; the probe says more.
            BreakerState::Open { .. } => None,
            BreakerState::HalfOpen { .. } => Some(self.changed(BreakerState::Closed, now)),
            // It has gone well for as long as the slow start: what was before is forgotten.
            BreakerState::Closed if self.openings > 0 => self.passed(settings, now).is_none().then(|| Self {
                openings: 0,
                reason: None,
                version: self.version + 1,
                ..self.clone()
            }),
            BreakerState::Closed => None,
        }
    }

    /// How much of the slow start has passed; none once it is over.
    ///
    /// A start in the future is that of another gateway whose clock is ahead, and has just been; unless it is further off
    /// than a slow start takes: then our own clock has stepped back, and nobody knows for how long that would last.
    fn passed(&self, settings: &BreakerSettings, now: Timestamp) -> Option<Duration> {
        let passed = now.duration_since(self.since);
        let over = passed.unsigned_abs() >= settings.slow_start;
        (!over).then(|| Duration::try_from(passed).unwrap_or_default())
    }

    fn changed(&self, state: BreakerState, now: Timestamp) -> Self {
        Self { state, since: now, version: self.version + 1, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    const SETTINGS: BreakerSettings = BreakerSettings {
        failures: 3,
        first: Duration::from_secs(30),
        longest: Duration::from_secs(100),
        probe: Duration::from_secs(180),
        slow_start: Duration::from_secs(60),
    };

    fn opened(breaker: &Breaker, failures: u32, now: i64) -> Option<Breaker> {
        breaker.failed(failures, "down", None, &SETTINGS, at(now))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_nothing_goes_through() {
        let closed = Breaker::closed("connector:hss");
        assert_eq!(closed.allows(8, &SETTINGS, at(0)), 8);
        assert_eq!(opened(&closed, 2, 0), None);
        let open = opened(&closed, 3, 0).expect("open");
        assert_eq!(open.state, BreakerState::Open { until: at(30) });
        assert_eq!((open.version, open.openings, open.reason.as_deref()), (1, 1, Some("down")));
        assert_eq!(open.allows(8, &SETTINGS, at(29)), 0);
        assert_eq!(open.probing(&SETTINGS, at(29)), None);
        assert_eq!(opened(&open, 4, 1), None, "it is open already");
        assert_eq!(open.worked(&SETTINGS, at(1)), None, "a late answer says little");
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_longer_up_to_the_longest() {
        let mut breaker = opened(&Breaker::closed("x"), 3, 0).expect("open");
        let mut now = 30;
        for pause in [60, 100, 100] {
            let probing = breaker.probing(&SETTINGS, at(now)).expect("a probe");
            assert_eq!(probing.state, BreakerState::HalfOpen { until: at(now + 180) });
            assert_eq!(probing.probing(&SETTINGS, at(now)), None, "one at a time");
            assert!(probing.probing(&SETTINGS, at(now + 180)).is_some(), "unless nothing is heard of it");
            breaker = opened(&probing, 1, now).expect("open again");
            assert_eq!(breaker.state, BreakerState::Open { until: at(now + pause) });
            now += pause;
        }
        let asked = Breaker::closed("x").failed(3, "busy", Some(Duration::from_secs(77)), &SETTINGS, at(0));
        assert_eq!(asked.expect("open").state, BreakerState::Open { until: at(77) });
    }

    #[test]
    fn after_a_probe_that_works_it_resumes_gently_and_then_forgets() {
        let open = opened(&Breaker::closed("x"), 3, 0).expect("open");
        let probing = open.probing(&SETTINGS, at(30)).expect("a probe");
        let closed = probing.worked(&SETTINGS, at(31)).expect("closed");
        let allowed: Vec<_> =
            [31, 37, 61, 90, 91].map(|now| closed.allows(10, &SETTINGS, at(now))).into_iter().collect();
        assert_eq!(allowed, [1, 1, 5, 9, 10]);
        assert_eq!(closed.worked(&SETTINGS, at(32)), None);
        let soon = opened(&closed, 3, 40).expect("open again");
        assert_eq!(soon.state, BreakerState::Open { until: at(40 + 60) }, "it remembers");
        let forgotten = closed.worked(&SETTINGS, at(91)).expect("forgotten");
        assert_eq!((forgotten.openings, forgotten.reason), (0, None));
    }

    #[test]
    fn a_probe_that_has_shown_nothing_is_not_repeated_at_once() {
        let open = opened(&Breaker::closed("x"), 3, 0).expect("open");
        let probing = open.probing(&SETTINGS, at(30)).expect("a probe");
        let unprobed = probing.unprobed(&SETTINGS, at(31)).expect("open again");
        assert_eq!(unprobed.state, BreakerState::Open { until: at(61) });
        assert_eq!(unprobed.openings, 1, "it doesn't count as a failure");
        assert_eq!(open.unprobed(&SETTINGS, at(31)), None);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_hold_it_up() {
        let open = opened(&Breaker::closed("x"), 3, 0).expect("open");
        let closed =
            open.probing(&SETTINGS, at(30)).and_then(|it| it.worked(&SETTINGS, at(31))).expect("closed");
        let hour = 3600;
        assert_eq!(open.probing(&SETTINGS, at(-60)), None);
        assert!(open.probing(&SETTINGS, at(-hour)).is_some(), "nobody waits an hour for it");
        assert_eq!(closed.allows(10, &SETTINGS, at(31 - hour)), 10, "the clock has stepped back");
        assert_eq!(closed.allows(10, &SETTINGS, at(30)), 1, "another gateway's clock is a second ahead");
        assert!(closed.worked(&SETTINGS, at(30)).is_none());
        assert!(closed.worked(&SETTINGS, at(31 - hour)).is_some());
    }

    #[test]
    fn an_operator_closes_it_by_hand() {
        let open = opened(&Breaker::closed("x"), 3, 0).expect("open");
        let closed = open.closed_by_hand(at(5)).expect("closed");
        assert_eq!((closed.state, closed.openings, closed.version), (BreakerState::Closed, 0, 2));
        assert_eq!(closed.allows(10, &SETTINGS, at(5)), 1, "it resumes gently");
        assert_eq!(closed.closed_by_hand(at(6)), None);
    }

    #[test]
    fn without_failures_it_never_opens() {
        let settings = BreakerSettings { failures: 0, ..SETTINGS };
        assert_eq!(Breaker::closed("x").failed(u32::MAX, "down", None, &settings, at(0)), None);
    }
}
