//! What this store promises besides what all stores do: gateways side by side.

mod frail;
mod gateways;
mod rates;
pub(crate) mod server;
mod tables;
mod tls;
mod trouble;
mod wire;

use std::time::Duration;

use super::lease::TakenOver;
use super::*;
use crate::store::conformance::{Bench, at, conformance};
use crate::store::{Control, DumpCursor, Select};

conformance!(bench, frail::frail);

/// A store in a schema of its own.
pub(crate) struct Own {
    settings: PostgresSettings,
    store: PostgresStore,
}

fn settings(server: &server::Server) -> PostgresSettings {
    let url = server.url();
    let schema = format!("t{}", Uuid::new_v4().simple());
    PostgresSettings { schema, samples: 3, ..PostgresSettings::new(url) }
}

async fn open(settings: &PostgresSettings, now: Timestamp) -> PostgresStore {
    PostgresStore::open(settings.clone(), now).await.expect("a store")
}

/// Runs a statement in the store's schema, beside the store.
async fn run(settings: &PostgresSettings, sql: &str) {
    let client = Address::new(settings).expect("an address").connect().await.expect("a connection");
    client.batch_execute(sql).await.expect("done");
}

async fn bench() -> Option<Own> {
    Some(Own::new(settings(server::server()?)).await)
}

impl Own {
    async fn new(settings: PostgresSettings) -> Self {
        let store = open(&settings, at(0)).await;
        Self { settings, store }
    }
}

#[async_trait]
impl Bench for Own {
    fn store(&self) -> &dyn Control {
        &self.store
    }

    async fn reopen(&mut self, now: Timestamp) {
        self.store.close().await;
        self.store = open(&self.settings, now).await;
    }
}
