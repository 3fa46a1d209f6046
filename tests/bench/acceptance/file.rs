//! The least that durability costs: a file that each event is appended to, and synced before the answer; whoever comes
//! during a sync shares the next.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use soapstone::breaker::Breaker;
use soapstone::delivery::DeliveryId;
use soapstone::event::{Event, EventId};
use soapstone::store::{
    Accepted, Backlog, Claimed, EventDetail, EventSummary, Page, Record, Sample, Settle, Status, StatusEnd,
    StatusJob, Store, StoreError, Subscription, Want,
};
use tokio::sync::{mpsc, oneshot};

/// As the store's.
const QUEUE: usize = 4096;
const BATCH: usize = 512;

type Message = (Event, oneshot::Sender<Result<Accepted, StoreError>>);

/// A store that can only accept.
pub(super) struct FileStore {
    queue: mpsc::Sender<Message>,
}

impl FileStore {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let (queue, inbox) = mpsc::channel(QUEUE);
        std::thread::Builder::new().name("file-writer".into()).spawn(move || write(file, inbox))?;
        Ok(Self { queue })
    }
}

fn write(mut file: File, mut inbox: mpsc::Receiver<Message>) {
    let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), Vec::new());
    while inbox.blocking_recv_many(&mut batch, BATCH) > 0 {
        bytes.clear();
        for (event, _) in &batch {
            bytes.extend_from_slice(event.id.0.as_bytes());
            bytes.extend_from_slice(&(event.body.len() as u64).to_le_bytes());
            bytes.extend_from_slice(event.body.as_bytes());
        }
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        for (event, caller) in batch.drain(..) {
            let answer = match &written {
                Ok(()) => Ok(Accepted::New(event.id)),
                Err(error) => Err(StoreError::Failed(error.to_string())),
            };
            // a caller that has gone away needs no answer
            let _ = caller.send(answer);
        }
    }
}

fn cannot<T>() -> Result<T, StoreError> {
    Err(StoreError::Rejected("a bare file can only accept".into()))
}

#[async_trait]
impl Store for FileStore {
    async fn accept(&self, event: Event, _: Vec<Subscription>) -> Result<Accepted, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.queue.send((event, caller)).await.map_err(|_| StoreError::Unavailable)?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }

    async fn keep_sample(&self, _: Sample) -> Result<(), StoreError> {
        cannot()
    }

    async fn claim(&self, _: Timestamp, _: Vec<Want>) -> Result<Vec<Claimed>, StoreError> {
        cannot()
    }

    async fn record(&self, _: Record) -> Result<(), StoreError> {
        cannot()
    }

    async fn next_due(&self, _: Vec<Want>) -> Result<Option<Timestamp>, StoreError> {
        cannot()
    }

    async fn release(&self, _: DeliveryId, _: u32, _: Timestamp) -> Result<(), StoreError> {
        cannot()
    }

    async fn settle(&self, _: Settle) -> Result<(), StoreError> {
        cannot()
    }

    async fn overdue(&self, _: Timestamp, _: usize) -> Result<Vec<Claimed>, StoreError> {
        cannot()
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        cannot()
    }

    async fn breakers(&self) -> Result<Vec<Breaker>, StoreError> {
        cannot()
    }

    async fn put_breaker(&self, _: Breaker) -> Result<bool, StoreError> {
        cannot()
    }

    async fn announce(&self, _: DeliveryId, _: u32, _: Status) -> Result<(), StoreError> {
        cannot()
    }

    async fn claim_statuses(&self, _: Timestamp, _: usize) -> Result<Vec<StatusJob>, StoreError> {
        cannot()
    }

    async fn finish_status(&self, _: &StatusJob, _: StatusEnd, _: Timestamp) -> Result<(), StoreError> {
        cannot()
    }

    async fn next_status_due(&self) -> Result<Option<Timestamp>, StoreError> {
        cannot()
    }

    async fn events(&self, _: Page) -> Result<Vec<EventSummary>, StoreError> {
        cannot()
    }

    async fn event(&self, _: EventId) -> Result<Option<EventDetail>, StoreError> {
        cannot()
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        cannot()
    }

    async fn ready(&self) -> Result<(), StoreError> {
        cannot()
    }
}
