//! How many may begin per second: a bucket that fills by the clock it is given, so that tests can hold it.

use std::time::Duration;

use jiff::Timestamp;

/// A bucket of permits; it holds what comes in a second, and one at least.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    per_second: f64,
    permits: f64,
    at: Option<Timestamp>,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, permits: per_second.max(1.0), at: None }
    }

    /// How many may begin now.
    pub(super) fn room(&mut self, now: Timestamp) -> usize {
        let passed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.at = Some(now);
        self.permits = (self.permits + passed * self.per_second).min(self.per_second.max(1.0));
        // truncation is meant: whole permits
        self.permits as usize
    }

    pub(super) fn take(&mut self, count: usize) {
        self.permits -= count as f64;
    }

    /// How long until there is a whole permit.
    pub(super) fn pause(&self) -> Duration {
        let missing = (1.0 - self.permits).max(0.0);
        Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("a time")
    }

    #[test]
    fn as_many_begin_per_second_as_are_allowed() {
        let mut pace = Pace::new(10.0);
        assert_eq!(pace.room(at(0)), 10);
        pace.take(10);
        assert_eq!(pace.room(at(0)), 0);
        assert_eq!(pace.pause(), Duration::from_millis(100));
        assert_eq!(pace.room(at(250)), 2);
        pace.take(2);
        assert_eq!(pace.room(at(60_000)), 10, "what wasn't used isn't saved up");
        assert_eq!(pace.room(at(0)), 10, "a clock that is set back takes nothing away");
    }

    #[test]
    fn fewer_than_one_per_second_begin_one_at_a_time() {
        let mut pace = Pace::new(0.1);
        assert_eq!(pace.room(at(0)), 1);
        pace.take(1);
        assert_eq!(pace.room(at(9_000)), 0);
        assert_eq!(pace.room(at(10_000)), 1);
    }
}
