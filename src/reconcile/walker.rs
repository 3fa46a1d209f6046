//! One walk: page after page of what was delivered, then of PortaBilling's lists, one account or customer after another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::account::{Difference, Example, Finding, Walk, WalkState};
use super::beat::Beat;
use super::held::{Held, Hold};
use super::look::Task;
use super::place::{Leg, Step, Way};
use super::{Reconciler, Run};
use crate::enrich::RosterPage;
use crate::event::Subject;
use crate::handler::{Handler, Reconcile, Walked};
use crate::store::StoreError;

/// Makes one walk.
pub(super) struct Walker {
    pub(super) shared: Arc<Reconciler>,
    pub(super) handler: Handler,
    pub(super) reconcile: Reconcile,
    pub(super) dry_run: bool,
    /// For how many that are gone events have been made.
    pub(super) ended: AtomicU64,
    beat: Beat,
    pub(super) stop: CancellationToken,
}

/// Why a walk doesn't go on.
#[derive(Debug)]
pub(super) enum Broken {
    /// It is to stop, or the whole gateway is.
    Stopped,
    /// PortaBilling doesn't give its list, or the store doesn't take what it should.
    Failed(String),
    /// It is better that somebody looks at it first.
    Asks(String),
}

impl Walker {
    pub(super) fn new(
        shared: Arc<Reconciler>,
        handler: Handler,
        reconcile: Reconcile,
        walk: &Walk,
        stop: CancellationToken,
    ) -> Self {
        let beat = Beat::new(walk.rate, Instant::now());
        let ended = AtomicU64::new(walk.way.ended);
        Self { shared, handler, reconcile, dry_run: walk.dry_run, ended, beat, stop }
    }

    /// Walks until the end, or until it is stopped or taken over; what the store knows of it is then true.
    pub(super) async fn walk(self, mut walk: Walk, hold: Hold) {
        let (handler, dry_run) = (&self.handler.name, walk.dry_run);
        tracing::info!(handler, dry_run, leg = ?walk.way.leg, rate = walk.rate, "reconciliation begins");
        let (tell, heard) = watch::channel(walk.clone());
        let walking = async {
            let broken = self.legs(&mut walk, &tell).await.err();
            drop(tell);
            broken
        };
        let (broken, held) = futures::join!(walking, self.shared.keep_all(hold, heard, &self.stop));
        let Ok(mut hold) = held else {
            tracing::warn!(handler, "another gateway has taken the reconciliation over");
            return self.forget();
        };
        walk.asks |= matches!(broken, Some(Broken::Asks(_)));
        let (state, reason) = match broken {
            None => (WalkState::Done, None),
            // the whole gateway stops: it goes on at the next start, or in another
            Some(Broken::Stopped) if self.shared.stop.is_cancelled() => (WalkState::Running, None),
            Some(Broken::Stopped) => (WalkState::Stopped, None),
            Some(Broken::Failed(reason) | Broken::Asks(reason)) => (WalkState::Failed, Some(reason)),
        };
        walk.state = state;
        walk.ended_at = (state != WalkState::Running).then(|| (self.shared.now)());
        walk.reason = reason;
        // Should it fail, the note before it stands: then a part is looked at again.
        match self.shared.keep(&mut hold, &walk, Held::No).await {
            Ok(true) => {}
            Ok(false) => return self.forget(),
            Err(error) => self.shared.store_failed("swap_note", &error),
        }
        let (counts, reason) = (walk.counts, walk.reason.clone().unwrap_or_default());
        tracing::info!(
            handler,
            dry_run,
            state = ?state,
            reason,
            seen = counts.seen(),
            differing = counts.differing,
            gone = counts.gone,
            enqueued = counts.enqueued,
            failed = counts.failed,
            "reconciliation ends"
        );
        let mut walks = self.shared.lock();
        let known = walks.entry(self.handler.name.clone()).or_default();
        (known.walk, known.run) = (Some(walk), None);
    }

    /// It isn't ours any more: the note says how it is.
    fn forget(&self) {
        self.shared.lock().remove(&self.handler.name);
    }

    async fn legs(&self, walk: &mut Walk, tell: &watch::Sender<Walk>) -> Result<(), Broken> {
        if walk.way == Way::default() {
            self.count_listed(walk).await?;
        }
        loop {
            match walk.way.leg {
                Leg::Delivered => self.delivered(walk, tell).await?,
                Leg::Listed(walked) if self.reconcile.made(walked).is_some() => {
                    self.listed(walk, walked, tell).await?
                }
                Leg::Listed(_) => {}
            }
            if !walk.way.turn() {
                return Ok(());
            }
            self.publish(walk, 0);
            tell.send_replace(walk.clone());
        }
    }

    /// Asks PortaBilling how many there are: so it is known how long it will take, and whether it gives its lists at all.
    async fn count_listed(&self, walk: &mut Walk) -> Result<(), Broken> {
        for walked in Walked::ALL.into_iter().filter(|walked| self.reconcile.made(*walked).is_some()) {
            let RosterPage { listed, total } = self.page(walked, 0, 1).await?;
            // a total of 0 beside items is no total
            if let Some(total) = total.filter(|total| *total > 0 || listed.is_empty()) {
                walk.listed.insert(walked, total);
            }
        }
        self.publish(walk, 0);
        Ok(())
    }

    /// Goes through those that something was delivered for.
    async fn delivered(&self, walk: &mut Walk, tell: &watch::Sender<Walk>) -> Result<(), Broken> {
        loop {
            let store = &self.shared.store;
            let (handler, after, limit) =
                (&self.handler.name, walk.way.after.clone(), self.shared.settings.page);
            let page = || store.delivered(handler.clone(), after.clone(), limit);
            let page = self.kept(page, "delivered").await?;
            let tasks = page.lasts.into_iter().filter_map(|last| {
                let walked = Walked::of(last.subject.kind)?;
                self.reconcile.made(walked)?;
                Some(Task { subject: last.subject, walked, last: Some(last.pb_data), closed: false })
            });
            let tasks = tasks.filter(|task| !walk.way.done.contains(&task.subject.to_string())).collect();
            self.look_at(walk, tasks).await?;
            if self.stop.is_cancelled() {
                return Err(Broken::Stopped);
            }
            let Some(next) = page.next else { return Ok(()) };
            walk.way.after = Some(next);
            walk.way.done.clear();
            tell.send_replace(walk.clone());
        }
    }

    /// Goes through PortaBilling's list for those that nothing was delivered for.
    async fn listed(
        &self,
        walk: &mut Walk,
        walked: Walked,
        tell: &watch::Sender<Walk>,
    ) -> Result<(), Broken> {
        loop {
            self.turn().await?;
            let limit = self.shared.settings.page;
            let RosterPage { listed, total } = self.page(walked, walk.way.place.offset, limit).await?;
            if let Some(total) = total {
                walk.listed.insert(walked, total);
            }
            self.publish(walk, 1);
            let numbers: Vec<i64> = listed.iter().map(|listed| listed.number).collect();
            match walk.way.place.step(&numbers) {
                Step::End => return Ok(()),
                Step::Back => {}
                Step::Look(fresh) => {
                    let fresh = listed.iter().filter(|listed| fresh.contains(&listed.number));
                    let tasks = fresh.map(|listed| Task::of(walked, listed)).collect();
                    let tasks = self.never_delivered(tasks).await?;
                    self.look_at(walk, tasks).await?;
                    let more = walk.way.place.advance(&numbers, total);
                    self.publish(walk, 0);
                    if !more {
                        return Ok(());
                    }
                    tell.send_replace(walk.clone());
                }
            }
        }
    }

    /// Those of them that nothing was delivered for. The others have been looked at, or have had a delivery since then.
    async fn never_delivered(&self, mut tasks: Vec<Task>) -> Result<Vec<Task>, Broken> {
        let subjects: Vec<Subject> = tasks.iter().map(|task| task.subject.clone()).collect();
        let lasts = || self.shared.store.lasts(self.handler.name.clone(), subjects.clone());
        let lasts = self.kept(lasts, "lasts").await?;
        tasks.retain(|task| !lasts.iter().any(|last| last.subject == task.subject));
        Ok(tasks)
    }

    /// A page of a list; a refusal may pass, so it is asked for a few times.
    async fn page(&self, walked: Walked, offset: u64, limit: usize) -> Result<RosterPage, Broken> {
        let settings = &self.shared.settings;
        let mut pause = settings.pause;
        for tries in 1.. {
            match self.ask(|| self.shared.roster.page(walked, offset, limit)).await? {
                Ok(page) => return Ok(page),
                Err(error) if error.retryable && tries < settings.list_tries => {
                    self.rest(pause.next()).await?
                }
                Err(error) => return Err(Broken::Failed(error.reason)),
            }
        }
        Err(Broken::Failed("PortaBilling's list wasn't asked for".into()))
    }

    /// Looks at a page's, a few at a time. What it found is in `walk`, even if it breaks off.
    async fn look_at(&self, walk: &mut Walk, tasks: Vec<Task>) -> Result<(), Broken> {
        // What has been asked since then is true enough; so accounts share the answers about products and policies.
        let since = (self.shared.now)();
        let looks = tasks.into_iter().map(|task| async move {
            let found = self.look(&task, since).await;
            (task.subject, found)
        });
        // a vector: the stream must not borrow what the closure borrows
        let looks: Vec<_> = looks.collect();
        let mut looks = futures::stream::iter(looks).buffer_unordered(self.shared.settings.in_flight.max(1));
        let mut broken = Ok(());
        // to the end in any case: none is left in the middle, and those that haven't begun break off at once
        while let Some((subject, found)) = looks.next().await {
            match found {
                Ok((finding, difference)) => {
                    self.count(walk, &subject, finding, difference);
                    self.publish(walk, 1);
                }
                // why it failed says more than that the others were stopped then
                Err(why @ (Broken::Failed(_) | Broken::Asks(_))) => {
                    self.stop.cancel();
                    broken = Err(why);
                }
                Err(why) => broken = broken.and(Err(why)),
            }
        }
        walk.way.ended = self.ended.load(Ordering::Relaxed);
        broken
    }

    fn count(&self, walk: &mut Walk, subject: &Subject, finding: Finding, difference: Option<Difference>) {
        walk.counts.add(finding);
        match (walk.way.leg, subject.id.parse()) {
            (Leg::Listed(_), Ok(number)) => walk.way.place.done.push(number),
            _ => walk.way.done.push(subject.to_string()),
        }
        self.shared.telemetry.reconciled(&self.handler.name, subject.kind, finding);
        let room = walk.examples.len() < self.shared.settings.examples;
        if let (true, Some(difference)) = (room, difference) {
            walk.examples.push(Example::of(subject, difference));
        }
    }

    /// Waits for its turn.
    pub(super) async fn turn(&self) -> Result<(), Broken> {
        if self.stop.is_cancelled() {
            return Err(Broken::Stopped);
        }
        let turn = tokio::time::sleep_until(self.beat.take(Instant::now()));
        self.stop.run_until_cancelled(turn).await.ok_or(Broken::Stopped)
    }

    pub(super) async fn rest(&self, pause: Duration) -> Result<(), Broken> {
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.ok_or(Broken::Stopped)
    }

    /// Has the store do something, however long it fails.
    pub(super) async fn kept<T, F>(&self, work: impl Fn() -> F, verb: &'static str) -> Result<T, Broken>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = self.shared.settings.pause;
        loop {
            match work().await {
                Ok(done) => return Ok(done),
                Err(error @ (StoreError::Rejected(_) | StoreError::Overtaken(_))) => {
                    self.shared.store_failed(verb, &error);
                    return Err(Broken::Failed(error.to_string()));
                }
                Err(error) => self.shared.store_failed(verb, &error),
            }
            self.rest(pause.next()).await?;
        }
    }

    /// Shows how far it is.
    fn publish(&self, walk: &Walk, more: u64) {
        self.known(|run, shown| {
            run.here += more;
            if let Some(shown) = shown {
                (shown.counts, shown.listed, shown.way) =
                    (walk.counts, walk.listed.clone(), walk.way.clone());
                shown.examples.extend_from_slice(&walk.examples[shown.examples.len()..]);
            }
        });
    }

    pub(super) fn waits(&self, waits: Option<String>) {
        self.known(|run, _| run.waits = waits);
    }

    fn known(&self, change: impl FnOnce(&mut Run, &mut Option<Walk>)) {
        let mut walks = self.shared.lock();
        if let Some(known) = walks.get_mut(&self.handler.name)
            && let Some(run) = &mut known.run
        {
            change(run, &mut known.walk);
        }
    }
}
