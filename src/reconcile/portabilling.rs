//! Questions to PortaBilling as its breaker lets: an outage makes a walk wait, and what a walk sees counts for the breaker.

use std::time::Duration;

use super::Reconciler;
use super::walker::{Broken, Walker};
use crate::breaker::PORTABILLING;
use crate::dispatch::Health;
use crate::enrich::EnrichError;

impl Walker {
    /// Asks until PortaBilling as a whole is well enough to answer; the answer may still be an error about just this.
    pub(super) async fn ask<T, F>(&self, question: impl Fn() -> F) -> Result<Result<T, EnrichError>, Broken>
    where
        F: Future<Output = Result<T, EnrichError>>,
    {
        let mut pause = self.shared.settings.pause;
        loop {
            let probes = self.admitted().await?;
            let answer = match probes {
                // its end is waited for: until then nobody else may ask
                true => question().await,
                false => self.stop.run_until_cancelled(question()).await.ok_or(Broken::Stopped)?,
            };
            self.shared.learn(answer.as_ref().err()).await;
            match answer {
                Err(EnrichError { outage: true, reason, after, .. }) => {
                    self.waits(Some(reason));
                    self.rest(pause.next().max(after.unwrap_or(Duration::ZERO))).await?;
                }
                answer => {
                    self.waits(None);
                    return Ok(answer);
                }
            }
        }
    }

    /// Waits until the breaker is closed, or until this walk is to be the probe: then it answers true.
    async fn admitted(&self) -> Result<bool, Broken> {
        loop {
            if self.stop.is_cancelled() {
                return Err(Broken::Stopped);
            }
            if self.shared.gates.is_closed(PORTABILLING) {
                return Ok(false);
            }
            if self.shared.probes().await {
                return Ok(true);
            }
            self.waits(Some("PortaBilling is left alone until it is well again".into()));
            self.rest(self.shared.settings.tick).await?;
        }
    }
}

impl Reconciler {
    /// Whether PortaBilling has been left alone for long enough, and the next question is to try it.
    async fn probes(&self) -> bool {
        let mut due = self.gates.to_probe((self.now)()).into_iter();
        let Some(probing) = due.find(|breaker| breaker.name == PORTABILLING) else { return false };
        match self.gates.change(&*self.store, probing.clone()).await {
            Ok(first) => {
                if first {
                    self.observer.breaker_changed(&probing);
                }
                first
            }
            Err(error) => {
                self.store_failed("put_breaker", &error);
                false
            }
        }
    }

    /// What an answer has shown of PortaBilling, for its breaker.
    async fn learn(&self, error: Option<&EnrichError>) {
        let health = match error {
            Some(EnrichError { reason, outage: true, after, .. }) => Health::Unwell { reason, after: *after },
            _ => Health::Well,
        };
        let Some(change) = self.gates.saw(PORTABILLING, health, (self.now)()) else { return };
        match self.gates.change(&*self.store, change.clone()).await {
            Ok(true) => self.observer.breaker_changed(&change),
            Ok(false) => {}
            // the next answer shows the same
            Err(error) => self.store_failed("put_breaker", &error),
        }
    }
}
