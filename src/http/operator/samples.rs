//! Samples of what was posted and couldn't be read as an event.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Operator;
use super::control::{Refusal, bad};
use crate::store::KeptSample;

pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new().route("/api/v1/samples", get(samples))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    /// With lower numbers than this: the `next` of the page before.
    before: Option<i64>,
    limit: Option<usize>,
}

/// Whoever posted them isn't trusted: they are texts in JSON, and no browser is to make anything else of them.
async fn samples(
    State(operator): State<Arc<Operator>>,
    query: Result<Query<Selection>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Selection { before, limit }) = query.map_err(|rejection| bad(&rejection.body_text()))?;
    let limit = operator.limit(limit.or(Some(super::PAGE)))?;
    let found = operator.control.samples(before, limit).await.map_err(operator.failed())?;
    let next = found.last().filter(|_| found.len() >= limit).map(|last| last.number);
    let shown: Vec<_> = found.iter().map(view).collect();
    Ok(([(X_CONTENT_TYPE_OPTIONS, "nosniff")], Json(json!({ "samples": shown, "next": next })))
        .into_response())
}

fn view(KeptSample { number, sample }: &KeptSample) -> Value {
    json!({
        "number": number,
        "source": sample.source,
        "received_at": sample.received_at,
        "reason": sample.reason,
        "body": String::from_utf8_lossy(&sample.body),
    })
}
