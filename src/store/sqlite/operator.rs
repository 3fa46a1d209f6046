//! The verbs of operators and of housekeeping.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;

use super::inbox::Inbox;
use super::{SqliteStore, control, dump, file_statuses, pauses, prune, query, statuses};
use crate::delivery::{Delivery, DeliveryId};
use crate::event::{EventId, Subject};
use crate::handler::Order;
use crate::store::{
    Cancellation, Control, DeliveryDetail, DumpCursor, DumpPage, DumpRow, KeptSample, KeptStatus, Last,
    LastPage, Pause, Prune, Pruned, Scope, Select, StatusId, Statuses, StoreError,
};

#[async_trait]
impl Control for SqliteStore {
    async fn deliveries(
        &self,
        select: Select,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let limit = limit.min(self.settings.page_max);
        self.read(move |db| control::deliveries(db, &select, after, limit)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        let (found, filed) = self.read_or_say(move |db| control::delivery(db, id)).await?;
        // it may be among what couldn't be filed: whoever calls back mustn't be told that it isn't there
        if found.is_none() { filed.map(|()| None) } else { Ok(found) }
    }

    async fn replay(
        &self,
        deliveries: Vec<DeliveryId>,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        self.writer.run(move |db| control::replay(db, &deliveries, due, gap)).await
    }

    async fn cancel(
        &self,
        deliveries: Vec<DeliveryId>,
        how: Cancellation,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        self.writer.run(move |db| control::cancel(db, &deliveries, &how)).await
    }

    async fn subscribe(
        &self,
        events: Vec<(EventId, Timestamp)>,
        handler: String,
        order: Order,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        self.writer.run(move |db| control::subscribe(db, &events, &handler, order, due, gap)).await
    }

    async fn pause(&self, pause: Pause) -> Result<(), StoreError> {
        self.writer.run(move |db| pauses::pause(db, &pause)).await
    }

    async fn resume(&self, scope: Scope) -> Result<bool, StoreError> {
        self.writer.run(move |db| pauses::resume(db, &scope)).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.readers.run(pauses::all).await
    }

    async fn lasts(&self, handler: String, subjects: Vec<Subject>) -> Result<Vec<Last>, StoreError> {
        self.read(move |db| control::lasts(db, &handler, &subjects)).await
    }

    async fn delivered(
        &self,
        handler: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<LastPage, StoreError> {
        let limit = limit.min(self.settings.page_max);
        self.read(move |db| control::delivered(db, &handler, after.as_deref(), limit)).await
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError> {
        self.writer.run(move |db| prune::prune(db, &prune)).await
    }

    async fn statuses(
        &self,
        which: Statuses,
        after: Option<StatusId>,
        limit: usize,
    ) -> Result<Vec<KeptStatus>, StoreError> {
        let limit = limit.min(self.settings.page_max);
        self.read(move |db| statuses::list(db, which, after, limit)).await
    }

    async fn write_again(
        &self,
        statuses: Vec<StatusId>,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<StatusId>, StoreError> {
        self.writer
            .run(move |db| {
                file_statuses(db)?;
                statuses::again(db, &statuses, due, gap)
            })
            .await
    }

    async fn samples(&self, before: Option<i64>, limit: usize) -> Result<Vec<KeptSample>, StoreError> {
        let limit = limit.min(self.settings.page_max);
        self.readers.run(move |db| query::samples(db, before, limit)).await
    }

    async fn note(&self, name: String) -> Result<Option<String>, StoreError> {
        self.readers.run(move |db| control::note(db, &name)).await
    }

    async fn put_note(&self, name: String, text: String) -> Result<(), StoreError> {
        self.writer.run(move |db| control::put_note(db, &name, &text)).await
    }

    async fn swap_note(
        &self,
        name: String,
        before: Option<String>,
        text: String,
    ) -> Result<bool, StoreError> {
        self.writer.run(move |db| control::swap_note(db, &name, before.as_deref(), &text)).await
    }

    async fn dump(&self, after: Option<DumpCursor>, limit: usize) -> Result<DumpPage, StoreError> {
        self.read(move |db| dump::dump(db, after, limit)).await
    }

    async fn dump_size(&self) -> Result<u64, StoreError> {
        self.read(dump::size).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.read(dump::is_empty).await
    }

    async fn load(&self, rows: Vec<DumpRow>) -> Result<(), StoreError> {
        self.writer.run(move |db| dump::load(db, &rows)).await
    }

    async fn loaded(&self, now: Timestamp) -> Result<(), StoreError> {
        self.writer.run(move |db| dump::loaded(db, now)).await?;
        let load = |db: &Connection| {
            let filed = db.query_row("SELECT filed FROM inbox", [], |row| row.get(0))?;
            Ok((Inbox::load(db, filed)?, filed))
        };
        let (tables, filed) = self.readers.run(load).await?;
        self.inbox.believe(tables);
        self.acceptor.go_on_after(filed).await
    }
}
