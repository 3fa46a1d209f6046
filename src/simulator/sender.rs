//! Sends events as ESPF does: again after a 5xx or silence, never again after a 4xx.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::world::Sent;

/// How events are sent.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// Where to.
    pub url: String,
    /// HTTP Basic.
    pub user: String,
    /// HTTP Basic.
    pub password: String,
    /// Pause before an event is sent again. 1 s; ESPF's own is unknown.
    pub resend_after: Duration,
    /// How long an answer is awaited. 300 s, ESPF's default.
    pub timeout: Duration,
    /// How many requests are under way at once. 16.
    pub parallel: usize,
    /// Of a hundred events, how many are sent twice.
    pub duplicates: u8,
}

impl SenderSettings {
    /// Defaults.
    pub fn new(url: impl Into<String>, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: user.into(),
            password: password.into(),
            resend_after: Duration::from_secs(1),
            timeout: Duration::from_secs(300),
            parallel: 16,
            duplicates: 0,
        }
    }
}

/// What has become of the events.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SenderStats {
    /// Events that were given to the sender.
    pub offered: u64,
    /// Events answered with 200.
    pub acknowledged: u64,
    /// Requests that repeated an acknowledged event on purpose.
    pub duplicates: u64,
    /// Requests sent again after 5xx or silence.
    pub resent: u64,
    /// Events dropped after a 4xx: lost for good, as with ESPF.
    pub dropped: u64,
    /// Seconds from request to answer, of acknowledged requests.
    #[serde(skip)]
    pub answered_in: Vec<f64>,
    /// Ids of acknowledged events in the order of their acknowledgement.
    #[serde(skip)]
    pub acknowledged_ids: Vec<i64>,
}

/// An ESPF with a queue. Events of one subject are sent one after the other, so that their order has a meaning;
/// events of several subjects in parallel.
#[derive(Clone)]
pub struct Sender {
    inner: Arc<Inner>,
}

struct Inner {
    settings: SenderSettings,
    client: reqwest::Client,
    queue: Mutex<Queue>,
    changed: Notify,
    stats: Mutex<SenderStats>,
}

#[derive(Default)]
struct Queue {
    /// Waiting events per subject; a subject with an entry here has one under way or waiting.
    lanes: HashMap<String, VecDeque<Job>>,
    /// Subjects whose next event may be sent, and when.
    ready: VecDeque<(Instant, String)>,
    under_way: usize,
    closed: bool,
}

struct Job {
    event: Sent,
    /// It has been acknowledged and is sent once more on purpose.
    duplicate: bool,
}

enum Verdict {
    Acknowledged,
    Again,
    Dropped,
}

impl Sender {
    /// A sender; [`Sender::run`] does the sending.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(settings: SenderSettings) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(settings.timeout)
            .tcp_nodelay(true)
            .no_proxy()
            // plain HTTP to a gateway under development: no certificates are needed, and small machines have none
            .tls_certs_only([])
            .build()?;
        let inner = Inner {
            settings,
            client,
            queue: Mutex::default(),
            changed: Notify::new(),
            stats: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Queues an event.
    pub fn offer(&self, event: Sent) {
        let mut stats = self.stats_mut();
        stats.offered += 1;
        let duplicate = (stats.offered * u64::from(self.inner.settings.duplicates)) % 100
            < u64::from(self.inner.settings.duplicates);
        drop(stats);
        let mut jobs = vec![Job { event: event.clone(), duplicate: false }];
        if duplicate {
            jobs.push(Job { event, duplicate: true });
        }
        for job in jobs {
            self.push(job);
        }
        self.inner.changed.notify_one();
    }

    fn push(&self, job: Job) {
        let mut queue = self.queue();
        let subject = job.event.subject.clone();
        match queue.lanes.get_mut(&subject) {
            Some(lane) => lane.push_back(job),
            None => {
                queue.lanes.insert(subject.clone(), VecDeque::from([job]));
                queue.ready.push_back((Instant::now(), subject));
            }
        }
    }

    /// Ends [`Sender::run`] as soon as everything has been sent.
    pub fn close(&self) {
        self.queue().closed = true;
        self.inner.changed.notify_one();
    }

    /// What has become of the events so far.
    pub fn stats(&self) -> SenderStats {
        self.stats_mut().clone()
    }

    /// Sends until [`Sender::close`] has been called and the queue is empty.
    pub async fn run(&self) {
        let mut requests = JoinSet::new();
        loop {
            while let Some(event) = self.next() {
                let sender = self.clone();
                requests.spawn(async move { sender.send(event).await });
            }
            let wait = {
                let queue = self.queue();
                if queue.closed && queue.lanes.is_empty() {
                    return;
                }
                let due = queue.ready.iter().map(|(due, _)| *due).min();
                if queue.under_way < self.inner.settings.parallel { due } else { None }
            };
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                () = self.inner.changed.notified() => {}
                () = sleep_until(wait.unwrap_or(far)) => {}
                Some(_) = requests.join_next(), if !requests.is_empty() => {}
            }
        }
    }

    /// The next event that may be sent now.
    fn next(&self) -> Option<(Sent, bool)> {
        let mut queue = self.queue();
        if queue.under_way >= self.inner.settings.parallel {
            return None;
        }
        let now = Instant::now();
        let index = queue.ready.iter().position(|(due, _)| *due <= now)?;
        let (_, subject) = queue.ready.remove(index)?;
        let job = queue.lanes.get(&subject)?.front()?;
        let next = (job.event.clone(), job.duplicate);
        queue.under_way += 1;
        Some(next)
    }

    async fn send(&self, (event, duplicate): (Sent, bool)) {
        let started = Instant::now();
        let verdict = self.post(&event).await;
        let elapsed = started.elapsed().as_secs_f64();
        let mut stats = self.stats_mut();
        match verdict {
            Verdict::Acknowledged if duplicate => stats.duplicates += 1,
            Verdict::Acknowledged => {
                stats.acknowledged += 1;
                stats.answered_in.push(elapsed);
                stats.acknowledged_ids.push(event.i_event);
            }
            Verdict::Again => stats.resent += 1,
            Verdict::Dropped => stats.dropped += 1,
        }
        drop(stats);
        self.settle(&event.subject, matches!(verdict, Verdict::Again));
    }

    async fn post(&self, event: &Sent) -> Verdict {
        let settings = &self.inner.settings;
        let date = jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&jiff::Timestamp::now())
            .unwrap_or_default();
        let answer = self
            .inner
            .client
            .post(&settings.url)
            .basic_auth(&settings.user, Some(&settings.password))
            .header("Date", date)
            .header("Content-Type", "application/json")
            .body(event.body.clone())
            .send()
            .await;
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200) => Verdict::Acknowledged,
            Ok(400..=499) => Verdict::Dropped,
            Ok(_) | Err(_) => Verdict::Again,
        }
    }

    /// Takes the event off its lane, or leaves it there for later.
    fn settle(&self, subject: &str, again: bool) {
        let mut queue = self.queue();
        queue.under_way -= 1;
        let Some(lane) = queue.lanes.get_mut(subject) else { return };
        if !again {
            lane.pop_front();
        }
        if lane.is_empty() {
            queue.lanes.remove(subject);
        } else {
            let pause = if again { self.inner.settings.resend_after } else { Duration::ZERO };
            queue.ready.push_back((Instant::now() + pause, subject.to_string()));
        }
        drop(queue);
        self.inner.changed.notify_one();
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stats_mut(&self) -> std::sync::MutexGuard<'_, SenderStats> {
        self.inner.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
