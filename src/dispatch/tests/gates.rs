//! Breakers, rates, and pauses by kind of failure.

use super::*;

/// A connector that opens after three failures in a row, for 30 s.
pub(super) fn fragile() -> BTreeMap<String, GateSettings> {
    let breaker = BreakerSettings {
        failures: 3,
        first: Duration::from_secs(30),
        slow_start: Duration::from_secs(60),
        ..BreakerSettings::default()
    };
    BTreeMap::from([("fake".to_owned(), GateSettings { max_in_flight: 8, per_second: None, breaker })])
}

pub(super) fn unreachable() -> Outcome {
    Outcome::Retry { class: Failure::Unreachable, reason: "no route".into(), after: None }
}

#[tokio::test]
async fn a_system_that_is_down_is_left_alone_probed_and_resumed_gently() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    let mut running = bench.run(vec![handler("hss")]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        bench.call().await.answer(unreachable());
        running.ended().await;
    }
    for number in 4..=9 {
        bench.accept(number, number, &["hss"]).await;
    }
    let breaker = bench.store.breakers().await.expect("an answer").remove(0);
    assert_eq!(breaker.state, BreakerState::Open { until: bench.now() + SignedDuration::from_secs(30) });
    assert_eq!((breaker.name.as_str(), breaker.reason.as_deref()), ("connector:fake", Some("no route")));
    bench.pass(29);
    assert!(bench.quiet().await, "it is left alone");

    bench.pass(1);
    let probe = bench.call().await;
    assert_eq!(probe.i_event, 4, "the oldest that waits is the probe");
    assert!(bench.quiet().await, "one is enough");
    probe.answer(unreachable());
    let ended = running.ended().await;
    assert_eq!(ended.attempt, 1);
    let probed = bench.store.event(ended.event).await.expect("an answer").expect("the event");
    assert_eq!(probed.deliveries[0].0.tries, 0, "the outage costs no try");

    bench.pass(60);
    bench.call().await.answer(Outcome::Delivered);
    running.ended().await;
    bench.nudge.notify_one();
    let first = bench.call().await;
    assert!(bench.quiet().await, "gently: one at a time");
    first.answer(Outcome::Delivered);
    running.ended().await;
    bench.pass(60);
    let rest = [bench.call().await, bench.call().await, bench.call().await];
    for call in rest {
        call.answer(Outcome::Delivered);
    }
    let breaker = bench.store.breakers().await.expect("an answer").remove(0);
    assert_eq!(breaker.state, BreakerState::Closed);
}

#[tokio::test]
async fn a_breaker_is_as_it_was_after_a_restart() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    let mut running = bench.run(vec![handler("hss")]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        bench.call().await.answer(unreachable());
        running.ended().await;
    }
    running.stop().await;
    let _running = bench.run(vec![handler("hss")]);
    bench.accept(4, 4, &["hss"]).await;
    assert!(bench.quiet().await);
    bench.pass(30);
    assert_eq!(bench.call().await.i_event, 4);
}

#[tokio::test]
async fn portabilling_has_a_breaker_of_its_own() {
    let mut bench = Bench::new();
    bench.settings.portabilling.breaker = fragile()["fake"].breaker;
    let down = EnrichError { reason: "down".into(), retryable: true, outage: true, after: None };
    *bench.billing.errors.lock().expect("lock") = vec![down; 3];
    let fetching = Handler { fetch: vec![Fetch::AccountInfo], ..handler("hss") };
    let mut running = bench.run(vec![fetching, handler("plain")]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        running.ended().await;
    }
    bench.accept(4, 4, &["hss"]).await;
    bench.accept(5, 5, &["plain"]).await;
    let other = bench.call().await;
    assert_eq!(other.i_event, 5, "who needs nothing of it goes on");
    other.answer(Outcome::Delivered);
    assert!(bench.quiet().await);
    bench.pass(30);
    assert_eq!(bench.call().await.i_event, 4);
}

#[tokio::test]
async fn what_a_system_may_be_asked_is_shared_by_its_handlers() {
    let mut bench = Bench::new();
    bench.settings.connectors = BTreeMap::from([(
        "fake".to_owned(),
        GateSettings { max_in_flight: 3, per_second: Some(5.0), ..GateSettings::default() },
    )]);
    let _running = bench.run(vec![handler("hss"), handler("iptv")]);
    for number in 1..=5 {
        bench.accept(number, number, &["hss", "iptv"]).await;
    }
    let mut calls = vec![bench.call().await, bench.call().await, bench.call().await];
    assert!(bench.quiet().await, "three are in flight");
    calls.pop().expect("a call").answer(Outcome::Delivered);
    calls.pop().expect("a call").answer(Outcome::Delivered);
    calls.extend([bench.call().await, bench.call().await]);
    calls.drain(..).for_each(|call| call.answer(Outcome::Delivered));
    bench.nudge.notify_one();
    assert!(bench.quiet().await, "five have begun in this second");
    bench.pass(1);
    for _ in 0..5 {
        bench.call().await.answer(Outcome::Delivered);
    }
}

fn impatient() -> Handler {
    let retry = RetrySchedule { horizon: Duration::from_secs(3600), ..RetrySchedule::default() };
    Handler { retry: retry.into(), ..handler("hss") }
}

#[tokio::test]
async fn an_outage_that_lasts_longer_than_the_horizon_parks_nothing() {
    let mut bench = Bench::new();
    bench.settings.connectors = fragile();
    let mut running = bench.run(vec![impatient()]);
    for number in 1..=3 {
        bench.accept(number, number, &["hss"]).await;
        bench.call().await.answer(unreachable());
        running.ended().await;
    }
    let pending = |ended: Ended| assert!(matches!(ended.state, State::Pending { .. }), "{ended:?}");
    // six hours
    for _ in 0..36 {
        bench.pass(600);
        bench.call().await.answer(unreachable());
        pending(running.ended().await);
    }
    bench.pass(600);
    bench.call().await.answer(Outcome::Delivered);
    running.ended().await;
    // those that are left may fail once more behind the breaker that is closed
    for _ in 0..2 {
        bench.nudge.notify_one();
        bench.call().await.answer(unreachable());
        pending(running.ended().await);
    }
    running.stop().await;
}

#[tokio::test]
async fn what_fails_for_longer_than_the_horizon_though_nothing_is_left_alone_is_parked() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![impatient()]);
    let rejected = Outcome::Retry { class: Failure::Rejected, reason: "no such profile".into(), after: None };
    bench.accept(1, 1, &["hss"]).await;
    let last = loop {
        bench.call().await.answer(rejected.clone());
        let ended = running.ended().await;
        let State::Pending { due } = ended.state else { break ended };
        bench.pass(due.duration_since(bench.now()).as_secs());
    };
    assert!(matches!(last.state, State::Parked { .. }), "{last:?}");
    let age = bench.now().duration_since(start_of_time()).as_mins();
    assert_eq!((last.attempt, age), (9, 55), "another ten minutes would be too many");
    running.stop().await;
}

#[tokio::test]
async fn kinds_of_failures_have_pauses_of_their_own() {
    let mut bench = Bench::new();
    let mut quick = handler("hss");
    let soon = RetrySchedule { first: Duration::from_secs(2), ..RetrySchedule::default() };
    quick.retry.by_failure.insert(Failure::Busy, soon);
    let mut running = bench.run(vec![quick]);
    bench.accept(1, 7, &["hss"]).await;
    bench.call().await.answer(retry());
    running.ended().await;
    bench.pass(2);
    let again = bench.call().await;
    assert_eq!(again.attempt, 2);
    again.answer(unreachable());
    let due = bench.now() + SignedDuration::from_secs(120);
    assert_eq!(running.ended().await.state, State::Pending { due });
}
