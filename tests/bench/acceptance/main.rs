//! Durable acceptance over HTTP, against the least that durability costs: a bare file that is appended to and synced.
//!
//! `cargo bench --bench acceptance [-- 'store alone' …]`. Four candidates take turns in one run, each with 1, 16 and 64 requests at a time:
//!
//! * `soapstone`: HTTP, the real intake (authentication, reading, one handler), the real store;
//! * `file behind the intake`: the same HTTP and intake, but an event is appended to a file;
//! * `store alone`: the real store without HTTP;
//! * `file alone`: the file without HTTP.
//!
//! The file does the same batching as the store: whoever comes while it syncs shares the next `fdatasync`. It knows no
//! duplicates, no order and no queries. Clients wait for each answer before they send the next request, on connections
//! that stay open, from the same machine.

#![allow(clippy::print_stdout)]

mod client;
mod file;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use soapstone::config::{BasicCredential, IntakeAuth, IntakeSettings, Listen, Secret};
use soapstone::event::Event;
use soapstone::handler::{Handler, Order, RetrySchedule};
use soapstone::http::intake::Intake;
use soapstone::http::server::{Limits, serve};
use soapstone::store::sqlite::{SqliteStore, StoreSettings};
use soapstone::store::{Store, Subscription};
use soapstone::telemetry::Telemetry;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use file::FileStore;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How often the candidates take turns, and how long each turn is.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_millis(1500);
const AT_ONCE: [usize; 3] = [1, 16, 64];

/// A way to have an event accepted.
#[derive(Clone)]
enum Candidate {
    Http(SocketAddr),
    Direct(Arc<dyn Store>),
}

/// What a candidate has done so far.
#[derive(Default)]
struct Figures {
    events: usize,
    time: Duration,
    latencies: Vec<Duration>,
}

impl Figures {
    fn rate(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64()
    }

    fn quantile(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let index = (self.latencies.len() as f64 * share) as usize;
        let latency = self.latencies.get(index.min(self.latencies.len().saturating_sub(1)));
        latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut candidates = server.block_on(candidates(folder.path()))?;
    candidates.retain(|(name, _)| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name));
    println!("{:>9}  {:<24}{:>10}{:>10}{:>10}  ratio", "at a time", "", "events/s", "p50 ms", "p99 ms");
    let mut next_event = 1;
    for at_once in AT_ONCE {
        let mut figures: Vec<Figures> = candidates.iter().map(|_| Figures::default()).collect();
        for _ in 0..TURNS {
            for ((_, candidate), figures) in candidates.iter().zip(&mut figures) {
                let turn = turn(candidate, at_once, next_event, figures);
                next_event = client.block_on(turn)?;
            }
        }
        // each against the file in the same place: behind the intake, or alone
        for (index, (name, _)) in candidates.iter().enumerate() {
            let ratio = figures[index].rate() / figures.get(index | 1).map_or(f64::NAN, Figures::rate);
            let figures = &mut figures[index];
            println!(
                "{at_once:>9}  {name:<24}{:>10.0}{:>10.2}{:>10.2}  {ratio:.2}",
                figures.rate(),
                figures.quantile(0.5),
                figures.quantile(0.99),
            );
        }
    }
    Ok(())
}

async fn candidates(folder: &Path) -> Result<Vec<(&'static str, Candidate)>, Failure> {
    let store = |name: &str| -> Result<Arc<dyn Store>, soapstone::store::StoreError> {
        let path = folder.join(name);
        Ok(Arc::new(SqliteStore::open(&path, StoreSettings::default(), Timestamp::now())?))
    };
    let file = |name: &str| -> std::io::Result<Arc<dyn Store>> {
        Ok(Arc::new(FileStore::open(&folder.join(name))?))
    };
    Ok(vec![
        ("soapstone", Candidate::Http(listen(store("http.db")?).await?)),
        ("file behind the intake", Candidate::Http(listen(file("http.log")?).await?)),
        ("store alone", Candidate::Direct(store("alone.db")?)),
        ("file alone", Candidate::Direct(file("alone.log")?)),
    ])
}

fn handler() -> Handler {
    Handler {
        name: "sim".into(),
        events: vec!["SIM/*".into(), "Subscriber/*".into()],
        fetch: Vec::new(),
        connector: "hlr".into(),
        service_group: None,
        order: Order::Skip,
        order_by: soapstone::handler::OrderBy::Arrival,
        retry: RetrySchedule::default().into(),
        reconcile: None,
    }
}

/// The real intake in front of a store.
async fn listen(store: Arc<dyn Store>) -> std::io::Result<SocketAddr> {
    let basic = vec![BasicCredential { user: "espf".into(), password: Secret::new("secret") }];
    let source = IntakeSettings {
        name: "default".into(),
        path: "/espf".into(),
        unauthorized: 401,
        auth: IntakeAuth::Basic { basic },
    };
    let telemetry = Arc::new(Telemetry::new());
    let stop = CancellationToken::new();
    let settings = Listen::default();
    let intake = Arc::new(Intake::new(
        &settings,
        &[source],
        vec![handler()],
        store,
        Arc::clone(&telemetry),
        Arc::new(Notify::new()),
        stop.clone(),
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = tower::service_fn(move |request| Arc::clone(&intake).respond(request));
    let open = telemetry.connections("intake");
    tokio::spawn(serve(listener, Limits::from(&settings), service, open, stop));
    Ok(address)
}

/// One turn of a candidate; answers the number of the next event.
async fn turn(
    candidate: &Candidate,
    at_once: usize,
    first: usize,
    figures: &mut Figures,
) -> Result<usize, Failure> {
    let began = Instant::now();
    let end = began + TURN;
    let runs = (0..at_once).map(async |lane| {
        let numbers = (first + lane..).step_by(at_once);
        match candidate {
            Candidate::Http(address) => over_http(*address, numbers, end).await,
            Candidate::Direct(store) => direct(&**store, numbers, end).await,
        }
    });
    let mut most = 0;
    for latencies in futures::future::try_join_all(runs).await? {
        most = most.max(latencies.len());
        figures.events += latencies.len();
        figures.latencies.extend(latencies);
    }
    figures.time += began.elapsed();
    Ok(first + (most + 1) * at_once)
}

type Measured = Result<Vec<Duration>, Failure>;

async fn over_http(address: SocketAddr, numbers: impl Iterator<Item = usize>, end: Instant) -> Measured {
    let mut connection = client::Connection::open(address).await?;
    timed(numbers, end, async |number| connection.post(&body(number)).await).await
}

async fn direct(store: &dyn Store, numbers: impl Iterator<Item = usize>, end: Instant) -> Measured {
    timed(numbers, end, async |number| {
        let event = Event::read("default", body(number).as_bytes(), None, Timestamp::now())
            .map_err(|error| error.reason)?;
        store
            .accept(
                event,
                vec![Subscription { handler: "sim".into(), order: Order::Skip, rank: Timestamp::UNIX_EPOCH }],
            )
            .await?;
        Ok(())
    })
    .await
}

async fn timed(
    numbers: impl Iterator<Item = usize>,
    end: Instant,
    mut accept: impl AsyncFnMut(usize) -> Result<(), Failure>,
) -> Measured {
    let mut latencies = Vec::new();
    for number in numbers {
        let began = Instant::now();
        if began >= end {
            break;
        }
        accept(number).await?;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

/// An event as ESPF sends it; ten thousand accounts take turns.
fn body(number: usize) -> String {
    format!(
        r#"{{"event_type":"Subscriber/Updated","variables":{{"i_event":{number},"i_account":{},"i_env":3,"event_time":"2026-11-21 08:00:00"}}}}"#,
        1_000_000 + number % 10_000
    )
}
