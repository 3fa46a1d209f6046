//! One account or customer: what PortaBilling says of it beside what was delivered last, and the event that is made of that.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::SOURCE;
use super::account::{Difference, Finding};
use super::compare::{Now, compared, is_gone};
use super::walker::{Broken, Walker};
use crate::delivery::State;
use crate::enrich::Listed;
use crate::event::{Event, Subject};
use crate::handler::{Fetch, NeverDelivered, Walked};
use crate::store::{EventSummary, Page};

/// So many events of a subject that are for the handler, the newest, are looked at for a delivery that waits, or that has told of
/// its end.
const NEWEST: usize = 20;

/// Somebody to look at.
pub(super) struct Task {
    pub(super) subject: Subject,
    pub(super) walked: Walked,
    /// What was delivered last.
    pub(super) last: Option<String>,
    /// Whether PortaBilling's list says that it is closed.
    pub(super) closed: bool,
}

type Found = (Finding, Option<Difference>);

impl Task {
    /// One of a list.
    pub(super) fn of(walked: Walked, listed: &Listed) -> Self {
        let subject = Subject { kind: walked.kind(), id: listed.number.to_string() };
        Self { subject, walked, last: None, closed: listed.closed }
    }
}

impl Walker {
    /// What is true of it, beside what was delivered last.
    pub(super) async fn look(&self, task: &Task, since: Timestamp) -> Result<Found, Broken> {
        match task {
            Task { last: None, closed: true, .. } => return Ok((Finding::Gone, None)),
            Task { last: None, .. } if self.reconcile.never_delivered == NeverDelivered::Leave => {
                return Ok((Finding::Left, None));
            }
            _ => {}
        }
        self.turn().await?;
        let compared = compared(&self.handler.fetch, &self.reconcile, task.walked);
        let itself = task.walked.itself();
        // in any case, since nothing else shows whether it is still there
        let mut fetch = compared.clone();
        if !fetch.contains(&itself) {
            fetch.push(itself);
        }
        let Some(mut members) = self.members(task, &fetch, since).await? else {
            return Ok((Finding::Failed, None));
        };
        if is_gone(&members, task.walked) {
            return match task.last {
                Some(_) => self.gone(task).await,
                None => Ok((Finding::Gone, None)),
            };
        }
        if !compared.contains(&itself) {
            members.shift_remove(itself.as_str());
        }
        let now = Now::new(members, &self.reconcile.ignore);
        match now.beside(task.last.as_deref(), &self.reconcile.ignore) {
            None => Ok((Finding::Same, None)),
            Some(Difference::NeverDelivered) if self.reconcile.never_delivered == NeverDelivered::Leave => {
                Ok((Finding::Left, None))
            }
            Some(_) => self.differs(task, &now).await,
        }
    }

    /// What PortaBilling says, no older than `since`; none if it doesn't say.
    async fn members(
        &self,
        task: &Task,
        fetch: &[Fetch],
        since: Timestamp,
    ) -> Result<Option<Map<String, Value>>, Broken> {
        let changed = self.reconcile.made(task.walked).map(|made| made.changed.as_str());
        let Some(question) = changed.and_then(|changed| event(task, changed, since)) else { return Ok(None) };
        let asked = || self.shared.enrich.pb_data(&question, fetch, None, (self.shared.now)());
        match self.ask(asked).await? {
            Ok(answer) => Ok(answer.and_then(|data| serde_json::from_str(data.get()).ok())),
            Err(error) => {
                let (subject, reason) = (&task.subject, error.reason);
                tracing::warn!(handler = self.handler.name, %subject, reason, "can't be compared");
                Ok(None)
            }
        }
    }

    /// It seems to differ: unless a delivery sees to it, or has done so meanwhile, an event is made.
    async fn differs(&self, task: &Task, now: &Now) -> Result<Found, Broken> {
        if self.is_on_its_way(&self.newest(&task.subject).await?) {
            return Ok((Finding::OnItsWay, None));
        }
        // in this order: a delivery that has ended in between has left its mark
        let lasts = || self.shared.store.lasts(self.handler.name.clone(), vec![task.subject.clone()]);
        let last = self.kept(lasts, "lasts").await?.pop();
        let last = last.as_ref().map(|last| last.pb_data.as_str());
        let Some(difference) = now.beside(last, &self.reconcile.ignore) else {
            return Ok((Finding::Same, None));
        };
        if self.dry_run {
            return Ok((Finding::Differing, Some(difference)));
        }
        let changed = self.reconcile.made(task.walked).map(|made| made.changed.as_str());
        match self.make(task, changed).await? {
            true => Ok((Finding::Enqueued, Some(difference))),
            false => Ok((Finding::Failed, None)),
        }
    }

    /// PortaBilling doesn't have it any more: unless the handler has been told, or is about to be, an event is made.
    async fn gone(&self, task: &Task) -> Result<Found, Broken> {
        let newest = self.newest(&task.subject).await?;
        if self.is_on_its_way(&newest) {
            return Ok((Finding::OnItsWay, None));
        }
        if self.was_told(&newest) {
            return Ok((Finding::Gone, None));
        }
        let Some(end) = self.reconcile.made(task.walked).and_then(|made| made.gone.as_deref()) else {
            return Ok((Finding::Unheard, Some(Difference::Unheard)));
        };
        if self.dry_run {
            return Ok((Finding::Untold, Some(Difference::Gone)));
        }
        // An end isn't taken back so easily: PortaBilling is asked once more, and for just that.
        let asked = self.members(task, &[task.walked.itself()], (self.shared.now)()).await?;
        if !asked.is_some_and(|members| is_gone(&members, task.walked)) {
            return Ok((Finding::Failed, None));
        }
        self.one_more_end()?;
        match self.make(task, Some(end)).await? {
            true => Ok((Finding::Ended, Some(Difference::Gone))),
            false => Ok((Finding::Failed, None)),
        }
    }

    /// Breaks off when these are too many.
    fn one_more_end(&self) -> Result<(), Broken> {
        let max = self.shared.settings.gone_max;
        let more = |ended: u64| (ended < max).then_some(ended + 1);
        match self.ended.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(Broken::Asks(format!(
                "more than {max} (gone_max) that were delivered aren't in PortaBilling any more; see whether the API user \
                 may see all that it should; resumed, it tells of as many again"
            ))),
        }
    }

    /// Has the event accepted that ESPF would have sent; answers whether it could be made.
    async fn make(&self, task: &Task, event_type: Option<&str>) -> Result<bool, Broken> {
        let Some(event) = event_type.and_then(|event_type| event(task, event_type, (self.shared.now)()))
        else {
            return Ok(false);
        };
        let handlers = vec![self.handler.subscription(&event)];
        self.kept(|| self.shared.store.accept(event.clone(), handlers.clone()), "accept").await?;
        self.shared.nudge.notify_one();
        Ok(true)
    }

    async fn newest(&self, subject: &Subject) -> Result<Vec<EventSummary>, Broken> {
        // by kind, too, and by the handler: others of the same number, and what is for others, would take the room
        let (kind, id) = (Some(subject.kind), Some(subject.id.clone()));
        let handler = Some(self.handler.name.clone());
        let page = Page { limit: NEWEST, subject: id, kind, handler, ..Page::default() };
        self.kept(|| self.shared.store.events(page.clone()), "events").await
    }

    /// Whether a delivery for this handler waits or is under way.
    fn is_on_its_way(&self, newest: &[EventSummary]) -> bool {
        let waits = |state: &State| {
            matches!(state, State::Pending { .. } | State::InFlight { .. } | State::Awaiting { .. })
        };
        let mut deliveries = newest.iter().flat_map(|summary| &summary.deliveries);
        deliveries.any(|delivery| delivery.handler == self.handler.name && waits(&delivery.state))
    }

    /// Whether the last that was delivered to this handler was an end.
    fn was_told(&self, newest: &[EventSummary]) -> bool {
        let delivered = |summary: &&EventSummary| {
            summary.deliveries.iter().any(|delivery| {
                delivery.handler == self.handler.name && matches!(delivery.state, State::Delivered { .. })
            })
        };
        newest.iter().find(delivered).is_some_and(|summary| summary.event.is_an_end())
    }
}

/// The event that ESPF would have sent.
fn event(task: &Task, event_type: &str, now: Timestamp) -> Option<Event> {
    let number: i64 = task.subject.id.parse().ok()?;
    let body = json!({ "event_type": event_type, "variables": { task.walked.variable(): number } });
    Event::read(SOURCE, body.to_string().as_bytes(), None, now).ok()
}
