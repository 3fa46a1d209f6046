//! What ESPF said, kept verbatim: an event is a hint, PortaBilling is the truth.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

/// One event as it was accepted; never changed afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Ours: a UUID of version 7, so that ids sort by time of acceptance.
    pub id: EventId,
    /// The intake source that it came by (`[[intake]] name`).
    pub source: String,
    /// PortaBilling's environment, where the event names one.
    pub i_env: Option<i64>,
    /// ESPF's own id of the event; it comes as a number or as a string.
    pub i_event: Option<i64>,
    /// `Subscriber/Updated`, `SIM/Replaced`, `Account/Service/Netaccess/QuotaExceeded`; as sent.
    pub event_type: String,
    /// What it is about.
    pub subject: Subject,
    /// When it happened, where the event says so (`event_time`, UTC; else the `Date` header).
    pub event_time: Option<Timestamp>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The body, byte for byte (it is JSON, hence text).
    pub body: String,
}

/// The id of an [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub Uuid);

/// What an event is about: order is kept, and one delivery at a time is made, per handler and subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// What kind of thing.
    pub kind: SubjectKind,
    /// Its id as text: a number for most, a telephone number for a DID (leading zeros and `+` kept).
    pub id: String,
}

/// The kinds of things that events are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// An account (subscriber), by `i_account`.
    Account,
    /// A customer, by `i_customer`.
    Customer,
    /// A DID number, by `number`.
    Did,
    /// An invoice, by `i_invoice`.
    Invoice,
    /// A SIM card in the inventory, by `i_sim_card` (or ICCID, IMSI): only where no account is named.
    Sim,
    /// A product, by `i_product`.
    Product,
    /// Anything else: custom events, types that came after this was written.
    Other,
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
