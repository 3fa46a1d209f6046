//! What is in the store, as the model has it: plain values that can be kept aside until it is known what happened.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use proptest::sample::Index;
use uuid::Uuid;

use super::{HANDLERS, LaneOf};
use crate::delivery::{Delivery, DeliveryId, State};
use crate::event::Event;
use crate::handler::Order;
use crate::store::number::{DELIVERIES, delivery_seq};
use crate::store::{Record, Status};

/// A delivery.
#[derive(Debug, Clone)]
pub(super) struct Modelled {
    /// One of our own until the store's is known.
    pub(super) id: DeliveryId,
    /// The event's place among the events, and the delivery's among its.
    pub(super) seq: (usize, usize),
    pub(super) rank: Timestamp,
    pub(super) lane: LaneOf,
    pub(super) state: State,
    pub(super) claims: u32,
    /// How often it may have been claimed besides, by claims whose answers got lost.
    pub(super) doubtful: u32,
    pub(super) attempts: u32,
    pub(super) tries: u32,
    pub(super) since: Timestamp,
    pub(super) settled: usize,
    /// When it was claimed last: since when it had been due, and how many events there were.
    pub(super) claimed: Option<(Timestamp, usize)>,
    /// How it ended, where nobody heard whether that was recorded: one may turn out to be when the store is opened again.
    pub(super) unsure: Vec<Record>,
}

impl Modelled {
    pub(super) fn order(&self) -> Order {
        HANDLERS[self.lane.0].1
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.holds(self.order())
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    /// Whether it waits for its turn at a rate only, and that comes later.
    fn is_spread(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Pending { due } if due > now && due == self.since && self.tries == 0)
    }

    pub(super) fn flies(&self) -> bool {
        matches!(self.state, State::InFlight { .. })
    }

    pub(super) fn place(&self) -> (Timestamp, (usize, usize)) {
        (self.rank, self.seq)
    }
}

/// What the store has when it is opened again.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Of those that were in flight: how many attempts, how many of them count, and the state.
    pub(super) stands: HashMap<DeliveryId, (u32, u32, State)>,
    /// Whether claims may be forgotten.
    pub(super) forgets: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) events: Vec<(Event, u32)>,
    pub(super) all: Vec<Modelled>,
    pub(super) lasts: BTreeMap<LaneOf, String>,
    pub(super) paused: BTreeSet<usize>,
    pub(super) recorded: Vec<Record>,
    pub(super) statuses: BTreeMap<i64, Status>,
    /// Those that were refused and aren't there; one of them may turn up when the store is opened again, as long as no other
    /// was accepted.
    pub(super) ghosts: Vec<Ghost>,
    /// Something has come into a lane that others held up, with some behind these that wait for their turn at a rate: whether these are
    /// hurried depends on what the store files first from now on, so it is to file all.
    pub(super) to_file: bool,
}

/// An event that was refused when something went wrong.
#[derive(Debug, Clone)]
pub(super) struct Ghost {
    pub(super) event: Event,
    pub(super) account: u32,
    pub(super) handlers: Vec<usize>,
}

impl World {
    /// The event is there.
    pub(super) fn arrive(&mut self, Ghost { event, account, handlers }: Ghost) {
        let number = self.events.len();
        let (rank, due) = (event.event_time.expect("a time"), event.received_at);
        self.events.push((event, account));
        for (place, handler) in handlers.into_iter().enumerate() {
            self.enter((number, place), rank, (handler, account), due);
            self.hurry((handler, account), due);
        }
        self.ghosts.clear();
    }

    /// Whoever had something in hand is gone, and the store is opened again: what may be in it. What is
    /// `found` says which claims were forgotten, and which attempts recorded that nobody was sure of.
    pub(super) fn begin_anew(&self, now: Timestamp, found: &Found) -> Vec<Self> {
        let ghosts = self.ghosts.iter().cloned().map(Some);
        let mut worlds = Vec::new();
        for ghost in std::iter::once(None).chain(ghosts) {
            let mut world = Self { ghosts: Vec::new(), ..self.clone() };
            if let Some(ghost) = ghost {
                world.arrive(ghost);
            }
            world.interrupt(now, found);
            worlds.push(world);
        }
        worlds
    }

    /// Whether nothing was done to deliveries.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let stands = |one: &Modelled| {
            (one.id, one.state.clone(), one.claims, one.attempts, one.tries, one.since, one.settled)
        };
        self.all.iter().map(stands).eq(other.all.iter().map(stands))
            && self.lasts == other.lasts
            && self.paused == other.paused
            && self.statuses == other.statuses
    }

    fn is_paused(&self, lane: LaneOf) -> bool {
        [0, 1, 2 + lane.0, 5 + lane.1 as usize].iter().any(|what| self.paused.contains(what))
    }

    pub(super) fn lane(&self, lane: LaneOf) -> impl Iterator<Item = &Modelled> {
        self.all.iter().filter(move |one| one.lane == lane)
    }

    pub(super) fn of_event(&self, event: usize) -> impl Iterator<Item = &Modelled> {
        self.all.iter().filter(move |one| one.seq.0 == event)
    }

    /// Those that may be claimed, whenever they are due: the heads of lanes that nobody holds.
    pub(super) fn heads(&self, handler: usize) -> Vec<(Timestamp, (usize, usize))> {
        let free = (0..3).map(|account| (handler, account)).filter(|lane| {
            !self.is_paused(*lane) && self.lane(*lane).all(|one| !one.is_open() || one.waits())
        });
        let mut heads: Vec<_> = free
            .filter_map(|lane| self.lane(lane).filter(|one| one.is_open()).min_by_key(|one| one.place()))
            .filter_map(|head| match head.state {
                State::Pending { due } => Some((due, head.seq)),
                _ => None,
            })
            .collect();
        heads.sort();
        heads
    }

    /// Where the order is latest, all that wait but the newest are superseded by it.
    pub(super) fn supersede(&mut self, lane: LaneOf, at: Timestamp) {
        if HANDLERS[lane.0].1 != Order::Latest {
            return;
        }
        let Some(newest) = self.lane(lane).filter(|one| one.waits()).max_by_key(|one| one.place()) else {
            return;
        };
        let by = newest.id;
        for one in self.all.iter_mut().filter(|one| one.lane == lane && one.waits() && one.id != by) {
            one.state = State::Superseded { at, by };
        }
    }

    /// Something has just come: if the first waits for its turn at a rate only, nobody does so any more.
    fn hurry(&mut self, lane: LaneOf, due: Timestamp) {
        let first = self.lane(lane).filter(|one| one.is_open()).min_by_key(|one| one.place());
        if first.is_none_or(|first| !first.is_spread(due)) {
            let spread = self.lane(lane).any(|one| one.is_spread(due));
            self.to_file |= spread;
            return;
        }
        for one in self.all.iter_mut().filter(|one| one.lane == lane && one.is_spread(due)) {
            (one.state, one.since) = (State::Pending { due }, due);
        }
    }

    pub(super) fn enter(&mut self, seq: (usize, usize), rank: Timestamp, lane: LaneOf, due: Timestamp) {
        let state = State::Pending { due };
        self.all.push(Modelled {
            id: unknown(seq),
            seq,
            rank,
            lane,
            state,
            claims: 0,
            doubtful: 0,
            attempts: 0,
            tries: 0,
            since: due,
            settled: 0,
            claimed: None,
            unsure: vec![],
        });
        self.supersede(lane, due);
    }

    /// Whether the store's ids of its deliveries are known.
    pub(super) fn is_known(&self, event: usize) -> bool {
        self.of_event(event).all(|one| one.id != unknown(one.seq))
    }

    /// The store has these ids for the deliveries of an event.
    pub(super) fn learn(&mut self, event: usize, ids: impl Iterator<Item = DeliveryId>) {
        let mut places: Vec<_> = self.of_event(event).map(|one| (one.seq.1, one.id)).collect();
        places.sort_unstable();
        let known: HashMap<_, _> = places.into_iter().map(|(_, id)| id).zip(ids).collect();
        self.rename(|id| known.get(&id).copied());
    }

    /// That is what the store calls one of them.
    pub(super) fn learn_of(&mut self, delivery: &Delivery) {
        if let Some(seq) = self.seq_of(delivery) {
            self.rename(|id| (id == unknown(seq)).then_some(delivery.id));
        }
    }

    /// Which of them that is.
    pub(super) fn seq_of(&self, Delivery { id, event, .. }: &Delivery) -> Option<(usize, usize)> {
        let event = self.events.iter().position(|(one, _)| one.id == *event)?;
        Some((event, usize::try_from(delivery_seq(*id) % DELIVERIES).ok()?))
    }

    fn rename(&mut self, new: impl Fn(DeliveryId) -> Option<DeliveryId>) {
        let learn = |id: &mut DeliveryId| *id = new(*id).unwrap_or(*id);
        for one in &mut self.all {
            learn(&mut one.id);
            if let State::Superseded { by, .. } = &mut one.state {
                learn(by);
            }
        }
    }

    pub(super) fn pick(&self, which: Index, of: impl Fn(&State) -> bool) -> Option<usize> {
        let found: Vec<_> = (0..self.all.len()).filter(|at| of(&self.all[*at].state)).collect();
        (!found.is_empty()).then(|| *which.get(&found))
    }

    fn interrupt(&mut self, now: Timestamp, found: &Found) {
        let (mut lanes, mut forgotten, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for (at, one) in self.all.iter_mut().enumerate().filter(|(_, one)| one.flies()) {
            if let Some((attempts, tries, state)) = found.stands.get(&one.id) {
                if found.forgets && *attempts == one.attempts {
                    forgotten.push(at);
                    continue;
                }
                // an interruption doesn't count
                let recorded = one.unsure.iter().find(|unsure| {
                    let superseded =
                        matches!(state, State::Superseded { at, .. } if *at == unsure.attempt.ended_at);
                    *tries == unsure.tries && (*state == unsure.state || superseded)
                });
                if let Some(record) = recorded {
                    ended.push(record.clone());
                    continue;
                }
            }
            one.state = State::Pending { due: now };
            one.attempts += 1;
            lanes.push(one.lane);
        }
        lanes.into_iter().for_each(|lane| self.supersede(lane, now));
        forgotten.into_iter().for_each(|at| self.forget_claim(at));
        ended.iter().for_each(|record| self.end(record, record.attempt.ended_at));
    }

    /// An attempt is recorded of one that is in flight.
    pub(super) fn end(&mut self, record: &Record, now: Timestamp) {
        let Some(one) = self.all.iter_mut().find(|one| one.id == record.delivery && one.flies()) else {
            return;
        };
        one.attempts += 1;
        one.tries = record.tries;
        one.state = record.state.clone();
        let lane = one.lane;
        if matches!(record.state, State::Delivered { .. }) {
            self.lasts.insert(lane, record.last.clone().expect("something"));
        }
        if let Some(status) = &record.status {
            self.put_status(status);
        }
        self.supersede(lane, now);
    }

    /// As if it hadn't been claimed: where the order is latest, what arrived since has met it waiting.
    fn forget_claim(&mut self, at: usize) {
        let one = &mut self.all[at];
        let (due, events) = one.claimed.expect("it was claimed");
        one.state = State::Pending { due };
        // its number may be given once more
        (one.claims, one.doubtful) = (one.claims.saturating_sub(1), one.doubtful + 1);
        let lane = one.lane;
        if HANDLERS[lane.0].1 != Order::Latest {
            return;
        }
        let mut arrived: Vec<_> = (0..self.all.len())
            .filter(|at| self.all[*at].lane == lane && self.all[*at].seq.0 >= events)
            .collect();
        arrived.sort_by_key(|at| self.all[*at].seq);
        let mut waiting: Vec<_> = (0..self.all.len())
            .filter(|at| self.all[*at].lane == lane && self.all[*at].waits() && !arrived.contains(at))
            .collect();
        for at in arrived {
            let (id, due, place) = (self.all[at].id, self.all[at].since, self.all[at].place());
            let newer = waiting.iter().map(|at| &self.all[*at]).max_by_key(|one| one.place());
            if let Some(newer) = newer.filter(|newer| newer.place() > place) {
                self.all[at].state = State::Superseded { at: due, by: newer.id };
                continue;
            }
            for older in std::mem::replace(&mut waiting, vec![at]) {
                self.all[older].state = State::Superseded { at: due, by: id };
            }
            self.all[at].state = State::Pending { due };
        }
    }

    /// What was told last wins: the message says as which.
    fn put_status(&mut self, status: &Status) {
        let place = |status: &Status| status.message.as_ref().and_then(|place| place.parse::<u64>().ok());
        let kept = self.statuses.entry(status.i_account).or_insert_with(|| status.clone());
        if place(status) > place(kept) {
            *kept = status.clone();
        }
    }
}

/// Until the store's own is known.
fn unknown(seq: (usize, usize)) -> DeliveryId {
    DeliveryId(Uuid::from_u64_pair(seq.0 as u64, seq.1 as u64))
}
