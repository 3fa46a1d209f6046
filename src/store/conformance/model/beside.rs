//! What happens beside the way of an event: callbacks, replays and the like.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::sample::Index;

use super::*;
use crate::delivery::{Failure, Settlement};

impl<B: Bench> Model<'_, B> {
    pub(super) async fn call_back(&mut self, which: Index, outcome: &Outcome) {
        let Some(at) = self.pick(which, |state| matches!(state, State::Awaiting { .. })) else { return };
        self.settle(at, outcome).await;
    }

    pub(super) async fn settle(&mut self, at: usize, outcome: &Outcome) {
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

    pub(super) async fn overdue(&mut self) {
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

    pub(super) async fn replay(&mut self, which: &[Index], gap: u64) {
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

    pub(super) async fn cancel(&mut self, which: &[Index]) {
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

    pub(super) async fn subscribe(&mut self, which: &[Index], handler: usize) {
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
}
