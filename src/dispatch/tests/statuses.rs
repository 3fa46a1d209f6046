//! What PortaBilling hears.

use super::*;

struct Sink(mpsc::UnboundedSender<Status>);

#[async_trait]
impl StatusSink for Sink {
    async fn write(&self, status: &Status) -> Result<(), SinkError> {
        self.0.send(status.clone()).ok();
        Ok(())
    }
}

#[tokio::test]
async fn portabilling_hears_in_progress_then_retry_then_ok() {
    let mut bench = Bench::new();
    bench.settings.announce = true;
    let (sink, mut written) = mpsc::unbounded_channel();
    let mut writer = StatusWriter::new(bench.store.clone(), Arc::new(Sink(sink)), StatusSettings::default());
    writer.now = bench.clock();
    writer.nudge = bench.status_nudge.clone();
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    let mut running = bench.run(vec![handler("hss"), Handler { service_group: None, ..handler("plain") }]);

    bench.accept(1, 7, &["hss", "plain"]).await;
    let mut heard = Vec::new();
    for _ in 0..2 {
        // The attempt that says so waits for its answer; the other handler has no service group.
        let call = bench.call().await;
        if call.handler == "plain" {
            call.answer(Outcome::Delivered);
            running.ended().await;
            continue;
        }
        heard.push(soon(written.recv()).await.expect("a status"));
        call.answer(retry());
        heard.push(soon(written.recv()).await.expect("a status"));
        running.ended().await;
    }
    bench.pass(60);
    bench.call().await.answer(Outcome::Delivered);
    heard.push(soon(written.recv()).await.expect("a status"));
    let heard: Vec<_> =
        heard.iter().map(|status| (status.i_account, status.value, status.message.as_deref())).collect();
    let expected = [
        (7, StatusValue::InProgress, None),
        (7, StatusValue::Retry, Some("busy")),
        (7, StatusValue::Ok, None),
    ];
    assert_eq!(heard, expected);
    stop.cancel();
    soon(writing).await.expect("it ends well");
    assert!(written.try_recv().is_err());
    running.stop().await;
}
