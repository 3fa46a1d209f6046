//! How fast the store is, for whoever changes it: `cargo test --release -p soapstone --lib rates -- --ignored --nocapture`.
//!
//! Disks differ, and the same one from minute to minute, so each figure stands beside that of a bare file in the same
//! run: the same callers, the same group commit, one append and one `fdatasync` for all that wait. `RATES_FILL` says with
//! how many finished events the whole life is measured (100 000).

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::*;
use crate::store::conformance::delivered;

/// The `number`th event: numbers rise, accounts come in no order, the time is the clock's.
fn numbered(number: u32) -> Event {
    let account = number.wrapping_mul(2_654_435_761) >> 8;
    let body = format!(
        "{{\"event_type\":\"Subscriber/Updated\",\"variables\":{{\"i_event\":{number},\"i_account\":{account}}}}}"
    );
    Event { body, ..event(Some(number.into()), account, Timestamp::now()) }
}

/// Has `callers` at once take numbers up to `count`, and do what is to be done with each; answers how many a second.
async fn at_once<F>(callers: usize, count: usize, each: impl Fn(u32) -> F + Clone + Send + 'static) -> Rate
where
    F: Future<Output = ()> + Send,
{
    let before = Since::now();
    let counter = Arc::new(AtomicU32::new(0));
    let tasks = (0..callers).map(|_| {
        let (each, counter) = (each.clone(), Arc::clone(&counter));
        tokio::spawn(async move {
            loop {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                if usize::try_from(number).expect("small") >= count {
                    return;
                }
                each(number).await;
            }
        })
    });
    futures::future::try_join_all(tasks).await.expect("done");
    before.rate(count)
}

async fn accept(store: &Arc<SqliteStore>, callers: usize, from: u32, count: usize) -> Rate {
    let store = Arc::clone(store);
    let each = move |number| {
        let store = Arc::clone(&store);
        async move {
            store.accept(numbered(from + number), to("a")).await.expect("accepted");
        }
    };
    at_once(callers, count, each).await
}

/// A file to which one thread appends what waits, and then answers all.
struct Bare {
    queue: mpsc::Sender<(Event, oneshot::Sender<()>)>,
}

impl Bare {
    fn new(folder: &Path) -> Self {
        let mut file = File::create(folder.join("bare")).expect("a file");
        let (queue, mut inbox) = mpsc::channel::<(Event, oneshot::Sender<()>)>(4096);
        std::thread::spawn(move || {
            let (mut text, mut callers) = (String::new(), Vec::new());
            while let Some(first) = inbox.blocking_recv() {
                let mut next = Some(first);
                while let Some((event, caller)) = next {
                    let Event { id, source, event_type, subject, received_at, body, .. } = event;
                    writeln!(text, "{id} {source} {event_type} {subject} {received_at} {body}")
                        .expect("text");
                    callers.push(caller);
                    next = inbox.try_recv().ok();
                }
                file.write_all(text.as_bytes()).expect("written");
                file.sync_data().expect("on the disk");
                text.clear();
                callers.drain(..).for_each(|caller| caller.send(()).expect("somebody waits"));
            }
        });
        Self { queue }
    }

    async fn accept(self: &Arc<Self>, callers: usize, count: usize) -> Rate {
        let bare = Arc::clone(self);
        let each = move |number| {
            let bare = Arc::clone(&bare);
            async move {
                let (caller, answer) = oneshot::channel();
                bare.queue.send((numbered(number), caller)).await.expect("sent");
                answer.await.expect("an answer");
            }
        };
        at_once(callers, count, each).await
    }
}

/// Claims and records until `count` are done, `batch` at a time, and all of that is in the tables.
async fn work_off(store: &Arc<SqliteStore>, batch: usize, count: usize) -> Rate {
    let before = Since::now();
    let mut done = 0;
    while done < count {
        let claimed = store.claim(Timestamp::now(), want("a", batch)).await.expect("claimed");
        if claimed.is_empty() {
            tokio::task::yield_now().await;
        }
        done += claimed.len();
        let records = claimed.iter().map(|one| store.record(delivered(one)));
        futures::future::try_join_all(records).await.expect("recorded");
    }
    store.backlog().await.expect("filed");
    before.rate(done)
}

/// Has `callers` accept `count` events and `workers` claim them, 16 at a time, and record each, all at the same time. A worker
/// that finds nothing waits until something is accepted, and callers wait while there is enough for all workers, twice.
async fn all_at_once(
    store: &Arc<SqliteStore>,
    callers: usize,
    workers: usize,
    from: u32,
    count: usize,
) -> Rate {
    let before = Since::now();
    let (done, news) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let places = Arc::new(Semaphore::new(callers + workers * 32));
    let works = (0..workers).map(|_| {
        let (store, done) = (Arc::clone(store), Arc::clone(&done));
        let (news, places) = (Arc::clone(&news), Arc::clone(&places));
        tokio::spawn(async move {
            while done.load(Ordering::Relaxed) < count {
                let nothing_yet = news.notified();
                let claimed = store.claim(Timestamp::now(), want("a", 16)).await.expect("claimed");
                if claimed.is_empty() {
                    nothing_yet.await;
                }
                let records = claimed.iter().map(|one| store.record(delivered(one)));
                futures::future::try_join_all(records).await.expect("recorded");
                places.add_permits(claimed.len());
                if done.fetch_add(claimed.len(), Ordering::Relaxed) + claimed.len() >= count {
                    news.notify_waiters();
                }
            }
        })
    });
    let works = futures::future::try_join_all(works);
    let shared = Arc::clone(store);
    let each = move |number| {
        let (store, news, places) = (Arc::clone(&shared), Arc::clone(&news), Arc::clone(&places));
        async move {
            places.acquire().await.expect("a place").forget();
            store.accept(numbered(from + number), to("a")).await.expect("accepted");
            news.notify_one();
        }
    };
    let (_, works) = tokio::join!(at_once(callers, count, each), works);
    works.expect("worked off");
    before.rate(count)
}

/// Accepts, claims and records `batch` events, then the next ones: each step a commit of its own.
async fn step_by_step(store: &Arc<SqliteStore>, batch: u32, from: u32, count: u32) -> Rate {
    let before = Since::now();
    for start in (from..from + count).step_by(usize::try_from(batch).expect("small")) {
        let events = (start..start + batch).map(|number| store.accept(numbered(number), to("a")));
        futures::future::try_join_all(events).await.expect("accepted");
        let claimed = store.claim(Timestamp::now(), want("a", 1024)).await.expect("claimed");
        let records = claimed.iter().map(|one| store.record(delivered(one)));
        futures::future::try_join_all(records).await.expect("recorded");
    }
    before.rate(usize::try_from(count).expect("small"))
}

/// How fast something was.
#[derive(Clone, Copy)]
struct Rate {
    per_second: f64,
    writer_micros: f64,
}

/// When something began.
struct Since {
    time: Instant,
    writer_micros: f64,
}

impl Since {
    fn now() -> Self {
        Self { time: Instant::now(), writer_micros: writer_micros() }
    }

    #[allow(clippy::cast_precision_loss)]
    fn rate(&self, count: usize) -> Rate {
        let count = count as f64;
        Rate {
            per_second: count / self.time.elapsed().as_secs_f64(),
            writer_micros: (writer_micros() - self.writer_micros) / count,
        }
    }
}

/// How long the writers of this process have been on a processor, in microseconds: a figure that no neighbour spoils. Only
/// Linux tells.
fn writer_micros() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let of_writer = |thread: std::io::Result<std::fs::DirEntry>| {
        let path = thread.ok()?.path();
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        let spent = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let nanos: f64 = spent.split(' ').next()?.parse().ok()?;
        (name.trim() == "store-writer").then_some(nanos / 1000.0)
    };
    threads.filter_map(of_writer).sum()
}

#[allow(clippy::cast_precision_loss)]
fn mean(rates: &[Rate]) -> Rate {
    let count = rates.len() as f64;
    Rate {
        per_second: count / rates.iter().map(|rate| 1.0 / rate.per_second).sum::<f64>(),
        writer_micros: rates.iter().map(|rate| rate.writer_micros).sum::<f64>() / count,
    }
}

#[allow(clippy::print_stdout)]
fn show(what: &str, Rate { per_second, writer_micros }: Rate, bare: Rate) {
    let bare = bare.per_second;
    println!(
        "{what:<40} {per_second:>8.0}/s, {writer_micros:>5.1} us of the writer each;   bare file {bare:>8.0}/s, ratio {:.2}",
        per_second / bare
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
async fn rates_of_acceptance() {
    for (callers, count) in [(1, 10_000), (16, 100_000), (256, 100_000)] {
        let temp = Temp::new();
        let (store, bare) = (Arc::new(temp.store), Arc::new(Bare::new(temp.folder.path())));
        // By turns, since the disk changes its mind.
        let (mut of_store, mut of_bare) = (Vec::new(), Vec::new());
        for turn in 0..8 {
            of_store.push(accept(&store, callers, turn * 100_000, count / 8).await);
            of_bare.push(bare.accept(callers, count / 8).await);
        }
        show(&format!("accept, {callers} callers"), mean(&of_store), mean(&of_bare));
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
async fn rates_of_the_whole_life() {
    let fill = std::env::var("RATES_FILL").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let temp = Temp::new();
    let (store, bare) = (Arc::new(temp.store), Arc::new(Bare::new(temp.folder.path())));
    let of_bare = bare.accept(16, 48_000).await;
    let filled = accept(&store, 256, 0, fill).await;
    show(&format!("accept {fill}, 256 callers"), filled, bare.accept(256, 48_000).await);
    let before_last = fill - fill / 4;
    work_off(&store, 512, before_last).await;
    for batch in [1, 16, 128] {
        let rate = work_off(&store, batch, (fill / 12).min(batch * 1000)).await;
        show(&format!("claim and record, {batch} at a time"), rate, of_bare);
    }
    let left = store.backlog().await.expect("an answer").remove(0).pending;
    work_off(&store, 512, usize::try_from(left).expect("small")).await;
    let next = u32::try_from(fill).expect("small");
    let rate = step_by_step(&store, 16, next, 32_000).await;
    show("accept, claim, record: 16 at a time", rate, of_bare);
    let mut next = next + 32_000;
    for (callers, workers) in [(16, 1), (64, 4), (256, 16)] {
        let rate = all_at_once(&store, callers, workers, next, 64_000).await;
        next += 64_000;
        show(&format!("all at once: {callers} callers, {workers} x 16"), rate, of_bare);
    }
    store.close().await;
}

/// The median and the 99th percentile, in microseconds.
fn percentiles(mut micros: Vec<f64>) -> (f64, f64) {
    micros.sort_by(f64::total_cmp);
    (micros[micros.len() / 2], micros[micros.len() * 99 / 100])
}

fn micros_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

/// What this process has in memory, in MiB. Only Linux tells.
#[allow(clippy::cast_precision_loss)]
fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(f64::NAN);
    pages * 4096.0 / 1_048_576.0
}

/// With how many pending deliveries `RATES_PENDING` says (0,100000,1000000), one after the other: how long one acceptance, one
/// claim of 16 and the opening take, and how much memory there is in use. Each stands beside an empty store, by turns, since
/// machines change from minute to minute. `RATES_PACE` says how many milliseconds there are from one claim to the next, if there is
/// time for that (5: 3 200 events a second). `RATES_FOLDER` is where the filled store stays for the next run; filling it with ten
/// million takes minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
#[allow(clippy::print_stdout)]
async fn rates_with_a_backlog() {
    let wanted = std::env::var("RATES_PENDING").unwrap_or_else(|_| "0,100000,1000000".into());
    let pace = std::env::var("RATES_PACE").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let pace = Duration::from_millis(pace.max(1));
    let temp = tempfile::tempdir().expect("a folder");
    let folder = std::env::var_os("RATES_FOLDER").map_or(temp.path().to_owned(), Into::into);
    println!(
        "{:>10} {:>22} {:>9} {:>22} {:>9} {:>10} {:>10}",
        "pending", "accept us p50/p99", "to empty", "claim 16 us p50/p99", "to empty", "open ms", "RSS MiB",
    );
    for pending in wanted.split(',').map(|count| count.trim().parse::<u32>().expect("a number")) {
        let mut next = fill(&folder, pending).await;
        let began = Instant::now();
        let store = Arc::new(open(&folder, Timestamp::now()).expect("the store again"));
        let opened = began.elapsed().as_secs_f64() * 1000.0;
        let empty = Temp::new();
        let beside = Arc::new(empty.store);

        let (mut full, mut bare, mut next_bare) = (Micros::default(), Micros::default(), 0);
        for _ in 0..20 {
            full.measure(&store, &mut next, pace).await;
            bare.measure(&beside, &mut next_bare, pace).await;
        }
        let (accept, claim) = (percentiles(full.accepts), percentiles(full.claims));
        println!(
            "{pending:>10} {:>11.0} /{:>9.0} {:>9.2} {:>11.0} /{:>9.0} {:>9.2} {opened:>10.1} {:>10.0}",
            accept.0,
            accept.1,
            accept.0 / percentiles(bare.accepts).0,
            claim.0,
            claim.1,
            claim.0 / percentiles(bare.claims).0,
            resident_mib(),
        );
        keep_next(&folder, next);
        store.close().await;
        beside.close().await;
    }
}

/// Has at least `pending` deliveries wait in the store in `folder`; answers the number that the next event is to have.
async fn fill(folder: &Path, pending: u32) -> u32 {
    std::fs::create_dir_all(folder).expect("a folder");
    let next = std::fs::read_to_string(folder.join("next")).unwrap_or_else(|_| "0".into());
    let next: u32 = next.parse().expect("a number");
    let store = Arc::new(open(folder, Timestamp::now()).expect("a store"));
    let backlog = store.backlog().await.expect("an answer");
    let there = u32::try_from(backlog.iter().map(|one| one.pending).sum::<u64>()).expect("not so many");
    let more = pending.saturating_sub(there);
    accept(&store, 256, next, usize::try_from(more).expect("small")).await;
    store.close().await;
    keep_next(folder, next + more);
    next + more
}

fn keep_next(folder: &Path, next: u32) {
    std::fs::write(folder.join("next"), next.to_string()).expect("written");
}

/// How long things took.
#[derive(Default)]
struct Micros {
    accepts: Vec<f64>,
    claims: Vec<f64>,
}

impl Micros {
    /// Accepts a hundred events, one by one; claims and records 16, fifty times at this pace, while as many come as go.
    async fn measure(&mut self, store: &Arc<SqliteStore>, next: &mut u32, pace: Duration) {
        for _ in 0..100 {
            let (event, began) = (numbered(*next), Instant::now());
            store.accept(event, to("a")).await.expect("accepted");
            self.accepts.push(micros_since(began));
            *next += 1;
        }
        let mut pace = tokio::time::interval(pace);
        for _ in 0..50 {
            pace.tick().await;
            let began = Instant::now();
            let claimed = store.claim(Timestamp::now(), want("a", 16)).await.expect("claimed");
            self.claims.push(micros_since(began));
            let records = claimed.iter().map(|one| store.record(delivered(one)));
            futures::future::try_join_all(records).await.expect("recorded");
            let events =
                claimed.iter().zip(*next..).map(|(_, number)| store.accept(numbered(number), to("a")));
            *next += u32::try_from(futures::future::try_join_all(events).await.expect("accepted").len())
                .expect("few");
        }
    }
}
