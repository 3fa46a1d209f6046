//! Our client as one of those that are compared: it waits for a line, calls, and prints what that has cost.

use std::time::{Duration, Instant};
use std::{fs, io};

use portabilling::account::{GetAccountInfo, GetAccountInfoRequest, GetAccountList, GetAccountListRequest};
use portabilling::client::{Client, Credentials, Settings};

/// Makes calls of one kind (`bench_info`, `bench_list`): `places` under way at once, each `times` times.
///
/// On a runtime with as many threads as there are cores, as in most programs.
pub(crate) fn call(what: &str, url: &str, places: usize, times: usize) {
    let mut settings = Settings::new(url, Credentials::session("s-demo"));
    settings.max_in_flight = places;
    let lists = what == "bench_list";
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async move {
        let client = Client::new(settings).unwrap();
        one(&client, lists).await;
        println!("ready");
        io::stdin().read_line(&mut String::new()).unwrap();
        let (began, before) = (Instant::now(), cpu());
        let all: Vec<_> = (0..places)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    for _ in 0..times {
                        one(&client, lists).await;
                    }
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        let (cpu_s, wall_s) = ((cpu() - before).as_secs_f64(), began.elapsed().as_secs_f64());
        println!(r#"{{"n": {}, "cpu_s": {cpu_s}, "wall_s": {wall_s}}}"#, places * times);
    });
}

async fn one(client: &Client, lists: bool) {
    if lists {
        let request = GetAccountListRequest { limit: Some(500), ..Default::default() };
        let answer = client.call::<GetAccountList>(&request).await.unwrap();
        assert_eq!(answer.account_list.len(), 500);
    } else {
        let request = GetAccountInfoRequest { i_account: Some(1001), ..Default::default() };
        let answer = client.call::<GetAccountInfo>(&request).await.unwrap();
        assert_eq!(answer.account_info.and_then(|account| account.i_account), Some(1001));
    }
}

/// What all threads have used, by the kernel's own count (Linux): exact to the nanosecond, where `getrusage` needs C.
fn cpu() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let used = |thread: io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.filter_map(used).sum())
}
