//! What one attempt leads to.

use super::*;

#[tokio::test]
async fn what_is_refused_is_parked_and_the_next_goes_on() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.accept(2, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Refused { reason: "no such SIM".into() });
    let parked = State::Parked { at: start_of_time(), reason: "no such SIM".into() };
    let ended = running.ended().await;
    assert_eq!((ended.i_event, ended.attempt, ended.state), (1, 1, parked));
    assert_eq!(bench.call().await.i_event, 2);
}

#[tokio::test]
async fn without_data_the_external_system_is_not_asked() {
    let mut bench = Bench::new();
    let error = |retryable, after| EnrichError {
        reason: "PortaBilling says no".into(),
        retryable,
        outage: false,
        after,
    };
    let hour = Duration::from_secs(3600);
    // Taken from the end.
    *bench.billing.errors.lock().expect("lock") = vec![error(false, None), error(true, Some(hour))];
    let fetching = Handler { fetch: vec![Fetch::AccountInfo], ..handler("hss") };
    let mut running = bench.run(vec![fetching]);
    bench.accept(1, 7, &["hss"]).await;
    let due = start_of_time() + SignedDuration::from_secs(3600);
    assert_eq!(running.ended().await.state, State::Pending { due });
    bench.pass(3600);
    assert!(matches!(running.ended().await.state, State::Parked { .. }));
    assert!(bench.calls.try_recv().is_err());
}

#[tokio::test]
async fn what_was_fetched_is_applied_and_kept_once_it_is_delivered() {
    let mut bench = Bench::new();
    let fetching = Handler { fetch: vec![Fetch::AccountInfo], ..handler("hss") };
    let mut running = bench.run(vec![fetching, handler("plain")]);
    bench.accept(1, 7, &["hss"]).await;
    let call = bench.call().await;
    assert_eq!(call.pb_data.as_deref(), Some("1"));
    call.answer(retry());
    running.ended().await;
    bench.pass(60);
    let call = bench.call().await;
    assert_eq!(call.pb_data.as_deref(), Some("2"), "fetched anew: it may have changed");
    call.answer(Outcome::Delivered);
    running.ended().await;
    bench.accept(2, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Delivered);
    running.ended().await;
    let lasts = bench.billing.lasts.lock().expect("lock").clone();
    assert_eq!(lasts, [None, None, Some("2".to_owned())]);
    bench.accept(3, 7, &["plain"]).await;
    assert_eq!(bench.call().await.pb_data, None);
}

#[tokio::test]
async fn a_bug_or_a_silence_costs_one_attempt() {
    let mut bench = Bench::new();
    bench.settings.attempt_max = Duration::from_millis(5);
    let mut running = bench.run(vec![handler("hss")]);
    let id = bench.accept(1, 7, &["hss"]).await;
    let silent = bench.call().await;
    assert!(matches!(running.ended().await.state, State::Pending { .. }));
    drop(silent);
    running.stop().await;

    bench.fake = Arc::new(Fake { calls: bench.fake.calls.clone(), panics: true });
    let mut running = bench.run(vec![handler("hss")]);
    bench.pass(60);
    assert_eq!(running.ended().await.attempt, 2);
    let detail = bench.store.event(id).await.expect("an answer").expect("the event");
    let reasons: Vec<_> = detail.deliveries[0].1.iter().filter_map(|one| one.outcome.reason()).collect();
    assert!(reasons[0].contains("nothing from the external system"), "{reasons:?}");
    assert!(reasons[1].contains("mistake in the gateway"), "{reasons:?}");
    running.stop().await;
}

#[tokio::test]
async fn an_outcome_is_not_lost_while_the_store_fails() {
    let mut bench = Bench::new();
    let flaky = Arc::new(Flaky { failures: AtomicUsize::new(3), ..Flaky::new(bench.store.clone()) });
    bench.store = flaky.clone();
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Delivered);
    assert!(matches!(running.ended().await.state, State::Delivered { .. }));
    assert_eq!(flaky.failures.load(Ordering::SeqCst), 0);
    assert!(bench.calls.try_recv().is_err(), "asked once only");
    assert_eq!(bench.store.backlog().await.expect("an answer")[0].delivered, 1);
}

#[tokio::test]
async fn what_was_given_back_is_not_attempted_though_the_answer_to_that_got_lost() {
    let mut bench = Bench::new();
    bench.settings.connectors = gates::fragile();
    let flaky = Arc::new(Flaky { lost_releases: AtomicUsize::new(2), ..Flaky::new(bench.store.clone()) });
    bench.store = flaky.clone();
    let worker = Arc::new(bench.worker(vec![handler("hss")]));
    bench.accept(1, 7, &["hss"]).await;
    let route = Arc::clone(&worker.routes["hss"]);
    let claimed = bench.store.claim(bench.now(), vec![route.want(1)]).await.expect("claimed").remove(0);
    // between the claim and the attempt the breaker opens
    for _ in 0..3 {
        let unwell = Health::Unwell { reason: "down", after: None };
        worker.gates.learn(worker.told(), "connector:fake", unwell, bench.now()).await;
    }
    soon(flight::fly(worker, route, claimed, Vec::new())).await;
    assert!(bench.calls.try_recv().is_err(), "another gateway may have it by now");
    assert_eq!(flaky.lost_releases.load(Ordering::SeqCst), 0);
    let until = bench.now() + SignedDuration::from_secs(30);
    let wanted = vec![Want { handler: "hss".into(), connector: "fake".into(), limit: 1 }];
    assert_eq!(bench.store.next_due(wanted).await.expect("an answer"), Some(until));
}

#[tokio::test]
async fn an_outcome_that_comes_after_another_has_taken_over_counts_for_nothing_but_that() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    let late = bench.call().await;
    // as if this gateway had been thought dead
    bench.store.release(late.delivery, 1, bench.now()).await.expect("given back");
    late.answer(Outcome::Delivered);
    assert_eq!(soon(running.overtaken.recv()).await.as_deref(), Some("hss"));
    bench.nudge.notify_one();
    bench.call().await.answer(retry());
    let ended = running.ended().await;
    assert_eq!((ended.attempt, ended.state.word()), (1, "pending"), "the first that counts");
    running.stop().await;
}
