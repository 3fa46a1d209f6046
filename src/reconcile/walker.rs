//! One walk: page after page, account after account.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::account::{Example, Finding, Walk, WalkState};
use super::beat::Beat;
use super::compare::{Difference, Now, compared};
use super::place::Step;
use super::{Reconciler, Run, SOURCE};
use crate::delivery::State;
use crate::enrich::{Listed, RosterPage};
use crate::event::{Event, Subject, SubjectKind};
use crate::handler::{Fetch, Handler, NeverDelivered, Reconcile};
use crate::store::{Page, StoreError};

/// So many events of an account, the newest, are looked at for a delivery that waits.
const NEWEST: usize = 20;

/// Makes one walk.
pub(super) struct Walker {
    pub(super) shared: Arc<Reconciler>,
    handler: Handler,
    reconcile: Reconcile,
    fetch: Vec<Fetch>,
    dry_run: bool,
    beat: Beat,
    pub(super) stop: CancellationToken,
}

/// Why a walk doesn't go on.
#[derive(Debug)]
pub(super) enum Broken {
    /// It is to stop, or the whole gateway is.
    Stopped,
    /// PortaBilling doesn't give its list.
    Failed(String),
}

impl Walker {
    pub(super) fn new(
        shared: Arc<Reconciler>,
        handler: Handler,
        reconcile: Reconcile,
        walk: &Walk,
        stop: CancellationToken,
    ) -> Self {
        let fetch = compared(&handler.fetch, &reconcile);
        let beat = Beat::new(walk.rate, Instant::now());
        Self { shared, handler, reconcile, fetch, dry_run: walk.dry_run, beat, stop }
    }

    /// Walks until the end, or until it is stopped; what the store knows of it is then true.
    pub(super) async fn walk(self, mut walk: Walk) {
        let (handler, dry_run) = (&self.handler.name, walk.dry_run);
        tracing::info!(
            handler,
            dry_run,
            offset = walk.place.offset,
            rate = walk.rate,
            "reconciliation begins"
        );
        let broken = self.pages(&mut walk).await.err();
        let (state, reason) = match broken {
            None => (WalkState::Done, None),
            // the whole gateway stops: it goes on at the next start
            Some(Broken::Stopped) if self.shared.stop.is_cancelled() => (WalkState::Running, None),
            Some(Broken::Stopped) => (WalkState::Stopped, None),
            Some(Broken::Failed(reason)) => (WalkState::Failed, Some(reason)),
        };
        walk.state = state;
        walk.ended_at = (state != WalkState::Running).then(|| (self.shared.now)());
        walk.reason = reason;
        // Should it fail, the note of the last page stands: then a part is looked at again.
        if let Err(error) = self.shared.keep(&walk).await {
            self.shared.store_failed("put_note", &error);
        }
        let (counts, reason) = (walk.counts, walk.reason.clone().unwrap_or_default());
        tracing::info!(
            handler,
            dry_run,
            state = ?state,
            reason,
            seen = counts.seen(),
            differing = counts.differing,
            enqueued = counts.enqueued,
            failed = counts.failed,
            "reconciliation ends"
        );
        let mut walks = self.shared.lock();
        let known = walks.entry(self.handler.name.clone()).or_default();
        (known.walk, known.run) = (Some(walk), None);
    }

    async fn pages(&self, walk: &mut Walk) -> Result<(), Broken> {
        loop {
            let RosterPage { accounts, total } = self.page(walk.place.offset).await?;
            walk.total = total.or(walk.total);
            let ids: Vec<i64> = accounts.iter().map(|listed| listed.i_account).collect();
            match walk.place.step(&ids) {
                Step::End => return Ok(()),
                Step::Back => {}
                Step::Look(fresh) => {
                    let fresh =
                        accounts.into_iter().filter(|listed| fresh.contains(&listed.i_account)).collect();
                    self.look_at(walk, fresh).await?;
                    let more = walk.place.advance(&ids, total);
                    self.publish(walk, 0);
                    if !more {
                        return Ok(());
                    }
                    self.kept(|| self.shared.keep(walk), "put_note").await?;
                }
            }
        }
    }

    /// A page of the list; a refusal may pass, so it is asked for a few times.
    async fn page(&self, offset: u64) -> Result<RosterPage, Broken> {
        let settings = &self.shared.settings;
        let mut pause = settings.pause;
        for tries in 1.. {
            match self.ask(|| self.shared.roster.accounts(offset, settings.page)).await? {
                Ok(page) => return Ok(page),
                Err(error) if error.retryable && tries < settings.list_tries => {
                    self.rest(pause.next()).await?
                }
                Err(error) => return Err(Broken::Failed(error.reason)),
            }
        }
        Err(Broken::Failed("PortaBilling's list wasn't asked for".into()))
    }

    /// Looks at a page's accounts, a few at a time. What it found is in `walk`, even if it breaks off.
    async fn look_at(&self, walk: &mut Walk, accounts: Vec<Listed>) -> Result<(), Broken> {
        // What has been asked since then is true enough; so accounts share the answers about products and policies.
        let since = (self.shared.now)();
        let subjects: Vec<Subject> = accounts.iter().map(|listed| subject(listed.i_account)).collect();
        let lasts = || self.shared.store.lasts(self.handler.name.clone(), subjects.clone());
        let lasts = self.kept(lasts, "lasts").await?;
        let mut lasts: HashMap<Subject, String> =
            lasts.into_iter().map(|last| (last.subject, last.pb_data)).collect();
        let looks = accounts.into_iter().map(|listed| {
            let last = lasts.remove(&subject(listed.i_account));
            async move { (listed.i_account, self.look(listed, last, since).await) }
        });
        // a vector: the stream must not borrow what the closure borrows
        let looks: Vec<_> = looks.collect();
        let mut looks = futures::stream::iter(looks).buffer_unordered(self.shared.settings.in_flight.max(1));
        let mut broken = Ok(());
        // to the end in any case: none is left in the middle, and those that haven't begun break off at once
        while let Some((i_account, found)) = looks.next().await {
            match found {
                Ok((finding, difference)) => {
                    self.count(walk, i_account, finding, difference);
                    self.publish(walk, 1);
                }
                Err(why) => broken = Err(why),
            }
        }
        broken
    }

    fn count(&self, walk: &mut Walk, i_account: i64, finding: Finding, difference: Option<Difference>) {
        walk.counts.add(finding);
        walk.place.done.push(i_account);
        self.shared.telemetry.reconciled(&self.handler.name, finding);
        let room = walk.examples.len() < self.shared.settings.examples;
        if let (true, Some(difference)) = (room, difference) {
            let (never_delivered, members) = match difference {
                Difference::NeverDelivered => (true, Vec::new()),
                Difference::Members(members) => (false, members),
            };
            walk.examples.push(Example { i_account, never_delivered, members });
        }
    }

    /// One account: what is true of it, beside what was delivered last.
    async fn look(
        &self,
        listed: Listed,
        last: Option<String>,
        since: Timestamp,
    ) -> Result<(Finding, Option<Difference>), Broken> {
        self.turn().await?;
        if listed.closed {
            return Ok((Finding::Gone, None));
        }
        let Some(question) = self.event(listed.i_account, since) else { return Ok((Finding::Failed, None)) };
        let asked = || self.shared.enrich.pb_data(&question, &self.fetch, None, (self.shared.now)());
        let answer = match self.ask(asked).await? {
            Ok(answer) => answer,
            Err(error) => {
                let i_account = listed.i_account;
                tracing::warn!(
                    handler = self.handler.name,
                    i_account,
                    reason = error.reason,
                    "can't be compared"
                );
                return Ok((Finding::Failed, None));
            }
        };
        let members = answer.and_then(|data| serde_json::from_str::<Map<String, Value>>(data.get()).ok());
        let now = Now::new(members.unwrap_or_default(), &self.reconcile.ignore);
        match now.beside(last.as_deref(), &self.reconcile.ignore) {
            None => Ok((Finding::Same, None)),
            Some(_) if now.is_gone() => Ok((Finding::Gone, None)),
            Some(Difference::NeverDelivered) if self.reconcile.never_delivered == NeverDelivered::Leave => {
                Ok((Finding::Left, None))
            }
            Some(_) => self.differs(listed.i_account, &now).await,
        }
    }

    /// It seems to differ: unless a delivery sees to it, or has done so meanwhile, an event is made.
    async fn differs(&self, i_account: i64, now: &Now) -> Result<(Finding, Option<Difference>), Broken> {
        let subject = subject(i_account);
        if self.is_on_its_way(&subject).await? {
            return Ok((Finding::OnItsWay, None));
        }
        // in this order: a delivery that has ended in between has left its mark
        let lasts = || self.shared.store.lasts(self.handler.name.clone(), vec![subject.clone()]);
        let last = self.kept(lasts, "lasts").await?.pop();
        let last = last.as_ref().map(|last| last.pb_data.as_str());
        let Some(difference) = now.beside(last, &self.reconcile.ignore) else {
            return Ok((Finding::Same, None));
        };
        if self.dry_run {
            return Ok((Finding::Differing, Some(difference)));
        }
        let Some(event) = self.event(i_account, (self.shared.now)()) else {
            return Ok((Finding::Failed, None));
        };
        let handlers = vec![self.handler.subscription(&event)];
        self.kept(|| self.shared.store.accept(event.clone(), handlers.clone()), "accept").await?;
        self.shared.nudge.notify_one();
        Ok((Finding::Enqueued, Some(difference)))
    }

    /// Whether a delivery for this handler and account waits or is under way.
    async fn is_on_its_way(&self, subject: &Subject) -> Result<bool, Broken> {
        let page = Page { limit: NEWEST, subject: Some(subject.id.clone()), ..Page::default() };
        let newest = self.kept(|| self.shared.store.events(page.clone()), "events").await?;
        let waits = |state: &State| {
            matches!(state, State::Pending { .. } | State::InFlight { .. } | State::Awaiting { .. })
        };
        let of_subject = newest.iter().filter(|summary| summary.event.subject == *subject);
        let mut deliveries = of_subject.flat_map(|summary| &summary.deliveries);
        Ok(deliveries.any(|delivery| delivery.handler == self.handler.name && waits(&delivery.state)))
    }

    /// The event that ESPF would have sent.
    fn event(&self, i_account: i64, now: Timestamp) -> Option<Event> {
        let body =
            json!({ "event_type": self.reconcile.event_type, "variables": { "i_account": i_account } });
        Event::read(SOURCE, body.to_string().as_bytes(), None, now).ok()
    }

    /// Waits for its turn.
    async fn turn(&self) -> Result<(), Broken> {
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
    async fn kept<T, F>(&self, work: impl Fn() -> F, verb: &'static str) -> Result<T, Broken>
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
                (shown.counts, shown.total) = (walk.counts, walk.total);
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

fn subject(i_account: i64) -> Subject {
    Subject { kind: SubjectKind::Account, id: i_account.to_string() }
}
