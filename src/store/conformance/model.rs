//! The order against a model in memory: whatever is accepted, claimed, recorded, called back, replayed, cancelled, paused and
//! interrupted in whatever order, nothing overtakes, one at a time is on its way per handler and subject, nothing is lost, and
//! attempts add up.
//!
//! All cases share one store, each with handlers and subjects of its own. `PROPTEST_CASES` says how many there are (500).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::delivery::{DeliveryId, Failure, Settlement};
use crate::handler::{Retries, RetrySchedule};

/// Handlers by name, with their order.
const HANDLERS: [(&str, Order); 3] =
    [("skip", Order::Skip), ("strict", Order::Strict), ("latest", Order::Latest)];

#[derive(Debug, Clone)]
enum Step {
    /// About an account, for handlers by their bits; it happened so many seconds ago.
    Accept {
        account: u32,
        handlers: usize,
        ago: i64,
    },
    AcceptAgain {
        which: Index,
    },
    Claim {
        handler: usize,
        limit: usize,
    },
    End {
        which: Index,
        outcome: Outcome,
    },
    /// An outcome that was recorded before is recorded once more.
    EndAgain {
        which: Index,
    },
    Release {
        which: Index,
        seconds: i64,
    },
    CallBack {
        which: Index,
        outcome: Outcome,
    },
    Overdue,
    Replay {
        which: Vec<Index>,
        gap: u64,
    },
    Cancel {
        which: Vec<Index>,
    },
    Subscribe {
        which: Vec<Index>,
        handler: usize,
    },
    Pause {
        what: usize,
    },
    Resume {
        what: usize,
    },
    Wait {
        seconds: i64,
    },
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let busy = || Outcome::Retry { class: Failure::Busy, reason: "busy".into(), after: None };
    let ended = move || {
        prop_oneof![
            3 => Just(Outcome::Delivered),
            2 => Just(busy()),
            1 => Just(Outcome::Refused { reason: "no".into() }),
        ]
    };
    let outcome = prop_oneof![
        5 => ended(),
        1 => Just(Outcome::Accepted { within: Duration::from_secs(30) }),
    ];
    let which = any::<Index>;
    let some = || prop::collection::vec(any::<Index>(), 1..4);
    let step = prop_oneof![
        7 => (0..3_u32, 0..8_usize, prop_oneof![2 => Just(0), 1 => 0..100_i64])
            .prop_map(|(account, handlers, ago)| Step::Accept { account, handlers, ago }),
        1 => which().prop_map(|which| Step::AcceptAgain { which }),
        8 => (0..3_usize, 0..4_usize).prop_map(|(handler, limit)| Step::Claim { handler, limit }),
        10 => (which(), outcome).prop_map(|(which, outcome)| Step::End { which, outcome }),
        1 => which().prop_map(|which| Step::EndAgain { which }),
        1 => (which(), 0..60_i64).prop_map(|(which, seconds)| Step::Release { which, seconds }),
        3 => (which(), ended()).prop_map(|(which, outcome)| Step::CallBack { which, outcome }),
        1 => Just(Step::Overdue),
        2 => (some(), 0..20_u64).prop_map(|(which, gap)| Step::Replay { which, gap }),
        1 => some().prop_map(|which| Step::Cancel { which }),
        1 => (some(), 0..3_usize).prop_map(|(which, handler)| Step::Subscribe { which, handler }),
        1 => (0..8_usize).prop_map(|what| Step::Pause { what }),
        2 => (0..8_usize).prop_map(|what| Step::Resume { what }),
        3 => (1..200_i64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..80)
}

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

    async fn call_back(&mut self, which: Index, outcome: &Outcome) {
        let Some(at) = self.pick(which, |state| matches!(state, State::Awaiting { .. })) else { return };
        self.settle(at, outcome).await;
    }

    async fn settle(&mut self, at: usize, outcome: &Outcome) {
        let (now, one) = (self.now, &mut self.all[at]);
        let settle = Settle {
            delivery: one.id,
            claim: one.claims,
            settlement: Settlement { at: now, outcome: outcome.clone(), body: None },
            state: one.state.next(outcome, one.tries, one.since, &self.retries, 0.0, now),
            tries: one.tries,
            status: None,
        };
        self.bench.store().settle(settle.clone()).await.expect("settled");
        one.state = settle.state.clone();
        one.settled += 1;
        let (lane, last) = (one.lane, format!("{} {}", one.id, one.attempts - 1));
        if matches!(settle.state, State::Delivered { .. }) {
            self.lasts.insert(lane, last);
        }
        self.supersede(lane, now);
        let once_more = self.bench.store().settle(settle.clone()).await;
        assert_eq!(once_more, Err(StoreError::Overtaken(settle.delivery)));
    }

    async fn overdue(&mut self) {
        let overdue = self.bench.store().overdue(self.now, 1000).await.expect("an answer");
        let class = Failure::Callback;
        let outcome = Outcome::Retry { class, reason: "nothing came".into(), after: None };
        for at in 0..self.all.len() {
            let State::Awaiting { deadline } = self.all[at].state else { continue };
            let found = overdue.iter().any(|one| one.delivery.id == self.all[at].id);
            assert_eq!(found, deadline <= self.now);
            if found {
                self.settle(at, &outcome).await;
            }
        }
    }

    async fn replay(&mut self, which: &[Index], gap: u64) {
        if self.all.is_empty() {
            return;
        }
        let mut asked: Vec<_> = which.iter().map(|which| which.index(self.all.len())).collect();
        // Of several that enter a lane together, nobody says which supersedes which.
        let mut entered = BTreeSet::new();
        asked.retain(|at| self.all[*at].order() != Order::Latest || entered.insert(self.all[*at].lane));
        let ids = asked.iter().map(|at| self.all[*at].id).collect();
        let (due, gap) = (self.now, Duration::from_secs(gap));
        let answer = self.bench.store().replay(ids, due, gap).await.expect("replayed");
        let mut replayed = Vec::new();
        for at in asked {
            let one = &self.all[at];
            let newest = self.lane(one.lane).filter(|other| other.waits()).map(Modelled::place).max();
            let late = one.order() == Order::Latest && newest.is_some_and(|newest| newest > one.place());
            let ended = !one.waits() && !matches!(one.state, State::InFlight { .. } | State::Awaiting { .. });
            if !ended || late {
                continue;
            }
            let due = due + gap * u32::try_from(replayed.len()).expect("few");
            let one = &mut self.all[at];
            one.state = State::Pending { due };
            one.tries = 0;
            one.since = due;
            replayed.push(one.id);
            let lane = one.lane;
            self.supersede(lane, due);
        }
        assert_eq!(answer, replayed);
    }

    async fn cancel(&mut self, which: &[Index]) {
        if self.all.is_empty() {
            return;
        }
        let asked: Vec<_> = which.iter().map(|which| which.index(self.all.len())).collect();
        let ids = asked.iter().map(|at| self.all[*at].id).collect();
        let (now, reason) = (self.now, "enough".to_owned());
        let answer = self.bench.store().cancel(ids, now, reason.clone()).await.expect("cancelled");
        let mut cancelled = Vec::new();
        for at in asked {
            let one = &mut self.all[at];
            if matches!(one.state, State::Pending { .. } | State::Awaiting { .. } | State::Parked { .. }) {
                one.state = State::Cancelled { at: now, reason: reason.clone() };
                cancelled.push(one.id);
            }
        }
        assert_eq!(answer, cancelled);
    }

    async fn subscribe(&mut self, which: &[Index], handler: usize) {
        if self.events.is_empty() {
            return;
        }
        let mut asked: Vec<_> = which.iter().map(|which| which.index(self.events.len())).collect();
        let mut entered = BTreeSet::new();
        asked.retain(|at| HANDLERS[handler].1 != Order::Latest || entered.insert(self.events[*at].1));
        let rank = |at: usize| self.events[at].0.event_time.expect("a time");
        let events = asked.iter().map(|at| (self.events[*at].0.id, rank(*at))).collect();
        let (due, gap) = (self.now, Duration::from_secs(3));
        let made = self
            .bench
            .store()
            .subscribe(events, self.handler(handler), HANDLERS[handler].1, due, gap)
            .await
            .expect("made");
        let mut ids = made.into_iter();
        let mut n = 0;
        for at in asked {
            let of_event = self.all.iter().filter(|one| one.seq.0 == at);
            let lane = (handler, self.events[at].1);
            if of_event.clone().any(|one| one.lane == lane) {
                continue;
            }
            let place = of_event.map(|one| one.seq.1 + 1).max().unwrap_or(0);
            let rank = self.events[at].0.event_time.expect("a time");
            self.enter(ids.next().expect("one more"), (at, place), rank, lane, due + gap * n);
            n += 1;
        }
        assert_eq!(ids.next(), None);
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
