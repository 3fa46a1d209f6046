//! The operator's side: is it alive, what goes through it, what became of an event. JSON, but for the metrics.
//!
//! | Path | Answer |
//! |---|---|
//! | `GET /health/live` | 200 as long as the process answers |
//! | `GET /health/ready` | 200, or 503 with `reasons`: events can be taken now |
//! | `GET /metrics` | OpenMetrics |
//! | `GET /api/v1/events` | a page of events, newest first: `limit`, `before`, `type`, `subject`, `state` |
//! | `GET /api/v1/events/{id}` | one event, with its deliveries and their attempts, and the statuses of its account |
//! | `GET /api/v1/deliveries` | a page of deliveries, oldest first: `handler`, `state`, `type`, `subject`, `from`, `until`, `after`, `limit` |
//! | `GET /api/v1/deliveries/{id}` | the event with this delivery and its attempts, and the statuses of its account |
//! | `POST /api/v1/replay` | `{"ids": […]}` or `{"select": {…}, "rate": 20}`: delivered again; what waits for its next try is tried now |
//! | `POST /api/v1/cancel` | the same with a `reason`: not attempted any more |
//! | `GET /api/v1/limits` | `page_max`: so many ids a request takes; a page has no more, whatever `limit` says |
//! | `POST /api/v1/subscribe` | `{"handler": "…", "event": "…"}` or with `type`, `subject`: events for a handler that came later |
//! | `GET`, `POST /api/v1/pauses`, `POST /api/v1/resume` | `{"scope": "handler", "name": "…", "reason": "…"}` |
//! | `POST /api/v1/reconcile` | `{"handler": "…", "dry_run": true, "rate": 20, "resume": false}`: compare all accounts, or customers, with what was delivered |
//! | `GET /api/v1/reconcile`, `POST /api/v1/reconcile/stop` | how far that is; `{"handler": "…"}` |
//! | `GET /api/v1/statuses` | statuses that are written back: `state=given_up`, or those of an `account`; `group`, `after`, `limit` |
//! | `POST /api/v1/statuses/again` | `{"ids": ["1000889/HSS"]}` or `{"select": {"account": …, "group": "…"}, "rate": 20}`: those that were given up |
//! | `GET /api/v1/samples` | what couldn't be read as an event, newest first: `before`, `limit` |
//! | `GET /api/v1/breakers` | the circuit breakers |
//! | `POST /api/v1/breakers/close` | `{"name": "connector:hlr"}`: closes it by hand |
//! | `GET /api/v1/backlog` | how many deliveries are in which state, per handler |
//!
//! Whoever changes something is named in the log, as the header `X-Operator` says ([`who`]).
//!
//! The names of members in [`view`] are part of the API. There is no authentication yet: keep it on the local machine. It answers 421
//! unless it is asked by an IP address, as `localhost` or by a name of the configuration (`hosts` in `[operator]`).

mod breakers;
pub mod control;
mod host;
pub mod pauses;
mod reconcile;
mod samples;
mod statuses;
pub mod view;
pub mod who;

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::dispatch::Clock;
use crate::event::EventId;
use crate::handler::Handler;
use crate::reconcile::Reconciler;
use crate::store::{Control, Page, Store, StoreError};
use crate::telemetry::Telemetry;

/// How many events a page has where the question doesn't say.
const PAGE: usize = 50;
/// The states that can be asked for.
const STATES: [&str; 7] = crate::delivery::State::WORDS;

/// What the operator's side looks at.
#[derive(Clone)]
pub struct Operator {
    /// Events and deliveries.
    pub store: Arc<dyn Store>,
    /// The same, for what changes them.
    pub control: Arc<dyn Control>,
    /// Those of the configuration.
    pub handlers: Vec<Handler>,
    /// Notified when there may be something to deliver.
    pub nudge: Arc<Notify>,
    /// Notified when there may be a status to write back.
    pub status_nudge: Arc<Notify>,
    /// The time.
    pub now: Clock,
    /// What compares what was delivered with PortaBilling; none: nothing does.
    pub reconciler: Option<Arc<Reconciler>>,
    /// What is counted and measured.
    pub telemetry: Arc<Telemetry>,
    /// Cancelled when the gateway is being stopped; it is not ready then.
    pub shutdown: CancellationToken,
    /// How many events a page has at most.
    pub page_max: usize,
    /// By which names it may be asked, besides `localhost` and IP addresses ([`crate::config::Operating`]).
    pub hosts: Vec<String>,
}

impl Operator {
    /// The routes, as a service.
    pub fn router(self) -> Router {
        let operator = Arc::new(self);
        Router::new()
            .route("/health/live", get(live))
            .route("/health/ready", get(ready))
            .route("/metrics", get(metrics))
            .route("/api/v1/events", get(events))
            .route("/api/v1/events/{id}", get(event))
            .merge(breakers::routes())
            .merge(control::routes())
            .merge(pauses::routes())
            .merge(reconcile::routes())
            .merge(statuses::routes())
            .merge(samples::routes())
            .fallback(nothing)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(Arc::clone(&operator), host::check))
            .with_state(operator)
    }
}

async fn live() -> Json<serde_json::Value> {
    Json(json!({ "live": true }))
}

async fn ready(State(operator): State<Arc<Operator>>) -> Response {
    let mut reasons = Vec::new();
    if operator.shutdown.is_cancelled() {
        reasons.push("the gateway is being stopped".to_owned());
    }
    if let Err(error) = operator.store.ready().await {
        reasons.push(error.to_string());
    }
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "reasons": reasons }))).into_response()
}

async fn metrics(State(operator): State<Arc<Operator>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    // Without the backlog the rest is worth having all the same, and more so: something is wrong.
    let backlog = operator.store.backlog().await.unwrap_or_else(|error| {
        tracing::error!(%error, "the store doesn't say how much waits; it is missing from the metrics");
        operator.telemetry.store_error();
        Vec::new()
    });
    match operator.telemetry.render(&backlog, Timestamp::now()) {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => error_response(StatusCode::INTERNAL_SERVER_ERROR, &format!("no metrics: {error}")),
    }
}

/// The question after a page of events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    limit: Option<usize>,
    before: Option<String>,
    r#type: Option<String>,
    subject: Option<String>,
    state: Option<String>,
}

async fn events(
    State(operator): State<Arc<Operator>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Response {
    let page = match query
        .map_err(|rejection| rejection.body_text())
        .and_then(|Query(query)| operator.page(query))
    {
        Ok(page) => page,
        Err(what) => return error_response(StatusCode::BAD_REQUEST, &what),
    };
    let limit = page.limit;
    match operator.store.events(page).await {
        Ok(events) => Json(view::EventPage::new(&events, limit)).into_response(),
        Err(error) => operator.store_failed(&error),
    }
}

async fn event(State(operator): State<Arc<Operator>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<Uuid>() else {
        return error_response(StatusCode::NOT_FOUND, "no such event: an event's id is a UUID");
    };
    let detail = match operator.store.event(EventId(id)).await {
        Ok(Some(detail)) => detail,
        Ok(None) => return error_response(StatusCode::NOT_FOUND, "no such event"),
        Err(error) => return operator.store_failed(&error),
    };
    match operator.statuses_of(&detail.event.subject).await {
        Ok(statuses) => Json(view::EventView::from(&detail).with_statuses(&statuses)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn nothing(uri: Uri) -> Response {
    error_response(StatusCode::NOT_FOUND, &format!("nothing is at {}", uri.path()))
}

async fn wrong_method() -> Response {
    error_response(StatusCode::METHOD_NOT_ALLOWED, "another method than this path has")
}

impl Operator {
    fn page(&self, query: EventsQuery) -> Result<Page, String> {
        let limit = query.limit.unwrap_or(PAGE).min(self.page_max);
        if limit == 0 {
            return Err("limit is out of range: 1 or more".to_owned());
        }
        if let Some(state) = query.state.as_deref().filter(|state| !STATES.contains(state)) {
            return Err(format!("unknown state {state:?}; known are {}", STATES.join(", ")));
        }
        let before = match query.before.map(|id| id.parse::<Uuid>()).transpose() {
            Ok(before) => before.map(EventId),
            Err(_) => return Err("before is not an event's id".to_owned()),
        };
        Ok(Page {
            before,
            limit,
            event_type: query.r#type,
            subject: query.subject,
            state: query.state,
            ..Page::default()
        })
    }

    fn note_failure(&self, error: &StoreError) {
        self.telemetry.store_error();
        tracing::error!(%error, "the store doesn't answer the operator");
    }

    fn store_failed(&self, error: &StoreError) -> Response {
        self.note_failure(error);
        error_response(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
    }
}

fn error_response(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({ "error": what }))).into_response()
}
