//! Claims of what isn't filed yet: the common case, in which a delivery waits for nobody.
//!
//! A delivery can be claimed as it is if it is the only one of its lane in the inbox and none in the tables holds its lane.
//! Then nothing that is filed with it can come before it, and what comes into its lane later waits behind it, whenever it is
//! filed. Everything else is filed first.

use std::sync::Arc;

use jiff::Timestamp;

use super::batch::Batch;
use super::entry::Addressed;
use super::lane::{self, Lane};
use super::row;
use crate::delivery::{Delivery, State};
use crate::event::Subject;
use crate::store::{Claimed, StoreError};

/// A delivery that nothing holds up.
pub(super) struct Free {
    pub(super) due: i64,
    pub(super) seq: i64,
    event: Arc<Addressed>,
}

/// What of this handler's is due until that time and can be claimed without being filed, the longest due first. None if that
/// can't be said before all is filed.
pub(super) fn free(
    db: &Batch,
    handler: &str,
    until: i64,
    limit: usize,
) -> Result<Option<Vec<Free>>, StoreError> {
    if db.subjects_paused()? {
        return Ok(None);
    }
    let mut free = Vec::new();
    for one in db.waiting(handler, until, limit) {
        let subject = &one.event.0.subject;
        let lane = Lane { handler, kind: subject.kind.as_str(), id: &subject.id };
        if !one.alone || lane::is_held(db, lane)? {
            return Ok(None);
        }
        free.push(Free { due: one.due, seq: one.seq, event: one.event });
    }
    Ok(Some(free))
}

impl Free {
    pub(super) fn subject(&self) -> &Subject {
        &self.event.0.subject
    }

    /// As it is claimed at that time, for the first time.
    pub(super) fn claimed(&self, handler: &str, now: Timestamp, last: Option<String>) -> Claimed {
        let event = self.event.0.clone();
        let delivery = Delivery {
            id: row::delivery_id(event.id, self.seq),
            event: event.id,
            handler: handler.to_owned(),
            subject: event.subject.clone(),
            attempts: 0,
            tries: 0,
            accepted_at: event.received_at,
            since: event.received_at,
            state: State::InFlight { since: now },
        };
        Claimed { delivery, claim: 1, event, last }
    }
}
