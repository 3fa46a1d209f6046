//! What operators and housekeeping do with a store: look closer, pause, replay, cancel, prune, move.
//!
//! Whatever changes many deliveries takes a bounded list of them, so that no transaction is long and whoever walks through
//! millions can show how far it is and be stopped in between.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{KeptSample, KeptStatus, Status, StatusId, StatusValue, Statuses, Store, StoreError};
use crate::delivery::{Attempt, Delivery, DeliveryId, State};
use crate::event::{Event, EventId, Subject};
use crate::handler::Order;

/// The verbs beside the way of an event. As in [`Store`], each is one transaction.
#[async_trait]
pub trait Control: Store {
    /// Deliveries that meet all of `select`, in the order of acceptance, after the delivery `after`; at most `limit`, and no
    /// more than a page has.
    async fn deliveries(
        &self,
        select: Select,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// One delivery with its event and attempts.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError>;

    /// Has these delivered (again): those that are delivered, parked, superseded or cancelled become pending, the first due
    /// at `due`, each further one `gap` later, with a new horizon from `due` and no tries counted. Those that are pending are due
    /// then, too, instead of when their schedules said. Attempts are numbered on. Answers which; others (in flight, awaiting)
    /// stay as they are.
    ///
    /// Each takes the place in its lane that its rank gives it, and what was pending keeps it. Where the order is latest and a
    /// newer one waits, that one supersedes it: then it isn't among the answers.
    async fn replay(
        &self,
        deliveries: Vec<DeliveryId>,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<DeliveryId>, StoreError>;

    /// Has no more attempts made for these: those that are pending, awaiting or parked are cancelled, and no longer hold
    /// anything up. Answers which; others (in flight among them) stay as they are. PortaBilling is told that what was begun
    /// has failed.
    async fn cancel(
        &self,
        deliveries: Vec<DeliveryId>,
        how: Cancellation,
    ) -> Result<Vec<DeliveryId>, StoreError>;

    /// Makes a delivery of each of these events, in their places of the lane, for a handler that came later, as
    /// [`Store::accept`] would have; the first due at `due`, each further one `gap` later. An event that has one for this
    /// handler already, or isn't known, gets none. Answers the new ones.
    async fn subscribe(
        &self,
        events: Vec<(EventId, Timestamp)>,
        handler: String,
        order: Order,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<DeliveryId>, StoreError>;

    /// Lets nothing of this scope be claimed until [`Self::resume`]; what is in flight ends. Pausing what is paused
    /// replaces the reason. Events are accepted all the same.
    async fn pause(&self, pause: Pause) -> Result<(), StoreError>;

    /// Ends a pause; answers whether there was one.
    async fn resume(&self, scope: Scope) -> Result<bool, StoreError>;

    /// All pauses, the oldest first.
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;

    /// What was delivered last to `handler` for each of these subjects; those of whom there is nothing are left out.
    async fn lasts(&self, handler: String, subjects: Vec<Subject>) -> Result<Vec<Last>, StoreError>;

    /// What was delivered last to `handler`, about whatever subject, page after page: those that come after the place `after`, in
    /// an order of the store's own that stays. Whoever follows [`LastPage::next`] to its end meets each subject once that is
    /// there all the time. At most `limit` of them, and perhaps none although there are more: what is looked at is bounded, too.
    ///
    /// A place that another kind of store gave is none: it begins anew.
    async fn delivered(
        &self,
        handler: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<LastPage, StoreError>;

    /// Forgets a bounded part of what is old enough.
    ///
    /// Events go with their deliveries and attempts, except those with a delivery that still holds its place in a lane
    /// (pending, in flight, awaiting, parked where the order is strict). What was delivered last goes only when the last
    /// event of its subject has gone and was about its end (its type ends in `/Deleted` or `/Status/Closed`).
    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError>;

    /// Statuses with how far their write-back is, in the order of accounts and groups, after the one of `after`; at most `limit`,
    /// and no more than a page has.
    async fn statuses(
        &self,
        which: Statuses,
        after: Option<StatusId>,
        limit: usize,
    ) -> Result<Vec<KeptStatus>, StoreError>;

    /// Has these written back again that were given up: the first due at `due`, each further one `gap` later, with no attempts
    /// counted. Answers which; others stay as they are. How long it is tried still counts from when the status was.
    async fn write_again(
        &self,
        statuses: Vec<StatusId>,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<StatusId>, StoreError>;

    /// Samples of what couldn't be read ([`Store::keep_sample`]), newest first, those with numbers below `before`; at most
    /// `limit`, and no more than a page has.
    async fn samples(&self, before: Option<i64>, limit: usize) -> Result<Vec<KeptSample>, StoreError>;

    /// A note by name: how far a walk is, and the like.
    async fn note(&self, name: String) -> Result<Option<String>, StoreError>;

    /// Keeps a note under a name, in place of the one before.
    async fn put_note(&self, name: String, text: String) -> Result<(), StoreError>;

    /// Keeps a note in place of just this one (none: there is no note of that name yet); answers whether it has, or found another.
    /// So whoever holds what a note stands for is told when somebody else has taken it.
    async fn swap_note(&self, name: String, before: Option<String>, text: String)
    -> Result<bool, StoreError>;

    /// Rows for another store, whatever kind it is: of the tables in a fixed order, `limit` at most. All that is accepted is
    /// in them. Nothing else should use the store meanwhile.
    async fn dump(&self, after: Option<DumpCursor>, limit: usize) -> Result<DumpPage, StoreError>;

    /// How many rows there are to dump, about.
    async fn dump_size(&self) -> Result<u64, StoreError>;

    /// Whether nothing is in it that would be dumped.
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// Takes rows that [`Self::dump`] gave, in that order, into a store that had nothing before. What was in flight there is
    /// to be tried again, as after a crash. Until [`Self::loaded`] the store isn't whole, and a note ([`LOADING`]) says so. Fails
    /// before anything is written if another gateway works on the store when the first of them come.
    async fn load(&self, rows: Vec<DumpRow>) -> Result<(), StoreError>;

    /// Ends a load: numbers go on after the highest. Fails if rows that belong together didn't all come.
    async fn loaded(&self, now: Timestamp) -> Result<(), StoreError>;
}

/// The note of a store that is being loaded: who finds it where nobody loads any more finds half a store.
pub const LOADING: &str = "loading";

/// Which deliveries: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Select {
    /// Of this handler.
    pub handler: Option<String>,
    /// In this state ([`crate::delivery::State::word`]).
    pub state: Option<String>,
    /// Of events of this type, as sent.
    pub event_type: Option<String>,
    /// About the subject with this id, of whatever kind.
    pub subject: Option<String>,
    /// Of events accepted then or later.
    pub from: Option<Timestamp>,
    /// Of events accepted before.
    pub until: Option<Timestamp>,
}

/// A delivery with all that happened to it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct DeliveryDetail {
    pub delivery: Delivery,
    /// How often it has been claimed.
    pub claim: u32,
    pub event: Event,
    pub attempts: Vec<Attempt>,
}

/// That an operator wants something no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// When that is.
    pub at: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
    /// The service groups of the handlers that have one, by name.
    pub groups: BTreeMap<String, String>,
}

impl Cancellation {
    /// What a delivery is then.
    pub(crate) fn state(&self) -> State {
        State::Cancelled { at: self.at, reason: self.reason.clone() }
    }

    /// The status that ends what PortaBilling was told so far of one that `was` under way: without, it would be in progress or to be
    /// tried again for ever. Of one that was never attempted it knows nothing, of one that is parked that it has failed.
    pub(crate) fn status(
        &self,
        handler: &str,
        i_account: Option<i64>,
        was: &State,
        attempts: u32,
    ) -> Option<Status> {
        let group =
            self.groups.get(handler).filter(|_| attempts > 0 && !matches!(was, State::Parked { .. }))?;
        Some(Status {
            i_account: i_account?,
            group: group.clone(),
            value: StatusValue::Failed,
            message: Some(format!("cancelled: {}", self.reason)),
            at: self.at,
        })
    }
}

/// What a pause is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All deliveries: maintenance.
    Everything,
    /// Those of this handler.
    Handler(String),
    /// Those that go by this connector.
    Connector(String),
    /// Those about this subject.
    Subject(Subject),
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What for.
    pub scope: Scope,
    /// Since when.
    pub at: Timestamp,
    /// Why, as whoever paused it said.
    pub reason: Option<String>,
}

/// What was delivered last for a handler and subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// About what.
    pub subject: Subject,
    /// The `pb_data`.
    pub pb_data: String,
    /// When.
    pub at: Timestamp,
}

/// A part of what was delivered last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastPage {
    /// In the store's order.
    pub lasts: Vec<Last>,
    /// The place after them; none at the end.
    pub next: Option<String>,
}

/// What is old enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    /// Events accepted before are forgotten.
    pub events_before: Timestamp,
    /// Of attempts that ended before, what was asked and answered is forgotten.
    pub bodies_before: Timestamp,
    /// What says that it happened later is from a clock that was wrong, and doesn't stand for what comes after it.
    pub now: Timestamp,
    /// At most so many events and so many attempts are looked at.
    pub limit: usize,
}

impl Prune {
    /// Which of these rows are from before a time. They are some in the order in which they came, with their times: after one that
    /// isn't so old, and isn't from the future either, none is.
    pub(super) fn old(&self, rows: &[(i64, Timestamp)], before: Timestamp) -> Part {
        let old = rows.iter().filter(|(_, at)| *at < before).map(|(seq, _)| *seq).collect();
        let young = rows.iter().position(|(_, at)| (before..=self.now).contains(at));
        let seen = rows[..young.unwrap_or(rows.len())].last().map(|(seq, _)| *seq);
        Part { old, seen, more: young.is_none() && rows.len() >= self.limit }
    }
}

/// A part of the rows that are looked at.
pub(super) struct Part {
    /// Those that are old enough.
    pub(super) old: Vec<i64>,
    /// All up to this one need not be looked at again soon.
    pub(super) seen: Option<i64>,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events, with all that belongs to them.
    pub events: u64,
    /// Attempts that have lost their bodies.
    pub bodies: u64,
    /// Whether there may be more that is old enough.
    pub more: bool,
}

/// A row on its way from one store to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DumpRow {
    /// Of which table.
    pub table: String,
    /// Its columns by name; bytes as hexadecimal digits.
    pub columns: serde_json::Map<String, serde_json::Value>,
}

/// Where a dump goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpCursor {
    /// The table's place in the order.
    pub table: usize,
    /// After the row with this number.
    pub after: i64,
}

/// A part of a dump.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct DumpPage {
    pub rows: Vec<DumpRow>,
    /// None at the end.
    pub next: Option<DumpCursor>,
}

impl Scope {
    /// The kind of scope and its name, as they lie in the store: `subject` has kind and id with a space between.
    pub fn words(&self) -> (&'static str, String) {
        match self {
            Self::Everything => ("everything", String::new()),
            Self::Handler(name) => ("handler", name.clone()),
            Self::Connector(name) => ("connector", name.clone()),
            Self::Subject(subject) => ("subject", subject.to_string()),
        }
    }

    /// What [`Self::words`] said.
    pub fn from_words(kind: &str, name: &str) -> Option<Self> {
        use crate::event::SubjectKind;
        Some(match kind {
            "everything" => Self::Everything,
            "handler" => Self::Handler(name.to_owned()),
            "connector" => Self::Connector(name.to_owned()),
            "subject" => {
                let (kind, id) = name.split_once(' ')?;
                Self::Subject(Subject { kind: SubjectKind::from_word(kind)?, id: id.to_owned() })
            }
            _ => return None,
        })
    }
}
