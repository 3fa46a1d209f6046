//! The worker over a real store, with an external system and a PortaBilling that answer when the test says so.
//!
//! The clock is held: time passes when the test moves it and nudges.

mod attempts;
mod callbacks;
mod gates;
mod hangs;
mod lives;
mod order;
mod outages;
mod probes;
mod statuses;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::value::RawValue;
use tokio::sync::{Barrier, mpsc, oneshot};

use super::*;
use crate::breaker::{Breaker, BreakerSettings, BreakerState};
use crate::callback::Token;
use crate::connector::{Applied, Apply};
use crate::delivery::{DeliveryId, Failure, Outcome, State};
use crate::enrich::EnrichError;
use crate::event::{Event, EventId, Subject, SubjectKind};
use crate::handler::{Fetch, Order, OrderBy, RetrySchedule};
use crate::status::{SinkError, StatusSettings, StatusSink, StatusWriter};
use crate::store::sqlite::{SqliteStore, StoreSettings};
use crate::store::*;

/// What the external system was asked.
struct Call {
    handler: String,
    delivery: DeliveryId,
    i_event: i64,
    attempt: u32,
    pb_data: Option<String>,
    answer: oneshot::Sender<Outcome>,
}

impl Call {
    fn answer(self, outcome: Outcome) {
        self.answer.send(outcome).expect("the worker waits");
    }
}

struct Fake {
    calls: mpsc::UnboundedSender<Call>,
    panics: bool,
}

#[async_trait]
impl Connector for Fake {
    async fn apply(&self, request: Apply<'_>) -> Applied {
        assert!(!self.panics, "a bug");
        let (answer, answered) = oneshot::channel();
        let call = Call {
            handler: request.handler.to_owned(),
            delivery: request.delivery,
            i_event: request.event.i_event.expect("a number"),
            attempt: request.attempt,
            pb_data: request.pb_data.map(|data| data.get().to_owned()),
            answer,
        };
        self.calls.send(call).ok();
        let outcome = match answered.await {
            Ok(outcome) => outcome,
            Err(_) => std::future::pending().await,
        };
        Applied { outcome, request: Some("asked".into()), response: Some("answered".into()) }
    }
}

/// Answers what is queued for it, else the number of times it was asked.
#[derive(Default)]
struct Billing {
    errors: Mutex<Vec<EnrichError>>,
    asked: AtomicUsize,
    lasts: Mutex<Vec<Option<String>>>,
}

#[async_trait]
impl Enrich for Billing {
    async fn pb_data(
        &self,
        _: &Event,
        _: &[Fetch],
        last: Option<&str>,
        _: Timestamp,
    ) -> Result<Option<Box<RawValue>>, EnrichError> {
        self.lasts.lock().expect("lock").push(last.map(str::to_owned));
        if let Some(error) = self.errors.lock().expect("lock").pop() {
            return Err(error);
        }
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Some(RawValue::from_string(asked.to_string()).expect("a number is JSON")))
    }
}

#[derive(Debug, PartialEq)]
struct Ended {
    event: EventId,
    i_event: i64,
    attempt: u32,
    state: State,
}

struct Watch {
    ended: mpsc::UnboundedSender<Ended>,
    overtaken: mpsc::UnboundedSender<String>,
}

impl Observer for Watch {
    fn attempt_ended(&self, ended: &AttemptEnded<'_>) {
        let i_event = ended.event.i_event.expect("a number");
        let (event, attempt, state) = (ended.event.id, ended.attempt, ended.state.clone());
        self.ended.send(Ended { event, i_event, attempt, state }).ok();
    }

    fn attempt_overtaken(&self, handler: &str) {
        self.overtaken.send(handler.to_owned()).ok();
    }
}

/// A store whose `record` fails for a while, the answers of whose `release` get lost for a while, and which ends waits for
/// callbacks only so many at a time.
struct Flaky {
    store: Arc<dyn Store>,
    failures: AtomicUsize,
    lost_releases: AtomicUsize,
    settles: Barrier,
}

impl Flaky {
    fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            failures: AtomicUsize::new(0),
            lost_releases: AtomicUsize::new(0),
            settles: Barrier::new(1),
        }
    }
}

fn one_less(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl Store for Flaky {
    async fn record(&self, record: Record) -> Result<(), StoreError> {
        match one_less(&self.failures) {
            true => Err(StoreError::Failed("disk full".into())),
            false => self.store.record(record).await,
        }
    }
    async fn accept(&self, event: Event, handlers: Vec<Subscription>) -> Result<Accepted, StoreError> {
        self.store.accept(event, handlers).await
    }
    async fn keep_sample(&self, sample: Sample) -> Result<(), StoreError> {
        self.store.keep_sample(sample).await
    }
    async fn claim(&self, now: Timestamp, wants: Vec<Want>) -> Result<Vec<Claimed>, StoreError> {
        self.store.claim(now, wants).await
    }
    async fn next_due(&self, wants: Vec<Want>) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_due(wants).await
    }
    async fn release(&self, delivery: DeliveryId, claim: u32, due: Timestamp) -> Result<(), StoreError> {
        let released = self.store.release(delivery, claim, due).await;
        match one_less(&self.lost_releases) {
            true => Err(StoreError::Failed("the connection was cut".into())),
            false => released,
        }
    }
    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        self.settles.wait().await;
        self.store.settle(settle).await
    }
    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Claimed>, StoreError> {
        self.store.overdue(now, limit).await
    }
    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_deadline().await
    }
    async fn breakers(&self) -> Result<Vec<Breaker>, StoreError> {
        self.store.breakers().await
    }
    async fn put_breaker(&self, breaker: Breaker) -> Result<bool, StoreError> {
        self.store.put_breaker(breaker).await
    }
    async fn announce(&self, delivery: DeliveryId, claim: u32, status: Status) -> Result<(), StoreError> {
        self.store.announce(delivery, claim, status).await
    }
    async fn claim_statuses(&self, now: Timestamp, limit: usize) -> Result<Vec<StatusJob>, StoreError> {
        self.store.claim_statuses(now, limit).await
    }
    async fn finish_status(&self, job: &StatusJob, end: StatusEnd, now: Timestamp) -> Result<(), StoreError> {
        self.store.finish_status(job, end, now).await
    }
    async fn next_status_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_status_due().await
    }
    async fn events(&self, page: Page) -> Result<Vec<EventSummary>, StoreError> {
        self.store.events(page).await
    }
    async fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.store.event(id).await
    }
    async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.store.backlog().await
    }
    async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }
}

struct Bench {
    folder: tempfile::TempDir,
    sqlite: Arc<SqliteStore>,
    store: Arc<dyn Store>,
    time: Arc<Mutex<Timestamp>>,
    billing: Arc<Billing>,
    fake: Arc<Fake>,
    calls: mpsc::UnboundedReceiver<Call>,
    settings: DispatchSettings,
    nudge: Arc<Notify>,
    status_nudge: Arc<Notify>,
}

/// A worker that runs.
struct Running {
    ended: mpsc::UnboundedReceiver<Ended>,
    overtaken: mpsc::UnboundedReceiver<String>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn ended(&mut self) -> Ended {
        soon(self.ended.recv()).await.expect("an attempt")
    }

    fn of(mut worker: Dispatcher) -> Self {
        let ((watch, ended), (watch_overtaken, overtaken)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        worker.observer = Arc::new(Watch { ended: watch, overtaken: watch_overtaken });
        let stop = CancellationToken::new();
        Self { ended, overtaken, stop: stop.clone(), task: tokio::spawn(worker.run(stop)) }
    }

    async fn stop(self) {
        self.stop.cancel();
        soon(self.task).await.expect("it ends well");
    }
}

/// Nothing here takes long; a test that would wait for ever fails instead.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it should have happened by now")
}

fn start_of_time() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

fn open(folder: &Path, now: Timestamp) -> Arc<SqliteStore> {
    let settings = StoreSettings::default();
    Arc::new(SqliteStore::open(&folder.join("store.db"), settings, now).expect("a store"))
}

fn handler(name: &str) -> Handler {
    Handler {
        name: name.into(),
        events: vec!["*".into()],
        fetch: vec![],
        connector: "fake".into(),
        service_group: Some("HSS".into()),
        order: Order::Skip,
        order_by: OrderBy::Arrival,
        retry: RetrySchedule::default().into(),
        reconcile: None,
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sqlite = open(folder.path(), start_of_time());
        let (calls, called) = mpsc::unbounded_channel();
        Self {
            store: sqlite.clone(),
            sqlite,
            folder,
            time: Arc::new(Mutex::new(start_of_time())),
            billing: Arc::default(),
            fake: Arc::new(Fake { calls, panics: false }),
            calls: called,
            settings: DispatchSettings {
                // Only nudges wake it, so that nothing depends on how long the test takes.
                tick: Duration::from_secs(3600),
                store_pause: StorePause {
                    first: Duration::from_millis(1),
                    longest: Duration::from_millis(1),
                },
                announce: false,
                ..DispatchSettings::default()
            },
            nudge: Arc::default(),
            status_nudge: Arc::default(),
        }
    }

    fn clock(&self) -> Clock {
        let time = Arc::clone(&self.time);
        Arc::new(move || *time.lock().expect("lock"))
    }

    fn now(&self) -> Timestamp {
        *self.time.lock().expect("lock")
    }

    fn pass(&self, seconds: i64) {
        *self.time.lock().expect("lock") += SignedDuration::from_secs(seconds);
        self.nudge.notify_one();
    }

    fn worker(&self, handlers: Vec<Handler>) -> Dispatcher {
        let route = |handler| Route::new(handler, self.fake.clone());
        let routes = handlers.into_iter().map(route).collect();
        let mut worker =
            Dispatcher::new(self.store.clone(), self.billing.clone(), routes, self.settings.clone());
        worker.now = self.clock();
        worker.jitter = Arc::new(|| 0.0);
        worker.nudge = self.nudge.clone();
        worker.status_nudge = self.status_nudge.clone();
        worker
    }

    fn run(&self, handlers: Vec<Handler>) -> Running {
        Running::of(self.worker(handlers))
    }

    /// Whether nobody is called, though somebody looks.
    async fn quiet(&mut self) -> bool {
        self.nudge.notify_one();
        tokio::time::timeout(Duration::from_millis(100), self.calls.recv()).await.is_err()
    }

    /// The call that comes once so many seconds have passed, and not before.
    async fn call_after(&mut self, seconds: i64) -> Call {
        assert!(self.quiet().await);
        self.pass(seconds);
        self.call().await
    }

    async fn accept(&self, i_event: i64, account: i64, handlers: &[&str]) -> EventId {
        let id = self.accept_unsaid(i_event, account, handlers).await;
        self.nudge.notify_one();
        id
    }

    /// The same, as another gateway does whose nudge gets lost.
    async fn accept_unsaid(&self, i_event: i64, account: i64, handlers: &[&str]) -> EventId {
        let now = self.now();
        let event = Event {
            id: EventId::at(now),
            source: "main".into(),
            i_env: None,
            i_event: Some(i_event),
            event_type: "Subscriber/Updated".into(),
            subject: Subject { kind: SubjectKind::Account, id: account.to_string() },
            event_time: None,
            received_at: now,
            body: "{}".into(),
        };
        let id = event.id;
        let subscriptions = handlers
            .iter()
            .map(|name| Subscription { handler: (*name).into(), order: Order::Skip, rank: now })
            .collect();
        assert_eq!(self.store.accept(event, subscriptions).await.expect("accepted"), Accepted::New(id));
        id
    }

    async fn call(&mut self) -> Call {
        soon(self.calls.recv()).await.expect("a call")
    }
}

fn retry() -> Outcome {
    Outcome::Retry { class: Failure::Busy, reason: "busy".into(), after: None }
}
