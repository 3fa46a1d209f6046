//! The simulator's web server: SOAP, JSON, the ESPF API, the definitions.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use jiff::Timestamp;
use portabilling::SERVICES;
use portabilling::types::AuthInfoStructure;
use serde_json::{Value, json};
use soapstone_soap::{Answer, Fault, Json, Limits, Operation, Server, Structure, fill_json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::calls::{Methods, State};
use super::espf;
use super::sessions::{SessionSettings, Sessions};
use super::world::World;

/// The largest request body, in bytes.
const BODY_LIMIT: usize = 8 << 20;

/// How the simulator begins.
#[derive(Debug, Clone, Default)]
pub struct SimulatorSettings {
    /// How many accounts are generated.
    pub accounts: usize,
    /// Who may log in, and for how long.
    pub sessions: SessionSettings,
}

/// What is wrong with the simulated PortaBilling just now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Disturbance {
    /// Every answer comes this much later.
    pub latency: Duration,
    /// This share of requests (0 to 1) is answered with a proxy's 502.
    pub failing: f64,
    /// Every request is answered with a proxy's 503.
    pub down: bool,
    /// Every call but those of `Session` is answered with a fault of this code (`Server.Account.internal`).
    pub fault: Option<&'static str>,
}

/// A running simulator; it ends when it is dropped or [`Simulator::stop`] is called.
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Site>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Site {
    state: Mutex<State>,
    methods: Methods,
    disturbance: Mutex<Disturbance>,
    requests: AtomicU64,
}

impl Simulator {
    /// Starts at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address can't be listened on, or no key can be made.
    pub async fn start(address: SocketAddr, settings: SimulatorSettings) -> std::io::Result<Self> {
        let sessions = Sessions::new(settings.sessions).map_err(std::io::Error::other)?;
        let state = State { world: World::generated(settings.accounts), sessions };
        let shared = Arc::new(Site {
            state: Mutex::new(state),
            methods: Methods::new(),
            disturbance: Mutex::default(),
            requests: AtomicU64::new(0),
        });
        let listener = tokio::net::TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let server = axum::serve(listener, routes(Arc::clone(&shared)))
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the simulator ended");
            }
        });
        tasks.close();
        Ok(Self { address, shared, stop, tasks })
    }

    /// Where it listens (`http://127.0.0.1:1234`).
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at the world, or changes it.
    pub fn world<T>(&self, with: impl FnOnce(&mut World) -> T) -> T {
        with(&mut self.shared.state().world)
    }

    /// Changes what is wrong with it.
    pub fn disturb(&self, disturbance: Disturbance) {
        *self.shared.disturbance.lock().unwrap_or_else(PoisonError::into_inner) = disturbance;
    }

    /// Ends all sessions, as an idle site does.
    pub fn drop_sessions(&self) {
        self.shared.state().sessions.drop_all();
    }

    /// How often somebody has logged in.
    pub fn logins(&self) -> u64 {
        self.shared.state().sessions.logins
    }

    /// The key that its tokens can be verified with, PEM.
    pub fn public_key(&self) -> String {
        self.shared.state().sessions.public_key()
    }

    /// Ends it, after the requests that are under way.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .route("/soap/{service}/{method}", post(soap_method))
        .route("/soap/{service}", post(soap_service))
        .route("/soap/", post(soap_any))
        .route("/Porta/SOAP/{service}", post(soap_service))
        .route("/rest/{service}/{method}", post(rest))
        .route("/wsdl/{file}", get(definition))
        .route("/espf/v1/account/i/{i_account}/status", post(status_by_number))
        .route("/espf/v1/account/{id}/status", post(status_by_id))
        .route("/espf/v1/groups", get(groups))
        .route("/espf/v1/group/create", post(create_group))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site), disturbed))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(site)
}

type Web = Shared<Arc<Site>>;

/// Slow, failing or down, as [`Simulator::disturb`] says.
async fn disturbed(
    Shared(site): Web,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let disturbance = *site.disturbance.lock().unwrap_or_else(PoisonError::into_inner);
    let number = site.requests.fetch_add(1, Ordering::Relaxed);
    if !disturbance.latency.is_zero() {
        tokio::time::sleep(disturbance.latency).await;
    }
    // spread evenly instead of at random, so that a run can be repeated
    let share = |count: u64| (count as f64 * disturbance.failing).floor();
    if disturbance.down {
        return page(StatusCode::SERVICE_UNAVAILABLE);
    }
    if share(number + 1) > share(number) {
        return page(StatusCode::BAD_GATEWAY);
    }
    next.run(request).await
}

/// What a proxy in front says.
fn page(status: StatusCode) -> Response {
    let html = format!(
        "<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>"
    );
    (status, [(header::CONTENT_TYPE, "text/html")], html).into_response()
}

async fn soap_method(
    Shared(site): Web,
    Path((service, _)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    site.soap(service_of(&service), &headers, &body)
}

async fn soap_service(
    Shared(site): Web,
    Path(service): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    site.soap(service_of(&service), &headers, &body)
}

async fn soap_any(Shared(site): Web, headers: HeaderMap, body: Bytes) -> Response {
    site.soap(Some(SERVICES), &headers, &body)
}

/// The one service that a URL names.
fn service_of(name: &str) -> Option<&'static [&'static soapstone_soap::Service]> {
    let index = SERVICES.iter().position(|service| service.name.eq_ignore_ascii_case(name))?;
    Some(&SERVICES[index..=index])
}

async fn rest(
    Shared(site): Web,
    Path((service, method)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match site.json(&service, &method, &headers, &body) {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(fault) => {
            let body = json!({ "faultcode": fault.code(), "faultstring": fault.message });
            (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
        }
    }
}

/// A definition, with this server's own address in it.
async fn definition(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    match portabilling::DEFINITIONS.iter().find(|(name, _)| *name == file) {
        Some((_, text)) => {
            let text = text.replace("https://localhost/soap/", &format!("http://{host}/soap/"));
            ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn status_by_number(
    Shared(site): Web,
    Path(i_account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    site.status(&headers, &body, |_| i_account.parse().ok())
}

async fn status_by_id(
    Shared(site): Web,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    site.status(&headers, &body, |world| {
        world
            .accounts
            .values()
            .find(|account| account.id.as_deref() == Some(id.as_str()))
            .and_then(|account| account.i_account)
    })
}

async fn groups(Shared(site): Web, headers: HeaderMap) -> Response {
    let state = site.state();
    if !known(&state, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    axum::Json(espf::groups(&state.world)).into_response()
}

async fn create_group(Shared(site): Web, headers: HeaderMap, body: Bytes) -> Response {
    let mut state = site.state();
    if !known(&state, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let name = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|body| Some(body.get("name")?.as_str()?.to_string()));
    answer(espf::create_group(&mut state.world, name))
}

impl Site {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn soap(
        &self,
        services: Option<&'static [&'static soapstone_soap::Service]>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response {
        let Some(services) = services else { return page(StatusCode::NOT_FOUND) };
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let answer = match Server::new(services, Limits::default()).accept(content_type, body) {
            Ok(request) => {
                let auth = request.header::<AuthInfoStructure>().cloned().unwrap_or_default();
                match self.call(request.operation, request.parameter, &auth, None) {
                    Ok(result) => Answer::result(request.operation, &*result),
                    Err(fault) => Answer::fault(&fault),
                }
            }
            Err(fault) => Answer::fault(&fault),
        };
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, Answer::CONTENT_TYPE)], answer.body).into_response()
    }

    /// `{"params":{…},"auth_info":{…}}`, or the session in a bearer token.
    fn json(&self, service: &str, method: &str, headers: &HeaderMap, body: &[u8]) -> Result<Value, Fault> {
        let unreadable = |error: serde_json::Error| Fault::new("Client.invalid_json", error.to_string());
        let operation =
            service_of(service).and_then(|services| services[0].operation(method)).ok_or_else(|| {
                Fault::new("Client.UnknownMethod", format!("there is no method {service}/{method}"))
            })?;
        let mut body: Value =
            if body.is_empty() { json!({}) } else { serde_json::from_slice(body).map_err(unreadable)? };
        let mut request = (operation.input.empty)();
        fill_json(&mut *request, body["params"].take()).map_err(unreadable)?;
        let auth: AuthInfoStructure = serde_json::from_value(body["auth_info"].take()).map_err(unreadable)?;
        let result = self.call(operation, request, &auth, bearer(headers))?;
        serde_json::to_value(Json(&*result)).map_err(unreadable)
    }

    fn call(
        &self,
        operation: &'static Operation,
        request: Box<dyn Structure>,
        auth: &AuthInfoStructure,
        bearer: Option<&str>,
    ) -> Result<Box<dyn Structure>, Fault> {
        let now = Timestamp::now();
        let fault = self.disturbance.lock().unwrap_or_else(PoisonError::into_inner).fault;
        let mut state = self.state();
        // `ping` and `logout` take the session as a parameter; of a dead one, `ping` says so without a fault
        if operation.header().is_some() && operation.service != "Session" {
            state.sessions.check(auth, bearer, now)?;
            if let Some(code) = fault {
                return Err(Fault::new(code, "disturbed on purpose"));
            }
        }
        self.methods.answer(&mut state, operation, request, now)
    }

    fn status(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        account: impl FnOnce(&World) -> Option<i64>,
    ) -> Response {
        let mut state = self.state();
        if !known(&state, headers) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let content_type =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match espf::StatusBody::read(content_type, body) {
            Ok(body) => {
                let account = account(&state.world);
                answer(espf::write_status(&mut state.world, account, body))
            }
            Err(error) => answer((400, json!({ "error": error }))),
        }
    }
}

fn answer((status, body): (u16, Value)) -> Response {
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), axum::Json(body))
        .into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The ESPF API takes a bearer token or a user's credentials.
fn known(state: &State, headers: &HeaderMap) -> bool {
    if let Some(token) = bearer(headers) {
        return state.sessions.is_open(None, Some(token), Timestamp::now());
    }
    let pair = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| {
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
        });
    pair.as_deref()
        .and_then(|pair| pair.split_once(':'))
        .is_some_and(|(login, secret)| state.sessions.is_user(login, secret))
}
