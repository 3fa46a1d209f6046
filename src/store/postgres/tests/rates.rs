//! How fast the store is, for whoever changes it: `cargo test --release -p soapstone --lib postgres::tests::rates -- --ignored
//! --nocapture`.
//!
//! Each figure stands beside that of plain ways in the same run: an INSERT for each event and nothing else, through as many
//! connections as ours and through as many as there are callers (64 at most); and all that we write, but a transaction and a
//! connection for each event. `RATES_FILL` says with how many pending deliveries acceptance and claims are measured (100 000).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::*;
use crate::store::conformance::{delivered, event, to, want};

/// The `number`th event: numbers rise, accounts come in no order, the time is the clock's.
fn numbered(number: u32) -> Event {
    let account = number.wrapping_mul(2_654_435_761) >> 8;
    let body = format!(
        "{{\"event_type\":\"Subscriber/Updated\",\"variables\":{{\"i_event\":{number},\"i_account\":{account}}}}}"
    );
    Event { body, ..event(Some(number.into()), account, Timestamp::now()) }
}

/// Has `callers` at once take numbers up to `count`, and do what is to be done with each; answers how many a second.
#[allow(clippy::cast_precision_loss)]
async fn at_once<F>(
    callers: usize,
    count: u32,
    each: impl Fn(usize, u32) -> F + Clone + Send + 'static,
) -> f64
where
    F: Future<Output = ()> + Send,
{
    let began = Instant::now();
    let counter = Arc::new(AtomicU32::new(0));
    let tasks = (0..callers).map(|caller| {
        let (each, counter) = (each.clone(), Arc::clone(&counter));
        tokio::spawn(async move {
            loop {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                each(caller, number).await;
            }
        })
    });
    futures::future::try_join_all(tasks).await.expect("done");
    f64::from(count) / began.elapsed().as_secs_f64()
}

async fn accept(store: &Arc<PostgresStore>, callers: usize, from: u32, count: u32) -> f64 {
    let store = Arc::clone(store);
    let each = move |_, number| {
        let store = Arc::clone(&store);
        async move {
            store.accept(numbered(from + number), to("a")).await.expect("accepted");
        }
    };
    at_once(callers, count, each).await
}

/// As many as a server is usually set up for, less what others need.
const CONNECTIONS: usize = 64;

/// One INSERT for each event, and nothing else.
const PLAIN: &str = "\
    INSERT INTO event (seq, id, same, source, i_env, i_event, event_type, subject_kind, subject_id, event_time, received_at, body)
    VALUES (nextval('event_seq'), $1, $2, $3, NULL, $4, $5, 'account', $6, $7, $7, $8)";

async fn plain(
    settings: &PostgresSettings,
    connections: usize,
    callers: usize,
    from: u32,
    count: u32,
) -> f64 {
    let address = Address::new(settings).expect("an address");
    let mut clients = Vec::new();
    for _ in 0..connections {
        let client = address.connect().await.expect("a connection");
        let statement = client.prepare(PLAIN).await.expect("prepared");
        clients.push((client, statement));
    }
    let clients = Arc::new(clients);
    let each = move |caller: usize, number| {
        let clients = Arc::clone(&clients);
        async move {
            let (client, statement) = &clients[caller % clients.len()];
            let event = numbered(from + number);
            let (same, at) = (row::same(&event), micros(event.received_at));
            let Event { id, source, i_event, event_type, subject, body, .. } = event;
            client
                .execute(statement, &[&id.0, &same, &source, &i_event, &event_type, &subject.id, &at, &body])
                .await
                .expect("inserted");
        }
    };
    at_once(callers, count, each).await
}

/// Claims and records until `count` are done, `batch` at a time.
async fn work_off(store: &PostgresStore, batch: usize, count: usize) -> f64 {
    let began = Instant::now();
    let mut done = 0;
    while done < count {
        let claimed = store.claim(Timestamp::now(), want("a", batch)).await.expect("claimed");
        done += claimed.len();
        let records = claimed.iter().map(|one| store.record(delivered(one)));
        futures::future::try_join_all(records).await.expect("recorded");
    }
    #[allow(clippy::cast_precision_loss)]
    let done = done as f64;
    done / began.elapsed().as_secs_f64()
}

#[allow(clippy::print_stdout)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
async fn rates_of_acceptance() {
    let Some(server) = server::server() else { return };
    let plainly = Own::new(settings(server)).await;
    println!(
        "{:>7} {:>9} {:>24} {:>24} {:>24}",
        "callers", "ours", "INSERTs, 2 connections", "INSERTs, many", "all rows, singly"
    );
    for callers in [1, 16, 64, 256, 1024] {
        let own = Own::new(settings(server)).await;
        let (few, many) = (own.settings.accept_at_once.min(callers), callers.min(CONNECTIONS));
        let store = Arc::new(own.store);
        // the same rows, but each event in a transaction and on a connection of its own
        let alone = PostgresSettings {
            batch_max: 1,
            accept_at_once: many,
            connections: many + 2,
            ..settings(server)
        };
        let alone = Arc::new(Own::new(alone).await.store);
        // by turns, since disks change their minds
        let turns = 4;
        let mut rates = [0.0; 4];
        for turn in 0..turns {
            let from = (u32::try_from(callers).expect("few") * 10 + turn) * 100_000;
            let count = if callers == 1 { 500 } else { 4000 };
            rates[0] += accept(&store, callers, from, count * 2).await;
            rates[1] += plain(&plainly.settings, few, callers, from, count).await;
            rates[2] += plain(&plainly.settings, many, callers, from + count, count).await;
            rates[3] += accept(&alone, callers, from, count).await;
        }
        let [ours, few, many, alone_rate] = rates.map(|rate| rate / f64::from(turns));
        let beside = |rate: f64| format!("{rate:.0}/s: ratio {:.1}", ours / rate);
        println!(
            "{callers:>7} {ours:>7.0}/s {:>24} {:>24} {:>24}",
            beside(few),
            beside(many),
            beside(alone_rate)
        );
        store.close().await;
        alone.close().await;
    }
}

#[allow(clippy::print_stdout)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
async fn rates_with_much_pending() {
    let Some(server) = server::server() else { return };
    let fill = std::env::var("RATES_FILL").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let own = Own::new(settings(server)).await;
    let store = Arc::new(own.store);
    for pending in [0, fill] {
        accept(&store, 256, 1_000_000, pending).await;
        let accepted = accept(&store, 16, pending * 2, 8000).await;
        let mut rates = Vec::new();
        for batch in [16, 128] {
            rates.push(work_off(&store, batch, 2000).await);
        }
        println!(
            "{pending:>8} pending: accept {accepted:>7.0}/s, claim and record {:>6.0}/s at 16, {:>6.0}/s at 128",
            rates[0], rates[1]
        );
    }
    store.close().await;
}

/// The whole life of events (accept, claim, record), at one, two and three gateways on one database: 32 callers at each post,
/// each claims 64 at a time.
#[allow(clippy::print_stdout)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, proves nothing"]
async fn rates_of_several_gateways() {
    let Some(server) = server::server() else { return };
    let mut first = None;
    println!("{:>8} {:>10} {:>10}", "gateways", "events/s", "ratio");
    for gateways in 1..=3_u32 {
        let own = Own::new(settings(server)).await;
        let mut stores = vec![Arc::new(own.store)];
        while stores.len() < usize::try_from(gateways).expect("few") {
            stores.push(Arc::new(open(&own.settings, Timestamp::now()).await));
        }
        let each = 6000;
        let began = Instant::now();
        // whoever has time takes what there is, whosever it was
        let done = AtomicU32::new(0);
        let done = &done;
        let lives = stores.iter().zip(0_u32..).map(|(store, index)| async move {
            let work = async {
                while done.load(Ordering::Relaxed) < each * gateways {
                    let claimed = store.claim(Timestamp::now(), want("a", 64)).await.expect("claimed");
                    let records = claimed.iter().map(|one| store.record(delivered(one)));
                    let recorded = futures::future::try_join_all(records).await.expect("recorded").len();
                    done.fetch_add(u32::try_from(recorded).expect("few"), Ordering::Relaxed);
                }
            };
            tokio::join!(accept(store, 32, index * 1_000_000, each), work);
        });
        futures::future::join_all(lives).await;
        let rate = f64::from(each * gateways) / began.elapsed().as_secs_f64();
        println!("{gateways:>8} {rate:>10.0} {:>10.2}", rate / *first.get_or_insert(rate));
        for store in stores {
            store.close().await;
        }
    }
}
