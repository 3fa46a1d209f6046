//! Statuses that are written back: those of an account, and those that were given up, which can be written again.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::Operator;
use super::control::{Refusal, Spread, bad, body};
use super::view::StatusView;
use super::who::Who;
use crate::event::Subject;
use crate::store::{KeptStatus, StatusId, Statuses};

pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new().route("/api/v1/statuses", get(list)).route("/api/v1/statuses/again", post(again))
}

/// Which statuses; those that were given up, or all of an account.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    state: Option<String>,
    account: Option<i64>,
    group: Option<String>,
    /// After this one: the `next` of the page before.
    after: Option<String>,
    limit: Option<usize>,
}

/// A page, and where the next begins.
struct Found {
    statuses: Vec<KeptStatus>,
    next: Option<String>,
}

impl Selection {
    /// Nothing else has an index.
    fn which(&self) -> Result<Statuses, Refusal> {
        match (self.account, self.state.as_deref()) {
            (_, Some(state)) if state != GIVEN_UP => Err(bad("state can only be given_up")),
            (Some(i_account), _) => Ok(Statuses::OfAccount(i_account)),
            (None, Some(_)) => Ok(Statuses::GivenUp),
            (None, None) => Err(bad("give state=given_up, or an account")),
        }
    }

    fn wants(&self, kept: &KeptStatus) -> bool {
        let in_state = self.state.as_deref().is_none_or(|state| state == kept.stand.word());
        in_state && self.group.as_ref().is_none_or(|group| *group == kept.status.group)
    }
}

const GIVEN_UP: &str = "given_up";

/// `1000889/HSS`; a group may have a slash, a number doesn't.
fn read_id(text: &str) -> Result<StatusId, Refusal> {
    let id =
        text.split_once('/').and_then(|(account, group)| Some((account.parse().ok()?, group.to_owned())));
    id.ok_or_else(|| bad("a status is named by account and group, as in 1000889/HSS"))
}

fn show_id((i_account, group): &StatusId) -> String {
    format!("{i_account}/{group}")
}

impl Operator {
    /// The statuses of the account that this is about, if it is about one.
    pub(super) async fn statuses_of(&self, subject: &Subject) -> Result<Vec<KeptStatus>, Refusal> {
        let Some(i_account) = subject.i_account() else { return Ok(Vec::new()) };
        let found = self.control.statuses(Statuses::OfAccount(i_account), None, self.page_max).await;
        found.map_err(self.failed())
    }

    async fn found(&self, selection: &Selection) -> Result<Found, Refusal> {
        let limit = self.limit(selection.limit)?;
        let after = selection.after.as_deref().map(read_id).transpose()?;
        let found = self.control.statuses(selection.which()?, after, limit).await;
        let mut statuses = found.map_err(self.failed())?;
        let last = statuses.last().filter(|_| statuses.len() >= limit);
        let next = last.map(|last| show_id(&(last.status.i_account, last.status.group.clone())));
        statuses.retain(|kept| selection.wants(kept));
        Ok(Found { statuses, next })
    }
}

async fn list(
    State(operator): State<Arc<Operator>>,
    query: Result<Query<Selection>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(selection) = query.map_err(|rejection| bad(&rejection.body_text()))?;
    let Found { statuses, next } = operator.found(&selection).await?;
    let shown: Vec<_> = statuses.iter().map(StatusView::from).collect();
    Ok(Json(json!({ "statuses": shown, "next": next })).into_response())
}

/// What is to be written again: those that are named, or a page of those that were given up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(default)]
    select: Option<Selection>,
    #[serde(flatten)]
    spread: Spread,
}

async fn again(
    State(operator): State<Arc<Operator>>,
    who: Who,
    request: Result<Json<Again>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Again { ids, select, spread } = body(request)?;
    let (due, gap) = spread.due((operator.now)())?;
    let (ids, next) = match (ids, select) {
        (Some(ids), None) if ids.len() <= operator.page_max => {
            (ids.iter().map(|id| read_id(id)).collect::<Result<Vec<_>, _>>()?, None)
        }
        (Some(_), None) => return Err(bad(&format!("too many ids: {} at most", operator.page_max))),
        (None, Some(selection)) => {
            let selection = Selection { state: Some(GIVEN_UP.to_owned()), ..selection };
            let Found { statuses, next } = operator.found(&selection).await?;
            (statuses.into_iter().map(|kept| (kept.status.i_account, kept.status.group)).collect(), next)
        }
        _ => return Err(bad("give either ids or select")),
    };
    let looked_at = ids.len();
    let again = operator.control.write_again(ids, due, gap).await.map_err(operator.failed())?;
    operator.status_nudge.notify_one();
    tracing::info!(%who, looked_at, again = again.len(), "statuses that were given up are written again");
    let shown: Vec<_> = again.iter().map(show_id).collect();
    Ok(Json(json!({ "again": shown, "looked_at": looked_at, "next": next })).into_response())
}
