//! The account of what was sent, what was acknowledged and what the external system was told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use super::process::Process;
use crate::whole_way::external::{Reply, Request};

/// How many events of one account are under way: enough for a queue, few enough for the end to come soon.
const WINDOW: usize = 6;

pub(super) struct Account {
    room: BTreeMap<i64, Semaphore>,
    next_event: AtomicI64,
    asked: watch::Sender<u64>,
    books: Mutex<Books>,
    checked: Mutex<Checked>,
}

#[derive(Default)]
struct Books {
    /// Per account, in the order of acknowledgement.
    acknowledged: HashMap<i64, Vec<i64>>,
    /// Per account, in the order of application, repetitions included: event and key.
    applied: HashMap<i64, Vec<(i64, String)>>,
    /// Events that have been applied.
    done: HashSet<i64>,
    /// Requests by key.
    requests: HashMap<String, u64>,
}

#[derive(Default)]
struct Checked {
    events: usize,
    applications: usize,
    interrupted: u64,
    failed: u64,
}

impl Account {
    pub(super) fn new(ids: &[i64]) -> Self {
        Self {
            room: ids.iter().map(|id| (*id, Semaphore::new(WINDOW))).collect(),
            next_event: AtomicI64::new(1),
            asked: watch::Sender::default(),
            books: Mutex::default(),
            checked: Mutex::default(),
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.room.keys().copied()
    }

    /// The number of the account's next event, once there is room for one.
    pub(super) async fn next(&self, i_account: i64) -> i64 {
        self.room[&i_account].acquire().await.unwrap().forget();
        self.next_event.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn acknowledged(&self, i_account: i64, i_event: i64) {
        self.books.lock().unwrap().acknowledged.entry(i_account).or_default().push(i_event);
    }

    /// Waits until the external system has been asked so many more times.
    pub(super) async fn is_asked(&self, more: u64) {
        let mut asked = self.asked.subscribe();
        let wanted = *asked.borrow() + more;
        asked.wait_for(|count| *count >= wanted).await.unwrap();
    }

    /// The external system: it fails now and then, and writes down what it applies.
    pub(super) fn script(self: &Arc<Self>) -> impl FnMut(&Request) -> Reply + Send + 'static {
        let account = Arc::clone(self);
        let mut number = 0_u64;
        move |request| {
            number += 1;
            let mut books = account.books.lock().unwrap();
            *books.requests.entry(request.key().to_owned()).or_default() += 1;
            let reply = match number {
                number if number % 97 == 0 => Reply::Reset,
                number if number % 11 == 0 => Reply::Code(500, "now and then"),
                _ => Reply::Done,
            };
            if matches!(reply, Reply::Done) {
                let i_account = request.body["data"]["variables"]["i_account"].as_i64().unwrap();
                let i_event = request.i_event();
                books.applied.entry(i_account).or_default().push((i_event, request.key().to_owned()));
                if books.done.insert(i_event) {
                    account.room[&i_account].add_permits(1);
                }
            }
            drop(books);
            account.asked.send_modify(|count| *count += 1);
            reply
        }
    }

    pub(super) fn all_applied(&self) -> bool {
        let books = self.books.lock().unwrap();
        books.acknowledged.values().flatten().all(|i_event| books.done.contains(i_event))
    }

    /// In order, each at least once, always under the same key.
    pub(super) fn check_applied(&self) {
        self.check_order(false);
    }

    /// The same where a gateway was frozen: what it had begun it may send once more when it wakes up, under the key under which
    /// others have sent it; the external system knows it by that. Answers how often that was so.
    pub(super) fn check_applied_once_woken(&self) -> usize {
        self.check_order(true)
    }

    /// With `woken`, repetitions count where they came first.
    fn check_order(&self, woken: bool) -> usize {
        let mut repeated = 0;
        let books = self.books.lock().unwrap();
        let mut checked = self.checked.lock().unwrap();
        let mut key_of: HashMap<i64, &str> = HashMap::new();
        for (i_account, acknowledged) in &books.acknowledged {
            let applied = &books.applied[i_account];
            for (i_event, key) in applied {
                let first = *key_of.entry(*i_event).or_insert(key);
                assert_eq!(first, key, "event {i_event} was applied under two keys");
            }
            let mut events: Vec<i64> = applied.iter().map(|(i_event, _)| *i_event).collect();
            if woken {
                let mut seen = HashSet::new();
                let all = events.len();
                events.dedup();
                events.retain(|i_event| seen.insert(*i_event));
                repeated += all - events.len();
            }
            assert!(events.is_sorted(), "account {i_account}: one overtook another: {events:?}");
            let mut each = events;
            checked.applications += each.len();
            each.dedup();
            assert_eq!(each, *acknowledged, "account {i_account}: not what was acknowledged");
            checked.events += each.len();
        }
        repeated
    }

    /// The store has each event once, and each delivery's attempts add up to what the external system has seen.
    pub(super) async fn check_operator(&self, process: &Process) {
        let events = all_events(process).await;
        let kept: HashSet<i64> = events.iter().map(|event| event["i_event"].as_i64().unwrap()).collect();
        assert_eq!(kept.len(), events.len(), "an event is in the store twice");
        let acknowledged: HashSet<i64> =
            self.books.lock().unwrap().acknowledged.values().flatten().copied().collect();
        assert_eq!(kept, acknowledged, "the store doesn't have what was acknowledged");
        // one in fifty of the plain ones, and all that had a story
        let wanted = events.iter().enumerate().filter(|(index, event)| {
            let delivery = &event["deliveries"][0];
            assert_eq!(event["deliveries"].as_array().unwrap().len(), 1);
            assert_eq!(delivery["state"], "delivered");
            delivery["attempts"] != 1 || index % 50 == 0
        });
        let ids: Vec<String> = wanted.map(|(_, event)| event["id"].as_str().unwrap().to_owned()).collect();
        let details = futures::stream::iter(ids)
            .map(async |id| process.get(&format!("/api/v1/events/{id}")).await)
            .buffer_unordered(8);
        details.for_each(async |detail| self.check_attempts(&detail["deliveries"][0])).await;
    }

    fn check_attempts(&self, delivery: &Value) {
        let attempts = delivery["attempt_list"].as_array().unwrap();
        assert_eq!(delivery["attempts"], attempts.len(), "{delivery}");
        let (mut interrupted, mut failed) = (0, 0);
        for (index, attempt) in attempts.iter().enumerate() {
            assert_eq!(attempt["number"], index + 1, "{delivery}");
            let last = index + 1 == attempts.len();
            assert_eq!(attempt["outcome"], if last { "delivered" } else { "retry" }, "{delivery}");
            match attempt["reason"].as_str() {
                Some(reason) if reason.contains("stopped in the middle") => interrupted += 1,
                Some(_) => failed += 1,
                None => assert!(last, "{delivery}"),
            }
        }
        let requests = self.books.lock().unwrap().requests[delivery["id"].as_str().unwrap()];
        // an attempt that was interrupted may or may not have got as far as a request
        let possible = failed + 1..=failed + 1 + interrupted;
        assert!(possible.contains(&requests), "{requests} requests, {possible:?} attempts: {delivery}");
        let mut checked = self.checked.lock().unwrap();
        checked.interrupted += interrupted;
        checked.failed += failed;
    }

    /// How many attempts were interrupted.
    pub(super) fn interrupted(&self) -> u64 {
        self.checked.lock().unwrap().interrupted
    }
}

/// All events, page by page.
async fn all_events(process: &Process) -> Vec<Value> {
    let mut all = Vec::new();
    let mut path = "/api/v1/events?limit=500".to_owned();
    loop {
        let mut page = process.get(&path).await;
        all.append(page["events"].as_array_mut().unwrap());
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/events?limit=500&before={next}"),
            None => return all,
        }
    }
}

/// How far each account is, for when it doesn't go on.
impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.books.lock().unwrap();
        writeln!(formatter, "{} requests", *self.asked.borrow())?;
        for (i_account, room) in &self.room {
            let last = |applied: &Vec<(i64, String)>| applied.last().cloned();
            let acknowledged = books.acknowledged.get(i_account).and_then(|all| all.last().copied());
            let applied = books.applied.get(i_account).and_then(last);
            let free = room.available_permits();
            writeln!(
                formatter,
                "{i_account}: acknowledged {acknowledged:?}, applied {applied:?}, room {free}"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checked { events, applications, interrupted, failed } = &*self.checked.lock().unwrap();
        write!(
            formatter,
            "{events} events acknowledged and applied, {} of them once more; of the attempts {interrupted} were \
             interrupted, {failed} failed",
            applications - events
        )
    }
}
