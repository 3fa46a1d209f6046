//! How many calls are under way at once, and how many are begun per second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::Cause;
use super::settings::Settings;

/// Places for calls, and a clock that spaces them.
pub(crate) struct Pace {
    places: Semaphore,
    max_in_flight: usize,
    patience: Duration,
    every: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(settings: &Settings) -> Self {
        let max_in_flight = settings.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        let every = settings.calls_per_second.filter(|rate| *rate > 0.0);
        Self {
            places: Semaphore::new(max_in_flight),
            max_in_flight,
            patience: settings.queue_timeout,
            every: every.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate.max(1e-6))),
            next: Mutex::default(),
        }
    }

    /// A place, once there is one and it is this call's turn.
    pub(crate) async fn place(&self) -> Result<SemaphorePermit<'_>, Cause> {
        let full = || Cause::Queue(self.max_in_flight);
        let began = Instant::now();
        let place = tokio::time::timeout(self.patience, self.places.acquire()).await;
        let place = place.map_err(|_| full())?.map_err(|_| full())?;
        let wait = self.turn(Instant::now(), began + self.patience).ok_or_else(full)?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(place)
    }

    /// How long until this call's turn; none if that is after `latest`.
    fn turn(&self, now: Instant, latest: Instant) -> Option<Duration> {
        if self.every.is_zero() {
            return Some(Duration::ZERO);
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        if turn > latest {
            return None;
        }
        *next = Some(turn + self.every);
        Some(turn - now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Credentials;
    use super::*;

    #[test]
    fn turns_are_spaced_and_nobody_waits_too_long() {
        let mut settings = Settings::new("http://a", Credentials::password("u", "p"));
        settings.calls_per_second = Some(10.0);
        let (pace, now) = (Pace::new(&settings), Instant::now());
        let latest = now + Duration::from_millis(250);
        let waits: Vec<_> = (0..4).map(|_| pace.turn(now, latest)).collect();
        let millis = |many| Some(Duration::from_millis(many));
        assert_eq!(waits, [millis(0), millis(100), millis(200), None]);
        assert_eq!(pace.turn(now + Duration::from_secs(9), latest + Duration::from_secs(9)), millis(0));
    }
}
