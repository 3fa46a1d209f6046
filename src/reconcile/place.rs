//! Where a walk through a list is, so that nobody is left out although the list changes meanwhile. Pure.
//!
//! PortaBilling's lists have offsets and no bookmarks: what is removed before the place where a walk is makes the rest move
//! up, past it. So each page begins a little before the end of the one before. If none of those who were there is found
//! again, more has been removed than that, and the walk goes half a page back: so nobody is left out as long as no more than
//! half a page is removed between two pages, and a list whose order changes all the time is walked through all the same. What
//! is added is at the list's end, or has an event of its own to tell of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::handler::Walked;

/// Where a walk is: first among those that something was delivered for, then in PortaBilling's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Way {
    pub(super) leg: Leg,
    /// Behind this place of what was delivered.
    pub(super) after: Option<String>,
    /// Those behind it that have been looked at already.
    pub(super) done: Vec<String>,
    /// In the list.
    pub(super) place: Place,
    /// For how many that are gone events have been made since somebody began it or had it resumed.
    pub(super) ended: u64,
}

/// A part of the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// Through those that something was delivered for: whether it is still true, and whether they are still there.
    #[default]
    Delivered,
    /// Through PortaBilling's list, for those that nothing was delivered for.
    Listed(Walked),
}

impl Leg {
    /// The one after this.
    pub(super) const fn next(self) -> Option<Self> {
        match self {
            Self::Delivered => Some(Self::Listed(Walked::Accounts)),
            Self::Listed(Walked::Accounts) => Some(Self::Listed(Walked::Customers)),
            Self::Listed(Walked::Customers) => None,
        }
    }
}

impl Way {
    /// Goes on to the next leg; answers whether there is one.
    pub(super) fn turn(&mut self) -> bool {
        let Some(next) = self.leg.next() else { return false };
        *self = Self { leg: next, ended: self.ended, ..Self::default() };
        true
    }

    /// How many pages of PortaBilling's lists are still to come, about.
    pub(super) fn pages_left(&self, listed: &BTreeMap<Walked, u64>, page: usize) -> u64 {
        let page = page.max(1) as u64;
        let left = |(walked, total): (&Walked, &u64)| match self.leg {
            Leg::Listed(here) if here == *walked => total.saturating_sub(self.place.offset).div_ceil(page),
            Leg::Listed(here) if here > *walked => 0,
            _ => total.div_ceil(page),
        };
        listed.iter().map(left).sum()
    }
}

/// The share of a page that the next one repeats.
const OVERLAP: usize = 10;

/// Where a walk is in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Where the next page begins.
    pub(super) offset: u64,
    /// The last of the page before, with whom the next one should begin.
    tail: Vec<i64>,
    /// Those of the page at this offset that have been looked at already.
    pub(super) done: Vec<i64>,
    /// How many the page before had.
    before: u64,
    /// Whether it has just gone back; it doesn't twice in a row.
    went_back: bool,
}

/// What to do with a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look at these, then [`Place::advance`].
    Look(Vec<i64>),
    /// The place has moved back; ask for the page there.
    Back,
    /// That was the list.
    End,
}

impl Place {
    /// What to do with the page that begins here.
    pub(super) fn step(&mut self, ids: &[i64]) -> Step {
        let found_again = self.tail.is_empty() || ids.iter().any(|id| self.tail.contains(id));
        // less than a page less what is repeated: it has to get on
        let back = self.before.saturating_sub(1) / 2;
        if !found_again && !self.went_back && back > 0 {
            self.offset = self.offset.saturating_sub(back);
            self.went_back = true;
            self.done.clear();
            return Step::Back;
        }
        if ids.iter().all(|id| self.tail.contains(id)) {
            return Step::End;
        }
        let seen = |id: &i64| self.tail.contains(id) || self.done.contains(id);
        Step::Look(ids.iter().copied().filter(|id| !seen(id)).collect())
    }

    /// All of the page has been looked at; answers whether there is another, as far as `total` says so.
    pub(super) fn advance(&mut self, ids: &[i64], total: Option<u64>) -> bool {
        let repeated = (ids.len() / OVERLAP).max(usize::from(ids.len() > 1));
        self.tail = ids[ids.len() - repeated..].to_vec();
        self.done.clear();
        (self.before, self.went_back) = (ids.len() as u64, false);
        let end = self.offset.saturating_add(ids.len() as u64);
        self.offset = end.saturating_sub(repeated as u64);
        // a total of 0 beside items is no total
        total.is_none_or(|total| total == 0 || end < total)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A walk through a list of which something is removed after each page: who was seen, and in how many pages.
    fn walk(
        mut list: Vec<i64>,
        limit: usize,
        totals: bool,
        mut change: impl FnMut(&mut Vec<i64>, usize, usize),
    ) -> (Vec<i64>, usize) {
        let (mut place, mut seen) = (Place::default(), Vec::new());
        for asked in 1.. {
            assert!(asked < 10_000, "it doesn't end");
            let from = list.len().min(usize::try_from(place.offset).expect("small"));
            let ids = list[from..list.len().min(from + limit)].to_vec();
            let total = totals.then_some(list.len() as u64);
            match place.step(&ids) {
                Step::End => return (seen, asked),
                Step::Back => {}
                Step::Look(fresh) => {
                    seen.extend(fresh);
                    if !place.advance(&ids, total) {
                        return (seen, asked);
                    }
                    change(&mut list, asked, ids.len());
                }
            }
        }
        unreachable!()
    }

    #[test]
    fn the_way_leads_through_everything_once() {
        let listed = BTreeMap::from([(Walked::Accounts, 250), (Walked::Customers, 30)]);
        let mut way = Way { ended: 3, after: Some("x".into()), done: vec!["y".into()], ..Way::default() };
        assert_eq!((way.leg, way.pages_left(&listed, 100)), (Leg::Delivered, 4));
        assert!(way.turn());
        assert_eq!(way, Way { leg: Leg::Listed(Walked::Accounts), ended: 3, ..Way::default() });
        way.place.offset = 190;
        assert_eq!(way.pages_left(&listed, 100), 2);
        assert!(way.turn());
        assert_eq!((way.leg, way.pages_left(&listed, 100)), (Leg::Listed(Walked::Customers), 1));
        assert!(!way.turn());
        assert_eq!(way.pages_left(&BTreeMap::new(), 0), 0);
    }

    #[test]
    fn a_list_that_stays_is_seen_once_and_to_its_end() {
        for (length, limit) in
            [(0, 5), (1, 5), (5, 5), (6, 5), (7, 1), (9, 2), (100, 10), (101, 25), (1000, 100)]
        {
            for totals in [false, true] {
                let list: Vec<i64> = (0..length).collect();
                let (seen, asked) = walk(list.clone(), limit, totals, |_, _, _| {});
                assert_eq!(seen, list, "{length} by {limit}");
                let least = usize::try_from(length).expect("small").div_ceil(limit);
                assert!(asked <= 2 * least + 2, "{length} by {limit}: {asked} pages");
            }
        }
    }

    #[test]
    fn a_walk_that_goes_on_leaves_out_what_it_has_done() {
        let mut place = Place { done: vec![2, 3], ..Place::default() };
        assert_eq!(place.step(&[1, 2, 3, 4]), Step::Look(vec![1, 4]));
        let mut all = Place { done: vec![1, 2], ..Place::default() };
        assert_eq!(all.step(&[1, 2]), Step::Look(vec![]), "but there may be another page");
    }

    #[test]
    fn a_list_whose_order_changes_all_the_time_comes_to_its_end() {
        let mut place = Place::default();
        assert_eq!(place.step(&[1, 2]), Step::Look(vec![1, 2]));
        place.advance(&[1, 2], None);
        assert_eq!(place.step(&[1, 2]), Step::Look(vec![1]), "from the one that the page before ended with");
        for (limit, totals) in [(2, true), (3, false), (10, true), (10, false), (40, false)] {
            let mut turn = 0;
            let (seen, asked) = walk((0..100).collect(), limit, totals, |list, _, _| {
                turn += 37;
                list.sort_by_key(|id| (id * 7919 + turn * turn) % 101);
            });
            assert!(seen.len() >= 40 && asked <= 600 / limit + 20, "{asked} pages of {limit}");
        }
    }

    proptest! {
        #[test]
        fn nobody_who_stays_is_left_out_whatever_is_removed_and_added(
            length in 0..200_i64,
            limit in 1..30_usize,
            totals: bool,
            removed in prop::collection::vec((0..200_usize, 0..20_usize), 0..20),
            added in prop::collection::vec(0..4_usize, 0..20),
        ) {
            let list: Vec<i64> = (0..length).collect();
            let (mut gone, mut next) = (BTreeSet::new(), 1000);
            let (seen, _) = walk(list.clone(), limit, totals, |list, page, before| {
                if let Some((from, count)) = removed.get(page - 1) {
                    let from = (*from).min(list.len());
                    let count = (*count).min((before - 1) / 2).min(list.len() - from);
                    gone.extend(list.drain(from..from + count));
                }
                for _ in 0..added.get(page - 1).copied().unwrap_or(0) {
                    list.push(next);
                    next += 1;
                }
            });
            let seen: BTreeSet<i64> = seen.into_iter().collect();
            let left_out: Vec<_> = list.into_iter().filter(|id| !gone.contains(id) && !seen.contains(id)).collect();
            prop_assert!(left_out.is_empty(), "{left_out:?}");
        }
    }
}
