//! One attempt, from the claim to the record.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{AttemptEnded, Dispatcher, Route};
use crate::connector::{Applied, Apply};
use crate::delivery::{Attempt, Outcome, State};
use crate::enrich::EnrichError;
use crate::store::{Claimed, Record, Status, StoreError};

/// An attempt as it was made.
struct Made {
    applied: Applied,
    pb_data: Option<Box<RawValue>>,
    enrich: Duration,
    connect: Duration,
}

pub(super) async fn fly(worker: Arc<Dispatcher>, route: Arc<Route>, claimed: Claimed) {
    let started_at = (worker.now)();
    // Beside the attempt, which it must not hold up; before the record, so that it can't come after the end.
    let ((), made) =
        tokio::join!(announce(&worker, &route, &claimed, started_at), make(&worker, &route, &claimed));
    let ended_at = (worker.now)();

    let delivery = &claimed.delivery;
    let number = delivery.attempts + 1;
    let outcome = made.applied.outcome;
    let state = delivery.state.next(
        &outcome,
        number,
        delivery.accepted_at,
        &route.handler.retry,
        (worker.jitter)(),
        ended_at,
    );
    let delivered = matches!(state, State::Delivered { .. });
    let record = Record {
        delivery: delivery.id,
        attempt: Attempt {
            number,
            started_at,
            ended_at,
            outcome: outcome.clone(),
            request: made.applied.request,
            response: made.applied.response,
        },
        state: state.clone(),
        status: status(&route, &claimed, &state, number, reason(&state, &outcome), ended_at),
        last: made.pb_data.filter(|_| delivered).map(|data| data.get().to_owned()),
    };
    let before = Instant::now();
    keep(&worker, record).await;
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

/// Says that the first attempt has started. Nice to have: if it fails, the end says more.
async fn announce(worker: &Dispatcher, route: &Route, claimed: &Claimed, now: Timestamp) {
    let delivery = &claimed.delivery;
    if !worker.settings.announce {
        return;
    }
    let Some(status) = status(route, claimed, &delivery.state, delivery.attempts, None, now) else { return };
    match worker.store.put_status(status).await {
        Ok(()) => worker.status_nudge.notify_one(),
        Err(error) => worker.store_failed("put_status", &error),
    }
}

/// Only accounts have a status, and only in the handler's service group (ESPF).
fn status(
    route: &Route,
    claimed: &Claimed,
    state: &State,
    attempts: u32,
    reason: Option<&str>,
    at: Timestamp,
) -> Option<Status> {
    Some(Status {
        i_account: claimed.event.i_account()?,
        group: route.handler.service_group.clone()?,
        value: state.status(attempts)?,
        message: reason.map(str::to_owned),
        at,
    })
}

/// What whoever looks at the status is told: why it was given up, else why it failed.
fn reason<'a>(state: &'a State, outcome: &'a Outcome) -> Option<&'a str> {
    match state {
        State::Parked { reason, .. } => Some(reason),
        _ => outcome.reason(),
    }
}

/// Fetches and applies, within the time that an attempt may take; a bug in a connector costs this attempt, not the worker.
async fn make(worker: &Dispatcher, route: &Route, claimed: &Claimed) -> Made {
    let attempt = AssertUnwindSafe(fetch_and_apply(worker, route, claimed)).catch_unwind();
    let limit = worker.settings.attempt_max;
    match tokio::time::timeout(limit, attempt).await {
        Ok(Ok(made)) => made,
        Ok(Err(_)) => {
            unmade("a mistake in the gateway broke it off; it may have been carried out".into(), None)
        }
        Err(_) => {
            unmade(format!("nothing after {} s; it may have been carried out", limit.as_secs()), Some(limit))
        }
    }
}

fn unmade(reason: String, took: Option<Duration>) -> Made {
    let outcome = Outcome::Retry { reason, after: None };
    Made {
        applied: Applied { outcome, request: None, response: None },
        pb_data: None,
        enrich: Duration::ZERO,
        connect: took.unwrap_or_default(),
    }
}

async fn fetch_and_apply(worker: &Dispatcher, route: &Route, claimed: &Claimed) -> Made {
    let Claimed { delivery, event, last } = claimed;
    let fetch = &route.handler.fetch;
    let before = Instant::now();
    let fetched = match fetch.as_slice() {
        [] => Ok(None),
        wanted => worker.enrich.pb_data(event, wanted, last.as_deref(), (worker.now)()).await,
    };
    let enrich = before.elapsed();
    let pb_data = match fetched {
        Ok(pb_data) => pb_data,
        Err(error) => {
            let applied = Applied { outcome: without_data(error), request: None, response: None };
            return Made { applied, pb_data: None, enrich, connect: Duration::ZERO };
        }
    };
    let before = Instant::now();
    let applied = route
        .connector
        .apply(Apply {
            delivery: delivery.id,
            attempt: delivery.attempts + 1,
            handler: &route.handler.name,
            event,
            pb_data: pb_data.as_deref(),
            created_at: delivery.accepted_at,
            now: (worker.now)(),
        })
        .await;
    Made { applied, pb_data, enrich, connect: before.elapsed() }
}

fn without_data(error: EnrichError) -> Outcome {
    let EnrichError { reason, retryable, after } = error;
    if retryable { Outcome::Retry { reason, after } } else { Outcome::Refused { reason } }
}

/// Keeps the record however long the store fails: as long as this process lives, an outcome isn't lost. If the process
/// dies first, the delivery is attempted again, under the same id.
async fn keep(worker: &Dispatcher, record: Record) {
    let mut after_failure = worker.settings.store_pause;
    loop {
        match worker.store.record(record.clone()).await {
            Ok(()) => break,
            Err(error) => {
                worker.store_failed("record", &error);
                if matches!(error, StoreError::Rejected(_)) {
                    return;
                }
            }
        }
        tokio::time::sleep(after_failure.next()).await;
    }
    if record.status.is_some() {
        worker.status_nudge.notify_one();
    }
}
