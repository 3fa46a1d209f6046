//! The whole way of events on one machine: a simulated PortaBilling, a stand-in for an external system, and the real
//! gateway between them; with an outage of each, and an account of what became of every event.

mod external;
mod report;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use crate::config::{Config, ConfigError};
use crate::gateway::{Gateway, StartError};
use crate::simulator::{Change, Disturbance, Sender, SenderSettings, Simulator, SimulatorSettings};

use external::External;
pub use report::Report;

/// What to show.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    /// How many events are sent.
    pub events: u64,
    /// How many in a second.
    pub rate: u64,
    /// How many accounts the simulated PortaBilling has.
    pub accounts: usize,
    /// How long to wait for the last deliveries after the last event.
    pub patience: Duration,
}

impl DemoSettings {
    /// With every default.
    pub fn new(events: u64, rate: u64) -> Self {
        Self { events, rate, accounts: 2000, patience: Duration::from_secs(120) }
    }
}

/// Why the demo didn't come to its end.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DemoError {
    #[error("can't set the demo up")]
    Setup(#[from] std::io::Error),
    #[error("the demo's configuration is wrong, which is a mistake in the program")]
    Config(#[from] ConfigError),
    #[error("the gateway didn't start")]
    Gateway(#[from] StartError),
    #[error("can't make an HTTP client")]
    Client(#[from] reqwest::Error),
    #[error("the store can't be asked what became of the events")]
    Store(#[from] crate::store::StoreError),
}

/// Everything that runs.
pub struct Demo {
    settings: DemoSettings,
    simulator: Arc<Simulator>,
    external: External,
    gateway: Gateway,
    sender: Sender,
    /// Dropped last: the store is in it.
    _folder: tempfile::TempDir,
}

const PASSWORD: &str = "demo-espf";
const BEARER: &str = "demo-connector";

impl Demo {
    /// Starts the three parties on free ports of the loopback interface.
    ///
    /// # Errors
    /// See [`DemoError`].
    pub async fn start(settings: DemoSettings) -> Result<Self, DemoError> {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let accounts = SimulatorSettings { accounts: settings.accounts, ..SimulatorSettings::default() };
        let simulator = Arc::new(Simulator::start(local, accounts).await?);
        let external = External::start(local, BEARER).await?;
        let folder = tempfile::tempdir()?;
        let config = configuration(folder.path(), &simulator.url(), &external.url())?;
        let gateway = Gateway::start(config).await?;
        let mut sending = SenderSettings::new(format!("http://{}/espf", gateway.intake), "espf", PASSWORD);
        sending.duplicates = 5;
        sending.resend_after = Duration::from_millis(200);
        let sender = Sender::new(sending)?;
        Ok(Self { settings, simulator, external, gateway, sender, _folder: folder })
    }

    /// Sends the stream of events and waits until the gateway has dealt with all of them.
    ///
    /// # Errors
    /// See [`DemoError`].
    pub async fn run(&self) -> Result<Report, DemoError> {
        let bar = bar(self.settings.events);
        let sending = tokio::spawn({
            let sender = self.sender.clone();
            async move { sender.run().await }
        });
        self.stream(&bar).await;
        self.sender.close();
        // ends by itself: it was closed, and each request has a time-out
        let _ = sending.await;
        bar.set_message("waiting for the last deliveries");
        self.settle(&bar).await?;
        bar.finish_and_clear();
        report::make(&self.simulator, &self.external, &self.gateway, &self.sender).await
    }

    /// Changes in PortaBilling at the rate that was asked for, with an outage of each party in the middle.
    async fn stream(&self, bar: &ProgressBar) {
        let total = self.settings.events;
        let mut ids = self.simulator.world(|world| world.account_ids());
        let mut beat = tokio::time::interval(
            Duration::from_secs(1) / u32::try_from(self.settings.rate.max(1)).unwrap_or(u32::MAX),
        );
        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 0..total {
            beat.tick().await;
            self.outages(number * 100 / total, bar);
            let change = change(number);
            let time = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
            // a third of the events is about a few busy accounts, so that order is put to the test
            let index = if number % 3 == 0 { number % 10 } else { number.wrapping_mul(7919) } as usize
                % ids.len().max(1);
            let Some(&i_account) = ids.get(index) else { return };
            let event = self.simulator.world(|world| world.change(change, i_account, &time));
            if change == Change::Delete {
                ids.retain(|id| *id != i_account);
            }
            self.sender.offer(event);
            bar.inc(1);
        }
        self.outages(100, bar);
    }

    /// From 30 to 45 per cent of the stream the external system is down, from 60 to 75 PortaBilling.
    fn outages(&self, percent: u64, bar: &ProgressBar) {
        let (external, portabilling) = ((30..45).contains(&percent), (60..75).contains(&percent));
        self.external.set_down(external);
        self.simulator.disturb(Disturbance { down: portabilling, ..Disturbance::default() });
        bar.set_message(match (external, portabilling) {
            (true, _) => "the external system is down",
            (_, true) => "PortaBilling is down",
            _ => "",
        });
    }

    /// Waits until nothing is pending, neither deliveries nor statuses.
    async fn settle(&self, bar: &ProgressBar) -> Result<(), DemoError> {
        let deadline = Instant::now() + self.settings.patience;
        let store = self.gateway.store();
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        loop {
            beat.tick().await;
            let open: u64 =
                store.backlog().await?.iter().map(|handler| handler.pending + handler.in_flight).sum();
            let statuses = store.next_status_due().await?.is_some();
            if open == 0 && !statuses || Instant::now() > deadline {
                return Ok(());
            }
            bar.set_message(match open {
                0 => "the last statuses are being written".to_string(),
                1 => "1 delivery to go".to_string(),
                _ => format!("{open} deliveries to go"),
            });
        }
    }

    /// Where everything can be looked at.
    pub fn urls(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("PortaBilling (simulated)", self.simulator.url()),
            ("external system (stand-in)", self.external.url()),
            ("intake", format!("http://{}/espf (user espf, password {PASSWORD})", self.gateway.intake)),
            ("operator", format!("http://{}/api/v1/events", self.gateway.operator)),
            ("metrics", format!("http://{}/metrics", self.gateway.operator)),
        ])
    }

    /// Ends everything.
    pub async fn stop(self) {
        self.gateway.stop().await;
        self.external.stop().await;
    }
}

/// A mix as an ordinary day has it.
fn change(number: u64) -> Change {
    match number % 20 {
        3 | 13 => Change::Create,
        5 | 11 | 17 => Change::Block,
        7 | 15 => Change::SwapSim,
        9 => Change::Delete,
        12 => Change::PayInvoice,
        19 => Change::Other,
        _ => Change::Update,
    }
}

fn configuration(folder: &Path, portabilling: &str, external: &str) -> Result<Config, ConfigError> {
    let text = format!(
        r#"
[listen]
intake = "127.0.0.1:0"
operator = "127.0.0.1:0"

[store]
path = "demo.db"

[portabilling]
url = "{portabilling}"
login = "demo"
password = {{ env = "PORTABILLING" }}
breaker = {{ first = "200ms", longest = "1s", slow_start = "1s" }}
timeout = "10s"

[status]
retry = {{ first = "200ms", longest = "1s", tries = 1000, then = ["1m"], horizon = "1h" }}

[[intake]]
name = "default"
auth = {{ basic = [{{ user = "espf", password = {{ env = "ESPF" }} }}] }}

[connector.hss]
type = "http"
url = "{external}/process-event"
bearer = {{ env = "CONNECTOR" }}
breaker = {{ first = "200ms", longest = "1s", slow_start = "1s" }}
timeout = "10s"

[[handler]]
name = "hss"
events = ["Subscriber/*", "SIM/*", "Account/*"]
fetch = ["account_info", "sim_info", "prev_sim_info", "access_policy_info", "product_info"]
connector = "hss"
service_group = "HSS"
retry = {{ first = "200ms", longest = "1s", tries = 1000, then = ["1m"], horizon = "1h" }}

[[handler]]
name = "crm"
events = ["Invoice/*"]
fetch = []
connector = "hss"
retry = {{ first = "200ms", longest = "1s", tries = 1000, then = ["1m"], horizon = "1h" }}
"#
    );
    let secrets = |name: &str| match name {
        "PORTABILLING" => Some("p&ss<w>\"ö".to_string()),
        "ESPF" => Some(PASSWORD.to_string()),
        "CONNECTOR" => Some(BEARER.to_string()),
        _ => None,
    };
    Config::parse("demo.toml", &text, folder, &secrets)
}

fn bar(events: u64) -> ProgressBar {
    let bar = ProgressBar::new(events);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} events  {elapsed}  {wide_msg}") {
        bar.set_style(style);
    }
    bar
}
