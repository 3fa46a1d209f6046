//! What is in the inbox, and by what it is found.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Flying, Progress, Waiting};
use crate::delivery::{DeliveryId, State};
use crate::event::{Event, EventId, Subject};
use crate::store::Record;
use crate::store::sqlite::entry::{Addressed, Entry};
use crate::store::sqlite::row;

#[derive(Debug, Default)]
pub(super) struct Unfiled {
    /// In the order of their numbers, all of them durable.
    pub(super) entries: VecDeque<Numbered>,
    /// The events among those and the ones that are being written to the journal, by ESPF's number and by ours.
    pub(super) by_number: HashMap<i64, Vec<Arc<Addressed>>>,
    pub(super) ids: HashSet<EventId>,
    /// Deliveries that nobody has claimed, by handler: since when they are due, and their number.
    pub(super) waiting: HashMap<String, BTreeSet<(i64, i64)>>,
    /// How many deliveries each lane has in here; lanes that share a hash pass for one, which only makes them wait for being
    /// filed.
    lanes: HashMap<u64, u32>,
    hasher: RandomState,
    /// Deliveries that were claimed, and since when.
    pub(super) taken: HashMap<i64, Timestamp>,
    /// How those were delivered that are to be filed as delivered, and under which number that was recorded.
    pub(super) delivered: HashMap<i64, (i64, Arc<Record>)>,
    /// Attempts that aren't filed with their events, and whose end matters to others: their deliveries are filed already, or
    /// wait again.
    pub(super) late: BTreeSet<i64>,
    /// How many statuses wait with attempts.
    pub(super) statuses: usize,
    /// Up to which number somebody has begun to file, perhaps in vain.
    pub(super) begun: i64,
    /// All up to this number are filed.
    pub(super) filed: i64,
    /// All up to this number would be found in the tables after a crash.
    pub(super) durable: i64,
    /// The highest of what is filed: only what isn't higher can have been there before.
    pub(super) highest: Highest,
    /// What is added was left behind by a gateway that died.
    pub(super) opening: bool,
    /// What this program has claimed and not recorded, whether it is filed or not.
    pub(super) flying: HashMap<DeliveryId, Flying>,
}

#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) number: i64,
    pub(super) entry: Entry,
}

/// The highest of ESPF's numbers, and of our ids, which go by the time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Highest {
    pub(super) i_event: Option<i64>,
    pub(super) id: Option<EventId>,
}

impl Unfiled {
    /// All up to the number `filed` is in the tables; what comes now was left behind.
    pub(super) fn after(filed: i64, highest: Highest) -> Self {
        Self { filed, begun: filed, durable: filed, highest, opening: true, ..Self::default() }
    }

    pub(super) fn add(&mut self, number: i64, entry: Entry) {
        match &entry {
            Entry::Accepted(event) => self.add_event(number, event),
            Entry::Recorded { record, .. } => self.add_attempt(number, record),
        }
        self.entries.push_back(Numbered { number, entry });
    }

    fn add_event(&mut self, number: i64, event: &Addressed) {
        let due = row::micros(event.0.received_at);
        for (seq, to) in (number * row::DELIVERIES..).zip(&event.1) {
            *self.lanes.entry(self.lane(&to.handler, &event.0.subject)).or_default() += 1;
            match self.waiting.get_mut(&to.handler) {
                Some(waiting) => {
                    waiting.insert((due, seq));
                }
                None => {
                    self.waiting.insert(to.handler.clone(), BTreeSet::from([(due, seq)]));
                }
            }
        }
    }

    fn add_attempt(&mut self, number: i64, record: &Arc<Record>) {
        self.statuses += usize::from(record.status.is_some());
        let seq = row::delivery_seq(record.delivery);
        // whether it was alone in its lane then, nobody knows any more
        let at_once = !self.opening
            && matches!(record.state, State::Delivered { .. })
            && (record.claim, record.attempt.number) == (1, 1);
        if at_once && seq / row::DELIVERIES > self.begun {
            self.delivered.insert(seq, (number, Arc::clone(record)));
        } else {
            self.late.insert(number);
        }
    }

    fn lane(&self, handler: &str, subject: &Subject) -> u64 {
        self.hasher.hash_one((handler, subject.kind.as_str(), &subject.id))
    }

    /// How many deliveries of this lane there are, or seem to be.
    pub(super) fn count_in(&self, handler: &str, subject: &Subject) -> u32 {
        self.lanes.get(&self.lane(handler, subject)).copied().unwrap_or(0)
    }

    /// Where the entries after this number begin.
    pub(super) fn first_after(&self, number: i64) -> usize {
        self.entries.partition_point(|one| one.number <= number)
    }

    pub(super) fn entry(&self, number: i64) -> Option<&Numbered> {
        self.entries.get(self.first_after(number - 1)).filter(|found| found.number == number)
    }

    fn event(&self, number: i64) -> Option<&Arc<Addressed>> {
        match &self.entry(number)?.entry {
            Entry::Accepted(event) => Some(event),
            _ => None,
        }
    }

    pub(super) fn candidate(&self, due: i64, seq: i64, handler: &str) -> Option<Waiting> {
        let event = self.event(seq / row::DELIVERIES)?;
        let alone = self.count_in(handler, &event.0.subject) == 1;
        Some(Waiting { due, seq, event: Arc::clone(event), alone })
    }

    pub(super) fn progress(&self, number: i64, event: &Addressed) -> Vec<Progress> {
        let progress = |seq: i64| match (self.delivered.get(&seq), self.taken.get(&seq)) {
            (Some((number, record)), _) => Progress::Delivered(*number, Arc::clone(record)),
            (None, Some(at)) => Progress::Taken(*at),
            (None, None) => Progress::None,
        };
        (number * row::DELIVERIES..).take(event.1.len()).map(progress).collect()
    }

    pub(super) fn take(&mut self, seq: i64, at: Timestamp) {
        let Some(event) = self.event(seq / row::DELIVERIES).cloned() else { return };
        let place = usize::try_from(seq % row::DELIVERIES).ok().and_then(|place| event.1.get(place));
        if let Some(waiting) = place.and_then(|to| self.waiting.get_mut(&to.handler)) {
            waiting.remove(&(row::micros(event.0.received_at), seq));
            self.taken.insert(seq, at);
        }
    }

    /// It is in the tables.
    pub(super) fn filed(&mut self, Numbered { number, entry }: &Numbered) {
        match entry {
            Entry::Accepted(event) => {
                self.drop_event(*number, event);
                self.highest.i_event = self.highest.i_event.max(event.0.i_event);
                self.highest.id = self.highest.id.max(Some(event.0.id));
            }
            Entry::Recorded { record, .. } => {
                self.late.remove(number);
                self.statuses -= usize::from(record.status.is_some());
            }
        }
    }

    pub(super) fn drop_event(&mut self, number: i64, event: &Addressed) {
        self.forget(event);
        let due = row::micros(event.0.received_at);
        for (seq, to) in (number * row::DELIVERIES..).zip(&event.1) {
            let lane = self.lane(&to.handler, &event.0.subject);
            if let Some(count) = self.lanes.get_mut(&lane) {
                *count -= 1;
                if *count == 0 {
                    self.lanes.remove(&lane);
                }
            }
            self.delivered.remove(&seq);
            if self.taken.remove(&seq).is_none()
                && let Some(waiting) = self.waiting.get_mut(&to.handler)
            {
                waiting.remove(&(due, seq));
            }
        }
    }

    pub(super) fn forget(&mut self, (event, _): &Addressed) {
        self.ids.remove(&event.id);
        if let Some(number) = event.i_event
            && let Some(same) = self.by_number.get_mut(&number)
        {
            same.retain(|one| one.0.id != event.id);
            if same.is_empty() {
                self.by_number.remove(&number);
            }
        }
    }
}

pub(super) fn is_same(one: &Event, other: &Event) -> bool {
    one.subject == other.subject
        && one.event_type == other.event_type
        && one.source == other.source
        && one.i_env.unwrap_or(-1) == other.i_env.unwrap_or(-1)
}
