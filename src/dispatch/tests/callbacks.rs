//! Systems that call back.

use super::*;

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
    let again = bench.call_after(60).await;
    assert_eq!((again.i_event, again.attempt), (2, 2), "nothing was called back in time");
}
