//! The order within a lane.

use super::*;
use crate::delivery::DeliveryId;

pub(crate) async fn a_parked_delivery_lets_the_next_pass_unless_the_order_is_strict(bench: impl Bench) {
    for number in 1..=2 {
        let subscriptions = [to("skip"), with("strict", Order::Strict, 0)].concat();
        bench.store().accept(event(Some(number), 1, at(number)), subscriptions).await.expect("accepted");
    }
    for handler in ["skip", "strict"] {
        let first = bench.store().claim(at(9), want(handler, 9)).await.expect("claimed");
        assert_eq!(first.len(), 1, "{handler}: one at a time");
        assert_eq!(first[0].event.i_event, Some(1));
        bench.store().record(parked(&first[0])).await.expect("recorded");
    }
    assert_eq!(bench.store().claim(at(9), want("skip", 9)).await.expect("claimed").len(), 1);
    assert_eq!(bench.store().claim(at(9), want("strict", 9)).await.expect("claimed").len(), 0);
    assert_eq!(bench.store().next_due(want("strict", 1)).await.expect("an answer"), None);
    let backlog = bench.store().backlog().await.expect("an answer");
    let strict = backlog.iter().find(|backlog| backlog.handler == "strict").expect("strict");
    assert_eq!((strict.pending, strict.in_flight, strict.parked), (1, 0, 1));
    assert_eq!(strict.oldest_pending, Some(at(2)));
}

pub(crate) async fn what_happened_first_goes_first_whenever_it_came(bench: impl Bench) {
    // in the order of arrival, with when they happened
    for rank in [5, 9, 1, 5] {
        bench
            .store()
            .accept(event(Some(rank), 1, at(10)), with("a", Order::Skip, rank))
            .await
            .expect("accepted");
        // the same event is known: so give it another number
        let other = Event { i_event: Some(100 + rank), ..event(None, 1, at(10)) };
        bench.store().accept(other, with("b", Order::Skip, rank)).await.expect("accepted");
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        let claimed = claim_one(&bench, "a", 10).await;
        order.push(claimed.event.i_event);
        bench.store().record(delivered(&claimed)).await.expect("recorded");
    }
    assert_eq!(order, [Some(1), Some(5), Some(9)]);
    // one that comes late overtakes nobody who is on the way, and goes before those who wait
    let flying = claim_one(&bench, "b", 10).await;
    assert_eq!(flying.event.i_event, Some(101));
    bench.store().accept(event(Some(50), 1, at(11)), with("b", Order::Skip, 0)).await.expect("accepted");
    assert!(claim(&bench, "b", 11).await.is_empty());
    bench.store().record(failed(&flying, 60)).await.expect("recorded");
    let late = claim_one(&bench, "b", 11).await;
    assert_eq!(late.event.i_event, Some(50));
    bench.store().record(delivered(&late)).await.expect("recorded");
    // the one that failed is the first again, and isn't due yet
    assert!(claim(&bench, "b", 59).await.is_empty());
    assert_eq!(bench.store().next_due(want("b", 1)).await.expect("an answer"), Some(at(60)));
    assert_eq!(claim_one(&bench, "b", 60).await.event.i_event, Some(101));
}

async fn states(bench: &impl Bench, events: &[Event]) -> Vec<State> {
    let mut states = Vec::new();
    for event in events {
        states.push(delivery_of(bench, event.id).await.0.state);
    }
    states
}

async fn accept_latest(bench: &impl Bench, seconds: i64, rank: i64) -> Event {
    let made = event(None, 1, at(seconds));
    bench.store().accept(made.clone(), with("a", Order::Latest, rank)).await.expect("accepted");
    made
}

async fn id_of(bench: &impl Bench, event: &Event) -> DeliveryId {
    delivery_of(bench, event.id).await.0.id
}

pub(crate) async fn where_the_order_is_latest_a_newer_one_supersedes_those_that_wait(bench: impl Bench) {
    let first = accept_latest(&bench, 1, 1).await;
    let second = accept_latest(&bench, 2, 2).await;
    // it happened before, and comes too late for anybody to need it
    let late = accept_latest(&bench, 3, 0).await;
    let by = id_of(&bench, &second).await;
    assert_eq!(
        states(&bench, &[first, second.clone(), late]).await,
        [
            State::Superseded { at: at(2), by },
            State::Pending { due: at(2) },
            State::Superseded { at: at(3), by }
        ]
    );
    let backlog = bench.store().backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.pending, backlog.superseded), (1, 2));
    // what is on the way is let be; of what comes meanwhile one waits
    let flying = claim_one(&bench, "a", 9).await;
    assert_eq!(flying.event.id, second.id);
    let third = accept_latest(&bench, 10, 10).await;
    let fourth = accept_latest(&bench, 11, 11).await;
    assert!(claim(&bench, "a", 11).await.is_empty());
    bench.store().record(delivered(&flying)).await.expect("recorded");
    assert_eq!(claim_one(&bench, "a", 11).await.event.id, fourth.id);
    let by = id_of(&bench, &fourth).await;
    assert_eq!(states(&bench, &[third]).await, [State::Superseded { at: at(11), by }]);
}

pub(crate) async fn where_the_order_is_latest_one_that_fails_gives_way_to_a_newer(bench: impl Bench) {
    let first = accept_latest(&bench, 1, 1).await;
    let flying = claim_one(&bench, "a", 1).await;
    let second = accept_latest(&bench, 2, 2).await;
    bench.store().record(failed(&flying, 60)).await.expect("recorded");
    let by = id_of(&bench, &second).await;
    assert_eq!(states(&bench, std::slice::from_ref(&first)).await, [State::Superseded { at: at(2), by }]);
    assert_eq!(delivery_of(&bench, first.id).await.0.attempts, 1);
    let flying = claim_one(&bench, "a", 2).await;
    assert_eq!(flying.event.id, second.id);
    // without a newer one it waits
    bench.store().record(failed(&flying, 60)).await.expect("recorded");
    assert_eq!(states(&bench, &[second]).await, [State::Pending { due: at(60) }]);
    // a superseded one isn't replayed while a newer one waits
    let id = id_of(&bench, &first).await;
    let replayed =
        bench.store().replay(vec![id], at(70), std::time::Duration::ZERO).await.expect("an answer");
    assert_eq!(replayed, []);
}

pub(crate) async fn where_the_order_is_latest_one_that_waits_again_supersedes_an_older(bench: impl Bench) {
    let newer = accept_latest(&bench, 2, 2).await;
    let flying = claim_one(&bench, "a", 2).await;
    let older = accept_latest(&bench, 3, 1).await;
    let by = id_of(&bench, &newer).await;
    bench.store().record(failed(&flying, 60)).await.expect("recorded");
    let expected = [State::Pending { due: at(60) }, State::Superseded { at: at(2), by }];
    assert_eq!(states(&bench, &[newer, older]).await, expected);
}

pub(crate) async fn a_released_delivery_waits_and_has_not_been_tried(bench: impl Bench) {
    bench.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let claimed = claim_one(&bench, "a", 1).await;
    bench.store().release(claimed.delivery.id, claimed.claim, at(30)).await.expect("released");
    let overtaken = Err(StoreError::Overtaken(claimed.delivery.id));
    assert_eq!(bench.store().release(claimed.delivery.id, claimed.claim, at(40)).await, overtaken);
    assert_eq!(bench.store().record(delivered(&claimed)).await, overtaken);
    assert!(claim(&bench, "a", 29).await.is_empty());
    let again = claim_one(&bench, "a", 30).await;
    assert_eq!((again.claim, again.delivery.attempts, again.delivery.tries), (2, 0, 0));
    bench.store().record(delivered(&again)).await.expect("recorded");
    let (_, attempts) = delivery_of(&bench, claimed.event.id).await;
    assert_eq!(attempts.len(), 1);
}
