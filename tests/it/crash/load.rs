//! An ESPF with many busy accounts: each posts its events one after the other, and an event again until it is
//! acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use crate::harness::soon;

/// Before an event is sent again.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Load {
    lanes: JoinSet<()>,
    stop: CancellationToken,
    acknowledged: watch::Sender<u64>,
}

/// How long an answer may take: one that is frozen gives none.
const PATIENCE_OF_ESPF: Duration = Duration::from_secs(2);

/// What a lane needs.
#[derive(Clone)]
struct Sending {
    urls: Vec<String>,
    client: reqwest::Client,
    account: Arc<Account>,
    stop: CancellationToken,
    acknowledged: watch::Sender<u64>,
}

impl Load {
    /// Posts to one of these after the other.
    pub(super) fn start(intakes: &[SocketAddr], account: Arc<Account>) -> Self {
        let sending = Sending {
            urls: intakes.iter().map(|intake| format!("http://{intake}/espf")).collect(),
            client: reqwest::Client::builder().timeout(PATIENCE_OF_ESPF).build().unwrap(),
            account: Arc::clone(&account),
            stop: CancellationToken::new(),
            acknowledged: watch::Sender::default(),
        };
        let mut lanes = JoinSet::new();
        for i_account in account.ids() {
            lanes.spawn(sending.clone().lane(i_account));
        }
        Self { lanes, stop: sending.stop, acknowledged: sending.acknowledged }
    }

    /// Waits for so many more acknowledgements.
    pub(super) async fn acknowledges(&self, more: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        let wanted = *acknowledged.borrow() + more;
        acknowledged.wait_for(|count| *count >= wanted).await.unwrap();
    }

    /// A lane goes on until the end, unless it has failed.
    pub(super) fn check(&mut self) {
        if let Some(ended) = self.lanes.try_join_next() {
            panic!("a lane has ended early: {ended:?}");
        }
    }

    /// No new events; those that were sent are sent until they are acknowledged.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = soon(self.lanes.join_next()).await {
            ended.unwrap();
        }
    }
}

impl Sending {
    async fn lane(self, i_account: i64) {
        loop {
            let i_event = tokio::select! {
                next = self.account.next(i_account) => next,
                () = self.stop.cancelled() => return,
            };
            self.post(i_account, i_event).await;
            self.account.acknowledged(i_account, i_event);
            self.acknowledged.send_modify(|count| *count += 1);
            if i_event % 10 == 0 {
                // ESPF may send one twice
                self.post(i_account, i_event).await;
            }
        }
    }

    /// Until it is 200. A 4xx would be a loss, and so ends the test.
    async fn post(&self, i_account: i64, i_event: i64) {
        let variables = json!({ "i_event": i_event, "i_account": i_account, "i_env": 3 });
        let body = json!({ "event_type": "Subscriber/Updated", "variables": variables }).to_string();
        let urls = self.urls.iter().cycle().skip(usize::try_from(i_event).unwrap() % self.urls.len());
        for url in urls {
            let request = self.client.post(url).basic_auth("espf", Some("secret"));
            match request.body(body.clone()).send().await.map(|answer| answer.status().as_u16()) {
                Ok(200) => return,
                Ok(code @ 400..500) => panic!("event {i_event} was answered {code}: it is lost"),
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
