//! The way of an event: accepted, claimed, recorded, released.

use proptest::sample::Index;

use super::world::Ghost;
use super::*;
use crate::delivery::State;

impl<B: Frail> Model<'_, B> {
    pub(super) async fn accept(&mut self, account: u32, handlers: usize, ago: i64) -> Done {
        self.offered += 1;
        let i_event = Some(i64::from(self.case) * 1000 + self.offered);
        let rank = self.now - SignedDuration::from_secs(ago);
        let made = Event { event_time: Some(rank), ..event(i_event, self.account(account), self.now) };
        let wanted: Vec<_> = (0..HANDLERS.len()).filter(|handler| handlers & (1 << handler) != 0).collect();
        let subscription = |handler: &usize| Subscription {
            handler: self.handler(*handler),
            order: HANDLERS[*handler].1,
            rank,
        };
        let subscriptions = wanted.iter().map(subscription).collect();
        let arrived = Ghost { event: made.clone(), account, handlers: wanted };
        self.ghosts.iter_mut().for_each(|ghost| ghost.arrive(arrived.clone()));
        self.world.arrive(arrived);
        let id = made.id;
        let answer = self.bench.store().accept(made, subscriptions).await;
        answer.map(|answer| assert_eq!(answer, Accepted::New(id)))
    }

    /// Takes the store's ids, as far as they are needed: whoever looks has what was accepted filed.
    pub(super) async fn learn(&mut self) {
        for event in 0..self.world.events.len() {
            if !self.world.is_known(event) {
                self.learn_of(event).await;
            }
        }
    }

    pub(super) async fn learn_of(&mut self, event: usize) {
        let id = self.world.events[event].0.id;
        let detail = self.bench.store().event(id).await.expect("an answer").expect("the event");
        assert_eq!(detail.deliveries.len(), self.world.of_event(event).count());
        self.world.learn(event, detail.deliveries.iter().map(|(delivery, _)| delivery.id));
    }

    pub(super) async fn accept_again(&mut self, which: Index) -> Done {
        if self.world.events.is_empty() {
            return Ok(());
        }
        let first = which.get(&self.world.events).0.clone();
        let again = Event { id: EventId::at(self.now), received_at: self.now, ..first.clone() };
        let answer = self.bench.store().accept(again, to(&self.handler(0))).await;
        answer.map(|answer| assert_eq!(answer, Accepted::Duplicate(first.id)))
    }

    pub(super) async fn claim(&mut self, handler: usize, limit: usize) -> Done {
        let heads = self.world.heads(handler);
        let want = want(&self.handler(handler), limit);
        // not always: whoever asks has what was recorded last put in order
        if self.calm && self.offered % 2 == 0 {
            self.look_ahead(handler).await;
        }
        let due: Vec<_> = heads.into_iter().take_while(|(due, ..)| *due <= self.now).collect();
        let answer = self.bench.store().claim(self.now, want).await;
        let due = match &answer {
            Ok(claimed) => self.are_next(handler, limit, &due, claimed),
            Err(_) => due.into_iter().take(limit).map(|(_, seq)| seq).collect(),
        };
        let events = self.world.events.len();
        for seq in &due {
            let one = self.world.all.iter_mut().find(|one| one.seq == *seq).expect("it");
            if let State::Pending { due } = one.state {
                (one.claimed, one.unsure) = (Some((due, events)), vec![]);
            }
            one.state = State::InFlight { since: self.now };
            let Ok(claimed) = &answer else {
                one.doubtful += 1;
                continue;
            };
            let Claimed { delivery, claim, last, .. } =
                claimed.iter().find(|claimed| claimed.delivery.id == one.id).expect("claimed");
            let claims = one.claims + 1..=one.claims + 1 + one.doubtful;
            assert!(claims.contains(claim), "{claim} isn't in {claims:?}");
            (one.claims, one.doubtful) = (*claim, 0);
            assert_eq!((delivery.attempts, delivery.tries), (one.attempts, one.tries));
            assert_eq!(delivery.state, one.state);
            assert_eq!(last.as_ref(), self.world.lasts.get(&one.lane));
        }
        answer.map(drop)
    }

    /// Asks when the next is due; from now on that is the next.
    pub(super) async fn look_ahead(&mut self, handler: usize) {
        let want = want(&self.handler(handler), 1);
        let next = self.bench.store().next_due(want).await.expect("an answer");
        assert_eq!(next, self.world.heads(handler).first().map(|(due, ..)| *due));
        self.freed.retain(|lane| lane.0 != handler);
    }

    /// What was claimed must be as many as wanted, of those that are `due`, and those that are due longest; but what waits behind
    /// one that was recorded since may come later, if there is enough else. Answers which those are.
    fn are_next(
        &mut self,
        handler: usize,
        limit: usize,
        due: &[(Timestamp, (usize, usize))],
        claimed: &[Claimed],
    ) -> Vec<(usize, usize)> {
        for one in claimed {
            self.world.learn_of(&one.delivery);
            self.ghosts.iter_mut().for_each(|ghost| ghost.learn_of(&one.delivery));
        }
        let mut seqs: Vec<_> = claimed.iter().filter_map(|one| self.world.seq_of(&one.delivery)).collect();
        let lane = |seq| self.world.all.iter().find(|one| one.seq == seq).map(|one| one.lane);
        let may_be_left = |seq| lane(seq).is_some_and(|lane| self.freed.contains(&lane));
        let left = due.iter().filter(|(_, seq)| !seqs.contains(seq) && may_be_left(*seq));
        let left = left.take(due.len().saturating_sub(limit)).collect::<Vec<_>>();
        let next = due.iter().filter(|one| !left.contains(one)).take(limit);
        let next: Vec<_> = next.map(|(_, seq)| *seq).collect();
        // one that is answered only when it is asked again doesn't know any more what was due longest
        if !self.calm {
            seqs.sort_by_key(|seq| next.iter().position(|one| one == seq));
        }
        assert_eq!(seqs, next);
        if due.len() < limit {
            self.freed.retain(|lane| lane.0 != handler);
        }
        next
    }

    pub(super) async fn end(&mut self, which: Index, outcome: &Outcome) -> Done {
        let Some(at) = self.world.pick(which, |state| matches!(state, State::InFlight { .. })) else {
            return Ok(());
        };
        let record = self.record(at, outcome);
        let stale = Record { claim: record.claim - 1, ..record.clone() };
        let answer = self.bench.store().record(record.clone()).await;
        // what was not done when something went wrong is still not done, or is
        for world in std::iter::once(&mut self.world).chain(&mut self.ghosts) {
            world.end(&record, self.now);
        }
        if answer.is_err() {
            self.world.all[at].unsure.push(record.clone());
        }
        if B::TAKES_ITS_TIME {
            self.freed.insert(self.world.all[at].lane);
        }
        // not always: whoever is refused has everything put in order
        if self.calm && self.told.get() % 3 == 0 {
            let answer = self.bench.store().record(stale).await;
            assert_eq!(answer, Err(StoreError::Overtaken(record.delivery)));
        }
        self.world.recorded.push(record);
        answer
    }

    /// The end of an attempt, as whoever has it in hand would have it recorded.
    pub(super) fn record(&self, at: usize, outcome: &Outcome) -> Record {
        let (now, one) = (self.now, &self.world.all[at]);
        let tries = one.tries + 1;
        let state = one.state.next(outcome, tries, one.since, &self.retries, 0.0, now);
        let (_, account) = self.world.events[one.seq.0];
        // which of them came last isn't for the times to say
        self.told.set(self.told.get() + 1);
        let status = state.status(one.attempts + 1).map(|value| Status {
            i_account: self.account(account).into(),
            group: format!("g{}", self.case),
            value,
            message: Some(self.told.get().to_string()),
            // an earlier time may come later
            at: one.rank,
        });
        let outcome = outcome.clone();
        let attempt = Attempt {
            number: one.attempts + 1,
            started_at: now,
            ended_at: now,
            outcome,
            request: None,
            response: None,
            settled: None,
        };
        let last = Some(format!("{} {}", one.id, one.attempts));
        Record { delivery: one.id, claim: one.claims, attempt, state, tries, status, last }
    }

    /// An outcome that was recorded before is recorded once more.
    pub(super) async fn end_again(&mut self, which: Index) -> Done {
        if self.world.recorded.is_empty() {
            return Ok(());
        }
        let record = which.get(&self.world.recorded).clone();
        self.bench.store().record(record).await
    }

    pub(super) async fn release(&mut self, which: Index, seconds: i64) -> Done {
        let Some(at) = self.world.pick(which, |state| matches!(state, State::InFlight { .. })) else {
            return Ok(());
        };
        let due = self.now + SignedDuration::from_secs(seconds);
        let one = &mut self.world.all[at];
        let State::InFlight { since } = one.state else { return Ok(()) };
        let answer = self.bench.store().release(one.id, one.claims, due).await;
        one.state = State::Pending { due };
        let lane = one.lane;
        self.world.supersede(lane, since);
        answer
    }
}
