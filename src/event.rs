//! What ESPF said, kept verbatim: an event is a hint, PortaBilling is the truth.

mod read;

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

pub use read::Unreadable;

use crate::handler::OrderBy;

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

impl Event {
    /// The account that it is about, where it is about one: only accounts have a provisioning status (ESPF).
    pub fn i_account(&self) -> Option<i64> {
        self.subject.i_account()
    }

    /// Whether it tells of the end of what it is about ([`SubjectKind::is_ended_by`]).
    pub fn is_an_end(&self) -> bool {
        self.subject.kind.is_ended_by(&self.event_type)
    }

    /// Its place among the events of its subject: when it happened, but no later than it was accepted (a clock that is ahead
    /// must not hold back what is said by one that isn't).
    pub fn rank(&self, by: OrderBy) -> Timestamp {
        match (by, self.event_time) {
            (OrderBy::EventTime, Some(time)) => time.min(self.received_at),
            _ => self.received_at,
        }
    }
}

impl EventId {
    /// A new id that sorts by `now`, to the millisecond.
    pub fn at(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }
}

impl Subject {
    /// The account's number, where the subject is an account.
    pub fn i_account(&self) -> Option<i64> {
        match self.kind {
            SubjectKind::Account => self.id.parse().ok(),
            _ => None,
        }
    }
}

impl SubjectKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Account, Self::Customer, Self::Did, Self::Invoice, Self::Sim, Self::Product, Self::Other];

    /// The word for it, in the store, in logs and in the operator's API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Customer => "customer",
            Self::Did => "did",
            Self::Invoice => "invoice",
            Self::Sim => "sim",
            Self::Product => "product",
            Self::Other => "other",
        }
    }

    /// Whether events of this type tell of the end of what they are about, being of this kind: `Subscriber/Deleted` and
    /// `Account/Status/Closed` (ESPF: closed is for good) of that of an account, but neither `Account/ProductAddon/Deleted` nor
    /// `SIM/Deleted`, which only are about the same account. Compared without case (`espf.md`: spelling differs).
    ///
    /// ```
    /// use soapstone::event::SubjectKind;
    ///
    /// assert!(SubjectKind::Account.is_ended_by("Subscriber/Deleted"));
    /// assert!(!SubjectKind::Account.is_ended_by("SIM/Deleted"));
    /// assert!(SubjectKind::Sim.is_ended_by("SIM/Deleted"));
    /// ```
    pub fn is_ended_by(self, event_type: &str) -> bool {
        let Some((entity, what)) = event_type.split_once('/') else { return false };
        let entities: &[&str] = match self {
            Self::Account => &["subscriber", "account"],
            Self::Customer => &["customer"],
            Self::Did => &["did"],
            Self::Invoice => &["invoice"],
            Self::Sim => &["sim"],
            Self::Product => &["product"],
            // its kind is in the type, and nowhere else
            Self::Other => &[],
        };
        let about_it = self == Self::Other || entities.iter().any(|one| entity.eq_ignore_ascii_case(one));
        about_it && ["deleted", "status/closed"].iter().any(|end| what.eq_ignore_ascii_case(end))
    }

    /// Whether there may be another under the same id after its end: a telephone number can be put into the inventory again,
    /// PortaBilling's own numbers aren't given twice.
    pub(crate) const fn comes_back(self) -> bool {
        matches!(self, Self::Did | Self::Other)
    }

    /// The kind that [`Self::as_str`] calls `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A version 7 UUID of the time given: the clock is the caller's, only the random part is made here.
pub(crate) fn uuid_at(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.id)
    }
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
