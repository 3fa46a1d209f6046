//! A subscription from the configuration: which events, what to fetch for them, whom to tell, how to retry.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::Failure;
use crate::event::{Event, SubjectKind};
use crate::store::Subscription;

/// One `[[handler]]` of the configuration.
#[derive(Debug, Clone)]
pub struct Handler {
    /// Its name; deliveries bear it, so it stays the same as long as they are to go on.
    pub name: String,
    /// Event types: exact names, or patterns with `*` for any run of characters; compared without case.
    pub events: Vec<String>,
    /// Which members of `pb_data` to fetch.
    pub fetch: Vec<Fetch>,
    /// The name of the connector that applies it.
    pub connector: String,
    /// The service group under which the status is written back; none: no status is written.
    pub service_group: Option<String>,
    /// What the deliveries of a subject mean for each other.
    pub order: Order,
    /// What makes one of them the earlier.
    pub order_by: OrderBy,
    /// When to try again.
    pub retry: Retries,
    /// How it is compared with PortaBilling beside the events; none: it isn't.
    pub reconcile: Option<Reconcile>,
}

/// How what was delivered last is compared with what PortaBilling says now ([`crate::reconcile`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// The events that are made for accounts; none: this handler isn't about them, so PortaBilling's aren't walked through.
    pub accounts: Option<Made>,
    /// The events that are made for customers; none: as above.
    pub customers: Option<Made>,
    /// Members of `pb_data` that don't count, as paths: `full_vd_counter_info`, `account_info.status`. What counts as a
    /// whole for nothing isn't asked for.
    pub ignore: Vec<String>,
    /// What becomes of an account or customer for which nothing has ever been delivered.
    pub never_delivered: NeverDelivered,
}

/// The types of the events that are made for those of one kind; ones that the handler wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// For one that differs.
    pub changed: String,
    /// For one that PortaBilling doesn't have any more; none: the handler listens for no such event.
    pub gone: Option<String>,
}

/// What PortaBilling has lists of that are walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Walked {
    Accounts,
    Customers,
}

impl Walked {
    /// All of them, in the order in which they are walked through.
    pub const ALL: [Self; 2] = [Self::Accounts, Self::Customers];

    /// What these are lists of, if there are such lists.
    pub fn of(kind: SubjectKind) -> Option<Self> {
        Self::ALL.into_iter().find(|walked| walked.kind() == kind)
    }

    /// What events of this type are about, if it is one of these and can be told by the type alone.
    ///
    /// A SIM card's events are its account's.
    pub fn told_by(event_type: &str) -> Option<Self> {
        let entity = event_type.split('/').next().unwrap_or_default().to_ascii_lowercase();
        match entity.as_str() {
            "customer" | "customersite" => Some(Self::Customers),
            "did" | "invoice" | "product" => None,
            _ => Some(Self::Accounts),
        }
    }

    /// The kind of each.
    pub const fn kind(self) -> SubjectKind {
        match self {
            Self::Accounts => SubjectKind::Account,
            Self::Customers => SubjectKind::Customer,
        }
    }

    /// What its number is called in an event.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Accounts => "i_account",
            Self::Customers => "i_customer",
        }
    }

    /// The member of `pb_data` that shows whether it is still there.
    pub const fn itself(self) -> Fetch {
        match self {
            Self::Accounts => Fetch::AccountInfo,
            Self::Customers => Fetch::CustomerInfo,
        }
    }

    /// The type of the event that is made for one that differs, where nobody says (ESPF's grouped vocabulary).
    pub const fn changed(self) -> &'static str {
        match self {
            Self::Accounts => "Subscriber/Updated",
            Self::Customers => "Customer/Updated",
        }
    }

    /// The types that tell of an end, the best first (ESPF's grouped and native vocabulary).
    pub const fn ends(self) -> [&'static str; 2] {
        match self {
            Self::Accounts => ["Subscriber/Deleted", "Account/Status/Closed"],
            Self::Customers => ["Customer/Deleted", "Customer/Status/Closed"],
        }
    }
}

impl Reconcile {
    /// The events that are made for these; none: they aren't walked through.
    pub const fn made(&self, walked: Walked) -> Option<&Made> {
        match walked {
            Walked::Accounts => self.accounts.as_ref(),
            Walked::Customers => self.customers.as_ref(),
        }
    }
}

/// What becomes of an account or customer for which nothing has ever been delivered to the handler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NeverDelivered {
    /// It differs: its first event may have been dropped.
    #[default]
    Enqueue,
    /// It isn't this handler's: for handlers that only get the events of some. Then PortaBilling isn't asked about it.
    Leave,
}

/// A member of `pb_data` (NSPS connector contract; `customer_info` is ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Fetch {
    AccountInfo,
    SimInfo,
    PrevSimInfo,
    AccessPolicyInfo,
    ProductInfo,
    FullVdCounterInfo,
    CustomerInfo,
}

/// What the deliveries of a subject mean for each other. One at a time is in flight in any case, the earliest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// When one has failed for good, the later ones go on: each fetches the truth anew, so a later one makes good what an
    /// earlier one missed.
    #[default]
    Skip,
    /// When one has failed for good, the later ones wait until it has been dealt with.
    Strict,
    /// A newer one makes those that wait superfluous. As `skip` otherwise. Not for handlers that work from the event itself.
    Latest,
}

/// What makes one delivery of a subject earlier than another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderBy {
    /// When it happened, as far as the event says so; else when it was accepted.
    #[default]
    EventTime,
    /// When it was accepted.
    Arrival,
}

/// When a failed delivery is tried again, by the kind of failure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Retries {
    /// For all kinds that aren't named.
    pub schedule: RetrySchedule,
    /// For these.
    pub by_failure: BTreeMap<Failure, RetrySchedule>,
}

impl Retries {
    /// The schedule for this kind of failure.
    pub fn of(&self, failure: Failure) -> &RetrySchedule {
        self.by_failure.get(&failure).unwrap_or(&self.schedule)
    }
}

impl From<RetrySchedule> for Retries {
    fn from(schedule: RetrySchedule) -> Self {
        Self { schedule, by_failure: BTreeMap::new() }
    }
}

/// When a failed delivery is tried again: quickly at first, then slowly, then never (it is parked).
///
/// The default is NSPS's: 100 tries 1 to 10 minutes apart, then after 1, 2, 4, 8, 16, 24, 24 … hours for a month.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySchedule {
    /// Pause after the first failure.
    pub first: Duration,
    /// The longest pause of the quick tries; pauses grow towards it.
    pub longest: Duration,
    /// How many quick tries there are.
    pub tries: u32,
    /// Pauses of the slow tries; the last one repeats.
    pub then: Vec<Duration>,
    /// How long the whole may take, counted from acceptance, but for what an outage takes ([`Self::has_room`]).
    pub horizon: Duration,
}

impl Handler {
    /// Whether it wants events of this type. Types are compared as a whole, never by their beginning: `Subscriber/Updated`
    /// and `Subscriber/Name/Changed` share a segment and nothing else.
    pub fn wants(&self, event_type: &str) -> bool {
        self.events.iter().any(|pattern| matches(pattern, event_type))
    }

    /// What an event is accepted with, for this handler.
    pub fn subscription(&self, event: &Event) -> Subscription {
        Subscription { handler: self.name.clone(), order: self.order, rank: event.rank(self.order_by) }
    }
}

impl Fetch {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AccountInfo,
        Self::SimInfo,
        Self::PrevSimInfo,
        Self::AccessPolicyInfo,
        Self::ProductInfo,
        Self::FullVdCounterInfo,
        Self::CustomerInfo,
    ];

    /// Its name in `pb_data`, and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountInfo => "account_info",
            Self::SimInfo => "sim_info",
            Self::PrevSimInfo => "prev_sim_info",
            Self::AccessPolicyInfo => "access_policy_info",
            Self::ProductInfo => "product_info",
            Self::FullVdCounterInfo => "full_vd_counter_info",
            Self::CustomerInfo => "customer_info",
        }
    }
}

/// Whether `text` is what `pattern` says: `*` stands for any run of characters, slashes too; case doesn't matter
/// (ESPF: `Account/ID/Changed` here, `Account/Id/Changed` there).
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut here) = (0, 0);
    // The last star, and how much of the text it has swallowed: a mismatch goes back there, so that the work is
    // bounded by the product of the lengths and needs no stack.
    let mut star: Option<(usize, usize)> = None;
    while here < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(byte) if byte.eq_ignore_ascii_case(&text[here]) => {
                at += 1;
                here += 1;
            }
            _ => match star {
                Some((place, swallowed)) => {
                    star = Some((place, swallowed + 1));
                    at = place + 1;
                    here = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

impl Default for RetrySchedule {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self {
            first: Duration::from_secs(60),
            longest: Duration::from_secs(600),
            tries: 100,
            then: [1, 2, 4, 8, 16, 24].map(hours).to_vec(),
            horizon: hours(31 * 24),
        }
    }
}

impl RetrySchedule {
    /// How long to wait after the failure number `failures` (1 for the first); none where no further try is due.
    ///
    /// Quick pauses double from [`first`](Self::first) to [`longest`](Self::longest). `jitter`, 0 to 1, takes up to a
    /// fifth off, so that what failed together doesn't come back together.
    pub fn pause(&self, failures: u32, jitter: f64) -> Option<Duration> {
        let failures = failures.max(1);
        // The first try is always made, so it counts as a quick one.
        let tries = self.tries.max(1);
        let pause = if failures < tries {
            let doubled = 1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
            self.first.saturating_mul(doubled).min(self.longest.max(self.first))
        } else {
            let step = usize::try_from(failures - tries).unwrap_or(usize::MAX);
            *self.then.get(step).or(self.then.last())?
        };
        Some(pause.mul_f64(1.0 - 0.2 * jitter.clamp(0.0, 1.0)))
    }

    /// Whether another quick try is left after so many failures, and all pauses until then would have had room within the
    /// horizon: if one that has failed no more often is older than that, it isn't for its own failures.
    pub fn has_room(&self, failures: u32) -> bool {
        let until_then = |left: Duration, failure| left.checked_sub(self.pause(failure, 0.0)?);
        failures < self.tries && (1..=failures.max(1)).try_fold(self.horizon, until_then).is_some()
    }

    /// What was asked for with `Retry-After`, as far as it is heeded.
    pub(crate) fn bounded(&self, after: Option<Duration>) -> Duration {
        after.unwrap_or_default().min(self.longest_pause())
    }

    /// The longest pause that it ever makes: nobody's `Retry-After` may ask for more.
    pub fn longest_pause(&self) -> Duration {
        self.then.iter().copied().fold(self.longest.max(self.first), Duration::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;

    #[test]
    fn types_are_matched_as_a_whole_and_without_case() {
        let yes = [
            ("Subscriber/Updated", "subscriber/UPDATED"),
            ("Account/ID/Changed", "Account/Id/Changed"),
            ("*", "Custom/Jasper/CapReached"),
            ("*", ""),
            ("*/Deleted", "DID/Deleted"),
            ("Account/*", "Account/Service/Netaccess/QuotaExceeded"),
            ("*quota*", "Account/Service/Netaccess/QuotaExceeded"),
            ("A*b*c", "AbbbXbcbc"),
            ("**", "x"),
        ];
        let no = [
            ("Subscriber/Updated", "Subscriber/Updated/Late"),
            ("Subscriber", "Subscriber/Name/Changed"),
            ("Account/*", "Account"),
            ("*/Deleted", "DID/Deleted/Not"),
            ("A*b*c", "AbbbXbcb"),
            ("", "x"),
            ("SIM/?pdated", "SIM/Updated"),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in no {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn what_is_walked_for_a_type_is_what_its_events_are_about() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let types = [
            "Subscriber/Updated",
            "Account/Status/Closed",
            "SIM/Updated",
            "Customer/Deleted",
            "CustomField/Changed",
        ];
        for event_type in types.into_iter().chain(Walked::ALL.into_iter().flat_map(Walked::ends)) {
            let walked = Walked::told_by(event_type).expect("a kind");
            let body =
                format!(r#"{{"event_type":"{event_type}","variables":{{"{}":7}}}}"#, walked.variable());
            let event = Event::read("x", body.as_bytes(), None, now).expect("an event");
            assert_eq!((event.subject.kind, event.subject.id.as_str()), (walked.kind(), "7"), "{event_type}");
            assert_eq!(Walked::of(event.subject.kind), Some(walked));
        }
        assert_eq!(Walked::told_by("Invoice/Updated"), None);
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }

    #[test]
    fn pauses_double_then_stay_then_go_slow() {
        let schedule = RetrySchedule::default();
        let table = [
            (1, MINUTE),
            (2, 2 * MINUTE),
            (3, 4 * MINUTE),
            (4, 8 * MINUTE),
            (5, 10 * MINUTE),
            (99, 10 * MINUTE),
            (100, HOUR),
            (101, 2 * HOUR),
            (102, 4 * HOUR),
            (103, 8 * HOUR),
            (104, 16 * HOUR),
            (105, 24 * HOUR),
            (106, 24 * HOUR),
            (u32::MAX, 24 * HOUR),
        ];
        for (failures, seconds) in table {
            assert_eq!(schedule.pause(failures, 0.0), Some(Duration::from_secs(seconds)), "after {failures}");
        }
        assert_eq!(schedule.pause(1, 1.0), Some(Duration::from_secs(48)));
        assert_eq!(schedule.pause(0, 0.0), schedule.pause(1, 0.0));
    }

    #[test]
    fn a_hundred_quick_tries_take_most_of_a_day() {
        let schedule = RetrySchedule::default();
        let sum = |jitter| (1..schedule.tries).filter_map(|n| schedule.pause(n, jitter)).sum::<Duration>();
        assert_eq!(sum(0.0), Duration::from_secs(965 * MINUTE), "16 h 5 min at most");
        assert_eq!(sum(1.0), Duration::from_secs(772 * MINUTE), "12 h 52 min at least");
    }

    #[test]
    fn without_slow_tries_the_quick_ones_are_all() {
        let schedule = RetrySchedule { tries: 3, then: Vec::new(), ..RetrySchedule::default() };
        assert!(schedule.pause(2, 0.5).is_some());
        assert_eq!(schedule.pause(3, 0.5), None);
        assert_eq!(schedule.longest_pause(), Duration::from_secs(600));
        let once = RetrySchedule { tries: 0, then: Vec::new(), ..RetrySchedule::default() };
        assert_eq!(once.pause(1, 0.0), None);
    }
}
