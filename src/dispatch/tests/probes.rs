//! How a way that is shut is found to be open again, and how it resumes; how clocks that step back do no harm.

use super::gates::{fragile, unreachable};
use super::*;

fn fetching(name: &str) -> Handler {
    Handler { fetch: vec![Fetch::AccountInfo], ..handler(name) }
}

fn error(outage: bool) -> EnrichError {
    EnrichError { reason: "down".into(), retryable: true, outage, after: None }
}

async fn open_the_connectors(bench: &mut Bench, running: &mut Running) {
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        bench.call().await.answer(unreachable());
        running.ended().await;
    }
}

#[tokio::test]
async fn two_systems_that_are_both_left_alone_are_probed_together_after_a_restart_too() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    bench.settings.portabilling.breaker = fragile()["fake"].breaker;
    let worker = bench.worker(vec![fetching("hss")]);
    for name in ["connector:fake", "portabilling"] {
        for _ in 0..3 {
            let unwell = Health::Unwell { reason: "down", after: None };
            worker.gates.learn(worker.told(), name, unwell, bench.now()).await;
        }
    }
    let mut running = bench.run(vec![fetching("hss")]);
    bench.accept(1, 1, &["hss"]).await;
    bench.accept(2, 2, &["hss"]).await;
    bench.call_after(30).await.answer(Outcome::Delivered);
    running.ended().await;
    let breakers = bench.store.breakers().await.expect("an answer");
    let states: Vec<_> = breakers.iter().map(|breaker| breaker.state).collect();
    assert_eq!(states, [BreakerState::Closed; 2]);
    bench.nudge.notify_one();
    bench.call().await.answer(Outcome::Delivered);
}

#[tokio::test]
async fn a_probe_that_has_shown_nothing_is_not_repeated_at_once() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    let mut running = bench.run(vec![fetching("hss")]);
    open_the_connectors(&mut bench, &mut running).await;
    // PortaBilling answers, and there is nothing to ask the external system with
    *bench.billing.errors.lock().expect("lock") = vec![error(false); 9];
    for number in 4..=9 {
        bench.accept(number, number, &["hss"]).await;
    }
    bench.pass(30);
    running.ended().await;
    assert!(bench.quiet().await);
    assert!(bench.quiet().await);
    assert_eq!(bench.billing.errors.lock().expect("lock").len(), 8, "one probe, and then a pause");
    bench.billing.errors.lock().expect("lock").clear();
    bench.call_after(30).await.answer(Outcome::Delivered);
}

/// Whoever has waited for this long is probed, if anybody is.
const LONG: i64 = 600;

#[tokio::test]
async fn those_who_share_a_breaker_take_turns_at_probing_it() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    let mut running = bench.run(vec![handler("hss"), handler("iptv"), handler("voice")]);
    open_the_connectors(&mut bench, &mut running).await;
    for number in 4..=9 {
        bench.accept(number, number, &["hss", "iptv", "voice"]).await;
    }
    let mut probed = Vec::new();
    for _ in 0..6 {
        let probe = bench.call_after(LONG).await;
        probed.push(probe.handler.clone());
        probe.answer(unreachable());
        running.ended().await;
    }
    assert_eq!(probed, ["hss", "iptv", "voice", "hss", "iptv", "voice"]);
}

/// A PortaBilling that can't say anything of accounts, and says what it has of SIM cards.
struct HalfWell;

#[async_trait]
impl Enrich for HalfWell {
    async fn pb_data(
        &self,
        _: &Event,
        wanted: &[Fetch],
        _: Option<&str>,
        _: Timestamp,
    ) -> Result<Option<Box<RawValue>>, EnrichError> {
        match wanted.contains(&Fetch::AccountInfo) {
            true => Err(error(true)),
            false => Ok(None),
        }
    }
}

#[tokio::test]
async fn one_whose_calls_alone_fail_keeps_no_breaker_open_though_it_would_test_most() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    bench.settings.portabilling.breaker = fragile()["fake"].breaker;
    let well = Handler { fetch: vec![Fetch::SimInfo], connector: "other".into(), ..handler("iptv") };
    let mut worker = bench.worker(vec![fetching("hss"), well]);
    worker.enrich = Arc::new(HalfWell);
    for name in ["connector:fake", "portabilling"] {
        for _ in 0..3 {
            let unwell = Health::Unwell { reason: "down", after: None };
            worker.gates.learn(worker.told(), name, unwell, bench.now()).await;
        }
    }
    let mut running = Running::of(worker);
    for number in 1..=3 {
        bench.accept(number, number, &["hss", "iptv"]).await;
    }
    bench.pass(LONG);
    running.ended().await;
    let probe = bench.call_after(LONG).await;
    assert_eq!(probe.handler, "iptv");
    probe.answer(Outcome::Delivered);
    running.ended().await;
    let breakers = bench.store.breakers().await.expect("an answer");
    let portabilling = breakers.iter().find(|breaker| breaker.name == "portabilling").expect("its breaker");
    assert_eq!(portabilling.state, BreakerState::Closed);
}

#[tokio::test]
async fn a_breaker_that_an_operator_has_closed_lets_through_at_the_next_look() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    bench.settings.tick = Duration::from_secs(5);
    let mut running = bench.run(vec![handler("hss")]);
    open_the_connectors(&mut bench, &mut running).await;
    let open = bench.store.breakers().await.expect("an answer").remove(0);
    let closed = open.closed_by_hand(bench.now()).expect("it was open");
    assert!(bench.store.put_breaker(closed).await.expect("kept"));
    bench.accept(4, 4, &["hss"]).await;
    bench.call_after(5).await.answer(Outcome::Delivered);
}

#[tokio::test]
async fn portabilling_is_resumed_gently_too() {
    let mut bench = Bench::new();
    bench.settings.portabilling.breaker = fragile()["fake"].breaker;
    bench.settings.max_in_flight = 5;
    *bench.billing.errors.lock().expect("lock") = vec![error(true); 3];
    let mut running = bench.run(vec![fetching("hss"), fetching("iptv"), handler("plain")]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        running.ended().await;
    }
    for number in 4..=20 {
        bench.accept(number, number, &["hss", "iptv"]).await;
    }
    bench.call_after(30).await.answer(Outcome::Delivered);
    running.ended().await;
    bench.nudge.notify_one();
    let first = bench.call().await;
    assert!(bench.quiet().await, "one at a time at first");
    bench.pass(30);
    let more = [bench.call().await, bench.call().await, bench.call().await, bench.call().await];
    assert!(bench.quiet().await, "half of ten after half of the time");
    drop((first, more));
}

/// All that ten per second let through, without anybody's nudge.
#[tokio::test]
async fn a_pace_is_kept_up_between_two_ticks() {
    let mut bench = Bench::new();
    bench.settings.tick = Duration::from_secs(5);
    bench.settings.connectors = BTreeMap::from([(
        "fake".to_owned(),
        GateSettings { per_second: Some(10.0), ..GateSettings::default() },
    )]);
    let worker = Arc::new(bench.worker(vec![handler("hss")]));
    for number in 1..=60 {
        bench.accept(number, number, &["hss"]).await;
    }
    let (mut flights, mut answered) = (Flights::default(), 0);
    while answered < 60 {
        let pause = worker.launch(&mut flights).await.expect("the store works");
        let under_way = flights.of("hss");
        for _ in 0..under_way {
            bench.call().await.answer(Outcome::Delivered);
            flights.landed().await;
        }
        answered += under_way;
        if under_way == 0 {
            *bench.time.lock().expect("lock") += SignedDuration::try_from(pause).expect("short");
        }
    }
    let took = bench.now().duration_since(start_of_time()).as_secs_f64();
    assert!((4.9..5.5).contains(&took), "ten at once, and fifty in five seconds: {took}");
}

#[test]
fn after_a_clock_has_stepped_back_it_is_looked_around_all_the_same() {
    let (mut flights, tick) = (Flights::default(), Duration::from_secs(5));
    let at = |seconds| start_of_time() + SignedDuration::from_secs(seconds);
    assert!(flights.looks_around(at(0), tick));
    assert!(!flights.looks_around(at(4), tick));
    assert!(flights.looks_around(at(5), tick));
    assert!(flights.looks_around(at(-3600), tick));
    assert!(!flights.looks_around(at(-3599), tick));
}

/// Keeps what it is told of breakers.
#[derive(Default)]
struct Heard(Mutex<Vec<(String, &'static str)>>);

impl Observer for Heard {
    fn breaker_changed(&self, breaker: &Breaker) {
        self.0.lock().expect("lock").push((breaker.name.clone(), breaker.state.word()));
    }
}

#[tokio::test]
async fn a_breaker_that_forgets_or_is_found_closed_at_the_start_is_not_announced() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    let heard = Arc::new(Heard::default());
    let mut worker = bench.worker(vec![handler("hss")]);
    worker.observer = heard.clone();
    let name = "connector:fake";
    for _ in 0..3 {
        let unwell = Health::Unwell { reason: "down", after: None };
        worker.gates.learn(worker.told(), name, unwell, bench.now()).await;
    }
    bench.pass(30);
    assert!(worker.gates.probe(worker.told(), name, bench.now()).await.expect("kept"));
    worker.gates.learn(worker.told(), name, Health::Well, bench.now()).await;
    bench.pass(61);
    worker.gates.learn(worker.told(), name, Health::Well, bench.now()).await;
    assert_eq!(bench.store.breakers().await.expect("an answer")[0].openings, 0, "it has forgotten");
    let mut restarted = bench.worker(vec![handler("hss")]);
    restarted.observer = heard.clone();
    restarted.learn().await.expect("the store works");
    let words: Vec<_> = heard.0.lock().expect("lock").iter().map(|(_, word)| *word).collect();
    assert_eq!(words, ["open", "half_open", "closed"]);
}
