//! The writer over a real store, with a PortaBilling that answers when the test says so.

mod outages;

use std::sync::Mutex;

use jiff::SignedDuration;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::store::StatusValue;
use crate::store::conformance::tell;
use crate::store::sqlite::{SqliteStore, StoreSettings};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn status(value: StatusValue, seconds: i64) -> Status {
    Status { i_account: 7, group: "HSS".into(), value, message: None, at: at(seconds) }
}

fn job(attempts: u32) -> StatusJob {
    StatusJob { status: status(StatusValue::Ok, 0), attempts, version: 1 }
}

fn down() -> SinkError {
    SinkError { reason: "down".into(), retryable: true, outage: false, after: None }
}

#[test]
fn a_message_is_cut_between_characters() {
    assert_eq!(cut("grün", 4), "grün");
    assert_eq!(cut("grün", 3), "grü");
    assert_eq!(cut("grün", 0), "");
    assert_eq!(cut("", 4000), "");
    let long = "ü".repeat(5000);
    assert_eq!(cut(&long, 4000).chars().count(), 4000);
}

#[test]
fn how_a_write_back_ends() {
    let schedule = StatusSettings::default().retry;
    let day = 24 * 3600;
    let retry_at = |result, attempts, now| match end(result, &job(attempts), &schedule, false, 0.0, at(now)) {
        StatusEnd::Retry { at: due, .. } => Some(due.duration_since(at(now)).as_secs()),
        StatusEnd::Written | StatusEnd::GivenUp { .. } => None,
    };
    assert!(matches!(end(Ok(()), &job(0), &schedule, false, 0.0, at(1)), StatusEnd::Written));
    assert_eq!(retry_at(Err(down()), 0, 1), Some(5));
    assert_eq!(retry_at(Err(down()), 1, 1), Some(10));
    assert_eq!(retry_at(Err(down()), 20, 1), Some(600));
    assert_eq!(retry_at(Err(down()), 49, 1), Some(3600));
    let later = SinkError { after: Some(Duration::from_secs(99)), ..down() };
    assert_eq!(retry_at(Err(later), 0, 1), Some(99));
    assert_eq!(retry_at(Err(down()), 60, 3 * day), None, "after three days it is given up");
    let outage = SinkError { outage: true, ..down() };
    assert_eq!(retry_at(Err(outage.clone()), 0, 7 * day), Some(5), "it may have waited behind the breaker");
    assert_eq!(retry_at(Err(outage.clone()), 60, 7 * day), None, "but not for ever");
    match end(Err(outage), &job(60), &schedule, true, 0.0, at(7 * day)) {
        StatusEnd::Retry { at: due, counts: false, .. } => assert_eq!(due, at(7 * day + 5)),
        other => panic!("{other:?}"),
    }
    let refused = SinkError { retryable: false, ..down() };
    assert!(matches!(end(Err(refused), &job(0), &schedule, false, 0.0, at(1)), StatusEnd::GivenUp { .. }));
}

/// A PortaBilling that answers when the test says so.
struct Asked(mpsc::UnboundedSender<(Status, oneshot::Sender<Result<(), SinkError>>)>);

#[async_trait]
impl StatusSink for Asked {
    async fn write(&self, status: &Status) -> Result<(), SinkError> {
        let (answer, answered) = oneshot::channel();
        self.0.send((status.clone(), answer)).ok();
        answered.await.unwrap_or(Ok(()))
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it should have happened by now")
}

#[tokio::test]
async fn a_status_is_tried_again_until_a_newer_one_takes_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let store =
        SqliteStore::open(&folder.path().join("store.db"), StoreSettings::default(), at(0)).expect("a store");
    let store: Arc<dyn Store> = Arc::new(store);
    let (sink, mut asked) = mpsc::unbounded_channel();
    let settings = StatusSettings { tick: Duration::from_secs(3600), message_max: 3, ..Default::default() };
    let mut writer = StatusWriter::new(store.clone(), Arc::new(Asked(sink)), settings);
    let time = Arc::new(Mutex::new(at(1)));
    let held = time.clone();
    writer.now = Arc::new(move || *held.lock().expect("lock"));
    writer.jitter = Arc::new(|| 0.0);
    let nudge = writer.nudge.clone();
    let stop = CancellationToken::new();
    let running = tokio::spawn(writer.run(stop.clone()));

    let long = Status { message: Some("too long".into()), ..status(StatusValue::Retry, 1) };
    tell(&*store, long).await;
    nudge.notify_one();
    let (first, answer) = soon(asked.recv()).await.expect("a write");
    assert_eq!((first.value, first.message.as_deref()), (StatusValue::Retry, Some("too")));
    answer.send(Err(down())).expect("the writer waits");
    // It was put back for five seconds later.
    let due = async {
        while store.next_status_due().await.expect("an answer") != Some(at(6)) {
            tokio::task::yield_now().await;
        }
    };
    soon(due).await;
    *time.lock().expect("lock") += SignedDuration::from_secs(5);
    nudge.notify_one();
    let (second, answer) = soon(asked.recv()).await.expect("a write");
    assert_eq!(second.value, StatusValue::Retry);
    // While the old one is on its way, two newer ones come: only the newest follows, and only then.
    tell(&*store, status(StatusValue::InProgress, 3)).await;
    tell(&*store, status(StatusValue::Ok, 4)).await;
    nudge.notify_one();
    answer.send(Err(down())).expect("the writer waits");
    let (third, answer) = soon(asked.recv()).await.expect("a write");
    assert_eq!(third.value, StatusValue::Ok);
    answer.send(Ok(())).expect("the writer waits");
    stop.cancel();
    soon(running).await.expect("it ends well");
    assert!(asked.try_recv().is_err());
    assert_eq!(store.next_status_due().await.expect("an answer"), None);
}
