//! Systems that call back.

use super::*;
use crate::delivery::Attempt;

#[tokio::test]
async fn one_that_calls_back_is_awaited_and_holds_up_its_subject_only() {
    let mut bench = Bench::new();
    let grouped = Handler { service_group: Some("HSS".into()), ..handler("hss") };
    let mut running = bench.run(vec![grouped.clone()]);
    bench.accept(1, 7, &["hss"]).await;
    bench.accept(2, 7, &["hss"]).await;
    bench.accept(3, 8, &["hss"]).await;
    let (first, other) = (bench.call().await, bench.call().await);
    assert_eq!((first.i_event, other.i_event), (1, 3));
    let (id, within) = (first.delivery, Duration::from_secs(600));
    first.answer(Outcome::Accepted { within });
    let deadline = bench.now() + SignedDuration::from_secs(600);
    assert_eq!(running.ended().await.state, State::Awaiting { deadline });
    other.answer(Outcome::Delivered);
    running.ended().await;
    assert!(bench.quiet().await, "the next of the subject waits");
    let statuses = bench.store.claim_statuses(bench.now(), 9).await.expect("statuses");
    let of_seven = statuses.iter().find(|job| job.status.i_account == 7).expect("a status");
    assert_eq!(of_seven.status.value, StatusValue::InProgress);

    let settler = bench.worker(vec![grouped]).settler();
    let call_back = async |claim, outcome| {
        let token = Token { delivery: id, claim };
        settler.call_back(&*bench.sqlite, token, outcome, Some("{}".into())).await.expect("an answer")
    };
    assert_eq!(call_back(2, Outcome::Delivered).await, Settled::Over, "another attempt's");
    assert_eq!(call_back(1, Outcome::Delivered).await, Settled::Done(State::Delivered { at: bench.now() }));
    assert_eq!(call_back(1, Outcome::Delivered).await, Settled::Over, "once");
    let next = bench.call().await;
    assert_eq!(next.i_event, 2);
    next.answer(Outcome::Accepted { within });
    running.ended().await;
    bench.pass(3601);
    running.ended().await;
    let again = bench.call_after(60).await;
    assert_eq!((again.i_event, again.attempt), (2, 2), "nothing was called back in time");
}

/// So many deliveries that await a callback, as of now.
async fn await_callbacks(bench: &Bench, handler: &Handler, count: i64) {
    futures::future::join_all((1..=count).map(|number| bench.accept_unsaid(number, number, &["hss"]))).await;
    let limit = usize::try_from(count).expect("few");
    let want = Want { handler: "hss".into(), connector: handler.connector.clone(), limit };
    let claimed = bench.store.claim(bench.now(), vec![want]).await.expect("claimed");
    assert_eq!(claimed.len(), limit);
    let outcome = Outcome::Accepted { within: Duration::from_secs(600) };
    let records = claimed.into_iter().map(|Claimed { delivery, claim, .. }| {
        let attempt = Attempt {
            number: 1,
            started_at: bench.now(),
            ended_at: bench.now(),
            outcome: outcome.clone(),
            request: None,
            response: None,
            settled: None,
        };
        let state = delivery.state.next(&outcome, 1, delivery.since, &handler.retry, 0.0, bench.now());
        bench.store.record(Record {
            delivery: delivery.id,
            claim,
            attempt,
            state,
            tries: 1,
            status: None,
            last: None,
        })
    });
    for recorded in futures::future::join_all(records).await {
        recorded.expect("recorded");
    }
}

#[tokio::test]
async fn however_many_waits_are_over_at_once_they_are_all_ended_at_the_next_look_many_at_a_time() {
    let mut bench = Bench::new();
    await_callbacks(&bench, &handler("hss"), 600).await;
    // it goes on once eight at a time are to be ended
    bench.store = Arc::new(Flaky { settles: Barrier::new(8), ..Flaky::new(bench.store.clone()) });
    bench.pass(601);
    let mut running = bench.run(vec![handler("hss")]);
    let due = bench.now() + SignedDuration::from_secs(60);
    for _ in 0..600 {
        assert_eq!(running.ended().await.state, State::Pending { due });
    }
    assert_eq!(bench.store.backlog().await.expect("an answer")[0].pending, 600);
    running.stop().await;
}

#[tokio::test]
async fn nobody_else_waits_while_waits_are_ended() {
    let mut bench = Bench::new();
    await_callbacks(&bench, &handler("hss"), 1).await;
    bench.store = Arc::new(Flaky { settles: Barrier::new(2), ..Flaky::new(bench.store.clone()) });
    bench.settings.drain = Duration::ZERO;
    bench.pass(601);
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(2, 2, &["hss"]).await;
    bench.call().await.answer(Outcome::Delivered);
    assert_eq!(running.ended().await.i_event, 2);
    running.stop().await;
}
