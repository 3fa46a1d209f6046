//! PortaBilling fails, or forgets who we are.

use std::time::Duration;

use soapstone::simulator::{Change, Disturbance, SessionSettings};

use super::stage::{Plan, Stage};

/// The reasons of all attempts of an event but the last, which has none.
async fn reasons(stage: &Stage, i_event: i64) -> Vec<String> {
    let event = stage.detail(i_event).await;
    let attempts = event["deliveries"][0]["attempt_list"].as_array().unwrap();
    let (last, before) = attempts.split_last().unwrap();
    assert_eq!(last["outcome"], "delivered");
    before.iter().map(|attempt| attempt["reason"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the event has failed a few times.
async fn failed(stage: &Stage, times: u64) {
    super::stage::eventually("a few attempts fail", async || {
        let failed = stage.metric("soapstone_deliveries_total", &[r#"outcome="retry""#]).await;
        (failed >= times as f64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_outage_costs_time_and_nothing_else() {
    let stage = Stage::set().await;
    stage.soap.cut();
    let (first, second) = (stage.account(0), stage.account(1));
    let sent = stage.change(Change::Update, first).await;
    stage.change(Change::Update, second).await;
    failed(&stage, 4).await;
    assert!(stage.external.requests().is_empty(), "it was delivered without data");
    stage.soap.mend();
    for i_account in [first, second] {
        stage.until_status(i_account, "OK").await;
    }
    let reasons = reasons(&stage, sent.i_event).await;
    assert!(reasons.iter().all(|reason| reason.starts_with("PortaBilling: ")), "{reasons:?}");
    assert_eq!(stage.external.requests().len(), 2);
}

#[tokio::test]
async fn what_a_proxy_says_in_its_place_is_tried_again() {
    let stage = Stage::set().await;
    stage.simulator.disturb(Disturbance { down: true, ..Disturbance::default() });
    let sent = stage.change(Change::Update, stage.account(0)).await;
    failed(&stage, 2).await;
    stage.simulator.disturb(Disturbance::default());
    stage.until_status(stage.account(0), "OK").await;
    let reasons = reasons(&stage, sent.i_event).await;
    assert!(reasons[0].contains("503"), "{reasons:?}");
}

#[tokio::test]
async fn a_fault_is_tried_again_and_shown() {
    let stage = Stage::set().await;
    let fault = Some("Server.Account.internal");
    stage.simulator.disturb(Disturbance { fault, ..Disturbance::default() });
    let sent = stage.change(Change::Update, stage.account(0)).await;
    failed(&stage, 2).await;
    stage.simulator.disturb(Disturbance::default());
    stage.until_status(stage.account(0), "OK").await;
    let reasons = reasons(&stage, sent.i_event).await;
    assert!(reasons.iter().all(|reason| reason.contains("Server.Account.internal")), "{reasons:?}");
    let faults =
        stage.metric("soapstone_portabilling_faults_total", &[r#"code="Server.Account.internal""#]).await;
    assert!(faults >= reasons.len() as f64, "{faults} faults, {reasons:?}");
}

#[tokio::test]
async fn a_dropped_session_costs_one_login_and_no_attempt() {
    let stage = Stage::set().await;
    for (number, i_account) in (0..4).map(|number| (number, stage.account(number))) {
        let sent = stage.change(Change::Update, i_account).await;
        stage.until_status(i_account, "OK").await;
        assert_eq!(stage.simulator.logins(), number as u64 + 1);
        assert_eq!(reasons(&stage, sent.i_event).await, [""; 0]);
        stage.simulator.drop_sessions();
    }
}

#[tokio::test]
async fn a_session_dropped_before_the_status_is_written_holds_it_up_no_longer_than_a_login() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    stage.external.answer(|_| super::external::Reply::Held);
    stage.change(Change::Update, i_account).await;
    stage.until_status(i_account, "IN_PROGRESS").await;
    stage.simulator.drop_sessions();
    stage.external.release();
    stage.until_status(i_account, "OK").await;
    assert_eq!(stage.simulator.logins(), 2);
    assert_eq!(stage.external.requests().len(), 1);
}

#[tokio::test]
async fn tokens_that_expire_in_the_middle_lose_nothing() {
    let sessions = SessionSettings { lifetime: Duration::from_secs(1), ..SessionSettings::default() };
    let stage = Stage::with(Plan { sessions, ..Plan::default() }).await;
    let mut sent = 0;
    // for as long as it takes to see two of them renewed
    while stage.simulator.logins() + stage.simulator.renewals() < 3 {
        let i_account = stage.account(sent % 20);
        stage.change(Change::Update, i_account).await;
        sent += 1;
        stage.external.got(sent).await;
    }
    stage.settled().await;
    assert_eq!(stage.external.requests().len(), sent);
    for i_account in (0..sent.min(20)).map(|index| stage.account(index)) {
        stage.until_status(i_account, "OK").await;
    }
}

#[tokio::test]
async fn a_refused_login_is_not_hammered_and_loses_nothing() {
    let sessions = SessionSettings { password: "changed".into(), ..SessionSettings::default() };
    let stage = Stage::with(Plan { sessions, ..Plan::default() }).await;
    for index in 0..10 {
        stage.change(Change::Update, stage.account(index)).await;
    }
    failed(&stage, 10).await;
    assert_eq!(stage.calls("login").await, 1.0);
    assert!(stage.external.requests().is_empty());
    let backlog = stage.gateway().store().backlog().await.unwrap();
    assert_eq!(backlog[0].pending + backlog[0].in_flight, 10);
}
