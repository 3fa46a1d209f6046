//! The account of a walk: what it was to do, how far it is, what it has found, how long the rest may take. Pure; kept in the
//! store as a note, so that it goes on after a restart.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::place::Place;

/// A walk through all accounts for one handler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Walk {
    /// For whom.
    pub handler: String,
    /// Whether it only looks.
    pub dry_run: bool,
    /// At most so many accounts per second.
    pub rate: f64,
    /// Whether it goes on.
    pub state: WalkState,
    /// Why it has broken off.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, however it did.
    pub ended_at: Option<Timestamp>,
    /// How many accounts PortaBilling has, as far as it says so.
    pub total: Option<u64>,
    /// What it has found.
    pub counts: Counts,
    /// Some of those that differ, the first ones.
    pub examples: Vec<Example>,
    pub(super) place: Place,
}

/// How a walk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalkState {
    /// It goes on, after a restart as well.
    Running,
    /// It has seen all.
    Done,
    /// Somebody has stopped it; it can be resumed.
    Stopped,
    /// PortaBilling doesn't give its list; it can be resumed.
    Failed,
}

/// How many accounts a walk has seen, by what it has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// What was delivered last is what is true.
    pub same: u64,
    /// It isn't. All of them, but in a dry run, are enqueued.
    pub differing: u64,
    /// For these an event has been made.
    pub enqueued: u64,
    /// It isn't, and a delivery that waits will see to it.
    pub on_its_way: u64,
    /// Nothing was ever delivered, and they are to be left alone.
    pub left: u64,
    /// They went while the walk came, or are closed.
    pub gone: u64,
    /// PortaBilling didn't say what is true of them.
    pub failed: u64,
}

/// An account that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Its number.
    pub i_account: i64,
    /// Whether nothing was ever delivered.
    pub never_delivered: bool,
    /// What differs, as paths without values.
    pub members: Vec<String>,
}

/// What was found of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Finding {
    Same,
    Differing,
    Enqueued,
    OnItsWay,
    Left,
    Gone,
    Failed,
}

impl Finding {
    /// The word for it, in the metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differing => "differing",
            Self::Enqueued => "enqueued",
            Self::OnItsWay => "on_its_way",
            Self::Left => "left",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

impl Counts {
    /// All of them.
    pub const fn seen(&self) -> u64 {
        self.same + self.differing + self.on_its_way + self.left + self.gone + self.failed
    }

    pub(super) fn add(&mut self, finding: Finding) {
        match finding {
            Finding::Same => self.same += 1,
            Finding::Differing => self.differing += 1,
            Finding::Enqueued => {
                self.differing += 1;
                self.enqueued += 1;
            }
            Finding::OnItsWay => self.on_its_way += 1,
            Finding::Left => self.left += 1,
            Finding::Gone => self.gone += 1,
            Finding::Failed => self.failed += 1,
        }
    }
}

/// How fast a walk is, and how long the rest takes if it stays as fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Accounts per second.
    pub per_second: f64,
    /// The rest; none where nobody knows how much there is.
    pub left: Option<Duration>,
}

/// After `here` accounts in `took`, with `seen` of `total` behind it.
pub(super) fn estimate(here: u64, took: Duration, seen: u64, total: Option<u64>) -> Option<Estimate> {
    let per_second = here as f64 / took.as_secs_f64();
    if here == 0 || !per_second.is_finite() {
        return None;
    }
    let left = total.map(|total| total.saturating_sub(seen) as f64 / per_second);
    Some(Estimate { per_second, left: left.and_then(|left| Duration::try_from_secs_f64(left).ok()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_is_seen_once_whatever_was_found() {
        use Finding::*;
        let mut counts = Counts::default();
        for finding in [Same, Differing, Enqueued, OnItsWay, Left, Gone, Failed, Enqueued] {
            counts.add(finding);
        }
        assert_eq!((counts.seen(), counts.differing, counts.enqueued), (8, 3, 2));
    }

    #[test]
    fn the_rest_takes_as_long_as_what_was_since_it_went_on() {
        let seconds = Duration::from_secs;
        let estimated = estimate(50, seconds(5), 150, Some(1150)).expect("an estimate");
        assert_eq!((estimated.per_second, estimated.left), (10.0, Some(seconds(100))));
        assert_eq!(estimate(50, seconds(5), 150, None).expect("a rate").left, None);
        assert_eq!(estimate(50, seconds(5), 150, Some(100)).expect("seen twice").left, Some(seconds(0)));
        assert_eq!(estimate(0, seconds(5), 150, Some(1150)), None);
        assert_eq!(estimate(1, seconds(0), 1, Some(2)), None);
    }
}
