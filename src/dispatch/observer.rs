//! What happens, told to whoever counts it.

use std::time::Duration;

use crate::breaker::Breaker;
use crate::delivery::{Outcome, State};
use crate::event::Event;
use crate::store::{Status, StoreError};

/// What happens, for whoever counts it. Called on the worker's own tasks: be quick.
pub trait Observer: Send + Sync + 'static {
    /// An attempt has ended and is recorded.
    fn attempt_ended(&self, ended: &AttemptEnded<'_>) {
        let _ = ended;
    }

    /// An attempt has ended, but its outcome doesn't count: another has the delivery now.
    fn attempt_overtaken(&self, handler: &str) {
        let _ = handler;
    }

    /// A status write-back has ended; `reason` says why it failed, and `again` whether it will be tried again.
    fn status_ended(&self, status: &Status, reason: Option<&str>, again: bool) {
        let _ = (status, reason, again);
    }

    /// A breaker has opened, is being probed, or has closed.
    fn breaker_changed(&self, breaker: &Breaker) {
        let _ = breaker;
    }

    /// The store has failed; what was to be done will be tried again, unless the error says that it makes no sense.
    fn store_failed(&self, verb: &'static str, error: &StoreError) {
        let _ = (verb, error);
    }
}

/// Counts nothing.
impl Observer for () {}

/// An attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEnded<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The event.
    pub event: &'a Event,
    /// 1 for the first.
    pub attempt: u32,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// Where the delivery stands now.
    pub state: &'a State,
    /// How long PortaBilling took.
    pub enrich: Duration,
    /// How long the external system took.
    pub connect: Duration,
    /// How long the store took to keep it.
    pub record: Duration,
    /// From the acceptance of the event to now, by the wall clock.
    pub since_accepted: Duration,
}
