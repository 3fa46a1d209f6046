//! Statuses that are to be written back.

use super::*;

pub(crate) async fn a_newer_status_replaces_an_unsent_one_and_an_older_one_never_does(bench: impl Bench) {
    for (value, seconds) in [(StatusValue::Retry, 2), (StatusValue::InProgress, 1), (StatusValue::Ok, 3)] {
        bench.store().put_status(status(value, seconds)).await.expect("put");
    }
    assert_eq!(bench.store().next_status_due().await.expect("an answer"), Some(at(3)));
    let jobs = bench.store().claim_statuses(at(9), 9).await.expect("claimed");
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].status, status(StatusValue::Ok, 3));
    bench.store().finish_status(&jobs[0], StatusEnd::Written, at(9)).await.expect("finished");
    assert!(bench.store().claim_statuses(at(99), 9).await.expect("claimed").is_empty());
    assert_eq!(bench.store().next_status_due().await.expect("an answer"), None);
    bench.store().put_status(status(StatusValue::Failed, 2)).await.expect("put");
    assert!(bench.store().claim_statuses(at(99), 9).await.expect("claimed").is_empty(), "late, so too late");
}

pub(crate) async fn while_a_status_is_being_written_a_newer_one_waits_and_then_goes(bench: impl Bench) {
    bench.store().put_status(status(StatusValue::InProgress, 1)).await.expect("put");
    let old = bench.store().claim_statuses(at(1), 9).await.expect("claimed").remove(0);
    bench.store().put_status(status(StatusValue::Ok, 2)).await.expect("put");
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
    bench.store().put_status(status(StatusValue::Ok, 1)).await.expect("put");
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
    // three at once, of one account and group: the newest stays, whoever comes first
    let records = claimed.iter().zip([2, 4, 3]).map(|(claimed, seconds)| {
        let status = Some(status(StatusValue::Retry, seconds));
        bench.store().record(Record { status, ..delivered(claimed) })
    });
    futures::future::try_join_all(records).await.expect("recorded");
    let jobs = bench.store().claim_statuses(at(9), 9).await.expect("claimed");
    assert_eq!(jobs.iter().map(|job| job.status.at).collect::<Vec<_>>(), [at(4)]);
    // an outcome that is refused takes its status with it
    let late = Record { claim: 9, status: Some(status(StatusValue::Ok, 60)), ..delivered(&claimed[0]) };
    assert!(matches!(bench.store().record(late).await, Err(StoreError::Overtaken(_))));
    bench.store().finish_status(&jobs[0], StatusEnd::Written, at(9)).await.expect("finished");
    assert_eq!(bench.store().next_status_due().await.expect("an answer"), None);
}
