//! What this store promises besides what all stores do: gateways side by side.

mod server;

use super::*;
use crate::store::conformance::{Bench, conformance};

conformance!(bench);

/// A store in a schema of its own.
pub(crate) struct Own {
    settings: PostgresSettings,
    store: PostgresStore,
}

fn settings() -> Option<PostgresSettings> {
    let url = server::server()?.url();
    let schema = format!("t{}", Uuid::new_v4().simple());
    Some(PostgresSettings { schema, samples: 3, ..PostgresSettings::new(url) })
}

async fn open(settings: &PostgresSettings, now: Timestamp) -> PostgresStore {
    PostgresStore::open(settings.clone(), now).await.expect("a store")
}

async fn bench() -> Option<Own> {
    let settings = settings()?;
    let store = open(&settings, crate::store::conformance::at(0)).await;
    Some(Own { settings, store })
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
