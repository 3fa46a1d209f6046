//! The account of a walk: what it was to do, how far it is, what it has found, how long the rest may take. Pure; kept in the
//! store as a note, so that it goes on after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::place::Way;
use crate::event::Subject;
use crate::handler::Walked;

/// A walk through all accounts, or customers, for one handler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Walk {
    /// For whom.
    pub handler: String,
    /// Whether it only looks.
    pub dry_run: bool,
    /// At most so many accounts and customers per second.
    pub rate: f64,
    /// Whether it goes on.
    pub state: WalkState,
    /// Whether it goes on only when somebody says so: too many seem to be gone. A dry run that follows leaves it at that.
    #[serde(default)]
    pub asks: bool,
    /// Why it has broken off.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, however it did.
    pub ended_at: Option<Timestamp>,
    /// When the last walk before it began that made events and saw all.
    #[serde(default)]
    pub whole_before: Option<Timestamp>,
    /// Of a dry run: when somebody stopped the last walk before it that made events, if that was how it ended.
    #[serde(default)]
    pub stopped_before: Option<Timestamp>,
    /// Which gateway walks; none: none does just now.
    pub by: Option<By>,
    /// How many PortaBilling lists, as far as it says so.
    pub listed: BTreeMap<Walked, u64>,
    /// What it has found.
    pub counts: Counts,
    /// Some of those that differ, the first ones.
    pub examples: Vec<Example>,
    pub(super) way: Way,
}

/// The gateway that walks. It writes the note anew all the time; when that doesn't change any more, it is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// What it is called.
    pub gateway: String,
    /// Since when.
    pub since: Timestamp,
    /// Of this walk in this process: so it knows its own notes.
    pub(super) id: String,
    /// How often it has written.
    pub(super) beat: u64,
}

impl Walk {
    /// How many there are to be seen, as far as PortaBilling says so: those that it lists, and those that it no longer does.
    pub fn total(&self) -> Option<u64> {
        let listed: u64 = self.listed.values().sum();
        (!self.listed.is_empty()).then(|| (listed + self.counts.gone).max(self.counts.seen()))
    }

    /// When the last walk began, this or one before it, that made events and saw all.
    pub(super) fn whole(&self) -> Option<Timestamp> {
        let itself = (!self.dry_run && self.state == WalkState::Done).then_some(self.started_at);
        itself.or(self.whole_before)
    }

    /// When somebody stopped the last walk, this or one before it, that made events, if that was how it ended.
    pub(super) fn stopped(&self) -> Option<Timestamp> {
        let stopped = !self.dry_run && self.state == WalkState::Stopped;
        stopped.then(|| self.ended_at.unwrap_or(self.started_at)).or(self.stopped_before)
    }

    /// The same, going on; what it has told of is no reason any more to break off.
    pub(super) fn resumed(mut self) -> Self {
        self.way.ended = 0;
        let asks = self.asks && self.dry_run;
        Self { state: WalkState::Running, asks, ended_at: None, reason: None, ..self }
    }
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
    /// PortaBilling doesn't give its list, or too many seem to be gone; it can be resumed.
    Failed,
}

/// How many accounts and customers a walk has seen, by what it has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// What was delivered last is what is true.
    pub same: u64,
    /// It isn't. All of them, but in a dry run, are enqueued.
    pub differing: u64,
    /// For so many an event has been made, of a change or of an end.
    pub enqueued: u64,
    /// It isn't, and a delivery that waits will see to it.
    pub on_its_way: u64,
    /// Nothing was ever delivered, and they are to be left alone.
    pub left: u64,
    /// PortaBilling doesn't have them any more, or they are closed.
    pub gone: u64,
    /// Of these, the handler hadn't been told. All of them, but in a dry run, are enqueued.
    pub untold: u64,
    /// Of these, the handler hasn't been told and listens for no event that would.
    pub unheard: u64,
    /// PortaBilling didn't say what is true of them.
    pub failed: u64,
}

/// One that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What it is ([`crate::event::SubjectKind::as_str`]).
    pub kind: String,
    /// Its number.
    pub id: String,
    /// How.
    pub difference: Difference,
}

impl Example {
    pub(super) fn of(subject: &Subject, difference: Difference) -> Self {
        Self { kind: subject.kind.as_str().to_owned(), id: subject.id.clone(), difference }
    }
}

/// How what PortaBilling says differs from what was delivered last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// Nothing was.
    NeverDelivered,
    /// In these members, as paths without values; at least one.
    Members(Vec<String>),
    /// It is gone, and the handler hasn't been told.
    Gone,
    /// It is gone, and the handler listens for no event that would tell.
    Unheard,
}

/// What was found of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Finding {
    Same,
    Differing,
    Enqueued,
    OnItsWay,
    Left,
    Gone,
    Untold,
    Ended,
    Unheard,
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
            Self::Untold => "untold",
            Self::Ended => "ended",
            Self::Unheard => "unheard",
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
            Finding::Untold | Finding::Ended => {
                self.gone += 1;
                self.untold += 1;
                self.enqueued += u64::from(finding == Finding::Ended);
            }
            Finding::Unheard => {
                self.gone += 1;
                self.unheard += 1;
            }
            Finding::Failed => self.failed += 1,
        }
    }
}

/// How fast a walk is, and how long the rest takes if it stays as fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Accounts, customers and pages of their lists per second.
    pub per_second: f64,
    /// The rest; none where nobody knows how much there is.
    pub left: Option<Duration>,
}

/// After `here` in `took`, with so many `left`.
pub(super) fn estimate(here: u64, took: Duration, left: Option<u64>) -> Option<Estimate> {
    let per_second = here as f64 / took.as_secs_f64();
    if here == 0 || !per_second.is_finite() {
        return None;
    }
    let left = left.map(|left| left as f64 / per_second);
    Some(Estimate { per_second, left: left.and_then(|left| Duration::try_from_secs_f64(left).ok()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_seen_once_whatever_was_found() {
        use Finding::*;
        let mut counts = Counts::default();
        let all = [Same, Differing, Enqueued, OnItsWay, Left, Gone, Untold, Ended, Unheard, Failed, Enqueued];
        all.into_iter().for_each(|finding| counts.add(finding));
        assert_eq!((counts.seen(), counts.differing, counts.enqueued), (11, 3, 3));
        assert_eq!((counts.gone, counts.untold, counts.unheard), (4, 2, 1));
    }

    #[test]
    fn the_rest_takes_as_long_as_what_was_since_it_went_on() {
        let seconds = Duration::from_secs;
        let estimated = estimate(50, seconds(5), Some(1000)).expect("an estimate");
        assert_eq!((estimated.per_second, estimated.left), (10.0, Some(seconds(100))));
        assert_eq!(estimate(50, seconds(5), None).expect("a rate").left, None);
        assert_eq!(estimate(0, seconds(5), Some(1000)), None);
        assert_eq!(estimate(1, seconds(0), Some(1)), None);
    }
}
