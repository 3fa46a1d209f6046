//! What the operator does with deliveries: look at them, replay, cancel, have a handler that came later get what was.
//!
//! Whatever is for many works on a page at a time and says where the next begins (`next`, to be sent as `after`), so that no
//! request takes long and whoever asks can show how far it is, and stop. Requests are JSON and have to say so in
//! `Content-Type`, so that no page in a browser can send them unasked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::view::{DeliveryPage, DeliveryView, EventView};
use super::who::Who;
use super::{Operator, error_response};
use crate::breaker::Breaker;
use crate::delivery::{self, DeliveryId};
use crate::event::EventId;
use crate::store::{Backlog, Cancellation, DeliveryDetail, Page, Select, StoreError};

pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new()
        .route("/api/v1/deliveries", get(deliveries))
        .route("/api/v1/deliveries/{id}", get(delivery))
        .route("/api/v1/replay", post(replay))
        .route("/api/v1/cancel", post(cancel))
        .route("/api/v1/subscribe", post(subscribe))
        .route("/api/v1/breakers", get(breakers))
        .route("/api/v1/backlog", get(backlog))
        .route("/api/v1/limits", get(limits))
}

/// Which deliveries; those that meet all that is given.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Of this handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Of events of this type, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// About the subject with this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Of events accepted then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Of events accepted before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// After this delivery: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Uuid>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Selection {
    fn select(&self) -> Result<Select, Refusal> {
        if let Some(state) = self.state.as_deref().filter(|state| !delivery::State::WORDS.contains(state)) {
            let known = delivery::State::WORDS.join(", ");
            return Err(bad(&format!("unknown state {state:?}; known are {known}")));
        }
        Ok(Select {
            handler: self.handler.clone(),
            state: self.state.clone(),
            event_type: self.r#type.clone(),
            subject: self.subject.clone(),
            from: self.from,
            until: self.until,
        })
    }
}

/// Why something isn't done.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        error_response(self.0, &self.1)
    }
}

pub(super) fn bad(what: &str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, what.to_owned())
}

/// The body of a request, or why it isn't one.
pub(super) fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refusal> {
    match body {
        Ok(Json(body)) => Ok(body),
        Err(rejection) => Err(Refusal(rejection.status(), rejection.body_text())),
    }
}

impl Operator {
    pub(super) fn failed(&self) -> impl Fn(StoreError) -> Refusal + '_ {
        |error| {
            self.note_failure(&error);
            Refusal(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
    }

    /// How many a page has: what was asked for, or what there may be at most; `next` says that there is more.
    pub(super) fn limit(&self, limit: Option<usize>) -> Result<usize, Refusal> {
        match limit {
            Some(0) => Err(bad("limit is out of range: 1 or more")),
            limit => Ok(limit.unwrap_or(usize::MAX).min(self.page_max)),
        }
    }
}

async fn deliveries(
    State(operator): State<Arc<Operator>>,
    query: Result<Query<Selection>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(selection) = query.map_err(|rejection| bad(&rejection.body_text()))?;
    let limit = operator.limit(selection.limit.or(Some(super::PAGE)))?;
    let after = selection.after.map(DeliveryId);
    let found = operator.control.deliveries(selection.select()?, after, limit).await;
    let found = found.map_err(operator.failed())?;
    Ok(Json(DeliveryPage::new(&found, limit)).into_response())
}

async fn delivery(
    State(operator): State<Arc<Operator>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let none = |what: &str| Refusal(StatusCode::NOT_FOUND, what.to_owned());
    let id = id.parse::<Uuid>().map_err(|_| none("no such delivery: a delivery's id is a UUID"))?;
    let found = operator.control.delivery(DeliveryId(id)).await.map_err(operator.failed())?;
    let DeliveryDetail { delivery, event, attempts, .. } = found.ok_or_else(|| none("no such delivery"))?;
    let statuses = operator.statuses_of(&event.subject).await?;
    let view = EventView::new(&event, vec![DeliveryView::with_attempts(&delivery, &attempts)]);
    Ok(Json(view.with_statuses(&statuses)).into_response())
}

/// What is to be delivered again: deliveries by id, or a page of a selection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[serde(default)]
    ids: Option<Vec<Uuid>>,
    #[serde(default)]
    select: Option<Selection>,
    #[serde(flatten)]
    spread: Spread,
}

/// So many per second; `begun` have been before.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Spread {
    #[serde(default)]
    rate: Option<f64>,
    #[serde(default)]
    begun: u32,
}

impl Spread {
    /// When the first is due, and how long after it the next.
    pub(super) fn due(self, now: Timestamp) -> Result<(Timestamp, Duration), Refusal> {
        let gap = match self.rate {
            None => Duration::ZERO,
            Some(rate) => Duration::try_from_secs_f64(1.0 / rate)
                .ok()
                .filter(|_| rate > 0.0)
                .ok_or_else(|| bad("rate is a number of deliveries per second, above 0"))?,
        };
        let after = SignedDuration::try_from(gap.saturating_mul(self.begun)).unwrap_or(SignedDuration::MAX);
        Ok((now.checked_add(after).unwrap_or(Timestamp::MAX), gap))
    }
}

async fn replay(
    State(operator): State<Arc<Operator>>,
    who: Who,
    request: Result<Json<Replay>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Replay { ids, select, spread } = body(request)?;
    let (due, gap) = spread.due((operator.now)())?;
    let chosen = operator.chosen(ids, select).await?;
    let replayed = operator.control.replay(chosen.ids.clone(), due, gap).await.map_err(operator.failed())?;
    operator.nudge.notify_one();
    tracing::info!(%who, looked_at = chosen.ids.len(), replayed = replayed.len(), "deliveries are replayed");
    let left_out = operator.left_out(&chosen, &replayed).await?;
    let answer = json!({
        "replayed": texts(&replayed),
        "looked_at": chosen.ids.len(),
        "left_out": left_out,
        "next": chosen.next,
    });
    Ok(Json(answer).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    #[serde(default)]
    ids: Option<Vec<Uuid>>,
    #[serde(default)]
    select: Option<Selection>,
    reason: String,
}

async fn cancel(
    State(operator): State<Arc<Operator>>,
    who: Who,
    request: Result<Json<Cancel>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Cancel { ids, select, reason } = body(request)?;
    let chosen = operator.chosen(ids, select).await?;
    let groups =
        operator.handlers.iter().filter_map(|one| Some((one.name.clone(), one.service_group.clone()?)));
    let how = Cancellation { at: (operator.now)(), reason: reason.clone(), groups: groups.collect() };
    let cancelled = operator.control.cancel(chosen.ids.clone(), how).await.map_err(operator.failed())?;
    let count = cancelled.len();
    tracing::info!(%who, looked_at = chosen.ids.len(), cancelled = count, reason, "deliveries are cancelled");
    operator.nudge.notify_one();
    operator.status_nudge.notify_one();
    let left_out = operator.left_out(&chosen, &cancelled).await?;
    let answer = json!({
        "cancelled": texts(&cancelled),
        "looked_at": chosen.ids.len(),
        "left_out": left_out,
        "next": chosen.next,
    });
    Ok(Json(answer).into_response())
}

/// What is to be done something with.
struct Chosen {
    ids: Vec<DeliveryId>,
    /// In which states they were found, if they were chosen by what they are.
    found: HashMap<DeliveryId, &'static str>,
    /// Where the next page begins.
    next: Option<String>,
}

impl Operator {
    /// How many of these nothing was done with, by the state that they are in; those that aren't there are `unknown`.
    async fn left_out(
        &self,
        chosen: &Chosen,
        done: &[DeliveryId],
    ) -> Result<BTreeMap<&'static str, u64>, Refusal> {
        let done: HashSet<_> = done.iter().collect();
        let left: HashSet<_> = chosen.ids.iter().filter(|id| !done.contains(id)).collect();
        let mut states = BTreeMap::<_, u64>::new();
        for id in left {
            let state = match chosen.found.get(id) {
                Some(state) => state,
                None => {
                    let found = self.control.delivery(*id).await.map_err(self.failed())?;
                    found.map_or("unknown", |found| found.delivery.state.word())
                }
            };
            *states.entry(state).or_default() += 1;
        }
        Ok(states)
    }

    /// The deliveries that were named, or those of a page.
    async fn chosen(&self, ids: Option<Vec<Uuid>>, select: Option<Selection>) -> Result<Chosen, Refusal> {
        match (ids, select) {
            (Some(ids), None) if ids.len() <= self.page_max => {
                let ids = ids.into_iter().map(DeliveryId).collect();
                Ok(Chosen { ids, found: HashMap::new(), next: None })
            }
            (Some(_), None) => Err(bad(&format!("too many ids: {} at most", self.page_max))),
            (None, Some(selection)) => {
                let limit = self.limit(selection.limit)?;
                let after = selection.after.map(DeliveryId);
                let found = self.control.deliveries(selection.select()?, after, limit).await;
                let found = found.map_err(self.failed())?;
                let ids: Vec<_> = found.iter().map(|found| found.id).collect();
                let next = ids.last().filter(|_| ids.len() >= limit).map(DeliveryId::to_string);
                let found = found.iter().map(|found| (found.id, found.state.word())).collect();
                Ok(Chosen { ids, found, next })
            }
            _ => Err(bad("give either ids or select")),
        }
    }
}

fn texts(ids: &[DeliveryId]) -> Vec<String> {
    ids.iter().map(DeliveryId::to_string).collect()
}

/// Events for a handler that came later: a page of them, newest first, or one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    handler: String,
    #[serde(default)]
    event: Option<Uuid>,
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    after: Option<Uuid>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(flatten)]
    spread: Spread,
}

async fn subscribe(
    State(operator): State<Arc<Operator>>,
    who: Who,
    request: Result<Json<Subscribe>, JsonRejection>,
) -> Result<Response, Refusal> {
    let request = body(request)?;
    let handler = operator.handlers.iter().find(|handler| handler.name == request.handler);
    let handler = handler.ok_or_else(|| bad(&format!("there is no handler {:?}", request.handler)))?;
    let (due, gap) = request.spread.due((operator.now)())?;
    let (events, next) = operator.events_for(&request).await?;
    let looked_at = events.len();
    // only what it would have got
    let wanted = events.iter().filter(|event| handler.wants(&event.event_type));
    let events = wanted.map(|event| (event.id, event.rank(handler.order_by))).collect();
    let made = operator.control.subscribe(events, handler.name.clone(), handler.order, due, gap).await;
    let made = made.map_err(operator.failed())?;
    tracing::info!(%who, handler = handler.name, looked_at, made = made.len(), "a handler gets what was before");
    operator.nudge.notify_one();
    Ok(Json(json!({ "made": texts(&made), "looked_at": looked_at, "next": next })).into_response())
}

impl Operator {
    async fn events_for(
        &self,
        request: &Subscribe,
    ) -> Result<(Vec<crate::event::Event>, Option<String>), Refusal> {
        if let Some(id) = request.event {
            let found = self.store.event(EventId(id)).await.map_err(self.failed())?;
            let found = found.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, "no such event".into()))?;
            return Ok((vec![found.event], None));
        }
        let limit = self.limit(request.limit)?;
        let page = Page {
            before: request.after.map(EventId),
            limit,
            event_type: request.r#type.clone(),
            subject: request.subject.clone(),
            ..Page::default()
        };
        let found = self.store.events(page).await.map_err(self.failed())?;
        let events: Vec<_> = found.into_iter().map(|summary| summary.event).collect();
        let next = events.last().filter(|_| events.len() >= limit).map(|event| event.id.to_string());
        Ok((events, next))
    }
}

async fn backlog(State(operator): State<Arc<Operator>>) -> Response {
    let shown = |backlog: &Backlog| {
        json!({
            "handler": backlog.handler,
            "pending": backlog.pending,
            "in_flight": backlog.in_flight,
            "awaiting": backlog.awaiting,
            "parked": backlog.parked,
            "delivered": backlog.delivered,
            "superseded": backlog.superseded,
            "cancelled": backlog.cancelled,
            "oldest_pending": backlog.oldest_pending,
        })
    };
    match operator.store.backlog().await {
        Ok(backlog) => {
            Json(json!({ "backlog": backlog.iter().map(shown).collect::<Vec<_>>() })).into_response()
        }
        Err(error) => operator.store_failed(&error),
    }
}

async fn breakers(State(operator): State<Arc<Operator>>) -> Response {
    let shown = |breaker: &Breaker| {
        json!({
            "name": breaker.name,
            "state": breaker.state.word(),
            "since": breaker.since,
            "until": breaker.state.until(),
            "openings": breaker.openings,
            "reason": breaker.reason,
        })
    };
    match operator.store.breakers().await {
        Ok(breakers) => {
            Json(json!({ "breakers": breakers.iter().map(shown).collect::<Vec<_>>() })).into_response()
        }
        Err(error) => operator.store_failed(&error),
    }
}

/// What one request may be about: ids come in no more than `page_max`, and pages have no more, whatever `limit` says.
async fn limits(State(operator): State<Arc<Operator>>) -> Response {
    Json(json!({ "page_max": operator.page_max })).into_response()
}
