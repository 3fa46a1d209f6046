//! The worker over a real store, with an external system and a PortaBilling that answer when the test says so.
//!
//! The clock is held: time passes when the test moves it and nudges.

mod outages;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::breaker::{Breaker, BreakerSettings, BreakerState};
use crate::callback::Token;
use crate::connector::{Applied, Apply};
use crate::delivery::{DeliveryId, Failure};
use crate::enrich::EnrichError;
use crate::event::{EventId, Subject, SubjectKind};
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

struct Watch(mpsc::UnboundedSender<Ended>);

impl Observer for Watch {
    fn attempt_ended(&self, ended: &AttemptEnded<'_>) {
        let i_event = ended.event.i_event.expect("a number");
        let (event, attempt, state) = (ended.event.id, ended.attempt, ended.state.clone());
        self.0.send(Ended { event, i_event, attempt, state }).ok();
    }
}

/// A store whose `record` fails for a while.
struct Flaky {
    store: Arc<dyn Store>,
    failures: AtomicUsize,
}

#[async_trait]
impl Store for Flaky {
    async fn record(&self, record: Record) -> Result<(), StoreError> {
        let left = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(StoreError::Failed("disk full".into())),
            Err(_) => self.store.record(record).await,
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
        self.store.release(delivery, claim, due).await
    }
    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
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
    async fn put_status(&self, status: Status) -> Result<(), StoreError> {
        self.store.put_status(status).await
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
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn ended(&mut self) -> Ended {
        soon(self.ended.recv()).await.expect("an attempt")
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
        let mut worker = self.worker(handlers);
        let (watch, ended) = mpsc::unbounded_channel();
        worker.observer = Arc::new(Watch(watch));
        let stop = CancellationToken::new();
        Running { ended, stop: stop.clone(), task: tokio::spawn(worker.run(stop)) }
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
        self.nudge.notify_one();
        id
    }

    async fn call(&mut self) -> Call {
        soon(self.calls.recv()).await.expect("a call")
    }
}

fn retry() -> Outcome {
    Outcome::Retry { class: Failure::Busy, reason: "busy".into(), after: None }
}

#[tokio::test]
async fn a_subjects_deliveries_keep_their_order_through_failures() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss")]);
    for number in 1..=3 {
        bench.accept(number, 7, &["hss"]).await;
    }
    let first = bench.call().await;
    let id = first.delivery;
    assert_eq!((first.i_event, first.attempt), (1, 1));
    first.answer(retry());
    let due = start_of_time() + SignedDuration::from_secs(60);
    assert_eq!(running.ended().await.state, State::Pending { due });
    bench.pass(60);
    let again = bench.call().await;
    assert_eq!((again.i_event, again.attempt, again.delivery), (1, 2, id));
    again.answer(Outcome::Delivered);
    for number in 2..=3 {
        let next = bench.call().await;
        assert_eq!((next.i_event, next.attempt), (number, 1));
        next.answer(Outcome::Delivered);
    }
    for (i_event, attempt) in [(1, 2), (2, 1), (3, 1)] {
        let ended = running.ended().await;
        assert_eq!((ended.i_event, ended.attempt), (i_event, attempt));
        assert_eq!(ended.state, State::Delivered { at: due });
    }
    running.stop().await;
}

#[tokio::test]
async fn a_retry_does_not_come_before_its_time() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.call().await.answer(retry());
    running.ended().await;
    // A second early: the worker looks, and finds only what came meanwhile.
    bench.pass(59);
    bench.accept(2, 8, &["hss"]).await;
    let other = bench.call().await;
    assert_eq!(other.i_event, 2);
    other.answer(Outcome::Delivered);
    running.ended().await;
    bench.pass(1);
    assert_eq!(bench.call().await.i_event, 1);
}

#[tokio::test]
async fn subjects_and_handlers_go_side_by_side() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss"), handler("iptv")]);
    for account in 1..=5 {
        bench.accept(account, account, &["hss", "iptv"]).await;
    }
    let mut calls = Vec::new();
    for _ in 0..10 {
        calls.push(bench.call().await);
    }
    let mut who: Vec<_> = calls.iter().map(|call| (call.handler.clone(), call.i_event)).collect();
    who.sort();
    who.dedup();
    assert_eq!(who.len(), 10);
    for call in calls {
        call.answer(Outcome::Delivered);
        running.ended().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_handler_whose_system_hangs_keeps_no_other_waiting() {
    let mut bench = Bench::new();
    bench.settings.max_in_flight = 2;
    let _running = bench.run(vec![handler("hangs"), handler("works")]);
    for account in 1..=4 {
        bench.accept(account, account, &["hangs"]).await;
    }
    let hanging = [bench.call().await, bench.call().await];
    for account in 5..=9 {
        bench.accept(account, account, &["works"]).await;
        let call = bench.call().await;
        assert_eq!(call.handler, "works", "the slots of the other are taken");
        call.answer(Outcome::Delivered);
    }
    for call in hanging {
        call.answer(Outcome::Delivered);
        assert_eq!(bench.call().await.handler, "hangs");
    }
}

#[tokio::test]
async fn what_is_refused_is_parked_and_the_next_goes_on() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.accept(2, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Refused { reason: "no such SIM".into() });
    let parked = State::Parked { at: start_of_time(), reason: "no such SIM".into() };
    let ended = running.ended().await;
    assert_eq!((ended.i_event, ended.attempt, ended.state), (1, 1, parked));
    assert_eq!(bench.call().await.i_event, 2);
}

#[tokio::test]
async fn without_data_the_external_system_is_not_asked() {
    let mut bench = Bench::new();
    let error = |retryable, after| EnrichError {
        reason: "PortaBilling says no".into(),
        retryable,
        outage: false,
        after,
    };
    let hour = Duration::from_secs(3600);
    // Taken from the end.
    *bench.billing.errors.lock().expect("lock") = vec![error(false, None), error(true, Some(hour))];
    let fetching = Handler { fetch: vec![Fetch::AccountInfo], ..handler("hss") };
    let mut running = bench.run(vec![fetching]);
    bench.accept(1, 7, &["hss"]).await;
    let due = start_of_time() + SignedDuration::from_secs(3600);
    assert_eq!(running.ended().await.state, State::Pending { due });
    bench.pass(3600);
    assert!(matches!(running.ended().await.state, State::Parked { .. }));
    assert!(bench.calls.try_recv().is_err());
}

#[tokio::test]
async fn what_was_fetched_is_applied_and_kept_once_it_is_delivered() {
    let mut bench = Bench::new();
    let fetching = Handler { fetch: vec![Fetch::AccountInfo], ..handler("hss") };
    let mut running = bench.run(vec![fetching, handler("plain")]);
    bench.accept(1, 7, &["hss"]).await;
    let call = bench.call().await;
    assert_eq!(call.pb_data.as_deref(), Some("1"));
    call.answer(retry());
    running.ended().await;
    bench.pass(60);
    let call = bench.call().await;
    assert_eq!(call.pb_data.as_deref(), Some("2"), "fetched anew: it may have changed");
    call.answer(Outcome::Delivered);
    running.ended().await;
    bench.accept(2, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Delivered);
    running.ended().await;
    let lasts = bench.billing.lasts.lock().expect("lock").clone();
    assert_eq!(lasts, [None, None, Some("2".to_owned())]);
    bench.accept(3, 7, &["plain"]).await;
    assert_eq!(bench.call().await.pb_data, None);
}

#[tokio::test]
async fn a_bug_or_a_silence_costs_one_attempt() {
    let mut bench = Bench::new();
    bench.settings.attempt_max = Duration::from_millis(5);
    let mut running = bench.run(vec![handler("hss")]);
    let id = bench.accept(1, 7, &["hss"]).await;
    let silent = bench.call().await;
    assert!(matches!(running.ended().await.state, State::Pending { .. }));
    drop(silent);
    running.stop().await;

    bench.fake = Arc::new(Fake { calls: bench.fake.calls.clone(), panics: true });
    let mut running = bench.run(vec![handler("hss")]);
    bench.pass(60);
    assert_eq!(running.ended().await.attempt, 2);
    let detail = bench.store.event(id).await.expect("an answer").expect("the event");
    let reasons: Vec<_> = detail.deliveries[0].1.iter().filter_map(|one| one.outcome.reason()).collect();
    assert!(reasons[0].contains("nothing after"), "{reasons:?}");
    assert!(reasons[1].contains("mistake in the gateway"), "{reasons:?}");
    running.stop().await;
}

#[tokio::test]
async fn an_outcome_is_not_lost_while_the_store_fails() {
    let mut bench = Bench::new();
    let flaky = Arc::new(Flaky { store: bench.store.clone(), failures: AtomicUsize::new(3) });
    bench.store = flaky.clone();
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Delivered);
    assert!(matches!(running.ended().await.state, State::Delivered { .. }));
    assert_eq!(flaky.failures.load(Ordering::SeqCst), 0);
    assert!(bench.calls.try_recv().is_err(), "asked once only");
    assert_eq!(bench.store.backlog().await.expect("an answer")[0].delivered, 1);
}

#[tokio::test]
async fn a_handler_that_is_gone_keeps_its_deliveries_until_it_is_back() {
    let mut bench = Bench::new();
    bench.accept(1, 7, &["gone"]).await;
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(2, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Delivered);
    running.ended().await;
    running.stop().await;
    let backlog = bench.store.backlog().await.expect("an answer");
    assert_eq!((backlog[0].handler.as_str(), backlog[0].pending), ("gone", 1));
    let _running = bench.run(vec![handler("hss"), handler("gone")]);
    assert_eq!(bench.call().await.i_event, 1);
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_in_flight_and_starts_nothing_new() {
    let mut bench = Bench::new();
    let running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.accept(2, 7, &["hss"]).await;
    let call = bench.call().await;
    running.stop.cancel();
    call.answer(Outcome::Delivered);
    soon(running.task).await.expect("it ends well");
    let backlog = bench.store.backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.delivered, backlog.pending, backlog.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn what_a_shutdown_cuts_off_is_attempted_again_under_the_same_id() {
    let mut bench = Bench::new();
    bench.settings.drain = Duration::from_millis(1);
    let running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    let cut = bench.call().await;
    running.stop().await;
    bench.sqlite.close().await;
    bench.sqlite = open(bench.folder.path(), bench.now());
    bench.store = bench.sqlite.clone();
    let mut running = bench.run(vec![handler("hss")]);
    let again = bench.call().await;
    assert_eq!((again.delivery, again.attempt), (cut.delivery, 2));
    again.answer(Outcome::Delivered);
    assert!(matches!(running.ended().await.state, State::Delivered { .. }));
    running.stop().await;
}

struct Sink(mpsc::UnboundedSender<Status>);

#[async_trait]
impl StatusSink for Sink {
    async fn write(&self, status: &Status) -> Result<(), SinkError> {
        self.0.send(status.clone()).ok();
        Ok(())
    }
}

#[tokio::test]
async fn portabilling_hears_in_progress_then_retry_then_ok() {
    let mut bench = Bench::new();
    bench.settings.announce = true;
    let (sink, mut written) = mpsc::unbounded_channel();
    let mut writer = StatusWriter::new(bench.store.clone(), Arc::new(Sink(sink)), StatusSettings::default());
    writer.now = bench.clock();
    writer.nudge = bench.status_nudge.clone();
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    let mut running = bench.run(vec![handler("hss"), Handler { service_group: None, ..handler("plain") }]);

    bench.accept(1, 7, &["hss", "plain"]).await;
    let mut heard = Vec::new();
    for _ in 0..2 {
        // The attempt that says so waits for its answer; the other handler has no service group.
        let call = bench.call().await;
        if call.handler == "plain" {
            call.answer(Outcome::Delivered);
            running.ended().await;
            continue;
        }
        heard.push(soon(written.recv()).await.expect("a status"));
        call.answer(retry());
        heard.push(soon(written.recv()).await.expect("a status"));
        running.ended().await;
    }
    bench.pass(60);
    bench.call().await.answer(Outcome::Delivered);
    heard.push(soon(written.recv()).await.expect("a status"));
    let heard: Vec<_> =
        heard.iter().map(|status| (status.i_account, status.value, status.message.as_deref())).collect();
    let expected = [
        (7, StatusValue::InProgress, None),
        (7, StatusValue::Retry, Some("busy")),
        (7, StatusValue::Ok, None),
    ];
    assert_eq!(heard, expected);
    stop.cancel();
    soon(writing).await.expect("it ends well");
    assert!(written.try_recv().is_err());
    running.stop().await;
}

/// A connector that opens after three failures in a row, for 30 s.
fn fragile() -> BTreeMap<String, GateSettings> {
    let breaker = BreakerSettings {
        failures: 3,
        first: Duration::from_secs(30),
        slow_start: Duration::from_secs(60),
        ..BreakerSettings::default()
    };
    BTreeMap::from([("fake".to_owned(), GateSettings { max_in_flight: 8, per_second: None, breaker })])
}

fn unreachable() -> Outcome {
    Outcome::Retry { class: Failure::Unreachable, reason: "no route".into(), after: None }
}

#[tokio::test]
async fn a_system_that_is_down_is_left_alone_probed_and_resumed_gently() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    let mut running = bench.run(vec![handler("hss")]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        bench.call().await.answer(unreachable());
        running.ended().await;
    }
    for number in 4..=9 {
        bench.accept(number, number, &["hss"]).await;
    }
    let breaker = bench.store.breakers().await.expect("an answer").remove(0);
    assert_eq!(breaker.state, BreakerState::Open { until: bench.now() + SignedDuration::from_secs(30) });
    assert_eq!((breaker.name.as_str(), breaker.reason.as_deref()), ("connector:fake", Some("no route")));
    bench.pass(29);
    assert!(bench.quiet().await, "it is left alone");

    bench.pass(1);
    let probe = bench.call().await;
    assert_eq!(probe.i_event, 4, "the oldest that waits is the probe");
    assert!(bench.quiet().await, "one is enough");
    probe.answer(unreachable());
    let ended = running.ended().await;
    assert_eq!(ended.attempt, 1);
    let probed = bench.store.event(ended.event).await.expect("an answer").expect("the event");
    assert_eq!(probed.deliveries[0].0.tries, 0, "the outage costs no try");

    bench.pass(60);
    bench.call().await.answer(Outcome::Delivered);
    running.ended().await;
    bench.nudge.notify_one();
    let first = bench.call().await;
    assert!(bench.quiet().await, "gently: one at a time");
    first.answer(Outcome::Delivered);
    running.ended().await;
    bench.pass(60);
    let rest = [bench.call().await, bench.call().await, bench.call().await];
    for call in rest {
        call.answer(Outcome::Delivered);
    }
    let breaker = bench.store.breakers().await.expect("an answer").remove(0);
    assert_eq!(breaker.state, BreakerState::Closed);
}

#[tokio::test]
async fn a_breaker_is_as_it_was_after_a_restart() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    let mut running = bench.run(vec![handler("hss")]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        bench.call().await.answer(unreachable());
        running.ended().await;
    }
    running.stop().await;
    let _running = bench.run(vec![handler("hss")]);
    bench.accept(4, 4, &["hss"]).await;
    assert!(bench.quiet().await);
    bench.pass(30);
    assert_eq!(bench.call().await.i_event, 4);
}

#[tokio::test]
async fn portabilling_has_a_breaker_of_its_own() {
    let mut bench = Bench::new();
    bench.settings.portabilling.breaker = fragile()["fake"].breaker;
    let down = EnrichError { reason: "down".into(), retryable: true, outage: true, after: None };
    *bench.billing.errors.lock().expect("lock") = vec![down; 3];
    let fetching = Handler { fetch: vec![Fetch::AccountInfo], ..handler("hss") };
    let mut running = bench.run(vec![fetching, handler("plain")]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        running.ended().await;
    }
    bench.accept(4, 4, &["hss"]).await;
    bench.accept(5, 5, &["plain"]).await;
    let other = bench.call().await;
    assert_eq!(other.i_event, 5, "who needs nothing of it goes on");
    other.answer(Outcome::Delivered);
    assert!(bench.quiet().await);
    bench.pass(30);
    assert_eq!(bench.call().await.i_event, 4);
}

#[tokio::test]
async fn what_a_system_may_be_asked_is_shared_by_its_handlers() {
    let mut bench = Bench::new();
    bench.settings.connectors = BTreeMap::from([(
        "fake".to_owned(),
        GateSettings { max_in_flight: 3, per_second: Some(5.0), ..GateSettings::default() },
    )]);
    let _running = bench.run(vec![handler("hss"), handler("iptv")]);
    for number in 1..=5 {
        bench.accept(number, number, &["hss", "iptv"]).await;
    }
    let mut calls = vec![bench.call().await, bench.call().await, bench.call().await];
    assert!(bench.quiet().await, "three are in flight");
    calls.pop().expect("a call").answer(Outcome::Delivered);
    calls.pop().expect("a call").answer(Outcome::Delivered);
    calls.extend([bench.call().await, bench.call().await]);
    calls.drain(..).for_each(|call| call.answer(Outcome::Delivered));
    bench.nudge.notify_one();
    assert!(bench.quiet().await, "five have begun in this second");
    bench.pass(1);
    for _ in 0..5 {
        bench.call().await.answer(Outcome::Delivered);
    }
}

#[tokio::test]
async fn one_that_calls_back_is_awaited_and_holds_up_its_subject_only() {
    let mut bench = Bench::new();
    let grouped = Handler { service_group: Some("HSS".into()), ..handler("hss") };
    let mut running = bench.run(vec![grouped.clone()]);
    bench.accept(1, 7, &["hss"]).await;
    bench.accept(2, 7, &["hss"]).await;
    bench.accept(3, 8, &["hss"]).await;
    let (first, other) = (bench.call().await, bench.call().await);
    assert_eq!((first.i_event, other.i_event), (1, 3));
    let (id, within) = (first.delivery, Duration::from_secs(600));
    first.answer(Outcome::Accepted { within });
    let deadline = bench.now() + SignedDuration::from_secs(600);
    assert_eq!(running.ended().await.state, State::Awaiting { deadline });
    other.answer(Outcome::Delivered);
    running.ended().await;
    assert!(bench.quiet().await, "the next of the subject waits");
    let statuses = bench.store.claim_statuses(bench.now(), 9).await.expect("statuses");
    let of_seven = statuses.iter().find(|job| job.status.i_account == 7).expect("a status");
    assert_eq!(of_seven.status.value, StatusValue::InProgress);

    let settler = bench.worker(vec![grouped]).settler();
    let call_back = async |claim, outcome| {
        let token = Token { delivery: id, claim };
        settler.call_back(&*bench.sqlite, token, outcome, Some("{}".into())).await.expect("an answer")
    };
    assert_eq!(call_back(2, Outcome::Delivered).await, Settled::Over, "another attempt's");
    assert_eq!(call_back(1, Outcome::Delivered).await, Settled::Done(State::Delivered { at: bench.now() }));
    assert_eq!(call_back(1, Outcome::Delivered).await, Settled::Over, "once");
    let next = bench.call().await;
    assert_eq!(next.i_event, 2);
    next.answer(Outcome::Accepted { within });
    running.ended().await;
    bench.pass(3601);
    let again = bench.call_after(60).await;
    assert_eq!((again.i_event, again.attempt), (2, 2), "nothing was called back in time");
}

#[tokio::test]
async fn kinds_of_failures_have_pauses_of_their_own() {
    let mut bench = Bench::new();
    let mut quick = handler("hss");
    let soon = RetrySchedule { first: Duration::from_secs(2), ..RetrySchedule::default() };
    quick.retry.by_failure.insert(Failure::Busy, soon);
    let mut running = bench.run(vec![quick]);
    bench.accept(1, 7, &["hss"]).await;
    bench.call().await.answer(retry());
    running.ended().await;
    bench.pass(2);
    let again = bench.call().await;
    assert_eq!(again.attempt, 2);
    again.answer(unreachable());
    let due = bench.now() + SignedDuration::from_secs(120);
    assert_eq!(running.ended().await.state, State::Pending { due });
}
