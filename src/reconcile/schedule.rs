//! When the schedule has a walk begin, or go on. Pure.
//!
//! Only walks that made events and have seen all count: somebody who looks with a dry run every day, or a walk that broke off
//! in its first second, must not put the next one off. What somebody has stopped isn't begun anew a moment later, and what
//! somebody is to look at first isn't begun at all, until somebody says so.

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

/// After the last walk, if there was one: every so often, from the stop where somebody has stopped it, and `again` after one has
/// broken off; never after one that asks.
pub(super) fn next(
    walk: Option<&Walk>,
    every: SignedDuration,
    again: SignedDuration,
    now: Timestamp,
) -> Next {
    let after = |time: Timestamp, pause: SignedDuration| time.checked_add(pause).unwrap_or(Timestamp::MAX);
    let begins = |at| Next { at, resumes: false };
    let whole = walk.and_then(Walk::whole).map_or(now, |whole| after(whole, every));
    let stopped = walk.and_then(Walk::stopped).map(|stopped| after(stopped, every));
    match walk {
        // a new one would tell of as many ends again
        Some(Walk { asks: true, .. }) => begins(Timestamp::MAX),
        Some(Walk { dry_run: false, state: WalkState::Failed, ended_at, .. }) => {
            Next { at: after(ended_at.unwrap_or(now), again), resumes: true }
        }
        _ => begins(stopped.unwrap_or(whole)),
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
            stopped_before: None,
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
    }

    #[test]
    fn one_that_somebody_has_stopped_is_not_followed_by_another_before_its_time_however_long_it_took() {
        let stopped = Walk { whole_before: Some(day(90)), ..walk(98, WalkState::Stopped) };
        let at = |every| next(Some(&stopped), every, HOUR, day(99));
        assert_eq!(at(WEEK), Next { at: day(106), resumes: false });
        assert_eq!(at(HOUR), Next { at: day(99) + HOUR, resumes: false }, "it took a day until the stop");
        let looked = Walk {
            dry_run: true,
            stopped_before: stopped.stopped(),
            ..Walk { whole_before: Some(day(90)), ..walk(99, WalkState::Done) }
        };
        assert_eq!(next(Some(&looked), WEEK, HOUR, day(100)), Next { at: day(106), resumes: false });
    }

    #[test]
    fn one_that_broke_off_goes_on_unless_somebody_is_to_look_first() {
        let failed = Walk { whole_before: Some(day(90)), ..walk(98, WalkState::Failed) };
        let goes_on = Next { at: day(99) + HOUR, resumes: true };
        assert_eq!(next(Some(&failed), WEEK, HOUR, day(100)), goes_on);
        let asks = Walk { asks: true, ..failed };
        let never = Next { at: Timestamp::MAX, resumes: false };
        for every in [WEEK, HOUR] {
            assert_eq!(next(Some(&asks), every, HOUR, day(1000)), never);
            let looked = Walk { dry_run: true, state: WalkState::Done, ..asks.clone() };
            assert_eq!(next(Some(&looked), every, HOUR, day(1000)), never, "who looks hasn't said so yet");
        }
    }
}
