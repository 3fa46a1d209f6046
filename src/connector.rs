//! What brings an external system into line, seen from the dispatcher.

pub mod http;

use async_trait::async_trait;

use crate::delivery::{DeliveryId, Outcome};
use crate::event::Event;

/// A way to an external system.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Applies one event to the external system, once; retrying is the dispatcher's business.
    async fn apply(&self, request: Apply<'_>) -> Applied;
}

/// What a connector is given.
#[derive(Debug, Clone, Copy)]
pub struct Apply<'a> {
    /// The idempotency key, the same at every attempt.
    pub delivery: DeliveryId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The handler's name.
    pub handler: &'a str,
    /// The event.
    pub event: &'a Event,
    /// What was fetched from PortaBilling, as JSON.
    pub pb_data: Option<&'a serde_json::value::RawValue>,
    /// Where to call back, should the external system finish later; a secret of this attempt's.
    pub callback: Option<&'a str>,
    /// When the delivery was made out of the event.
    pub created_at: jiff::Timestamp,
    /// Now.
    pub now: jiff::Timestamp,
}

/// What came of it, with what was said for the operator (masked, bounded).
#[derive(Debug, Clone)]
pub struct Applied {
    /// What came of it.
    pub outcome: Outcome,
    /// What was sent, masked.
    pub request: Option<String>,
    /// What was answered.
    pub response: Option<String>,
}
