//! What deliveries are called: an id is made of the event's id and the delivery's number, in every store alike, so that rows
//! can move from one to another and keep their ids.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::delivery::DeliveryId;
use crate::event::EventId;

/// How many deliveries an event can have: a delivery's number is that of its event times this, plus its place.
pub(super) const DELIVERIES: i64 = 1024;

/// More than there are events: a delivery's number has 48 bits in its id.
pub(super) const EVENTS: i64 = 1 << 38;

/// How many of the lowest bits of a delivery's id are its number.
const SEQ_BITS: u32 = 48;

/// A delivery's id: that of its event, with the delivery's number in the lowest 48 bits. The event's time and what is left
/// of its random bits keep it apart from those of other gateways.
pub(super) fn delivery_id(event: EventId, seq: i64) -> DeliveryId {
    let mask = (1_u128 << SEQ_BITS) - 1;
    let seq = u128::from(seq.unsigned_abs());
    DeliveryId(Uuid::from_u128(event.0.as_u128() & !mask | seq & mask))
}

/// The number that is in a delivery's id.
pub(super) fn delivery_seq(id: DeliveryId) -> i64 {
    let mask = (1_u128 << SEQ_BITS) - 1;
    i64::try_from(id.0.as_u128() & mask).unwrap_or(i64::MAX)
}

/// Ids of events go by the time. By so much the clocks of several gateways may differ, or one may be set back.
const CLOCKS: SignedDuration = SignedDuration::from_hours(1);

/// No event that was accepted then or later has a lower id.
pub(super) fn lowest_id_since(from: Timestamp) -> Uuid {
    id_at(from.checked_sub(CLOCKS).unwrap_or(from))
}

/// Every event that was accepted before then has a lower id.
pub(super) fn highest_id_until(until: Timestamp) -> Uuid {
    id_at(until.checked_add(CLOCKS).unwrap_or(until))
}

fn id_at(time: Timestamp) -> Uuid {
    Uuid::from_u128(u128::try_from(time.as_millisecond()).unwrap_or(0) << 80)
}
