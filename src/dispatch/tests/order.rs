//! Who goes when: one after the other for a subject, side by side otherwise.

use super::*;

#[tokio::test]
async fn a_subjects_deliveries_keep_their_order_through_failures() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss")]);
    for number in 1..=3 {
        bench.accept(number, 7, &["hss"]).await;
    }
    let first = bench.call().await;
    let id = first.delivery;
    assert_eq!((first.i_event, first.attempt), (1, 1));
    first.answer(retry());
    let due = start_of_time() + SignedDuration::from_secs(60);
    assert_eq!(running.ended().await.state, State::Pending { due });
    bench.pass(60);
    let again = bench.call().await;
    assert_eq!((again.i_event, again.attempt, again.delivery), (1, 2, id));
    again.answer(Outcome::Delivered);
    for number in 2..=3 {
        let next = bench.call().await;
        assert_eq!((next.i_event, next.attempt), (number, 1));
        next.answer(Outcome::Delivered);
    }
    for (i_event, attempt) in [(1, 2), (2, 1), (3, 1)] {
        let ended = running.ended().await;
        assert_eq!((ended.i_event, ended.attempt), (i_event, attempt));
        assert_eq!(ended.state, State::Delivered { at: due });
    }
    running.stop().await;
}

#[tokio::test]
async fn a_retry_does_not_come_before_its_time() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.call().await.answer(retry());
    running.ended().await;
    // A second early: the worker looks, and finds only what came meanwhile.
    bench.pass(59);
    bench.accept(2, 8, &["hss"]).await;
    let other = bench.call().await;
    assert_eq!(other.i_event, 2);
    other.answer(Outcome::Delivered);
    running.ended().await;
    bench.pass(1);
    assert_eq!(bench.call().await.i_event, 1);
}

#[tokio::test]
async fn subjects_and_handlers_go_side_by_side() {
    let mut bench = Bench::new();
    let mut running = bench.run(vec![handler("hss"), handler("iptv")]);
    for account in 1..=5 {
        bench.accept(account, account, &["hss", "iptv"]).await;
    }
    let mut calls = Vec::new();
    for _ in 0..10 {
        calls.push(bench.call().await);
    }
    let mut who: Vec<_> = calls.iter().map(|call| (call.handler.clone(), call.i_event)).collect();
    who.sort();
    who.dedup();
    assert_eq!(who.len(), 10);
    for call in calls {
        call.answer(Outcome::Delivered);
        running.ended().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_handler_whose_system_hangs_keeps_no_other_waiting() {
    let mut bench = Bench::new();
    bench.settings.max_in_flight = 2;
    let _running = bench.run(vec![handler("hangs"), handler("works")]);
    for account in 1..=4 {
        bench.accept(account, account, &["hangs"]).await;
    }
    let hanging = [bench.call().await, bench.call().await];
    for account in 5..=9 {
        bench.accept(account, account, &["works"]).await;
        let call = bench.call().await;
        assert_eq!(call.handler, "works", "the slots of the other are taken");
        call.answer(Outcome::Delivered);
    }
    for call in hanging {
        call.answer(Outcome::Delivered);
        assert_eq!(bench.call().await.handler, "hangs");
    }
}
