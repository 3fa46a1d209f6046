//! So many per second, evenly, so that a walk is never a burst for PortaBilling.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A timer may be late by this much without anything being lost.
const LATE: Duration = Duration::from_millis(20);

/// When the next may begin.
#[derive(Debug)]
pub(super) struct Beat {
    gap: Duration,
    next: Mutex<Instant>,
}

impl Beat {
    /// `rate` per second, from `now` on.
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        let gap = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX);
        Self { gap, next: Mutex::new(now) }
    }

    /// When whoever asks now may begin; the turn is taken.
    pub(super) fn take(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now.checked_sub(LATE).unwrap_or(now));
        *next = turn.checked_add(self.gap).unwrap_or(turn);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_evenly_spread_and_what_was_missed_is_not_made_up_for() {
        let start = Instant::now();
        let beat = Beat::new(100.0, start);
        let after = |millis| start + Duration::from_millis(millis);
        let turns: Vec<_> = (0..4).map(|_| beat.take(start)).collect();
        assert_eq!(turns, [after(0), after(10), after(20), after(30)]);
        // a timer that was late by a little costs nothing, an outage isn't followed by a burst
        assert_eq!(beat.take(after(55)), after(40));
        assert_eq!([beat.take(after(1000)), beat.take(after(1000))], [after(980), after(990)]);
        assert_eq!([beat.take(after(1000)), beat.take(after(1000))], [after(1000), after(1010)]);
    }
}
