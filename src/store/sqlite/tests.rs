//! What the embedded store promises, verb by verb; [`lanes`] tests its order against a model.

mod lanes;
mod plans;
mod rates;

use std::time::Duration;

use super::*;
use crate::delivery::{Attempt, Delivery, DeliveryId, Failure, Outcome, State};
use crate::event::{Subject, SubjectKind};
use crate::handler::Order;
use crate::store::StatusValue;

/// A store in a folder of its own.
struct Temp {
    folder: tempfile::TempDir,
    store: SqliteStore,
}

impl Temp {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path(), at(0)).expect("a store");
        Self { folder, store }
    }

    async fn reopen(&mut self, now: Timestamp) {
        self.store.close().await;
        self.store = open(self.folder.path(), now).expect("the store again");
    }
}

fn open(folder: &Path, now: Timestamp) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(&folder.join("store.db"), StoreSettings { samples: 3, ..StoreSettings::default() }, now)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn event(i_event: Option<i64>, account: u32, now: Timestamp) -> Event {
    Event {
        id: EventId::at(now),
        source: "main".into(),
        i_env: None,
        i_event,
        event_type: "Subscriber/Updated".into(),
        subject: Subject { kind: SubjectKind::Account, id: account.to_string() },
        event_time: Some(now),
        received_at: now,
        body: "{ }".into(),
    }
}

fn to(handler: &str) -> Vec<Subscription> {
    vec![Subscription { handler: handler.into(), order: Order::Skip, rank: at(0) }]
}

fn strictly(handler: &str) -> Vec<Subscription> {
    vec![Subscription { handler: handler.into(), order: Order::Strict, rank: at(0) }]
}

fn want(handler: &str, limit: usize) -> Vec<Want> {
    vec![Want { handler: handler.into(), connector: "c".into(), limit }]
}

fn attempt(number: u32, outcome: Outcome) -> Attempt {
    Attempt {
        number,
        started_at: at(1),
        ended_at: at(2),
        outcome,
        request: Some("POST /x".into()),
        response: Some("HTTP 202".into()),
        settled: None,
    }
}

fn delivered(delivery: &Delivery) -> Record {
    Record {
        delivery: delivery.id,
        // each claim has led to an attempt so far
        claim: delivery.attempts + 1,
        tries: delivery.tries + 1,
        attempt: attempt(delivery.attempts + 1, Outcome::Delivered),
        state: State::Delivered { at: at(2) },
        status: None,
        last: None,
    }
}

fn parked(delivery: &Delivery) -> Record {
    let reason = "no".to_owned();
    Record {
        attempt: attempt(delivery.attempts + 1, Outcome::Refused { reason: reason.clone() }),
        state: State::Parked { at: at(2), reason },
        ..delivered(delivery)
    }
}

fn status(value: StatusValue, seconds: i64) -> Status {
    Status {
        i_account: 7,
        group: "HSS".into(),
        value,
        message: Some(format!("at {seconds}")),
        at: at(seconds),
    }
}

#[tokio::test]
async fn the_same_event_is_kept_once_even_if_it_comes_twice_at_the_same_moment() {
    let temp = Temp::new();
    let offers = (0..20).map(|_| temp.store.accept(event(Some(5), 1, at(1)), to("hss")));
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
    assert_eq!(temp.store.claim(at(1), want("hss", 9)).await.expect("claimed").len(), 1);
}

#[tokio::test]
async fn an_event_is_the_same_only_if_all_that_names_it_is() {
    let temp = Temp::new();
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
    temp.store.accept(first.clone(), vec![]).await.expect("accepted");
    for other in others {
        let other = Event { id: EventId::at(at(1)), ..other };
        let answer = temp.store.accept(other.clone(), vec![]).await.expect("accepted");
        assert_eq!(answer, Accepted::New(other.id), "{other:?}");
    }
    let again = Event { received_at: at(9), id: EventId::at(at(9)), body: "other".into(), ..first.clone() };
    assert_eq!(temp.store.accept(again, vec![]).await.expect("accepted"), Accepted::Duplicate(first.id));
    // Offered again after an error that may have come too late: its id tells.
    let unnumbered = event(None, 1, at(1));
    temp.store.accept(unnumbered.clone(), vec![]).await.expect("accepted");
    let answer = temp.store.accept(unnumbered.clone(), vec![]).await.expect("accepted");
    assert_eq!(answer, Accepted::Duplicate(unnumbered.id));
}

#[tokio::test]
async fn an_event_that_nobody_handles_is_kept_word_for_word() {
    let mut temp = Temp::new();
    let kept =
        Event { body: "{\"a\u{0}\":1.50}\n".into(), i_env: Some(-3), ..event(Some(i64::MAX), 1, at(1)) };
    temp.store.accept(kept.clone(), vec![]).await.expect("accepted");
    temp.reopen(at(2)).await;
    let detail = temp.store.event(kept.id).await.expect("an answer").expect("the event");
    assert_eq!(detail.event, kept);
    assert!(detail.deliveries.is_empty());
    assert!(temp.store.event(EventId::at(at(1))).await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_parked_delivery_lets_the_next_pass_unless_the_order_is_strict() {
    let temp = Temp::new();
    for number in 1..=2 {
        let subscriptions = [to("skip"), strictly("strict")].concat();
        temp.store.accept(event(Some(number), 1, at(number)), subscriptions).await.expect("accepted");
    }
    for handler in ["skip", "strict"] {
        let first = temp.store.claim(at(9), want(handler, 9)).await.expect("claimed");
        assert_eq!(first.len(), 1, "{handler}: one at a time");
        assert_eq!(first[0].event.i_event, Some(1));
        temp.store.record(parked(&first[0].delivery)).await.expect("recorded");
    }
    assert_eq!(temp.store.claim(at(9), want("skip", 9)).await.expect("claimed").len(), 1);
    assert_eq!(temp.store.claim(at(9), want("strict", 9)).await.expect("claimed").len(), 0);
    assert_eq!(temp.store.next_due(want("strict", 1)).await.expect("an answer"), None);
    let backlog = temp.store.backlog().await.expect("an answer");
    let strict = backlog.iter().find(|backlog| backlog.handler == "strict").expect("strict");
    assert_eq!((strict.pending, strict.in_flight, strict.parked), (1, 0, 1));
    assert_eq!(strict.oldest_pending, Some(at(2)));
}

#[tokio::test]
async fn what_is_not_due_or_not_asked_for_is_not_claimed() {
    let temp = Temp::new();
    for account in 1..=3 {
        temp.store.accept(event(None, account, at(account.into())), to("a")).await.expect("accepted");
    }
    let next = |handlers: &[&str]| {
        temp.store.next_due(handlers.iter().flat_map(|handler| want(handler, 1)).collect())
    };
    assert_eq!(next(&["a", "b"]).await.expect("an answer"), Some(at(1)));
    assert_eq!(next(&["b"]).await.expect("an answer"), None);
    assert!(temp.store.claim(at(0), want("a", 9)).await.expect("claimed").is_empty());
    assert!(temp.store.claim(at(9), want("b", 9)).await.expect("claimed").is_empty());
    let both = temp.store.claim(at(2), want("a", 9)).await.expect("claimed");
    assert_eq!(both.iter().map(|one| one.event.subject.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert!(both.iter().all(|one| one.delivery.state == State::InFlight { since: at(2) }));
    assert_eq!(next(&["a"]).await.expect("an answer"), Some(at(3)));
}

#[tokio::test]
async fn an_attempt_is_kept_once_however_often_it_is_recorded() {
    let temp = Temp::new();
    temp.store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let claimed = temp.store.claim(at(1), want("a", 1)).await.expect("claimed").remove(0);
    let after = Some(Duration::from_millis(1500));
    let record = Record {
        attempt: attempt(1, Outcome::Retry { class: Failure::Busy, reason: "busy".into(), after }),
        state: State::Pending { due: at(60) },
        ..delivered(&claimed.delivery)
    };
    for _ in 0..2 {
        temp.store.record(record.clone()).await.expect("recorded");
    }
    let detail = temp.store.event(claimed.event.id).await.expect("an answer").expect("the event");
    let (delivery, attempts) = &detail.deliveries[0];
    assert_eq!(delivery.state, State::Pending { due: at(60) });
    assert_eq!(delivery.attempts, 1);
    assert_eq!(attempts, std::slice::from_ref(&record.attempt));

    let too_far = Record { attempt: attempt(3, Outcome::Delivered), ..record.clone() };
    assert!(matches!(temp.store.record(too_far).await, Err(StoreError::Overtaken(_))));
    let unknown = Record { delivery: DeliveryId::at(at(1)), ..record };
    assert!(matches!(temp.store.record(unknown).await, Err(StoreError::Rejected(_))));
}

#[tokio::test]
async fn a_verb_that_fails_takes_nothing_with_it() {
    let temp = Temp::new();
    let nonsense = |db: &Batch| {
        db.execute("INSERT INTO tally VALUES ('x', 'y', 1)", [])?;
        db.execute("INSERT INTO nowhere VALUES (1)", [])?;
        Ok(())
    };
    let (good, bad, more) = tokio::join!(
        temp.store.accept(event(None, 1, at(1)), to("a")),
        temp.store.writer.run(nonsense),
        temp.store.accept(event(None, 2, at(1)), to("a")),
    );
    assert!(matches!(good, Ok(Accepted::New(_))) && matches!(more, Ok(Accepted::New(_))));
    assert!(matches!(bad, Err(StoreError::Failed(_))));
    assert_eq!(temp.store.backlog().await.expect("an answer").len(), 1);
}

#[tokio::test]
async fn lives_that_end_before_the_first_checkpoint_leave_no_log_that_grows() {
    let mut folder = tempfile::tempdir().expect("a folder");
    for life in 0..3 {
        let store = open(folder.path(), at(life)).expect("a store");
        let log = || std::fs::metadata(folder.path().join("store.db-wal")).map_or(0, |file| file.len());
        // the first one has just made its tables
        assert!(life == 0 || log() == 0, "the log of the life before is still there");
        store.accept(event(None, 1, at(life)), to("a")).await.expect("accepted");
        store.claim(at(life), want("a", 1)).await.expect("claimed");
        store.accept(event(None, 2, at(life)), to("a")).await.expect("accepted");
        assert!(log() > 0);
        // what a kill leaves: the files as they are just now
        let left = tempfile::tempdir().expect("a folder");
        for name in ["store.db", "store.db-wal", "store.db-inbox"] {
            std::fs::copy(folder.path().join(name), left.path().join(name)).expect("a copy");
        }
        store.close().await;
        folder = left;
    }
    let store = open(folder.path(), at(9)).expect("a store");
    let page = Page { limit: 10, ..Page::default() };
    assert_eq!(store.events(page).await.expect("an answer").len(), 6);
}

#[tokio::test]
async fn what_was_delivered_last_comes_with_the_next_claim_of_that_subject() {
    let mut temp = Temp::new();
    for _ in 0..3 {
        temp.store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    }
    temp.store.accept(event(None, 2, at(1)), to("a")).await.expect("accepted");
    for expected in [None, Some("{\"n\":0}"), Some("{\"n\":1}")] {
        let claimed = temp.store.claim(at(1), want("a", 1)).await.expect("claimed").remove(0);
        assert_eq!(claimed.last.as_deref(), expected);
        let number = expected.map_or(0, |_| 1);
        let last = Some(format!("{{\"n\":{number}}}"));
        temp.store.record(Record { last, ..delivered(&claimed.delivery) }).await.expect("recorded");
        temp.reopen(at(1)).await;
    }
    let other = temp.store.claim(at(1), want("a", 9)).await.expect("claimed");
    assert_eq!(other.len(), 1);
    assert_eq!(other[0].last, None);
}

#[tokio::test]
async fn what_was_in_flight_is_pending_after_a_crash_and_the_attempt_counts() {
    let mut temp = Temp::new();
    temp.store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let claimed = temp.store.claim(at(3), want("a", 1)).await.expect("claimed").remove(0);
    temp.reopen(at(8)).await;
    let detail = temp.store.event(claimed.event.id).await.expect("an answer").expect("the event");
    let (delivery, attempts) = &detail.deliveries[0];
    assert_eq!(delivery.state, State::Pending { due: at(8) });
    assert_eq!(delivery.attempts, 1);
    assert_eq!((attempts[0].number, attempts[0].started_at, attempts[0].ended_at), (1, at(3), at(8)));
    assert!(attempts[0].outcome.reason().expect("a reason").contains("stopped in the middle"));
    let again = temp.store.claim(at(8), want("a", 1)).await.expect("claimed").remove(0);
    assert_eq!(again.delivery.id, claimed.delivery.id);
    assert_eq!(again.delivery.attempts, 1);
}

#[tokio::test]
async fn a_newer_status_replaces_an_unsent_one_and_an_older_one_never_does() {
    let temp = Temp::new();
    for (value, seconds) in [(StatusValue::Retry, 2), (StatusValue::InProgress, 1), (StatusValue::Ok, 3)] {
        temp.store.put_status(status(value, seconds)).await.expect("put");
    }
    assert_eq!(temp.store.next_status_due().await.expect("an answer"), Some(at(3)));
    let jobs = temp.store.claim_statuses(at(9), 9).await.expect("claimed");
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].status, status(StatusValue::Ok, 3));
    temp.store.finish_status(&jobs[0], StatusEnd::Written, at(9)).await.expect("finished");
    assert!(temp.store.claim_statuses(at(99), 9).await.expect("claimed").is_empty());
    assert_eq!(temp.store.next_status_due().await.expect("an answer"), None);
    temp.store.put_status(status(StatusValue::Failed, 2)).await.expect("put");
    assert!(temp.store.claim_statuses(at(99), 9).await.expect("claimed").is_empty(), "late, so too late");
}

#[tokio::test]
async fn while_a_status_is_being_written_a_newer_one_waits_and_then_goes() {
    let temp = Temp::new();
    temp.store.put_status(status(StatusValue::InProgress, 1)).await.expect("put");
    let old = temp.store.claim_statuses(at(1), 9).await.expect("claimed").remove(0);
    temp.store.put_status(status(StatusValue::Ok, 2)).await.expect("put");
    assert!(temp.store.claim_statuses(at(9), 9).await.expect("claimed").is_empty(), "one at a time");
    assert_eq!(temp.store.next_status_due().await.expect("an answer"), None);
    let retry = StatusEnd::Retry { at: at(600), reason: "down".into() };
    temp.store.finish_status(&old, retry, at(3)).await.expect("finished");
    let new = temp.store.claim_statuses(at(9), 9).await.expect("claimed").remove(0);
    assert_eq!(new.status.value, StatusValue::Ok);
    assert_eq!(new.attempts, 0);
    // The old one's end comes twice: no effect.
    temp.store.finish_status(&old, StatusEnd::Written, at(4)).await.expect("finished");
    assert!(temp.store.claim_statuses(at(9), 9).await.expect("claimed").is_empty());
}

#[tokio::test]
async fn a_status_that_could_not_be_written_comes_again_or_is_given_up() {
    let mut temp = Temp::new();
    temp.store.put_status(status(StatusValue::Ok, 1)).await.expect("put");
    let job = temp.store.claim_statuses(at(1), 9).await.expect("claimed").remove(0);
    temp.reopen(at(2)).await;
    let job2 = temp.store.claim_statuses(at(2), 9).await.expect("claimed").remove(0);
    assert_eq!((job.version, job.attempts), (job2.version, job2.attempts));
    let retry = StatusEnd::Retry { at: at(60), reason: "down".into() };
    temp.store.finish_status(&job2, retry, at(3)).await.expect("finished");
    assert!(temp.store.claim_statuses(at(59), 9).await.expect("claimed").is_empty());
    let job3 = temp.store.claim_statuses(at(60), 9).await.expect("claimed").remove(0);
    assert_eq!(job3.attempts, 1);
    let end = StatusEnd::GivenUp { reason: "no such account".into() };
    temp.store.finish_status(&job3, end, at(61)).await.expect("finished");
    assert_eq!(temp.store.next_status_due().await.expect("an answer"), None);
}

#[tokio::test]
async fn the_newest_samples_are_kept_and_cut() {
    let temp = Temp::new();
    for number in 0..5 {
        let sample = Sample {
            source: "main".into(),
            received_at: at(number),
            reason: number.to_string(),
            body: vec![0xff; 20_000],
        };
        temp.store.keep_sample(sample).await.expect("kept");
    }
    let kept = temp
        .store
        .readers
        .run(|db| {
            let mut all = db.prepare("SELECT reason, length(body) FROM sample ORDER BY seq")?;
            let rows = all.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
        .await
        .expect("read");
    assert_eq!(kept, ["2", "3", "4"].map(|reason| (reason.to_owned(), 16_384)));
}

#[tokio::test]
async fn two_gateways_never_share_a_store() {
    let temp = Temp::new();
    let error = open(temp.folder.path(), at(0)).expect_err("locked").to_string();
    assert!(error.contains("another gateway"), "{error}");
    temp.store.close().await;
    open(temp.folder.path(), at(0)).expect("free again");
    assert!(matches!(temp.store.ready().await, Err(StoreError::Unavailable)));
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_left_alone() {
    let temp = Temp::new();
    temp.store.writer.run(|db| Ok(db.pragma_update(None, "user_version", 99)?)).await.expect("set");
    temp.store.close().await;
    let error = open(temp.folder.path(), at(0)).expect_err("too new").to_string();
    assert!(error.contains("schema 99"), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_passes() {
    let temp = Temp::new();
    let full = |db: &Batch| {
        let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        Ok(())
    };
    temp.store.writer.run(full).await.expect("full");
    let big = || Event { body: "x".repeat(100_000), ..event(None, 1, at(1)) };
    // there is room in the inbox, whose blocks are the store's already
    let (one, other) = tokio::join!(temp.store.accept(big(), to("a")), temp.store.accept(big(), to("a")));
    for answer in [one, other] {
        assert!(matches!(answer, Ok(Accepted::New(_))), "{answer:?}");
    }
    assert!(matches!(temp.store.claim(at(1), want("a", 9)).await, Err(StoreError::Failed(_))));
    // and then there isn't
    let mut refused = None;
    for _ in 0..200 {
        refused = temp.store.accept(big(), to("a")).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert!(matches!(refused, Some(StoreError::Failed(_))), "{refused:?}");
    let room = |db: &Batch| Ok(db.pragma_update_and_check(None, "max_page_count", 1 << 30, |_| Ok(()))?);
    temp.store.writer.run(room).await.expect("room");
    temp.store.accept(big(), to("a")).await.expect("accepted");
    assert_eq!(temp.store.claim(at(1), want("a", 9)).await.expect("claimed").len(), 1);
}

#[tokio::test]
async fn an_event_that_is_too_long_for_the_inbox_is_kept_all_the_same() {
    let mut temp = Temp::new();
    temp.store.accept(event(Some(1), 1, at(1)), to("a")).await.expect("accepted");
    let big = || Event { body: "x".repeat(9 << 20), ..event(Some(2), 1, at(1)) };
    let first = big();
    assert_eq!(temp.store.accept(first.clone(), to("a")).await, Ok(Accepted::New(first.id)));
    assert_eq!(temp.store.accept(big(), to("a")).await, Ok(Accepted::Duplicate(first.id)));
    temp.store.accept(event(Some(3), 1, at(1)), to("a")).await.expect("accepted");
    temp.reopen(at(2)).await;
    let page = temp.store.events(Page { limit: 9, ..Page::default() }).await.expect("an answer");
    assert_eq!(page.iter().map(|one| one.event.i_event).collect::<Vec<_>>(), [Some(3), Some(2), Some(1)]);
}

#[tokio::test]
async fn the_inbox_of_another_store_is_left_alone() {
    let (one, other) = (Temp::new(), Temp::new());
    one.store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    one.store.close().await;
    other.store.close().await;
    let inbox = |temp: &Temp| temp.folder.path().join("store.db-inbox");
    std::fs::copy(inbox(&one), inbox(&other)).expect("a copy");
    let error = open(other.folder.path(), at(2)).expect_err("not its own").to_string();
    assert!(error.contains("another store"), "{error}");
}

#[tokio::test]
async fn what_was_accepted_and_not_filed_is_there_after_a_crash_in_the_same_order() {
    let temp = Temp::new();
    let mut ids = Vec::new();
    for number in 1..=50_u32 {
        let made = event(Some(number.into()), number % 3, at(1));
        ids.push(made.id);
        temp.store.accept(made, to("a")).await.expect("accepted");
    }
    let left = tempfile::tempdir().expect("a folder");
    for name in ["store.db", "store.db-wal", "store.db-inbox"] {
        std::fs::copy(temp.folder.path().join(name), left.path().join(name)).expect("a copy");
    }
    let store = open(left.path(), at(2)).expect("a store");
    assert_eq!(store.accept(event(Some(7), 1, at(2)), to("a")).await, Ok(Accepted::Duplicate(ids[6])));
    let page = store.events(Page { limit: 99, ..Page::default() }).await.expect("an answer");
    ids.reverse();
    assert_eq!(page.iter().map(|one| one.event.id).collect::<Vec<_>>(), ids);
    assert_eq!(store.claim(at(2), want("a", 9)).await.expect("claimed").len(), 3);
}

#[tokio::test]
async fn what_was_filed_without_waiting_for_the_disk_is_filed_again_when_the_power_fails() {
    let temp = Temp::new();
    let left = tempfile::tempdir().expect("a folder");
    let keep = |names: &[&str]| {
        for name in names {
            std::fs::copy(temp.folder.path().join(name), left.path().join(name)).expect("a copy");
        }
    };
    for number in 1..=20 {
        temp.store.accept(event(Some(number), 1, at(1)), to("a")).await.expect("accepted");
    }
    // what was synced of the database so far, and of the journal at the end
    keep(&["store.db", "store.db-wal"]);
    temp.store.writer.queue().file_soon();
    // what is queued after it is done with it, or after it
    for _ in 0..2 {
        temp.store.writer.run(|_| Ok(())).await.expect("nothing to do");
    }
    assert_eq!(temp.store.inbox.len(), 0);
    assert_eq!(temp.store.inbox.durable(), 0, "nobody waited for the disk");
    temp.store.accept(event(Some(21), 1, at(1)), to("a")).await.expect("accepted");
    keep(&["store.db-inbox"]);

    let store = open(left.path(), at(2)).expect("a store");
    let page = store.events(Page { limit: 99, ..Page::default() }).await.expect("an answer");
    let numbers: Vec<_> = page.iter().rev().filter_map(|one| one.event.i_event).collect();
    assert_eq!(numbers, (1..=21).collect::<Vec<_>>());
    assert_eq!(store.inbox.durable(), 21);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_noticed_by_the_readiness_check() {
    let temp = Temp::new();
    temp.store.ready().await.expect("ready");
    temp.store.writer.run(|db| Ok(db.pragma_update(None, "query_only", "ON")?)).await.expect("set");
    assert!(matches!(temp.store.ready().await, Err(StoreError::Failed(_))));
}

#[tokio::test]
async fn commits_are_on_the_disk_before_anybody_hears_of_them() {
    let temp = Temp::new();
    let settings = |db: &Batch| {
        let synchronous: i64 = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((synchronous, mode))
    };
    assert_eq!(temp.store.writer.run(settings).await.expect("read"), (2, "wal".into()));
}

#[tokio::test]
async fn an_operator_finds_events_by_what_they_are_about() {
    let temp = Temp::new();
    let mut ids = Vec::new();
    for number in 0..6_u32 {
        let made = Event {
            event_type: if number % 2 == 0 { "A/B" } else { "C/D" }.into(),
            ..event(None, number / 2, at(number.into()))
        };
        ids.push(made.id);
        temp.store.accept(made, to(if number < 3 { "a" } else { "b" })).await.expect("accepted");
    }
    let claimed = temp.store.claim(at(9), want("a", 1)).await.expect("claimed").remove(0);
    temp.store.record(parked(&claimed.delivery)).await.expect("recorded");
    let claimed = temp.store.claim(at(9), want("b", 1)).await.expect("claimed").remove(0);
    temp.store.record(delivered(&claimed.delivery)).await.expect("recorded");

    let all = Page { limit: 100, ..Page::default() };
    let word = |word: &str| Some(word.to_owned());
    let cases = [
        (all.clone(), vec![5, 4, 3, 2, 1, 0]),
        (Page { limit: 2, ..all.clone() }, vec![5, 4]),
        (Page { limit: 2, before: Some(ids[4]), ..all.clone() }, vec![3, 2]),
        (Page { before: Some(EventId::at(at(0))), ..all.clone() }, vec![]),
        (Page { event_type: word("A/B"), ..all.clone() }, vec![4, 2, 0]),
        (Page { subject: word("1"), ..all.clone() }, vec![3, 2]),
        (Page { subject: word("1"), event_type: word("A/B"), ..all.clone() }, vec![2]),
        (Page { state: word("parked"), ..all.clone() }, vec![0]),
        (Page { state: word("delivered"), ..all.clone() }, vec![3]),
        (Page { state: word("pending"), ..all.clone() }, vec![5, 4, 2, 1]),
        (Page { state: word("pending"), limit: 1, before: Some(ids[5]), ..all.clone() }, vec![4]),
        (Page { state: word("pending"), subject: word("1"), ..all.clone() }, vec![2]),
        (Page { state: word("no such"), ..all }, vec![]),
    ];
    for (page, expected) in cases {
        let found = temp.store.events(page.clone()).await.expect("an answer");
        let found: Vec<_> = found.iter().map(|one| one.event.id).collect();
        assert_eq!(found, expected.iter().map(|n: &usize| ids[*n]).collect::<Vec<_>>(), "{page:?}");
    }
}
