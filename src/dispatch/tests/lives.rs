//! Shutting down, and starting with what is left.

use super::*;

#[tokio::test]
async fn a_handler_that_is_gone_keeps_its_deliveries_until_it_is_back() {
    let mut bench = Bench::new();
    bench.accept(1, 7, &["gone"]).await;
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(2, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Delivered);
    running.ended().await;
    running.stop().await;
    let backlog = bench.store.backlog().await.expect("an answer");
    assert_eq!((backlog[0].handler.as_str(), backlog[0].pending), ("gone", 1));
    let _running = bench.run(vec![handler("hss"), handler("gone")]);
    assert_eq!(bench.call().await.i_event, 1);
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_in_flight_and_starts_nothing_new() {
    let mut bench = Bench::new();
    let running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.accept(2, 7, &["hss"]).await;
    let call = bench.call().await;
    running.stop.cancel();
    call.answer(Outcome::Delivered);
    soon(running.task).await.expect("it ends well");
    let backlog = bench.store.backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.delivered, backlog.pending, backlog.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn what_a_shutdown_cuts_off_is_attempted_again_under_the_same_id() {
    let mut bench = Bench::new();
    bench.settings.drain = Duration::from_millis(1);
    let running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    let cut = bench.call().await;
    running.stop().await;
    bench.sqlite.close().await;
    bench.sqlite = open(bench.folder.path(), bench.now());
    bench.store = bench.sqlite.clone();
    let mut running = bench.run(vec![handler("hss")]);
    let again = bench.call().await;
    assert_eq!((again.delivery, again.attempt), (cut.delivery, 2));
    again.answer(Outcome::Delivered);
    assert!(matches!(running.ended().await.state, State::Delivered { .. }));
    running.stop().await;
}

#[tokio::test]
async fn what_nobody_says_is_found_at_the_next_tick() {
    let mut bench = Bench::new();
    bench.settings.tick = Duration::from_millis(20);
    let mut running = bench.run(vec![handler("hss")]);
    bench.accept(1, 7, &["hss"]).await;
    bench.call().await.answer(Outcome::Delivered);
    running.ended().await;
    assert!(bench.quiet().await, "it has nothing to do and waits");
    bench.accept_unsaid(2, 8, &["hss"]).await;
    let call = bench.call().await;
    assert_eq!(call.i_event, 2);
    call.answer(Outcome::Delivered);
    running.ended().await;
    running.stop().await;
}
