//! Closing a circuit breaker by hand: an operator may know that a system is well again, or that a breaker is wrong.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::Operator;
use super::control::{Refusal, body};

/// How often it is tried when a gateway changes the breaker at the same moment.
const TRIES: usize = 5;

pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new().route("/api/v1/breakers/close", post(close))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

/// It is written to the store, where all gateways look once per tick.
async fn close(
    State(operator): State<Arc<Operator>>,
    request: Result<Json<Named>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Named { name } = body(request)?;
    for _ in 0..TRIES {
        let breakers = operator.store.breakers().await.map_err(operator.failed())?;
        let Some(breaker) = breakers.iter().find(|breaker| breaker.name == name) else {
            let known: Vec<_> = breakers.iter().map(|breaker| breaker.name.as_str()).collect();
            let what = format!("no breaker {name:?} has ever opened; those that have: {}", known.join(", "));
            return Err(Refusal(StatusCode::NOT_FOUND, what));
        };
        let was = breaker.state.word();
        let closed = match breaker.closed_by_hand((operator.now)()) {
            Some(closed) => operator.store.put_breaker(closed).await.map_err(operator.failed())?,
            None => true,
        };
        if closed {
            tracing::info!(breaker = name, was, "closed by an operator");
            operator.nudge.notify_one();
            return Ok(Json(json!({ "name": name, "was": was })).into_response());
        }
    }
    let what = format!("the gateways keep changing {name:?}; try again in a moment");
    Err(Refusal(StatusCode::CONFLICT, what))
}
