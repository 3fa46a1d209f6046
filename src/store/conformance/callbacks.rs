//! Deliveries that await a callback.

use std::time::Duration;

use super::*;
use crate::delivery::{Failure, Settlement};

fn settled(claimed: &Claimed, seconds: i64, outcome: Outcome, state: State) -> Settle {
    Settle {
        delivery: claimed.delivery.id,
        claim: claimed.claim,
        settlement: Settlement { at: at(seconds), outcome, body: Some("{\"ok\":1}".into()) },
        state,
        tries: claimed.delivery.tries + 1,
        status: Some(status(StatusValue::Ok, seconds)),
    }
}

fn done(claimed: &Claimed, seconds: i64) -> Settle {
    settled(claimed, seconds, Outcome::Delivered, State::Delivered { at: at(seconds) })
}

fn not_done(claimed: &Claimed, seconds: i64, due: i64) -> Settle {
    let outcome = Outcome::Retry { class: Failure::Callback, reason: "nothing came".into(), after: None };
    settled(claimed, seconds, outcome, State::Pending { due: at(due) })
}

async fn awaiting(bench: &impl Bench, deadline: i64) -> Claimed {
    for _ in 0..2 {
        bench.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    }
    let claimed = claim_one(bench, "a", 1).await;
    let record = Record { last: Some("{\"n\":1}".into()), ..accepted(&claimed, deadline) };
    bench.store().record(record).await.expect("recorded");
    claimed
}

pub(crate) async fn a_delivery_awaits_its_callback_and_holds_its_lane(bench: impl Bench) {
    let claimed = awaiting(&bench, 60).await;
    assert!(claim(&bench, "a", 99).await.is_empty());
    assert_eq!(bench.store().next_due(want("a", 1)).await.expect("an answer"), None);
    let backlog = bench.store().backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.awaiting, backlog.pending, backlog.in_flight), (1, 1, 0));
    assert_eq!(bench.store().lasts("a".into(), vec![subject(1)]).await.expect("an answer"), []);

    bench.store().settle(done(&claimed, 9)).await.expect("settled");
    let (delivery, attempts) = delivery_of(&bench, claimed.event.id).await;
    assert_eq!((delivery.state, delivery.attempts), (State::Delivered { at: at(9) }, 1));
    let within = Duration::from_secs(60);
    assert_eq!(attempts[0].outcome, Outcome::Accepted { within });
    assert_eq!(attempts[0].settled, Some(done(&claimed, 9).settlement));
    // what was sent is what was delivered last, and the status is on its way
    let next = claim_one(&bench, "a", 99).await;
    assert_eq!(next.last.as_deref(), Some("{\"n\":1}"));
    assert_eq!(bench.store().claim_statuses(at(99), 9).await.expect("claimed").len(), 1);
}

pub(crate) async fn a_callback_counts_once(bench: impl Bench) {
    let claimed = awaiting(&bench, 60).await;
    let overtaken = Err(StoreError::Overtaken(claimed.delivery.id));
    assert_eq!(bench.store().settle(Settle { claim: 2, ..done(&claimed, 9) }).await, overtaken);
    bench.store().settle(not_done(&claimed, 9, 20)).await.expect("settled");
    assert_eq!(bench.store().settle(done(&claimed, 10)).await, overtaken);
    assert_eq!(bench.store().lasts("a".into(), vec![subject(1)]).await.expect("an answer"), []);
    // it is tried again, and an old callback doesn't count for the new attempt
    let again = claim_one(&bench, "a", 20).await;
    assert_eq!((again.claim, again.delivery.attempts, again.delivery.tries), (2, 1, 1));
    bench.store().record(accepted(&again, 90)).await.expect("recorded");
    assert_eq!(bench.store().settle(done(&claimed, 21)).await, overtaken);
    bench.store().settle(done(&again, 22)).await.expect("settled");
    let (_, attempts) = delivery_of(&bench, claimed.event.id).await;
    let settled: Vec<_> = attempts.iter().map(|one| one.settled.as_ref().map(|one| one.at)).collect();
    assert_eq!(settled, [Some(at(9)), Some(at(22))]);
}

pub(crate) async fn without_a_callback_the_deadline_passes(bench: impl Bench) {
    assert_eq!(bench.store().next_deadline().await.expect("an answer"), None);
    let claimed = awaiting(&bench, 60).await;
    assert_eq!(bench.store().next_deadline().await.expect("an answer"), Some(at(60)));
    assert!(bench.store().overdue(at(59), 9).await.expect("an answer").is_empty());
    assert!(bench.store().overdue(at(60), 0).await.expect("an answer").is_empty());
    for _ in 0..2 {
        let overdue = bench.store().overdue(at(60), 9).await.expect("an answer");
        assert_eq!(overdue.len(), 1, "it stays until it is settled");
        assert_eq!((overdue[0].delivery.id, overdue[0].claim), (claimed.delivery.id, claimed.claim));
        assert_eq!(overdue[0].delivery.state, State::Awaiting { deadline: at(60) });
        assert_eq!(overdue[0].event, claimed.event);
        assert_eq!(overdue[0].last.as_deref(), Some("{\"n\":1}"), "what was sent");
    }
    bench.store().settle(not_done(&claimed, 60, 61)).await.expect("settled");
    assert!(bench.store().overdue(at(99), 9).await.expect("an answer").is_empty());
    assert_eq!(bench.store().next_deadline().await.expect("an answer"), None);
    // a cancelled one isn't waited for, either
    let again = claim_one(&bench, "a", 61).await;
    bench.store().record(accepted(&again, 90)).await.expect("recorded");
    let id = claimed.delivery.id;
    assert_eq!(bench.store().cancel(vec![id], no_more(70, "gone")).await, Ok(vec![id]));
    assert_eq!(bench.store().settle(done(&again, 71)).await, Err(StoreError::Overtaken(id)));
    assert_eq!(bench.store().next_deadline().await.expect("an answer"), None);
}

pub(crate) async fn a_delivery_still_awaits_its_callback_after_a_crash(mut bench: impl Bench) {
    let claimed = awaiting(&bench, 60).await;
    bench.reopen(at(5)).await;
    assert!(claim(&bench, "a", 99).await.is_empty());
    bench.store().settle(done(&claimed, 9)).await.expect("settled");
    let (delivery, _) = delivery_of(&bench, claimed.event.id).await;
    assert_eq!(delivery.state, State::Delivered { at: at(9) });
}
