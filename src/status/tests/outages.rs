//! PortaBilling's ESPF API is down: the clock is held, and the writer driven step by step.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::breaker::BreakerState;
use crate::dispatch::{DispatchSettings, Dispatcher};
use crate::enrich::{Enrich, EnrichError};
use crate::event::Event;
use crate::handler::Fetch;

const HOUR: i64 = 3600;
const WEEK: i64 = 7 * 24 * HOUR;

/// Nobody asks it.
struct NoData;

#[async_trait]
impl Enrich for NoData {
    async fn pb_data(
        &self,
        _: &Event,
        _: &[Fetch],
        _: Option<&str>,
        _: Timestamp,
    ) -> Result<Option<Box<serde_json::value::RawValue>>, EnrichError> {
        Ok(None)
    }
}

/// Down until then; keeps what is written afterwards, and counts what is asked before.
struct DownUntil {
    time: Arc<Mutex<Timestamp>>,
    up: Timestamp,
    asked: AtomicUsize,
    written: Mutex<BTreeMap<i64, Timestamp>>,
}

#[async_trait]
impl StatusSink for DownUntil {
    async fn write(&self, status: &Status) -> Result<(), SinkError> {
        if *self.time.lock().expect("lock") < self.up {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return Err(SinkError { outage: true, ..down() });
        }
        self.written.lock().expect("lock").insert(status.i_account, status.at);
        Ok(())
    }
}

/// Counts those that are given up.
#[derive(Default)]
struct GivenUp(AtomicUsize);

impl Observer for GivenUp {
    fn status_ended(&self, _: &Status, reason: Option<&str>, again: bool) {
        if reason.is_some() && !again {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

struct Bench {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    time: Arc<Mutex<Timestamp>>,
    sink: Arc<DownUntil>,
    given_up: Arc<GivenUp>,
    writer: Arc<StatusWriter>,
}

impl Bench {
    fn new(up: i64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store.db");
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&path, StoreSettings::default(), at(0)).expect("a store"));
        let time = Arc::new(Mutex::new(at(0)));
        let sink = Arc::new(DownUntil {
            time: time.clone(),
            up: at(up),
            asked: AtomicUsize::new(0),
            written: Mutex::default(),
        });
        let settings = StatusSettings { tick: Duration::from_secs(60), ..Default::default() };
        let mut writer = StatusWriter::new(store.clone(), sink.clone(), settings);
        let given_up = Arc::new(GivenUp::default());
        writer.observer = given_up.clone();
        let held = time.clone();
        writer.now = Arc::new(move || *held.lock().expect("lock"));
        writer.jitter = Arc::new(|| 0.5);
        let dispatcher =
            Dispatcher::new(store.clone(), Arc::new(NoData), Vec::new(), DispatchSettings::default());
        writer.gates = Some(dispatcher.gates());
        Self { _folder: folder, store, time, sink, given_up, writer: Arc::new(writer) }
    }

    fn now(&self) -> Timestamp {
        *self.time.lock().expect("lock")
    }

    fn pass(&self, seconds: i64) {
        *self.time.lock().expect("lock") += SignedDuration::from_secs(seconds);
    }

    async fn put(&self, account: i64) {
        let status = Status { i_account: account, at: self.now(), ..status(StatusValue::Ok, 0) };
        tell(&*self.store, status).await;
    }
}

#[tokio::test]
async fn a_week_without_portabilling_loses_no_status_and_raises_no_storm() {
    let bench = Bench::new(WEEK);
    let (mut writes, mut put) = (JoinSet::new(), BTreeMap::new());
    let mut events = 0;
    loop {
        let now = bench.now().duration_since(at(0)).as_secs();
        // half of the accounts change on the first day only, the others all the time
        while events * HOUR <= now && now < WEEK {
            let account = if now < 24 * HOUR { events % 20 } else { events % 10 };
            bench.put(account).await;
            put.insert(account, bench.now());
            events += 1;
        }
        let pause = bench.writer.launch(&mut writes).await.expect("the store works");
        let busy = !writes.is_empty();
        while writes.join_next().await.is_some() {}
        let due = bench.store.next_status_due().await.expect("an answer");
        if due.is_none() && now >= WEEK {
            break;
        }
        if !busy {
            bench.pass(i64::try_from(pause.as_secs()).expect("short").max(1));
        }
        assert!(now < WEEK + 24 * HOUR, "it doesn't recover");
    }
    assert_eq!(bench.given_up.0.load(Ordering::SeqCst), 0);
    assert_eq!(*bench.sink.written.lock().expect("lock"), put, "of each account the newest");
    let asked = bench.sink.asked.load(Ordering::SeqCst);
    assert!(asked <= 30 + usize::try_from(WEEK / 600).expect("few"), "probes ten minutes apart: {asked}");
}

#[tokio::test]
async fn after_an_outage_statuses_are_written_one_at_a_time_at_first() {
    let bench = Bench::new(0);
    let gates = bench.writer.gates.clone().expect("gates");
    for _ in 0..10 {
        let unwell = Health::Unwell { reason: "down", after: None };
        gates.learn(bench.writer.told(), ESPF, unwell, bench.now()).await;
    }
    for account in 1..=20 {
        bench.put(account).await;
    }
    let mut writes = JoinSet::new();
    let mut launched = Vec::new();
    for pause in [0, 30, 0, 30, 30] {
        bench.pass(pause);
        bench.writer.launch(&mut writes).await.expect("the store works");
        launched.push(writes.len());
        while writes.join_next().await.is_some() {}
    }
    // left alone, the probe, then by the share of the minute of eight
    assert_eq!(launched, [0, 1, 1, 4, 8]);
    let breaker = bench.store.breakers().await.expect("an answer").remove(0);
    assert_eq!((breaker.name.as_str(), breaker.state), (ESPF, BreakerState::Closed));
}
