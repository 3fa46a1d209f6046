//! What the embedded store promises, besides what all stores promise.

mod frail;
mod machine;
mod plans;
mod rates;
mod unfiled;
mod vfs;

use super::*;
use crate::handler::Order;
use crate::store::conformance::{Bench, at, conformance, event, to, want};
use crate::store::{Control, Pause, Scope};

conformance!(bench, frail::frail);

async fn bench() -> Option<Temp> {
    Some(Temp::new())
}

#[async_trait]
impl Bench for Temp {
    fn store(&self) -> &dyn Control {
        &self.store
    }

    async fn reopen(&mut self, now: Timestamp) {
        Self::reopen(self, now).await;
    }
}

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
async fn a_backup_that_keeps_the_log_from_starting_anew_does_not_keep_the_writer_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    let patience = Duration::from_secs(60);
    let settings = StoreSettings {
        checkpoint_every: Duration::from_millis(1),
        log_pages_max: 8,
        busy_timeout: patience,
        ..StoreSettings::default()
    };
    let store = SqliteStore::open(&folder.path().join("store.db"), settings, at(0)).expect("a store");
    let reader = Connection::open(folder.path().join("store.db")).expect("opened");
    reader.execute_batch("BEGIN; SELECT 1 FROM event").expect("a backup, say");
    let log = || std::fs::metadata(folder.path().join("store.db-wal")).map_or(0, |file| file.len());
    let begun = std::time::Instant::now();
    while log() < 400 * 4096 {
        store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
        store.backlog().await.expect("filed");
        assert!(begun.elapsed() < patience, "waited for whoever reads");
    }
    drop(reader);
    store.close().await;
}

#[tokio::test]
async fn lives_that_end_before_the_first_checkpoint_leave_no_log_that_grows() {
    let mut folder = tempfile::tempdir().expect("a folder");
    let mut logs = Vec::new();
    for life in 0..4 {
        let store = open(folder.path(), at(life)).expect("a store");
        let log = || std::fs::metadata(folder.path().join("store.db-wal")).map_or(0, |file| file.len());
        // what the life before has left is filed; the first one has just made its tables
        logs.push(log());
        store.accept(event(None, 1, at(life)), to("a")).await.expect("accepted");
        store.claim(at(life), want("a", 1)).await.expect("claimed");
        store.accept(event(None, 2, at(life)), to("a")).await.expect("accepted");
        store.backlog().await.expect("filed");
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
    assert_eq!(store.events(page).await.expect("an answer").len(), 8);
    assert!(logs[3] <= logs[1], "{logs:?}");
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
        temp.store.writer.run_lazily(|_| Ok(())).await.expect("nothing to do");
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
