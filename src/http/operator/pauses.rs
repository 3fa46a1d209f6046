//! Pauses: of everything, a handler, a connector, a subject; and their end.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Operator;
use super::control::{Refusal, bad, body};
use super::who::Who;
use crate::event::{Subject, SubjectKind};
use crate::store::{Page, Pause, Scope};

pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new().route("/api/v1/pauses", get(pauses).post(pause)).route("/api/v1/resume", post(resume))
}

/// What a pause is for, in words.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeWords {
    /// `everything`, `handler`, `connector`, `subject`.
    pub scope: String,
    /// The handler's or connector's name, or the subject as `account 7`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Operator {
    /// Named handlers and connectors have to be there: a slip would pause nothing.
    fn scope(&self, words: &ScopeWords) -> Result<Scope, Refusal> {
        let kinds = SubjectKind::ALL.map(SubjectKind::as_str).join(", ");
        let scope = Scope::from_words(&words.scope, &words.name).ok_or_else(|| {
            bad(&format!(
                "a scope is \"everything\", \"handler\" or \"connector\" with a name, or \"subject\" with a name \
                 like \"account 7\" (kinds: {kinds})"
            ))
        })?;
        let known = match &scope {
            Scope::Everything => words.name.is_empty(),
            Scope::Handler(name) => self.handlers.iter().any(|handler| handler.name == *name),
            Scope::Connector(name) => self.handlers.iter().any(|handler| handler.connector == *name),
            Scope::Subject(Subject { id, .. }) => !id.is_empty(),
        };
        let scope = as_events_have_it(scope);
        match known {
            true => Ok(scope),
            false => Err(bad(&format!("there is no {} {:?}", words.scope, words.name))),
        }
    }
}

/// Numbers are spelled in one way where events name them: `account 07` is `account 7`. Telephone numbers and those on cards are
/// left as they are.
fn as_events_have_it(scope: Scope) -> Scope {
    use SubjectKind::{Account, Customer, Invoice, Product};
    match scope {
        Scope::Subject(Subject { kind: kind @ (Account | Customer | Invoice | Product), id }) => {
            let id = id.trim();
            let number = id.parse::<i64>().map(|number| number.to_string());
            Scope::Subject(Subject { kind, id: number.unwrap_or_else(|_| id.to_owned()) })
        }
        scope => scope,
    }
}

impl Operator {
    /// Whether there has been an event about it; of anything else than a subject it is sure.
    async fn is_known(&self, scope: &Scope) -> Result<bool, Refusal> {
        let Scope::Subject(subject) = scope else { return Ok(true) };
        let (kind, id) = (Some(subject.kind), Some(subject.id.clone()));
        let page = Page { limit: 1, subject: id, kind, ..Page::default() };
        Ok(!self.store.events(page).await.map_err(self.failed())?.is_empty())
    }
}

async fn pause(
    State(operator): State<Arc<Operator>>,
    who: Who,
    request: Result<Json<ScopeWords>, JsonRejection>,
) -> Result<Response, Refusal> {
    let words = body(request)?;
    let scope = operator.scope(&words)?;
    let known = operator.is_known(&scope).await?;
    let (word, name) = scope.words();
    let pause = Pause { scope, at: (operator.now)(), reason: words.reason.clone() };
    operator.control.pause(pause).await.map_err(operator.failed())?;
    tracing::info!(%who, scope = word, name, reason = words.reason, "paused");
    Ok(Json(json!({ "paused": true, "scope": word, "name": name, "known": known })).into_response())
}

async fn resume(
    State(operator): State<Arc<Operator>>,
    who: Who,
    request: Result<Json<ScopeWords>, JsonRejection>,
) -> Result<Response, Refusal> {
    let words = body(request)?;
    // a pause outlives the handler that it was for, so its name needn't be known any more
    let scope = Scope::from_words(&words.scope, &words.name).ok_or_else(|| bad("that is no scope"))?;
    let mut was_paused =
        operator.control.resume(as_events_have_it(scope.clone())).await.map_err(operator.failed())?;
    if !was_paused {
        // one that was made before numbers were spelled in one way
        was_paused = operator.control.resume(scope).await.map_err(operator.failed())?;
    }
    operator.nudge.notify_one();
    tracing::info!(%who, scope = words.scope, name = words.name, was_paused, "resumed");
    Ok(Json(json!({ "was_paused": was_paused })).into_response())
}

async fn pauses(State(operator): State<Arc<Operator>>) -> Response {
    let shown = |pause: &Pause| {
        let (scope, name) = pause.scope.words();
        json!({ "scope": scope, "name": name, "at": pause.at, "reason": pause.reason })
    };
    match operator.control.pauses().await {
        Ok(pauses) => Json(json!({ "pauses": pauses.iter().map(shown).collect::<Vec<_>>() })).into_response(),
        Err(error) => operator.store_failed(&error),
    }
}
