//! The one thread that writes: whoever waits for a commit shares it with all others who wait (group commit).
//!
//! All that wait go into one transaction. Should one of them fail, it is rolled back and each is done again in a
//! transaction of its own, so that the one takes nothing with it: that is rare, and savepoints, which would do the same,
//! cost every verb a copy of each page that it touches. Nobody hears an answer before the commit is on the disk.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::batch::Batch;
use super::log::Log;
use super::{StoreSettings, filing};
use crate::store::StoreError;

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Queue,
    done: watch::Receiver<()>,
    patience: Duration,
}

/// The way in, for other threads too.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    messages: mpsc::Sender<Message>,
    /// That attempts are to be filed has been said, and not been heard yet.
    late_said: Arc<AtomicBool>,
}

/// How many attempts that others wait for are filed together when nobody asks for them. Whoever comes meanwhile waits for these, so
/// they are few; if nobody comes, the next follow at once.
const LATE_PART: usize = 4;

/// For how long nobody must have asked for anything until more of the inbox is filed together: that is less work, and nobody waits.
const QUIET: Duration = Duration::from_millis(100);

/// What the thread owns. Fields are dropped in order: the lock last.
pub(super) struct Files {
    pub(super) db: Batch,
    /// For copying the log into the database beside the writing.
    pub(super) checkpointer: Connection,
    pub(super) lock: File,
}

enum Message {
    Work(Box<dyn Work>),
    /// The inbox is to be filed, though nobody waits for it.
    File,
    /// Attempts that others wait for are to be filed, if there is time.
    CatchUp,
    /// What was filed lazily is to be on the disk.
    Sync,
    Stop,
}

/// A verb with its caller.
trait Work: Send {
    /// Whether the caller is gone, and nothing need be done.
    fn is_void(&self) -> bool;
    /// Whether the caller waits for the disk.
    fn is_synced(&self) -> bool;
    /// Does it, perhaps not for the first time; an error means that what it did is to be rolled back.
    fn run(&mut self, db: &Batch) -> Result<(), StoreError>;
    /// Answers, once it is known what became of the transaction.
    fn answer(self: Box<Self>, committed: &Result<(), StoreError>);
}

struct Job<T, F> {
    verb: F,
    synced: bool,
    result: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Work for Job<T, F>
where
    T: Send,
    F: Fn(&Batch) -> Result<T, StoreError> + Send,
{
    fn is_void(&self) -> bool {
        self.caller.is_closed()
    }

    fn is_synced(&self) -> bool {
        self.synced
    }

    fn run(&mut self, db: &Batch) -> Result<(), StoreError> {
        let result = (self.verb)(db);
        let ended = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        ended
    }

    fn answer(self: Box<Self>, committed: &Result<(), StoreError>) {
        let result = match (self.result, committed) {
            (None | Some(Ok(_)), Err(error)) => Err(error.clone()),
            (Some(result), _) => result,
            (None, Ok(())) => Err(StoreError::Unavailable),
        };
        // A caller that has gone away needs no answer.
        drop(self.caller.send(result));
    }
}

impl Queue {
    /// Files the inbox and waits for it. Not for async tasks: it blocks.
    pub(super) fn file(&self) -> Result<(), StoreError> {
        let (caller, answer) = oneshot::channel();
        let job = Job { verb: filing::file, synced: true, result: None, caller };
        self.messages.blocking_send(Message::Work(Box::new(job))).map_err(|_| StoreError::Unavailable)?;
        answer.blocking_recv().unwrap_or(Err(StoreError::Unavailable))
    }

    /// Has the inbox filed. If there is no place in the queue there is much to do already, and a claim files as well.
    pub(super) fn file_soon(&self) {
        drop(self.messages.try_send(Message::File));
    }

    /// Has attempts filed that others wait for, so that the next claim need not. This takes one place in the queue at most.
    pub(super) fn catch_up_soon(&self) {
        if !self.late_said.swap(true, Ordering::Relaxed) && self.messages.try_send(Message::CatchUp).is_err()
        {
            self.late_said.store(false, Ordering::Relaxed);
        }
    }

    /// Has what is filed brought to the disk. If there is no place in the queue, whoever needs it will wait for it.
    pub(super) fn sync_soon(&self) {
        drop(self.messages.try_send(Message::Sync));
    }
}

impl Writer {
    /// Starts the thread, and one beside it for checkpoints.
    pub(super) fn start(files: Files, settings: &StoreSettings) -> Result<Self, StoreError> {
        let (messages, inbox) = mpsc::channel(settings.queue);
        let late_said = Arc::new(AtomicBool::new(false));
        let queue = Queue { messages, late_said: Arc::clone(&late_said) };
        let (alive, done) = watch::channel(());
        let settings = settings.clone();
        let patience = settings.patience;
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                write(files, inbox, &late_said, &settings);
                drop(alive);
            })
            .map_err(|error| StoreError::Failed(format!("cannot start a thread: {error}")))?;
        Ok(Self { queue, done, patience })
    }

    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Has the thread do `verb`, and waits until that is on the disk.
    pub(super) async fn run<T, F>(&self, verb: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Batch) -> Result<T, StoreError> + Send + 'static,
    {
        self.send(verb, true).await
    }

    /// Has the thread do `verb`, and doesn't wait for the disk.
    pub(super) async fn run_lazily<T, F>(&self, verb: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Batch) -> Result<T, StoreError> + Send + 'static,
    {
        self.send(verb, false).await
    }

    async fn send<T, F>(&self, verb: F, synced: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Batch) -> Result<T, StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job = Job { verb, synced, result: None, caller };
        self.queue
            .messages
            .send_timeout(Message::Work(Box::new(job)), self.patience)
            .await
            .map_err(|_| StoreError::Unavailable)?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Takes no more, does what is queued, and waits until the files are closed.
    pub(super) async fn close(&self) {
        drop(self.queue.messages.send(Message::Stop).await);
        let mut done = self.done.clone();
        while done.changed().await.is_ok() {}
    }
}

fn write(files: Files, mut inbox: mpsc::Receiver<Message>, late_said: &AtomicBool, settings: &StoreSettings) {
    let Files { db, checkpointer, lock } = files;
    let pages = Arc::new(AtomicI64::new(0));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let every = settings.checkpoint_every;
    let seen = Arc::clone(&pages);
    let log = Arc::clone(&db.log);
    let beside = thread::Builder::new()
        .name("store-checkpoint".into())
        .spawn(move || checkpoint_beside(&log, &checkpointer, &stopped, every, &seen));

    let mut batch = Batched::default();
    let mut asked = Instant::now();
    while gather(&mut inbox, &mut batch, settings.batch_max) {
        if !batch.works.is_empty() {
            commit(&db, &mut batch.works);
            asked = Instant::now();
        }
        if batch.catch_up {
            late_said.store(false, Ordering::Relaxed);
            batch.catch_up = catch_up_lazily(&db);
        }
        if batch.file {
            batch.file = file_lazily(&db, asked.elapsed(), settings);
        }
        if std::mem::take(&mut batch.sync)
            && let Err(error) = db.transaction(true, |_| Ok(()))
        {
            tracing::warn!(%error, "what is filed is not on the disk; it is tried again when the journal is full");
        }
        bound_log(&db, &pages, settings);
    }

    if let Err(error) = db.transaction(true, filing::file) {
        tracing::warn!(%error, "the events accepted last are not filed; the next start will do it");
    }
    drop(stop);
    if let Ok(beside) = beside {
        drop(beside.join());
    }
    let last = db.log.checkpoint(&db, "TRUNCATE").map(drop);
    let spared = db.log.before_close(&db);
    if let Err(error) = last.and(spared) {
        tracing::warn!(%error, "the last checkpoint failed; the next start will do it");
    }
    drop(db);
    drop(lock);
}

/// Files some of the attempts that others wait for; answers whether there are more.
fn catch_up_lazily(db: &Batch) -> bool {
    match db.transaction(false, |db| filing::file_late(db, LATE_PART)) {
        Ok(()) => db.inbox.has_late(),
        Err(error) => {
            tracing::warn!(%error, "attempts are not filed; it is tried again with the next claim");
            false
        }
    }
}

/// Files a part of the inbox, so that nobody waits long meanwhile; answers whether more is to be filed.
fn file_lazily(db: &Batch, quiet_for: Duration, settings: &StoreSettings) -> bool {
    // all of it is still in the journal
    match db.transaction(false, |db| filing::file_some(db, part(quiet_for, settings))) {
        Ok(()) => db.inbox.len() > settings.inbox_max / 2,
        Err(error) => {
            tracing::warn!(%error, "what came last is not filed; it is tried again when it is asked for");
            false
        }
    }
}

/// How much of the inbox is filed together when nobody has asked for anything for so long.
fn part(quiet_for: Duration, settings: &StoreSettings) -> usize {
    let small = settings.part_max.max(1);
    if quiet_for < QUIET { small } else { small.max(settings.inbox_max / 4) }
}

/// What is taken from the queue at a time.
#[derive(Default)]
struct Batched {
    works: Vec<Box<dyn Work>>,
    file: bool,
    catch_up: bool,
    sync: bool,
}

/// Waits for work, unless there is something to file, and takes all that is there; false at the end.
fn gather(inbox: &mut mpsc::Receiver<Message>, batch: &mut Batched, batch_max: usize) -> bool {
    let more = batch.file || batch.catch_up;
    let mut next = if more { inbox.try_recv().ok() } else { inbox.blocking_recv() };
    if next.is_none() && !more {
        return false;
    }
    while let Some(message) = next {
        match message {
            Message::Work(work) => batch.works.push(work),
            Message::File => batch.file = true,
            Message::CatchUp => batch.catch_up = true,
            Message::Sync => batch.sync = true,
            // What is already queued is still done; then there is nothing more to receive.
            Message::Stop => inbox.close(),
        }
        next = if batch.works.len() < batch_max.max(1) { inbox.try_recv().ok() } else { None };
    }
    true
}

fn commit(db: &Batch, batch: &mut Vec<Box<dyn Work>>) {
    batch.retain(|work| !work.is_void());
    if batch.is_empty() {
        return;
    }
    let together = transaction(db, batch);
    if together.is_ok() || batch.len() == 1 {
        batch.drain(..).for_each(|work| work.answer(&together));
        return;
    }
    for mut work in batch.drain(..) {
        let alone = transaction(db, std::slice::from_mut(&mut work));
        work.answer(&alone);
    }
}

fn transaction(db: &Batch, works: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
    let verbs = works.len();
    let synced = works.iter().any(|work| work.is_synced());
    let ended = db.transaction(synced, |db| works.iter_mut().try_for_each(|work| work.run(db)));
    if let Err(error) = &ended {
        tracing::warn!(%error, verbs, "rolled back");
    }
    ended
}

/// Copies the log into the database now and then, without keeping the writer from writing.
fn checkpoint_beside(
    log: &Log,
    db: &Connection,
    stopped: &std::sync::mpsc::Receiver<()>,
    every: Duration,
    pages: &AtomicI64,
) {
    while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
        match log.checkpoint(db, "PASSIVE") {
            Ok(Some(log)) => pages.store(log, Ordering::Relaxed),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a checkpoint failed; the log grows until one works"),
        }
    }
}

/// For how long the writer waits for those who read, so that the log can start anew. Whoever reads for longer (a backup) keeps it from
/// that anyway, and would keep the writer waiting again and again.
const READERS_MAX: Duration = Duration::from_millis(50);

/// Under a load that never pauses, the log never starts anew by itself: from a certain size on the writer waits for it.
fn bound_log(db: &Batch, pages: &AtomicI64, settings: &StoreSettings) {
    if pages.load(Ordering::Relaxed) <= settings.log_pages_max {
        return;
    }
    pages.store(0, Ordering::Relaxed);
    let restarted = db.busy_timeout(READERS_MAX).map_err(Into::into);
    let restarted = restarted.and_then(|()| db.log.checkpoint(db, "RESTART"));
    let restored = db.busy_timeout(settings.busy_timeout).map_err(Into::into);
    if let Err(error) = restarted.and(restored) {
        tracing::warn!(%error, "the log could not be started anew; it grows until that works");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_small_as_long_as_somebody_asks() {
        let settings = StoreSettings { part_max: 32, inbox_max: 4096, ..StoreSettings::default() };
        assert_eq!(part(Duration::ZERO, &settings), 32);
        assert_eq!(part(QUIET, &settings), 1024);
        let settings = StoreSettings { part_max: 0, inbox_max: 0, ..settings };
        assert_eq!((part(Duration::ZERO, &settings), part(QUIET, &settings)), (1, 1));
    }
}
