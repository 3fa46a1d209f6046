//! When the schedule has a walk begin, or go on. Pure.
//!
//! Only walks that made events and have seen all count: somebody who looks with a dry run every day, or a walk that broke off
//! in its first second, must not put the next one off.

use jiff::{SignedDuration, Timestamp};

use super::account::{Walk, WalkState};

/// What the schedule wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    /// When.
    pub(super) at: Timestamp,
    /// Whether the one that broke off goes on, or a new one begins.
    pub(super) resumes: bool,
}

/// After the last walk, if there was one: every so often, and `again` after one has broken off.
pub(super) fn next(
    walk: Option<&Walk>,
    every: SignedDuration,
    again: SignedDuration,
    now: Timestamp,
) -> Next {
    let after = |time: Timestamp, pause: SignedDuration| time.checked_add(pause).unwrap_or(Timestamp::MAX);
    let begins = |at| Next { at, resumes: false };
    let whole = walk.and_then(Walk::whole).map_or(now, |whole| after(whole, every));
    match walk {
        Some(Walk { dry_run: false, state: WalkState::Failed, asks: false, ended_at, .. }) => {
            Next { at: after(ended_at.unwrap_or(now), again), resumes: true }
        }
        // somebody has stopped it, or is to look at it: that isn't for the schedule to undo
        Some(Walk { dry_run: false, state: WalkState::Failed | WalkState::Stopped, started_at, .. }) => {
            begins(after(*started_at, every))
        }
        _ => begins(whole),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::account::Counts;
    use super::super::place::Way;
    use super::*;

    const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn day(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + days * 86_400).expect("a time")
    }

    fn walk(began: i64, state: WalkState) -> Walk {
        Walk {
            handler: "hss".into(),
            dry_run: false,
            rate: 20.0,
            state,
            asks: false,
            reason: None,
            started_at: day(began),
            ended_at: Some(day(began + 1)),
            whole_before: None,
            by: None,
            listed: BTreeMap::new(),
            counts: Counts::default(),
            examples: Vec::new(),
            way: Way::default(),
        }
    }

    #[test]
    fn only_what_has_seen_all_and_made_events_puts_the_next_off() {
        let now = day(100);
        let at = |walk: &Walk| next(Some(walk), WEEK, HOUR, now);
        let begins = |at| Next { at, resumes: false };
        assert_eq!(next(None, WEEK, HOUR, now), begins(now));
        assert_eq!(at(&walk(98, WalkState::Done)), begins(day(105)));
        let before = |state| Walk { whole_before: Some(day(90)), ..walk(98, state) };
        for state in [WalkState::Done, WalkState::Failed, WalkState::Stopped] {
            let looked = Walk { dry_run: true, ..before(state) };
            assert_eq!(at(&looked), begins(day(97)), "{state:?}");
            assert_eq!(at(&Walk { whole_before: None, ..looked }), begins(now), "{state:?}");
        }
        assert_eq!(at(&before(WalkState::Stopped)), begins(day(105)));
    }

    #[test]
    fn one_that_broke_off_goes_on_unless_somebody_is_to_look_first() {
        let failed = Walk { whole_before: Some(day(90)), ..walk(98, WalkState::Failed) };
        let goes_on = Next { at: day(99) + HOUR, resumes: true };
        assert_eq!(next(Some(&failed), WEEK, HOUR, day(100)), goes_on);
        let asks = Walk { asks: true, ..failed };
        assert_eq!(next(Some(&asks), WEEK, HOUR, day(100)), Next { at: day(105), resumes: false });
    }
}
