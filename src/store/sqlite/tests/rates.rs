//! How fast the store is, for whoever changes it: `cargo test --release -p soapstone --lib rates -- --ignored --nocapture`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::*;

/// Accepts `count` events from `callers` at once; answers how many a second.
async fn accept(store: &Arc<SqliteStore>, callers: usize, count: usize) -> f64 {
    let before = Instant::now();
    let each = count / callers;
    let counter = Arc::new(AtomicU32::new(1));
    let tasks = (0..callers).map(|_| {
        let (store, counter) = (Arc::clone(store), Arc::clone(&counter));
        tokio::spawn(async move {
            for _ in 0..each {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                // Numbers rise, accounts come in no order.
                let account = number.wrapping_mul(2_654_435_761) >> 8;
                let body = format!(
                    "{{\"event_type\":\"Subscriber/Updated\",\"variables\":{{\"i_event\":{number},\"i_account\":{account}}}}}"
                );
                let event = Event { body, ..event(Some(number.into()), account, at(1)) };
                store.accept(event, to("a")).await.expect("accepted");
            }
        })
    });
    futures::future::try_join_all(tasks).await.expect("done");
    rate(each * callers, before)
}

/// Claims and records until `count` are done, `batch` at a time.
async fn work_off(store: &Arc<SqliteStore>, batch: usize, count: usize) -> f64 {
    let before = Instant::now();
    let mut done = 0;
    while done < count {
        let claimed = store.claim(at(2), want("a", batch)).await.expect("claimed");
        if claimed.is_empty() {
            tokio::task::yield_now().await;
        }
        done += claimed.len();
        let records = claimed.iter().map(|one| store.record(delivered(&one.delivery)));
        futures::future::try_join_all(records).await.expect("recorded");
    }
    rate(done, before)
}

#[allow(clippy::cast_precision_loss)]
fn rate(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
#[allow(clippy::print_stdout)]
async fn rates() {
    for (callers, count) in [(1, 10_000), (16, 100_000), (256, 100_000)] {
        let temp = Temp::new();
        let store = Arc::new(temp.store);
        println!("accept, {callers:>3} callers: {:>8.0}/s", accept(&store, callers, count).await);
        store.close().await;
    }
    for pending in [1_000, 100_000] {
        let temp = Temp::new();
        let store = Arc::new(temp.store);
        accept(&store, 256, pending).await;
        for batch in [1, 16, 128] {
            let rate = work_off(&store, batch, (pending / 10).min(batch * 1000)).await;
            println!("claim and record, {pending} pending, {batch:>3} at a time: {rate:>8.0}/s");
        }
        store.close().await;
    }
    let temp = Temp::new();
    let store = Arc::new(temp.store);
    let (_, rate) = tokio::join!(accept(&store, 16, 48_000), work_off(&store, 128, 48_000));
    println!("the whole life, 16 callers, 128 at a time: {rate:>8.0}/s");
    store.close().await;
}
