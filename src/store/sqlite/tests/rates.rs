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

use tokio::sync::{Notify, mpsc, oneshot};

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

/// Claims and records until `count` are done, `batch` at a time.
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
    before.rate(done)
}

/// Has `callers` accept `count` events and `workers` claim them, 16 at a time, and record each, all at the same time; a worker
/// that finds nothing waits until something is accepted.
async fn all_at_once(
    store: &Arc<SqliteStore>,
    callers: usize,
    workers: usize,
    from: u32,
    count: usize,
) -> Rate {
    let before = Since::now();
    let (done, news) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let works = (0..workers).map(|_| {
        let (store, done, news) = (Arc::clone(store), Arc::clone(&done), Arc::clone(&news));
        tokio::spawn(async move {
            while done.load(Ordering::Relaxed) < count {
                let nothing_yet = news.notified();
                let claimed = store.claim(Timestamp::now(), want("a", 16)).await.expect("claimed");
                if claimed.is_empty() {
                    nothing_yet.await;
                }
                let records = claimed.iter().map(|one| store.record(delivered(one)));
                futures::future::try_join_all(records).await.expect("recorded");
                if done.fetch_add(claimed.len(), Ordering::Relaxed) + claimed.len() >= count {
                    news.notify_waiters();
                }
            }
        })
    });
    let works = futures::future::try_join_all(works);
    let shared = Arc::clone(store);
    let each = move |number| {
        let (store, news) = (Arc::clone(&shared), Arc::clone(&news));
        async move {
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
/// claim of 16 and the opening take, and how much memory there is in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
#[allow(clippy::print_stdout)]
async fn rates_with_a_backlog() {
    let wanted = std::env::var("RATES_PENDING").unwrap_or_else(|_| "0,100000,1000000".into());
    let mut temp = Temp::new();
    let mut next = 0_u32;
    let mut first = None;
    println!(
        "{:>10} {:>22} {:>22} {:>10} {:>10} {:>24}",
        "pending",
        "accept us p50/p99",
        "claim 16 us p50/p99",
        "open ms",
        "RSS MiB",
        "ratio of p50 to the first"
    );
    for pending in wanted.split(',').map(|count| count.trim().parse::<u32>().expect("a number")) {
        let store = Arc::new(std::mem::replace(&mut temp.store, Temp::new().store));
        accept(&store, 256, next, usize::try_from(pending.saturating_sub(next)).expect("small")).await;
        next = next.max(pending);
        store.close().await;
        let began = Instant::now();
        let store = open(temp.folder.path(), Timestamp::now()).expect("the store again");
        let opened = began.elapsed().as_secs_f64() * 1000.0;

        let (mut accepts, mut claims) = (Vec::new(), Vec::new());
        for _ in 0..2000 {
            let (event, began) = (numbered(next), Instant::now());
            store.accept(event, to("a")).await.expect("accepted");
            accepts.push(micros_since(began));
            next += 1;
        }
        for _ in 0..200 {
            let began = Instant::now();
            let claimed = store.claim(Timestamp::now(), want("a", 16)).await.expect("claimed");
            claims.push(micros_since(began));
            let records = claimed.iter().map(|one| store.record(delivered(one)));
            futures::future::try_join_all(records).await.expect("recorded");
            // as many come as go
            let events =
                claimed.iter().zip(next..).map(|(_, number)| store.accept(numbered(number), to("a")));
            next += u32::try_from(futures::future::try_join_all(events).await.expect("accepted").len())
                .expect("few");
        }
        let (accept, claim) = (percentiles(accepts), percentiles(claims));
        let (first_accept, first_claim) = *first.get_or_insert((accept.0, claim.0));
        println!(
            "{pending:>10} {:>11.0} /{:>9.0} {:>11.0} /{:>9.0} {opened:>10.1} {:>10.0} {:>13.2} /{:>9.2}",
            accept.0,
            accept.1,
            claim.0,
            claim.1,
            resident_mib(),
            accept.0 / first_accept,
            claim.0 / first_claim
        );
        temp.store = store;
    }
    temp.store.close().await;
}
