//! What is true now, according to PortaBilling: an event only hints at it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::event::Event;
use crate::handler::Fetch;

/// A way to PortaBilling's data.
#[async_trait]
pub trait Enrich: Send + Sync + 'static {
    /// Fetches what a handler asked for, as `pb_data` of the NSPS connector contract; none where there is nothing to fetch.
    ///
    /// `last` is what was delivered last for this handler and subject: the previous SIM card is in it, and all that is left
    /// of a subject that is gone.
    async fn pb_data(
        &self,
        event: &Event,
        fetch: &[Fetch],
        last: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Box<RawValue>>, EnrichError>;
}

/// Why the data couldn't be had; nothing has been changed anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EnrichError {
    /// For the operator; no secrets.
    pub reason: String,
    /// Whether it may work later.
    pub retryable: bool,
    /// Whether PortaBilling itself is unwell (unreachable, busy, not letting us in), whatever was asked.
    pub outage: bool,
    /// Not before this long, where PortaBilling says so.
    pub after: Option<Duration>,
}

mod fresh;
mod mapping;
mod portabilling;
mod roster;

pub use portabilling::PortaBilling;
pub use roster::{Listed, Roster, RosterPage};
