//! The worker: claims what is due, has it enriched and applied, lets [`State::next`](crate::delivery::State::next) judge, and records it.
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
mod flights;
mod gate;
mod observer;
mod pace;
mod probe;
mod settings;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::breaker::{ESPF, PORTABILLING};
use crate::callback::Tokens;
use crate::connector::Connector;
use crate::enrich::Enrich;
use crate::handler::Handler;
use crate::store::{Store, StoreError, Want};

pub(crate) use flights::until;
use flights::{Flights, SHORTEST};
pub use gate::GateSettings;
pub(crate) use gate::{Gates, Health, Told};
pub use observer::{AttemptEnded, Observer};
pub use settings::{DispatchSettings, StorePause};
pub use settle::{Settled, Settler};

/// Tells the time; in tests it is held.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A number from 0 to 1, another at every call.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

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
            let settler = self.settler();
            flights.settle(|stop| settler.give_up_waiting(now, stop));
        }
        let mut waiting = Vec::new();
        self.claim(flights, now, &mut waiting).await?;
        for (probing, want) in self.probes(flights, now).await? {
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

/// The system's clock.
pub fn wall_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// From the system's source of randomness.
pub fn random_jitter() -> Jitter {
    Arc::new(|| f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX))
}
