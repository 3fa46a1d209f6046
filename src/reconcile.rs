//! The answer to events that ESPF dropped: walks through all accounts, compares what PortaBilling says of each with what was
//! delivered last, and makes an event for those that differ.
//!
//! For each handler with a [`Reconcile`] there is one walk at a time, by hand or on a schedule. Page by page it asks PortaBilling
//! for its list of accounts, and for each account for what the handler fetches, at a rate and as PortaBilling's breaker lets. An
//! event that it makes is accepted as any other is, from the source [`SOURCE`], for this handler only; the dispatcher does the
//! rest. How far a walk is lies in the store, so that it goes on after a restart. A dry run makes no events.
//!
//! What it can't find are accounts that PortaBilling no longer lists: it walks through PortaBilling, not through what was
//! delivered. An account that goes while the walk comes, or is closed, is left to the event of its end.

mod account;
mod beat;
mod compare;
mod place;
mod portabilling;
mod walker;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::SignedDuration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use account::{Counts, Estimate, Example, Finding, Walk, WalkState};
pub use compare::compared;

use crate::dispatch::{Clock, Dispatcher, Gates, Observer, StorePause};
use crate::enrich::{Enrich, Roster};
use crate::handler::{Handler, Reconcile};
use crate::store::{Control, StoreError};
use crate::telemetry::Telemetry;
use place::Place;
use walker::Walker;

/// The source that events bear that are made here.
pub const SOURCE: &str = "reconcile";

/// The limits of walks, with their defaults.
#[derive(Debug, Clone)]
pub struct ReconcileSettings {
    /// How often; none: by hand only.
    pub every: Option<Duration>,
    /// How many accounts per second, for each handler; 20.
    pub rate: f64,
    /// How many accounts a page of PortaBilling's list has; 100.
    pub page: usize,
    /// How many accounts are asked for at a time, for each handler; 4.
    pub in_flight: usize,
    /// How many of those that differ are kept to be shown; 50.
    pub examples: usize,
    /// How often PortaBilling is asked for a page of its list, if it refuses to give it, before the walk breaks off; 5.
    pub list_tries: u32,
    /// How long to wait after PortaBilling or the store has failed; from 50 ms to 1 s, so that a walk that is alone with an
    /// outage opens PortaBilling's breaker before long.
    pub pause: StorePause,
    /// How often it is looked whether PortaBilling's breaker lets a question through; 250 ms.
    pub tick: Duration,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        Self {
            every: None,
            rate: 20.0,
            page: 100,
            in_flight: 4,
            examples: 50,
            list_tries: 5,
            pause: StorePause { longest: Duration::from_secs(1), ..StorePause::default() },
            tick: Duration::from_millis(250),
        }
    }
}

/// How a walk is to be.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Order {
    /// Only look.
    pub dry_run: bool,
    /// So many accounts per second; none: as in the settings.
    pub rate: Option<f64>,
    /// Go on with the one that was stopped or has broken off, as it was.
    pub resume: bool,
}

/// Why a walk isn't begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such handler.
    #[error("there is no handler {0:?}")]
    Unknown(String),
    /// It isn't set up for that.
    #[error("handler {handler:?} can't be reconciled: {why}")]
    Unfit {
        /// Which.
        handler: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// One at a time.
    #[error("a walk for handler {0:?} is under way; stop it first, or wait")]
    Running(String),
    /// There is none to go on with.
    #[error("no walk for handler {0:?} has been stopped or has broken off; start one without resuming")]
    NothingToResume(String),
    /// The gateway is going down.
    #[error("the gateway is being stopped")]
    Stopping,
    /// The store couldn't keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What makes walks. Set the public fields before [`run`](Self::run) where the defaults won't do.
pub struct Reconciler {
    store: Arc<dyn Control>,
    enrich: Arc<dyn Enrich>,
    roster: Arc<dyn Roster>,
    handlers: BTreeMap<String, Handler>,
    settings: ReconcileSettings,
    gates: Arc<Gates>,
    observer: Arc<dyn Observer>,
    now: Clock,
    nudge: Arc<Notify>,
    walks: Mutex<BTreeMap<String, Known>>,
    tasks: TaskTracker,
    /// What is counted.
    pub telemetry: Arc<Telemetry>,
    /// Ends it.
    pub stop: CancellationToken,
}

/// What is known of the walk of a handler.
#[derive(Default)]
struct Known {
    /// The last one, if there was one.
    walk: Option<Walk>,
    /// Set while it runs here.
    run: Option<Run>,
}

/// A walk that runs in this process.
struct Run {
    stop: CancellationToken,
    since: Instant,
    /// How many it has seen since then.
    here: u64,
    /// What it waits for.
    waits: Option<String>,
}

/// A walk as it is just now.
#[derive(Debug, Clone)]
pub struct View {
    /// The walk.
    pub walk: Walk,
    /// How fast it is, if it runs.
    pub estimate: Option<Estimate>,
    /// What it waits for, if it does.
    pub waits: Option<String>,
}

impl Reconciler {
    /// For these handlers, beside the dispatcher that delivers what is found.
    pub fn new(
        dispatcher: &Dispatcher,
        store: Arc<dyn Control>,
        enrich: Arc<dyn Enrich>,
        roster: Arc<dyn Roster>,
        handlers: &[Handler],
        settings: ReconcileSettings,
    ) -> Self {
        Self {
            store,
            enrich,
            roster,
            handlers: handlers.iter().map(|handler| (handler.name.clone(), handler.clone())).collect(),
            settings,
            gates: dispatcher.gates(),
            observer: Arc::clone(&dispatcher.observer),
            now: Arc::clone(&dispatcher.now),
            nudge: Arc::clone(&dispatcher.nudge),
            walks: Mutex::default(),
            tasks: TaskTracker::new(),
            telemetry: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Goes on with the walks that a restart has interrupted, begins those that the schedule says, and waits for all of them
    /// at the end.
    pub async fn run(self: Arc<Self>) {
        let mut pause = self.settings.pause;
        while let Err(error) = self.recall().await {
            self.store_failed("note", &error);
            if self.stop.run_until_cancelled(tokio::time::sleep(pause.next())).await.is_none() {
                break;
            }
        }
        while !self.stop.is_cancelled() {
            let next = self.begin_due().await;
            // without a schedule there is nothing to do but to wait for the end
            let rest = async {
                match next {
                    Some(next) => tokio::time::sleep(next).await,
                    None => std::future::pending().await,
                }
            };
            self.stop.run_until_cancelled(rest).await;
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What the store knows of walks; those that haven't ended go on.
    async fn recall(self: &Arc<Self>) -> Result<(), StoreError> {
        for name in self.fit() {
            let Some(walk) = self.kept(&name).await? else { continue };
            let goes_on = walk.state == WalkState::Running;
            {
                let mut walks = self.lock();
                let known = walks.entry(name).or_default();
                if known.walk.is_some() {
                    continue; // somebody has begun another one already
                }
                known.walk = Some(walk.clone());
            }
            if goes_on {
                self.set_off(walk);
            }
        }
        Ok(())
    }

    async fn kept(&self, handler: &str) -> Result<Option<Walk>, StoreError> {
        let Some(text) = self.store.note(note_of(handler)).await? else { return Ok(None) };
        match serde_json::from_str(&text) {
            Ok(walk) => Ok(Some(walk)),
            Err(error) => {
                tracing::warn!(handler, %error, "how far the last reconciliation was can't be read; it is forgotten");
                Ok(None)
            }
        }
    }

    /// Begins what is due by the schedule; answers how long until the next is.
    async fn begin_due(self: &Arc<Self>) -> Option<Duration> {
        let every = SignedDuration::try_from(self.settings.every?).ok()?;
        let now = (self.now)();
        let mut next = self.settings.every?;
        for name in self.fit() {
            let last =
                self.lock().get(&name).and_then(|known| known.walk.as_ref()).map(|walk| walk.started_at);
            let due = last.and_then(|last| last.checked_add(every).ok()).unwrap_or(now);
            if due > now {
                next = next.min(Duration::try_from(due.duration_since(now)).unwrap_or_default());
                continue;
            }
            match self.start(&name, Order::default()).await {
                Ok(()) | Err(Refused::Running(_) | Refused::Stopping) => {}
                Err(error) => {
                    tracing::warn!(handler = name, %error, "the scheduled reconciliation doesn't begin");
                    next = next.min(Duration::from_secs(60));
                }
            }
        }
        Some(next)
    }

    /// The handlers that can be reconciled.
    pub fn fit(&self) -> Vec<String> {
        self.handlers.keys().filter(|name| self.fitness(name).is_ok()).cloned().collect()
    }

    fn fitness(&self, name: &str) -> Result<(&Handler, &Reconcile), Refused> {
        let handler = self.handlers.get(name).ok_or_else(|| Refused::Unknown(name.to_owned()))?;
        let unfit = |why| Refused::Unfit { handler: name.to_owned(), why };
        if handler.fetch.is_empty() {
            return Err(unfit("it fetches nothing, so there is nothing to compare"));
        }
        let reconcile = handler.reconcile.as_ref().ok_or_else(|| {
            unfit("the configuration doesn't say how; add reconcile = { event_type = \"Subscriber/Updated\" } to it")
        })?;
        if compared(&handler.fetch, reconcile).is_empty() {
            return Err(unfit("all that it fetches is ignored, so there is nothing to compare"));
        }
        Ok((handler, reconcile))
    }

    /// Begins a walk for this handler.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn start(self: &Arc<Self>, handler: &str, order: Order) -> Result<(), Refused> {
        self.fitness(handler)?;
        if self.stop.is_cancelled() {
            return Err(Refused::Stopping);
        }
        let before = self.lock().get(handler).and_then(|known| known.walk.clone());
        let before = match before {
            Some(before) => Some(before),
            None => self.kept(handler).await?,
        };
        let walk = match order.resume {
            true => before
                .filter(|walk| matches!(walk.state, WalkState::Stopped | WalkState::Failed))
                .map(|walk| Walk { state: WalkState::Running, ended_at: None, reason: None, ..walk })
                .ok_or_else(|| Refused::NothingToResume(handler.to_owned()))?,
            false => self.new_walk(handler, order),
        };
        // so that of two at the same time one is refused
        let stop = self.reserve(&walk)?;
        if let Err(error) = self.keep(&walk).await {
            self.lock().entry(walk.handler).or_default().run = None;
            return Err(error.into());
        }
        self.spawn(walk, stop);
        Ok(())
    }

    fn new_walk(&self, handler: &str, order: Order) -> Walk {
        Walk {
            handler: handler.to_owned(),
            dry_run: order.dry_run,
            rate: order.rate.unwrap_or(self.settings.rate),
            state: WalkState::Running,
            reason: None,
            started_at: (self.now)(),
            ended_at: None,
            total: None,
            counts: Counts::default(),
            examples: Vec::new(),
            place: Place::default(),
        }
    }

    fn reserve(&self, walk: &Walk) -> Result<CancellationToken, Refused> {
        let mut walks = self.lock();
        let known = walks.entry(walk.handler.clone()).or_default();
        if known.run.is_some() {
            return Err(Refused::Running(walk.handler.clone()));
        }
        let stop = self.stop.child_token();
        known.run = Some(Run { stop: stop.clone(), since: Instant::now(), here: 0, waits: None });
        known.walk = Some(walk.clone());
        Ok(stop)
    }

    fn set_off(self: &Arc<Self>, walk: Walk) {
        if let Ok(stop) = self.reserve(&walk) {
            self.spawn(walk, stop);
        }
    }

    fn spawn(self: &Arc<Self>, walk: Walk, stop: CancellationToken) {
        if let Ok((handler, reconcile)) = self.fitness(&walk.handler) {
            let walker = Walker::new(Arc::clone(self), handler.clone(), reconcile.clone(), &walk, stop);
            let shared = Arc::clone(self);
            self.tasks.spawn(async move {
                let name = walk.handler.clone();
                if AssertUnwindSafe(walker.walk(walk)).catch_unwind().await.is_err() {
                    shared.broke_off(&name);
                }
            });
        }
    }

    /// A mistake of ours costs this walk, and not all that come.
    fn broke_off(&self, handler: &str) {
        tracing::error!(handler, "a mistake in the gateway broke the reconciliation off; it can be resumed");
        let mut walks = self.lock();
        let Some(known) = walks.get_mut(handler) else { return };
        known.run = None;
        if let Some(walk) = &mut known.walk {
            walk.state = WalkState::Failed;
            walk.reason = Some("a mistake in the gateway broke it off".into());
            walk.ended_at = Some((self.now)());
        }
    }

    /// Stops the walk of this handler; answers whether there was one. It can be resumed.
    pub fn halt(&self, handler: &str) -> bool {
        let walks = self.lock();
        let run = walks.get(handler).and_then(|known| known.run.as_ref());
        run.inspect(|run| run.stop.cancel()).is_some()
    }

    /// The last walk of each handler that has had one.
    pub fn walks(&self) -> Vec<View> {
        let walks = self.lock();
        let view = |known: &Known| {
            let walk = known.walk.clone()?;
            let run = known.run.as_ref();
            let estimate = run.and_then(|run| {
                account::estimate(run.here, run.since.elapsed(), walk.counts.seen(), walk.total)
            });
            Some(View { walk, estimate, waits: run.and_then(|run| run.waits.clone()) })
        };
        walks.values().filter_map(view).collect()
    }

    async fn keep(&self, walk: &Walk) -> Result<(), StoreError> {
        let text = serde_json::to_string(walk).map_err(|error| StoreError::Rejected(error.to_string()))?;
        self.store.put_note(note_of(&walk.handler), text).await
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_failed(&self, verb: &'static str, error: &StoreError) {
        tracing::error!(verb, %error, "the store failed");
        self.observer.store_failed(verb, error);
    }
}

fn note_of(handler: &str) -> String {
    format!("reconcile.{handler}")
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reconciler").field("settings", &self.settings).finish_non_exhaustive()
    }
}
