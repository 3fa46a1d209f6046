//! The simulator's web server: SOAP, JSON, the ESPF API, the definitions.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use base64::Engine as _;
use jiff::Timestamp;
use portabilling::SERVICES;
use portabilling::types::{AuthInfoStructure, ProductInfo};
use serde_json::{Value, json};
use soapstone_soap::{Context, Definition, Endpoint, Fault, Headers, Json, Limits, Port, fill_json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::calls::{Bearer, Billing, Cookies, State};
use super::espf;
use super::rest::{self, JsonCall};
use super::sessions::{SessionSettings, Sessions};
use super::world::World;

/// The largest request body, in bytes.
const BODY_LIMIT: usize = 8 << 20;

/// The limits of a SOAP request.
const LIMITS: Limits = Limits { message_bytes: BODY_LIMIT, ..Limits::DEFAULT };

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
    billing: Billing,
    /// Of each of [`SERVICES`].
    ports: Vec<Port>,
    endpoints: Vec<Endpoint>,
    /// All of them at one address.
    whole: Endpoint,
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
        let billing = Billing::new(state);
        let ports = billing.ports();
        let shared = Arc::new(Site {
            endpoints: ports.iter().map(|port| soap(port).definition(definition_of(port))).collect(),
            whole: ports.iter().fold(Endpoint::new(LIMITS), |whole, port| whole.port(port.clone())),
            ports,
            billing,
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
        *self.shared.billing.disturbance() = disturbance;
    }

    /// Ends all sessions, as an idle site does.
    pub fn drop_sessions(&self) {
        self.shared.state().sessions.drop_all();
    }

    /// How often somebody has logged in.
    pub fn logins(&self) -> u64 {
        self.shared.state().sessions.logins
    }

    /// How often a token was renewed.
    pub fn renewals(&self) -> u64 {
        self.shared.state().sessions.renewals
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
        .route("/soap/{service}/{method}", any(soap_method))
        .route("/soap/{service}", any(soap_service))
        .route("/soap/", any(soap_any))
        .route("/Porta/SOAP/{service}", any(soap_service))
        .route("/rest/{service}/{method}", post(rest))
        .route("/api/v2/products", get(products))
        .route("/wsdl/{file}", get(definition))
        .route("/espf/v1/account/i/{i_account}/status", post(status_by_number))
        .route("/espf/v1/account/{id}/status", post(status_by_id))
        .route("/espf/v1/groups", get(groups))
        .route("/espf/v1/group/create", post(create_group))
        .route("/espf/v1/event", post(insert_event))
        .layer(axum::middleware::from_fn(identified))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site), disturbed))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(site)
}

type Web = Shared<Arc<Site>>;

/// Slow, failing or down, as [`Simulator::disturb`] says.
async fn disturbed(Shared(site): Web, request: Request, next: axum::middleware::Next) -> Response {
    let disturbance = *site.billing.disturbance();
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

/// Takes the session from wherever it is in the head of a request, and puts what a login sets into that of its answer.
async fn identified(mut request: Request, next: axum::middleware::Next) -> Response {
    let token =
        bearer(request.headers()).map(str::to_owned).or_else(|| cookie(request.headers(), "access_token"));
    if let Some(token) = token {
        request.extensions_mut().insert(Bearer(token));
    }
    let cookies = Cookies::default();
    request.extensions_mut().insert(cookies.clone());
    let mut answer = next.run(request).await;
    for cookie in cookies.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        if let Ok(value) = cookie.parse() {
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    answer
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
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
    request: Request,
) -> Response {
    site.soap(&service, request).await
}

async fn soap_service(Shared(site): Web, Path(service): Path<String>, request: Request) -> Response {
    site.soap(&service, request).await
}

async fn soap_any(Shared(site): Web, request: Request) -> Response {
    site.whole.answer(request).await.map(Body::new)
}

/// Which of [`SERVICES`] a URL names.
fn service_of(name: &str) -> Option<usize> {
    SERVICES.iter().position(|service| service.name.eq_ignore_ascii_case(name))
}

/// One service over SOAP.
fn soap(port: &Port) -> Endpoint {
    Endpoint::new(LIMITS).port(port.clone())
}

/// A service's definition, which imports nothing.
fn definition_of(port: &Port) -> Definition {
    let file = format!("{}.wsdl", port.service().wsdl_name);
    let files = portabilling::DEFINITIONS.iter().copied().filter(|(name, _)| *name == file);
    Definition::new(&files.collect::<Vec<_>>())
}

async fn rest(
    Shared(site): Web,
    Path((service, method)): Path<(String, String)>,
    request: Request,
) -> Response {
    match site.json(&service, &method, request).await {
        Ok(answer) => answer,
        Err(fault) => {
            let body = json!({ "faultcode": fault.code(), "faultstring": fault.message });
            (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
        }
    }
}

/// The API 2.0, as far as anything is known of it: products with the fields that are asked for.
async fn products(
    Shared(site): Web,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let state = site.state();
    if !known(&state, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let fields: Option<Vec<&str>> = query.get("fields").map(|fields| fields.split(',').collect());
    let number = |name: &str| query.get(name).and_then(|text| text.parse().ok());
    let products = state.world.products.values().skip(number("offset").unwrap_or(0));
    let product = |product: &ProductInfo| {
        let mut value = serde_json::to_value(Json(product)).unwrap_or_default();
        if let (Some(fields), Some(members)) = (&fields, value.as_object_mut()) {
            members.retain(|name, _| fields.contains(&name.as_str()));
        }
        value
    };
    let found: Vec<Value> = products.take(number("limit").unwrap_or(50)).map(product).collect();
    axum::Json(json!({ "products": found })).into_response()
}

/// Puts an event into the queue; what ESPF answers isn't known.
async fn insert_event(Shared(site): Web, headers: HeaderMap, body: Bytes) -> Response {
    let mut state = site.state();
    if !known(&state, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    answer(espf::insert_event(&mut state.world, &body))
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
        self.billing.state()
    }

    async fn soap(&self, service: &str, request: Request) -> Response {
        match service_of(service) {
            Some(index) => self.endpoints[index].answer(request).await.map(Body::new),
            None => page(StatusCode::NOT_FOUND),
        }
    }

    /// A call over JSON, with the session in its body or in the head.
    async fn json(&self, service: &str, method: &str, request: Request) -> Result<Response, Fault> {
        let (JsonCall { auth, params }, parts) = JsonCall::read(request, BODY_LIMIT).await?;
        let mut blocks = Headers::default();
        blocks.set(auth);
        let port = service_of(service).map(|index| &self.ports[index]);
        if let (Some(port), "get_extended_data_list") = (port, method) {
            return self.extended(port.service().name, params, &blocks, &parts);
        }
        let found = port.and_then(|port| Some((port, port.service().operation(method)?)));
        let (port, operation) = found.ok_or_else(|| {
            Fault::new("Client.UnknownMethod", format!("there is no method {service}/{method}"))
        })?;
        let wants_file = params["get_pdf"] == 1;
        let mut parameter = (operation.input.empty)();
        fill_json(&mut *parameter, params).map_err(rest::unreadable)?;
        let outcome = port.call(parameter, Context::new(operation, blocks, parts)).await;
        let result = outcome.result.map_err(|typed| *typed.fault)?;
        let answer = serde_json::to_value(Json(&*result)).map_err(rest::unreadable)?;
        match answer["invoice_info"]["i_invoice"].as_i64().filter(|_| wants_file) {
            Some(i_invoice) => Ok(rest::invoice(i_invoice)),
            None => Ok(axum::Json(answer).into_response()),
        }
    }

    /// Rows of a service by criteria, of which the simulator knows pages only.
    fn extended(
        &self,
        service: &str,
        params: Value,
        blocks: &Headers,
        parts: &http::request::Parts,
    ) -> Result<Response, Fault> {
        let none = AuthInfoStructure::default();
        let auth = blocks.get::<AuthInfoStructure>().unwrap_or(&none);
        let bearer = parts.extensions.get::<Bearer>().map(|bearer| bearer.0.as_str());
        let state = self.state();
        state.sessions.check(auth, bearer, Timestamp::now())?;
        Ok(axum::Json(rest::extended(&state.world, service, &params)?).into_response())
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
