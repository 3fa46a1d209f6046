//! Statuses that are to be written back.

use super::*;

pub(crate) async fn what_was_told_last_replaces_what_was_not_sent_yet_whatever_the_clocks_say(
    bench: impl Bench,
) {
    for (value, seconds) in [(StatusValue::Retry, 2), (StatusValue::InProgress, 9), (StatusValue::Ok, 3)] {
        tell(bench.store(), status(value, seconds)).await;
    }
    assert_eq!(bench.store().next_status_due().await.expect("an answer"), Some(at(3)));
    let jobs = bench.store().claim_statuses(at(9), 9).await.expect("claimed");
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].status, status(StatusValue::Ok, 3));
    bench.store().finish_status(&jobs[0], StatusEnd::Written, at(9)).await.expect("finished");
    assert!(bench.store().claim_statuses(at(99), 9).await.expect("claimed").is_empty());
    assert_eq!(bench.store().next_status_due().await.expect("an answer"), None);
    tell(bench.store(), status(StatusValue::Failed, 2)).await;
    let jobs = bench.store().claim_statuses(at(99), 9).await.expect("claimed");
    assert_eq!(jobs[0].status, status(StatusValue::Failed, 2), "by a clock that was set back");
}

pub(crate) async fn a_status_is_announced_for_as_long_as_the_delivery_is_in_hand(mut bench: impl Bench) {
    let told = async |bench: &dyn Control| {
        let found = bench.statuses(Statuses::OfAccount(7), None, 9).await.expect("an answer");
        found.first().map(|kept| kept.status.clone())
    };
    let store = bench.store();
    let claimed = in_hand(store, 7, at(1)).await;
    let (id, claim, begun) = (claimed.delivery.id, claimed.claim, status(StatusValue::InProgress, 5));
    store.announce(id, claim + 1, begun.clone()).await.expect("an answer");
    assert_eq!(told(store).await, None, "somebody else's claim");
    store.announce(id, claim, begun.clone()).await.expect("an answer");
    assert_eq!(told(store).await, Some(begun.clone()));

    let ended = status(StatusValue::Ok, 2);
    let record = Record { status: Some(ended.clone()), ..delivered(&claimed) };
    store.record(record).await.expect("recorded");
    store.announce(id, claim, begun.clone()).await.expect("an answer");
    assert_eq!(told(store).await, Some(ended.clone()), "it has ended");

    let claimed = in_hand(store, 7, at(6)).await;
    let (id, claim) = (claimed.delivery.id, claimed.claim);
    bench.reopen(at(7)).await;
    bench.store().announce(id, claim, begun.clone()).await.expect("an answer");
    assert_eq!(told(bench.store()).await, Some(ended), "it isn't in hand any more");
    let again = bench.store().claim(at(8), want("tells", 1)).await.expect("claimed").remove(0);
    assert_eq!(again.delivery.id, id);
    bench.store().announce(id, again.claim, begun.clone()).await.expect("an answer");
    assert_eq!(told(bench.store()).await, Some(begun));
}

pub(crate) async fn while_a_status_is_being_written_a_newer_one_waits_and_then_goes(bench: impl Bench) {
    tell(bench.store(), status(StatusValue::InProgress, 1)).await;
    let old = bench.store().claim_statuses(at(1), 9).await.expect("claimed").remove(0);
    tell(bench.store(), status(StatusValue::Ok, 2)).await;
    assert!(bench.store().claim_statuses(at(9), 9).await.expect("claimed").is_empty(), "one at a time");
    assert_eq!(bench.store().next_status_due().await.expect("an answer"), None);
    let retry = StatusEnd::Retry { at: at(600), reason: "down".into(), counts: true };
    bench.store().finish_status(&old, retry, at(3)).await.expect("finished");
    let new = bench.store().claim_statuses(at(9), 9).await.expect("claimed").remove(0);
    assert_eq!(new.status.value, StatusValue::Ok);
    assert_eq!(new.attempts, 0);
    // The old one's end comes twice: no effect.
    bench.store().finish_status(&old, StatusEnd::Written, at(4)).await.expect("finished");
    assert!(bench.store().claim_statuses(at(9), 9).await.expect("claimed").is_empty());
}

pub(crate) async fn a_status_that_could_not_be_written_comes_again_or_is_given_up(mut bench: impl Bench) {
    tell(bench.store(), status(StatusValue::Ok, 1)).await;
    let job = bench.store().claim_statuses(at(1), 9).await.expect("claimed").remove(0);
    bench.reopen(at(2)).await;
    let job2 = bench.store().claim_statuses(at(2), 9).await.expect("claimed").remove(0);
    assert_eq!((job.version, job.attempts), (job2.version, job2.attempts));
    let retry = StatusEnd::Retry { at: at(60), reason: "down".into(), counts: true };
    bench.store().finish_status(&job2, retry, at(3)).await.expect("finished");
    assert!(bench.store().claim_statuses(at(59), 9).await.expect("claimed").is_empty());
    let job3 = bench.store().claim_statuses(at(60), 9).await.expect("claimed").remove(0);
    assert_eq!(job3.attempts, 1);
    let outage = StatusEnd::Retry { at: at(70), reason: "down".into(), counts: false };
    bench.store().finish_status(&job3, outage, at(61)).await.expect("finished");
    let job4 = bench.store().claim_statuses(at(70), 9).await.expect("claimed").remove(0);
    assert_eq!(job4.attempts, 1, "an outage isn't counted");
    let end = StatusEnd::GivenUp { reason: "no such account".into() };
    bench.store().finish_status(&job4, end, at(71)).await.expect("finished");
    assert_eq!(bench.store().next_status_due().await.expect("an answer"), None);
}

pub(crate) async fn an_attempt_and_its_status_are_kept_together(bench: impl Bench) {
    for account in 1..=3 {
        bench.store().accept(event(None, account, at(1)), to("a")).await.expect("accepted");
    }
    let claimed = claim(&bench, "a", 1).await;
    // three of one account and group: what was recorded last stays, whatever its time is
    for (claimed, seconds) in claimed.iter().zip([2, 4, 3]) {
        let status = Some(status(StatusValue::Retry, seconds));
        bench.store().record(Record { status, ..delivered(claimed) }).await.expect("recorded");
    }
    let jobs = bench.store().claim_statuses(at(9), 9).await.expect("claimed");
    assert_eq!(jobs.iter().map(|job| job.status.at).collect::<Vec<_>>(), [at(3)]);
    // an outcome that is refused takes its status with it
    let late = Record { claim: 9, status: Some(status(StatusValue::Ok, 60)), ..delivered(&claimed[0]) };
    assert!(matches!(bench.store().record(late).await, Err(StoreError::Overtaken(_))));
    bench.store().finish_status(&jobs[0], StatusEnd::Written, at(9)).await.expect("finished");
    assert_eq!(bench.store().next_status_due().await.expect("an answer"), None);
}

/// Puts these of different accounts and ends the write-back of each with this.
async fn ended(bench: &impl Bench, accounts: &[i64], end: &StatusEnd) {
    for i_account in accounts {
        let status = Status { i_account: *i_account, ..status(StatusValue::Ok, 1) };
        tell(bench.store(), status).await;
    }
    for job in bench.store().claim_statuses(at(1), 99).await.expect("claimed") {
        bench.store().finish_status(&job, end.clone(), at(2)).await.expect("finished");
    }
}

pub(crate) async fn an_operator_sees_how_far_statuses_are(mut bench: impl Bench) {
    let of = async |bench: &dyn Control, account| {
        bench.statuses(Statuses::OfAccount(account), None, 9).await.expect("an answer")
    };
    assert_eq!(of(bench.store(), 7).await, []);
    tell(bench.store(), status(StatusValue::Retry, 1)).await;
    let other = Status { group: "VoIP".into(), ..status(StatusValue::Ok, 3) };
    tell(bench.store(), other.clone()).await;
    let kept = |status, stand| KeptStatus { status, stand, attempts: 0, reason: None, written_at: None };
    let (due, waits) = (StatusStand::Due { at: at(1) }, StatusStand::Due { at: at(3) });
    let expected = [kept(status(StatusValue::Retry, 1), due), kept(other, waits)];
    assert_eq!(of(bench.store(), 7).await, expected);
    let after = Some((7, "HSS".to_owned()));
    let rest = bench.store().statuses(Statuses::OfAccount(7), after, 9).await;
    assert_eq!(rest.expect("an answer"), expected[1..]);

    let job = bench.store().claim_statuses(at(1), 9).await.expect("claimed").remove(0);
    assert_eq!(of(bench.store(), 7).await[0].stand, StatusStand::Writing);
    let retry = StatusEnd::Retry { at: at(60), reason: "down".into(), counts: true };
    bench.store().finish_status(&job, retry, at(2)).await.expect("finished");
    let tried = &of(bench.store(), 7).await[0];
    assert_eq!((tried.stand, tried.attempts), (StatusStand::Due { at: at(60) }, 1));
    assert_eq!(tried.reason.as_deref(), Some("down"));
    for job in bench.store().claim_statuses(at(60), 9).await.expect("claimed") {
        bench.store().finish_status(&job, StatusEnd::Written, at(61)).await.expect("finished");
    }
    bench.reopen(at(62)).await;
    for kept in of(bench.store(), 7).await {
        assert_eq!((kept.stand, kept.reason, kept.written_at), (StatusStand::Written, None, Some(at(61))));
    }
}

pub(crate) async fn what_was_given_up_is_found_and_can_be_written_again(mut bench: impl Bench) {
    ended(&bench, &[11, 12], &StatusEnd::Written).await;
    ended(&bench, &[1, 2, 3, 4], &StatusEnd::GivenUp { reason: "a wrong password".into() }).await;
    tell(bench.store(), Status { i_account: 5, ..status(StatusValue::Ok, 500) }).await;
    bench.reopen(at(3)).await;
    let given_up = async |bench: &dyn Control, after: Option<StatusId>, limit| {
        let found = bench.statuses(Statuses::GivenUp, after, limit).await.expect("an answer");
        assert!(found.iter().all(|kept| kept.stand == StatusStand::GivenUp && kept.attempts == 1));
        found.into_iter().map(|kept| kept.status.i_account).collect::<Vec<_>>()
    };
    assert_eq!(given_up(bench.store(), None, 3).await, [1, 2, 3]);
    assert_eq!(given_up(bench.store(), Some((3, "HSS".into())), 3).await, [4]);

    let id = |account| (account, "HSS".to_owned());
    let asked = [1, 2, 11, 5, 99, 2].map(id).to_vec();
    let gap = std::time::Duration::from_secs(10);
    let again = bench.store().write_again(asked, at(100), gap).await;
    assert_eq!(again, Ok([1, 2].map(id).to_vec()), "only what was given up, each once");
    assert_eq!(given_up(bench.store(), None, 9).await, [3, 4]);
    assert_eq!(bench.store().next_status_due().await, Ok(Some(at(100))));
    bench.reopen(at(100)).await;
    let jobs = bench.store().claim_statuses(at(109), 9).await.expect("claimed");
    assert_eq!(jobs.iter().map(|job| (job.status.i_account, job.attempts)).collect::<Vec<_>>(), [(1, 0)]);
    bench.store().finish_status(&jobs[0], StatusEnd::Written, at(110)).await.expect("finished");
    let jobs = bench.store().claim_statuses(at(110), 9).await.expect("claimed");
    assert_eq!(jobs.iter().map(|job| job.status.i_account).collect::<Vec<_>>(), [2]);
    // a newer one of an account whose last was given up goes its own way
    tell(bench.store(), Status { i_account: 3, ..status(StatusValue::Failed, 120) }).await;
    assert_eq!(given_up(bench.store(), None, 9).await, [4]);
}

pub(crate) async fn samples_are_found_newest_first(mut bench: impl Bench) {
    assert_eq!(bench.store().samples(None, 9).await, Ok(vec![]));
    let sample = |seconds: i64| Sample {
        source: "main".into(),
        received_at: at(seconds),
        reason: format!("not JSON \u{0} {seconds}"),
        body: vec![0, 255, b'<'],
    };
    for seconds in 1..=3 {
        bench.store().keep_sample(sample(seconds)).await.expect("kept");
    }
    bench.reopen(at(9)).await;
    let first = bench.store().samples(None, 2).await.expect("an answer");
    let of = |found: &[KeptSample]| found.iter().map(|kept| kept.sample.clone()).collect::<Vec<_>>();
    assert_eq!(of(&first), [sample(3), sample(2)]);
    let rest = bench.store().samples(first.last().map(|last| last.number), 9).await.expect("an answer");
    assert_eq!(of(&rest), [sample(1)]);
}

pub(crate) async fn what_was_begun_and_is_cancelled_has_failed_for_portabilling(mut bench: impl Bench) {
    let store = bench.store();
    let begun = [
        State::Awaiting { deadline: at(60) },
        State::Pending { due: at(60) },
        State::Parked { at: at(2), reason: "no".into() },
    ];
    for (account, state) in (1..).zip(begun) {
        let claimed = in_hand(store, account, at(1)).await;
        store.record(Record { state, ..delivered(&claimed) }).await.expect("recorded");
    }
    store.accept(event(None, 4, at(1)), to("tells")).await.expect("accepted");
    let all = store.deliveries(Select::default(), None, 9).await.expect("an answer");
    let ids: Vec<_> = all.iter().map(|one| one.id).collect();
    let groups = BTreeMap::from([("tells".to_owned(), "HSS".to_owned())]);
    let how = Cancellation { at: at(9), reason: "a mistake".into(), groups };
    let others = Cancellation { groups: BTreeMap::new(), ..how.clone() };
    assert_eq!(store.cancel(ids.clone(), how).await, Ok(ids.clone()));
    assert_eq!(store.cancel(ids, others).await, Ok(vec![]));
    bench.reopen(at(10)).await;
    for account in 1..=4 {
        let kept = bench.store().statuses(Statuses::OfAccount(account), None, 9).await.expect("an answer");
        let told: Vec<_> = kept.into_iter().map(|kept| kept.status).collect();
        let failed = Status {
            i_account: account,
            group: "HSS".into(),
            value: StatusValue::Failed,
            message: Some("cancelled: a mistake".into()),
            at: at(9),
        };
        assert_eq!(told, if account <= 2 { vec![failed] } else { vec![] }, "{account}");
    }
}
