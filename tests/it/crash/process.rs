//! The gateway as a process of its own, with a configuration and a store in a folder that goes away with it.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use soapstone::simulator::SessionSettings;
use tempfile::TempDir;

use crate::harness::free_port;
use crate::whole_way::stage::eventually;

/// What an outcome is answered whose claim has ended.
const OVERTAKEN: &str = "has gone on without this claim";

pub(crate) struct Process {
    pub(super) intake: SocketAddr,
    pub(crate) operator: SocketAddr,
    client: reqwest::Client,
    folder: TempDir,
    database: String,
    child: Option<Child>,
}

/// Where the gateway keeps its events.
pub(crate) enum Store {
    /// In a file of its own.
    File,
    /// In this schema of a database.
    Database { url: String, schema: String },
}

impl Store {
    /// The section of the configuration, and the secret that goes with it.
    fn section(&self) -> (String, String) {
        match self {
            Self::File => ("[store]\npath = \"crash.db\"\n".into(), String::new()),
            Self::Database { url, schema } => {
                let section = format!(
                    "[store.postgres]\nurl = {{ env = \"DATABASE\" }}\nschema = \"{schema}\"\n\
                     heartbeat = \"150ms\"\nlease = \"700ms\"\n"
                );
                (section, url.clone())
            }
        }
    }
}

impl Process {
    /// Writes the configuration; the ports stay the same through all starts.
    pub(crate) async fn prepare(portabilling: &str, external: SocketAddr, store: &Store) -> Self {
        let (first, intake) = free_port().await;
        let (second, operator) = free_port().await;
        drop((first, second));
        let folder = tempfile::tempdir().unwrap();
        let (store, database) = store.section();
        let text = format!(
            r#"
[listen]
intake = "{intake}"
operator = "{operator}"

{store}

[portabilling]
url = "{portabilling}"
login = "demo"
password = {{ env = "PORTABILLING" }}

[[intake]]
name = "default"
auth = {{ basic = [{{ user = "espf", password = {{ env = "ESPF" }} }}] }}

[connector.hss]
type = "http"
url = "http://{external}/process-event"
bearer = {{ env = "CONNECTOR" }}
breaker = {{ first = "50ms", longest = "200ms", slow_start = "100ms" }}

[[handler]]
name = "hss"
events = ["*"]
fetch = ["account_info", "sim_info"]
connector = "hss"
service_group = "HSS"
retry = {{ first = "10ms", longest = "50ms", tries = 100000, then = ["1m"], horizon = "1d" }}
"#
        );
        std::fs::write(folder.path().join("soapstone.toml"), text).unwrap();
        let client = reqwest::Client::new();
        Self { intake, operator, client, folder, database, child: None }
    }

    /// Adds to the configuration, for the next start.
    pub(crate) fn add(&self, text: &str) {
        let mut file = File::options().append(true).open(self.folder.path().join("soapstone.toml")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_soapstone"))
            .args(["serve", "--config"])
            .arg(self.folder.path().join("soapstone.toml"))
            .env("PORTABILLING", SessionSettings::default().password)
            .env("ESPF", "secret")
            .env("CONNECTOR", "t0ken")
            .env("DATABASE", &self.database)
            .env("RUST_LOG", "info")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL: it gets no word in.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Some(ended) = child.try_wait().unwrap() {
            panic!("it ended by itself: {ended}\n{}", self.tail());
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// From now on it gets no time, until [`Self::thaw`].
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// How many outcomes it couldn't record, since others had taken over.
    pub(super) fn refused(&self) -> usize {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().filter(|line| line.contains(OVERTAKEN)).count()
    }

    fn tail(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Waits until it can take events.
    pub(crate) async fn ready(&mut self) {
        let url = format!("http://{}/health/ready", self.operator);
        eventually("the gateway is ready", async || {
            if let Some(ended) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("it ended by itself: {ended}\n{}", self.tail());
            }
            let answer = self.client.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    pub(super) async fn metrics(&self) -> String {
        let answer = self.client.get(format!("http://{}/metrics", self.operator)).send().await.unwrap();
        answer.text().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("http://{}{path}", self.operator)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Waits until nothing is pending or in flight.
    pub(super) async fn settled(&self) {
        eventually("nothing is pending", async || {
            for state in ["pending", "in_flight"] {
                let page = self.get(&format!("/api/v1/events?limit=1&state={state}")).await;
                if !page["events"].as_array().unwrap().is_empty() {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.tail());
        }
    }
}
