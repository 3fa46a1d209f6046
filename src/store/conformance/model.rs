//! The order against a model in memory: whatever is accepted, claimed, recorded, called back, replayed, cancelled, paused and
//! interrupted in whatever order, nothing overtakes, one at a time is on its way per handler and subject, nothing is lost, and
//! attempts add up.
//!
//! All cases share one store, each with handlers and subjects of its own. `PROPTEST_CASES` says how many there are (500).

mod beside;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use jiff::SignedDuration;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use self::steps::{Step, steps};
use super::*;
use crate::delivery::DeliveryId;
use crate::handler::{Retries, RetrySchedule};

/// Handlers by name, with their order.
const HANDLERS: [(&str, Order); 3] =
    [("skip", Order::Skip), ("strict", Order::Strict), ("latest", Order::Latest)];

type LaneOf = (usize, u32);

/// A delivery as the model has it.
#[derive(Debug, Clone)]
struct Modelled {
    id: DeliveryId,
    /// The event's place among the events, and the delivery's among its.
    seq: (usize, usize),
    rank: Timestamp,
    lane: LaneOf,
    state: State,
    claims: u32,
    attempts: u32,
    tries: u32,
    since: Timestamp,
    settled: usize,
}

impl Modelled {
    fn order(&self) -> Order {
        HANDLERS[self.lane.0].1
    }

    fn is_open(&self) -> bool {
        self.state.holds(self.order())
    }

    fn waits(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    fn place(&self) -> (Timestamp, (usize, usize)) {
        (self.rank, self.seq)
    }
}

struct Model<'b, B> {
    bench: &'b mut B,
    case: u32,
    now: Timestamp,
    events: Vec<(Event, u32)>,
    all: Vec<Modelled>,
    lasts: BTreeMap<LaneOf, String>,
    paused: BTreeSet<usize>,
    recorded: Vec<Record>,
    retries: Retries,
}

impl<B: Bench> Model<'_, B> {
    fn handler(&self, handler: usize) -> String {
        format!("{}-{}", HANDLERS[handler].0, self.case)
    }

    fn account(&self, account: u32) -> u32 {
        self.case * 10 + account
    }

    fn scope(&self, what: usize) -> Scope {
        match what {
            0 => Scope::Everything,
            1 => Scope::Connector("c".into()),
            2..=4 => Scope::Handler(self.handler(what - 2)),
            _ => Scope::Subject(subject(self.account(u32::try_from(what - 5).expect("few")))),
        }
    }

    fn is_paused(&self, lane: LaneOf) -> bool {
        [0, 1, 2 + lane.0, 5 + lane.1 as usize].iter().any(|what| self.paused.contains(what))
    }

    fn lane(&self, lane: LaneOf) -> impl Iterator<Item = &Modelled> {
        self.all.iter().filter(move |one| one.lane == lane)
    }

    /// Those that may be claimed, whenever they are due: the heads of lanes that nobody holds.
    fn heads(&self, handler: usize) -> Vec<(Timestamp, (usize, usize), DeliveryId)> {
        let free = (0..3).map(|account| (handler, account)).filter(|lane| {
            !self.is_paused(*lane) && self.lane(*lane).all(|one| !one.is_open() || one.waits())
        });
        let mut heads: Vec<_> = free
            .filter_map(|lane| self.lane(lane).filter(|one| one.is_open()).min_by_key(|one| one.place()))
            .filter_map(|head| match head.state {
                State::Pending { due } => Some((due, head.seq, head.id)),
                _ => None,
            })
            .collect();
        heads.sort();
        heads
    }

    /// Where the order is latest, all that wait but the newest are superseded by it.
    fn supersede(&mut self, lane: LaneOf, at: Timestamp) {
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

    fn enter(&mut self, id: DeliveryId, seq: (usize, usize), rank: Timestamp, lane: LaneOf, due: Timestamp) {
        let state = State::Pending { due };
        self.all.push(Modelled {
            id,
            seq,
            rank,
            lane,
            state,
            claims: 0,
            attempts: 0,
            tries: 0,
            since: due,
            settled: 0,
        });
        self.supersede(lane, due);
    }

    fn pick(&self, which: Index, of: impl Fn(&State) -> bool) -> Option<usize> {
        let found: Vec<_> = (0..self.all.len()).filter(|at| of(&self.all[*at].state)).collect();
        (!found.is_empty()).then(|| *which.get(&found))
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Accept { account, handlers, ago } => self.accept(account, handlers, ago).await,
            Step::AcceptAgain { which } => self.accept_again(which).await,
            Step::Claim { handler, limit } => self.claim(handler, limit).await,
            Step::End { which, outcome } => self.end(which, &outcome).await,
            Step::EndAgain { which } => {
                if !self.recorded.is_empty() {
                    let record = which.get(&self.recorded).clone();
                    self.bench.store().record(record).await.expect("no effect");
                }
            }
            Step::Release { which, seconds } => self.release(which, seconds).await,
            Step::CallBack { which, outcome } => self.call_back(which, &outcome).await,
            Step::Overdue => self.overdue().await,
            Step::Replay { which, gap } => self.replay(&which, gap).await,
            Step::Cancel { which } => self.cancel(&which).await,
            Step::Subscribe { which, handler } => self.subscribe(&which, handler).await,
            Step::Pause { what } => {
                let pause = Pause { scope: self.scope(what), at: self.now, reason: None };
                self.bench.store().pause(pause).await.expect("paused");
                self.paused.insert(what);
            }
            Step::Resume { what } => {
                let ended = self.bench.store().resume(self.scope(what)).await.expect("resumed");
                assert_eq!(ended, self.paused.remove(&what));
            }
            Step::Wait { seconds } => self.now += SignedDuration::from_secs(seconds),
            Step::Crash => self.crash().await,
        }
    }

    async fn accept(&mut self, account: u32, handlers: usize, ago: i64) {
        let number = self.events.len();
        let i_event = Some(i64::from(self.case) * 1000 + i64::try_from(number).expect("few"));
        let rank = self.now - SignedDuration::from_secs(ago);
        let made = Event { event_time: Some(rank), ..event(i_event, self.account(account), self.now) };
        let wanted: Vec<_> = (0..HANDLERS.len()).filter(|handler| handlers & (1 << handler) != 0).collect();
        let subscription = |handler: &usize| Subscription {
            handler: self.handler(*handler),
            order: HANDLERS[*handler].1,
            rank,
        };
        let subscriptions = wanted.iter().map(subscription).collect();
        let answer = self.bench.store().accept(made.clone(), subscriptions).await;
        assert_eq!(answer, Ok(Accepted::New(made.id)));
        let detail = self.bench.store().event(made.id).await.expect("an answer").expect("the event");
        assert_eq!(detail.deliveries.len(), wanted.len());
        for (place, handler) in wanted.into_iter().enumerate() {
            let id = detail.deliveries[place].0.id;
            self.enter(id, (number, place), rank, (handler, account), self.now);
        }
        self.events.push((made, account));
    }

    async fn accept_again(&mut self, which: Index) {
        if self.events.is_empty() {
            return;
        }
        let first = which.get(&self.events).0.clone();
        let again = Event { id: EventId::at(self.now), received_at: self.now, ..first.clone() };
        let answer = self.bench.store().accept(again, to(&self.handler(0))).await;
        assert_eq!(answer, Ok(Accepted::Duplicate(first.id)));
    }

    async fn claim(&mut self, handler: usize, limit: usize) {
        let heads = self.heads(handler);
        let want = want(&self.handler(handler), limit);
        let next = self.bench.store().next_due(want.clone()).await.expect("an answer");
        assert_eq!(next, heads.first().map(|(due, ..)| *due));
        let claimed = self.bench.store().claim(self.now, want).await.expect("claimed");
        let due = heads.into_iter().take_while(|(due, ..)| *due <= self.now).take(limit);
        assert_eq!(
            claimed.iter().map(|one| one.delivery.id).collect::<Vec<_>>(),
            due.map(|(_, _, id)| id).collect::<Vec<_>>()
        );
        let now = self.now;
        for one in claimed {
            let modelled = self.all.iter_mut().find(|other| other.id == one.delivery.id).expect("it");
            modelled.state = State::InFlight { since: now };
            modelled.claims += 1;
            let Delivery { attempts, tries, ref state, .. } = one.delivery;
            assert_eq!((attempts, tries, one.claim), (modelled.attempts, modelled.tries, modelled.claims));
            assert_eq!(*state, modelled.state);
            assert_eq!(one.last.as_ref(), self.lasts.get(&modelled.lane));
        }
    }

    async fn end(&mut self, which: Index, outcome: &Outcome) {
        let Some(at) = self.pick(which, |state| matches!(state, State::InFlight { .. })) else { return };
        let (now, one) = (self.now, &mut self.all[at]);
        let tries = one.tries + 1;
        let record = Record {
            delivery: one.id,
            claim: one.claims,
            attempt: Attempt {
                number: one.attempts + 1,
                started_at: now,
                ended_at: now,
                outcome: outcome.clone(),
                request: None,
                response: None,
                settled: None,
            },
            state: one.state.next(outcome, tries, one.since, &self.retries, 0.0, now),
            tries,
            status: None,
            last: Some(format!("{} {}", one.id, one.attempts)),
        };
        let stale = Record { claim: one.claims - 1, ..record.clone() };
        self.bench.store().record(record.clone()).await.expect("recorded");
        one.attempts += 1;
        one.tries = tries;
        one.state = record.state.clone();
        let lane = one.lane;
        if matches!(record.state, State::Delivered { .. }) {
            self.lasts.insert(lane, record.last.clone().expect("something"));
        }
        self.supersede(lane, now);
        let answer = self.bench.store().record(stale).await;
        assert_eq!(answer, Err(StoreError::Overtaken(record.delivery)));
        self.recorded.push(record);
    }

    async fn release(&mut self, which: Index, seconds: i64) {
        let Some(at) = self.pick(which, |state| matches!(state, State::InFlight { .. })) else { return };
        let due = self.now + SignedDuration::from_secs(seconds);
        let one = &mut self.all[at];
        let State::InFlight { since } = one.state else { return };
        self.bench.store().release(one.id, one.claims, due).await.expect("released");
        one.state = State::Pending { due };
        let lane = one.lane;
        self.supersede(lane, since);
    }

    async fn crash(&mut self) {
        self.bench.reopen(self.now).await;
        let now = self.now;
        let mut lanes = Vec::new();
        for one in self.all.iter_mut().filter(|one| matches!(one.state, State::InFlight { .. })) {
            one.state = State::Pending { due: now };
            one.attempts += 1;
            lanes.push(one.lane);
        }
        lanes.into_iter().for_each(|lane| self.supersede(lane, now));
    }

    /// What the store has must be what the model has: each event, each delivery, each attempt.
    async fn compare(&self) {
        let mut seen = 0;
        for (event, _) in &self.events {
            let detail = self.bench.store().event(event.id).await.expect("an answer").expect("the event");
            assert_eq!(detail.event, *event);
            for (delivery, attempts) in detail.deliveries {
                let one = self.all.iter().find(|one| one.id == delivery.id).expect("a delivery");
                assert_eq!(delivery.state, one.state);
                assert_eq!(
                    (delivery.attempts, delivery.tries, delivery.since),
                    (one.attempts, one.tries, one.since)
                );
                let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
                assert_eq!(numbers, (1..=one.attempts).collect::<Vec<_>>());
                assert_eq!(attempts.iter().filter(|one| one.settled.is_some()).count(), one.settled);
                seen += 1;
            }
        }
        assert_eq!(seen, self.all.len());
        let backlog = self.bench.store().backlog().await.expect("an answer");
        for handler in 0..HANDLERS.len() {
            let counted = |word: &str| {
                let of_handler =
                    self.all.iter().filter(|one| one.lane.0 == handler && one.state.word() == word);
                u64::try_from(of_handler.count()).expect("few")
            };
            let name = self.handler(handler);
            let found = backlog.iter().find(|one| one.handler == name);
            let tallied = found.map_or([0; 7], |one| {
                let Backlog {
                    pending, in_flight, awaiting, delivered, parked, superseded, cancelled, ..
                } = *one;
                [pending, in_flight, awaiting, delivered, parked, superseded, cancelled]
            });
            assert_eq!(tallied, State::WORDS.map(counted));
        }
    }
}

async fn run<B: Bench>(bench: &mut B, case: u32, steps: Vec<Step>) {
    let schedule = RetrySchedule { tries: 3, then: vec![], ..RetrySchedule::default() };
    let mut model = Model {
        bench,
        case,
        now: at(0),
        events: Vec::new(),
        all: Vec::new(),
        lasts: BTreeMap::new(),
        paused: BTreeSet::new(),
        recorded: Vec::new(),
        retries: schedule.into(),
    };
    // what a case before left behind that failed
    for what in 0..2 {
        model.bench.store().resume(model.scope(what)).await.expect("an answer");
    }
    for step in steps {
        model.take(step).await;
    }
    model.compare().await;
    for what in 0..8 {
        model.bench.store().resume(model.scope(what)).await.expect("an answer");
    }
}

pub(crate) fn nothing_overtakes_and_nothing_is_lost<B, F>(bench: impl Fn() -> F)
where
    B: Bench,
    F: Future<Output = Option<B>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let Some(bench) = runtime.block_on(bench()) else { return };
    let shared = AssertUnwindSafe(Mutex::new((bench, 0)));
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config { cases: given.unwrap_or(500), failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&steps(), |steps| {
        // A case that fails leaves the store as it is; the next one has handlers of its own.
        let mut shared = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (bench, case) = &mut *shared;
        *case += 1;
        runtime.block_on(run(bench, *case, steps));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
