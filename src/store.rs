//! What must survive, as a handful of verbs. Nothing outside this module writes to disk.
//!
//! [`Store`] is the way of an event: accepted, claimed, recorded, its status written back. [`Control`] is what operators and
//! housekeeping do beside it. Two stores keep the same promises: [`sqlite`] for one gateway, [`postgres`] for several.

#[cfg(test)]
pub(crate) mod conformance;
mod control;
mod dump;
mod kept;
mod number;
pub mod open;
pub mod postgres;
mod spread;
pub mod sqlite;

use async_trait::async_trait;
use jiff::Timestamp;

pub use control::{
    Cancellation, Control, DeliveryDetail, DumpCursor, DumpPage, DumpRow, LOADING, Last, LastPage, Pause,
    Prune, Pruned, Scope, Select,
};

pub use kept::{KeptSample, KeptStatus, StatusId, StatusStand, Statuses};

use crate::breaker::Breaker;
use crate::delivery::{Attempt, Delivery, DeliveryId, Settlement, State};
use crate::event::{Event, EventId, SubjectKind};
use crate::handler::Order;

/// A durable store. Every verb is one transaction: when it has returned `Ok`, it survives a crash (but see
/// [`Store::claim`]).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Keeps the event and one delivery for each of `handlers`, or finds that it has the event already.
    ///
    /// The same event is: same source, `i_env`, `i_event`, type and subject. Without `i_event` nothing is the same.
    async fn accept(&self, event: Event, handlers: Vec<Subscription>) -> Result<Accepted, StoreError>;

    /// Keeps a bounded sample of a request that could not be read as an event, for the operator.
    async fn keep_sample(&self, sample: Sample) -> Result<(), StoreError>;

    /// Takes deliveries that are due, up to each handler's limit, at most one per handler and subject and none that
    /// would overtake another, and marks them in flight. Handlers that aren't named keep theirs, and so does whatever is
    /// paused ([`Control::pause`]).
    ///
    /// First in a lane (a handler and subject) is what has the lowest [`Subscription::rank`], then what was accepted first;
    /// first among lanes is what is due longest. What waits behind a delivery whose attempt was recorded just now may come with a
    /// later claim, if there is enough else that is due.
    ///
    /// A claim survives the death of the gateway. It need not survive that of the machine: then it is as if it hadn't been made.
    ///
    /// Don't drop the future: what it took would stay in flight until the store is opened again.
    async fn claim(&self, now: Timestamp, wants: Vec<Want>) -> Result<Vec<Claimed>, StoreError>;

    /// Gives a claimed delivery back, not to be claimed before `due`; there was no attempt.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] if the claim isn't the delivery's last one, or has ended.
    async fn release(&self, delivery: DeliveryId, claim: u32, due: Timestamp) -> Result<(), StoreError>;

    /// Records an attempt, the state that it leads to, and what follows from it, in one transaction.
    ///
    /// Recording the same attempt of the same claim again has no effect, so that it may be repeated when nobody knows whether
    /// it worked. Where the order is [`Order::Latest`] and a newer delivery of the lane waits, one that would be pending is
    /// superseded instead.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] if the claim isn't the delivery's last one, or has ended otherwise: somebody else has taken
    /// over, and the outcome isn't kept.
    async fn record(&self, record: Record) -> Result<(), StoreError>;

    /// Ends the wait of a delivery for its callback: by the callback, or since none came in time. The settlement is kept
    /// with the last attempt.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] if it doesn't await one for that claim (any more): each token works once.
    async fn settle(&self, settle: Settle) -> Result<(), StoreError>;

    /// Deliveries whose deadline for a callback has passed, as claimed then; at most `limit`. They stay as they are: end
    /// their wait with [`Self::settle`], which only one of several gateways will manage to do.
    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Claimed>, StoreError>;

    /// When the next deadline for a callback is.
    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The circuit breakers that have ever opened.
    async fn breakers(&self) -> Result<Vec<Breaker>, StoreError>;

    /// Keeps a breaker if what is kept has the version before its own (or it is the first and none is kept); answers
    /// whether it did. Else another gateway was quicker: ask [`Self::breakers`] what it says.
    async fn put_breaker(&self, breaker: Breaker) -> Result<bool, StoreError>;

    /// When the next delivery of these handlers becomes due, so that the dispatcher can sleep until then. Those that
    /// wait behind others of their subject don't count, nor do those that are paused.
    async fn next_due(&self, wants: Vec<Want>) -> Result<Option<Timestamp>, StoreError>;

    /// Wants this status to be written back while the delivery is in flight under this claim; afterwards it is too late, and
    /// nothing happens. It replaces what was told of the same account and group before, as one that comes with a [`Record`] does.
    async fn announce(&self, delivery: DeliveryId, claim: u32, status: Status) -> Result<(), StoreError>;

    /// Takes up to `limit` statuses that are to be written back now, at most one per account and group.
    async fn claim_statuses(&self, now: Timestamp, limit: usize) -> Result<Vec<StatusJob>, StoreError>;

    /// Ends a write-back: done, or to be tried again at `retry_at`, or given up. Has no effect on a newer status of
    /// the same account and group that came meanwhile.
    async fn finish_status(&self, job: &StatusJob, end: StatusEnd, now: Timestamp) -> Result<(), StoreError>;

    /// When the next status is to be written back.
    async fn next_status_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Events, newest first, for the operator.
    async fn events(&self, page: Page) -> Result<Vec<EventSummary>, StoreError>;

    /// One event with its deliveries and their attempts.
    async fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError>;

    /// How much waits, per handler, and since when.
    async fn backlog(&self) -> Result<Vec<Backlog>, StoreError>;

    /// Whether the store can take an event now: it really writes something.
    async fn ready(&self) -> Result<(), StoreError>;
}

/// A handler that an event is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The handler's name.
    pub handler: String,
    /// Its order, which the delivery keeps: a later change of the configuration is for later events.
    pub order: Order,
    /// Its place in its lane: what has a lower one goes first, whenever it came ([`Event::rank`]).
    pub rank: Timestamp,
}

/// How many deliveries a handler has room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The handler's name.
    pub handler: String,
    /// The name of its connector, which may be paused.
    pub connector: String,
    /// At most so many.
    pub limit: usize,
}

/// What became of an event that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Accepted {
    New(EventId),
    Duplicate(EventId),
}

/// A request that isn't an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Sample {
    pub source: String,
    pub received_at: Timestamp,
    pub reason: String,
    pub body: Vec<u8>,
}

/// A delivery to be attempted now.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The delivery, in flight.
    pub delivery: Delivery,
    /// How often it has been claimed, this time included: whoever records must name the last claim, so that a gateway that
    /// was frozen or cut off can't finish what another has taken over (a fencing token).
    pub claim: u32,
    /// Its event.
    pub event: Event,
    /// The `pb_data` that was last delivered for this handler and subject: what is left to work from when the
    /// subject is gone, and the previous SIM card.
    pub last: Option<String>,
}

/// The end of an attempt and all that follows from it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Whose attempt.
    pub delivery: DeliveryId,
    /// Under which claim it was made ([`Claimed::claim`]).
    pub claim: u32,
    /// The attempt.
    pub attempt: Attempt,
    /// The state that it leads to.
    pub state: State,
    /// How many tries the schedule counts now ([`Delivery::tries`]).
    pub tries: u32,
    /// The status to write back to PortaBilling.
    pub status: Option<Status>,
    /// The `pb_data` that was sent: kept as the subject's last if the state is delivered, and until the callback if it
    /// awaits one.
    pub last: Option<String>,
}

/// The end of the wait for a callback, and all that follows from it.
#[derive(Debug, Clone)]
pub struct Settle {
    /// Whose.
    pub delivery: DeliveryId,
    /// Under which claim it has waited.
    pub claim: u32,
    /// What was called back, or that nothing was.
    pub settlement: Settlement,
    /// The state that it leads to.
    pub state: State,
    /// How many tries the schedule counts now.
    pub tries: u32,
    /// The status to write back to PortaBilling.
    pub status: Option<Status>,
}

/// A provisioning status of an account in a service group (ESPF API).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Status {
    pub i_account: i64,
    pub group: String,
    pub value: StatusValue,
    pub message: Option<String>,
    /// When that was, by the clock of the gateway that says so. Which of two is the newer one is for the order of their
    /// recording to say, since clocks differ and are set back.
    pub at: Timestamp,
}

/// ESPF's four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StatusValue {
    Ok,
    InProgress,
    Retry,
    Failed,
}

impl StatusValue {
    /// ESPF's word: `OK`, `IN_PROGRESS`, `RETRY`, `FAILED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::InProgress => "IN_PROGRESS",
            Self::Retry => "RETRY",
            Self::Failed => "FAILED",
        }
    }
}

/// A status to be written back now.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct StatusJob {
    pub status: Status,
    pub attempts: u32,
    /// Identifies this version of the status of the account and group.
    pub version: i64,
}

/// How a write-back ended.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum StatusEnd {
    Written,
    Retry {
        at: Timestamp,
        reason: String,
        /// Whether it is one of [`StatusJob::attempts`]: not in an outage, which is no fault of the status.
        counts: bool,
    },
    GivenUp {
        reason: String,
    },
}

impl StatusEnd {
    /// Whether the write that has ended is one of [`StatusJob::attempts`].
    pub fn counts(&self) -> bool {
        match self {
            Self::Retry { counts, .. } => *counts,
            Self::Written | Self::GivenUp { .. } => true,
        }
    }
}

/// Which events to list: those that meet all that is given.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Older than this one: the last of the page before.
    pub before: Option<EventId>,
    /// At most so many; the store has a limit of its own ([`sqlite::StoreSettings::page_max`]).
    pub limit: usize,
    /// Of this type, as sent.
    pub event_type: Option<String>,
    /// About the subject with this id, of whatever kind unless `kind` says which.
    pub subject: Option<String>,
    /// About subjects of this kind.
    pub kind: Option<SubjectKind>,
    /// With a delivery in this state ([`State::word`]).
    pub state: Option<String>,
    /// With a delivery for this handler, in that state if both are named. No index goes by that: name a subject, too.
    pub handler: Option<String>,
}

/// An event in a list.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct EventSummary {
    pub event: Event,
    pub deliveries: Vec<Delivery>,
}

/// An event with all that happened to it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct EventDetail {
    pub event: Event,
    pub deliveries: Vec<(Delivery, Vec<Attempt>)>,
}

/// What waits for one handler.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Backlog {
    pub handler: String,
    pub pending: u64,
    pub in_flight: u64,
    pub awaiting: u64,
    pub parked: u64,
    pub delivered: u64,
    pub superseded: u64,
    pub cancelled: u64,
    pub oldest_pending: Option<Timestamp>,
}

/// Why the store couldn't: always our own fault, never the sender's, and never to be answered with a 4xx.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It may have been carried out or not; asking again is safe, since events are recognised.
    #[error("the store is busy or closing down; nothing is lost, try again")]
    Unavailable,
    /// The disk is full, read-only or broken; it wasn't carried out, as far as anybody can tell. Asking again is safe.
    #[error("the store failed: {0}")]
    Failed(String),
    /// It makes no sense to the store, and asking again won't help: a mistake in the gateway.
    #[error("the store does not take it: {0}")]
    Rejected(String),
    /// The claim has ended: another gateway has taken the delivery over, or a callback came first. Asking again won't help;
    /// whoever has it now goes on under the same idempotency key.
    #[error("delivery {0} has gone on without this claim")]
    Overtaken(DeliveryId),
}
