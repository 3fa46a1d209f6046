//! The store's own tasks: the lease is renewed, what others left is taken over, counts are summed up, and gateways nudge one
//! another when there is something to do.
//!
//! A nudge is no more than that: whoever misses one looks by itself, a little later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::TryFutureExt;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::connect::{Address, Db};
use super::fault::Fault;
use super::lease::{self, Lease, TakenOver};
use crate::chain::chain;
use crate::store::StoreError;

/// What the tasks share.
pub(super) struct Keeper {
    pub(super) db: Db,
    pub(super) address: Address,
    pub(super) lease: Arc<Lease>,
    /// Whose calls are our own.
    pub(super) me: String,
    /// Where gateways call one another.
    pub(super) channel: String,
    pub(super) heartbeat: Duration,
    /// The shortest time between two calls of this gateway.
    pub(super) nudge_every: Duration,
    /// How long a call may take.
    pub(super) patience: Duration,
    /// Others have called.
    pub(super) nudge: Arc<Notify>,
    /// This gateway has something to tell.
    pub(super) news: Notify,
    /// There are others.
    pub(super) company: AtomicBool,
}

const FOLD: &str = "\
    WITH mine AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(hashtext(current_schema()), 1) AS mine
    ), gone AS (
        DELETE FROM tally_change WHERE (SELECT mine FROM mine) RETURNING handler, state, by
    )
    INSERT INTO tally AS t (handler, state, count)
    SELECT handler, state, sum(by)::int8 FROM gone GROUP BY handler, state
    ON CONFLICT (handler, state) DO UPDATE SET count = t.count + excluded.count";

impl Keeper {
    /// Keeps the lease until `stop`.
    pub(super) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.connected(&stop).await {
                tracing::warn!(error = chain(&error), "the lease can't be renewed just now");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.heartbeat / 4) => {}
            }
        }
    }

    /// Until the connection breaks. It is one of its own: that all others are busy must not cost the lease.
    /// What has been sent is waited for: a lease that is given up must not be renewed afterwards.
    async fn connected(self: &Arc<Self>, stop: &CancellationToken) -> Result<(), StoreError> {
        let client = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            client = self.listen() => client?,
        };
        let mut ticks = tokio::time::interval(self.heartbeat);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let renewed = tokio::time::timeout(self.heartbeat, self.renew(&client)).await;
            renewed.map_err(|_| StoreError::Unavailable)?.map_err(StoreError::from)?;
        }
    }

    async fn renew(&self, client: &Client) -> Result<(), Fault> {
        self.lease.renew(client).await?;
        let gateways = client.query_one("SELECT count(*) FROM gateway", &[]).await?;
        self.company.store(gateways.try_get::<_, i64>(0)? > 1, Ordering::Relaxed);
        Ok(())
    }

    /// Tidies now and then until `stop`. However long that takes, the lease doesn't wait for it.
    pub(super) async fn tidy_up(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.heartbeat) => {}
            }
            let tidied = tokio::select! {
                () = stop.cancelled() => return,
                tidied = self.tidy(Timestamp::now()) => tidied,
            };
            if let Err(error) = tidied {
                tracing::warn!(error = chain(&error), "the store couldn't be tidied; the next time");
            }
        }
    }

    /// Takes over, gives back, sums up.
    pub(super) async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        self.lease.salvage(&self.db).await?;
        self.take_over(now).await?;
        self.db.again(true, || async { self.db.session().await?.write(FOLD, &[]).await }).await?;
        Ok(())
    }

    pub(super) async fn take_over(&self, now: Timestamp) -> Result<TakenOver, StoreError> {
        let me = self.lease.id();
        let taken = self
            .db
            .again(true, || async { lease::take_over(self.db.session().await?, me, now).await })
            .await?;
        if taken.gateways > 0 {
            let TakenOver { gateways, deliveries, statuses } = taken;
            tracing::info!(gateways, deliveries, statuses, "taken up again what was interrupted");
            self.nudge.notify_one();
            self.tell();
        }
        Ok(taken)
    }

    async fn listen(self: &Arc<Self>) -> Result<Client, StoreError> {
        let keeper = Arc::clone(self);
        let client = self.address.connect_and_hear(move |call| keeper.hear(call.payload())).await?;
        let listen = format!("LISTEN {}", self.channel);
        let listens = client.batch_execute(&listen).map_err(Fault::from);
        tokio::time::timeout(self.patience, listens).await.map_err(|_| StoreError::Unavailable)??;
        // something may have been said before
        self.nudge.notify_one();
        Ok(client)
    }

    fn hear(&self, from: &str) {
        if from != self.me {
            self.company.store(true, Ordering::Relaxed);
            self.nudge.notify_one();
        }
    }

    /// The others should look, soon.
    pub(super) fn tell(&self) {
        if self.company.load(Ordering::Relaxed) {
            self.news.notify_one();
        }
    }

    /// Calls the others when there is something to tell, not too often, until `stop`.
    pub(super) async fn call(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.news.notified() => {}
            }
            let called = async {
                self.db.session().await?.write("SELECT pg_notify($1, $2)", &[&self.channel, &self.me]).await
            };
            let called = tokio::time::timeout(self.patience, called).await;
            if !matches!(called, Ok(Ok(_))) {
                tracing::debug!(?called, "the other gateways weren't nudged; they look by themselves");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.nudge_every) => {}
            }
        }
    }
}
