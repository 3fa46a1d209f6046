//! The external system fails.

use std::collections::HashSet;

use soapstone::simulator::Change;

use super::external::{Reply, Request};
use super::stage::{Plan, Stage};

/// The one key of all requests.
fn key(requests: &[Request]) -> String {
    let keys: HashSet<_> = requests.iter().map(Request::key).collect();
    assert_eq!(keys.len(), 1, "an attempt came under another key");
    requests[0].key().to_owned()
}

/// Replies of these, one after the other, then success.
fn replies(mut replies: Vec<Reply>) -> impl FnMut(&Request) -> Reply + Send {
    replies.reverse();
    move |_| replies.pop().unwrap_or(Reply::Done)
}

#[tokio::test]
async fn whatever_may_pass_is_tried_again_under_the_same_key() {
    let stage = Stage::with(Plan { connector: r#"timeout = "100ms""#, ..Plan::default() }).await;
    let i_account = stage.account(0);
    let failures = vec![
        Reply::Code(500, "out of order"),
        Reply::Silence,
        Reply::Reset,
        Reply::Code(422, "time-out upstream"),
        Reply::Code(404, "not here"),
        Reply::Code(429, "slowly"),
    ];
    let count = failures.len();
    stage.external.answer(replies(failures));
    let sent = stage.change(Change::Update, i_account).await;
    stage.until_status(i_account, "OK").await;
    let requests = stage.external.requests();
    assert_eq!(requests.len(), count + 1);
    key(&requests);

    let event = stage.detail(sent.i_event).await;
    let attempts = event["deliveries"][0]["attempt_list"].as_array().unwrap();
    let reasons: Vec<_> = attempts.iter().map(|attempt| attempt["reason"].as_str().unwrap_or("")).collect();
    let beginnings = [
        "HTTP 500 Internal Server Error: out of order",
        "no answer within 100ms; it may have been carried out",
        "the connection broke before the answer; it may have been carried out",
        "HTTP 422 Unprocessable Entity: time-out upstream",
        "HTTP 404 Not Found: not here",
        "HTTP 429 Too Many Requests: slowly",
        "",
    ];
    for (number, (reason, beginning)) in reasons.iter().zip(beginnings).enumerate() {
        assert!(reason.starts_with(beginning), "{reason} instead of {beginning}");
        assert_eq!(attempts[number]["number"], number + 1);
    }
    assert_eq!(attempts.len(), beginnings.len());
}

#[tokio::test]
async fn while_it_fails_portabilling_knows_the_reason() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    stage.external.answer(|_| Reply::Code(503, "closed on Sundays"));
    stage.change(Change::Update, i_account).await;
    let message = stage.until_status(i_account, "RETRY").await.unwrap();
    assert!(message.contains("closed on Sundays"), "{message}");
    stage.external.answer(|_| Reply::Done);
    assert_eq!(stage.until_status(i_account, "OK").await, None);
    key(&stage.external.requests());
}

#[tokio::test]
async fn nothing_is_lost_while_nobody_listens_there() {
    let mut stage = Stage::set().await;
    let down = super::cable::Cable::to(stage.external.address).await;
    down.cut();
    stage.reconnect_external(down.address).await;
    let i_account = stage.account(0);
    let sent = stage.change(Change::Update, i_account).await;
    down.refused(3).await;
    stage.until_status(i_account, "RETRY").await;
    down.mend();
    stage.until_status(i_account, "OK").await;
    assert_eq!(stage.external.requests().len(), 1);
    assert!(stage.detail(sent.i_event).await["deliveries"][0]["attempts"].as_u64().unwrap() >= 4);
}

#[tokio::test]
async fn a_final_code_parks_it_and_says_so_in_portabilling() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    stage.external.answer(replies(vec![Reply::Code(400, "no such SIM")]));
    let sent = stage.change(Change::Update, i_account).await;
    let message = stage.until_status(i_account, "FAILED").await.unwrap();
    assert!(message.contains("no such SIM"), "{message}");
    let delivery = &stage.detail(sent.i_event).await["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&"parked".into(), &1.into()));
    assert!(delivery["reason"].as_str().unwrap().contains("no such SIM"), "{delivery}");

    // the next event of the account asks anew, and makes it good
    stage.change(Change::Update, i_account).await;
    stage.until_status(i_account, "OK").await;
    assert_eq!(stage.external.requests().len(), 2);
}

#[tokio::test]
async fn which_codes_are_final_is_a_setting() {
    let stage = Stage::with(Plan { connector: "final = [422]", ..Plan::default() }).await;
    stage.external.answer(replies(vec![Reply::Code(400, "not now"), Reply::Code(422, "never")]));
    let sent = stage.change(Change::Update, stage.account(0)).await;
    stage.until_status(stage.account(0), "FAILED").await;
    let delivery = &stage.detail(sent.i_event).await["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&"parked".into(), &2.into()));
}

#[tokio::test]
async fn one_that_never_ends_is_given_up_after_the_horizon() {
    let handler = super::stage::HSS.replace(
        r#"tries = 100000, then = ["1m"], horizon = "1h""#,
        r#"tries = 3, then = [], horizon = "1h""#,
    );
    let stage = Stage::with(Plan::handlers(&handler)).await;
    stage.external.answer(|_| Reply::Code(500, "for ever"));
    stage.change(Change::Update, stage.account(0)).await;
    let message = stage.until_status(stage.account(0), "FAILED").await.unwrap();
    assert!(message.starts_with("given up after 3 tries; the last: HTTP 500"), "{message}");
    assert_eq!(stage.external.requests().len(), 3);
}
