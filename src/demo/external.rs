//! A stand-in for an external system, behind the NSPS connector contract: it keeps what it is told, and notes when it was
//! told the same twice or in the wrong order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The running stand-in.
pub(super) struct External {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Shared {
    authorization: String,
    seen: Mutex<Seen>,
}

/// What it has been told.
#[derive(Default)]
pub(super) struct Seen {
    down: bool,
    /// Deliveries by id.
    deliveries: HashSet<String>,
    /// Requests with the id of a delivery that had been applied already.
    pub(super) repeated: u64,
    /// Requests turned away during the outage.
    pub(super) refused: u64,
    /// Per handler and subject, the id of the last event.
    last: HashMap<(String, String), i64>,
    /// Events that came after a later one of their subject.
    pub(super) out_of_order: u64,
    /// Events per handler, and when they were applied.
    pub(super) applied: BTreeMap<(String, i64), Timestamp>,
    /// The state of each account as it was told last.
    pub(super) accounts: HashMap<i64, Value>,
}

impl External {
    pub(super) async fn start(address: SocketAddr, bearer: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { authorization: format!("Bearer {bearer}"), seen: Mutex::default() });
        let listener = tokio::net::TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let routes = Router::new()
            .route("/health", get(|| async { "ok" }))
            .route("/process-event", post(process))
            .with_state(Arc::clone(&shared));
        let server = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the stand-in ended");
            }
        });
        tasks.close();
        Ok(Self { address, shared, stop, tasks })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn set_down(&self, down: bool) {
        self.seen().down = down;
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

async fn process(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let error = |status: StatusCode, kind: &str, message: &str| {
        (status, axum::Json(json!({ "message": message, "error": message, "type": kind }))).into_response()
    };
    let authorized =
        headers.get(header::AUTHORIZATION).is_some_and(|value| value == shared.authorization.as_str());
    if !authorized {
        return error(StatusCode::UNAUTHORIZED, "AUTHENTICATION_ERROR", "who are you");
    }
    let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.down {
        seen.refused += 1;
        return error(StatusCode::SERVICE_UNAVAILABLE, "service_error", "down for maintenance");
    }
    match serde_json::from_slice::<Value>(&body).ok().and_then(|event| seen.apply(&event)) {
        Some(()) => (StatusCode::ACCEPTED, axum::Json(json!({ "message": "accepted" }))).into_response(),
        None => error(StatusCode::UNPROCESSABLE_ENTITY, "validation_error", "not an event"),
    }
}

impl Seen {
    /// Applies an event; none if it isn't one.
    fn apply(&mut self, event: &Value) -> Option<()> {
        let delivery = event["event_id"].as_str()?.to_string();
        let handler = event["handler_id"].as_str()?.to_string();
        let variables = &event["data"]["variables"];
        let i_event = variables["i_event"].as_i64()?;
        if !self.deliveries.insert(delivery) {
            self.repeated += 1;
            return Some(());
        }
        let number = |name: &str| variables[name].as_i64().or_else(|| variables[name].as_str()?.parse().ok());
        let subject = match (number("i_account"), number("i_invoice")) {
            (Some(account), _) => format!("account {account}"),
            (_, Some(invoice)) => format!("invoice {invoice}"),
            _ => String::new(),
        };
        let last = self.last.entry((handler.clone(), subject)).or_insert(0);
        if i_event < *last {
            self.out_of_order += 1;
        }
        *last = i_event.max(*last);
        self.applied.entry((handler, i_event)).or_insert_with(Timestamp::now);
        if let Some(i_account) = number("i_account") {
            self.accounts.insert(i_account, event["pb_data"].clone());
        }
        Some(())
    }
}
