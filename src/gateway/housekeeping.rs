//! Forgets what is old enough, in small steps, so that nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::config::Retention;
use crate::dispatch::Clock;
use crate::store::{Control, Prune, Pruned, StoreError};

/// Prunes now and then, until `stop`.
pub(super) async fn keep_house(
    store: Arc<dyn Control>,
    retention: Retention,
    now: Clock,
    stop: CancellationToken,
) {
    loop {
        match stop.run_until_cancelled(prune(&*store, &retention, now())).await {
            Some(Ok(Pruned { events: 0, bodies: 0, .. })) => {}
            Some(Ok(Pruned { events, bodies, .. })) => {
                tracing::info!(events, bodies, "forgotten what is older than it is kept");
            }
            Some(Err(error)) => tracing::warn!(%error, "what is old can't be forgotten; it is tried again"),
            None => return,
        }
        if stop.run_until_cancelled(tokio::time::sleep(retention.every)).await.is_none() {
            return;
        }
    }
}

/// All that is old enough now.
async fn prune(store: &dyn Control, retention: &Retention, now: Timestamp) -> Result<Pruned, StoreError> {
    let step = Prune {
        events_before: before(now, retention.events),
        bodies_before: before(now, retention.bodies),
        now,
        limit: usize::try_from(retention.step).unwrap_or(usize::MAX),
    };
    let mut all = Pruned::default();
    loop {
        let pruned = store.prune(step).await?;
        all.events += pruned.events;
        all.bodies += pruned.bodies;
        if !pruned.more {
            return Ok(all);
        }
        tokio::time::sleep(retention.pause).await;
    }
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}
