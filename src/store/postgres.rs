//! The store for several gateways: one PostgreSQL database (15 or later), a schema of our own in it.
//!
//! A commit is on the database's disk before anybody hears of it (`synchronous_commit = on`), whatever the server's default is.
//! Many events are accepted by one transaction, and many attempts recorded, through few connections (`batcher`).
//! Order is kept by lanes (`lane`), across gateways: a lane's row is what a claim looks for and what everybody locks who
//! changes the lane's deliveries. Gateways hold leases (`lease`); each claim has a number, and whoever records must name the
//! last one, so that a gateway which was frozen or cut off can't finish what another has taken over.
//!
//! Plans must not depend on what the planner has counted: a table was empty a minute ago. So each session tells it to use the
//! indexes.

mod accept;
mod batcher;
mod changes;
mod claim;
mod connect;
mod control;
mod dump;
mod fault;
mod keeper;
mod lane;
mod lease;
mod operator;
mod prune;
mod query;
mod record;
mod row;
mod schema;
mod settings;
mod statuses;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::accept::Addressed;
use self::batcher::{Batcher, Limits};
use self::connect::{Address, Db, Session};
use self::fault::Fault;
use self::keeper::Keeper;
use self::lease::{Lease, Taken, Tries};
use self::row::{micros, text};
pub use self::schema::{Step, apply, plan};
pub use self::settings::PostgresSettings;
use super::number::DELIVERIES;
use super::{
    Accepted, Backlog, Claimed, EventDetail, EventSummary, Page, Record, Sample, Settle, Status, StatusEnd,
    StatusJob, Store, StoreError, Subscription, Want,
};
use crate::breaker::Breaker;
use crate::delivery::DeliveryId;
use crate::event::{Event, EventId};
pub use dump::is_half_loaded;

/// The store.
///
/// ```no_run
/// use jiff::Timestamp;
/// use soapstone::store::Store;
/// use soapstone::store::postgres::{PostgresSettings, PostgresStore};
///
/// # async fn example() -> Result<(), soapstone::store::StoreError> {
/// let url = std::env::var("DATABASE_URL").unwrap_or_default();
/// let store = PostgresStore::open(PostgresSettings::new(url), Timestamp::now()).await?;
/// println!("{:?}", store.backlog().await?);
/// store.close().await;
/// # Ok(())
/// # }
/// ```
pub struct PostgresStore {
    db: Db,
    settings: PostgresSettings,
    lease: Arc<Lease>,
    keeper: Arc<Keeper>,
    acceptor: Batcher<Arc<Addressed>, Accepted>,
    recorder: Batcher<Record, ()>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// What a dump is read in.
    dumping: Mutex<Option<Session>>,
    closed: AtomicBool,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresStore").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store, or makes it, and registers this gateway. What gateways had in flight whose leases have run out is
    /// pending again, with the interrupted attempt on record; so it goes on, as long as this one is open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database can't be reached; [`StoreError::Failed`] if it says no, or was written by a
    /// newer program.
    pub async fn open(settings: PostgresSettings, now: Timestamp) -> Result<Self, StoreError> {
        let address = Address::new(&settings)?;
        schema::ensure(&settings).await?;
        let db = Db::new(&address, &settings)?;
        let lease = Arc::new(Lease::new(settings.name.clone(), settings.lease));
        db.again(true, || async { lease.renew(&***db.session().await?).await }).await?;
        let keeper = Arc::new(Keeper {
            db: db.clone(),
            address,
            lease: Arc::clone(&lease),
            me: Uuid::new_v4().to_string(),
            channel: format!("soapstone_{}", settings.schema),
            heartbeat: settings.heartbeat,
            nudge_every: settings.nudge_every,
            patience: settings.patience,
            nudge: Arc::default(),
            news: Notify::new(),
            // until the first heartbeat has counted
            company: AtomicBool::new(true),
        });
        keeper.take_over(now).await?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(Arc::clone(&keeper).keep(stop.clone()));
        tasks.spawn(Arc::clone(&keeper).tidy_up(stop.clone()));
        tasks.spawn(Arc::clone(&keeper).call(stop.clone()));
        tasks.close();
        // that there are two now
        keeper.tell();
        let acceptor = Batcher::start(limits(&settings, settings.accept_at_once), {
            let db = db.clone();
            Arc::new(move |events: Arc<[Arc<Addressed>]>| {
                let db = db.clone();
                async move { Ok(accept::accept(&db, &events).await?.into_iter().map(Ok).collect()) }.boxed()
            })
        });
        let recorder = Batcher::start(limits(&settings, settings.record_at_once), {
            let db = db.clone();
            Arc::new(move |records: Arc<[Record]>| {
                let db = db.clone();
                async move { record::record(&db, &records).await }.boxed()
            })
        });
        Ok(Self {
            db,
            settings,
            lease,
            keeper,
            acceptor,
            recorder,
            stop,
            tasks,
            dumping: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Notified when another gateway has done something that gives this one work.
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.keeper.nudge)
    }

    /// Does what is queued, takes no more, and gives up the lease: what is still in flight others take over at once.
    pub async fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.acceptor.close().await;
        self.recorder.close().await;
        self.stop.cancel();
        self.tasks.wait().await;
        let ended = self.again(|session| self.lease.end(session)).await;
        if let Err(error) = ended {
            tracing::warn!(%error, "the lease isn't given up; it runs out");
        }
        self.db.close();
    }

    /// Tries a verb that may be done twice.
    async fn again<T, F>(&self, once: impl Fn(Session) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.db.again(true, || async { once(self.db.session().await?).await }).await
    }

    /// Tries a verb that answers differently when it is done twice: not again once it may have been done.
    async fn unless_done<T, F>(&self, once: impl Fn(Session) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.db.again(false, || async { once(self.db.session().await?).await }).await
    }

    /// Tries a claim. Each try has a mark of its own, since one whose answer got lost may still be carried out: what those before
    /// have taken is looked for first. What nobody finds in the end is given back later.
    async fn claiming<T, L, F>(
        &self,
        look: impl Fn(Session, Taken) -> L,
        claim: impl Fn(Session, Taken) -> F,
    ) -> Result<Vec<T>, StoreError>
    where
        L: Future<Output = Result<Vec<T>, Fault>>,
        F: Future<Output = Result<Vec<T>, Fault>>,
    {
        let tries = Tries::of(&self.lease);
        self.db
            .again(true, || async {
                for before in tries.unanswered() {
                    let found = look(self.db.session().await?, before).await?;
                    if !found.is_empty() {
                        tries.answered(before);
                        return Ok(found);
                    }
                }
                let session = self.db.session().await?;
                let taken = tries.next();
                let claimed = claim(session, taken).await;
                if !matches!(claimed, Err(Fault::Uncertain(_))) {
                    tries.answered(taken);
                }
                if let Err(Fault::Lease) = claimed {
                    self.lease.renew(&***self.db.session().await?).await?;
                }
                claimed
            })
            .await
    }
}

fn limits(settings: &PostgresSettings, at_once: usize) -> Limits {
    Limits {
        queue: settings.queue,
        batch: settings.batch_max.max(1),
        bytes: settings.batch_bytes,
        at_once,
        patience: settings.patience,
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn accept(&self, event: Event, handlers: Vec<Subscription>) -> Result<Accepted, StoreError> {
        if i64::try_from(handlers.len()).is_ok_and(|many| many > DELIVERIES) {
            return Err(StoreError::Rejected(format!("an event for more than {DELIVERIES} handlers")));
        }
        let (bytes, wanted) = (event.body.len(), !handlers.is_empty());
        let accepted = self.acceptor.run(Arc::new((event, handlers)), bytes).await?;
        if wanted && matches!(accepted, Accepted::New(_)) {
            self.keeper.tell();
        }
        Ok(accepted)
    }

    async fn keep_sample(&self, mut sample: Sample) -> Result<(), StoreError> {
        sample.body.truncate(self.settings.sample_bytes);
        self.again(|session| keep_sample(session, &sample, self.settings.samples)).await
    }

    async fn claim(&self, now: Timestamp, wants: Vec<Want>) -> Result<Vec<Claimed>, StoreError> {
        self.claiming(claim::taken, |session, taken| claim::claim(session, now, &wants, taken)).await
    }

    async fn release(&self, delivery: DeliveryId, claim: u32, due: Timestamp) -> Result<(), StoreError> {
        self.unless_done(|session| record::release(session, delivery, claim, due)).await?;
        self.keeper.tell();
        Ok(())
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        let part = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let bytes = part(&record.attempt.request) + part(&record.attempt.response) + part(&record.last);
        self.recorder.run(record, bytes).await?;
        self.keeper.tell();
        Ok(())
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        self.unless_done(|session| record::settle(session, &settle)).await?;
        self.keeper.tell();
        Ok(())
    }

    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Claimed>, StoreError> {
        self.again(|session| record::overdue(session, now, limit)).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.again(record::next_deadline).await
    }

    async fn breakers(&self) -> Result<Vec<Breaker>, StoreError> {
        self.again(control::breakers).await
    }

    async fn put_breaker(&self, breaker: Breaker) -> Result<bool, StoreError> {
        self.unless_done(|session| control::put_breaker(session, &breaker)).await
    }

    async fn next_due(&self, wants: Vec<Want>) -> Result<Option<Timestamp>, StoreError> {
        self.again(|session| claim::next_due(session, &wants)).await
    }

    async fn announce(&self, delivery: DeliveryId, claim: u32, status: Status) -> Result<(), StoreError> {
        self.again(|session| statuses::announce(session, delivery, claim, &status)).await
    }

    async fn claim_statuses(&self, now: Timestamp, limit: usize) -> Result<Vec<StatusJob>, StoreError> {
        self.claiming(statuses::taken, |session, taken| statuses::claim(session, now, limit, taken)).await
    }

    async fn finish_status(&self, job: &StatusJob, end: StatusEnd, now: Timestamp) -> Result<(), StoreError> {
        self.again(|session| statuses::finish(session, job, &end, now, self.lease.id())).await
    }

    async fn next_status_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.again(statuses::next_due).await
    }

    async fn events(&self, mut page: Page) -> Result<Vec<EventSummary>, StoreError> {
        page.limit = page.limit.min(self.settings.page_max);
        self.again(|session| query::events(session, &page)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.again(|session| query::event(session, id)).await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.again(query::backlog).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.again(|session| probe(session, self.lease.id())).await
    }
}

async fn keep_sample(mut session: Session, sample: &Sample, keep: i64) -> Result<(), Fault> {
    session.begin();
    let Sample { source, received_at, reason, body } = sample;
    let row = session
        .row(
            "INSERT INTO sample (source, received_at, reason, body) VALUES ($1, $2, $3, $4) RETURNING seq",
            &[&text(source), &micros(*received_at), &text(reason), body],
        )
        .await?;
    let seq: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    session.commit(&[("DELETE FROM sample WHERE seq <= $1", &[&(seq - keep)])]).await
}

async fn probe(mut session: Session, gateway: Uuid) -> Result<(), Fault> {
    session
        .write(
            "INSERT INTO probe AS p (gateway, count) VALUES ($1, 1) ON CONFLICT (gateway) DO UPDATE SET count = p.count + 1",
            &[&gateway],
        )
        .await?;
    Ok(())
}
