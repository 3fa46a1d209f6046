//! Gateways side by side: leases, fencing, and who gets what.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use super::*;
use crate::delivery::State;
use crate::handler::Order;
use crate::store::conformance::{claim_one, delivered, delivery_of, event, status, tell, to, want, with};
use crate::store::{LOADING, StatusValue};

/// Several gateways on one database, none of which tidies by itself: the tests say when.
struct Several {
    settings: PostgresSettings,
    gateways: Vec<Own>,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Several {
    async fn new(count: usize) -> Option<Self> {
        let settings = PostgresSettings { heartbeat: HOUR, lease: HOUR, ..settings(server::server()?) };
        let mut gateways = Vec::new();
        for number in 0..count {
            gateways.push(Own::new(PostgresSettings { name: number.to_string(), ..settings.clone() }).await);
        }
        Some(Self { settings, gateways })
    }

    async fn run(&self, sql: &str) {
        run(&self.settings, sql).await;
    }

    /// What happens to a gateway that is frozen past its lease.
    async fn let_lease_run_out(&self, gateway: usize) {
        self.run(&format!("UPDATE gateway SET lease_until = '-infinity' WHERE name = '{gateway}'")).await;
    }
}

#[tokio::test]
async fn what_a_gateway_had_in_hand_is_taken_over_when_its_lease_runs_out() {
    let Some(several) = Several::new(2).await else { return };
    let [frozen, other] = &several.gateways[..] else { panic!("two") };
    for account in 1..=2 {
        frozen.store().accept(event(None, account, at(1)), to("a")).await.expect("accepted");
    }
    tell(frozen.store(), status(StatusValue::Retry, 1)).await;
    let claimed = frozen.store().claim(at(3), want("a", 1)).await.expect("claimed").remove(0);
    let job = frozen.store().claim_statuses(at(3), 9).await.expect("claimed").remove(0);
    // as long as it is alive nobody takes anything
    assert_eq!(other.store.keeper.take_over(at(4)).await, Ok(TakenOver::default()));
    assert_eq!(other.store().claim_statuses(at(4), 9).await.expect("claimed").len(), 0);

    several.let_lease_run_out(0).await;
    let taken = other.store.keeper.take_over(at(8)).await.expect("taken over");
    assert_eq!(taken, TakenOver { gateways: 1, deliveries: 1, statuses: 1 });
    let (delivery, attempts) = delivery_of(other, claimed.event.id).await;
    assert_eq!((delivery.state, delivery.attempts, delivery.tries), (State::Pending { due: at(8) }, 1, 0));
    assert_eq!((attempts[0].number, attempts[0].started_at, attempts[0].ended_at), (1, at(3), at(8)));

    // it wakes up: what it did doesn't count, whether the other has it already or not
    let overtaken = Err(StoreError::Overtaken(claimed.delivery.id));
    let late = Record { status: Some(status(StatusValue::Ok, 9)), ..delivered(&claimed) };
    assert_eq!(frozen.store().record(late.clone()).await, overtaken);
    let both = other.store().claim(at(8), want("a", 9)).await.expect("claimed");
    let again = both.iter().find(|one| one.event.id == claimed.event.id).expect("it");
    assert_eq!((again.delivery.id, again.claim), (claimed.delivery.id, 2), "the same idempotency key");
    assert_eq!(frozen.store().record(late).await, overtaken);
    other.store().record(delivered(again)).await.expect("recorded");
    let (_, attempts) = delivery_of(other, claimed.event.id).await;
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
    // nor does the status that it wrote, nor one that it would announce
    let begun = status(StatusValue::InProgress, 60);
    frozen.store().announce(claimed.delivery.id, claimed.claim, begun).await.expect("no effect");
    let taken = other.store().claim_statuses(at(99), 9).await.expect("claimed").remove(0);
    assert_eq!(taken.status, status(StatusValue::Retry, 1));
    frozen.store().finish_status(&job, StatusEnd::Written, at(9)).await.expect("no effect");
    other.store().finish_status(&taken, StatusEnd::Written, at(9)).await.expect("finished");

    // from now on it is another gateway
    let before = frozen.store.lease.id();
    frozen.store().accept(event(None, 3, at(9)), to("b")).await.expect("accepted");
    assert_eq!(claim_one(frozen, "b", 9).await.claim, 1);
    assert_ne!(frozen.store.lease.id(), before);
}

#[tokio::test]
async fn a_lease_that_nobody_has_ended_goes_on() {
    let Some(several) = Several::new(1).await else { return };
    let gateway = &several.gateways[0];
    gateway.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let before = gateway.store.lease.id();
    several.let_lease_run_out(0).await;
    assert_eq!(claim_one(gateway, "a", 1).await.claim, 1);
    assert_eq!(gateway.store.lease.id(), before);
}

#[tokio::test]
async fn the_same_events_at_two_gateways_are_kept_once() {
    let Some(several) = Several::new(2).await else { return };
    let offer = |gateway: usize| {
        let store = several.gateways[gateway].store();
        let numbers: Vec<i64> = if gateway == 0 { (0..200).collect() } else { (0..200).rev().collect() };
        let offers = numbers.into_iter().map(async |number| {
            let account = u32::try_from(number % 7).expect("small");
            let answer = store.accept(event(Some(number), account, at(1)), to("a")).await.expect("accepted");
            (number, answer)
        });
        futures::future::join_all(offers.collect::<Vec<_>>())
    };
    let (one, other) = tokio::join!(offer(0), offer(1));
    let mut new = BTreeMap::new();
    for (number, answer) in one.iter().chain(&other) {
        if let Accepted::New(id) = answer {
            assert_eq!(new.insert(number, id), None, "new twice");
        }
    }
    assert_eq!(new.len(), 200);
    for (number, answer) in one.iter().chain(&other) {
        let (Accepted::New(id) | Accepted::Duplicate(id)) = answer;
        assert_eq!(new[number], id);
    }
    let backlog = several.gateways[0].store().backlog().await.expect("an answer").remove(0);
    assert_eq!(backlog.pending, 200);
}

/// Which lanes are being worked on, and what came out of each.
#[derive(Default)]
struct Watch {
    flying: Mutex<HashMap<String, EventId>>,
    done: Mutex<HashMap<String, Vec<Option<i64>>>>,
}

async fn work(store: &PostgresStore, watch: &Watch, all: usize) {
    while watch.done.lock().expect("done").values().map(Vec::len).sum::<usize>() < all {
        for claimed in store.claim(at(99), want("a", 3)).await.expect("claimed") {
            let lane = claimed.event.subject.id.clone();
            let other = watch.flying.lock().expect("flying").insert(lane.clone(), claimed.event.id);
            assert_eq!(other, None, "two in one lane");
            tokio::task::yield_now().await;
            watch.flying.lock().expect("flying").remove(&lane);
            watch.done.lock().expect("done").entry(lane).or_default().push(claimed.event.i_event);
            store.record(delivered(&claimed)).await.expect("recorded");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_share_the_work_and_nobody_overtakes() {
    let Some(several) = Several::new(3).await else { return };
    let [one, two, three] = &several.gateways[..] else { panic!("three") };
    let watch = Watch::default();
    let accept = async {
        // whoever is told first gets it; each subject's in the order of their numbers
        for number in 0..150_i64 {
            let account = u32::try_from(number % 7).expect("small");
            let gateway = &several.gateways[usize::try_from(number % 3).expect("small")];
            let subscription = with("a", Order::Strict, number);
            gateway
                .store()
                .accept(event(Some(number), account, at(1)), subscription)
                .await
                .expect("accepted");
        }
    };
    tokio::join!(
        accept,
        work(&one.store, &watch, 150),
        work(&two.store, &watch, 150),
        work(&three.store, &watch, 150)
    );
    for (lane, done) in watch.done.lock().expect("done").iter() {
        assert!(done.is_sorted(), "{lane}: {done:?}");
    }
    let backlog = one.store().backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.delivered, backlog.pending, backlog.in_flight), (150, 0, 0));
    // the same once the counts are summed up
    one.store.keeper.tidy(at(99)).await.expect("tidied");
    let backlog = two.store().backlog().await.expect("an answer").remove(0);
    assert_eq!((backlog.delivered, backlog.pending, backlog.in_flight), (150, 0, 0));
}

#[tokio::test]
async fn gateways_nudge_one_another() {
    let Some(several) = Several::new(2).await else { return };
    let [one, other] = &several.gateways[..] else { panic!("two") };
    let nudge = other.store.nudge();
    // the one for having begun to listen
    nudge.notified().await;
    one.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    tokio::time::timeout(Duration::from_secs(30), nudge.notified()).await.expect("a nudge");
}

#[tokio::test]
async fn what_a_lost_claim_took_is_given_back() {
    let Some(several) = Several::new(1).await else { return };
    let gateway = &several.gateways[0];
    gateway.store().accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    tell(gateway.store(), status(StatusValue::Ok, 1)).await;
    // a claim whose answer nobody has seen
    let taken = Taken { gateway: gateway.store.lease.id(), mark: Uuid::new_v4() };
    let session = async || gateway.store.db.session().await.expect("a session");
    let claimed = claim::claim(session().await, at(3), &want("a", 1), taken).await.expect("claimed");
    statuses::claim(session().await, at(3), 9, taken).await.expect("claimed");
    gateway.store.lease.lose(taken);
    gateway.store.keeper.tidy(at(4)).await.expect("tidied");
    let again = claim_one(gateway, "a", 4).await;
    assert_eq!((again.delivery.id, again.claim, again.delivery.attempts), (claimed[0].delivery.id, 2, 0));
    assert_eq!(gateway.store().claim_statuses(at(4), 9).await.expect("claimed").len(), 1);
}

#[tokio::test]
async fn what_is_exported_is_one_state_of_things_and_nobody_else_is_at_work() {
    let Some(several) = Several::new(2).await else { return };
    let [one, other] = &several.gateways[..] else { panic!("two") };
    for account in 0..40 {
        other.store().accept(event(None, account, at(1)), to("a")).await.expect("accepted");
    }
    let refused = one.store().dump(None, 7).await.expect_err("the other is there");
    assert!(refused.to_string().contains("1 works on this database: stop that gateway first"), "{refused}");
    several.let_lease_run_out(1).await;
    let first = one.store().dump(None, 7).await.expect("dumped");
    // it wasn't dead after all, and moves rows to other places
    let claimed = other.store().claim(at(3), want("a", 40)).await.expect("claimed");
    let records = claimed.iter().map(|one| other.store().record(delivered(one)));
    futures::future::try_join_all(records).await.expect("recorded");
    let (mut rows, mut next) = (first.rows, first.next);
    while next.is_some() {
        let page = one.store().dump(next, 7).await.expect("dumped");
        rows.extend(page.rows);
        next = page.next;
    }
    let of = |table: &str| rows.iter().filter(|row| row.table == table).collect::<Vec<_>>();
    assert_eq!((of("event").len(), of("delivery").len(), of("attempt").len()), (40, 40, 0));
    assert!(of("delivery").iter().all(|row| row.columns["state"] == "pending"));
    let after = one.store().dump(Some(DumpCursor { table: 1, after: 0 }), 7).await;
    assert!(after.is_err_and(|error| error.to_string().contains("begin anew")));
}

#[tokio::test]
async fn nothing_is_loaded_where_another_gateway_works() {
    let Some(several) = Several::new(2).await else { return };
    let [mover, other] = &several.gateways[..] else { panic!("two") };
    let error = mover.store().load(Vec::new()).await.expect_err("refused");
    assert!(
        matches!(&error, StoreError::Rejected(words) if words.contains("1 works on this database: stop that gateway")),
        "{error}"
    );
    // nor does the other find that anything was begun
    assert_eq!(other.store().note(LOADING.into()).await, Ok(None));
    other.store.close().await;
    mover.store().load(Vec::new()).await.expect("loaded");
    // one that starts meanwhile finds the note, and does nothing: it doesn't stop what was begun
    let late = Own::new(several.settings.clone()).await;
    mover.store().load(Vec::new()).await.expect("loaded");
    mover.store().loaded(at(2)).await.expect("loaded");
    late.store.close().await;
}
