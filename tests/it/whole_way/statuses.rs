//! The ESPF API fails: a matter between the gateway and PortaBilling, which the external system hears nothing of.

use serde_json::{Value, json};
use soapstone::config::StatusWriting;
use soapstone::handler::RetrySchedule;
use soapstone::simulator::Change;

use super::external::Reply;
use super::operating::soapstone;
use super::stage::{Plan, Stage, eventually};

#[tokio::test]
async fn an_outage_of_the_status_api_repeats_no_change_and_ends_with_the_newest_status() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    let other = stage.account(1);
    stage.espf.cut();
    stage.change(Change::Update, i_account).await;
    stage.change(Change::Update, other).await;
    stage.external.got(2).await;
    stage.settled().await;
    stage.espf.refused(3).await;

    // the account fails for good meanwhile: that is the newest now
    stage.external.answer(|_| Reply::Code(400, "no longer ours"));
    stage.change(Change::Update, i_account).await;
    stage.settled().await;
    assert_eq!((stage.status(i_account), stage.status(other)), (None, None));

    stage.espf.mend();
    stage.until_status(i_account, "FAILED").await;
    stage.until_status(other, "OK").await;
    let times =
        |i_account| stage.simulator.world(|world| world.statuses()[&(i_account, "HSS".to_owned())].times);
    // of its four statuses the newest, and perhaps the one whose write was under way when the API came back
    assert!(times(i_account) <= 2, "{} that were out of date were written, too", times(i_account) - 1);
    assert_eq!(times(other), 1, "one that was out of date was written, too");
    assert_eq!(stage.external.requests().len(), 3);
}

#[tokio::test]
async fn an_answer_that_gets_lost_is_asked_for_again() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    stage.external.answer(|_| Reply::Held);
    stage.espf.hold();
    stage.change(Change::Update, i_account).await;
    // PortaBilling has it, we don't know
    stage.until_status(i_account, "IN_PROGRESS").await;
    stage.espf.held(1).await;
    stage.external.release();
    stage.settled().await;
    // `OK` waits for the answer about `IN_PROGRESS`, so that the two can't cross
    assert_eq!(stage.status(i_account).unwrap().0, "IN_PROGRESS");
    stage.espf.cut();
    stage.espf.release();
    stage.espf.mend();
    stage.until_status(i_account, "OK").await;
    assert_eq!(stage.external.requests().len(), 1);
}

#[tokio::test]
async fn a_status_is_written_as_a_form_or_as_json_with_a_token_or_a_password() {
    for (encoding, auth) in [("form", "bearer"), ("json", "basic")] {
        let lines: &'static str = match encoding {
            "form" => "status_encoding = \"form\"\nespf_auth = \"bearer\"",
            _ => "status_encoding = \"json\"\nespf_auth = \"basic\"",
        };
        let stage = Stage::with(Plan { portabilling: lines, ..Plan::default() }).await;
        let i_account = stage.account(3);
        stage.external.answer(|_| Reply::Code(400, "Ünïcode & <more>=1"));
        stage.change(Change::Update, i_account).await;
        let message = stage.until_status(i_account, "FAILED").await.unwrap();
        assert!(message.contains("Ünïcode & <more>=1"), "{encoding} {auth}: {message}");
    }
}

#[tokio::test]
async fn a_group_that_nobody_registered_is_given_up_and_counted() {
    let handler = super::stage::HSS.replace(r#""HSS""#, r#""Nowhere""#);
    let stage = Stage::with(Plan::handlers(&handler)).await;
    stage.change(Change::Update, stage.account(0)).await;
    stage.settled().await;
    eventually("the statuses are given up", async || {
        let given_up = [r#"value="OK""#, r#"outcome="given_up""#];
        (stage.metric("soapstone_status_writes_total", &given_up).await == 1.0).then_some(())
    })
    .await;
    assert_eq!(stage.external.requests().len(), 1);
}

#[tokio::test]
async fn how_far_the_write_back_is_is_shown_with_the_event_and_what_was_given_up_can_be_written_again() {
    // whatever fails is given up at once
    let retry = RetrySchedule { tries: 0, then: Vec::new(), ..RetrySchedule::default() };
    let status = StatusWriting { retry, ..StatusWriting::default() };
    let stage = Stage::with(Plan { status, ..Plan::default() }).await;
    let account = stage.account(0);
    stage.espf.cut();
    let sent = stage.change(Change::Update, account).await;
    let of_event = async || stage.detail(sent.i_event).await["statuses"].clone();
    let statuses = eventually("it is given up", async || {
        let given_up = |statuses: &Value| statuses[0]["state"] == "given_up" && statuses[0]["value"] == "OK";
        Some(of_event().await).filter(given_up)
    })
    .await;
    let status = &statuses[0];
    assert_eq!((&status["i_account"], &status["group"]), (&json!(account), &json!("HSS")), "{status}");
    assert_eq!((&status["value"], &status["attempts"]), (&json!("OK"), &json!(1)), "{status}");
    assert!(status["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{status}");
    assert_eq!((&status["written_at"], &status["due"]), (&Value::Null, &Value::Null), "{status}");
    let delivery = stage.detail(sent.i_event).await["deliveries"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(stage.ask(&format!("/api/v1/deliveries/{delivery}")).await["statuses"], statuses);
    assert_eq!(stage.ask("/api/v1/statuses?state=given_up").await["statuses"], statuses);
    assert_eq!(stage.ask(&format!("/api/v1/statuses?account={account}")).await["statuses"], statuses);

    let (code, said, error) = soapstone(&stage, &["statuses", "--given-up"]).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(said.starts_with(&format!("{account}/HSS ")) && said.contains(" given_up "), "{said}");
    stage.espf.mend();
    let id = format!("{account}/HSS");
    let (code, said, error) = soapstone(&stage, &["statuses", "again", &id, "1/HSS"]).await;
    let expected = "1 to be written again\n1 left out: not given up, or not there\n";
    assert_eq!((code, said.as_str()), (Some(0), expected), "{error}");
    stage.until_status(account, "OK").await;
    let statuses = eventually("it is on record", async || {
        Some(of_event().await).filter(|statuses| statuses[0]["state"] == "written")
    })
    .await;
    assert!(statuses[0]["written_at"].is_string() && statuses[0]["reason"].is_null(), "{statuses}");
    assert_eq!(soapstone(&stage, &["statuses", "again", "--all"]).await.1, "0 to be written again\n");
    assert_eq!(
        soapstone(&stage, &["statuses", "again"]).await.0,
        Some(64),
        "nobody means all who says nothing"
    );
    assert_eq!(soapstone(&stage, &["statuses"]).await.0, Some(64));
}
