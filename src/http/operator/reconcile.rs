//! Reconciliation by hand: begin a walk, see how far it is, stop it.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Operator;
use super::control::{Refusal, bad, body};
use super::who::Who;
use crate::reconcile::{Difference, Example, Leg, Order, Refused, View};

pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new()
        .route("/api/v1/reconcile", get(walks).post(start))
        .route("/api/v1/reconcile/stop", post(halt))
}

/// Which walk, and how it is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    /// None: for all that can be.
    #[serde(default)]
    handler: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    rate: Option<f64>,
    #[serde(default)]
    resume: bool,
}

async fn start(
    State(operator): State<Arc<Operator>>,
    who: Who,
    request: Result<Json<Start>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Start { handler, dry_run, rate, resume } = body(request)?;
    let reconciler = operator.reconciler.as_ref().ok_or_else(unable)?;
    if rate.is_some_and(|rate| !rate.is_finite() || rate < SLOWEST) {
        return Err(bad(&format!(
            "rate is a number of accounts and customers per second, {SLOWEST} or more"
        )));
    }
    let order = Order { dry_run, rate, resume };
    let names = handler.map_or_else(|| reconciler.fit(), |handler| vec![handler]);
    if names.is_empty() {
        return Err(bad("no handler can be reconciled; add `reconcile` to one in the configuration"));
    }
    let mut asked = Vec::with_capacity(names.len());
    for name in names {
        let begun = reconciler.start(&name, order).await;
        asked.push((name, begun.map(|()| true)));
    }
    let started = those_done(asked).map_err(|refused| refusal(&operator, &refused))?;
    tracing::info!(%who, ?started, dry_run, resume, "reconciliation is asked for");
    Ok((StatusCode::ACCEPTED, Json(json!({ "started": started }))).into_response())
}

/// Of all handlers those for which something was done; if it was for none, why it couldn't be for the first that it couldn't.
fn those_done(asked: Vec<(String, Result<bool, Refused>)>) -> Result<Vec<String>, Refused> {
    let (mut done, mut first) = (Vec::new(), None);
    for (name, answer) in asked {
        match answer {
            Ok(true) => done.push(name),
            Ok(false) => {}
            Err(refused) => {
                first.get_or_insert(refused);
            }
        }
    }
    match first.filter(|_| done.is_empty()) {
        Some(refused) => Err(refused),
        None => Ok(done),
    }
}

/// One account in a quarter of an hour is no walk.
const SLOWEST: f64 = 0.001;

fn refusal(operator: &Operator, refused: &Refused) -> Refusal {
    let status = match refused {
        Refused::Running(_) | Refused::Elsewhere { .. } | Refused::NothingToResume(_) => StatusCode::CONFLICT,
        Refused::Unknown(_) | Refused::Unfit { .. } => StatusCode::BAD_REQUEST,
        Refused::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        Refused::Store(error) => return operator.failed()(error.clone()),
    };
    Refusal(status, refused.to_string())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Halt {
    #[serde(default)]
    handler: Option<String>,
}

async fn halt(
    State(operator): State<Arc<Operator>>,
    who: Who,
    request: Result<Json<Halt>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Halt { handler } = body(request)?;
    let reconciler = operator.reconciler.as_ref().ok_or_else(unable)?;
    let names = handler.map_or_else(|| reconciler.fit(), |handler| vec![handler]);
    let halt = |name: String| {
        let halted = reconciler.halt(&name);
        (name, halted)
    };
    let stopped = those_done(names.into_iter().map(halt).collect());
    let stopped = stopped.map_err(|refused| refusal(&operator, &refused))?;
    tracing::info!(%who, ?stopped, "reconciliation is to stop");
    Ok(Json(json!({ "stopped": stopped })).into_response())
}

async fn walks(State(operator): State<Arc<Operator>>) -> Result<Response, Refusal> {
    let reconciler = operator.reconciler.as_ref().ok_or_else(unable)?;
    Ok(Json(json!({ "walks": reconciler.walks().iter().map(view).collect::<Vec<_>>() })).into_response())
}

fn view(View { walk, here, leg, estimate, waits }: &View) -> Value {
    let counts = &walk.counts;
    let (leg, of) = match leg {
        Leg::Delivered => ("delivered", None),
        Leg::Listed(walked) => ("listed", Some(walked)),
    };
    json!({
        "handler": walk.handler,
        "dry_run": walk.dry_run,
        "state": walk.state,
        "reason": walk.reason,
        "waits": waits,
        "rate": walk.rate,
        "started_at": walk.started_at,
        "ended_at": walk.ended_at,
        "gateway": walk.by.as_ref().map(|by| &by.gateway),
        "since": walk.by.as_ref().map(|by| by.since),
        "here": here,
        "leg": leg,
        "of": of,
        "listed": walk.listed,
        "total": walk.total(),
        "seen": counts.seen(),
        "same": counts.same,
        "differing": counts.differing,
        "enqueued": counts.enqueued,
        "on_its_way": counts.on_its_way,
        "left": counts.left,
        "gone": counts.gone,
        "untold": counts.untold,
        "unheard": counts.unheard,
        "failed": counts.failed,
        "per_second": estimate.map(|estimate| estimate.per_second),
        "seconds_left": estimate.and_then(|estimate| estimate.left).map(|left| left.as_secs_f64()),
        "examples": walk.examples.iter().map(example).collect::<Vec<_>>(),
    })
}

fn example(example: &Example) -> Value {
    let (word, members) = match &example.difference {
        Difference::NeverDelivered => ("never_delivered", &[][..]),
        Difference::Members(members) => ("members", &members[..]),
        Difference::Gone => ("gone", &[][..]),
        Difference::Unheard => ("unheard", &[][..]),
    };
    json!({
        "subject": { "kind": example.kind, "id": example.id },
        "difference": word,
        "members": members,
    })
}

fn unable() -> Refusal {
    Refusal(StatusCode::NOT_FOUND, "this gateway doesn't reconcile".into())
}
