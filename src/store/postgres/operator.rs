//! The verbs of operators and of housekeeping.

use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{PostgresStore, control, dump, prune, query, statuses};
use crate::delivery::{Delivery, DeliveryId};
use crate::event::{EventId, Subject};
use crate::handler::Order;
use crate::store::{
    Cancellation, Control, DeliveryDetail, DumpCursor, DumpPage, DumpRow, KeptSample, KeptStatus, Last,
    LastPage, Pause, Prune, Pruned, Scope, Select, StatusId, Statuses, StoreError,
};

#[async_trait]
impl Control for PostgresStore {
    async fn deliveries(
        &self,
        select: Select,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let limit = limit.min(self.settings.page_max);
        self.again(|session| query::deliveries(session, &select, after, limit)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        self.again(|session| query::delivery(session, id)).await
    }

    async fn replay(
        &self,
        deliveries: Vec<DeliveryId>,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let replayed = self.unless_done(|session| control::replay(session, &deliveries, due, gap)).await?;
        self.keeper.tell();
        Ok(replayed)
    }

    async fn cancel(
        &self,
        deliveries: Vec<DeliveryId>,
        how: Cancellation,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let cancelled = self.unless_done(|session| control::cancel(session, &deliveries, &how)).await?;
        self.keeper.tell();
        Ok(cancelled)
    }

    async fn subscribe(
        &self,
        events: Vec<(EventId, Timestamp)>,
        handler: String,
        order: Order,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let made = self
            .unless_done(|session| control::subscribe(session, &events, &handler, order, due, gap))
            .await?;
        self.keeper.tell();
        Ok(made)
    }

    async fn pause(&self, pause: Pause) -> Result<(), StoreError> {
        self.again(|session| control::pause(session, &pause)).await
    }

    async fn resume(&self, scope: Scope) -> Result<bool, StoreError> {
        let ended = self.unless_done(|session| control::resume(session, &scope)).await?;
        self.keeper.tell();
        Ok(ended)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.again(control::pauses).await
    }

    async fn lasts(&self, handler: String, subjects: Vec<Subject>) -> Result<Vec<Last>, StoreError> {
        self.again(|session| control::lasts(session, &handler, &subjects)).await
    }

    async fn delivered(
        &self,
        handler: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<LastPage, StoreError> {
        let limit = limit.min(self.settings.page_max);
        self.again(|session| control::delivered(session, &handler, after.as_deref(), limit)).await
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError> {
        self.again(|session| prune::prune(session, &prune)).await
    }

    async fn statuses(
        &self,
        which: Statuses,
        after: Option<StatusId>,
        limit: usize,
    ) -> Result<Vec<KeptStatus>, StoreError> {
        let limit = limit.min(self.settings.page_max);
        self.again(|session| statuses::list(session, which, after.as_ref(), limit)).await
    }

    async fn write_again(
        &self,
        statuses: Vec<StatusId>,
        due: Timestamp,
        gap: Duration,
    ) -> Result<Vec<StatusId>, StoreError> {
        let again = self.unless_done(|session| statuses::again(session, &statuses, due, gap)).await?;
        self.keeper.tell();
        Ok(again)
    }

    async fn samples(&self, before: Option<i64>, limit: usize) -> Result<Vec<KeptSample>, StoreError> {
        let limit = limit.min(self.settings.page_max);
        self.again(|session| query::samples(session, before, limit)).await
    }

    async fn note(&self, name: String) -> Result<Option<String>, StoreError> {
        self.again(|mut session| {
            let name = &name;
            async move { control::note(&mut session, name).await }
        })
        .await
    }

    async fn put_note(&self, name: String, text: String) -> Result<(), StoreError> {
        self.again(|session| control::put_note(session, &name, &text)).await
    }

    async fn swap_note(
        &self,
        name: String,
        before: Option<String>,
        text: String,
    ) -> Result<bool, StoreError> {
        self.unless_done(|session| control::swap_note(session, &name, before.as_deref(), &text)).await
    }

    async fn dump(&self, after: Option<DumpCursor>, limit: usize) -> Result<DumpPage, StoreError> {
        // one transaction for all pages; whoever begins anew has another
        let begun = self.dumping.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (mut session, after) = match (begun, after) {
            (Some(session), Some(after)) => (session, Some(after)),
            (None, Some(_)) => {
                return Err(StoreError::Failed("what was read until now is lost: begin anew".into()));
            }
            (_, None) => {
                let mut session = self.db.session().await?;
                dump::begin(&mut session, self.lease.id()).await?;
                (session, None)
            }
        };
        let page = dump::page(&mut session, after, limit).await?;
        if page.next.is_some() {
            *self.dumping.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        }
        Ok(page)
    }

    async fn dump_size(&self) -> Result<u64, StoreError> {
        self.again(dump::size).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.again(dump::is_empty).await
    }

    async fn load(&self, rows: Vec<DumpRow>) -> Result<(), StoreError> {
        self.unless_done(|session| dump::load(session, &rows, self.lease.id())).await
    }

    async fn loaded(&self, now: Timestamp) -> Result<(), StoreError> {
        // takes as long as it takes
        dump::loaded(&self.db, now).await.map_err(StoreError::from)
    }
}
