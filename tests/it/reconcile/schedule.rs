//! Walks that begin by themselves.

use axum::Json;
use axum::routing::{get, post};

use super::*;

const EVERY_HOUR: &str = "rate = 1000\nevery = \"1h\"\nagain = \"50ms\"";

#[tokio::test]
async fn on_the_schedule_a_walk_begins_by_itself_and_not_again_at_the_next_start() {
    let mut stage = Stage::with(plan_with("rate = 1000\nevery = \"1h\"", "")).await;
    let first = done(&stage).await;
    stage.settled().await;
    assert_eq!((&first["enqueued"], told_once(&stage, 0).len()), (&json!(20), 20));
    stage.stop_gateway().await;
    stage.start_gateway().await;
    let again = done(&stage).await;
    assert_eq!(again["started_at"], first["started_at"]);
    assert_eq!(stage.external.requests().len(), 20);
}

#[tokio::test]
async fn who_has_looked_by_hand_has_put_nothing_off() {
    let mut stage = Stage::with(plan_with("rate = 1000", "")).await;
    start(&stage, json!({ "dry_run": true })).await;
    assert_eq!(done(&stage).await["differing"], 20);
    stage
        .change_config(|text| text.replace("[reconcile]\nrate = 1000", &format!("[reconcile]\n{EVERY_HOUR}")))
        .await;
    let walk = until(&stage, "the scheduled one has ended", |walk| {
        walk["dry_run"] == false && walk["state"] == "done"
    })
    .await;
    stage.settled().await;
    assert_eq!((&walk["enqueued"], told_once(&stage, 0).len()), (&json!(20), 20));
    // and a look afterwards makes no other begin before it is due
    start(&stage, json!({ "dry_run": true })).await;
    until(&stage, "the look has ended", |walk| walk["dry_run"] == true && walk["state"] == "done").await;
    stage.stop_gateway().await;
    stage.start_gateway().await;
    let walk = until(&stage, "the walk is known", |walk| walk.is_object()).await;
    assert_eq!((&walk["dry_run"], &walk["state"]), (&json!(true), &json!("done")), "{walk}");
}

#[tokio::test]
async fn a_scheduled_walk_that_broke_off_goes_on_by_itself() {
    let stage = Stage::with(plan_with(EVERY_HOUR, "")).await;
    done(&stage).await;
    stage.settled().await;
    let changed = dropped(&stage, Change::Update, [3, 4]);
    let fault = Some("Server.Account.get_account_list.access_denied");
    stage.simulator.disturb(Disturbance { fault, ..Disturbance::default() });
    start(&stage, json!({})).await;
    until(&stage, "it has broken off", |walk| walk["state"] == "failed").await;
    stage.simulator.disturb(Disturbance::default());
    // a beat of the schedule is 5 s
    let walk = done(&stage).await;
    stage.settled().await;
    assert_eq!((told_once(&stage, 20), &walk["reason"]), (changed, &Value::Null));
}

/// A gateway that says this when it is asked how far the walks are, one after the other, and then the last again and again.
async fn gateway_that_says(answers: Vec<Value>) -> std::net::SocketAddr {
    let answers = std::sync::Arc::new(std::sync::Mutex::new(answers));
    let walks = move || {
        let mut answers = answers.lock().unwrap();
        let walks = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        std::future::ready(Json(json!({ "walks": walks })))
    };
    let started = || std::future::ready((http::StatusCode::ACCEPTED, Json(json!({ "started": ["hss"] }))));
    let router = axum::Router::new().route("/api/v1/reconcile", get(walks).merge(post(started)));
    let (listener, address) = crate::harness::free_port().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn the_command_goes_on_while_the_gateway_does_not_know_how_far_the_walk_is() {
    // another gateway has taken it over, and it is forgotten until that one's note is read
    let done = json!([{ "handler": "hss", "state": "done", "dry_run": false, "seen": 20 }]);
    let address =
        gateway_that_says(vec![json!([]), json!([{ "handler": "other", "state": "done" }]), done]).await;
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soapstone"));
        command.args(["reconcile", "--operator", &format!("http://{address}")]).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.starts_with("hss: done; 20 seen"), "{said}");
}
