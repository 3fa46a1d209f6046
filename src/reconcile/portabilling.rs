//! Questions to PortaBilling as its breaker lets: an outage makes a walk wait, and what a walk sees counts for the breaker.

use super::Reconciler;
use super::walker::{Broken, Walker};
use crate::breaker::PORTABILLING;
use crate::dispatch::{Health, Told};
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
                    let asked = self.shared.gates.bounded(PORTABILLING, after);
                    self.rest(pause.next().max(asked)).await?;
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
        let probe = self.gates.probe(self.told(), PORTABILLING, (self.now)()).await;
        probe.unwrap_or_else(|error| {
            self.store_failed("put_breaker", &error);
            false
        })
    }

    /// What an answer has shown of PortaBilling, for its breaker.
    async fn learn(&self, error: Option<&EnrichError>) {
        let health = match error {
            Some(EnrichError { reason, outage: true, after, .. }) => Health::Unwell { reason, after: *after },
            _ => Health::Well,
        };
        self.gates.learn(self.told(), PORTABILLING, health, (self.now)()).await;
    }

    /// Who is told of a breaker that changes.
    fn told(&self) -> Told<'_> {
        Told { store: &*self.store, observer: &*self.observer }
    }
}
