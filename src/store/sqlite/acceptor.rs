//! The thread that accepts, and keeps attempts: whoever waits for the journal shares a write with all others who wait (group
//! commit).
//!
//! It looks for duplicates first: in the inbox, and only for an event that isn't newer than all that is filed, in the
//! tables. Nobody hears an answer before the journal is on the disk, a duplicate's sender neither.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::StoreSettings;
use super::entry::{Addressed, Entry};
use super::inbox::{Inbox, Seen};
use super::journal::Journal;
use super::writer::Queue;
use super::{filing, row};
use crate::event::EventId;
use crate::store::{Accepted, Record, StoreError};

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Acceptor {
    queue: mpsc::Sender<Message>,
    done: watch::Receiver<()>,
    patience: Duration,
}

/// What the thread owns.
pub(super) struct Desk {
    pub(super) journal: Journal,
    pub(super) inbox: Arc<Inbox>,
    /// For finding duplicates among what is filed; it only reads.
    pub(super) tables: Connection,
    /// For having the inbox filed.
    pub(super) writer: Queue,
    /// The number of the next event.
    pub(super) next: i64,
}

enum Message {
    Accept(NewEvent),
    Keep(NewAttempt),
    Probe(oneshot::Sender<Result<(), StoreError>>),
    /// Numbers go on after this one.
    GoOn(i64),
    Stop,
}

struct NewEvent {
    event: Arc<Addressed>,
    entry: Vec<u8>,
    caller: oneshot::Sender<Result<Accepted, StoreError>>,
}

struct NewAttempt {
    attempt: Entry,
    entry: Vec<u8>,
    caller: oneshot::Sender<Result<Kept, StoreError>>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is in the journal.
    Here,
    /// It is too long for that.
    TooLong,
}

impl Acceptor {
    pub(super) fn start(desk: Desk, settings: &StoreSettings) -> Result<Self, StoreError> {
        let (queue, messages) = mpsc::channel(settings.queue);
        let (alive, done) = watch::channel(());
        let settings = settings.clone();
        let patience = settings.patience;
        let run = move || {
            let mut acceptor =
                Run { desk, settings, staged: Vec::new(), nudged: false, asked_for_room: false };
            acceptor.run(messages);
            drop(alive);
        };
        thread::Builder::new()
            .name("store-acceptor".into())
            .spawn(run)
            .map_err(|error| StoreError::Failed(format!("cannot start a thread: {error}")))?;
        Ok(Self { queue, done, patience })
    }

    /// Waits until the event is durable, or known to have been before.
    pub(super) async fn accept(&self, event: Addressed) -> Result<Accepted, StoreError> {
        if i64::try_from(event.1.len()).is_ok_and(|many| many > row::DELIVERIES) {
            return Err(StoreError::Rejected(format!("an event for more than {} handlers", row::DELIVERIES)));
        }
        let event = Arc::new(event);
        let entry = Entry::Accepted(Arc::clone(&event)).encode()?;
        let (caller, answer) = oneshot::channel();
        self.send(Message::Accept(NewEvent { event, entry, caller })).await?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Waits until the attempt is durable.
    pub(super) async fn keep(&self, record: Arc<Record>, seen: i64) -> Result<Kept, StoreError> {
        let attempt = Entry::Recorded { record, seen };
        let entry = attempt.encode()?;
        let (caller, answer) = oneshot::channel();
        self.send(Message::Keep(NewAttempt { attempt, entry, caller })).await?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Whether the journal can be written.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        let (caller, answer) = oneshot::channel();
        self.send(Message::Probe(caller)).await?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Has numbers go on after this one, which a load has brought.
    pub(super) async fn go_on_after(&self, number: i64) -> Result<(), StoreError> {
        self.send(Message::GoOn(number)).await
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        let sent = self.queue.send_timeout(message, self.patience).await;
        sent.map_err(|_| StoreError::Unavailable)
    }

    /// Accepts what is queued, and no more.
    pub(super) async fn close(&self) {
        drop(self.queue.send(Message::Stop).await);
        let mut done = self.done.clone();
        while done.changed().await.is_ok() {}
    }
}

/// The thread's own.
struct Run {
    desk: Desk,
    settings: StoreSettings,
    /// What the next commit makes durable, and who waits for it.
    staged: Vec<Staged>,
    /// The writer was asked to file what there is, and hasn't got through with it.
    nudged: bool,
    /// It was asked to bring what is filed to the disk.
    asked_for_room: bool,
}

/// An entry that waits for the commit, and who waits for it.
enum Staged {
    New {
        number: i64,
        event: Arc<Addressed>,
        caller: oneshot::Sender<Result<Accepted, StoreError>>,
    },
    /// It waits for the commit since the first may be in it.
    Duplicate {
        first: EventId,
        caller: oneshot::Sender<Result<Accepted, StoreError>>,
    },
    Attempt {
        number: i64,
        attempt: Entry,
        caller: oneshot::Sender<Result<Kept, StoreError>>,
    },
}

impl Run {
    fn run(&mut self, mut messages: mpsc::Receiver<Message>) {
        let mut batch = Vec::new();
        while messages.blocking_recv_many(&mut batch, self.settings.batch_max.max(1)) > 0 {
            for message in batch.drain(..) {
                match message {
                    Message::Accept(event) => self.accept(event),
                    Message::Keep(attempt) => self.keep(attempt),
                    Message::Probe(caller) => {
                        // a caller that has gone away needs no answer
                        let _ = caller.send(self.desk.journal.probe().map_err(failed));
                    }
                    Message::GoOn(number) => self.desk.next = self.desk.next.max(number + 1),
                    // what is queued is still done
                    Message::Stop => messages.close(),
                }
            }
            self.commit();
            self.nudge();
        }
    }

    fn accept(&mut self, NewEvent { event, entry, caller }: NewEvent) {
        if caller.is_closed() {
            return;
        }
        match self.seen(&event) {
            Ok(None) => self.stage(event, &entry, caller),
            Ok(Some(first)) => self.staged.push(Staged::Duplicate { first, caller }),
            Err(error) => answer(caller, Err(error)),
        }
    }

    fn seen(&self, event: &Addressed) -> Result<Option<EventId>, StoreError> {
        match self.desk.inbox.seen(&event.0) {
            Seen::Here(id) => Ok(Some(id)),
            Seen::Perhaps => filing::same_filed(&self.desk.tables, &event.0),
            Seen::Never => Ok(None),
        }
    }

    fn stage(
        &mut self,
        event: Arc<Addressed>,
        entry: &[u8],
        caller: oneshot::Sender<Result<Accepted, StoreError>>,
    ) {
        if !self.desk.journal.could_hold(entry.len()) {
            return self.file_directly(event, caller);
        }
        let number = self.desk.next;
        if let Err(error) = self.make_room(number, entry) {
            return answer(caller, Err(error));
        }
        self.desk.next += 1;
        self.desk.inbox.announce(&event);
        self.staged.push(Staged::New { number, event, caller });
    }

    fn keep(&mut self, NewAttempt { attempt, entry, caller }: NewAttempt) {
        if !self.desk.journal.could_hold(entry.len()) {
            return answer(caller, Ok(Kept::TooLong));
        }
        let number = self.desk.next;
        if let Err(error) = self.make_room(number, &entry) {
            return answer(caller, Err(error));
        }
        self.desk.next += 1;
        self.staged.push(Staged::Attempt { number, attempt, caller });
    }

    /// Stages the entry, if need be after what is staged is committed and what is accepted is filed.
    fn make_room(&mut self, number: i64, entry: &[u8]) -> Result<(), StoreError> {
        let durable = self.desk.inbox.durable();
        if self.desk.journal.stage(number, entry, durable) {
            return Ok(());
        }
        self.commit();
        if self.desk.journal.stage(number, entry, durable) {
            return Ok(());
        }
        self.desk.writer.file()?;
        if self.desk.journal.stage(number, entry, self.desk.inbox.durable()) {
            return Ok(());
        }
        Err(StoreError::Unavailable)
    }

    /// One that is too long for the journal goes into the tables at once.
    fn file_directly(
        &mut self,
        event: Arc<Addressed>,
        caller: oneshot::Sender<Result<Accepted, StoreError>>,
    ) {
        self.commit();
        let number = self.desk.next;
        self.desk.next += 1;
        self.desk.inbox.announce(&event);
        self.desk.inbox.add([(number, Entry::Accepted(Arc::clone(&event)))]);
        let filed = self.desk.writer.file();
        if filed.is_err() {
            self.desk.inbox.withdraw(&event);
        }
        answer(caller, filed.map(|()| Accepted::New(event.0.id)));
    }

    fn commit(&mut self) {
        let committed = self.desk.journal.commit().map_err(failed);
        match &committed {
            Ok(()) => self.desk.inbox.add(self.staged.iter().filter_map(Staged::entry)),
            Err(error) => {
                tracing::warn!(%error, entries = self.staged.len(), "not kept");
                for staged in &self.staged {
                    if let Staged::New { event, .. } = staged {
                        self.desk.inbox.withdraw(event);
                    }
                }
            }
        }
        self.staged.drain(..).for_each(|staged| staged.answer(committed.clone()));
    }

    /// Has the inbox filed once there is enough of it, attempts that others wait for, and what is filed brought to the disk
    /// before the journal needs its room.
    fn nudge(&mut self) {
        let enough = self.desk.inbox.len() >= self.settings.inbox_max;
        if enough && !self.nudged {
            self.desk.writer.file_soon();
        }
        self.nudged = enough;
        if self.desk.inbox.has_late() {
            self.desk.writer.catch_up_soon();
        }
        let room = self.desk.journal.needs_filing(self.desk.inbox.durable());
        if room && !self.asked_for_room {
            self.desk.writer.sync_soon();
        }
        self.asked_for_room = room;
    }
}

impl Staged {
    fn entry(&self) -> Option<(i64, Entry)> {
        match self {
            Self::New { number, event, .. } => Some((*number, Entry::Accepted(Arc::clone(event)))),
            Self::Attempt { number, attempt, .. } => Some((*number, attempt.clone())),
            Self::Duplicate { .. } => None,
        }
    }

    fn answer(self, committed: Result<(), StoreError>) {
        match self {
            Self::New { event, caller, .. } => {
                answer(caller, committed.map(|()| Accepted::New(event.0.id)));
            }
            Self::Duplicate { first, caller } => {
                answer(caller, committed.map(|()| Accepted::Duplicate(first)));
            }
            Self::Attempt { caller, .. } => answer(caller, committed.map(|()| Kept::Here)),
        }
    }
}

fn answer<T>(caller: oneshot::Sender<Result<T, StoreError>>, answer: Result<T, StoreError>) {
    // a caller that has gone away needs no answer
    let _ = caller.send(answer);
}

fn failed(error: std::io::Error) -> StoreError {
    StoreError::Failed(format!("the inbox can't be written: {error}"))
}
