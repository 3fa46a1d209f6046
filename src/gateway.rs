//! The gateway as a whole: the parts put together, started in order and stopped in the reverse one.

mod counted;
mod groups;
mod housekeeping;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use portabilling::client::{Client, Credentials, Settings};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::callback::Tokens;
use crate::config::{CallbackListening, Config, ConnectorSettings, Credential, PortaBillingSettings};
use crate::connector::Connector;
use crate::connector::http::HttpConnector;
use crate::dispatch::{Callbacks, DispatchSettings, Dispatcher, GateSettings, Observer, Route, wall_clock};
use crate::enrich::PortaBilling;
use crate::http::callback::{self, CallbackIntake};
use crate::http::client::pem;
use crate::http::intake::Intake;
use crate::http::operator::Operator;
use crate::http::server::{Limits, serve};
use crate::reconcile::Reconciler;
use crate::status::StatusWriter;
use crate::status::espf::EspfApi;
use crate::store::open::{Opened, Place};
use crate::store::{Control, Store, StoreError};
use crate::telemetry::Telemetry;

use counted::Counted;

/// A running gateway.
pub struct Gateway {
    /// Where the intake listens.
    pub intake: SocketAddr,
    /// Where the operator's side listens.
    pub operator: SocketAddr,
    /// What is counted and measured.
    pub telemetry: Arc<Telemetry>,
    store: Opened,
    intake_stop: CancellationToken,
    work_stop: CancellationToken,
    operator_stop: CancellationToken,
    listeners: TaskTracker,
    workers: TaskTracker,
    operators: TaskTracker,
    portabilling: Client,
}

/// Why the gateway didn't start; nothing has been changed anywhere.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error("the store in {path} can't be opened")]
    Store { path: String, source: StoreError },
    #[error("{address}: can't listen there; is something else using it?")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{what} can't be set up")]
    Setup { what: String, source: Box<dyn std::error::Error + Send + Sync> },
}

/// How long ending the session at PortaBilling may keep the gateway from stopping.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(2);

impl Gateway {
    /// Starts everything that `config` describes.
    ///
    /// # Errors
    /// A store that can't be opened, an address that is taken, certificates that can't be read.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_observed(config, None).await
    }

    /// The same, with somebody beside the metrics who is told of every attempt that has ended.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_observed(config: Config, also: Option<Arc<dyn Observer>>) -> Result<Self, StartError> {
        let telemetry = Arc::new(Telemetry::new());
        let store = open_store(&config).await?;
        let control = store.store();
        let shared = Arc::clone(&control) as Arc<dyn Store>;
        let observer: Arc<dyn Observer> = Arc::new(Counted::new(Arc::clone(&telemetry), also));
        let client = portabilling(&config.portabilling)?.observed(counted::calls(Arc::clone(&telemetry)));

        let routes = routes(&config)?;
        let enrich = Arc::new(PortaBilling::new(client.clone(), config.portabilling.cache_ttl));
        let mut dispatcher = Dispatcher::new(
            Arc::clone(&shared),
            Arc::clone(&enrich) as _,
            routes,
            dispatch_settings(&config),
        );
        dispatcher.observer = Arc::clone(&observer);
        dispatcher.nudge = store.nudge().unwrap_or_default();
        dispatcher.callbacks = config.callback.as_ref().map(callbacks);
        let mut reconciler = reconciler(&config, &dispatcher, Arc::clone(&control), enrich);
        let callbacks = callback_intake(&config, &dispatcher, control);
        let nudges = (Arc::clone(&dispatcher.nudge), Arc::clone(&dispatcher.status_nudge));
        let sink = Arc::new(EspfApi::new(client.clone()));
        let mut statuses = StatusWriter::new(Arc::clone(&shared), sink, config.status.settings());
        statuses.observer = observer;
        statuses.gates = Some(dispatcher.gates());
        statuses.nudge = Arc::clone(&dispatcher.status_nudge);

        let (intake_listener, intake) = listen(config.listen.intake).await?;
        let (operator_listener, operator) = listen(config.listen.operator).await?;
        let gateway = Self {
            intake,
            operator,
            telemetry,
            store,
            portabilling: client,
            intake_stop: CancellationToken::new(),
            work_stop: CancellationToken::new(),
            operator_stop: CancellationToken::new(),
            listeners: TaskTracker::new(),
            workers: TaskTracker::new(),
            operators: TaskTracker::new(),
        };
        let wanted: Vec<String> =
            config.handlers.iter().filter_map(|handler| handler.service_group.clone()).collect();
        let stop = gateway.work_stop.clone();
        let checked = groups::check(gateway.portabilling.clone(), wanted);
        gateway.workers.spawn(async move { stop.run_until_cancelled(checked).await });
        gateway.workers.spawn(dispatcher.run(gateway.work_stop.clone()));
        gateway.workers.spawn(statuses.run(gateway.work_stop.clone()));
        gateway.workers.spawn(housekeeping::keep_house(
            gateway.store.store(),
            config.retention.clone(),
            wall_clock(),
            gateway.work_stop.clone(),
        ));
        reconciler.telemetry = Arc::clone(&gateway.telemetry);
        reconciler.stop = gateway.work_stop.clone();
        let reconciler = Arc::new(reconciler);
        gateway.workers.spawn(Arc::clone(&reconciler).run());
        gateway.open_operator(&config, operator_listener, nudges.clone(), reconciler);
        gateway.open_intake(config, intake_listener, nudges.0, callbacks);
        for tracker in [&gateway.listeners, &gateway.workers, &gateway.operators] {
            tracker.close();
        }
        tracing::info!(%intake, %operator, "soapstone is up");
        Ok(gateway)
    }

    fn open_intake(
        &self,
        config: Config,
        listener: TcpListener,
        accepted: Arc<Notify>,
        callbacks: Option<Arc<CallbackIntake>>,
    ) {
        let intake = Arc::new(Intake::new(
            &config.listen,
            &config.intakes,
            config.handlers,
            self.store.store() as Arc<dyn Store>,
            Arc::clone(&self.telemetry),
            accepted,
            self.intake_stop.clone(),
        ));
        let service = tower::service_fn(move |request: Request<Incoming>| {
            let intake = Arc::clone(&intake);
            let callbacks = callbacks.clone().filter(|_| request.uri().path().starts_with(callback::PATH));
            async move {
                match callbacks {
                    Some(callbacks) => Ok(callbacks.respond(request).await),
                    None => intake.respond(request).await.map(|response| response.map(|_| Full::default())),
                }
            }
        });
        let open = self.telemetry.connections("intake");
        let limits = Limits::from(&config.listen);
        self.listeners.spawn(serve(listener, limits, service, open, self.intake_stop.clone()));
    }

    fn open_operator(
        &self,
        config: &Config,
        listener: TcpListener,
        (nudge, status_nudge): (Arc<Notify>, Arc<Notify>),
        reconciler: Arc<Reconciler>,
    ) {
        let operator = Operator {
            store: self.store.store() as Arc<dyn Store>,
            control: self.store.store(),
            handlers: config.handlers.clone(),
            nudge,
            status_nudge,
            now: wall_clock(),
            reconciler: Some(reconciler),
            telemetry: Arc::clone(&self.telemetry),
            shutdown: self.intake_stop.clone(),
            page_max: usize::try_from(config.store.page_max).unwrap_or(usize::MAX),
            hosts: config.operator.hosts.clone(),
        };
        let open = self.telemetry.connections("operator");
        let limits = Limits::from(&config.listen);
        self.operators.spawn(serve(listener, limits, operator.router(), open, self.operator_stop.clone()));
    }

    /// The store, for whoever wants to look.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.store() as Arc<dyn Store>
    }

    /// Stops: no more events are taken, deliveries that are under way end, then the store is closed.
    pub async fn stop(self) {
        tracing::info!("stopping: no more events are taken, deliveries under way end");
        self.intake_stop.cancel();
        self.listeners.wait().await;
        self.work_stop.cancel();
        self.workers.wait().await;
        self.operator_stop.cancel();
        self.operators.wait().await;
        // what isn't ended now ends by itself
        drop(tokio::time::timeout(LOGOUT_TIMEOUT, self.portabilling.log_out()).await);
        self.store.close().await;
        tracing::info!("stopped");
    }
}

async fn open_store(config: &Config) -> Result<Opened, StartError> {
    let place = config.store.place();
    let path = place.shown();
    place.open(Timestamp::now()).await.map_err(|source| StartError::Store { path, source })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn routes(config: &Config) -> Result<Vec<Route>, StartError> {
    let mut connectors = std::collections::BTreeMap::new();
    for (name, ConnectorSettings::Http(settings)) in &config.connectors {
        let connector = HttpConnector::new(name, settings)
            .map_err(|error| StartError::Setup { what: format!("connector {name}"), source: error.into() })?;
        connectors.insert(name.as_str(), Arc::new(connector) as Arc<dyn Connector>);
    }
    let routes = config.handlers.iter().filter_map(|handler| {
        // the configuration has been checked: the connector is there
        let connector = Arc::clone(connectors.get(handler.connector.as_str())?);
        Some(Route::new(handler.clone(), connector))
    });
    Ok(routes.collect())
}

fn dispatch_settings(config: &Config) -> DispatchSettings {
    let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let gate = |(name, ConnectorSettings::Http(settings)): (&String, &ConnectorSettings)| {
        let gate = GateSettings {
            max_in_flight: size(settings.max_in_flight),
            per_second: (settings.per_second > 0).then_some(settings.per_second as f64),
            breaker: settings.breaker,
        };
        (name.clone(), gate)
    };
    let mut settings = config.dispatch.settings();
    settings.connectors = config.connectors.iter().map(gate).collect();
    settings.portabilling.breaker = config.portabilling.breaker;
    settings
}

fn reconciler(
    config: &Config,
    dispatcher: &Dispatcher,
    store: Arc<dyn Control>,
    source: Arc<PortaBilling>,
) -> Reconciler {
    let (enrich, roster) = (Arc::clone(&source), source);
    let mut settings = config.reconcile.settings();
    // one lease for all that a gateway has in hand
    if let Place::Postgres(database) = config.store.place() {
        (settings.heartbeat, settings.lease) = (database.heartbeat, database.lease);
        settings.gateway = database.name;
    }
    Reconciler::new(dispatcher, store, enrich, roster, &config.handlers, settings)
}

fn callbacks(settings: &CallbackListening) -> Arc<Callbacks> {
    let base = settings.url.as_str().trim_end_matches('/');
    let url = format!("{base}{}", callback::PATH.trim_end_matches('/'));
    Arc::new(Callbacks { url, tokens: Tokens::new(settings.secret.value()) })
}

fn callback_intake(
    config: &Config,
    dispatcher: &Dispatcher,
    store: Arc<dyn Control>,
) -> Option<Arc<CallbackIntake>> {
    let settings = config.callback.as_ref()?;
    Some(Arc::new(CallbackIntake {
        callbacks: Arc::clone(dispatcher.callbacks.as_ref()?),
        settler: dispatcher.settler(),
        store,
        body_limit: usize::try_from(settings.body_limit).unwrap_or(usize::MAX),
        body_timeout: config.listen.body_timeout,
        patience: settings.patience,
    }))
}

/// PortaBilling's client, as the configuration has it.
///
/// # Errors
/// Certificates that can't be read.
pub fn portabilling(from: &PortaBillingSettings) -> Result<Client, StartError> {
    let mut settings = Settings::new(from.url.as_str(), credentials(from));
    settings.soap_path = from.soap_path;
    settings.other_urls = from.other_urls.iter().map(|url| url.as_str().to_owned()).collect();
    settings.transport = from.transport;
    settings.auth_info = from.auth_info;
    settings.espf.base = from.espf_url.as_ref().map(|url| url.as_str().to_owned());
    settings.status_encoding = from.status_encoding;
    settings.espf_auth = from.espf_auth;
    settings.connect_timeout = from.connect_timeout;
    settings.call_timeout = from.timeout;
    settings.queue_timeout = from.timeout.max(Duration::from_secs(1));
    settings.max_in_flight = usize::try_from(from.max_in_flight).unwrap_or(usize::MAX);
    // the dispatcher and the status writer retry, and nobody else
    settings.retries = 0;
    settings.calls_per_second = (from.calls_per_second > 0).then_some(from.calls_per_second as f64);
    settings.limits.message_bytes = usize::try_from(from.answer_limit).unwrap_or(usize::MAX);
    (settings.min_tls, settings.max_tls) = (from.min_tls, from.max_tls);
    settings.danger_accept_invalid_certs = from.danger_accept_invalid_certs;
    let setup = |source| StartError::Setup { what: "the client of PortaBilling".into(), source };
    if let Some(file) = &from.ca_file {
        settings.ca_pem.push(pem(file).map_err(|error| setup(error.into()))?);
    }
    if let (Some(file), Some(key)) = (&from.client_certificate, &from.client_key) {
        let certificate = pem(file).map_err(|error| setup(error.into()))?;
        settings.client_pem = Some([&certificate, b"\n".as_slice(), key.expose().as_bytes()].concat().into());
    }
    Client::new(settings).map_err(|error| setup(error.into()))
}

fn credentials(from: &PortaBillingSettings) -> Credentials {
    match &from.credential {
        Credential::Password(secret) => Credentials::password(&from.login, secret.value().clone()),
        Credential::Token(secret) => Credentials::token(&from.login, secret.value().clone()),
    }
}
