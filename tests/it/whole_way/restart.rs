//! The gateway stops in the middle and starts again on the same store.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use soapstone::simulator::{Change, Sender, SenderSettings};

use super::external::Reply;
use super::stage::{Plan, Stage};

#[tokio::test]
async fn what_was_in_flight_goes_on_under_the_same_key() {
    let mut plan = Plan::default();
    plan.tuning.dispatch.drain = Duration::from_millis(50);
    let mut stage = Stage::with(plan).await;
    stage.external.answer(|_| Reply::Silence);
    let mut sent = Vec::new();
    for index in 0..10 {
        for _ in 0..2 {
            sent.push(stage.change(Change::Update, stage.account(index)).await);
        }
    }
    let before = stage.external.got(10).await;
    stage.stop_gateway().await;
    stage.external.answer(|_| Reply::Done);
    stage.start_gateway().await;
    stage.settled().await;

    let requests = stage.external.requests();
    let keys: HashMap<_, _> = before.iter().map(|request| (request.i_event(), request.key())).collect();
    let after = &requests[before.len()..];
    assert_eq!(after.len(), 20);
    for request in after.iter().filter(|request| keys.contains_key(&request.i_event())) {
        assert_eq!(request.key(), keys[&request.i_event()]);
    }
    for event in &sent {
        let detail = stage.detail(event.i_event).await;
        let attempts = detail["deliveries"][0]["attempt_list"].as_array().unwrap();
        let interrupted = keys.contains_key(&event.i_event);
        assert_eq!(attempts.len(), 1 + usize::from(interrupted));
        if interrupted {
            let reason = attempts[0]["reason"].as_str().unwrap();
            assert!(reason.contains("stopped in the middle"), "{reason}");
        }
    }
    for index in 0..10 {
        stage.until_status(stage.account(index), "OK").await;
    }
}

#[tokio::test]
async fn a_stop_waits_for_what_is_in_flight() {
    let mut stage = Stage::set().await;
    stage.external.answer(|_| Reply::Held);
    stage.change(Change::Update, stage.account(0)).await;
    stage.external.got(1).await;
    let address = stage.gateway().intake;
    let gateway = stage.take_gateway();
    let external = &stage.external;
    let release = async {
        // it takes no more before it waits
        super::stage::eventually("the intake is closed", async || {
            tokio::net::TcpStream::connect(address).await.is_err().then_some(())
        })
        .await;
        external.release();
    };
    tokio::join!(gateway.stop(), release);
    stage.start_gateway().await;
    assert_eq!(stage.external.requests().len(), 1, "it was delivered again");
    let backlog = stage.gateway().store().backlog().await.unwrap();
    assert_eq!((backlog[0].delivered, backlog[0].pending + backlog[0].in_flight), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_under_load_lose_nothing() {
    let mut stage = Stage::set().await;
    let port = super::cable::Cable::to(stage.gateway().intake).await;
    let mut settings = SenderSettings::new(format!("http://{}/espf", port.address), "espf", "secret");
    settings.resend_after = Duration::from_millis(10);
    let sender = Sender::new(settings).unwrap();
    let sending = tokio::spawn({
        let sender = sender.clone();
        async move { sender.run().await }
    });
    let mut offered = Vec::new();
    for round in 0..5 {
        for number in 0..40 {
            let i_account = stage.account(number % 20);
            let event = stage.simulator.world(|world| world.change(Change::Update, i_account, ""));
            offered.push(event.i_event);
            sender.offer(event);
        }
        let applied = stage.external.requests().len();
        stage.external.got(applied + 5).await;
        stage.stop_gateway().await;
        stage.start_gateway().await;
        port.lead_to(stage.gateway().intake);
        assert_eq!(sender.stats().dropped, 0, "round {round}");
    }
    sender.close();
    crate::harness::soon(sending).await.unwrap();
    stage.settled().await;
    let stats = sender.stats();
    assert_eq!((stats.acknowledged, stats.dropped), (offered.len() as u64, 0));
    let applied: HashSet<_> = stage.external.requests().iter().map(|request| request.i_event()).collect();
    assert_eq!(applied, offered.into_iter().collect());
}
