//! Steps during which something goes wrong, and what may be found afterwards.

use std::collections::BTreeMap;
use std::fmt;

use super::world::{Found, Ghost, Modelled};
use super::*;
use crate::delivery::State;

/// How often what was tried, and how often it went wrong before the step had ended.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, (u32, u32)>);

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, (tried, struck))) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(formatter, "{comma}{name} {struck} of {tried}")?;
        }
        Ok(())
    }
}

/// Says where two differ.
fn same<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, not {expected:?}")) }
}

impl<B: Frail> Model<'_, B> {
    /// Takes a step during which something goes wrong, or after it.
    pub(super) async fn trouble(&mut self, trouble: Trouble, step: Step, tally: &mut Tally) {
        // of a claim whose answer gets lost nobody is told
        if step.names() || matches!(step, Step::Claim { .. }) {
            self.learn().await;
        }
        // nor which those were, unless nothing else could come before them
        if let Step::Claim { handler, .. } = step {
            self.look_ahead(handler).await;
        }
        let before = self.world.clone();
        let name = self.bench.strike(trouble).await;
        self.calm = false;
        let answer = self.step(step.clone()).await;
        self.calm = true;
        let (struck, flights) = self.bench.pass(self.now).await;
        let interrupted = flights != Flights::GoOn;
        let (tried, hit) = tally.0.entry(name).or_default();
        (*tried, *hit) = (*tried + 1, *hit + u32::from(struck));
        let after = self.world.clone();
        let arrives = step.arrives();
        let in_hand: Vec<_> = before.all.iter().filter(|one| one.flies()).map(|one| one.id).collect();
        let stale = self.would_record(&before);

        let mut possible = vec![after.clone()];
        match &answer {
            Ok(()) => {}
            Err(StoreError::Unavailable | StoreError::Failed(_)) => {
                possible.push(self.given_back(&in_hand));
                possible.push(self.undone(before.clone()));
            }
            Err(error) => panic!("{name}, {step:?}: {error}"),
        }
        if interrupted {
            let mut found = self.look_for(&possible).await;
            found.forgets = flights == Flights::PerhapsForgotten;
            possible = self.begin_anew(possible, &found);
        }
        if let Err(differ) = self.find(possible).await {
            panic!("{name}, {step:?} answered {answer:?}, and then:\n{differ}");
        }
        match answer {
            Err(_) if !interrupted && !arrives => self.ghosts.push(after),
            Ok(()) if !arrives && !self.world.is_as(&before) => self.ghosts.clear(),
            _ => {}
        }
        self.is_refused(interrupted, stale).await;
    }

    /// Whoever had something in hand is gone, and the store is opened again: what may be in it, by what is `found`.
    pub(super) fn begin_anew(&mut self, mut possible: Vec<World>, found: &Found) -> Vec<World> {
        possible.append(&mut self.ghosts);
        possible.iter().flat_map(|world| world.begin_anew(self.now, found)).collect()
    }

    /// What the store has of those that may have been in flight.
    pub(super) async fn look_for(&self, possible: &[World]) -> Found {
        let mut found = Found::default();
        let worlds = possible.iter().chain(&self.ghosts);
        for one in worlds.flat_map(|world| &world.all).filter(|one| one.flies()) {
            if let Some(detail) = self.bench.store().delivery(one.id).await.expect("an answer") {
                let Delivery { attempts, tries, state, .. } = detail.delivery;
                found.stands.insert(one.id, (attempts, tries, state));
            }
        }
        found
    }

    /// The claims that the step may have made are ended, since nobody knows of them: there was no attempt.
    fn given_back(&self, in_hand: &[DeliveryId]) -> World {
        let mut world = self.world.clone();
        let mut lanes = Vec::new();
        for one in world.all.iter_mut().filter(|one| one.flies() && !in_hand.contains(&one.id)) {
            one.state = State::Pending { due: self.now };
            lanes.push(one.lane);
        }
        lanes.into_iter().for_each(|lane| world.supersede(lane, self.now));
        world
    }

    /// As it was, as far as anybody can see: claims may have been made and ended, and an event may turn up later.
    fn undone(&self, mut before: World) -> World {
        for (one, after) in before.all.iter_mut().zip(&self.world.all) {
            one.doubtful = after.doubtful;
            one.unsure.clone_from(&after.unsure);
        }
        if let Some((event, account)) = self.world.events.get(before.events.len()) {
            let handlers = self.world.of_event(before.events.len()).map(|one| one.lane.0).collect();
            before.ghosts.push(Ghost { event: event.clone(), account: *account, handlers });
        }
        before
    }

    /// What those would record that have something in hand.
    fn would_record(&self, before: &World) -> Option<Record> {
        let at = before.all.iter().position(Modelled::flies)?;
        let still = self.world.all[at].flies();
        still.then(|| {
            let mut record = self.record(at, &Outcome::Delivered);
            // that of the interruption ended when that was
            record.attempt.ended_at += SignedDuration::from_secs(1);
            record
        })
    }

    /// What they record that were interrupted doesn't count.
    async fn is_refused(&self, interrupted: bool, stale: Option<Record>) {
        if let Some(stale) = stale.filter(|_| interrupted) {
            let delivery = stale.delivery;
            let answer = self.bench.store().record(stale).await;
            assert_eq!(answer, Err(StoreError::Overtaken(delivery)));
        }
    }

    /// Goes on with the first of these that the store agrees with.
    pub(super) async fn find(&mut self, possible: Vec<World>) -> Result<(), String> {
        let mut differences = Vec::new();
        for mut world in possible {
            match self.learn_and_agree(&mut world).await {
                Ok(()) => {
                    self.world = world;
                    return Ok(());
                }
                Err(differs) => differences.push(differs),
            }
        }
        Err(differences.join("\n"))
    }

    async fn learn_and_agree(&self, world: &mut World) -> Result<(), String> {
        for at in 0..world.events.len() {
            let id = world.events[at].0.id;
            let detail = self.bench.store().event(id).await.expect("an answer");
            let detail = detail.ok_or_else(|| format!("event {at} isn't there"))?;
            same("deliveries", &detail.deliveries.len(), &world.of_event(at).count())?;
            world.learn(at, detail.deliveries.iter().map(|(delivery, _)| delivery.id));
        }
        self.agree(world).await
    }

    /// What the store has must be what the world has: each event, each delivery, each attempt.
    pub(super) async fn agree(&self, world: &World) -> Result<(), String> {
        let mut seen = 0;
        for (at, (event, _)) in world.events.iter().enumerate() {
            let detail = self.bench.store().event(event.id).await.expect("an answer");
            let detail = detail.ok_or_else(|| format!("event {at} isn't there"))?;
            same("an event", &detail.event, event)?;
            for (delivery, attempts) in detail.deliveries {
                let one = world.all.iter().find(|one| one.id == delivery.id).ok_or("a delivery too many")?;
                let what = format!("delivery {:?}", one.seq);
                same(&what, &delivery.state, &one.state)?;
                let Delivery { attempts: number, tries, since, .. } = delivery;
                same(&what, &(number, tries, since), &(one.attempts, one.tries, one.since))?;
                let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
                same(&what, &numbers, &(1..=one.attempts).collect())?;
                let settled = attempts.iter().filter(|one| one.settled.is_some()).count();
                same(&what, &settled, &one.settled)?;
                seen += 1;
            }
        }
        same("deliveries", &seen, &world.all.len())?;
        self.agree_on_numbers(world).await?;
        self.agree_on_lasts(world).await?;
        let pauses = self.bench.store().pauses().await.expect("an answer");
        for what in 0..8 {
            let found = pauses.iter().any(|pause| pause.scope == self.scope(what));
            same("a pause", &found, &world.paused.contains(&what))?;
        }
        Ok(())
    }

    async fn agree_on_numbers(&self, world: &World) -> Result<(), String> {
        let backlog = self.bench.store().backlog().await.expect("an answer");
        for handler in 0..HANDLERS.len() {
            let counted = |word: &str| {
                let of_handler =
                    world.all.iter().filter(|one| one.lane.0 == handler && one.state.word() == word);
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
            same("numbers", &tallied, &State::WORDS.map(counted))?;
        }
        Ok(())
    }

    async fn agree_on_lasts(&self, world: &World) -> Result<(), String> {
        for handler in 0..HANDLERS.len() {
            for account in 0..3 {
                let subjects = vec![subject(self.account(account))];
                let found = self.bench.store().lasts(self.handler(handler), subjects).await;
                let found = found.expect("an answer").pop().map(|last| last.pb_data);
                same("what was delivered last", &found, &world.lasts.get(&(handler, account)).cloned())?;
            }
        }
        Ok(())
    }

    /// The newest status of each account is to be written back, once.
    pub(super) async fn statuses(&self) {
        let group = format!("g{}", self.case);
        let later = self.now + SignedDuration::from_hours(1);
        let jobs = self.bench.store().claim_statuses(later, 1000).await.expect("claimed");
        let ours: Vec<_> = jobs.iter().filter(|job| job.status.group == group).collect();
        let mut found: Vec<_> = ours.iter().map(|job| job.status.clone()).collect();
        found.sort_by_key(|status| status.i_account);
        assert_eq!(found, self.world.statuses.values().cloned().collect::<Vec<_>>());
        for job in jobs {
            self.bench.store().finish_status(&job, StatusEnd::Written, later).await.expect("finished");
        }
    }
}
