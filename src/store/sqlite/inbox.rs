//! What has happened and is not yet filed in the tables: events that were accepted and attempts that were recorded, in the
//! journal and in memory.
//!
//! A commit costs what the pages cost that it touches, and an event with its indexes and deliveries touches ten or more. So
//! an acceptance and a recorded attempt wait for the journal only ([`super::acceptor`]); what is in there is filed before
//! anybody asks for it, or when there is enough of it, many at a time ([`super::filing`]). What was accepted and isn't filed
//! can be claimed as it is ([`super::express`]): if it is delivered before it is filed, as most is, the tables get it once,
//! as delivered. Nobody outside this store knows of the inbox. It is as durable as the rest: after a crash it is read again.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::Connection;

use super::entry::{Addressed, Entry};
use super::row;
use crate::delivery::{DeliveryId, State};
use crate::event::{Event, EventId, Subject};
use crate::store::{Record, StoreError};

/// Shared by the thread that accepts and the one that files.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Unfiled>);

#[derive(Debug, Default)]
struct Unfiled {
    /// In the order of their numbers, all of them durable.
    entries: VecDeque<Numbered>,
    /// The events among those and the ones that are being written to the journal, by ESPF's number and by ours.
    by_number: HashMap<i64, Vec<Arc<Addressed>>>,
    ids: HashSet<EventId>,
    /// Deliveries that nobody has claimed, by handler: since when they are due, and their number.
    waiting: HashMap<String, BTreeSet<(i64, i64)>>,
    /// How many deliveries each lane has in here; lanes that share a hash pass for one, which only makes them wait for being
    /// filed.
    lanes: HashMap<u64, u32>,
    hasher: RandomState,
    /// Deliveries that were claimed, and since when.
    taken: HashMap<i64, Timestamp>,
    /// How those were delivered that are to be filed as delivered.
    delivered: HashMap<i64, Arc<Record>>,
    /// Attempts that aren't filed with their events, and whose end matters to others: their deliveries are filed already, or
    /// wait again.
    late: BTreeSet<i64>,
    /// How many statuses wait with attempts.
    statuses: usize,
    /// Up to which number somebody has begun to file, perhaps in vain.
    begun: i64,
    /// All up to this number are filed.
    filed: i64,
    /// All up to this number would be found in the tables after a crash.
    durable: i64,
    /// The highest of what is filed: only what isn't higher can have been there before.
    highest: Highest,
    /// What is added was left behind by a gateway that died.
    opening: bool,
    /// What this program has claimed and not recorded, whether it is filed or not.
    flying: HashMap<DeliveryId, Flying>,
}

#[derive(Debug, Clone)]
struct Numbered {
    number: i64,
    entry: Entry,
}

/// A claim as it was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flying {
    pub(super) claim: u32,
    /// How many attempts there were before.
    pub(super) attempts: u32,
}

/// The highest of ESPF's numbers, and of our ids, which go by the time.
#[derive(Debug, Clone, Copy, Default)]
struct Highest {
    i_event: Option<i64>,
    id: Option<EventId>,
}

/// Where an event may have been seen before.
pub(super) enum Seen {
    /// In the inbox.
    Here(EventId),
    /// Perhaps among what is filed.
    Perhaps,
    /// Nowhere.
    Never,
}

/// An entry that is to be filed.
pub(super) enum ToFile {
    /// An event, and how far its deliveries are.
    Event(i64, Arc<Addressed>, Vec<Progress>),
    /// An attempt of a delivery that is filed already.
    Attempt(Arc<Record>),
}

/// How far a delivery got before it was filed.
pub(super) enum Progress {
    None,
    Taken(Timestamp),
    Delivered(Arc<Record>),
}

/// A delivery that could be claimed as it is.
pub(super) struct Waiting {
    pub(super) due: i64,
    pub(super) seq: i64,
    pub(super) event: Arc<Addressed>,
    /// Whether it is the only one of its lane in here.
    pub(super) alone: bool,
}

impl Inbox {
    /// As the tables say; what is in the journal is still to be added.
    pub(super) fn load(db: &Connection, filed: i64) -> Result<Self, StoreError> {
        let i_event =
            db.query_row("SELECT max(i_event) FROM event WHERE i_event IS NOT NULL", [], |row| row.get(0))?;
        let id: Option<[u8; 16]> = db.query_row("SELECT max(id) FROM event", [], |row| row.get(0))?;
        let highest = Highest { i_event, id: id.map(|id| EventId(uuid::Uuid::from_bytes(id))) };
        let unfiled =
            Unfiled { filed, begun: filed, durable: filed, highest, opening: true, ..Unfiled::default() };
        Ok(Self(Mutex::new(unfiled)))
    }

    /// Takes the tables' word, after a load has filled them.
    pub(super) fn believe(&self, tables: Self) {
        *self.lock() = tables.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.is_open();
    }

    fn lock(&self) -> MutexGuard<'_, Unfiled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is added from now on happens in this program's life.
    pub(super) fn is_open(&self) {
        self.lock().opening = false;
    }

    /// How many entries wait to be filed.
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Attempts that wait and whose end matters to other deliveries, with their numbers.
    pub(super) fn late(&self) -> Vec<(i64, Arc<Record>)> {
        let unfiled = self.lock();
        let attempt = |number: &i64| match &unfiled.entry(*number)?.entry {
            Entry::Recorded(record) => Some((*number, Arc::clone(record))),
            _ => None,
        };
        unfiled.late.iter().filter_map(attempt).collect()
    }

    /// Those are in the tables, though what came before them isn't.
    pub(super) fn caught_up(&self, numbers: &HashSet<i64>) {
        let mut unfiled = self.lock();
        for number in numbers {
            unfiled.late.remove(number);
        }
    }

    /// Whether statuses wait to be filed.
    pub(super) fn has_statuses(&self) -> bool {
        self.lock().statuses > 0
    }

    /// Up to which number all are filed.
    pub(super) fn filed(&self) -> i64 {
        self.lock().filed
    }

    /// Up to which number nothing is needed from the journal any more.
    pub(super) fn durable(&self) -> i64 {
        self.lock().durable
    }

    pub(super) fn seen(&self, event: &Event) -> Seen {
        let unfiled = self.lock();
        if unfiled.ids.contains(&event.id) {
            return Seen::Here(event.id);
        }
        let same = event.i_event.and_then(|number| unfiled.by_number.get(&number));
        if let Some(same) = same.and_then(|same| same.iter().find(|one| is_same(&one.0, event))) {
            return Seen::Here(same.0.id);
        }
        let new_number =
            event.i_event.is_none_or(|number| unfiled.highest.i_event.is_none_or(|highest| number > highest));
        let new_id = unfiled.highest.id.is_none_or(|highest| event.id > highest);
        if new_number && new_id { Seen::Never } else { Seen::Perhaps }
    }

    /// From now on it is found by [`Self::seen`].
    pub(super) fn announce(&self, event: &Arc<Addressed>) {
        let mut unfiled = self.lock();
        unfiled.ids.insert(event.0.id);
        if let Some(number) = event.0.i_event {
            unfiled.by_number.entry(number).or_default().push(Arc::clone(event));
        }
    }

    /// It isn't durable after all.
    pub(super) fn withdraw(&self, event: &Addressed) {
        let mut unfiled = self.lock();
        let added = unfiled
            .entries
            .iter()
            .rposition(|one| matches!(&one.entry, Entry::Accepted(accepted) if accepted.0.id == event.0.id));
        match added.and_then(|at| unfiled.entries.remove(at)) {
            Some(one) => unfiled.drop_event(one.number, event),
            None => unfiled.forget(event),
        }
    }

    /// They are durable, and may be filed.
    pub(super) fn add(&self, entries: impl IntoIterator<Item = (i64, Entry)>) {
        let mut unfiled = self.lock();
        for (number, entry) in entries {
            unfiled.add(number, entry);
        }
    }

    /// What comes after number `from`, up to number `to` and at most `limit` entries, and the number of the last; from now on
    /// what happens to these events is filed by itself.
    pub(super) fn to_file(&self, from: i64, to: i64, limit: usize) -> Option<(i64, Vec<ToFile>)> {
        let mut unfiled = self.lock();
        let (first, end) = (unfiled.after(from), unfiled.after(to));
        let found = unfiled.entries.range(first.min(end)..end).take(limit);
        let (mut last, mut entries) = (None, Vec::new());
        for Numbered { number, entry } in found {
            last = Some(*number);
            entries.extend(match entry {
                Entry::Accepted(event) => {
                    Some(ToFile::Event(*number, Arc::clone(event), unfiled.progress(*number, event)))
                }
                Entry::Recorded(record) if unfiled.late.contains(number) => {
                    Some(ToFile::Attempt(Arc::clone(record)))
                }
                Entry::Recorded(_) => None,
            });
        }
        unfiled.begun = unfiled.begun.max(last?);
        Some((last?, entries))
    }

    /// What is filed up to `number` is committed, and synced unless it was done lazily.
    pub(super) fn forget_to(&self, number: i64, synced: bool) {
        let mut unfiled = self.lock();
        if synced {
            unfiled.durable = unfiled.durable.max(number);
        }
        while unfiled.entries.front().is_some_and(|one| one.number <= number)
            && let Some(one) = unfiled.entries.pop_front()
        {
            unfiled.filed(&one);
        }
        unfiled.filed = unfiled.filed.max(number);
    }

    /// What nobody has claimed for this handler, the longest due first: not due after `now`, in events after the one with
    /// this number, and not among those that `skip` names.
    pub(super) fn waiting(
        &self,
        handler: &str,
        now: i64,
        after: i64,
        limit: usize,
        skip: &HashMap<i64, Timestamp>,
    ) -> Vec<Waiting> {
        let unfiled = self.lock();
        let Some(waiting) = unfiled.waiting.get(handler) else { return Vec::new() };
        let due = waiting.iter().take_while(|(due, _)| *due <= now);
        let free = due.filter(|(_, seq)| seq / row::DELIVERIES > after && !skip.contains_key(seq));
        free.filter_map(|(due, seq)| unfiled.candidate(*due, *seq, handler)).take(limit).collect()
    }

    /// These were claimed, the first of them for the first time, before they were filed.
    pub(super) fn fly(&self, taken: HashMap<i64, Timestamp>, claimed: Vec<(DeliveryId, Flying)>) {
        let mut unfiled = self.lock();
        for (seq, at) in taken {
            unfiled.take(seq, at);
        }
        unfiled.flying.extend(claimed);
    }

    /// If that is an attempt of a claim of this program, and needs nothing but to be written down: ends the claim.
    pub(super) fn depart(&self, record: &Record) -> Option<Flying> {
        let mut unfiled = self.lock();
        let flying = *unfiled.flying.get(&record.delivery)?;
        let fits = flying.claim == record.claim && flying.attempts + 1 == record.attempt.number;
        // whoever waits for a callback looks for it in the tables
        let plain = !matches!(record.state, State::InFlight { .. } | State::Awaiting { .. });
        if !(fits && plain) {
            return None;
        }
        unfiled.flying.remove(&record.delivery)
    }

    /// It couldn't be written down.
    pub(super) fn fly_on(&self, delivery: DeliveryId, flying: Flying) {
        self.lock().flying.insert(delivery, flying);
    }

    /// Its claim has ended otherwise, or is to be looked at in the tables.
    pub(super) fn land(&self, delivery: DeliveryId) {
        self.lock().flying.remove(&delivery);
    }
}

impl Unfiled {
    fn add(&mut self, number: i64, entry: Entry) {
        match &entry {
            Entry::Accepted(event) => self.add_event(number, event),
            Entry::Recorded(record) => self.add_attempt(number, record),
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
            self.delivered.insert(seq, Arc::clone(record));
        } else {
            self.late.insert(number);
        }
    }

    fn lane(&self, handler: &str, subject: &Subject) -> u64 {
        self.hasher.hash_one((handler, subject.kind.as_str(), &subject.id))
    }

    /// Where the entries after this number begin.
    fn after(&self, number: i64) -> usize {
        self.entries.partition_point(|one| one.number <= number)
    }

    fn entry(&self, number: i64) -> Option<&Numbered> {
        self.entries.get(self.after(number - 1)).filter(|found| found.number == number)
    }

    fn event(&self, number: i64) -> Option<&Arc<Addressed>> {
        match &self.entry(number)?.entry {
            Entry::Accepted(event) => Some(event),
            _ => None,
        }
    }

    fn candidate(&self, due: i64, seq: i64, handler: &str) -> Option<Waiting> {
        let event = self.event(seq / row::DELIVERIES)?;
        let alone = self.lanes.get(&self.lane(handler, &event.0.subject)) == Some(&1);
        Some(Waiting { due, seq, event: Arc::clone(event), alone })
    }

    fn progress(&self, number: i64, event: &Addressed) -> Vec<Progress> {
        let progress = |seq: i64| match (self.delivered.get(&seq), self.taken.get(&seq)) {
            (Some(record), _) => Progress::Delivered(Arc::clone(record)),
            (None, Some(at)) => Progress::Taken(*at),
            (None, None) => Progress::None,
        };
        (number * row::DELIVERIES..).take(event.1.len()).map(progress).collect()
    }

    fn take(&mut self, seq: i64, at: Timestamp) {
        let Some(event) = self.event(seq / row::DELIVERIES).cloned() else { return };
        let place = usize::try_from(seq % row::DELIVERIES).ok().and_then(|place| event.1.get(place));
        if let Some(waiting) = place.and_then(|to| self.waiting.get_mut(&to.handler)) {
            waiting.remove(&(row::micros(event.0.received_at), seq));
            self.taken.insert(seq, at);
        }
    }

    /// It is in the tables.
    fn filed(&mut self, Numbered { number, entry }: &Numbered) {
        match entry {
            Entry::Accepted(event) => {
                self.drop_event(*number, event);
                self.highest.i_event = self.highest.i_event.max(event.0.i_event);
                self.highest.id = self.highest.id.max(Some(event.0.id));
            }
            Entry::Recorded(record) => {
                self.late.remove(number);
                self.statuses -= usize::from(record.status.is_some());
            }
        }
    }

    fn drop_event(&mut self, number: i64, event: &Addressed) {
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

    fn forget(&mut self, (event, _): &Addressed) {
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

fn is_same(one: &Event, other: &Event) -> bool {
    one.subject == other.subject
        && one.event_type == other.event_type
        && one.source == other.source
        && one.i_env.unwrap_or(-1) == other.i_env.unwrap_or(-1)
}
