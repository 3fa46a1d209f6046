//! Group commit: what comes while others are being written is written next, together.
//!
//! Few batches are under way at the same time, so the more there is to do the larger they are.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// The limits of a batcher.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many may wait.
    pub(super) queue: usize,
    /// How many are written together at most.
    pub(super) batch: usize,
    /// How many bytes they have together, about.
    pub(super) bytes: usize,
    /// How many batches are under way at the same time.
    pub(super) at_once: usize,
    /// How long one waits for a place in the queue.
    pub(super) patience: Duration,
}

/// Does several jobs together; an answer for each, or none was done.
pub(super) type Work<J, A> =
    Arc<dyn Fn(Arc<[J]>) -> BoxFuture<'static, Result<Vec<Result<A, StoreError>>, StoreError>> + Send + Sync>;

/// The way in.
#[derive(Debug)]
pub(super) struct Batcher<J, A> {
    queue: mpsc::Sender<Waiting<J, A>>,
    patience: Duration,
    stop: CancellationToken,
    done: watch::Receiver<()>,
}

#[derive(Debug)]
struct Waiting<J, A> {
    job: J,
    bytes: usize,
    caller: oneshot::Sender<Result<A, StoreError>>,
}

impl<J, A> Batcher<J, A>
where
    J: Clone + Send + Sync + 'static,
    A: Send + 'static,
{
    /// Starts the task.
    pub(super) fn start(limits: Limits, work: Work<J, A>) -> Self {
        let (queue, jobs) = mpsc::channel(limits.queue.max(1));
        let (alive, done) = watch::channel(());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            run(limits, &work, jobs, &stopped).await;
            drop(alive);
        });
        Self { queue, patience: limits.patience, stop, done }
    }

    /// Waits until the job is done.
    pub(super) async fn run(&self, job: J, bytes: usize) -> Result<A, StoreError> {
        let (caller, answer) = oneshot::channel();
        let waiting = Waiting { job, bytes, caller };
        self.queue.send_timeout(waiting, self.patience).await.map_err(|_| StoreError::Unavailable)?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Does what is queued, and no more.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        let mut done = self.done.clone();
        while done.changed().await.is_ok() {}
    }
}

async fn run<J, A>(
    limits: Limits,
    work: &Work<J, A>,
    mut jobs: mpsc::Receiver<Waiting<J, A>>,
    stop: &CancellationToken,
) where
    J: Clone + Send + Sync + 'static,
    A: Send + 'static,
{
    let at_once = limits.at_once.max(1);
    let places = Arc::new(Semaphore::new(at_once));
    let all = u32::try_from(at_once).unwrap_or(u32::MAX);
    loop {
        let first = tokio::select! {
            biased;
            first = jobs.recv() => first,
            () = stop.cancelled(), if !jobs.is_closed() => {
                jobs.close();
                continue;
            }
        };
        let Some(first) = first else { break };
        // Whoever comes until there is a place goes along.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let batch = gather(first, &mut jobs, limits);
        let work = Arc::clone(work);
        tokio::spawn(async move {
            write(batch, &work).await;
            drop(place);
        });
    }
    // what is under way ends
    drop(places.acquire_many(all).await);
}

fn gather<J, A>(
    first: Waiting<J, A>,
    jobs: &mut mpsc::Receiver<Waiting<J, A>>,
    limits: Limits,
) -> Vec<Waiting<J, A>> {
    let mut bytes = first.bytes;
    let mut batch = vec![first];
    while batch.len() < limits.batch
        && bytes < limits.bytes
        && let Ok(next) = jobs.try_recv()
    {
        bytes = bytes.saturating_add(next.bytes);
        batch.push(next);
    }
    // A caller that is gone needs nothing any more.
    batch.retain(|waiting| !waiting.caller.is_closed());
    batch
}

async fn write<J, A>(batch: Vec<Waiting<J, A>>, work: &Work<J, A>)
where
    J: Clone,
{
    let (jobs, callers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.job, waiting.caller)).unzip();
    if jobs.is_empty() {
        return;
    }
    let jobs: Arc<[J]> = jobs.into();
    let answers = match work(Arc::clone(&jobs)).await {
        Ok(answers) => answers,
        // One of them is to blame: it takes nothing with it.
        Err(StoreError::Rejected(_)) if jobs.len() > 1 => {
            for (job, caller) in jobs.iter().zip(callers) {
                let alone = work(Arc::from([job.clone()])).await;
                // a caller that has gone away needs no answer
                let _ = caller.send(
                    alone.and_then(|mut answers| answers.pop().unwrap_or(Err(StoreError::Unavailable))),
                );
            }
            return;
        }
        Err(error) => jobs.iter().map(|_| Err(error.clone())).collect(),
    };
    for (answer, caller) in answers.into_iter().zip(callers) {
        let _ = caller.send(answer);
    }
}
