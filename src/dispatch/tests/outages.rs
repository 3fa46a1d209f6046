//! Outages, with the clock held: a week in seconds. No storm, no loss, recovery by itself.
//!
//! The worker is driven step by step: it looks, what it started ends, and the clock goes to where there is something to do.

use std::fmt::Write;
use std::ops::Range;

use super::gates::unreachable;
use super::*;

/// What an outage looks like from here.
type Script = Box<dyn Fn(Timestamp) -> Outcome + Send + Sync>;

/// An external system that answers by the time.
struct Scripted {
    script: Script,
    asked: Mutex<Vec<Timestamp>>,
}

#[async_trait]
impl Connector for Scripted {
    async fn apply(&self, request: Apply<'_>) -> Applied {
        self.asked.lock().expect("lock").push(request.now);
        Applied { outcome: (self.script)(request.now), request: None, response: None }
    }
}

/// A PortaBilling that is down for a while, and how often it was asked meanwhile.
struct Down(Range<i64>, AtomicUsize);

#[async_trait]
impl Enrich for Down {
    async fn pb_data(
        &self,
        _: &Event,
        _: &[Fetch],
        _: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Box<RawValue>>, EnrichError> {
        match self.0.contains(&seconds(now)) {
            true => {
                self.1.fetch_add(1, Ordering::SeqCst);
                Err(EnrichError { reason: "down".into(), retryable: true, outage: true, after: None })
            }
            false => Ok(Some(RawValue::from_string("{}".into()).expect("JSON"))),
        }
    }
}

/// What became of it.
#[derive(Debug)]
struct Account {
    events: u64,
    delivered: u64,
    parked: u64,
    /// Requests to the external system while it was down.
    during: usize,
    /// The most requests to it within ten seconds while it was down.
    burst: usize,
    /// Questions to PortaBilling while it was down.
    billing: usize,
    /// The most attempts that a delivery took, and the most that its schedule counted.
    attempts: u32,
    tries: u32,
    /// From the end of the outage to the last delivery.
    drained_in: i64,
}

struct Outage {
    name: &'static str,
    /// How long it lasts.
    seconds: i64,
    /// An event comes every so many seconds, as long as it lasts.
    every: i64,
    script: fn(i64) -> Outcome,
    /// When PortaBilling is down.
    billing_down: Range<i64>,
}

fn seconds(time: Timestamp) -> i64 {
    time.duration_since(start_of_time()).as_secs()
}

async fn suffer(outage: &Outage) -> Account {
    let bench = Bench::new();
    let script = outage.script;
    let connector =
        Arc::new(Scripted { script: Box::new(move |now| script(seconds(now))), asked: Mutex::default() });
    let billing = Arc::new(Down(outage.billing_down.clone(), AtomicUsize::new(0)));
    let fetching = Handler { fetch: vec![Fetch::AccountInfo], ..handler("hss") };
    let settings =
        DispatchSettings { tick: Duration::from_secs(60), announce: false, ..DispatchSettings::default() };
    let routes = vec![Route::new(fetching, connector.clone())];
    let mut worker = Dispatcher::new(bench.store.clone(), billing.clone(), routes, settings);
    worker.now = bench.clock();
    worker.jitter = Arc::new(|| 0.5);
    let worker = Arc::new(worker);

    let (mut flights, mut events) = (Flights::default(), 0);
    let total = outage.seconds / outage.every;
    while events < total || waiting(&bench).await > 0 {
        while events < total && events * outage.every <= seconds(bench.now()) {
            events += 1;
            bench.accept(events, events % 500, &["hss"]).await;
        }
        let pause = worker.launch(&mut flights).await.expect("the store works");
        let busy = flights.counts.values().sum::<usize>() > 0;
        while flights.counts.values().sum::<usize>() > 0 {
            flights.landed().await;
        }
        if !busy {
            // at least a second, and no further than to the next event
            let to_next = (events < total).then(|| events * outage.every - seconds(bench.now()));
            let step = i64::try_from(pause.as_secs()).expect("short").max(1);
            bench.pass(step.min(to_next.unwrap_or(step)).max(1));
        }
        assert!(seconds(bench.now()) < outage.seconds + 7 * 24 * 3600, "{}: it doesn't recover", outage.name);
    }
    let billing = billing.1.load(Ordering::SeqCst);
    Account { billing, ..account(outage, &bench, &connector, total).await }
}

async fn waiting(bench: &Bench) -> u64 {
    let backlog = bench.store.backlog().await.expect("an answer");
    backlog.iter().map(|handler| handler.pending + handler.in_flight).sum()
}

async fn account(outage: &Outage, bench: &Bench, connector: &Scripted, events: i64) -> Account {
    let backlog = bench.store.backlog().await.expect("an answer").remove(0);
    let asked: Vec<i64> = connector.asked.lock().expect("lock").iter().map(|at| seconds(*at)).collect();
    let during: Vec<i64> = asked.iter().copied().filter(|at| *at < outage.seconds).collect();
    let burst = during.iter().map(|at| during.iter().filter(|other| (*at..*at + 10).contains(other)).count());
    let (mut attempts, mut tries, mut after) = (0, 0, None);
    loop {
        let page = bench.sqlite.deliveries(Select::default(), after, 500).await.expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        attempts = page.iter().map(|delivery| delivery.attempts).fold(attempts, u32::max);
        tries = page.iter().map(|delivery| delivery.tries).fold(tries, u32::max);
    }
    Account {
        events: u64::try_from(events).expect("few"),
        delivered: backlog.delivered,
        parked: backlog.parked,
        during: during.len(),
        burst: burst.max().unwrap_or(0),
        billing: 0,
        attempts,
        tries,
        drained_in: (seconds(bench.now()) - outage.seconds).max(0),
    }
}

fn down() -> Outcome {
    unreachable()
}

const HOUR: i64 = 3600;
const WEEK: i64 = 7 * 24 * HOUR;

const OUTAGES: [Outage; 7] = [
    Outage {
        name: "both, PortaBilling for longer",
        seconds: HOUR,
        every: 4,
        script: |at| if at < HOUR / 2 { down() } else { Outcome::Delivered },
        billing_down: 120..HOUR,
    },
    Outage {
        name: "both, the external system longer",
        seconds: HOUR,
        every: 4,
        script: |at| if at < HOUR { down() } else { Outcome::Delivered },
        billing_down: 120..HOUR / 2,
    },
    Outage {
        name: "down for a week",
        seconds: WEEK,
        every: 300,
        script: |at| if at < WEEK { down() } else { Outcome::Delivered },
        billing_down: 0..0,
    },
    Outage {
        name: "PortaBilling down for an hour",
        seconds: HOUR,
        every: 4,
        script: |_| Outcome::Delivered,
        billing_down: 0..HOUR,
    },
    Outage {
        name: "flapping every two minutes",
        seconds: 2 * HOUR,
        every: 4,
        script: |at| if at < 2 * HOUR && at / 120 % 2 == 0 { down() } else { Outcome::Delivered },
        billing_down: 0..0,
    },
    Outage {
        name: "429 with Retry-After: 30",
        seconds: HOUR,
        every: 4,
        script: |at| match at < HOUR {
            true => Outcome::Retry {
                class: Failure::Busy,
                reason: "too many".into(),
                after: Some(Duration::from_secs(30)),
            },
            false => Outcome::Delivered,
        },
        billing_down: 0..0,
    },
    Outage {
        name: "every third request fails",
        seconds: HOUR,
        every: 4,
        script: |at| match at < HOUR && at % 3 == 0 {
            true => Outcome::Retry { class: Failure::Failed, reason: "500".into(), after: None },
            false => Outcome::Delivered,
        },
        billing_down: 0..0,
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages_of_every_kind_lose_nothing_raise_no_storm_and_end_by_themselves() {
    let mut table = format!(
        "{:<32} {:>7} {:>9} {:>6} {:>15} {:>11} {:>12} {:>8} {:>5} {:>12}\n",
        "outage",
        "events",
        "delivered",
        "parked",
        "asked meanwhile",
        "burst/10 s",
        "PortaBilling",
        "attempts",
        "tries",
        "drained in s"
    );
    for outage in &OUTAGES {
        let account = suffer(outage).await;
        let _ = writeln!(
            table,
            "{:<32} {:>7} {:>9} {:>6} {:>15} {:>11} {:>12} {:>8} {:>5} {:>12}",
            outage.name,
            account.events,
            account.delivered,
            account.parked,
            account.during,
            account.burst,
            account.billing,
            account.attempts,
            account.tries,
            account.drained_in
        );
        assert_eq!((account.delivered, account.parked), (account.events, 0), "{}", outage.name);
        assert!(account.drained_in <= 1800, "{}: {account:?}", outage.name);
        assert!(
            account.billing <= 42 + 10,
            "ten that open it beside what is in flight, then probes: {account:?}"
        );
        if outage.name == "down for a week" {
            // ten that open it, then probes ten minutes apart
            assert!(account.during <= 30 + usize::try_from(WEEK / 600).expect("few"), "{account:?}");
            assert!(account.tries <= 10, "the schedule isn't used up: {account:?}");
        }
        if matches!((outage.script)(0), Outcome::Retry { class: Failure::Unreachable | Failure::Busy, .. }) {
            assert!(account.burst <= 42, "{}: {account:?}", outage.name);
        }
    }
    println!("{table}");
}

/// An external system that takes its time.
struct Slow {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Connector for Slow {
    async fn apply(&self, _: Apply<'_>) -> Applied {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Applied { outcome: Outcome::Delivered, request: None, response: None }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_is_slow_is_asked_no_more_at_a_time_than_it_may_be() {
    let bench = Bench::new();
    let slow = Arc::new(Slow { now: AtomicUsize::new(0), most: AtomicUsize::new(0) });
    let mut settings = bench.settings.clone();
    let gate = GateSettings { max_in_flight: 4, ..GateSettings::default() };
    settings.connectors = BTreeMap::from([("fake".to_owned(), gate)]);
    let routes = ["a", "b"].map(|name| Route::new(handler(name), slow.clone())).into();
    let mut worker = Dispatcher::new(bench.store.clone(), bench.billing.clone(), routes, settings);
    worker.nudge = bench.nudge.clone();
    worker.now = bench.clock();
    let stop = CancellationToken::new();
    let task = tokio::spawn(worker.run(stop.clone()));
    for number in 1..=50 {
        bench.accept(number, number, &["a", "b"]).await;
    }
    soon(async {
        while waiting(&bench).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    stop.cancel();
    soon(task).await.expect("it ends well");
    assert_eq!(slow.most.load(Ordering::SeqCst), 4);
}
