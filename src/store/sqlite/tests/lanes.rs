//! The lanes against a model in memory: whatever is accepted, claimed, recorded and interrupted in whatever order, nothing
//! overtakes, one at a time is in flight per handler and subject, nothing is lost, and attempts add up.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::handler::{Retries, RetrySchedule};

/// Handlers by name, with their order.
const HANDLERS: [(&str, Order); 2] = [("skip", Order::Skip), ("strict", Order::Strict)];

#[derive(Debug, Clone)]
enum Step {
    Accept { account: u32, handlers: usize },
    AcceptAgain { which: prop::sample::Index },
    Claim { handler: usize, limit: usize },
    End { which: prop::sample::Index, outcome: Outcome },
    Wait { seconds: i64 },
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Delivered),
        2 => Just(Outcome::Retry { class: Failure::Busy, reason: "busy".into(), after: None }),
        1 => Just(Outcome::Refused { reason: "no".into() }),
    ];
    let step = prop_oneof![
        6 => (0..3_u32, 0..4_usize).prop_map(|(account, handlers)| Step::Accept { account, handlers }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::AcceptAgain { which }),
        6 => (0..2_usize, 0..4_usize).prop_map(|(handler, limit)| Step::Claim { handler, limit }),
        8 => (any::<prop::sample::Index>(), outcome).prop_map(|(which, outcome)| Step::End { which, outcome }),
        3 => (1..200_i64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..60)
}

/// A delivery as the model has it.
#[derive(Debug, Clone)]
struct Modelled {
    event: EventId,
    state: State,
    attempts: u32,
    accepted_at: Timestamp,
}

impl Modelled {
    fn holds_its_lane(&self, order: Order) -> bool {
        self.state.holds(order)
    }
}

struct Model {
    now: Timestamp,
    events: Vec<Event>,
    /// By handler and account, in the order of acceptance.
    lanes: BTreeMap<(usize, u32), Vec<Modelled>>,
    flying: Vec<((usize, u32), Delivery)>,
    schedule: Retries,
}

impl Model {
    fn new() -> Self {
        let schedule = RetrySchedule { tries: 3, then: vec![], ..RetrySchedule::default() };
        Self { now: at(0), events: vec![], lanes: BTreeMap::new(), flying: vec![], schedule: schedule.into() }
    }

    /// The events that a claim must yield: the due heads, in the order of their due times, then of acceptance.
    fn claimable(&self, handler: usize, limit: usize) -> Vec<EventId> {
        let mut due: Vec<_> = self
            .lanes
            .iter()
            .filter(|(lane, _)| lane.0 == handler)
            .filter_map(|(_, lane)| lane.iter().find(|one| one.holds_its_lane(HANDLERS[handler].1)))
            .filter_map(|head| match head.state {
                State::Pending { due } if due <= self.now => {
                    let accepted = self.events.iter().position(|event| event.id == head.event);
                    Some((due, accepted, head.event))
                }
                _ => None,
            })
            .collect();
        due.sort();
        due.into_iter().map(|(_, _, event)| event).take(limit).collect()
    }

    fn one(&mut self, lane: (usize, u32), event: EventId) -> &mut Modelled {
        let lane = self.lanes.get_mut(&lane).expect("a lane");
        lane.iter_mut().find(|one| one.event == event).expect("a delivery")
    }
}

async fn take(step: Step, temp: &mut Temp, model: &mut Model) {
    match step {
        Step::Accept { account, handlers } => accept(account, handlers, temp, model).await,
        Step::AcceptAgain { which } => {
            if !model.events.is_empty() {
                let first = model.events[which.index(model.events.len())].clone();
                let again = Event { id: EventId::at(model.now), received_at: model.now, ..first.clone() };
                let answer = temp.store.accept(again, to("skip")).await.expect("accepted");
                assert_eq!(answer, Accepted::Duplicate(first.id));
            }
        }
        Step::Claim { handler, limit } => claim(handler, limit, temp, model).await,
        Step::End { which, outcome } => end(which, &outcome, temp, model).await,
        Step::Wait { seconds } => model.now += jiff::SignedDuration::from_secs(seconds),
        Step::Crash => {
            temp.reopen(model.now).await;
            for (lane, delivery) in std::mem::take(&mut model.flying) {
                let now = model.now;
                let one = model.one(lane, delivery.event);
                one.attempts += 1;
                one.state = State::Pending { due: now };
            }
        }
    }
}

async fn accept(account: u32, handlers: usize, temp: &mut Temp, model: &mut Model) {
    let number = i64::try_from(model.events.len()).expect("few");
    let event = event(Some(number), account, model.now);
    let wanted = (0..HANDLERS.len()).filter(|handler| handlers & (1 << handler) != 0);
    let mut subscriptions = Vec::new();
    for handler in wanted {
        let (name, order) = HANDLERS[handler];
        subscriptions.push(Subscription { handler: name.into(), order, rank: model.now });
        model.lanes.entry((handler, account)).or_default().push(Modelled {
            event: event.id,
            state: State::Pending { due: model.now },
            attempts: 0,
            accepted_at: model.now,
        });
    }
    let answer = temp.store.accept(event.clone(), subscriptions).await.expect("accepted");
    assert_eq!(answer, Accepted::New(event.id));
    model.events.push(event);
}

async fn claim(handler: usize, limit: usize, temp: &mut Temp, model: &mut Model) {
    let claimed = temp.store.claim(model.now, want(HANDLERS[handler].0, limit)).await.expect("claimed");
    let got: Vec<_> = claimed.iter().map(|one| one.event.id).collect();
    assert_eq!(got, model.claimable(handler, limit));
    for Claimed { delivery, event, .. } in claimed {
        let lane = (handler, event.subject.id.parse().expect("an account"));
        assert!(model.flying.iter().all(|(other, _)| *other != lane), "two in flight in {lane:?}");
        let now = model.now;
        let one = model.one(lane, event.id);
        assert_eq!(delivery.attempts, one.attempts);
        one.state = State::InFlight { since: now };
        model.flying.push((lane, delivery));
    }
}

async fn end(which: prop::sample::Index, outcome: &Outcome, temp: &mut Temp, model: &mut Model) {
    if model.flying.is_empty() {
        return;
    }
    let (lane, delivery) = model.flying.swap_remove(which.index(model.flying.len()));
    let attempts = delivery.attempts + 1;
    let (now, schedule) = (model.now, model.schedule.clone());
    let one = model.one(lane, delivery.event);
    one.state = one.state.next(outcome, attempts, one.accepted_at, &schedule, 0.0, now);
    one.attempts = attempts;
    let record = Record {
        attempt: attempt(attempts, outcome.clone()),
        state: one.state.clone(),
        ..delivered(&delivery)
    };
    temp.store.record(record).await.expect("recorded");
}

/// What the store has must be what the model has: each event, each delivery, each attempt.
async fn compare(temp: &Temp, model: &Model) {
    let mut seen = 0;
    for event in &model.events {
        let detail = temp.store.event(event.id).await.expect("an answer").expect("the event");
        assert_eq!(detail.event, *event);
        for (delivery, attempts) in detail.deliveries {
            let handler = HANDLERS.iter().position(|(name, _)| *name == delivery.handler).expect("a handler");
            let lane = (handler, delivery.subject.id.parse().expect("an account"));
            let one = model.lanes[&lane].iter().find(|one| one.event == event.id).expect("a delivery");
            assert_eq!(delivery.state, one.state);
            assert_eq!(delivery.attempts, one.attempts);
            let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
            assert_eq!(numbers, (1..=one.attempts).collect::<Vec<_>>());
            seen += 1;
        }
    }
    assert_eq!(seen, model.lanes.values().map(Vec::len).sum::<usize>());
    let tallied: u64 = temp
        .store
        .backlog()
        .await
        .expect("an answer")
        .iter()
        .map(|backlog| backlog.pending + backlog.in_flight + backlog.parked + backlog.delivered)
        .sum();
    assert_eq!(tallied, u64::try_from(seen).expect("few"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_overtakes_and_nothing_is_lost(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (mut temp, mut model) = (Temp::new(), Model::new());
            for step in steps {
                take(step, &mut temp, &mut model).await;
            }
            compare(&temp, &model).await;
            temp.store.close().await;
        });
    }
}
