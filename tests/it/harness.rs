//! What the tests stand on: a gateway on free ports with a store that can be made to fail, and requests by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use soapstone::breaker::Breaker;
use soapstone::config::{BasicCredential, IntakeAuth, IntakeSettings, Listen, Secret};
use soapstone::delivery::DeliveryId;
use soapstone::event::EventId;
use soapstone::handler::{Handler, Order, RetrySchedule};
use soapstone::http::intake::Intake;
use soapstone::http::operator::Operator;
use soapstone::http::server::{self, Limits};
use soapstone::store::sqlite::{SqliteStore, StoreSettings};
use soapstone::store::{
    Accepted, Backlog, Claimed, EventDetail, EventSummary, Page, Record, Sample, Settle, Status, StatusEnd,
    StatusJob, Store, StoreError, Subscription, Want,
};
use soapstone::telemetry::Telemetry;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

/// `espf:secret`.
pub(crate) const BASIC: &str = "Basic ZXNwZjpzZWNyZXQ=";
/// Nothing in these tests takes as long as this unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it didn't happen in time")
}

/// How a gateway is to be.
pub(crate) struct Setting {
    pub(crate) listen: Listen,
    pub(crate) intakes: Vec<IntakeSettings>,
    pub(crate) events: Vec<String>,
}

impl Default for Setting {
    fn default() -> Self {
        let auth = IntakeAuth::Basic { basic: vec![basic("espf", "secret")] };
        Self {
            listen: Listen::default(),
            intakes: vec![intake("default", "/espf", auth)],
            events: vec!["*".into()],
        }
    }
}

impl Setting {
    pub(crate) fn auth(auth: IntakeAuth) -> Self {
        Self { intakes: vec![intake("default", "/espf", auth)], ..Self::default() }
    }

    pub(crate) fn listen(change: impl FnOnce(&mut Listen)) -> Self {
        let mut setting = Self::default();
        change(&mut setting.listen);
        setting
    }
}

pub(crate) fn basic(user: &str, password: &str) -> BasicCredential {
    BasicCredential { user: user.into(), password: Secret::new(password) }
}

pub(crate) fn intake(name: &str, path: &str, auth: IntakeAuth) -> IntakeSettings {
    IntakeSettings { name: name.into(), path: path.into(), unauthorized: 401, auth }
}

/// A gateway without what goes out: intake, operator's side and store.
pub(crate) struct Gateway {
    pub(crate) intake: SocketAddr,
    pub(crate) operator: SocketAddr,
    pub(crate) store: Arc<Switchable>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) accepted: Arc<Notify>,
    /// Tells the intake, but not the listeners, that the gateway is being stopped.
    pub(crate) no_more: CancellationToken,
    /// Ends the listeners.
    pub(crate) shutdown: CancellationToken,
    pub(crate) intake_ended: Option<tokio::task::JoinHandle<()>>,
    _folder: TempDir,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with(Setting::default()).await
    }

    pub(crate) async fn with(setting: Setting) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soapstone.db");
        let store = SqliteStore::open(&path, StoreSettings::default(), Timestamp::now()).unwrap();
        let sqlite = Arc::new(store);
        let store = Arc::new(Switchable::new(sqlite.clone()));
        let telemetry = Arc::new(Telemetry::new());
        let accepted = Arc::new(Notify::new());
        let (no_more, shutdown) = (CancellationToken::new(), CancellationToken::new());
        let limits = Limits::from(&setting.listen);

        let handler = Handler {
            name: "sim".into(),
            events: setting.events,
            fetch: Vec::new(),
            connector: "hlr".into(),
            service_group: None,
            order: Order::Skip,
            order_by: soapstone::handler::OrderBy::EventTime,
            retry: RetrySchedule::default().into(),
            reconcile: None,
        };
        let intake = Arc::new(Intake::new(
            &setting.listen,
            &setting.intakes,
            vec![handler.clone()],
            store.clone(),
            telemetry.clone(),
            accepted.clone(),
            no_more.clone(),
        ));
        let service = service_fn(move |request| intake.clone().respond(request));
        let (listener, intake_address) = free_port().await;
        let open = telemetry.connections("intake");
        let ended = tokio::spawn(server::serve(listener, limits.clone(), service, open, shutdown.clone()));

        let operator = Operator {
            store: store.clone(),
            control: sqlite.clone(),
            handlers: vec![handler],
            nudge: accepted.clone(),
            status_nudge: Arc::default(),
            now: soapstone::dispatch::wall_clock(),
            reconciler: None,
            telemetry: telemetry.clone(),
            shutdown: no_more.clone(),
            page_max: 500,
            hosts: vec!["gateway.example.com".into()],
        };
        let (listener, operator_address) = free_port().await;
        let open = telemetry.connections("operator");
        tokio::spawn(server::serve(listener, limits, operator.router(), open, shutdown.clone()));

        Self {
            intake: intake_address,
            operator: operator_address,
            store,
            telemetry,
            accepted,
            no_more,
            shutdown,
            intake_ended: Some(ended),
            _folder: folder,
        }
    }

    /// Posts a body to `/espf` as ESPF does.
    pub(crate) async fn post(&self, body: &str) -> Answer {
        self.post_to("/espf", &[("Authorization", BASIC)], body).await
    }

    pub(crate) async fn post_to(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.request("POST", path, headers, body).await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        request(self.intake, method, path, headers, body).await
    }

    /// What the operator's side says to a GET.
    pub(crate) async fn ask(&self, path: &str) -> (u16, serde_json::Value) {
        let answer = request(self.operator, "GET", path, &[], "").await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("not JSON: {answer:?}")))
    }

    /// All events, newest first.
    pub(crate) async fn events(&self) -> Vec<EventSummary> {
        self.store.inner.events(Page { limit: 500, ..Page::default() }).await.unwrap()
    }

    /// How often the intake answered so.
    pub(crate) fn answered(&self, event_type: &str, answer: &str) -> u64 {
        let text = self.telemetry.render(&[], Timestamp::now()).unwrap();
        let wanted = format!(r#"type="{event_type}",answer="{answer}"}} "#);
        text.lines()
            .filter_map(|line| line.split_once(&wanted))
            .map(|(_, count)| count.parse::<u64>().unwrap())
            .sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) async fn free_port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An answer as it came over the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// One request on a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head += "Host: localhost\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    answer(&mut stream).await.expect("no answer")
}

/// Reads until the other side closes: an answer, or nothing.
pub(crate) async fn answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A reset after the answer is an end, too.
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    let text = String::from_utf8(bytes).unwrap();
    if text.is_empty() {
        return None;
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some(Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() })
}

/// What is logged on this thread, as long as the guard lives: with all tasks, where the runtime has no other.
pub(crate) fn listen_to_log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

/// A log that can be looked at.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The entries with this message.
    pub(crate) fn entries(&self, message: &str) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let entries = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        entries.filter(|entry| entry["message"] == message).collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A store that can be made to fail, to hang or to panic.
pub(crate) struct Switchable {
    pub(crate) inner: Arc<dyn Store>,
    mode: AtomicU8,
    released: Notify,
    asked: Notify,
    samples: Mutex<Vec<Sample>>,
}

const UP: u8 = 0;
const DOWN: u8 = 1;
const STALLED: u8 = 2;
const PANICKING: u8 = 3;

impl Switchable {
    fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            mode: AtomicU8::new(UP),
            released: Notify::new(),
            asked: Notify::new(),
            samples: Mutex::default(),
        }
    }

    pub(crate) fn up(&self) {
        self.mode.store(UP, Ordering::SeqCst);
        self.released.notify_waiters();
    }

    pub(crate) fn down(&self) {
        self.mode.store(DOWN, Ordering::SeqCst);
    }

    pub(crate) fn stall(&self) {
        self.mode.store(STALLED, Ordering::SeqCst);
    }

    pub(crate) fn panic(&self) {
        self.mode.store(PANICKING, Ordering::SeqCst);
    }

    /// Until something was asked of it that it hasn't answered.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Samples that have been kept.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap().clone()
    }

    async fn gate(&self) -> Result<(), StoreError> {
        let released = self.released.notified();
        match self.mode.load(Ordering::SeqCst) {
            DOWN => Err(StoreError::Unavailable),
            STALLED => {
                tokio::pin!(released);
                released.as_mut().enable();
                self.asked.notify_one();
                released.await;
                Ok(())
            }
            PANICKING => panic!("the store panics, as the test wants it"),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Switchable {
    async fn accept(
        &self,
        event: soapstone::event::Event,
        handlers: Vec<Subscription>,
    ) -> Result<Accepted, StoreError> {
        self.gate().await?;
        self.inner.accept(event, handlers).await
    }

    async fn keep_sample(&self, sample: Sample) -> Result<(), StoreError> {
        self.gate().await?;
        self.inner.keep_sample(sample.clone()).await?;
        self.samples.lock().unwrap().push(sample);
        Ok(())
    }

    async fn claim(&self, now: Timestamp, wants: Vec<Want>) -> Result<Vec<Claimed>, StoreError> {
        self.gate().await?;
        self.inner.claim(now, wants).await
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        self.gate().await?;
        self.inner.record(record).await
    }

    async fn next_due(&self, wants: Vec<Want>) -> Result<Option<Timestamp>, StoreError> {
        self.gate().await?;
        self.inner.next_due(wants).await
    }

    async fn release(&self, delivery: DeliveryId, claim: u32, due: Timestamp) -> Result<(), StoreError> {
        self.gate().await?;
        self.inner.release(delivery, claim, due).await
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        self.gate().await?;
        self.inner.settle(settle).await
    }

    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Claimed>, StoreError> {
        self.gate().await?;
        self.inner.overdue(now, limit).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.gate().await?;
        self.inner.next_deadline().await
    }

    async fn breakers(&self) -> Result<Vec<Breaker>, StoreError> {
        self.gate().await?;
        self.inner.breakers().await
    }

    async fn put_breaker(&self, breaker: Breaker) -> Result<bool, StoreError> {
        self.gate().await?;
        self.inner.put_breaker(breaker).await
    }

    async fn announce(&self, delivery: DeliveryId, claim: u32, status: Status) -> Result<(), StoreError> {
        self.gate().await?;
        self.inner.announce(delivery, claim, status).await
    }

    async fn claim_statuses(&self, now: Timestamp, limit: usize) -> Result<Vec<StatusJob>, StoreError> {
        self.gate().await?;
        self.inner.claim_statuses(now, limit).await
    }

    async fn finish_status(&self, job: &StatusJob, end: StatusEnd, now: Timestamp) -> Result<(), StoreError> {
        self.gate().await?;
        self.inner.finish_status(job, end, now).await
    }

    async fn next_status_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.gate().await?;
        self.inner.next_status_due().await
    }

    async fn events(&self, page: Page) -> Result<Vec<EventSummary>, StoreError> {
        self.gate().await?;
        self.inner.events(page).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.gate().await?;
        self.inner.event(id).await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.gate().await?;
        self.inner.backlog().await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.gate().await?;
        self.inner.ready().await
    }
}
