//! The answer to events that ESPF dropped: walks through all accounts, or customers, compares what PortaBilling says of each with
//! what was delivered last, and makes an event for those that differ.
//!
//! For each handler with a [`Reconcile`] there is one walk at a time, by hand or on a schedule, through what its events are
//! about ([`Walked`]). It goes first through those that something was delivered for, which the store has, page by page: for each
//! PortaBilling is asked for what the handler fetches, and so it is found who isn't there any more. Then it goes through
//! PortaBilling's lists, for those that nothing was delivered for. So each is asked for once, nobody has to remember who was
//! seen, and it takes no more memory for ten million than for ten. All of that at a rate, and as PortaBilling's breaker lets.
//!
//! An event that it makes is accepted as any other is, from the source [`SOURCE`], for this handler only; the dispatcher does
//! the rest. A dry run makes no events. Before it tells of an end it looks whether the handler has been told already, and asks
//! PortaBilling once more; and it breaks off when that are too many, since an API user that may see less than before would look
//! just the same.
//!
//! How far a walk is lies in the store as a note, so that it goes on after a restart, or in another gateway (`held`).

mod account;
mod beat;
mod compare;
mod held;
mod look;
mod order;
mod place;
mod portabilling;
mod schedule;
#[cfg(test)]
mod tests;
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

pub use account::{By, Counts, Difference, Estimate, Example, Finding, Walk, WalkState};
pub use compare::compared;
pub use order::{Order, ReconcileSettings, Refused};
pub use place::Leg;

use crate::dispatch::{Clock, Dispatcher, Gates, Observer};
use crate::enrich::{Enrich, Roster};
use crate::handler::{Handler, Reconcile, Walked};
use crate::store::{Control, StoreError};
use crate::telemetry::Telemetry;
use held::{Held, Hold};
use place::Way;
use walker::Walker;

/// The source that events bear that are made here.
pub const SOURCE: &str = "reconcile";

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
struct Known {
    /// The last one, if there was one.
    walk: Option<Walk>,
    /// The note of it, as it was when it was looked at.
    text: Option<String>,
    /// Since when the note has been the same, by this gateway's own clock: no two clocks have to agree.
    unchanged: Instant,
    /// Set while it runs here.
    run: Option<Run>,
}

impl Default for Known {
    fn default() -> Self {
        Self { walk: None, text: None, unchanged: Instant::now(), run: None }
    }
}

/// A walk that runs in this process.
struct Run {
    stop: CancellationToken,
    since: Instant,
    /// How many turns it has had since then.
    here: u64,
    /// What it waits for.
    waits: Option<String>,
}

/// A walk as it is just now; of one that runs elsewhere, as it was a heartbeat or a page ago.
#[derive(Debug, Clone)]
pub struct View {
    /// The walk.
    pub walk: Walk,
    /// Whether it runs in this process.
    pub here: bool,
    /// Where it is.
    pub leg: Leg,
    /// How fast it is, if it runs here.
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

    /// Goes on with the walks that a restart has interrupted, or that another gateway has left, begins those that the schedule
    /// says, and waits for all of them at the end.
    pub async fn run(self: Arc<Self>) {
        let mut pause = self.settings.pause;
        while !self.stop.is_cancelled() {
            let rest = match self.look_around().await {
                Ok(()) => {
                    pause = self.settings.pause;
                    let heartbeat = self.settings.heartbeat;
                    self.begin_due().await.map_or(heartbeat, |next| next.min(heartbeat))
                }
                Err(error) => {
                    self.store_failed("note", &error);
                    pause.next()
                }
            };
            self.stop.run_until_cancelled(tokio::time::sleep(rest)).await;
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Begins what is due by the schedule, or has it go on; answers how long until the next is.
    async fn begin_due(self: &Arc<Self>) -> Option<Duration> {
        let every = SignedDuration::try_from(self.settings.every?).ok()?;
        let again = SignedDuration::try_from(self.settings.again).unwrap_or(every);
        let now = (self.now)();
        let mut next = self.settings.every?;
        for name in self.fit() {
            let (due, text) = match self.lock().get(&name) {
                Some(known) => (schedule::next(known.walk.as_ref(), every, again, now), known.text.clone()),
                None => (schedule::next(None, every, again, now), None),
            };
            if due.at > now {
                next = next.min(Duration::try_from(due.at.duration_since(now)).unwrap_or_default());
                continue;
            }
            // after the note that says that it is due, so that of several gateways one begins it
            let order = Order { resume: due.resumes, ..Order::default() };
            match self.start_after(&name, order, text).await {
                Ok(()) | Err(Refused::Running(_) | Refused::Elsewhere { .. } | Refused::Stopping) => {}
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
        if Walked::ALL.iter().all(|walked| {
            reconcile.made(*walked).is_none() || compared(&handler.fetch, reconcile, *walked).is_empty()
        }) {
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
        let text = self.store.note(held::note_of(handler)).await?;
        self.start_after(handler, order, text).await
    }

    /// The same, if this is still the note.
    async fn start_after(
        self: &Arc<Self>,
        handler: &str,
        order: Order,
        text: Option<String>,
    ) -> Result<(), Refused> {
        if self.stop.is_cancelled() {
            return Err(Refused::Stopping);
        }
        let before = held::read(handler, text.as_deref());
        if let Some(walk) = before.as_ref().filter(|walk| walk.state == WalkState::Running) {
            return Err(self.refused(walk));
        }
        let walk = match order.resume {
            true => before
                .filter(|walk| matches!(walk.state, WalkState::Stopped | WalkState::Failed))
                .map(Walk::resumed)
                .ok_or_else(|| Refused::NothingToResume(handler.to_owned()))?,
            false => self.new_walk(handler, order, before.as_ref()),
        };
        if self.hold(walk, text).await? {
            return Ok(());
        }
        // somebody was quicker
        let text = self.store.note(held::note_of(handler)).await?;
        let there = held::read(handler, text.as_deref());
        Err(there.map_or_else(|| Refused::Running(handler.to_owned()), |walk| self.refused(&walk)))
    }

    /// It is under way, here or elsewhere.
    fn refused(&self, walk: &Walk) -> Refused {
        let handler = walk.handler.clone();
        let here = self.lock().get(&handler).is_some_and(|known| known.run.is_some());
        match walk.by.clone().filter(|_| !here) {
            Some(By { gateway, since, .. }) => Refused::Elsewhere { handler, gateway, since },
            None => Refused::Running(handler),
        }
    }

    fn new_walk(&self, handler: &str, order: Order, before: Option<&Walk>) -> Walk {
        // who only looks hasn't said that it may go on
        let held_back = before.filter(|_| order.dry_run);
        Walk {
            handler: handler.to_owned(),
            dry_run: order.dry_run,
            rate: order.rate.unwrap_or(self.settings.rate),
            state: WalkState::Running,
            asks: held_back.is_some_and(|walk| walk.asks),
            reason: None,
            started_at: (self.now)(),
            ended_at: None,
            whole_before: before.and_then(Walk::whole),
            stopped_before: held_back.and_then(Walk::stopped),
            by: None,
            listed: BTreeMap::new(),
            counts: Counts::default(),
            examples: Vec::new(),
            way: Way::default(),
        }
    }

    /// Holds this walk, unless the note isn't this one any more, and sets off; answers whether it does.
    async fn hold(self: &Arc<Self>, walk: Walk, text: Option<String>) -> Result<bool, Refused> {
        // first here, so that of two at the same time one is refused
        let stop = self.reserve(&walk)?;
        let mut hold = Hold::new(&self.settings, &walk.handler, text, (self.now)());
        match self.keep(&mut hold, &walk, Held::Yes).await {
            Ok(true) => {
                self.spawn(walk, hold, stop);
                Ok(true)
            }
            held => {
                // somebody else has it, or the store failed: it is looked at again
                self.lock().remove(&walk.handler);
                Ok(held?)
            }
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

    fn spawn(self: &Arc<Self>, walk: Walk, hold: Hold, stop: CancellationToken) {
        if let Ok((handler, reconcile)) = self.fitness(&walk.handler) {
            let walker = Walker::new(Arc::clone(self), handler.clone(), reconcile.clone(), &walk, stop);
            let shared = Arc::clone(self);
            self.tasks.spawn(async move {
                let name = walk.handler.clone();
                if AssertUnwindSafe(walker.walk(walk, hold)).catch_unwind().await.is_err() {
                    shared.broke_off(&name);
                }
            });
        }
    }

    /// A mistake of ours costs this walk, and not all that come. The note says that it runs, until somebody takes it up again.
    fn broke_off(&self, handler: &str) {
        tracing::error!(handler, "a mistake in the gateway broke the reconciliation off");
        if let Some(known) = self.lock().get_mut(handler) {
            known.run = None;
        }
    }

    /// Stops the walk of this handler; answers whether there was one. It can be resumed.
    ///
    /// # Errors
    /// [`Refused::Elsewhere`] if another gateway walks.
    pub fn halt(&self, handler: &str) -> Result<bool, Refused> {
        let elsewhere = {
            let walks = self.lock();
            let Some(known) = walks.get(handler) else { return Ok(false) };
            if let Some(run) = &known.run {
                run.stop.cancel();
                return Ok(true);
            }
            known.walk.clone().filter(|walk| walk.state == WalkState::Running)
        };
        elsewhere.map_or(Ok(false), |walk| Err(self.refused(&walk)))
    }

    /// The last walk of each handler that has had one.
    pub fn walks(&self) -> Vec<View> {
        let walks = self.lock();
        let view = |known: &Known| {
            let walk = known.walk.clone()?;
            let run = known.run.as_ref();
            let estimate = run.and_then(|run| {
                let pages = walk.way.pages_left(&walk.listed, self.settings.page);
                let left = walk.total().map(|total| total.saturating_sub(walk.counts.seen()) + pages);
                account::estimate(run.here, run.since.elapsed(), left)
            });
            let waits = run.and_then(|run| run.waits.clone());
            Some(View { leg: walk.way.leg, here: run.is_some(), walk, estimate, waits })
        };
        walks.values().filter_map(view).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_failed(&self, verb: &'static str, error: &StoreError) {
        tracing::error!(verb, %error, "the store failed");
        self.observer.store_failed(verb, error);
    }
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reconciler").field("settings", &self.settings).finish_non_exhaustive()
    }
}
