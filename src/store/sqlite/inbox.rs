//! What has happened and is not yet filed in the tables: events that were accepted and attempts that were recorded, in the
//! journal and in memory.
//!
//! A commit costs what the pages cost that it touches, and an event with its indexes and deliveries touches ten or more. So
//! an acceptance and a recorded attempt wait for the journal only ([`super::acceptor`]); what is in there is filed before
//! anybody asks for it, or when there is enough of it, many at a time ([`super::filing`]). What was accepted and isn't filed
//! can be claimed as it is ([`super::express`]): if it is delivered before it is filed, as most is, the tables get it once,
//! as delivered. Nobody outside this store knows of the inbox. It is as durable as the rest: after a crash it is read again.

mod unfiled;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::Connection;

use self::unfiled::{Highest, Numbered, Unfiled, is_same};
use super::entry::{Addressed, Entry};
use super::row;
use crate::delivery::{DeliveryId, State};
use crate::event::{Event, EventId, Subject};
use crate::store::{Record, StoreError};

/// Shared by the thread that accepts and the one that files.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Unfiled>);

/// A claim as it was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flying {
    pub(super) claim: u32,
    /// How many attempts there were before.
    pub(super) attempts: u32,
    /// All of its lane up to this number came before the claim, all with a higher one after it.
    pub(super) seen: i64,
}

/// An attempt that a gateway that died has recorded and not filed.
#[derive(Debug, Clone)]
pub(super) struct Left {
    pub(super) record: Arc<Record>,
    /// That of its claim.
    pub(super) seen: i64,
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
    /// An attempt of a delivery that is filed already, with its own number.
    Attempt(i64, Arc<Record>),
}

/// How far a delivery got before it was filed.
pub(super) enum Progress {
    None,
    Taken(Timestamp),
    /// By an attempt that has this number.
    Delivered(i64, Arc<Record>),
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
        Ok(Self(Mutex::new(Unfiled::after(filed, highest))))
    }

    /// Takes the tables' word, after a load has filled them.
    pub(super) fn believe(&self, tables: Self) {
        *self.lock() = tables.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.opened();
    }

    fn lock(&self) -> MutexGuard<'_, Unfiled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is added from now on happens in this program's life.
    pub(super) fn opened(&self) {
        self.lock().opening = false;
    }

    /// The number of the last entry that is in the journal for good.
    pub(super) fn last(&self) -> i64 {
        let unfiled = self.lock();
        unfiled.entries.back().map_or(unfiled.filed, |last| last.number.max(unfiled.filed))
    }

    /// How many entries wait to be filed.
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// The first `limit` attempts that wait and whose end matters to other deliveries, with their numbers.
    pub(super) fn late(&self, limit: usize) -> Vec<(i64, Arc<Record>)> {
        let unfiled = self.lock();
        let attempt = |number: &i64| match &unfiled.entry(*number)?.entry {
            Entry::Recorded { record, .. } => Some((*number, Arc::clone(record))),
            _ => None,
        };
        unfiled.late.iter().take(limit).filter_map(attempt).collect()
    }

    /// What a gateway that died has left behind, by the number of the delivery, each in order.
    pub(super) fn left(&self) -> HashMap<i64, VecDeque<Left>> {
        let mut left = HashMap::<_, VecDeque<_>>::new();
        for one in &self.lock().entries {
            if let Entry::Recorded { record, seen } = &one.entry {
                let attempt = Left { record: Arc::clone(record), seen: *seen };
                left.entry(row::delivery_seq(record.delivery)).or_default().push_back(attempt);
            }
        }
        left
    }

    /// Whether there are attempts that wait and whose end matters to other deliveries.
    pub(super) fn has_late(&self) -> bool {
        !self.lock().late.is_empty()
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
        let (first, end) = (unfiled.first_after(from), unfiled.first_after(to));
        let found = unfiled.entries.range(first.min(end)..end).take(limit);
        let (mut last, mut entries) = (None, Vec::new());
        for Numbered { number, entry } in found {
            last = Some(*number);
            entries.extend(match entry {
                Entry::Accepted(event) => {
                    Some(ToFile::Event(*number, Arc::clone(event), unfiled.progress(*number, event)))
                }
                Entry::Recorded { record, .. } if unfiled.late.contains(number) => {
                    Some(ToFile::Attempt(*number, Arc::clone(record)))
                }
                Entry::Recorded { .. } => None,
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

    /// Whether there is anything in here of this lane, or seems to be.
    pub(super) fn is_in(&self, handler: &str, subject: &Subject) -> bool {
        let unfiled = self.lock();
        unfiled.count_in(handler, subject) > 0
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

    /// Whether this program has it in hand under this claim.
    pub(super) fn flies(&self, delivery: DeliveryId, claim: u32) -> bool {
        self.lock().flying.get(&delivery).is_some_and(|flying| flying.claim == claim)
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
