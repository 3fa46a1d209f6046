//! The whole way at a steady rate: how long from ESPF's POST to the external system, and how much of that is ours.
//!
//! `cargo bench --bench whole_way`. The simulated PortaBilling, the gateway with its store on the disk, and an external
//! system that answers at once share one machine. A hundred events come in a second, each about another account, and each is
//! fetched for in full (account, SIM card, access policy, product, counters).
//!
//! *The whole way* is from the POST to the end of the record in the store, by which time the external system has it. *Our own
//! share* is that without what PortaBilling and the external system took from question to answer.

#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use jiff::Timestamp;
use soapstone::config::Config;
use soapstone::dispatch::{AttemptEnded, Observer};
use soapstone::gateway::Gateway;
use soapstone::simulator::{Change, SessionSettings, Simulator, SimulatorSettings};
use tokio::time::MissedTickBehavior;

const RATE: u32 = 100;
const SECONDS: u32 = 10;
/// Before it counts: logins, connections, first pages of the store.
const WARM_UP: u32 = 2 * RATE;
const ACCOUNTS: usize = 2000;

/// What became of one event.
#[derive(Debug, Clone, Copy)]
struct Ended {
    at: Timestamp,
    enrich: Duration,
    connect: Duration,
    record: Duration,
    attempt: u32,
}

#[derive(Default)]
struct Ends {
    by_event: Mutex<HashMap<i64, Ended>>,
}

impl Observer for Ends {
    fn attempt_ended(&self, ended: &AttemptEnded<'_>) {
        let end = Ended {
            at: Timestamp::now(),
            enrich: ended.enrich,
            connect: ended.connect,
            record: ended.record,
            attempt: ended.attempt,
        };
        if let Some(i_event) = ended.event.i_event {
            self.by_event.lock().unwrap_or_else(PoisonError::into_inner).insert(i_event, end);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = SimulatorSettings { accounts: ACCOUNTS, ..SimulatorSettings::default() };
    let simulator = Simulator::start(local, settings).await?;
    let external = tokio::net::TcpListener::bind(local).await?;
    let external_address = external.local_addr()?;
    let routes = Router::new().route("/process-event", post(async || StatusCode::ACCEPTED));
    let external = tokio::spawn(async move { axum::serve(external, routes).await });

    let folder = tempfile::tempdir()?;
    let text = configuration(&simulator.url(), &format!("http://{external_address}/process-event"));
    let secrets = |name: &str| match name {
        "PORTABILLING" => Some(SessionSettings::default().password),
        _ => Some("secret".to_owned()),
    };
    let config = Config::parse("bench.toml", &text, folder.path(), &secrets)?;
    let ends = Arc::new(Ends::default());
    let observer = Some(Arc::clone(&ends) as Arc<dyn Observer>);
    let gateway = Gateway::start_observed(config, observer).await?;

    let (posted, accepted) = send(&simulator, &gateway).await?;
    let store = gateway.store();
    while store.backlog().await?.iter().any(|handler| handler.pending + handler.in_flight > 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    report(&posted, accepted, &ends);
    gateway.stop().await;
    external.abort();
    Ok(())
}

/// When each event was posted, and how long its 200 took.
type Posted = HashMap<i64, Timestamp>;

async fn send(simulator: &Simulator, gateway: &Gateway) -> Result<(Posted, Vec<Duration>), Box<dyn Error>> {
    let url = format!("http://{}/espf", gateway.intake);
    let client = reqwest::Client::builder().tcp_nodelay(true).build()?;
    let ids = simulator.world(|world| world.account_ids());
    let mut beat = tokio::time::interval(Duration::from_secs(1) / RATE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut posted, mut requests) = (Posted::new(), Vec::new());
    for number in 0..WARM_UP + RATE * SECONDS {
        let due = beat.tick().await;
        let i_account = ids[number as usize % ids.len()];
        let event = simulator.world(|world| world.change(Change::Update, i_account, "2026-11-21 08:00:00"));
        let counts = number >= WARM_UP;
        if counts {
            posted.insert(event.i_event, Timestamp::now());
        }
        let request = client.post(&url).basic_auth("espf", Some("secret")).body(event.body);
        requests.push(tokio::spawn(async move {
            let status = request.send().await?.error_for_status()?.status();
            assert_eq!(status, StatusCode::OK);
            // from when it was due, so that a late start counts
            Ok::<_, reqwest::Error>(counts.then(|| due.elapsed()))
        }));
    }
    let mut accepted = Vec::new();
    for request in requests {
        accepted.extend(request.await??);
    }
    Ok((posted, accepted))
}

fn report(posted: &Posted, accepted: Vec<Duration>, ends: &Ends) {
    let ends = ends.by_event.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut whole, mut own, mut enrich, mut connect, mut record) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut again = 0;
    for (i_event, posted_at) in posted {
        let Some(end) = ends.get(i_event) else { continue };
        let way = Duration::try_from(end.at.duration_since(*posted_at)).unwrap_or_default();
        whole.push(way);
        own.push(way.saturating_sub(end.enrich + end.connect));
        enrich.push(end.enrich);
        connect.push(end.connect);
        record.push(end.record);
        again += u32::from(end.attempt > 1);
    }
    println!("{} events at {RATE}/s, {} of them delivered, {again} not at first", posted.len(), whole.len());
    println!("{:<36}{:>10}{:>10}{:>10}", "", "p50 ms", "p99 ms", "most ms");
    for (name, durations) in [
        ("accepted (POST to 200)", accepted),
        ("PortaBilling, question to answer", enrich),
        ("external system, question to answer", connect),
        ("record in the store", record),
        ("the whole way", whole),
        ("our own share", own),
    ] {
        let [middle, high, most] = quantiles(durations);
        println!("{name:<36}{middle:>10.2}{high:>10.2}{most:>10.2}");
    }
}

fn quantiles(mut durations: Vec<Duration>) -> [f64; 3] {
    durations.sort_unstable();
    [0.5, 0.99, 1.0].map(|share| {
        let index = (durations.len() as f64 * share) as usize;
        let duration = durations.get(index.min(durations.len().saturating_sub(1)));
        duration.map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e3)
    })
}

fn configuration(portabilling: &str, external: &str) -> String {
    format!(
        r#"
[listen]
intake = "127.0.0.1:0"
operator = "127.0.0.1:0"

[portabilling]
url = "{portabilling}"
login = "demo"
password = {{ env = "PORTABILLING" }}

[[intake]]
name = "default"
auth = {{ basic = [{{ user = "espf", password = {{ env = "ESPF" }} }}] }}

[connector.hss]
type = "http"
url = "{external}"
bearer = {{ env = "CONNECTOR" }}

[[handler]]
name = "hss"
events = ["Subscriber/*"]
fetch = ["account_info", "sim_info", "prev_sim_info", "access_policy_info", "product_info", "full_vd_counter_info"]
connector = "hss"
service_group = "HSS"
"#
    )
}
