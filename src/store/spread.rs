//! When each of many is due that an operator wants done at a rate.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The n-th, the first being due at `due` and each further one `gap` later.
pub(super) fn spread(due: Timestamp, gap: Duration, n: usize) -> Timestamp {
    let after = gap.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
    SignedDuration::try_from(after)
        .ok()
        .and_then(|after| due.checked_add(after).ok())
        .unwrap_or(Timestamp::MAX)
}
