//! A whole stage: a simulated PortaBilling, the gateway, an external system, and cables that can be cut.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use soapstone::config::{Config, Dispatch, StatusWriting};
use soapstone::gateway::Gateway;
use soapstone::handler::RetrySchedule;
use soapstone::simulator::{Change, Sent, SessionSettings, Simulator, SimulatorSettings};
use tempfile::TempDir;

use super::cable::Cable;
use super::external::External;
use crate::harness::{BASIC, PATIENCE, request};

/// How the stage is to be, beyond what all have.
pub(crate) struct Plan {
    pub(crate) sessions: SessionSettings,
    /// Further lines of `[portabilling]`.
    pub(crate) portabilling: &'static str,
    /// Further lines of `[connector.hss]`.
    pub(crate) connector: &'static str,
    /// The handlers.
    pub(crate) handlers: String,
    /// What the secret `DATABASE` is.
    pub(crate) database: String,
    pub(crate) dispatch: Dispatch,
    pub(crate) status: StatusWriting,
}

/// Everything, tried again at once.
pub(crate) const HSS: &str = r#"
[[handler]]
name = "hss"
events = ["Subscriber/*", "SIM/*", "Account/*"]
fetch = ["account_info", "sim_info", "prev_sim_info", "access_policy_info", "product_info", "full_vd_counter_info"]
connector = "hss"
service_group = "HSS"
retry = { first = "10ms", longest = "20ms", tries = 100000, then = ["1m"], horizon = "1h" }
"#;

impl Default for Plan {
    fn default() -> Self {
        let retry = RetrySchedule {
            first: Duration::from_millis(5),
            longest: Duration::from_millis(20),
            tries: 100_000,
            ..RetrySchedule::default()
        };
        let status = StatusWriting { retry, ..StatusWriting::default() };
        Self {
            sessions: SessionSettings::default(),
            portabilling: "",
            connector: "",
            handlers: HSS.to_owned(),
            database: String::new(),
            dispatch: Dispatch::default(),
            status,
        }
    }
}

impl Plan {
    pub(crate) fn handlers(handlers: &str) -> Self {
        Self { handlers: handlers.to_owned(), ..Self::default() }
    }
}

/// All parties.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) external: External,
    /// Between the gateway and SOAP.
    pub(crate) soap: Cable,
    /// Between the gateway and the ESPF API.
    pub(crate) espf: Cable,
    gateway: Option<Gateway>,
    text: String,
    database: String,
    dispatch: Dispatch,
    status: StatusWriting,
    folder: TempDir,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = SimulatorSettings { accounts: 20, sessions: plan.sessions };
        let simulator = Simulator::start(local, settings).await.unwrap();
        let external = External::start().await;
        let far = simulator.url().trim_start_matches("http://").parse().unwrap();
        let (soap, espf) = (Cable::to(far).await, Cable::to(far).await);
        let text = format!(
            r#"
[listen]
intake = "127.0.0.1:0"
operator = "127.0.0.1:0"

[portabilling]
url = "http://{}"
espf_url = "http://{}/espf/v1"
login = "demo"
password = {{ env = "PORTABILLING" }}
breaker = {{ first = "20ms", longest = "100ms", slow_start = "0s" }}
{}

[[intake]]
name = "default"
auth = {{ basic = [{{ user = "espf", password = {{ env = "ESPF" }} }}] }}

[connector.hss]
type = "http"
url = "http://{}/process-event"
bearer = {{ env = "CONNECTOR" }}
breaker = {{ first = "20ms", longest = "100ms", slow_start = "0s" }}
{}
{}"#,
            soap.address, espf.address, plan.portabilling, external.address, plan.connector, plan.handlers
        );
        let folder = tempfile::tempdir().unwrap();
        let mut stage = Self {
            simulator,
            external,
            soap,
            espf,
            gateway: None,
            text,
            database: plan.database,
            dispatch: plan.dispatch,
            status: plan.status,
            folder,
        };
        stage.start_gateway().await;
        stage
    }

    /// Starts the gateway on the store that is there.
    pub(crate) async fn start_gateway(&mut self) {
        self.gateway = Some(self.another(str::to_owned).await);
    }

    /// Starts one more gateway, with its configuration changed so.
    pub(crate) async fn another(&self, change: impl FnOnce(&str) -> String) -> Gateway {
        let secrets = |name: &str| match name {
            "PORTABILLING" => Some(SessionSettings::default().password),
            "ESPF" => Some("secret".to_owned()),
            "CONNECTOR" => Some("t0ken".to_owned()),
            "DATABASE" => Some(self.database.clone()),
            "CALLBACK" => Some("signs what is called back".to_owned()),
            _ => None,
        };
        let config = Config::parse("stage.toml", &change(&self.text), self.folder.path(), &secrets);
        let mut config = config.unwrap_or_else(|error| panic!("{error}"));
        config.dispatch = self.dispatch.clone();
        config.status = self.status.clone();
        Gateway::start(config).await.unwrap()
    }

    pub(crate) async fn stop_gateway(&mut self) {
        self.take_gateway().stop().await;
    }

    pub(crate) fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().unwrap()
    }

    /// Starts the gateway anew with something more in its configuration.
    pub(crate) async fn add(&mut self, text: &str) {
        self.change_config(|config| format!("{config}{text}")).await;
    }

    /// Starts the gateway anew with another configuration.
    pub(crate) async fn change_config(&mut self, change: impl FnOnce(&str) -> String) {
        self.text = change(&self.text);
        self.stop_gateway().await;
        self.start_gateway().await;
    }

    /// From now on the external system is behind this address.
    pub(crate) async fn reconnect_external(&mut self, address: SocketAddr) {
        self.text = self.text.replace(&self.external.address.to_string(), &address.to_string());
        self.stop_gateway().await;
        self.start_gateway().await;
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// The account number `index`, of twenty.
    pub(crate) fn account(&self, index: usize) -> i64 {
        self.simulator.world(|world| world.account_ids()[index])
    }

    /// A change in PortaBilling and the event that comes of it, posted and acknowledged.
    pub(crate) async fn change(&self, change: Change, i_account: i64) -> Sent {
        let sent = self.simulator.world(|world| world.change(change, i_account, "2026-11-21 08:00:00"));
        assert_eq!(self.post(&sent.body).await, 200);
        sent
    }

    /// An event that nothing in PortaBilling has changed for.
    pub(crate) async fn event(&self, event_type: &str, variables: Value) -> Sent {
        let sent = self.simulator.world(|world| world.event(event_type, variables, "2026-11-21 08:00:00"));
        assert_eq!(self.post(&sent.body).await, 200);
        sent
    }

    /// Posts as ESPF does.
    pub(crate) async fn post(&self, body: &str) -> u16 {
        let headers = [("Authorization", BASIC), ("Content-Type", "application/json")];
        request(self.gateway().intake, "POST", "/espf", &headers, body).await.status
    }

    /// What the operator's API says.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let answer = request(self.gateway().operator, "GET", path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// An event with deliveries and attempts, by ESPF's id.
    pub(crate) async fn detail(&self, i_event: i64) -> Value {
        let page = self.ask("/api/v1/events?limit=500").await;
        let events = page["events"].as_array().unwrap();
        let found = events.iter().find(|event| event["i_event"] == i_event).expect("the event isn't there");
        self.ask(&format!("/api/v1/events/{}", found["id"].as_str().unwrap())).await
    }

    /// The sum of all samples of a metric whose labels contain each of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let answer = request(self.gateway().operator, "GET", "/metrics", &[], "").await;
        let of_metric = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        };
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        answer.body.lines().filter(of_metric).map(value).sum()
    }

    /// How often PortaBilling was asked with this method, whatever came of it.
    pub(crate) async fn calls(&self, method: &str) -> f64 {
        let label = format!(r#"method="{method}""#);
        self.metric("soapstone_portabilling_calls_total", &[&label]).await
    }

    /// The provisioning status as PortaBilling has it.
    pub(crate) fn status(&self, i_account: i64) -> Option<(String, Option<String>)> {
        self.simulator.world(|world| {
            let written = world.statuses().get(&(i_account, "HSS".to_owned()))?;
            Some((written.status.clone(), written.message.clone()))
        })
    }

    /// Waits until PortaBilling has this status.
    pub(crate) async fn until_status(&self, i_account: i64, status: &str) -> Option<String> {
        eventually(&format!("status {status} of account {i_account}"), async || {
            self.status(i_account).filter(|(now, _)| now == status).map(|(_, message)| message)
        })
        .await
    }

    /// Waits until nothing is pending or in flight.
    pub(crate) async fn settled(&self) {
        let store = self.gateway().store();
        eventually("everything is delivered", async || {
            let backlog = store.backlog().await.unwrap();
            backlog.iter().all(|handler| handler.pending + handler.in_flight == 0).then_some(())
        })
        .await;
    }
}

/// Looks until there is something to see; for what can't tell by itself that it has happened.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    loop {
        beat.tick().await;
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(tokio::time::Instant::now() < deadline, "it didn't happen in time: {what}");
    }
}
