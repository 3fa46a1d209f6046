//! What lies between the deliveries and a system that is asked for them: its breaker, its pace, its number in flight.
//!
//! There is one for each connector and one for PortaBilling. What a breaker says is kept in the store, for the next start and
//! for other gateways; the failures in a row that lead there are counted here.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Observer;
use super::pace::Pace;
use crate::breaker::{Breaker, BreakerSettings, BreakerState};
use crate::store::{Store, StoreError};

/// What a system may be asked at most.
#[derive(Debug, Clone, PartialEq)]
pub struct GateSettings {
    /// How many deliveries are in flight to it at most, over all handlers; 32.
    pub max_in_flight: usize,
    /// How many begin per second at most, on average; none: any number.
    pub per_second: Option<f64>,
    /// When it is left alone.
    pub breaker: BreakerSettings,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self { max_in_flight: 32, per_second: None, breaker: BreakerSettings::default() }
    }
}

/// All gates, by the names of their breakers.
#[derive(Debug)]
pub(crate) struct Gates(Mutex<BTreeMap<String, Gate>>);

#[derive(Debug)]
struct Gate {
    settings: GateSettings,
    pace: Option<Pace>,
    breaker: Breaker,
    /// Failures in a row.
    failures: u32,
    in_flight: usize,
}

/// Who is told of a breaker that changes: the store, then whoever counts.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) observer: &'a dyn Observer,
}

impl Told<'_> {
    pub(super) fn failed(self, error: &StoreError) {
        tracing::error!(verb = "put_breaker", %error, "the store failed");
        self.observer.store_failed("put_breaker", error);
    }
}

/// What an attempt says of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health<'a> {
    /// It answered, whatever it said.
    Well,
    /// It is unwell.
    Unwell {
        /// Why.
        reason: &'a str,
        /// What it asked for with `Retry-After`.
        after: Option<Duration>,
    },
}

impl Gates {
    pub(super) fn new(settings: BTreeMap<String, GateSettings>) -> Self {
        let gate = |(name, settings): (String, GateSettings)| {
            let gate = Gate {
                pace: settings.per_second.map(Pace::new),
                breaker: Breaker::closed(name.clone()),
                failures: 0,
                in_flight: 0,
                settings,
            };
            (name, gate)
        };
        Self(Mutex::new(settings.into_iter().map(gate).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Gate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns what the store says, another gateway may have said it. Answers those that stand otherwise than before.
    pub(super) async fn refresh(&self, store: &dyn Store) -> Result<Vec<Breaker>, StoreError> {
        let kept = store.breakers().await?;
        let mut gates = self.lock();
        let changed = |breaker: &Breaker| {
            let gate = gates.get_mut(&breaker.name);
            gate.and_then(|gate| gate.learn(breaker.clone())) == Some(Learnt::Changed)
        };
        Ok(kept.into_iter().filter(changed).collect())
    }

    /// How many more may begin through all of these now.
    pub(super) fn room(&self, names: &[&str], now: Timestamp) -> usize {
        let mut gates = self.lock();
        let rooms = names.iter().filter_map(|name| gates.get_mut(*name).map(|gate| gate.room(now)));
        rooms.min().unwrap_or(usize::MAX)
    }

    /// How long until one of these that keeps its pace lets another one through.
    pub(super) fn pause(&self) -> Option<Duration> {
        let gates = self.lock();
        let paces = gates.values().filter(|gate| gate.breaker.state == BreakerState::Closed);
        paces.filter_map(|gate| gate.pace.as_ref().map(Pace::pause)).filter(|pause| !pause.is_zero()).min()
    }

    /// Of a way through these: those that a probe of it would test, half open, in the order given. None where all are
    /// closed, and where it would come to one that is to be left alone yet.
    pub(super) fn to_probe(&self, names: &[&str], now: Timestamp) -> Vec<Breaker> {
        let gates = self.lock();
        let shut = names.iter().filter_map(|name| gates.get(*name));
        let shut = shut.filter(|gate| gate.breaker.state != BreakerState::Closed);
        let probing: Option<Vec<_>> =
            shut.map(|gate| gate.breaker.probing(&gate.settings.breaker, now)).collect();
        probing.unwrap_or_default()
    }

    /// How many may be in flight at a time through this one, of `max`: for those who count for themselves.
    pub(crate) fn allows(&self, name: &str, max: usize, now: Timestamp) -> usize {
        let gates = self.lock();
        gates.get(name).map_or(max, |gate| gate.breaker.allows(max, &gate.settings.breaker, now))
    }

    pub(crate) fn is_closed(&self, name: &str) -> bool {
        self.lock().get(name).is_none_or(|gate| gate.breaker.state == BreakerState::Closed)
    }

    /// How long this one is asked to be left alone with `Retry-After`, as far as its breaker would heed that.
    pub(crate) fn bounded(&self, name: &str, after: Option<Duration>) -> Duration {
        let longest =
            self.lock().get(name).map_or(Duration::ZERO, |gate| gate.settings.breaker.longest_pause());
        after.unwrap_or_default().min(longest)
    }

    /// Until when one of these is open.
    pub(super) fn open_until(&self, names: &[&str]) -> Option<Timestamp> {
        let gates = self.lock();
        let until = |name: &&str| match gates.get(*name)?.breaker.state {
            BreakerState::Open { until } => Some(until),
            BreakerState::Closed | BreakerState::HalfOpen { .. } => None,
        };
        names.iter().filter_map(until).max()
    }

    pub(super) fn begin(&self, names: &[&str]) {
        let mut gates = self.lock();
        for name in names {
            if let Some(gate) = gates.get_mut(*name) {
                gate.in_flight += 1;
                if let Some(pace) = &mut gate.pace {
                    pace.take(1);
                }
            }
        }
    }

    pub(super) fn end(&self, names: &[&str]) {
        let mut gates = self.lock();
        for name in names {
            if let Some(gate) = gates.get_mut(*name) {
                gate.in_flight = gate.in_flight.saturating_sub(1);
            }
        }
    }

    /// A probe of this one is over: if it has shown nothing, the next who has something may try, after a pause.
    pub(crate) async fn give_up_probe(
        &self,
        told: Told<'_>,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let change =
            self.lock().get(name).and_then(|gate| gate.breaker.unprobed(&gate.settings.breaker, now));
        match change {
            Some(change) => self.change(told, change).await.map(drop),
            None => Ok(()),
        }
    }

    /// What an attempt has shown; answers how the breaker is to be changed, if it is.
    fn saw(&self, name: &str, health: Health<'_>, now: Timestamp) -> Option<Breaker> {
        let mut gates = self.lock();
        let gate = gates.get_mut(name)?;
        match health {
            Health::Well => {
                gate.failures = 0;
                gate.breaker.worked(&gate.settings.breaker, now)
            }
            Health::Unwell { reason, after } => {
                gate.failures = gate.failures.saturating_add(1);
                gate.breaker.failed(gate.failures, reason, after, &gate.settings.breaker, now)
            }
        }
    }

    /// What somebody who was asked has shown, for its breaker. If the store fails, the next answer shows the same.
    pub(crate) async fn learn(&self, told: Told<'_>, name: &str, health: Health<'_>, now: Timestamp) {
        if let Some(change) = self.saw(name, health, now)
            && let Err(error) = self.change(told, change).await
        {
            told.failed(&error);
        }
    }

    /// Takes the probe that is due for this one, if it is; answers whether whoever asks is to make it.
    pub(crate) async fn probe(&self, told: Told<'_>, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        match self.to_probe(&[name], now).pop() {
            Some(probing) => self.change(told, probing).await,
            None => Ok(false),
        }
    }

    /// Keeps a change and tells of it; answers whether it was the first to say so. Otherwise it learns what another gateway
    /// said.
    pub(super) async fn change(&self, told: Told<'_>, breaker: Breaker) -> Result<bool, StoreError> {
        if !told.store.put_breaker(breaker.clone()).await? {
            self.refresh(told.store).await?;
            return Ok(false);
        }
        let learnt = self.lock().get_mut(&breaker.name).and_then(|gate| gate.learn(breaker.clone()));
        if learnt == Some(Learnt::Changed) {
            told.observer.breaker_changed(&breaker);
        }
        Ok(learnt.is_some())
    }
}

/// What is new about a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Learnt {
    /// It stands otherwise than before.
    Changed,
    /// It stands as it did: nothing to tell anybody of.
    Noted,
}

impl Gate {
    /// Answers what was new; none: it was known.
    fn learn(&mut self, breaker: Breaker) -> Option<Learnt> {
        if breaker.version <= self.breaker.version {
            return None;
        }
        let changed = breaker.state != self.breaker.state;
        if changed {
            self.failures = 0;
        }
        self.breaker = breaker;
        Some(if changed { Learnt::Changed } else { Learnt::Noted })
    }

    fn room(&mut self, now: Timestamp) -> usize {
        let max = self.settings.max_in_flight.max(1);
        let allowed = self.breaker.allows(max, &self.settings.breaker, now).saturating_sub(self.in_flight);
        match &mut self.pace {
            Some(pace) => allowed.min(pace.room(now)),
            None => allowed,
        }
    }
}
