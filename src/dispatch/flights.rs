//! What is in flight, and how long to sleep beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Clocks that are set back by less aren't worth a word.
const STEP: SignedDuration = SignedDuration::from_secs(60);

/// Shorter sleeps would be spinning.
pub(super) const SHORTEST: Duration = Duration::from_millis(5);

/// How long to sleep: until `due`, but no longer than a tick, and never so short that it would spin.
pub(crate) fn until(due: Option<Timestamp>, now: Timestamp, tick: Duration) -> Duration {
    match due.map(|due| Duration::try_from(due.duration_since(now))) {
        Some(Ok(pause)) => pause.clamp(SHORTEST.min(tick), tick),
        Some(Err(_)) => SHORTEST.min(tick),
        None => tick,
    }
}

/// What is in flight, per handler.
#[derive(Default)]
pub(super) struct Flights {
    tasks: JoinSet<()>,
    of: BTreeMap<tokio::task::Id, String>,
    pub(super) counts: BTreeMap<String, usize>,
    /// Whose turn it is to be first.
    turn: usize,
    /// Of each handler that has sent a probe, which one that was: 1 for the first of all.
    probed: BTreeMap<String, u64>,
    looked_around: Option<Timestamp>,
    /// What ends the waits for callbacks that are over, beside the claims.
    settling: JoinSet<()>,
    settled_enough: CancellationToken,
}

impl Flights {
    pub(super) fn turn(&mut self, of: usize) -> usize {
        self.turn = (self.turn + 1) % of.max(1);
        self.turn
    }

    /// Which probe was the last that this handler sent; 0 if it has sent none.
    pub(super) fn last_probe(&self, handler: &str) -> u64 {
        self.probed.get(handler).copied().unwrap_or(0)
    }

    /// This handler sends the next probe.
    pub(super) fn probes(&mut self, handler: &str) {
        let next = self.probed.values().max().copied().unwrap_or(0) + 1;
        self.probed.insert(handler.to_owned(), next);
    }

    /// Whether it is time to look for what nobody nudges for.
    pub(super) fn looks_around(&mut self, now: Timestamp, every: Duration) -> bool {
        let passed = self.looked_around.map(|last| Duration::try_from(now.duration_since(last)).ok());
        if let Some(last) = self.looked_around.filter(|last| last.duration_since(now) > STEP) {
            let by = last.duration_since(now);
            tracing::warn!(
                %by,
                "the clock was set back; what was accepted by the time before, or is to be tried again, waits until it is that \
                 time once more, unless another event of its subject comes; `soapstone replay --state pending` makes it due now"
            );
        }
        // a clock that has stepped back says nothing of how long it is ago
        let due = passed.is_none_or(|passed| passed.is_none_or(|passed| passed >= every));
        if due {
            self.looked_around = Some(now);
        }
        due
    }

    /// Begins what ends the waits for callbacks that are over, unless the one before is still at it.
    pub(super) fn settle<F>(&mut self, settling: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.settling.try_join_next().is_some() {}
        if self.settling.is_empty() {
            self.settling.spawn(settling(self.settled_enough.clone()));
        }
    }

    pub(super) fn of(&self, handler: &str) -> usize {
        self.counts.get(handler).copied().unwrap_or(0)
    }

    pub(super) fn start(&mut self, handler: &str, flight: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(flight).id();
        self.of.insert(id, handler.to_owned());
        *self.counts.entry(handler.to_owned()).or_default() += 1;
    }

    /// Waits until one has ended, and gives its slot back; for ever if there is none.
    pub(super) async fn landed(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.give_back(ended),
            None => std::future::pending().await,
        }
    }

    /// Gives back the slots of all that have ended.
    pub(super) fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.give_back(ended);
        }
    }

    fn give_back(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = ended.map_or_else(
            |error| {
                tracing::error!(%error, "a delivery's task broke off; it goes on after a restart");
                error.id()
            },
            |(id, ())| id,
        );
        if let Some(count) = self.of.remove(&id).and_then(|handler| self.counts.get_mut(&handler)) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) async fn drain(mut self, patience: Duration) {
        self.settled_enough.cancel();
        let all = async {
            while self.tasks.join_next().await.is_some() {}
            while self.settling.join_next().await.is_some() {}
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            let left = self.tasks.len();
            tracing::warn!(left, "deliveries were still in flight; they are tried again after the restart");
        }
    }
}
