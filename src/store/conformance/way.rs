//! The way of an event: accepted, claimed, recorded, found.

use std::time::Duration;

use super::*;
use crate::delivery::{DeliveryId, Failure, Outcome};

pub(crate) async fn the_same_event_is_kept_once_even_if_it_comes_twice_at_the_same_moment(bench: impl Bench) {
    let offers = (0..20).map(|_| bench.store().accept(event(Some(5), 1, at(1)), to("hss")));
    let answers = futures::future::try_join_all(offers).await.expect("accepted");
    let ids: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Accepted::New(id) => Some(*id),
            Accepted::Duplicate(_) => None,
        })
        .collect();
    assert_eq!(ids.len(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Accepted::New(id) | Accepted::Duplicate(id) if *id == ids[0]))
    );
    assert_eq!(bench.store().claim(at(1), want("hss", 9)).await.expect("claimed").len(), 1);
}

pub(crate) async fn an_event_is_the_same_only_if_all_that_names_it_is(bench: impl Bench) {
    let first = event(Some(5), 1, at(1));
    let others = [
        Event { i_event: Some(6), ..first.clone() },
        Event { i_env: Some(1), ..first.clone() },
        Event { source: "other".into(), ..first.clone() },
        Event { event_type: "subscriber/updated".into(), ..first.clone() },
        Event { subject: Subject { kind: SubjectKind::Account, id: "2".into() }, ..first.clone() },
        Event { subject: Subject { kind: SubjectKind::Customer, id: "1".into() }, ..first.clone() },
        Event { i_event: None, ..first.clone() },
        Event { i_event: None, ..first.clone() },
    ];
    bench.store().accept(first.clone(), vec![]).await.expect("accepted");
    for other in others {
        let other = Event { id: EventId::at(at(1)), ..other };
        let answer = bench.store().accept(other.clone(), vec![]).await.expect("accepted");
        assert_eq!(answer, Accepted::New(other.id), "{other:?}");
    }
    let again = Event { received_at: at(9), id: EventId::at(at(9)), body: "other".into(), ..first.clone() };
    assert_eq!(bench.store().accept(again, vec![]).await.expect("accepted"), Accepted::Duplicate(first.id));
    // Offered again after an error that may have come too late: its id tells.
    let unnumbered = event(None, 1, at(1));
    bench.store().accept(unnumbered.clone(), vec![]).await.expect("accepted");
    let answer = bench.store().accept(unnumbered.clone(), vec![]).await.expect("accepted");
    assert_eq!(answer, Accepted::Duplicate(unnumbered.id));
}

pub(crate) async fn an_event_that_nobody_handles_is_kept_word_for_word(mut bench: impl Bench) {
    let kept =
        Event { body: "{\"a\u{0}\":1.50}\n".into(), i_env: Some(-3), ..event(Some(i64::MAX), 1, at(1)) };
    bench.store().accept(kept.clone(), vec![]).await.expect("accepted");
    bench.reopen(at(2)).await;
    let detail = bench.store().event(kept.id).await.expect("an answer").expect("the event");
    assert_eq!(detail.event, kept);
    assert!(detail.deliveries.is_empty());
    assert!(bench.store().event(EventId::at(at(1))).await.expect("an answer").is_none());
}

pub(crate) async fn what_is_not_due_or_not_asked_for_is_not_claimed(bench: impl Bench) {
    for account in 1..=3 {
        bench.store().accept(event(None, account, at(account.into())), to("a")).await.expect("accepted");
    }
    let next = |handlers: &[&str]| {
        bench.store().next_due(handlers.iter().flat_map(|handler| want(handler, 1)).collect())
    };
    assert_eq!(next(&["a", "b"]).await.expect("an answer"), Some(at(1)));
    assert_eq!(next(&["b"]).await.expect("an answer"), None);
    assert!(bench.store().claim(at(0), want("a", 9)).await.expect("claimed").is_empty());
    assert!(bench.store().claim(at(9), want("b", 9)).await.expect("claimed").is_empty());
    let both = bench.store().claim(at(2), want("a", 9)).await.expect("claimed");
    assert_eq!(both.iter().map(|one| one.event.subject.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert!(both.iter().all(|one| one.delivery.state == State::InFlight { since: at(2) }));
    assert_eq!(next(&["a"]).await.expect("an answer"), Some(at(3)));
}

pub(crate) async fn an_attempt_is_kept_once_however_often_it_is_recorded(bench: impl Bench) {
    bench.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let claimed = bench.store().claim(at(1), want("a", 1)).await.expect("claimed").remove(0);
    let after = Some(Duration::from_millis(1500));
    let record = Record {
        attempt: attempt(1, Outcome::Retry { class: Failure::Busy, reason: "busy".into(), after }),
        state: State::Pending { due: at(60) },
        ..delivered(&claimed)
    };
    for _ in 0..2 {
        bench.store().record(record.clone()).await.expect("recorded");
    }
    let detail = bench.store().event(claimed.event.id).await.expect("an answer").expect("the event");
    let (delivery, attempts) = &detail.deliveries[0];
    assert_eq!(delivery.state, State::Pending { due: at(60) });
    assert_eq!(delivery.attempts, 1);
    assert_eq!(attempts, std::slice::from_ref(&record.attempt));

    let too_far = Record { attempt: attempt(3, Outcome::Delivered), ..record.clone() };
    assert!(matches!(bench.store().record(too_far).await, Err(StoreError::Overtaken(_))));
    let unknown = Record { delivery: DeliveryId::at(at(1)), ..record };
    assert!(matches!(bench.store().record(unknown).await, Err(StoreError::Rejected(_))));
}

pub(crate) async fn what_was_delivered_last_comes_with_the_next_claim_of_that_subject(mut bench: impl Bench) {
    for _ in 0..3 {
        bench.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    }
    bench.store().accept(event(None, 2, at(1)), to("a")).await.expect("accepted");
    for expected in [None, Some("{\"n\":0}"), Some("{\"n\":1}")] {
        let claimed = bench.store().claim(at(1), want("a", 1)).await.expect("claimed").remove(0);
        assert_eq!(claimed.last.as_deref(), expected);
        let number = expected.map_or(0, |_| 1);
        let last = Some(format!("{{\"n\":{number}}}"));
        bench.store().record(Record { last, ..delivered(&claimed) }).await.expect("recorded");
        bench.reopen(at(1)).await;
    }
    let other = bench.store().claim(at(1), want("a", 9)).await.expect("claimed");
    assert_eq!(other.len(), 1);
    assert_eq!(other[0].last, None);
}

pub(crate) async fn what_was_in_flight_is_pending_after_a_crash_and_the_attempt_counts(
    mut bench: impl Bench,
) {
    bench.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let claimed = bench.store().claim(at(3), want("a", 1)).await.expect("claimed").remove(0);
    bench.reopen(at(8)).await;
    let detail = bench.store().event(claimed.event.id).await.expect("an answer").expect("the event");
    let (delivery, attempts) = &detail.deliveries[0];
    assert_eq!(delivery.state, State::Pending { due: at(8) });
    assert_eq!(delivery.attempts, 1);
    assert_eq!((attempts[0].number, attempts[0].started_at, attempts[0].ended_at), (1, at(3), at(8)));
    assert!(attempts[0].outcome.reason().expect("a reason").contains("stopped in the middle"));
    let again = bench.store().claim(at(8), want("a", 1)).await.expect("claimed").remove(0);
    assert_eq!(again.delivery.id, claimed.delivery.id);
    assert_eq!(again.delivery.attempts, 1);
}

pub(crate) async fn an_operator_finds_events_by_what_they_are_about(bench: impl Bench) {
    let mut ids = Vec::new();
    for number in 0..6_u32 {
        let made = Event {
            event_type: if number % 2 == 0 { "A/B" } else { "C/D" }.into(),
            ..event(None, number / 2, at(number.into()))
        };
        ids.push(made.id);
        bench.store().accept(made, to(if number < 3 { "a" } else { "b" })).await.expect("accepted");
    }
    let claimed = bench.store().claim(at(9), want("a", 1)).await.expect("claimed").remove(0);
    bench.store().record(parked(&claimed)).await.expect("recorded");
    let claimed = bench.store().claim(at(9), want("b", 1)).await.expect("claimed").remove(0);
    bench.store().record(delivered(&claimed)).await.expect("recorded");
    let both = event(None, 9, at(9));
    ids.push(both.id);
    bench.store().accept(both, [to("c"), to("d")].concat()).await.expect("accepted");
    let claimed = bench.store().claim(at(9), want("c", 1)).await.expect("claimed").remove(0);
    bench.store().record(parked(&claimed)).await.expect("recorded");

    let all = Page { limit: 100, ..Page::default() };
    let word = |word: &str| Some(word.to_owned());
    let cases = [
        (all.clone(), vec![6, 5, 4, 3, 2, 1, 0]),
        (Page { limit: 2, ..all.clone() }, vec![6, 5]),
        (Page { limit: 2, before: Some(ids[4]), ..all.clone() }, vec![3, 2]),
        (Page { before: Some(EventId::at(at(0))), ..all.clone() }, vec![]),
        (Page { event_type: word("A/B"), ..all.clone() }, vec![4, 2, 0]),
        (Page { subject: word("1"), ..all.clone() }, vec![3, 2]),
        (Page { subject: word("1"), event_type: word("A/B"), ..all.clone() }, vec![2]),
        (Page { state: word("parked"), ..all.clone() }, vec![6, 0]),
        (Page { state: word("delivered"), ..all.clone() }, vec![3]),
        (Page { state: word("pending"), ..all.clone() }, vec![6, 5, 4, 2, 1]),
        (Page { state: word("pending"), limit: 1, before: Some(ids[5]), ..all.clone() }, vec![4]),
        (Page { state: word("pending"), subject: word("1"), ..all.clone() }, vec![2]),
        (Page { subject: word("1"), kind: Some(SubjectKind::Account), ..all.clone() }, vec![3, 2]),
        (Page { subject: word("1"), kind: Some(SubjectKind::Customer), ..all.clone() }, vec![]),
        (Page { subject: word("1"), handler: word("a"), ..all.clone() }, vec![2]),
        (Page { subject: word("1"), handler: word("b"), ..all.clone() }, vec![3]),
        (Page { handler: word("b"), ..all.clone() }, vec![5, 4, 3]),
        (Page { handler: word("d"), state: word("pending"), ..all.clone() }, vec![6]),
        (Page { handler: word("d"), state: word("parked"), ..all.clone() }, vec![]),
        (Page { state: word("no such"), ..all }, vec![]),
    ];
    for (page, expected) in cases {
        let found = bench.store().events(page.clone()).await.expect("an answer");
        let found: Vec<_> = found.iter().map(|one| one.event.id).collect();
        assert_eq!(found, expected.iter().map(|n: &usize| ids[*n]).collect::<Vec<_>>(), "{page:?}");
    }
}

pub(crate) async fn a_long_event_is_kept_all_the_same(mut bench: impl Bench) {
    let long = Event { body: "ü".repeat(5 << 20), ..event(Some(2), 1, at(1)) };
    assert_eq!(bench.store().accept(long.clone(), to("a")).await, Ok(Accepted::New(long.id)));
    bench.reopen(at(2)).await;
    assert_eq!(claim_one(&bench, "a", 2).await.event, long);
}

/// Some are longer than what an index takes, and none of them is a multiple of what a page holds.
pub(crate) async fn texts_of_any_length_are_told_apart(bench: impl Bench) {
    let noise: String = (0..3000).map(|_| EventId::at(at(0)).0.simple().to_string()).collect();
    let mut ids = Vec::new();
    for end in ["a", "b"] {
        let id = format!("{noise}{end}");
        let long = Event {
            event_type: id.clone(),
            subject: Subject { kind: SubjectKind::Other, id },
            ..event(Some(1), 1, at(1))
        };
        ids.push((long.id, long.event_type.clone()));
        assert_eq!(bench.store().accept(long.clone(), to("a")).await, Ok(Accepted::New(long.id)));
        let again = Event { id: EventId::at(at(1)), ..long.clone() };
        assert_eq!(bench.store().accept(again, to("a")).await, Ok(Accepted::Duplicate(long.id)));
    }
    assert_eq!(claim(&bench, "a", 9).await.len(), 2);
    for (id, text) in ids {
        for page in [
            Page { event_type: Some(text.clone()), limit: 9, ..Page::default() },
            Page { subject: Some(text), limit: 9, ..Page::default() },
        ] {
            let found = bench.store().events(page).await.expect("an answer");
            assert_eq!(found.iter().map(|one| one.event.id).collect::<Vec<_>>(), [id]);
        }
    }
}

pub(crate) async fn only_the_last_claim_of_a_delivery_may_record(mut bench: impl Bench) {
    bench.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let first = claim_one(&bench, "a", 1).await;
    assert_eq!(first.claim, 1);
    // somebody else has it now: the first is thought dead
    bench.reopen(at(5)).await;
    let overtaken = Err(StoreError::Overtaken(first.delivery.id));
    assert_eq!(bench.store().record(delivered(&first)).await, overtaken);
    let second = claim_one(&bench, "a", 5).await;
    assert_eq!((second.delivery.id, second.claim), (first.delivery.id, 2));
    assert_eq!(bench.store().record(delivered(&first)).await, overtaken);
    assert_eq!(bench.store().release(first.delivery.id, first.claim, at(9)).await, overtaken);
    bench.store().record(delivered(&second)).await.expect("recorded");
    assert_eq!(bench.store().record(delivered(&first)).await, overtaken);
    let (delivery, attempts) = delivery_of(&bench, first.event.id).await;
    assert_eq!(delivery.state, State::Delivered { at: at(2) });
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
}
