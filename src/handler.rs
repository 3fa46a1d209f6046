//! A subscription from the configuration: which events, what to fetch for them, whom to tell, how to retry.

use std::time::Duration;

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
    /// What a parked delivery means for those behind it.
    pub order: Order,
    /// When to try again.
    pub retry: RetrySchedule,
}

/// A member of `pb_data` (NSPS connector contract).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Fetch {
    AccountInfo,
    SimInfo,
    PrevSimInfo,
    AccessPolicyInfo,
    ProductInfo,
    FullVdCounterInfo,
}

/// What happens to the later deliveries of a subject when one has failed for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// They go on: each fetches the truth anew, so a later one makes good what an earlier one missed.
    #[default]
    Skip,
    /// They wait until the parked one has been dealt with.
    Strict,
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
    /// How long the whole may take, counted from acceptance.
    pub horizon: Duration,
}
