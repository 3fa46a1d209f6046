//! What operators and housekeeping do.

use std::time::Duration;

use super::*;
use crate::breaker::{Breaker, BreakerState};
use crate::delivery::DeliveryId;

const NOW: Duration = Duration::ZERO;

fn pause(scope: &Scope, seconds: i64) -> Pause {
    Pause { scope: scope.clone(), at: at(seconds), reason: Some("upgrade".into()) }
}

pub(crate) async fn nothing_is_claimed_of_what_is_paused(mut bench: impl Bench) {
    for scope in [
        Scope::Everything,
        Scope::Handler("a".into()),
        Scope::Connector("c".into()),
        Scope::Subject(subject(1)),
    ] {
        bench.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
        bench.store().accept(event(None, 2, at(1)), to("b")).await.expect("accepted");
        bench.store().pause(pause(&scope, 1)).await.expect("paused");
        bench.store().pause(Pause { reason: None, ..pause(&scope, 2) }).await.expect("paused once more");
        bench.reopen(at(2)).await;
        let kept = vec![Pause { reason: None, ..pause(&scope, 1) }];
        assert_eq!(bench.store().pauses().await.expect("an answer"), kept);
        // accepted all the same
        bench.store().accept(event(None, 1, at(3)), to("a")).await.expect("accepted");
        assert!(claim(&bench, "a", 9).await.is_empty(), "{scope:?}");
        assert_eq!(bench.store().next_due(want("a", 1)).await.expect("an answer"), None, "{scope:?}");
        let other = vec![Want { handler: "b".into(), connector: "d".into(), limit: 9 }];
        let others = usize::from(scope != Scope::Everything);
        assert_eq!(bench.store().claim(at(9), other).await.expect("claimed").len(), others, "{scope:?}");

        assert_eq!(bench.store().resume(scope.clone()).await, Ok(true));
        assert_eq!(bench.store().resume(scope.clone()).await, Ok(false));
        assert_eq!(bench.store().next_due(want("a", 1)).await.expect("an answer"), Some(at(1)), "{scope:?}");
        for _ in 0..2 {
            let claimed = claim_one(&bench, "a", 9).await;
            bench.store().record(delivered(&claimed)).await.expect("recorded");
        }
        for claimed in claim(&bench, "b", 9).await {
            bench.store().record(delivered(&claimed)).await.expect("recorded");
        }
        bench.reopen(at(9)).await;
        for claimed in claim(&bench, "b", 9).await {
            bench.store().record(delivered(&claimed)).await.expect("recorded");
        }
    }
}

pub(crate) async fn a_subject_that_is_paused_is_paused_for_what_comes_later_too(bench: impl Bench) {
    let scope = Scope::Subject(subject(1));
    bench.store().accept(event(Some(1), 1, at(1)), to("a")).await.expect("accepted");
    let flying = claim_one(&bench, "a", 1).await;
    bench.store().pause(pause(&scope, 2)).await.expect("paused");
    for account in 1..=2 {
        bench.store().accept(event(None, account, at(2)), to("a")).await.expect("accepted");
    }
    // what is on the way ends, and isn't taken up again
    bench.store().record(failed(&flying, 3)).await.expect("recorded");
    assert_eq!(claim_one(&bench, "a", 9).await.event.subject, subject(2));
    bench.store().resume(scope).await.expect("resumed");
    assert_eq!(claim_one(&bench, "a", 9).await.event.id, flying.event.id);
}

/// Accepts one event for each of the ranks, about one account, and delivers them.
async fn have_delivered(bench: &impl Bench, order: Order, ranks: &[i64]) -> Vec<Claimed> {
    for rank in ranks {
        bench.store().accept(event(None, 1, at(*rank)), with("a", order, *rank)).await.expect("accepted");
        let claimed = claim_one(bench, "a", *rank).await;
        bench.store().record(delivered(&claimed)).await.expect("recorded");
    }
    let all = bench.store().deliveries(Select::default(), None, 99).await.expect("an answer");
    let mut claimed = Vec::new();
    for delivery in all {
        let detail = bench.store().delivery(delivery.id).await.expect("an answer").expect("it");
        claimed.push(Claimed { delivery, claim: detail.claim, event: detail.event, last: None });
    }
    claimed
}

pub(crate) async fn a_replay_delivers_again_from_the_beginning(mut bench: impl Bench) {
    let done = have_delivered(&bench, Order::Skip, &[1, 2]).await;
    bench.store().accept(event(None, 2, at(3)), to("a")).await.expect("accepted");
    let pending =
        bench.store().deliveries(Select::default(), Some(done[1].delivery.id), 9).await.expect("an answer");
    let unknown = DeliveryId::at(at(1));
    let asked = vec![done[1].delivery.id, unknown, done[0].delivery.id, done[1].delivery.id];
    let gap = Duration::from_secs(10);
    let replayed = bench.store().replay(asked, at(100), gap).await.expect("replayed");
    assert_eq!(replayed, [done[1].delivery.id, done[0].delivery.id], "each once, those that have ended");
    bench.reopen(at(50)).await;
    let (first, _) = delivery_of(&bench, done[0].event.id).await;
    assert_eq!(first.state, State::Pending { due: at(110) });
    assert_eq!((first.attempts, first.tries, first.since, first.accepted_at), (1, 0, at(110), at(1)));
    // one lane, in order
    let other = claim(&bench, "a", 109).await;
    assert_eq!(other.iter().map(|one| one.delivery.id).collect::<Vec<_>>(), [pending[0].id]);
    let again = claim_one(&bench, "a", 110).await;
    assert_eq!((again.delivery.id, again.claim), (done[0].delivery.id, 2));
    bench.store().record(delivered(&again)).await.expect("recorded");
    let (_, attempts) = delivery_of(&bench, done[0].event.id).await;
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(claim_one(&bench, "a", 110).await.delivery.id, done[1].delivery.id);
}

pub(crate) async fn what_is_replayed_at_a_rate_keeps_nothing_waiting_that_has_just_come(
    mut bench: impl Bench,
) {
    let done = have_delivered(&bench, Order::Skip, &[1, 2, 3]).await;
    bench.store().accept(event(None, 2, at(4)), to("a")).await.expect("accepted");
    let other = claim_one(&bench, "a", 4).await;
    bench.store().record(delivered(&other)).await.expect("recorded");
    let hour = Duration::from_secs(3600);
    let asked = done.iter().map(|one| one.delivery.id).chain([other.delivery.id]).collect();
    assert_eq!(bench.store().replay(asked, at(100), hour).await.expect("replayed").len(), 4);
    let first = claim_one(&bench, "a", 100).await;
    bench.store().record(delivered(&first)).await.expect("recorded");
    assert_eq!(bench.store().next_due(want("a", 1)).await, Ok(Some(at(3700))));

    let live = event(None, 1, at(150));
    bench.store().accept(live.clone(), with("a", Order::Skip, 150)).await.expect("accepted");
    bench.reopen(at(151)).await;
    for due in [done[1].event.id, done[2].event.id, live.id] {
        assert_eq!(bench.store().next_due(want("a", 1)).await, Ok(Some(at(150))));
        let claimed = claim_one(&bench, "a", 151).await;
        assert_eq!((claimed.event.id, claimed.delivery.since), (due, at(150)));
        bench.store().record(delivered(&claimed)).await.expect("recorded");
    }
    assert_eq!(
        bench.store().next_due(want("a", 1)).await,
        Ok(Some(at(10_900))),
        "another subject has its turn"
    );
}

pub(crate) async fn what_waits_for_its_next_try_is_tried_now_when_it_is_replayed(mut bench: impl Bench) {
    for (account, rank) in [(1, 1), (1, 2), (2, 3)] {
        bench
            .store()
            .accept(event(None, account, at(1)), with("a", Order::Latest, rank))
            .await
            .expect("accepted");
        if rank == 1 {
            let claimed = claim_one(&bench, "a", 1).await;
            bench.store().record(failed(&claimed, 86_400)).await.expect("recorded");
        }
    }
    let all = bench.store().deliveries(Select::default(), None, 9).await.expect("an answer");
    // the first gave way to the second, which waits with the third
    let waits: Vec<_> = all[1..].iter().map(|one| one.id).collect();
    for claimed in claim(&bench, "a", 1).await {
        bench.store().record(failed(&claimed, 86_400)).await.expect("recorded");
    }
    assert!(claim(&bench, "a", 60).await.is_empty());
    let asked = vec![waits[1], waits[0], waits[1]];
    let gap = Duration::from_secs(10);
    assert_eq!(bench.store().replay(asked, at(60), gap).await, Ok(vec![waits[1], waits[0]]), "each once");
    bench.reopen(at(60)).await;
    assert_eq!(bench.store().next_due(want("a", 1)).await, Ok(Some(at(60))));
    let again = claim_one(&bench, "a", 60).await;
    assert_eq!((again.delivery.id, again.claim, again.delivery.attempts), (waits[1], 2, 1));
    assert_eq!((again.delivery.tries, again.delivery.since), (0, at(60)), "the schedule begins anew");
    assert_eq!(claim_one(&bench, "a", 70).await.delivery.id, waits[0]);
    // who is on the way isn't asked to begin once more
    assert_eq!(bench.store().replay(waits, at(80), gap).await, Ok(vec![]));
}

pub(crate) async fn a_replay_of_what_waits_leaves_its_place_in_the_lane(bench: impl Bench) {
    let mut ids = Vec::new();
    for rank in 1..=3 {
        let made = event(None, 1, at(rank));
        let id = made.id;
        bench.store().accept(made, with("a", Order::Strict, rank)).await.expect("accepted");
        ids.push(delivery_of(&bench, id).await.0.id);
    }
    let first = claim_one(&bench, "a", 9).await;
    bench.store().record(failed(&first, 86_400)).await.expect("recorded");
    // those behind it become due, and it doesn't
    let behind = vec![ids[2], ids[1]];
    assert_eq!(bench.store().replay(behind.clone(), at(20), NOW).await, Ok(behind));
    assert!(claim(&bench, "a", 30).await.is_empty());
    assert_eq!(bench.store().replay(vec![ids[0]], at(30), NOW).await, Ok(vec![ids[0]]));
    for id in ids {
        let claimed = claim_one(&bench, "a", 30).await;
        assert_eq!(claimed.delivery.id, id);
        bench.store().record(delivered(&claimed)).await.expect("recorded");
    }
}

pub(crate) async fn a_replayed_delivery_takes_its_place_by_rank(bench: impl Bench) {
    let done = have_delivered(&bench, Order::Strict, &[1, 2, 3]).await;
    bench.store().accept(event(None, 1, at(4)), with("a", Order::Strict, 4)).await.expect("accepted");
    let flying = claim_one(&bench, "a", 4).await;
    bench.store().record(parked(&flying)).await.expect("recorded");
    assert!(claim(&bench, "a", 9).await.is_empty());
    // the parked one holds the lane; replayed, it waits behind the one that is replayed with it
    let asked = vec![flying.delivery.id, done[1].delivery.id];
    assert_eq!(bench.store().replay(asked.clone(), at(9), NOW).await, Ok(asked));
    for expected in [&done[1], &flying] {
        let claimed = claim_one(&bench, "a", 9).await;
        assert_eq!(claimed.delivery.id, expected.delivery.id);
        bench.store().record(delivered(&claimed)).await.expect("recorded");
    }
}

pub(crate) async fn what_is_cancelled_holds_nothing_up(bench: impl Bench) {
    let mut events = Vec::new();
    for seconds in 1..=3 {
        let made = event(None, 1, at(seconds));
        events.push(made.id);
        bench.store().accept(made, with("a", Order::Strict, seconds)).await.expect("accepted");
    }
    let first = claim_one(&bench, "a", 9).await;
    let second = delivery_of(&bench, events[1]).await.0.id;
    let cancel = |id| bench.store().cancel(vec![id], no_more(10, "not wanted"));
    assert_eq!(cancel(first.delivery.id).await, Ok(vec![]), "it is in flight");
    assert_eq!(cancel(second).await, Ok(vec![second]));
    assert_eq!(cancel(second).await, Ok(vec![]), "once is enough");
    bench.store().record(parked(&first)).await.expect("recorded");
    assert!(claim(&bench, "a", 11).await.is_empty(), "the parked one holds the lane");
    assert_eq!(cancel(first.delivery.id).await, Ok(vec![first.delivery.id]));
    assert_eq!(claim_one(&bench, "a", 11).await.event.id, events[2]);
    let reason = "not wanted".to_owned();
    assert_eq!(delivery_of(&bench, events[1]).await.0.state, State::Cancelled { at: at(10), reason });
    let backlog = bench.store().backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.cancelled, backlog.parked, backlog.pending, backlog.in_flight), (2, 0, 0, 1));
}

pub(crate) async fn a_handler_that_came_later_gets_events(bench: impl Bench) {
    let mut events = Vec::new();
    for seconds in 1..=3 {
        let made = event(None, 1, at(seconds));
        events.push((made.id, at(10 - seconds)));
        bench.store().accept(made, if seconds == 2 { to("b") } else { to("a") }).await.expect("accepted");
    }
    let asked = [events.clone(), vec![(EventId::at(at(1)), at(1)), events[0]]].concat();
    let gap = Duration::from_secs(5);
    let made =
        bench.store().subscribe(asked.clone(), "b".into(), Order::Skip, at(100), gap).await.expect("made");
    assert_eq!(made.len(), 2, "one has it, one isn't known, one comes twice");
    assert_eq!(bench.store().subscribe(asked, "b".into(), Order::Skip, at(200), gap).await, Ok(vec![]));
    let detail = bench.store().event(events[2].0).await.expect("an answer").expect("the event");
    assert_eq!(detail.deliveries.len(), 2);
    let of_b = &detail.deliveries[1].0;
    assert_eq!(
        (of_b.id, of_b.handler.as_str(), &of_b.state),
        (made[1], "b", &State::Pending { due: at(105) })
    );
    assert_eq!((of_b.accepted_at, of_b.since), (at(3), at(105)));
    // the one that was there has rank 0; then by rank, whoever was made first
    let first = claim_one(&bench, "b", 999).await;
    assert_eq!(first.event.id, events[1].0);
    bench.store().record(delivered(&first)).await.expect("recorded");
    let second = claim_one(&bench, "b", 999).await;
    assert_eq!(second.event.id, events[2].0);
}

pub(crate) async fn deliveries_are_found_by_what_they_are(bench: impl Bench) {
    for number in 0..6_u32 {
        let made = Event {
            event_type: if number % 2 == 0 { "A/B" } else { "C/D" }.into(),
            ..event(None, number / 2, at(i64::from(number) * 7200))
        };
        bench.store().accept(made, to(if number < 3 { "a" } else { "b" })).await.expect("accepted");
    }
    let claimed = bench.store().claim(at(0), want("a", 1)).await.expect("claimed").remove(0);
    bench.store().record(parked(&claimed)).await.expect("recorded");
    let all = bench.store().deliveries(Select::default(), None, 99).await.expect("an answer");
    let ids: Vec<_> = all.iter().map(|one| one.id).collect();
    let some = Select::default;
    let word = |word: &str| Some(word.to_owned());
    let cases = [
        (some(), None, 9, vec![0, 1, 2, 3, 4, 5]),
        (some(), None, 2, vec![0, 1]),
        (some(), Some(1), 2, vec![2, 3]),
        (Select { handler: word("a"), ..some() }, None, 9, vec![0, 1, 2]),
        (Select { state: word("parked"), ..some() }, None, 9, vec![0]),
        (Select { state: word("pending"), handler: word("a"), ..some() }, None, 9, vec![1, 2]),
        (Select { event_type: word("C/D"), ..some() }, None, 9, vec![1, 3, 5]),
        (Select { subject: word("1"), ..some() }, None, 9, vec![2, 3]),
        (Select { from: Some(at(7200)), until: Some(at(4 * 7200)), ..some() }, None, 9, vec![1, 2, 3]),
        (Select { from: Some(at(99 * 7200)), ..some() }, None, 9, vec![]),
        (Select { until: Some(at(2 * 7200)), ..some() }, None, 9, vec![0, 1]),
        (Select { until: Some(at(2 * 7200)), ..some() }, Some(0), 9, vec![1]),
        (Select { until: Some(at(7201)), event_type: word("C/D"), ..some() }, None, 9, vec![1]),
        (Select { until: Some(at(-99 * 7200)), ..some() }, None, 9, vec![]),
        (Select { state: word("no such"), ..some() }, None, 9, vec![]),
    ];
    for (select, after, limit, expected) in cases {
        let after = after.map(|n: usize| ids[n]);
        let found = bench.store().deliveries(select.clone(), after, limit).await.expect("an answer");
        let found: Vec<_> = found.iter().map(|one| one.id).collect();
        assert_eq!(
            found,
            expected.iter().map(|n: &usize| ids[*n]).collect::<Vec<_>>(),
            "{select:?} {after:?}"
        );
    }
    assert!(bench.store().delivery(DeliveryId::at(at(0))).await.expect("an answer").is_none());
    let detail = bench.store().delivery(ids[0]).await.expect("an answer").expect("it");
    assert_eq!((detail.claim, detail.attempts.len(), detail.event.id), (1, 1, claimed.event.id));
}

pub(crate) async fn a_breaker_is_kept_by_whoever_is_first(mut bench: impl Bench) {
    assert!(bench.store().breakers().await.expect("an answer").is_empty());
    let open = Breaker {
        state: BreakerState::Open { until: at(30) },
        since: at(1),
        openings: 1,
        reason: Some("down".into()),
        version: 1,
        ..Breaker::closed("connector:hss")
    };
    let put = async |breaker: &Breaker| bench.store().put_breaker(breaker.clone()).await.expect("an answer");
    assert!(!put(&Breaker { version: 2, ..open.clone() }).await, "there is no first");
    assert!(put(&open).await);
    assert!(!put(&open).await, "another was quicker");
    let half = Breaker { state: BreakerState::HalfOpen { until: at(60) }, version: 2, ..open.clone() };
    let (one, other) = tokio::join!(put(&half), put(&half));
    assert!(one ^ other, "one of two");
    assert!(!put(&Breaker { version: 4, ..half.clone() }).await);
    let closed = Breaker { state: BreakerState::Closed, reason: None, version: 3, ..half };
    assert!(put(&closed).await);
    let other = Breaker { name: "portabilling".into(), ..open };
    assert!(put(&other).await);
    bench.reopen(at(9)).await;
    assert_eq!(bench.store().breakers().await.expect("an answer"), [closed, other]);
}

pub(crate) async fn notes_are_kept(mut bench: impl Bench) {
    assert_eq!(bench.store().note("walk".into()).await, Ok(None));
    for text in ["1", "2"] {
        bench.store().put_note("walk".into(), text.into()).await.expect("kept");
    }
    bench.reopen(at(1)).await;
    assert_eq!(bench.store().note("walk".into()).await, Ok(Some("2".into())));
    assert_eq!(bench.store().note("other".into()).await, Ok(None));
}

fn before(events: i64, bodies: i64, limit: usize) -> Prune {
    Prune { events_before: at(events), bodies_before: at(bodies), now: at(100), limit }
}

pub(crate) async fn what_is_old_is_forgotten_unless_it_is_needed(mut bench: impl Bench) {
    // accepted at 1 to 5; the second waits, the fourth is parked and holds its lane
    let mut events = Vec::new();
    for seconds in 1..=5_u32 {
        let order = if seconds == 4 { Order::Strict } else { Order::Skip };
        let made = event(None, seconds, at(seconds.into()));
        events.push(made.id);
        bench.store().accept(made, with("a", order, 1)).await.expect("accepted");
        let claimed = claim_one(&bench, "a", seconds.into()).await;
        let record = match seconds {
            2 => failed(&claimed, 999),
            4 => parked(&claimed),
            _ => delivered(&claimed),
        };
        bench.store().record(record).await.expect("recorded");
    }
    // all attempts ended at 2
    let pruned = bench.store().prune(before(0, 2, 99)).await.expect("pruned");
    assert_eq!((pruned.events, pruned.bodies, pruned.more), (0, 0, false));
    let pruned = bench.store().prune(before(0, 3, 2)).await.expect("pruned");
    assert_eq!((pruned.events, pruned.bodies, pruned.more), (0, 2, true));
    let mut bodies = 2;
    while let Pruned { bodies: more, more: true, .. } =
        bench.store().prune(before(0, 3, 2)).await.expect("pruned")
    {
        bodies += more;
    }
    assert!((4..=5).contains(&bodies));
    let (_, attempts) = delivery_of(&bench, events[0]).await;
    assert_eq!((&attempts[0].request, &attempts[0].response), (&None, &None));
    assert_eq!(attempts[0].outcome, Outcome::Delivered, "what came of it is kept");

    let (mut forgotten, mut steps) = (0, 0);
    loop {
        let pruned = bench.store().prune(before(5, 0, 2)).await.expect("pruned");
        forgotten += pruned.events;
        steps += 1;
        bench.reopen(at(9)).await;
        if !pruned.more {
            break;
        }
    }
    assert_eq!((forgotten, steps), (2, 3), "two by two, and whoever is needed isn't in the way");
    let left = bench.store().events(Page { limit: 9, ..Page::default() }).await.expect("an answer");
    assert_eq!(left.iter().map(|one| one.event.id).collect::<Vec<_>>(), [events[4], events[3], events[1]]);
    let backlog = bench.store().backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.delivered, backlog.pending, backlog.parked), (1, 1, 1));
    let again = claim_one(&bench, "a", 999).await;
    bench.store().record(delivered(&again)).await.expect("recorded");
    let pruned = bench.store().prune(before(9, 0, 9)).await.expect("pruned");
    assert_eq!((pruned.events, pruned.more), (2, false));
}

pub(crate) async fn what_was_delivered_last_goes_with_its_subject(bench: impl Bench) {
    for (number, (account, event_type)) in [
        (1, "Subscriber/Updated"),
        (1, "Subscriber/Deleted"),
        (2, "Subscriber/Deleted"),
        (2, "Subscriber/Updated"),
        (3, "SIM/Deleted"),
        (4, "Account/Status/Closed"),
    ]
    .into_iter()
    .enumerate()
    {
        let seconds = i64::try_from(number).expect("few");
        let made = Event { event_type: event_type.into(), ..event(None, account, at(seconds)) };
        bench.store().accept(made, to("a")).await.expect("accepted");
        let claimed = claim_one(&bench, "a", seconds).await;
        let last = Some(number.to_string());
        bench.store().record(Record { last, ..delivered(&claimed) }).await.expect("recorded");
    }
    let subjects: Vec<_> = (1..=4).map(subject).collect();
    let last = |account, text: &str| Last { subject: subject(account), pb_data: text.into(), at: at(2) };
    let lasts = || bench.store().lasts("a".into(), subjects.clone());
    assert_eq!(lasts().await.expect("an answer"), [last(1, "1"), last(2, "3"), last(3, "4"), last(4, "5")]);
    assert_eq!(bench.store().lasts("b".into(), subjects.clone()).await.expect("an answer"), []);
    let pruned = bench.store().prune(before(99, 0, 99)).await.expect("pruned");
    assert_eq!(pruned.events, 6);
    // an account doesn't come back, whatever is said after its end; of the third nothing says that it is gone
    assert_eq!(lasts().await.expect("an answer"), [last(3, "4")]);
}

pub(crate) async fn what_comes_back_keeps_what_was_delivered_last(bench: impl Bench) {
    for (seconds, (number, event_type)) in
        (1..).zip([("1", "DID/Deleted"), ("1", "DID/New"), ("2", "DID/New"), ("2", "DID/Deleted")])
    {
        let subject = Subject { kind: SubjectKind::Did, id: number.into() };
        let made = Event { event_type: event_type.into(), subject, ..event(None, 1, at(seconds)) };
        bench.store().accept(made, to("a")).await.expect("accepted");
        let claimed = claim_one(&bench, "a", seconds).await;
        bench
            .store()
            .record(Record { last: Some("x".into()), ..delivered(&claimed) })
            .await
            .expect("recorded");
    }
    assert_eq!(bench.store().prune(before(99, 0, 99)).await.expect("pruned").events, 4);
    let left = bench.store().delivered("a".into(), None, 9).await.expect("an answer").lasts;
    assert_eq!(left.iter().map(|last| last.subject.id.as_str()).collect::<Vec<_>>(), ["1"]);
}

pub(crate) async fn what_comes_from_the_future_keeps_nothing_from_being_forgotten(bench: impl Bench) {
    // a clock that was years ahead, and is put right
    for (account, seconds) in (1..).zip([1, 999, 999, 999, 2, 3, 90, 4]) {
        let made = event(None, account, at(seconds));
        bench.store().accept(made, to("a")).await.expect("accepted");
        let claimed = claim_one(&bench, "a", 999).await;
        let mut record = delivered(&claimed);
        record.attempt.ended_at = at(seconds);
        bench.store().record(record).await.expect("recorded");
    }
    let (mut events, mut bodies) = (0, 0);
    loop {
        let pruned = bench.store().prune(before(80, 80, 2)).await.expect("pruned");
        (events, bodies) = (events + pruned.events, bodies + pruned.bodies);
        if !pruned.more {
            break;
        }
    }
    // behind one that is young all are
    assert!((3..=4).contains(&events), "{events}");
    let left = bench.store().events(Page { limit: 9, ..Page::default() }).await.expect("an answer");
    let bodies_left = {
        let mut count = 0;
        for one in &left {
            let (_, attempts) = delivery_of(&bench, one.event.id).await;
            count += attempts.iter().filter(|attempt| attempt.request.is_some()).count();
        }
        count
    };
    assert!(bodies_left <= 5, "{bodies_left} of {}: {bodies}", left.len());
}
