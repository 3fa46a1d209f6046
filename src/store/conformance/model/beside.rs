//! What happens beside the way of an event: callbacks, replays and the like.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::sample::Index;

use super::world::Modelled;
use super::*;
use crate::delivery::{Failure, Settlement, State};

impl<B: Frail> Model<'_, B> {
    pub(super) async fn call_back(&mut self, which: Index, outcome: &Outcome) -> Done {
        let Some(at) = self.world.pick(which, |state| matches!(state, State::Awaiting { .. })) else {
            return Ok(());
        };
        self.settle(at, outcome).await
    }

    pub(super) async fn settle(&mut self, at: usize, outcome: &Outcome) -> Done {
        let (now, one) = (self.now, &mut self.world.all[at]);
        let settle = Settle {
            delivery: one.id,
            claim: one.claims,
            settlement: Settlement { at: now, outcome: outcome.clone(), body: None },
            state: one.state.next(outcome, one.tries, one.since, &self.retries, 0.0, now),
            tries: one.tries,
            status: None,
        };
        let answer = self.bench.store().settle(settle.clone()).await;
        one.state = settle.state.clone();
        one.settled += 1;
        let (lane, last) = (one.lane, format!("{} {}", one.id, one.attempts - 1));
        if matches!(settle.state, State::Delivered { .. }) {
            self.world.lasts.insert(lane, last);
        }
        self.world.supersede(lane, now);
        if self.calm {
            let once_more = self.bench.store().settle(settle.clone()).await;
            assert_eq!(once_more, Err(StoreError::Overtaken(settle.delivery)));
        }
        answer
    }

    pub(super) async fn overdue(&mut self) -> Done {
        let overdue = self.bench.store().overdue(self.now, 1000).await.expect("an answer");
        let class = Failure::Callback;
        let outcome = Outcome::Retry { class, reason: "nothing came".into(), after: None };
        for at in 0..self.world.all.len() {
            let State::Awaiting { deadline } = self.world.all[at].state else { continue };
            let found = overdue.iter().any(|one| one.delivery.id == self.world.all[at].id);
            assert_eq!(found, deadline <= self.now);
            if found {
                self.settle(at, &outcome).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn replay(&mut self, which: &[Index], gap: u64) -> Done {
        if self.world.all.is_empty() {
            return Ok(());
        }
        let mut asked: Vec<_> = which.iter().map(|which| which.index(self.world.all.len())).collect();
        // Of several that enter a lane together, nobody says which supersedes which.
        let mut entered = BTreeSet::new();
        asked.retain(|at| {
            self.world.all[*at].order() != Order::Latest || entered.insert(self.world.all[*at].lane)
        });
        let mut once = BTreeSet::new();
        asked.retain(|at| once.insert(*at));
        let ids = asked.iter().map(|at| self.world.all[*at].id).collect();
        let (due, gap) = (self.now, Duration::from_secs(gap));
        let answer = self.bench.store().replay(ids, due, gap).await;
        let mut replayed = Vec::new();
        for at in asked {
            let one = &self.world.all[at];
            let newest = self.world.lane(one.lane).filter(|other| other.waits()).map(Modelled::place).max();
            let late = one.order() == Order::Latest && newest.is_some_and(|newest| newest > one.place());
            let under_way = matches!(one.state, State::InFlight { .. } | State::Awaiting { .. });
            // what waits keeps its place
            if under_way || (late && !one.waits()) {
                continue;
            }
            let due = due + gap * u32::try_from(replayed.len()).expect("few");
            let one = &mut self.world.all[at];
            one.state = State::Pending { due };
            one.tries = 0;
            one.since = due;
            replayed.push(one.id);
            let lane = one.lane;
            self.world.supersede(lane, due);
        }
        answer.map(|answer| assert_eq!(answer, replayed))
    }

    pub(super) async fn cancel(&mut self, which: &[Index]) -> Done {
        if self.world.all.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = which.iter().map(|which| which.index(self.world.all.len())).collect();
        let ids = asked.iter().map(|at| self.world.all[*at].id).collect();
        let how = Cancellation { at: self.now, reason: "enough".into(), groups: BTreeMap::new() };
        let answer = self.bench.store().cancel(ids, how.clone()).await;
        let mut cancelled = Vec::new();
        for at in asked {
            let one = &mut self.world.all[at];
            if matches!(one.state, State::Pending { .. } | State::Awaiting { .. } | State::Parked { .. }) {
                one.state = how.state();
                cancelled.push(one.id);
            }
        }
        answer.map(|answer| assert_eq!(answer, cancelled))
    }

    pub(super) async fn subscribe(&mut self, which: &[Index], handler: usize) -> Done {
        if self.world.events.is_empty() {
            return Ok(());
        }
        let mut asked: Vec<_> = which.iter().map(|which| which.index(self.world.events.len())).collect();
        let mut accounts = BTreeSet::new();
        asked.retain(|at| HANDLERS[handler].1 != Order::Latest || accounts.insert(self.world.events[*at].1));
        let rank = |at: usize| self.world.events[at].0.event_time.expect("a time");
        let events = asked.iter().map(|at| (self.world.events[*at].0.id, rank(*at))).collect();
        let (due, gap) = (self.now, Duration::from_secs(3));
        let answer =
            self.bench.store().subscribe(events, self.handler(handler), HANDLERS[handler].1, due, gap).await;
        let mut entered = Vec::new();
        for at in asked {
            let of_event: Vec<_> = self.world.of_event(at).collect();
            let lane = (handler, self.world.events[at].1);
            if of_event.iter().any(|one| one.lane == lane) {
                continue;
            }
            let place = of_event.iter().map(|one| one.seq.1 + 1).max().unwrap_or(0);
            let rank = self.world.events[at].0.event_time.expect("a time");
            let due = due + gap * u32::try_from(entered.len()).expect("few");
            self.world.enter((at, place), rank, lane, due);
            entered.push((at, place));
        }
        if !self.calm {
            return answer.map(drop);
        }
        for (event, _) in &entered {
            self.learn_of(*event).await;
        }
        let id = |seq| self.world.all.iter().find(|one| one.seq == seq).map(|one| one.id);
        let ids: Vec<_> = entered.into_iter().filter_map(id).collect();
        answer.map(|made| assert_eq!(made, ids))
    }
}
