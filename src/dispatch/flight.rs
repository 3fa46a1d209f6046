//! One attempt, from the claim to the record.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::settle::status;
use super::{AttemptEnded, Dispatcher, Health, Route};
use crate::breaker::PORTABILLING;
use crate::callback::Token;
use crate::connector::{Applied, Apply};
use crate::delivery::{Attempt, Failure, Outcome, State};
use crate::enrich::EnrichError;
use crate::store::{Claimed, Record, StoreError};

/// An attempt as it was made.
struct Made {
    applied: Applied,
    pb_data: Option<Box<RawValue>>,
    enrich: Duration,
    connect: Duration,
    /// What it has shown of whom it asked.
    seen: Vec<(String, Seen)>,
}

/// How somebody who was asked was found; as [`Health`], to keep.
enum Seen {
    Well,
    Unwell { reason: String, after: Option<Duration> },
}

/// On its way through the gates, until it is dropped: however the flight ends, even by a mistake.
struct Through<'a> {
    worker: &'a Dispatcher,
    route: &'a Route,
}

impl Drop for Through<'_> {
    fn drop(&mut self) {
        self.worker.gates.end(&self.route.gates());
    }
}

/// One attempt, which is the probe of the breakers that are named.
pub(super) async fn fly(worker: Arc<Dispatcher>, route: Arc<Route>, claimed: Claimed, probing: Vec<String>) {
    let _through = Through { worker: &worker, route: &route };
    attempt_or_release(&worker, &route, claimed).await;
    // Of those that it has shown nothing of, another may.
    for name in probing {
        if let Err(error) = worker.gates.give_up_probe(worker.told(), &name, (worker.now)()).await {
            worker.told().failed(&error);
        }
    }
}

async fn attempt_or_release(worker: &Dispatcher, route: &Route, claimed: Claimed) {
    match worker.gates.open_until(&route.gates()) {
        // A breaker has opened since it was claimed.
        Some(until) => release(worker, &claimed, until).await,
        None => attempt(worker, route, claimed).await,
    }
}

/// Gives it back, however long the store fails: it may have been given back although the answer was lost, so that another
/// gateway has it, and two attempts of one subject would be under way at once. If this process dies first, it is as with any
/// delivery in flight.
async fn release(worker: &Dispatcher, claimed: &Claimed, until: Timestamp) {
    let mut after_failure = worker.settings.store_pause;
    loop {
        match worker.store.release(claimed.delivery.id, claimed.claim, until).await {
            // in the hands of nobody, or of somebody else
            Ok(()) | Err(StoreError::Overtaken(_)) => return,
            Err(error) => {
                worker.store_failed("release", &error);
                if matches!(error, StoreError::Rejected(_)) {
                    return;
                }
            }
        }
        tokio::time::sleep(after_failure.next()).await;
    }
}

async fn attempt(worker: &Dispatcher, route: &Route, claimed: Claimed) {
    let started_at = (worker.now)();
    // Beside the attempt, which it must not hold up; before the record, so that it can't come after the end.
    let ((), made) =
        tokio::join!(announce(worker, route, &claimed, started_at), make(worker, route, &claimed));
    let ended_at = (worker.now)();

    let delivery = &claimed.delivery;
    let number = delivery.attempts + 1;
    let outcome = made.applied.outcome;
    // Behind a breaker that is open it isn't this delivery's fault, and no try of its own.
    let counts = learn(worker, &made.seen, ended_at).await;
    let tries = delivery.tries.saturating_add(u32::from(counts));
    let (retries, jitter) = (&route.handler.retry, (worker.jitter)());
    let state = match counts {
        true => delivery.state.next(&outcome, tries, delivery.since, retries, jitter, ended_at),
        false => delivery.state.next_uncounted(&outcome, tries, retries, jitter, ended_at),
    };
    let sent = matches!(state, State::Delivered { .. } | State::Awaiting { .. });
    let message = reason(&state, &outcome);
    let record = Record {
        delivery: delivery.id,
        claim: claimed.claim,
        attempt: Attempt {
            number,
            started_at,
            ended_at,
            outcome: outcome.clone(),
            request: made.applied.request,
            response: made.applied.response,
            settled: None,
        },
        state: state.clone(),
        tries,
        status: status(&route.handler, &claimed.event, &state, number, message, ended_at),
        last: made.pb_data.filter(|_| sent).map(|data| data.get().to_owned()),
    };
    let before = Instant::now();
    if !keep(worker, &route.handler.name, record).await {
        return;
    }
    worker.observer.attempt_ended(&AttemptEnded {
        handler: &route.handler.name,
        event: &claimed.event,
        attempt: number,
        outcome: &outcome,
        state: &state,
        enrich: made.enrich,
        connect: made.connect,
        record: before.elapsed(),
        since_accepted: Duration::try_from((worker.now)().duration_since(delivery.accepted_at))
            .unwrap_or_default(),
    });
}

/// What the attempt has shown of those whom it asked, for their breakers; answers whether all of them are closed.
async fn learn(worker: &Dispatcher, seen: &[(String, Seen)], now: Timestamp) -> bool {
    let mut closed = true;
    for (name, seen) in seen {
        let health = match seen {
            Seen::Well => Health::Well,
            Seen::Unwell { reason, after } => Health::Unwell { reason, after: *after },
        };
        worker.gates.learn(worker.told(), name, health, now).await;
        closed &= worker.gates.is_closed(name);
    }
    closed
}

/// Says that the first attempt has started. Nice to have: if it fails, the end says more.
async fn announce(worker: &Dispatcher, route: &Route, claimed: &Claimed, now: Timestamp) {
    let Claimed { delivery, event, .. } = claimed;
    if !worker.settings.announce {
        return;
    }
    let status = status(&route.handler, event, &delivery.state, delivery.attempts, None, now);
    let Some(status) = status else { return };
    match worker.store.announce(delivery.id, claimed.claim, status).await {
        Ok(()) => worker.status_nudge.notify_one(),
        Err(error) => worker.store_failed("announce", &error),
    }
}

/// What whoever looks at the status is told: why it was given up, else why it failed.
fn reason<'a>(state: &'a State, outcome: &'a Outcome) -> Option<&'a str> {
    match state {
        State::Parked { reason, .. } => Some(reason),
        _ => outcome.reason(),
    }
}

/// What is known of an attempt wherever it is broken off.
#[derive(Default)]
struct Trail {
    seen: Vec<(String, Seen)>,
    /// Who is being asked, and since when.
    asking: Option<(Asked, Instant)>,
    enrich: Duration,
    connect: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    PortaBilling,
    System,
}

impl Trail {
    fn ask(&mut self, whom: Asked) {
        self.asking = Some((whom, Instant::now()));
    }

    /// Nobody is being asked any more; answers who was.
    fn answered(&mut self) -> Option<Asked> {
        let (whom, since) = self.asking.take()?;
        match whom {
            Asked::PortaBilling => self.enrich = since.elapsed(),
            Asked::System => self.connect = since.elapsed(),
        }
        Some(whom)
    }

    /// The time is over: whoever was being asked is unwell.
    fn hung(&mut self, route: &Route, limit: Duration) -> Outcome {
        let after = format!("when the time for an attempt was over ({} s)", limit.as_secs());
        let (gate, class, reason) = match self.answered() {
            Some(Asked::PortaBilling) => {
                let reason = format!("nothing from PortaBilling {after}; the external system was not asked");
                (PORTABILLING, Failure::PortaBilling, reason)
            }
            Some(Asked::System) | None => {
                let reason =
                    format!("nothing from the external system {after}; it may have been carried out");
                (route.gate.as_str(), Failure::Unreachable, reason)
            }
        };
        self.seen.push((gate.to_owned(), Seen::Unwell { reason: reason.clone(), after: None }));
        Outcome::Retry { class, reason, after: None }
    }

    fn ended(self, applied: Applied, pb_data: Option<Box<RawValue>>) -> Made {
        let Self { seen, enrich, connect, .. } = self;
        Made { applied, pb_data, enrich, connect, seen }
    }
}

/// Fetches and applies, within the time that an attempt may take; a bug in a connector costs this attempt, not the worker.
async fn make(worker: &Dispatcher, route: &Route, claimed: &Claimed) -> Made {
    let mut trail = Trail::default();
    let attempt = AssertUnwindSafe(fetch_and_apply(worker, route, claimed, &mut trail)).catch_unwind();
    let limit = worker.settings.attempt_max;
    let outcome = match tokio::time::timeout(limit, attempt).await {
        Ok(Ok((applied, pb_data))) => return trail.ended(applied, pb_data),
        Ok(Err(_)) => {
            trail.answered();
            let reason = "a mistake in the gateway broke it off; it may have been carried out".to_owned();
            Outcome::Retry { class: Failure::Interrupted, reason, after: None }
        }
        Err(_) => trail.hung(route, limit),
    };
    trail.ended(Applied { outcome, request: None, response: None }, None)
}

async fn fetch_and_apply(
    worker: &Dispatcher,
    route: &Route,
    claimed: &Claimed,
    trail: &mut Trail,
) -> (Applied, Option<Box<RawValue>>) {
    let Claimed { delivery, claim, event, last } = claimed;
    let pb_data = match route.handler.fetch.as_slice() {
        [] => None,
        wanted => {
            trail.ask(Asked::PortaBilling);
            let fetched = worker.enrich.pb_data(event, wanted, last.as_deref(), (worker.now)()).await;
            trail.answered();
            trail.seen.push((PORTABILLING.to_owned(), seen_of_portabilling(&fetched)));
            match fetched {
                Ok(pb_data) => pb_data,
                Err(error) => {
                    let outcome = without_data(error);
                    return (Applied { outcome, request: None, response: None }, None);
                }
            }
        }
    };
    let token = Token { delivery: delivery.id, claim: *claim };
    let callback = worker.callbacks.as_ref().map(|to| format!("{}/{}", to.url, to.tokens.write(token)));
    trail.ask(Asked::System);
    let applied = route
        .connector
        .apply(Apply {
            delivery: delivery.id,
            attempt: delivery.attempts + 1,
            handler: &route.handler.name,
            event,
            pb_data: pb_data.as_deref(),
            callback: callback.as_deref(),
            created_at: delivery.accepted_at,
            now: (worker.now)(),
        })
        .await;
    trail.answered();
    trail.seen.push((route.gate.clone(), seen_of(&applied.outcome)));
    (applied, pb_data)
}

fn seen_of_portabilling<T>(fetched: &Result<T, EnrichError>) -> Seen {
    match fetched {
        Err(EnrichError { reason, outage: true, after, .. }) => {
            Seen::Unwell { reason: reason.clone(), after: *after }
        }
        _ => Seen::Well,
    }
}

fn seen_of(outcome: &Outcome) -> Seen {
    match outcome {
        Outcome::Retry { class, reason, after } if class.is_outage() => {
            Seen::Unwell { reason: reason.clone(), after: *after }
        }
        _ => Seen::Well,
    }
}

fn without_data(error: EnrichError) -> Outcome {
    let EnrichError { reason, retryable, after, .. } = error;
    match retryable {
        true => Outcome::Retry { class: Failure::PortaBilling, reason, after },
        false => Outcome::Refused { reason },
    }
}

/// Keeps the record however long the store fails: as long as this process lives, an outcome isn't lost. If the process dies first,
/// the delivery is attempted again, under the same id. Answers whether it is kept; if not, it counts for nothing.
async fn keep(worker: &Dispatcher, handler: &str, record: Record) -> bool {
    let mut after_failure = worker.settings.store_pause;
    loop {
        match worker.store.record(record.clone()).await {
            Ok(()) => break,
            // nothing has failed: a lease has run out, or a callback was quicker
            Err(error @ StoreError::Overtaken(_)) => {
                tracing::warn!(%error, "what came of an attempt isn't recorded: whoever has the delivery now goes on");
                worker.observer.attempt_overtaken(handler);
                return false;
            }
            Err(error) => {
                worker.store_failed("record", &error);
                if matches!(error, StoreError::Rejected(_)) {
                    return false;
                }
            }
        }
        tokio::time::sleep(after_failure.next()).await;
    }
    if record.status.is_some() {
        worker.status_nudge.notify_one();
    }
    true
}
