//! What was claimed and recorded before it was filed, and crashes in between.

use super::*;
use crate::delivery::{Outcome, State};
use crate::store::conformance::{delivered, failed, no_more, parked, status, with};
use crate::store::{Claimed, Record, StatusValue};

const FILES: [&str; 3] = ["store.db", "store.db-wal", "store.db-inbox"];

/// What a kill leaves: the files as they are just now.
fn keep(temp: &Temp, left: &Path, names: &[&str]) {
    for name in names {
        std::fs::copy(temp.folder.path().join(name), left.join(name)).expect("a copy");
    }
}

async fn claim(store: &SqliteStore, seconds: i64, limit: usize) -> Vec<Claimed> {
    store.claim(at(seconds), want("a", limit)).await.expect("claimed")
}

async fn accept(store: &SqliteStore, account: u32, seconds: i64) {
    store.accept(event(None, account, at(seconds)), to("a")).await.expect("accepted");
}

/// How the delivery stands in that store, with the outcomes of its attempts.
async fn stands(store: &SqliteStore, claimed: &Claimed) -> (State, Vec<Outcome>) {
    let detail = store.delivery(claimed.delivery.id).await.expect("an answer").expect("it");
    let attempts = detail.attempts;
    assert_eq!(detail.delivery.attempts as usize, attempts.len());
    (detail.delivery.state, attempts.into_iter().map(|attempt| attempt.outcome).collect())
}

async fn deliveries_in_tables(temp: &Temp) -> i64 {
    let count = |db: &Connection| Ok(db.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0))?);
    temp.store.readers.run(count).await.expect("counted")
}

#[tokio::test]
async fn what_is_delivered_before_it_is_filed_is_filed_once() {
    let temp = Temp::new();
    for account in 1..=5 {
        accept(&temp.store, account, 1).await;
    }
    let claimed = claim(&temp.store, 2, 9).await;
    assert_eq!(claimed.len(), 5);
    assert!(claim(&temp.store, 2, 9).await.is_empty(), "each once");
    for one in &claimed {
        temp.store.record(delivered(one)).await.expect("recorded");
    }
    assert_eq!(deliveries_in_tables(&temp).await, 0);
    let backlog = temp.store.backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.delivered, backlog.pending, backlog.in_flight), (5, 0, 0));
    for one in &claimed {
        assert_eq!(stands(&temp.store, one).await.1, [Outcome::Delivered]);
    }
}

#[tokio::test]
async fn once_no_subject_is_paused_any_more_deliveries_go_before_they_are_filed_again() {
    let temp = Temp::new();
    let scope = Scope::Subject(crate::store::conformance::subject(1));
    temp.store.pause(Pause { scope: scope.clone(), at: at(1), reason: None }).await.expect("paused");
    accept(&temp.store, 2, 1).await;
    assert_eq!(claim(&temp.store, 2, 9).await.len(), 1);
    assert_eq!(deliveries_in_tables(&temp).await, 1);
    assert!(temp.store.resume(scope).await.expect("resumed"));
    accept(&temp.store, 3, 1).await;
    assert_eq!(claim(&temp.store, 2, 9).await.len(), 1);
    assert_eq!(deliveries_in_tables(&temp).await, 1);
}

#[tokio::test]
async fn only_what_has_to_be_is_filed_before_it_is_claimed() {
    let temp = Temp::new();
    accept(&temp.store, 1, 1).await;
    let first = claim(&temp.store, 2, 1).await;
    accept(&temp.store, 1, 2).await;
    accept(&temp.store, 2, 2).await;
    assert_eq!(deliveries_in_tables(&temp).await, 0);
    // the one behind the first waits for it, wherever it is
    let second = claim(&temp.store, 3, 9).await;
    assert_eq!(second.iter().map(|one| &one.event.subject.id).collect::<Vec<_>>(), ["2"]);
    assert_eq!(deliveries_in_tables(&temp).await, 3);
    temp.store.record(delivered(&first[0])).await.expect("recorded");
    assert_eq!(claim(&temp.store, 3, 9).await[0].event.subject.id, "1");
}

#[tokio::test]
async fn what_was_claimed_before_it_was_filed_is_an_interrupted_attempt_after_a_kill() {
    let temp = Temp::new();
    let left = tempfile::tempdir().expect("a folder");
    for account in 1..=4 {
        accept(&temp.store, account, 1).await;
    }
    let claimed = claim(&temp.store, 2, 3).await;
    temp.store.record(delivered(&claimed[0])).await.expect("recorded");
    temp.store.record(failed(&claimed[1], 60)).await.expect("recorded");
    keep(&temp, left.path(), &FILES);

    let store = open(left.path(), at(9)).expect("a store");
    assert_eq!(stands(&store, &claimed[0]).await.1, [Outcome::Delivered]);
    let (state, outcomes) = stands(&store, &claimed[1]).await;
    assert_eq!((state, outcomes.len()), (State::Pending { due: at(60) }, 1));
    let (state, outcomes) = stands(&store, &claimed[2]).await;
    assert_eq!(state, State::Pending { due: at(9) });
    assert!(matches!(&outcomes[..], [Outcome::Retry { .. }]), "{outcomes:?}");
    let again = claim(&store, 9, 9).await;
    let accounts: Vec<_> = again.iter().map(|one| (one.event.subject.id.as_str(), one.claim)).collect();
    assert_eq!(accounts, [("4", 1), ("3", 2)], "the longest due first");
}

#[tokio::test]
async fn an_attempt_that_was_recorded_survives_the_claim_that_the_power_took() {
    let temp = Temp::new();
    let left = tempfile::tempdir().expect("a folder");
    for account in 1..=2 {
        accept(&temp.store, account, 1).await;
    }
    // they are in the tables, where a claim doesn't wait for the disk
    temp.store
        .pause(Pause { scope: Scope::Handler("b".into()), at: at(1), reason: None })
        .await
        .expect("kept");
    temp.store.cancel(vec![], no_more(1, "")).await.expect("filed");
    assert_eq!(deliveries_in_tables(&temp).await, 2);
    keep(&temp, left.path(), &["store.db", "store.db-wal"]);
    let claimed = claim(&temp.store, 2, 2).await;
    temp.store.record(failed(&claimed[0], 5)).await.expect("recorded");
    let again = claim(&temp.store, 5, 1).await;
    assert_eq!((again[0].delivery.id, again[0].claim), (claimed[0].delivery.id, 2));
    temp.store.record(delivered(&again[0])).await.expect("recorded");
    keep(&temp, left.path(), &["store.db-inbox"]);

    let store = open(left.path(), at(9)).expect("a store");
    let (state, outcomes) = stands(&store, &claimed[0]).await;
    assert!(matches!(state, State::Delivered { .. }), "{state:?}");
    assert!(matches!(&outcomes[..], [Outcome::Retry { .. }, Outcome::Delivered]), "{outcomes:?}");
    // a claim that nothing was recorded of may be forgotten with the power
    assert_eq!(stands(&store, &claimed[1]).await, (State::Pending { due: at(1) }, vec![]));
    assert_eq!(claim(&store, 9, 9).await.len(), 1);
}

#[tokio::test]
async fn what_is_filed_in_part_goes_on_where_it_stands() {
    let temp = Temp::new();
    for account in 1..=9 {
        accept(&temp.store, account, 1).await;
    }
    let claimed = claim(&temp.store, 2, 6).await;
    for one in &claimed[..2] {
        temp.store.record(delivered(one)).await.expect("recorded");
    }
    // two as delivered, two in flight, the rest not yet
    temp.store.writer.run_lazily(|db| filing::file_some(db, 4)).await.expect("filed");
    assert_eq!(deliveries_in_tables(&temp).await, 4);
    for one in &claimed[2..5] {
        temp.store.record(delivered(one)).await.expect("recorded");
    }
    temp.store.release(claimed[5].delivery.id, 1, at(50)).await.expect("released");
    assert_eq!(stands(&temp.store, &claimed[5]).await, (State::Pending { due: at(50) }, vec![]));
    for one in &claimed[..5] {
        assert_eq!(stands(&temp.store, one).await.1, [Outcome::Delivered]);
    }
    assert_eq!(claim(&temp.store, 2, 9).await.len(), 3);
}

#[tokio::test]
async fn an_attempt_that_is_too_long_for_the_inbox_is_kept_all_the_same() {
    let temp = Temp::new();
    temp.store.accept(event(None, 1, at(1)), with("a", Order::Strict, 1)).await.expect("accepted");
    let claimed = claim(&temp.store, 2, 1).await.remove(0);
    let mut record = delivered(&claimed);
    record.attempt.request = Some("x".repeat(9 << 20));
    temp.store.record(record.clone()).await.expect("recorded");
    temp.store.record(record).await.expect("recorded again");
    assert_eq!(stands(&temp.store, &claimed).await.1, [Outcome::Delivered]);
}

/// Two attempts at one of a lane where the order is latest, and a newer one that comes in between; the power takes the claims.
async fn recorded_and_a_newer_one_came(filed: bool, delivered_at_last: bool) {
    let temp = Temp::new();
    let left = tempfile::tempdir().expect("a folder");
    let latest = |seconds| with("a", Order::Latest, seconds);
    temp.store.accept(event(None, 1, at(1)), latest(1)).await.expect("accepted");
    if filed {
        temp.store.cancel(vec![], no_more(1, "")).await.expect("filed");
    }
    keep(&temp, left.path(), &["store.db", "store.db-wal"]);
    let first = claim(&temp.store, 2, 1).await.remove(0);
    temp.store.record(failed(&first, 3)).await.expect("recorded");
    let again = claim(&temp.store, 3, 1).await.remove(0);
    assert_eq!((again.delivery.id, again.claim), (first.delivery.id, 2));
    temp.store.accept(event(None, 1, at(4)), latest(4)).await.expect("accepted");
    let last = if delivered_at_last { delivered(&again) } else { failed(&again, 9) };
    temp.store.record(last).await.expect("recorded");
    keep(&temp, left.path(), &["store.db-inbox"]);

    let store = open(left.path(), at(9)).expect("a store");
    let (state, outcomes) = stands(&store, &first).await;
    if delivered_at_last {
        assert!(matches!(state, State::Delivered { .. }), "{state:?}");
        assert!(matches!(&outcomes[..], [Outcome::Retry { .. }, Outcome::Delivered]), "{outcomes:?}");
    } else {
        assert!(matches!(state, State::Superseded { .. }), "{state:?}");
        assert!(matches!(&outcomes[..], [Outcome::Retry { .. }, Outcome::Retry { .. }]), "{outcomes:?}");
    }
    assert_eq!(claim(&store, 9, 9).await.len(), 1, "the newer one");
}

#[tokio::test]
async fn a_newer_one_takes_no_attempt_away_that_was_recorded_whose_claim_the_power_took() {
    for (filed, delivered) in [(true, false), (true, true), (false, false), (false, true)] {
        recorded_and_a_newer_one_came(filed, delivered).await;
    }
}

#[tokio::test]
async fn what_the_power_takes_does_not_let_an_older_one_overtake() {
    let temp = Temp::new();
    let left = tempfile::tempdir().expect("a folder");
    temp.store.ready().await.expect("ready");
    keep(&temp, left.path(), &["store.db", "store.db-wal"]);
    let latest = |seconds| with("a", Order::Latest, seconds);
    for seconds in [1, 2] {
        temp.store.accept(event(None, 1, at(seconds)), latest(seconds)).await.expect("accepted");
    }
    let newer = claim(&temp.store, 3, 9).await;
    assert_eq!(newer.len(), 1);
    temp.store.record(delivered(&newer[0])).await.expect("recorded");
    keep(&temp, left.path(), &["store.db-inbox"]);

    let store = open(left.path(), at(9)).expect("a store");
    assert_eq!(stands(&store, &newer[0]).await.1, [Outcome::Delivered]);
    assert!(claim(&store, 9, 9).await.is_empty());
    let backlog = store.backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.superseded, backlog.delivered, backlog.pending), (1, 1, 0));
}

#[tokio::test]
async fn the_status_that_was_recorded_last_stays_though_it_is_filed_first() {
    let temp = Temp::new();
    let now = |seconds| Some(status(StatusValue::Retry, seconds));
    temp.store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    temp.store.backlog().await.expect("filed");
    temp.store.accept(event(None, 2, at(1)), to("b")).await.expect("accepted");
    let filed = claim(&temp.store, 3, 1).await.remove(0);
    let free = temp.store.claim(at(3), want("b", 1)).await.expect("claimed").remove(0);
    temp.store.record(Record { status: now(9), ..delivered(&free) }).await.expect("recorded");
    temp.store.record(Record { status: now(5), ..delivered(&filed) }).await.expect("recorded");
    // only what others wait for
    assert!(claim(&temp.store, 4, 1).await.is_empty());
    assert!(temp.store.inbox.has_statuses());
    let jobs = temp.store.claim_statuses(at(99), 9).await.expect("claimed");
    assert_eq!(jobs.iter().map(|job| job.status.at).collect::<Vec<_>>(), [at(5)]);
}

/// One with rank `later` comes into the lane of one with rank 5, before or after that is claimed; it is delivered in an attempt that
/// began at `started`, and the power takes the claim. How many are superseded, delivered and pending, and how many attempts there are.
async fn after_the_power_failed(later: i64, claimed_first: bool, started: i64) -> (u64, u64, u64, usize) {
    let temp = Temp::new();
    let left = tempfile::tempdir().expect("a folder");
    temp.store.ready().await.expect("ready");
    keep(&temp, left.path(), &["store.db", "store.db-wal"]);
    let accept = async |rank| {
        let latest = with("a", Order::Latest, rank);
        temp.store.accept(event(None, 1, at(3)), latest).await.expect("accepted");
    };
    accept(5).await;
    if !claimed_first {
        accept(later).await;
    }
    let claimed = claim(&temp.store, 3, 9).await.remove(0);
    if claimed_first {
        accept(later).await;
    }
    let mut record = delivered(&claimed);
    (record.attempt.started_at, record.attempt.ended_at) = (at(started), at(started));
    temp.store.record(record).await.expect("recorded");
    keep(&temp, left.path(), &["store.db-inbox"]);
    let store = open(left.path(), at(9)).expect("a store");
    let attempts = stands(&store, &claimed).await.1.len();
    let backlog = store.backlog().await.expect("an answer").remove(0);
    (backlog.superseded, backlog.delivered, backlog.pending, attempts)
}

#[tokio::test]
async fn whether_a_claim_that_the_power_took_came_first_is_not_for_clocks_to_say() {
    // the attempt may begin long after the claim, and clocks are set back
    for started in [1, 3, 7] {
        for later in [4, 9] {
            let after = after_the_power_failed(later, true, started).await;
            assert_eq!(after, (0, 1, 1, 1), "{later} came after the claim, attempt at {started}");
        }
        let before = after_the_power_failed(4, false, started).await;
        assert_eq!(before, (1, 1, 0, 1), "it came before the claim, attempt at {started}");
    }
}

/// One with rank 4 comes into the lane while one with rank 5 is under way, which is recorded; the power takes the claim. How many may
/// be claimed once the store is opened again.
async fn claimed_after_the_power_failed(order: Order, record: impl Fn(&Claimed) -> Record) -> usize {
    let temp = Temp::new();
    let left = tempfile::tempdir().expect("a folder");
    temp.store.ready().await.expect("ready");
    keep(&temp, left.path(), &["store.db", "store.db-wal"]);
    temp.store.accept(event(None, 1, at(3)), with("a", order, 5)).await.expect("accepted");
    let claimed = claim(&temp.store, 3, 9).await.remove(0);
    temp.store.accept(event(None, 1, at(3)), with("a", order, 4)).await.expect("accepted");
    temp.store.record(record(&claimed)).await.expect("recorded");
    keep(&temp, left.path(), &["store.db-inbox"]);
    let store = open(left.path(), at(9)).expect("a store");
    claim(&store, 99, 9).await.len()
}

#[tokio::test]
async fn nobody_becomes_the_head_while_one_is_under_way_whose_claim_the_power_took() {
    assert_eq!(claimed_after_the_power_failed(Order::Strict, parked).await, 0, "it holds the lane");
    assert_eq!(claimed_after_the_power_failed(Order::Skip, parked).await, 1);
    let again = |claimed: &Claimed| failed(claimed, 20);
    assert_eq!(claimed_after_the_power_failed(Order::Strict, again).await, 1);
}
