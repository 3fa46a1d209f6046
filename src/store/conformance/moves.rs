//! Rows on their way from one store to another.

use super::*;
use crate::store::sqlite::{SqliteStore, StoreSettings};

async fn rows(store: &dyn Control, limit: usize) -> Vec<DumpRow> {
    let (mut rows, mut next) = (Vec::new(), None);
    loop {
        let page = store.dump(next, limit).await.expect("dumped");
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        next = page.next;
        if next.is_none() {
            return rows;
        }
    }
}

/// In no order that means anything.
fn sorted(rows: Vec<DumpRow>) -> Vec<String> {
    let mut lines: Vec<_> = rows.iter().map(|row| serde_json::to_string(row).expect("a line")).collect();
    lines.sort();
    lines
}

fn note_row(name: &str, text: &str) -> DumpRow {
    let columns = [("name", name), ("text", text)].map(|(column, word)| (column.to_owned(), word.into()));
    DumpRow { table: "note".into(), columns: columns.into_iter().collect() }
}

async fn move_to(store: &dyn Control, rows: &[DumpRow], now: i64) {
    for part in rows.chunks(7) {
        store.load(part.to_vec()).await.expect("loaded");
    }
    store.loaded(at(now)).await.expect("loaded");
}

/// Something of everything.
async fn fill(bench: &impl Bench) {
    let store = bench.store();
    for number in 0..40_u32 {
        let made = Event {
            body: format!("{{\"a\u{0}\u{1}ü\":{number}}}"),
            ..event(Some(number.into()), number % 9, at(1))
        };
        let order = [Order::Skip, Order::Strict, Order::Latest][number as usize % 3];
        store
            .accept(made, [with("a", order, (7 * i64::from(number)) % 40), to("b")].concat())
            .await
            .expect("accepted");
    }
    for claimed in claim(bench, "a", 9).await {
        let record = match claimed.delivery.subject.id.as_str() {
            "0" | "5" => Record { last: Some("{}".into()), ..delivered(&claimed) },
            "1" | "4" => parked(&claimed),
            "2" => failed(&claimed, 60),
            "3" => Record { last: Some("{}".into()), ..accepted(&claimed, 60) },
            _ => continue,
        };
        store.record(record).await.expect("recorded");
    }
    // one that is parked holds back another, though that comes before it
    store.accept(event(None, 1, at(1)), with("c", Order::Strict, 9)).await.expect("accepted");
    store.record(parked(&claim_one(bench, "c", 9).await)).await.expect("recorded");
    store.accept(event(None, 1, at(1)), with("c", Order::Strict, 3)).await.expect("accepted");
    tell(store, status(StatusValue::Failed, 1)).await;
    store.put_breaker(Breaker { version: 1, ..Breaker::closed("portabilling") }).await.expect("put");
    store.put_note("walk".into(), "5".into()).await.expect("put");
    let scope = Scope::Subject(subject(6));
    store.pause(Pause { scope, at: at(1), reason: None }).await.expect("paused");
    let (source, reason) = ("main".to_owned(), "no".to_owned());
    store.keep_sample(Sample { source, received_at: at(1), reason, body: vec![0, 255] }).await.expect("kept");
}

pub(crate) async fn everything_moves_to_another_store_and_back(mut bench: impl Bench) {
    fill(&bench).await;
    // what is in flight is tried again in any case: so that both can be compared, before
    bench.reopen(at(50)).await;
    let ours = rows(bench.store(), 13).await;
    assert_eq!(bench.store().dump_size().await.expect("an answer") > 0, !ours.is_empty());
    for table in
        ["event", "delivery", "attempt", "awaiting", "last_delivered", "status", "sample", "pause", "breaker"]
    {
        assert!(ours.iter().any(|row| row.table == table), "nothing of {table}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let open = || SqliteStore::open(&folder.path().join("other.db"), StoreSettings::default(), at(60));
    let other = open().expect("a store");
    move_to(&other, &ours, 60).await;
    let theirs = rows(&other, 11).await;
    assert_eq!(sorted(ours.clone()), sorted(theirs.clone()));
    // both go on in the same way
    let next = |claimed: Vec<Claimed>| {
        claimed.into_iter().map(|one| (one.delivery, one.claim, one.event)).collect::<Vec<_>>()
    };
    for handler in ["a", "b", "c"] {
        let (one, two) = tokio::join!(
            bench.store().claim(at(70), want(handler, 99)),
            other.claim(at(70), want(handler, 99))
        );
        assert_eq!(next(one.expect("claimed")), next(two.expect("claimed")), "{handler}");
    }
    other.close().await;
}

/// From the embedded store into this one, which is empty.
pub(crate) async fn everything_moves_in(bench: impl Bench) {
    let folder = tempfile::tempdir().expect("a folder");
    let other =
        SqliteStore::open(&folder.path().join("other.db"), StoreSettings::default(), at(0)).expect("a store");
    let other = Embedded(other);
    fill(&other).await;
    let flying = claim(&other, "b", 9).await;
    assert!(!flying.is_empty());
    let theirs = rows(other.store(), 17).await;
    move_to(bench.store(), &theirs, 60).await;
    // what was in flight there is tried again
    let (delivery, attempts) = {
        let detail = bench.store().delivery(flying[0].delivery.id).await.expect("an answer").expect("it");
        (detail.delivery, detail.attempts)
    };
    assert_eq!(delivery.state, State::Pending { due: at(60) });
    assert_eq!((delivery.attempts, delivery.tries, attempts.len()), (1, 0, 1));
    other.0.close().await;
    let other = SqliteStore::open(&folder.path().join("other.db"), StoreSettings::default(), at(60))
        .expect("a store");
    assert_eq!(sorted(rows(&other, 100).await), sorted(rows(bench.store(), 100).await));
    let sum = |backlog: Vec<Backlog>| format!("{backlog:?}");
    assert_eq!(
        sum(other.backlog().await.expect("an answer")),
        sum(bench.store().backlog().await.expect("an answer"))
    );
    assert_eq!(claim(&bench, "c", 61).await.len(), 0, "what is parked holds it back");
    // numbers go on after the highest
    let made = event(None, 77, at(61));
    assert_eq!(bench.store().accept(made.clone(), to("z")).await, Ok(Accepted::New(made.id)));
    assert_eq!(claim_one(&bench, "z", 61).await.event.id, made.id);
    let incomplete = theirs.into_iter().filter(|row| row.table == "delivery").take(1).collect::<Vec<_>>();
    assert!(bench.store().load(incomplete).await.is_err(), "it is there already");
    other.close().await;
}

struct Embedded(SqliteStore);

#[async_trait]
impl Bench for Embedded {
    fn store(&self) -> &dyn Control {
        &self.0
    }

    async fn reopen(&mut self, _: Timestamp) {
        unreachable!("nobody asks for it");
    }
}

pub(crate) async fn a_store_is_empty_until_something_is_in_it(mut bench: impl Bench) {
    assert_eq!(bench.store().is_empty().await, Ok(true));
    bench.store().accept(event(None, 1, at(1)), Vec::new()).await.expect("accepted");
    assert_eq!(bench.store().is_empty().await, Ok(false));
    bench.reopen(at(2)).await;
    assert_eq!(bench.store().is_empty().await, Ok(false));
    let pruned = Prune { events_before: at(9), bodies_before: at(9), now: at(99), limit: 9 };
    bench.store().prune(pruned).await.expect("pruned");
    assert_eq!(rows(bench.store(), 9).await, []);
    assert_eq!(bench.store().is_empty().await, Ok(true), "how far pruning is isn't worth anything");
}

pub(crate) async fn how_far_pruning_is_stays_behind(bench: impl Bench) {
    let store = bench.store();
    for account in 1..=2 {
        store.accept(event(None, account, at(1)), to("a")).await.expect("accepted");
    }
    for claimed in claim(&bench, "a", 2).await {
        let asked = Attempt { request: Some("asked".into()), ..delivered(&claimed).attempt };
        store.record(Record { attempt: asked, ..delivered(&claimed) }).await.expect("recorded");
    }
    let old = rows(store, 9).await;
    let bodies = |now| Prune { events_before: at(0), bodies_before: at(now), now: at(now), limit: 1 };
    // all are forgotten here, and what is left says so
    while store.prune(bodies(90)).await.expect("pruned").more {}
    let notes = |rows: &[DumpRow]| rows.iter().filter(|row| row.table == "note").count();
    assert_eq!(notes(&rows(store, 9).await), 0);

    let folder = tempfile::tempdir().expect("a folder");
    let other = SqliteStore::open(&folder.path().join("other.db"), StoreSettings::default(), at(60))
        .expect("a store");
    // what the store had before, and what older programs have exported: either would keep bodies from being forgotten
    other.put_note("prune.bodies".into(), "2".into()).await.expect("put");
    let places = vec![note_row("prune.events", "1"), note_row("prune.bodies", "1")];
    move_to(&other, &[old, places].concat(), 60).await;
    assert_eq!(notes(&rows(&other, 9).await), 0);
    for name in ["prune.events", "prune.bodies"] {
        assert_eq!(other.note(name.into()).await, Ok(None), "{name}");
    }
    let pruned = other.prune(Prune { limit: 9, ..bodies(90) }).await.expect("pruned");
    assert_eq!(pruned.bodies, 2);
    other.close().await;
}

/// What an older program has exported, into a store in which a gateway has already looked for what is old.
pub(crate) async fn how_far_pruning_was_elsewhere_is_not_taken_in(bench: impl Bench) {
    let store = bench.store();
    store.put_note("prune.events".into(), "3".into()).await.expect("put");
    assert_eq!(store.is_empty().await, Ok(true));
    let rows = ["prune.bodies", "prune.events", "walk"].map(|name| note_row(name, "7"));
    move_to(store, &rows, 1).await;
    for (name, left) in [("prune.bodies", None), ("prune.events", None), ("walk", Some("7".to_owned()))] {
        assert_eq!(store.note(name.into()).await, Ok(left), "{name}");
    }
}

pub(crate) async fn a_store_that_is_being_loaded_says_so_until_it_is_whole(mut bench: impl Bench) {
    let note = || bench.store().note(LOADING.into());
    assert_eq!(note().await, Ok(None));
    bench.store().load(Vec::new()).await.expect("loaded");
    assert_eq!(note().await, Ok(Some(String::new())));
    bench.reopen(at(1)).await;
    let note = || bench.store().note(LOADING.into());
    assert_eq!(note().await, Ok(Some(String::new())));
    bench.store().load(Vec::new()).await.expect("loaded");
    bench.store().loaded(at(2)).await.expect("loaded");
    assert_eq!(note().await, Ok(None));
}
