//! Writes provisioning statuses back to PortaBilling, as jobs of their own: one that fails never repeats the change in the
//! external system, and one that is late never overwrites a newer.

pub mod espf;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::breaker::ESPF;
use crate::delivery::{due, later};
use crate::dispatch::{
    Clock, Gates, Health, Jitter, Observer, StorePause, Told, random_jitter, until, wall_clock,
};
use crate::handler::RetrySchedule;
use crate::store::{Status, StatusEnd, StatusJob, Store, StoreError};

/// Where statuses are written to.
#[async_trait]
pub trait StatusSink: Send + Sync + 'static {
    /// Writes one, once; retrying is the writer's business.
    async fn write(&self, status: &Status) -> Result<(), SinkError>;
}

/// Why a status couldn't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SinkError {
    /// For the operator; no secrets.
    pub reason: String,
    /// Whether it may work later.
    pub retryable: bool,
    /// Whether PortaBilling itself is unwell, whatever was to be written.
    pub outage: bool,
    /// Not before this long (`Retry-After`).
    pub after: Option<Duration>,
}

/// The limits of the status writer, with their defaults.
#[derive(Debug, Clone)]
pub struct StatusSettings {
    /// How many are written at the same time; 8.
    pub max_in_flight: usize,
    /// How long one write may take; 60 s.
    pub write_max: Duration,
    /// How long a message may be, in characters; 4 000 (ESPF).
    pub message_max: usize,
    /// When to try again; pauses of 5 s to 10 min, then of an hour, for three days.
    pub retry: RetrySchedule,
    /// How often it looks by itself, should nobody nudge; 5 s.
    pub tick: Duration,
    /// How long a shutdown waits for what is being written; 10 s.
    pub drain: Duration,
    /// How long to wait after the store has failed.
    pub store_pause: StorePause,
}

impl Default for StatusSettings {
    fn default() -> Self {
        Self {
            max_in_flight: 8,
            write_max: Duration::from_secs(60),
            message_max: 4000,
            retry: RetrySchedule {
                first: Duration::from_secs(5),
                longest: Duration::from_secs(600),
                tries: 50,
                then: vec![Duration::from_secs(3600)],
                horizon: Duration::from_secs(3 * 24 * 3600),
            },
            tick: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            store_pause: StorePause::default(),
        }
    }
}

/// The worker. Set the public fields before [`run`](Self::run) where the defaults won't do.
#[derive(Clone)]
pub struct StatusWriter {
    store: Arc<dyn Store>,
    sink: Arc<dyn StatusSink>,
    settings: StatusSettings,
    /// What lies before PortaBilling's ESPF API: while it is shut nothing is written.
    pub(crate) gates: Option<Arc<Gates>>,
    /// Told what happens.
    pub observer: Arc<dyn Observer>,
    /// The time.
    pub now: Clock,
    /// Spreads retries.
    pub jitter: Jitter,
    /// Notify it when there is a status to write back.
    pub nudge: Arc<Notify>,
}

impl StatusWriter {
    /// A writer to this sink.
    pub fn new(store: Arc<dyn Store>, sink: Arc<dyn StatusSink>, settings: StatusSettings) -> Self {
        Self {
            store,
            sink,
            settings,
            gates: None,
            observer: Arc::new(()),
            now: wall_clock(),
            jitter: random_jitter(),
            nudge: Arc::default(),
        }
    }

    /// Works until `stop`, then waits for what is being written. What hasn't ended by then is written after the restart.
    pub async fn run(self, stop: CancellationToken) {
        let worker = Arc::new(self);
        let mut writes = JoinSet::new();
        let mut after_failure = worker.settings.store_pause;
        while !stop.is_cancelled() {
            let pause = match worker.launch(&mut writes).await {
                Ok(pause) => {
                    after_failure = worker.settings.store_pause;
                    pause
                }
                Err(error) => {
                    worker.store_failed("claim_statuses", &error);
                    after_failure.next()
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = worker.nudge.notified() => {}
                Some(_) = writes.join_next() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let all = async { while writes.join_next().await.is_some() {} };
        if tokio::time::timeout(worker.settings.drain, all).await.is_err() {
            tracing::warn!(left = writes.len(), "statuses were still being written; they are written again");
        }
    }

    /// Claims what there is room for, and starts it; answers how long to wait for more.
    async fn launch(self: &Arc<Self>, writes: &mut JoinSet<()>) -> Result<Duration, StoreError> {
        while writes.try_join_next().is_some() {}
        let max = self.settings.max_in_flight.max(1);
        let shut = self.gates.as_ref().filter(|gates| !gates.is_closed(ESPF));
        let room = match shut {
            Some(_) if writes.len() >= max => 0,
            Some(gates) => usize::from(self.probes(gates, (self.now)()).await?),
            None => self.allowed(max).saturating_sub(writes.len()),
        };
        if room == 0 {
            return Ok(self.settings.tick);
        }
        let jobs = self.store.claim_statuses((self.now)(), room).await?;
        if let Some(gates) = shut.filter(|_| jobs.is_empty()) {
            gates.give_up_probe(self.told(), ESPF, (self.now)()).await?;
        }
        for job in jobs {
            writes.spawn(Arc::clone(self).write(job));
        }
        let due = self.store.next_status_due().await?;
        Ok(until(due, (self.now)(), self.settings.tick))
    }

    /// How many may be written at a time now: after an outage it begins with one.
    fn allowed(&self, max: usize) -> usize {
        self.gates.as_ref().map_or(max, |gates| gates.allows(ESPF, max, (self.now)()))
    }

    /// Whether PortaBilling has been left alone for long enough, and there is a status to try it with.
    async fn probes(&self, gates: &Gates, now: Timestamp) -> Result<bool, StoreError> {
        if self.store.next_status_due().await?.is_none_or(|due| due > now) {
            return Ok(false);
        }
        gates.probe(self.told(), ESPF, now).await
    }

    async fn write(self: Arc<Self>, job: StatusJob) {
        let mut status = job.status.clone();
        status.message = status.message.map(|message| cut(&message, self.settings.message_max).to_owned());
        let result = self.write_within_limit(&status).await;
        let now = (self.now)();
        let left_alone = self.learn(&result, now).await;
        let reason = result.as_ref().err().map(|error| error.reason.clone());
        let end = end(result, &job, &self.settings.retry, left_alone, (self.jitter)(), now);
        let again = matches!(end, StatusEnd::Retry { .. });
        self.keep(&job, end, now).await;
        self.observer.status_ended(&status, reason.as_deref(), again);
    }

    /// What the write has shown of PortaBilling, for its breaker; answers whether it is to be left alone now.
    async fn learn(&self, result: &Result<(), SinkError>, now: Timestamp) -> bool {
        let Some(gates) = &self.gates else { return false };
        let health = match result {
            Err(SinkError { reason, outage: true, after, .. }) => Health::Unwell { reason, after: *after },
            _ => Health::Well,
        };
        gates.learn(self.told(), ESPF, health, now).await;
        !gates.is_closed(ESPF)
    }

    /// Who is told of a breaker that changes.
    fn told(&self) -> Told<'_> {
        Told { store: &*self.store, observer: &*self.observer }
    }

    /// A bug in a sink costs this try, not the worker.
    async fn write_within_limit(&self, status: &Status) -> Result<(), SinkError> {
        let limit = self.settings.write_max;
        let write = AssertUnwindSafe(self.sink.write(status)).catch_unwind();
        let reason = match tokio::time::timeout(limit, write).await {
            Ok(Ok(result)) => return result,
            Ok(Err(_)) => "a mistake in the gateway broke it off".to_owned(),
            Err(_) => format!("nothing after {} s", limit.as_secs()),
        };
        Err(SinkError { reason, retryable: true, outage: true, after: None })
    }

    async fn keep(&self, job: &StatusJob, end: StatusEnd, now: Timestamp) {
        let mut after_failure = self.settings.store_pause;
        loop {
            match self.store.finish_status(job, end.clone(), now).await {
                Ok(()) => return,
                Err(error) => {
                    self.store_failed("finish_status", &error);
                    if matches!(error, StoreError::Rejected(_) | StoreError::Overtaken(_)) {
                        return;
                    }
                }
            }
            tokio::time::sleep(after_failure.next()).await;
        }
    }

    fn store_failed(&self, verb: &'static str, error: &StoreError) {
        tracing::error!(verb, %error, "the store failed");
        self.observer.store_failed(verb, error);
    }
}

impl fmt::Debug for StatusWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StatusWriter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What becomes of a write-back: pure, as [`crate::delivery::State::next`] is for deliveries.
///
/// An outage is no fault of the status. While PortaBilling is left alone (`left_alone`: its breaker isn't closed after this
/// write) the write isn't counted and the horizon doesn't matter; otherwise the quick tries of the schedule are left to it
/// whatever its age, which it may have spent waiting behind the breaker.
pub fn end(
    result: Result<(), SinkError>,
    job: &StatusJob,
    schedule: &RetrySchedule,
    left_alone: bool,
    jitter: f64,
    now: Timestamp,
) -> StatusEnd {
    let SinkError { reason, retryable, outage, after } = match result {
        Ok(()) => return StatusEnd::Written,
        Err(error) => error,
    };
    if !retryable {
        return StatusEnd::GivenUp { reason };
    }
    if outage && left_alone {
        // it is the breaker that says when
        let pause = schedule.first.max(schedule.bounded(after));
        let at = later(now, pause).unwrap_or(now);
        return StatusEnd::Retry { at, reason, counts: false };
    }
    let tries = job.attempts.saturating_add(1);
    let since = if outage && tries < schedule.tries { now } else { job.status.at };
    match due(tries, since, schedule, after, jitter, now) {
        Some(at) => StatusEnd::Retry { at, reason, counts: true },
        None => StatusEnd::GivenUp { reason },
    }
}

/// The beginning of `message`, at most `max` characters of it.
pub fn cut(message: &str, max: usize) -> &str {
    match message.char_indices().nth(max) {
        Some((end, _)) => &message[..end],
        None => message,
    }
}
