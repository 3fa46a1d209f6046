//! Walks without a gateway around them.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::*;
use crate::dispatch::DispatchSettings;
use crate::enrich::{EnrichError, RosterPage};
use crate::event::Event;
use crate::handler::{Fetch, NeverDelivered};
use crate::store::sqlite::{SqliteStore, StoreSettings};

/// A PortaBilling that is never asked.
struct Nobody;

fn down(after: Option<Duration>) -> EnrichError {
    EnrichError { reason: "down".into(), retryable: true, outage: true, after }
}

#[async_trait]
impl Enrich for Nobody {
    async fn pb_data(
        &self,
        _: &Event,
        _: &[Fetch],
        _: Option<&str>,
        _: Timestamp,
    ) -> Result<Option<Box<RawValue>>, EnrichError> {
        Err(down(None))
    }
}

#[async_trait]
impl Roster for Nobody {
    async fn page(&self, _: Walked, _: u64, _: usize) -> Result<RosterPage, EnrichError> {
        Err(down(None))
    }
}

fn reconciler(folder: &tempfile::TempDir) -> Arc<Reconciler> {
    let path = folder.path().join("store.db");
    let store =
        Arc::new(SqliteStore::open(&path, StoreSettings::default(), Timestamp::now()).expect("a store"));
    let dispatcher = Dispatcher::new(store.clone(), Arc::new(Nobody), vec![], DispatchSettings::default());
    let settings = ReconcileSettings::default();
    Arc::new(Reconciler::new(&dispatcher, store, Arc::new(Nobody), Arc::new(Nobody), &[], settings))
}

fn handler() -> Handler {
    Handler {
        name: "hss".into(),
        events: vec!["*".into()],
        fetch: vec![Fetch::AccountInfo],
        connector: "fake".into(),
        service_group: None,
        order: crate::handler::Order::Skip,
        order_by: crate::handler::OrderBy::Arrival,
        retry: crate::handler::Retries::default(),
        reconcile: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_portabilling_that_asks_for_a_year_of_patience_gets_as_much_as_its_breaker_would_give() {
    let folder = tempfile::tempdir().expect("a folder");
    let shared = reconciler(&folder);
    let walk = shared.new_walk("hss", Order::default(), None);
    let how = Reconcile {
        accounts: None,
        customers: None,
        ignore: Vec::new(),
        never_delivered: NeverDelivered::default(),
    };
    let walker = Walker::new(Arc::clone(&shared), handler(), how, &walk, CancellationToken::new());
    let year = Duration::from_secs(365 * 24 * 3600);
    let asked = AtomicUsize::new(0);
    let began = Instant::now();
    let answer = walker
        .ask(|| {
            std::future::ready(match asked.fetch_add(1, Ordering::SeqCst) {
                0 => Err(down(Some(year))),
                _ => Ok(()),
            })
        })
        .await;
    assert!(matches!(answer, Ok(Ok(()))), "{answer:?}");
    let took = began.elapsed();
    assert!((600..602).contains(&took.as_secs()), "its breaker would be open for ten minutes: {took:?}");
}

#[tokio::test]
async fn who_looks_at_what_is_held_back_does_not_let_it_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let shared = reconciler(&folder);
    let look = Order { dry_run: true, ..Order::default() };
    let asks =
        Walk { asks: true, state: WalkState::Failed, ..shared.new_walk("hss", Order::default(), None) };
    let looked = shared.new_walk("hss", look, Some(&asks));
    assert!(looked.asks && looked.clone().resumed().asks && shared.new_walk("hss", look, Some(&looked)).asks);
    assert!(!asks.clone().resumed().asks && !shared.new_walk("hss", Order::default(), Some(&looked)).asks);
    let ended_at = Some(Timestamp::UNIX_EPOCH);
    let stopped = Walk { asks: false, state: WalkState::Stopped, ended_at, ..asks };
    let looked = shared.new_walk("hss", look, Some(&stopped));
    assert_eq!(shared.new_walk("hss", look, Some(&looked)).stopped(), ended_at);
    assert_eq!(shared.new_walk("hss", Order::default(), Some(&looked)).stopped(), None);
}
