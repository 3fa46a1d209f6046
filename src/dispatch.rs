//! The worker: claims what is due, has it enriched and applied, lets [`State::next`] judge, and records it.
//!
//! It is the only place that retries. It takes no input but a nudge: whatever it does it finds in the store, on a nudge, at
//! the time when something becomes due, or on its tick; so it does the same after a restart as before.
//!
//! Each handler has slots of its own, so that an external system that hangs keeps nobody else's deliveries waiting. A
//! handler that is no longer in the configuration keeps its deliveries pending until it comes back.
//!
//! Before each system that is asked (a connector, PortaBilling) there is a gate with a breaker, a pace and a number in flight:
//! what it doesn't let through isn't claimed, so it waits without using up attempts.

mod flight;
mod gate;
mod pace;
mod probe;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::breaker::{Breaker, ESPF, PORTABILLING};
use crate::callback::Tokens;
use crate::connector::Connector;
use crate::delivery::{Outcome, State};
use crate::enrich::Enrich;
use crate::event::Event;
use crate::handler::Handler;
use crate::store::{Status, Store, StoreError, Want};

pub use gate::GateSettings;
pub(crate) use gate::{Gates, Health, Told};
pub use settle::{Settled, Settler};

/// Tells the time; in tests it is held.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A number from 0 to 1, another at every call.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// The limits of the dispatcher, with their defaults.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// How many deliveries each handler has in flight at most; 32.
    pub max_in_flight: usize,
    /// How long one attempt may take, PortaBilling's answers included; 2 min.
    pub attempt_max: Duration,
    /// How often it looks by itself, should nobody nudge; 5 s.
    pub tick: Duration,
    /// How long a shutdown waits for what is in flight; 30 s.
    pub drain: Duration,
    /// How long to wait after the store has failed.
    pub store_pause: StorePause,
    /// Whether `IN_PROGRESS` is written back when the first attempt starts; yes.
    pub announce: bool,
    /// What connectors may be asked at most, by their names; those that aren't named: the defaults.
    pub connectors: BTreeMap<String, GateSettings>,
    /// What PortaBilling may be asked at most. The number in flight is no more than the handlers that ask it have together;
    /// how many calls that makes at a time is the client's business.
    pub portabilling: GateSettings,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self {
            max_in_flight: 32,
            attempt_max: Duration::from_secs(120),
            tick: Duration::from_secs(5),
            drain: Duration::from_secs(30),
            store_pause: StorePause::default(),
            announce: true,
            connectors: BTreeMap::new(),
            portabilling: GateSettings { max_in_flight: usize::MAX, ..GateSettings::default() },
        }
    }
}

/// Pauses after the store has failed: they double, and start again once it works.
#[derive(Debug, Clone, Copy)]
pub struct StorePause {
    /// The first; 50 ms.
    pub first: Duration,
    /// The longest; 5 s.
    pub longest: Duration,
}

impl Default for StorePause {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), longest: Duration::from_secs(5) }
    }
}

impl StorePause {
    /// This pause; afterwards the first is the next.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.first.min(self.longest);
        self.first = pause.saturating_mul(2);
        pause
    }
}

/// A handler with its connector.
#[derive(Clone)]
pub struct Route {
    handler: Handler,
    connector: Arc<dyn Connector>,
    /// The name of the connector's breaker.
    gate: String,
}

impl Route {
    /// A handler with what its [`connector`](Handler::connector) names.
    pub fn new(handler: Handler, connector: Arc<dyn Connector>) -> Self {
        let gate = crate::breaker::of_connector(&handler.connector);
        Self { handler, connector, gate }
    }
}

/// What happens, for whoever counts it. Called on the worker's own tasks: be quick.
pub trait Observer: Send + Sync + 'static {
    /// An attempt has ended and is recorded.
    fn attempt_ended(&self, ended: &AttemptEnded<'_>) {
        let _ = ended;
    }

    /// A status write-back has ended; `reason` says why it failed, and `again` whether it will be tried again.
    fn status_ended(&self, status: &Status, reason: Option<&str>, again: bool) {
        let _ = (status, reason, again);
    }

    /// A breaker has opened, is being probed, or has closed.
    fn breaker_changed(&self, breaker: &Breaker) {
        let _ = breaker;
    }

    /// The store has failed; what was to be done will be tried again, unless the error says that it makes no sense.
    fn store_failed(&self, verb: &'static str, error: &StoreError) {
        let _ = (verb, error);
    }
}

/// Counts nothing.
impl Observer for () {}

/// An attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEnded<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The event.
    pub event: &'a Event,
    /// 1 for the first.
    pub attempt: u32,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// Where the delivery stands now.
    pub state: &'a State,
    /// How long PortaBilling took.
    pub enrich: Duration,
    /// How long the external system took.
    pub connect: Duration,
    /// How long the store took to keep it.
    pub record: Duration,
    /// From the acceptance of the event to now, by the wall clock.
    pub since_accepted: Duration,
}

/// How external systems that finish later call back.
#[derive(Debug)]
pub struct Callbacks {
    /// Where: an absolute URL without a slash at its end, to which the token is added after a slash.
    pub url: String,
    /// Signs.
    pub tokens: Tokens,
}

/// The worker. Set the public fields before [`run`](Self::run) where the defaults won't do.
#[derive(Clone)]
pub struct Dispatcher {
    store: Arc<dyn Store>,
    enrich: Arc<dyn Enrich>,
    routes: BTreeMap<String, Arc<Route>>,
    settings: DispatchSettings,
    gates: Arc<Gates>,
    /// How external systems that finish later call back; none: they can't.
    pub callbacks: Option<Arc<Callbacks>>,
    /// Told what happens.
    pub observer: Arc<dyn Observer>,
    /// The time.
    pub now: Clock,
    /// Spreads retries.
    pub jitter: Jitter,
    /// Notify it when an event has been accepted.
    pub nudge: Arc<Notify>,
    /// Notified when there is a status to write back.
    pub status_nudge: Arc<Notify>,
}

impl Dispatcher {
    /// A worker for these handlers.
    pub fn new(
        store: Arc<dyn Store>,
        enrich: Arc<dyn Enrich>,
        routes: Vec<Route>,
        settings: DispatchSettings,
    ) -> Self {
        let gates = Arc::new(Gates::new(gates(&routes, &settings)));
        let routes = routes.into_iter().map(|route| (route.handler.name.clone(), Arc::new(route))).collect();
        Self {
            store,
            enrich,
            routes,
            settings,
            gates,
            callbacks: None,
            observer: Arc::new(()),
            now: wall_clock(),
            jitter: random_jitter(),
            nudge: Arc::default(),
            status_nudge: Arc::default(),
        }
    }

    /// Ends waits for callbacks as this worker would.
    pub fn settler(&self) -> Settler {
        Settler {
            store: Arc::clone(&self.store),
            handlers: self.routes.iter().map(|(name, route)| (name.clone(), route.handler.clone())).collect(),
            observer: Arc::clone(&self.observer),
            now: Arc::clone(&self.now),
            jitter: Arc::clone(&self.jitter),
            nudge: Arc::clone(&self.nudge),
            status_nudge: Arc::clone(&self.status_nudge),
        }
    }

    /// Who is told of a breaker that changes.
    fn told(&self) -> Told<'_> {
        Told { store: &*self.store, observer: &*self.observer }
    }

    /// What lies before the systems that are asked.
    pub(crate) fn gates(&self) -> Arc<Gates> {
        Arc::clone(&self.gates)
    }

    /// Works until `stop`, then waits for what is in flight. What hasn't ended by then is tried again after the restart.
    pub async fn run(self, stop: CancellationToken) {
        self.name_strangers().await;
        let worker = Arc::new(self);
        let mut flights = Flights::default();
        let mut after_failure = worker.settings.store_pause;
        while !stop.is_cancelled() {
            let pause = match worker.launch(&mut flights).await {
                Ok(pause) => {
                    after_failure = worker.settings.store_pause;
                    pause
                }
                Err(error) => {
                    worker.store_failed("claim", &error);
                    after_failure.next()
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = worker.nudge.notified() => {}
                () = flights.landed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        flights.drain(worker.settings.drain).await;
    }

    /// Claims what there is room for, and starts it; answers how long to wait for more.
    async fn launch(self: &Arc<Self>, flights: &mut Flights) -> Result<Duration, StoreError> {
        flights.reap();
        let now = (self.now)();
        if flights.looks_around(now, self.settings.tick) {
            self.learn().await?;
            self.settler().give_up_waiting(now).await?;
        }
        let mut waiting = Vec::new();
        self.claim(flights, now, &mut waiting).await?;
        for (probing, want) in self.probes(now).await? {
            if self.start(flights, now, &[want], &probing).await? == 0 {
                for name in &probing {
                    self.gates.give_up_probe(self.told(), name, now).await?;
                }
            }
        }
        let due = match waiting.is_empty() {
            true => None,
            false => self.store.next_due(waiting).await?,
        };
        // one that is waiting for a permit isn't among those who wait: it may begin when there is one
        Ok(self.until(due).min(self.gates.pause().map_or(Duration::MAX, |pause| pause.max(SHORTEST))))
    }

    /// Claims for all handlers that have room, as far as the gates let through; `waiting` says for whom. Who comes first
    /// changes from time to time, so that none of those who share a gate starves.
    async fn claim(
        self: &Arc<Self>,
        flights: &mut Flights,
        now: Timestamp,
        waiting: &mut Vec<Want>,
    ) -> Result<(), StoreError> {
        let max = self.settings.max_in_flight.max(1);
        let (mut wants, mut promised) = (Vec::new(), BTreeMap::<&str, usize>::new());
        let first = flights.turn(self.routes.len());
        for route in self.routes.values().cycle().skip(first).take(self.routes.len()) {
            let (gates, free) = (route.gates(), max.saturating_sub(flights.of(&route.handler.name)));
            let taken = gates.iter().filter_map(|gate| promised.get(gate)).max().copied().unwrap_or(0);
            let mut limit = free.min(self.gates.room(&gates, now));
            if taken > 0 && taken + limit > self.gates.room(&gates, now) {
                // Those before may not take all that they were promised.
                self.start(flights, now, &std::mem::take(&mut wants), &[]).await?;
                promised.clear();
                limit = free.min(self.gates.room(&gates, now));
            }
            if limit > 0 {
                gates.into_iter().for_each(|gate| *promised.entry(gate).or_default() += limit);
                wants.push(route.want(limit));
                waiting.push(route.want(limit));
            }
        }
        self.start(flights, now, &wants, &[]).await.map(drop)
    }

    /// Claims what is wanted, and starts it, as a probe of these breakers; answers how many.
    async fn start(
        self: &Arc<Self>,
        flights: &mut Flights,
        now: Timestamp,
        wants: &[Want],
        probing: &[String],
    ) -> Result<usize, StoreError> {
        if wants.is_empty() {
            return Ok(0);
        }
        let claimed = self.store.claim(now, wants.to_vec()).await?;
        let count = claimed.len();
        for one in claimed {
            let Some(route) = self.routes.get(&one.delivery.handler) else { continue };
            self.gates.begin(&route.gates());
            let flight = flight::fly(Arc::clone(self), Arc::clone(route), one, probing.to_vec());
            flights.start(&route.handler.name, flight);
        }
        Ok(count)
    }

    /// What the store knows of the breakers: at the start, and what other gateways have said.
    async fn learn(&self) -> Result<(), StoreError> {
        for breaker in self.gates.refresh(&*self.store).await? {
            self.observer.breaker_changed(&breaker);
        }
        Ok(())
    }

    fn until(&self, due: Option<Timestamp>) -> Duration {
        until(due, (self.now)(), self.settings.tick)
    }

    /// Deliveries of handlers that aren't configured any more wait, which somebody should know.
    async fn name_strangers(&self) {
        let backlog = match self.store.backlog().await {
            Ok(backlog) => backlog,
            Err(error) => return self.store_failed("backlog", &error),
        };
        for waiting in backlog {
            if waiting.pending > 0 && !self.routes.contains_key(&waiting.handler) {
                tracing::warn!(
                    handler = waiting.handler,
                    pending = waiting.pending,
                    "deliveries wait for a handler that is not in the configuration; they go on when it is back"
                );
            }
        }
    }

    fn store_failed(&self, verb: &'static str, error: &StoreError) {
        tracing::error!(verb, %error, "the store failed");
        self.observer.store_failed(verb, error);
    }
}

impl Route {
    /// What it goes through, by the names of the breakers.
    fn gates(&self) -> Vec<&str> {
        let mut gates = vec![self.gate.as_str()];
        if !self.handler.fetch.is_empty() {
            gates.push(PORTABILLING);
        }
        gates
    }

    fn want(&self, limit: usize) -> Want {
        Want { handler: self.handler.name.clone(), connector: self.handler.connector.clone(), limit }
    }
}

/// Their settings by the names of their breakers.
fn gates(routes: &[Route], settings: &DispatchSettings) -> BTreeMap<String, GateSettings> {
    let mut gates: BTreeMap<String, GateSettings> = routes
        .iter()
        .map(|route| {
            let settings = settings.connectors.get(&route.handler.connector);
            (route.gate.clone(), settings.cloned().unwrap_or_default())
        })
        .collect();
    for name in [PORTABILLING, ESPF] {
        gates.insert(name.to_owned(), settings.portabilling.clone());
    }
    // a slow start is a share of something: of what all of them may have in flight
    let asking = routes.iter().filter(|route| !route.handler.fetch.is_empty()).count();
    if let Some(gate) = gates.get_mut(PORTABILLING) {
        gate.max_in_flight = gate.max_in_flight.min(settings.max_in_flight.saturating_mul(asking).max(1));
    }
    gates
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handlers: Vec<_> = self.routes.keys().collect();
        formatter.debug_struct("Dispatcher").field("handlers", &handlers).finish_non_exhaustive()
    }
}

/// Shorter sleeps would be spinning.
const SHORTEST: Duration = Duration::from_millis(5);

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
struct Flights {
    tasks: JoinSet<()>,
    of: BTreeMap<tokio::task::Id, String>,
    counts: BTreeMap<String, usize>,
    /// Whose turn it is to be first.
    turn: usize,
    looked_around: Option<Timestamp>,
}

impl Flights {
    fn turn(&mut self, of: usize) -> usize {
        self.turn = (self.turn + 1) % of.max(1);
        self.turn
    }

    /// Whether it is time to look for what nobody nudges for.
    fn looks_around(&mut self, now: Timestamp, every: Duration) -> bool {
        let passed = self.looked_around.map(|last| Duration::try_from(now.duration_since(last)).ok());
        // a clock that has stepped back says nothing of how long it is ago
        let due = passed.is_none_or(|passed| passed.is_none_or(|passed| passed >= every));
        if due {
            self.looked_around = Some(now);
        }
        due
    }

    fn of(&self, handler: &str) -> usize {
        self.counts.get(handler).copied().unwrap_or(0)
    }

    fn start(&mut self, handler: &str, flight: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(flight).id();
        self.of.insert(id, handler.to_owned());
        *self.counts.entry(handler.to_owned()).or_default() += 1;
    }

    /// Waits until one has ended, and gives its slot back; for ever if there is none.
    async fn landed(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.give_back(ended),
            None => std::future::pending().await,
        }
    }

    /// Gives back the slots of all that have ended.
    fn reap(&mut self) {
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

    async fn drain(mut self, patience: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            let left = self.tasks.len();
            tracing::warn!(left, "deliveries were still in flight; they are tried again after the restart");
        }
    }
}

/// The system's clock.
pub fn wall_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// From the system's source of randomness.
pub fn random_jitter() -> Jitter {
    Arc::new(|| f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX))
}
