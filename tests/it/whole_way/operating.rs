//! What an operator does with a gateway that runs, and systems that finish later.

use serde_json::{Value, json};
use soapstone::simulator::Change;

use super::external::Reply;
use super::stage::{HSS, Plan, Stage, eventually};
use crate::harness::{listen_to_log, request};

impl Stage {
    /// The operator's API told to do something.
    async fn tell(&self, path: &str, body: Value) -> (u16, Value) {
        let headers = [("Content-Type", "application/json")];
        let answer = request(self.gateway().operator, "POST", path, &headers, &body.to_string()).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.tell(path, body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The state of an event's only delivery, by ESPF's id.
    async fn state(&self, i_event: i64) -> String {
        self.detail(i_event).await["deliveries"][0]["state"].as_str().unwrap().to_owned()
    }

    async fn until_state(&self, i_event: i64, state: &str) {
        eventually(&format!("event {i_event} is {state}"), async || {
            (self.state(i_event).await == state).then_some(())
        })
        .await;
    }

    async fn until_requests(&self, count: usize) {
        eventually(&format!("{count} requests"), async || {
            (self.external.requests().len() == count).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_paused_waits_and_goes_on_when_it_is_resumed() {
    let stage = Stage::set().await;
    let (paused, other) = (stage.account(0), stage.account(1));
    let account = format!("account {paused}");
    for scope in [
        json!({ "scope": "everything" }),
        json!({ "scope": "handler", "name": "hss" }),
        json!({ "scope": "connector", "name": "hss" }),
        json!({ "scope": "subject", "name": account }),
    ] {
        let before = stage.external.requests().len();
        let mut with_reason = scope.clone();
        with_reason["reason"] = "maintenance".into();
        stage.done("/api/v1/pauses", with_reason).await;
        let shown = stage.ask("/api/v1/pauses").await;
        assert_eq!(shown["pauses"][0]["reason"], "maintenance");
        let held = stage.change(Change::Update, paused).await;
        if scope["scope"] == "subject" {
            let goes = stage.change(Change::Update, other).await;
            stage.until_state(goes.i_event, "delivered").await;
            stage.until_requests(before + 1).await;
        }
        assert_eq!(stage.state(held.i_event).await, "pending");
        assert_eq!(stage.done("/api/v1/resume", scope.clone()).await, json!({ "was_paused": true }));
        stage.until_state(held.i_event, "delivered").await;
        assert_eq!(stage.done("/api/v1/resume", scope).await, json!({ "was_paused": false }));
    }
}

#[tokio::test]
async fn a_pause_survives_a_restart() {
    let mut stage = Stage::set().await;
    stage.done("/api/v1/pauses", json!({ "scope": "everything" })).await;
    let held = stage.change(Change::Update, stage.account(0)).await;
    stage.stop_gateway().await;
    stage.start_gateway().await;
    assert_eq!(stage.state(held.i_event).await, "pending");
    assert!(stage.external.requests().is_empty());
    stage.done("/api/v1/resume", json!({ "scope": "everything" })).await;
    stage.until_state(held.i_event, "delivered").await;
}

#[tokio::test]
async fn dead_letters_keep_their_attempts_and_go_again_under_the_same_key() {
    let stage = Stage::set().await;
    stage.external.answer(|_| Reply::Code(400, "no such SIM"));
    for index in 0..3 {
        stage.change(Change::Update, stage.account(index)).await;
    }
    stage.settled().await;
    let dead = stage.ask("/api/v1/deliveries?state=parked&handler=hss").await;
    let dead = dead["deliveries"].as_array().unwrap();
    assert_eq!(dead.len(), 3);
    let first = dead[0]["id"].as_str().unwrap();

    stage.external.answer(|_| Reply::Done);
    let one = stage.done("/api/v1/replay", json!({ "ids": [first] })).await;
    assert_eq!(one["replayed"], json!([first]));
    eventually("the first is delivered", async || {
        let event = stage.ask(&format!("/api/v1/deliveries/{first}")).await;
        let delivery = &event["deliveries"][0];
        (delivery["state"] == "delivered").then(|| {
            let outcomes: Vec<_> = delivery["attempt_list"]
                .as_array()
                .unwrap()
                .iter()
                .map(|attempt| &attempt["outcome"])
                .collect();
            assert_eq!(outcomes, ["refused", "delivered"]);
            assert_eq!(delivery["tries"], 1, "the schedule has begun anew");
        })
    })
    .await;
    let keys: Vec<_> = stage.external.requests().iter().map(|request| request.key().to_owned()).collect();
    assert_eq!(keys.iter().filter(|key| *key == first).count(), 2);

    let rest = stage.done("/api/v1/replay", json!({ "select": { "state": "parked" }, "rate": 1000 })).await;
    assert_eq!((rest["replayed"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
    stage.settled().await;
    assert_eq!(stage.ask("/api/v1/backlog").await["backlog"][0]["delivered"], 3);
    assert_eq!(
        stage.done("/api/v1/replay", json!({ "select": { "state": "parked" } })).await["looked_at"],
        0
    );
}

#[tokio::test]
async fn what_is_cancelled_is_not_attempted_any_more() {
    let stage = Stage::set().await;
    stage.done("/api/v1/pauses", json!({ "scope": "everything" })).await;
    let (unwanted, wanted) = (
        stage.change(Change::Update, stage.account(0)).await,
        stage.change(Change::Update, stage.account(0)).await,
    );
    let id = stage.detail(unwanted.i_event).await["deliveries"][0]["id"].clone();
    let answer = stage.done("/api/v1/cancel", json!({ "ids": [id], "reason": "a mistake" })).await;
    assert_eq!(answer["cancelled"].as_array().unwrap().len(), 1);
    stage.done("/api/v1/resume", json!({ "scope": "everything" })).await;
    stage.until_state(wanted.i_event, "delivered").await;
    let cancelled = stage.detail(unwanted.i_event).await["deliveries"][0].clone();
    assert_eq!((&cancelled["state"], &cancelled["reason"]), (&json!("cancelled"), &json!("a mistake")));
    assert_eq!(stage.external.requests().len(), 1);
}

#[tokio::test]
async fn a_handler_that_comes_later_gets_what_was() {
    let mut stage = Stage::set().await;
    for index in 0..3 {
        stage.change(Change::Update, stage.account(index)).await;
    }
    stage.settled().await;
    let later = HSS.replace("name = \"hss\"", "name = \"later\"").replace("service_group = \"HSS\"\n", "");
    stage.add(&later).await;
    let made = stage.done("/api/v1/subscribe", json!({ "handler": "later", "rate": 1000 })).await;
    assert_eq!(made["made"].as_array().unwrap().len(), 3);
    stage.settled().await;
    let got = stage.external.requests();
    assert_eq!(got.iter().filter(|request| request.handler() == "later").count(), 3);
    let again = stage.done("/api/v1/subscribe", json!({ "handler": "later" })).await;
    assert_eq!((again["made"].as_array().unwrap().len(), &again["looked_at"]), (0, &json!(3)));
}

#[tokio::test]
async fn with_the_order_latest_a_newer_event_makes_those_that_wait_superfluous() {
    let stage = Stage::with(Plan::handlers(&format!("{HSS}order = \"latest\"\n"))).await;
    stage.external.answer(|_| Reply::Held);
    let first = stage.change(Change::Update, stage.account(0)).await;
    stage.until_requests(1).await;
    let mut later = Vec::new();
    for _ in 0..3 {
        later.push(stage.change(Change::Update, stage.account(0)).await);
    }
    stage.external.release();
    stage.external.answer(|_| Reply::Done);
    stage.settled().await;
    let mut states = vec![stage.state(first.i_event).await];
    for sent in &later {
        states.push(stage.state(sent.i_event).await);
    }
    assert_eq!(states, ["delivered", "superseded", "superseded", "delivered"]);
    let reason = stage.detail(later[0].i_event).await["deliveries"][0]["reason"].clone();
    assert!(reason.as_str().unwrap().starts_with("a newer delivery takes its place"), "{reason}");
    assert_eq!(stage.external.requests().len(), 2);
}

#[tokio::test]
async fn what_happened_earlier_goes_first_though_it_came_later() {
    let stage = Stage::set().await;
    stage.done("/api/v1/pauses", json!({ "scope": "everything" })).await;
    let account = stage.account(0);
    let event = |number: i64, time: &str| {
        json!({ "event_type": "Subscriber/Updated", "variables":
            { "i_event": number, "i_account": account, "event_time": time } })
        .to_string()
    };
    for (number, time) in [(1, "2026-11-21 08:00:02"), (2, "2026-11-21 08:00:01"), (3, "2026-11-21 08:00:03")]
    {
        assert_eq!(stage.post(&event(number, time)).await, 200);
    }
    stage.done("/api/v1/resume", json!({ "scope": "everything" })).await;
    stage.settled().await;
    let order: Vec<_> = stage.external.requests().iter().map(|request| request.i_event()).collect();
    assert_eq!(order, [2, 1, 3]);
}

const CALLBACK: &str = r#"
[callback]
url = "http://127.0.0.1:1/"
secret = { env = "CALLBACK" }
patience = "100ms"
"#;

/// Calls back at the address that the request number `index` was told.
async fn call_back(stage: &Stage, index: usize, body: &str) -> (u16, String) {
    let url = stage.external.requests()[index].header("x-callback-url").to_owned();
    let path = url.strip_prefix("http://127.0.0.1:1").unwrap();
    let headers = [("Content-Type", "application/json")];
    let answer = request(stage.gateway().intake, "POST", path, &headers, body).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_system_that_finishes_later_calls_back_once() {
    let plan =
        Plan { connector: "callback = { deadline = \"1h\" }", ..Plan::handlers(&format!("{CALLBACK}{HSS}")) };
    let (log, _guard) = listen_to_log();
    let mut stage = Stage::with(plan).await;
    let account = stage.account(0);
    let (first, second) =
        (stage.change(Change::Update, account).await, stage.change(Change::Update, account).await);
    stage.until_state(first.i_event, "awaiting").await;
    stage.until_status(account, "IN_PROGRESS").await;
    assert_eq!(stage.state(second.i_event).await, "pending", "it holds up its subject");
    // waiting survives a restart
    stage.stop_gateway().await;
    stage.start_gateway().await;
    assert_eq!(call_back(&stage, 0, "{}").await.0, 400, "it has to say whether it worked");
    assert_eq!(call_back(&stage, 0, r#"{"success":true,"message":"done"}"#).await.0, 200);
    assert_eq!(call_back(&stage, 0, r#"{"success":false}"#).await.0, 410, "once");
    stage.until_state(first.i_event, "delivered").await;
    let attempt = stage.detail(first.i_event).await["deliveries"][0]["attempt_list"][0].clone();
    assert_eq!(
        (&attempt["outcome"], &attempt["settled"]["outcome"]),
        (&json!("accepted"), &json!("delivered"))
    );
    assert_eq!(attempt["settled"]["body"], r#"{"success":true,"message":"done"}"#);
    assert!(!attempt["request"].as_str().unwrap().contains("/callback/"), "whoever reads it could call back");

    // the second fails, is tried again under the same key and another address, and works then
    stage.until_requests(2).await;
    stage.until_state(second.i_event, "awaiting").await;
    assert_eq!(call_back(&stage, 1, r#"{"status":"failed","message":"no such SIM"}"#).await.0, 200);
    stage.until_requests(3).await;
    stage.until_state(second.i_event, "awaiting").await;
    assert_eq!(call_back(&stage, 1, r#"{"success":true}"#).await.0, 410, "that attempt is over");
    assert_eq!(call_back(&stage, 2, r#"{"success":true}"#).await.0, 200);
    stage.until_status(account, "OK").await;
    let requests = stage.external.requests();
    assert_eq!(requests[1].key(), requests[2].key());
    let logged = log.entries("a callback");
    let said = |entry: &Value| (entry["delivery"].clone(), entry["status"].clone());
    assert_eq!(said(&logged[1]), (json!(requests[0].key()), json!("200 OK")), "{logged:?}");
    assert_eq!(said(&logged[5]), (json!(requests[2].key()), json!("200 OK")), "{logged:?}");
    assert_ne!(requests[1].header("x-callback-url"), requests[2].header("x-callback-url"));
}

#[tokio::test]
async fn nobody_calls_back_without_a_token_of_ours() {
    let plan = Plan { connector: "callback = {}", ..Plan::handlers(&format!("{CALLBACK}{HSS}")) };
    let stage = Stage::with(plan).await;
    let sent = stage.change(Change::Update, stage.account(0)).await;
    stage.until_state(sent.i_event, "awaiting").await;
    let url = stage.external.requests()[0].header("x-callback-url").to_owned();
    let path = url.strip_prefix("http://127.0.0.1:1").unwrap();
    let last = path.chars().rev().nth(3).unwrap();
    let forged = format!(
        "{}{}{}",
        &path[..path.len() - 4],
        if last == 'A' { 'B' } else { 'A' },
        &path[path.len() - 3..]
    );
    let ask = async |method: &str, path: &str, body: &str| {
        request(stage.gateway().intake, method, path, &[("Content-Type", "application/json")], body)
            .await
            .status
    };
    let done = r#"{"success":true}"#;
    for path in [forged.as_str(), "/callback/", "/callback/AAAA", "/callback/../espf"] {
        assert_eq!(ask("POST", path, done).await, 404, "{path}");
    }
    assert_eq!(ask("GET", path, "").await, 405);
    assert_eq!(ask("POST", path, &format!(r#"{{"success":true,"x":"{}"}}"#, "x".repeat(70_000))).await, 413);
    assert_eq!(stage.state(sent.i_event).await, "awaiting");
    assert_eq!(ask("POST", path, done).await, 200);
}

/// Runs the binary against the operator's side of this stage.
pub(super) async fn soapstone(stage: &Stage, args: &[&str]) -> (Option<i32>, String, String) {
    let operator = ["--operator".to_owned(), format!("http://{}", stage.gateway().operator)];
    let args: Vec<_> = args.iter().map(ToString::to_string).chain(operator).collect();
    let run = move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_soapstone"));
        command.args(args).env_remove("SOAPSTONE_CONFIG").output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Tried again in an hour.
fn patient() -> Plan {
    Plan::handlers(&HSS.replace(r#"first = "10ms", longest = "20ms""#, r#"first = "1h", longest = "1h""#))
}

#[tokio::test]
async fn what_waits_for_its_next_try_is_tried_now_when_it_is_replayed() {
    let stage = Stage::with(patient()).await;
    stage.external.answer(|_| Reply::Code(500, "a wrong password"));
    let sent = stage.change(Change::Update, stage.account(0)).await;
    stage.until_requests(1).await;
    eventually("the failure is on record", async || {
        let delivery = stage.detail(sent.i_event).await["deliveries"][0].clone();
        (delivery["attempts"] == 1 && delivery["state"] == "pending").then_some(())
    })
    .await;
    stage.external.answer(|_| Reply::Held);
    assert_eq!(soapstone(&stage, &["replay", "--state", "pending"]).await.1, "1 replayed\n");
    stage.until_requests(2).await;
    let (code, said, _) = soapstone(&stage, &["replay", "--handler", "hss"]).await;
    assert_eq!((code, said.as_str()), (Some(0), "0 replayed\n1 left out: in flight, so it is being tried\n"));
    stage.external.release();
    stage.until_state(sent.i_event, "delivered").await;
    let delivery = stage.detail(sent.i_event).await["deliveries"][0].clone();
    assert_eq!((&delivery["attempts"], &delivery["tries"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn the_gateway_is_asked_without_its_secrets() {
    let stage = Stage::set().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("soapstone.toml");
    let address = format!("operator = \"{}\"", stage.gateway().operator);
    let config = soapstone::config::EXAMPLE.replacen("operator = \"127.0.0.1:8081\"", &address, 1);
    std::fs::write(&file, config).unwrap();
    let run = move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_soapstone"));
        command.args(["state", "--config"]).arg(file).env_clear().output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn the_commands_go_by_the_pages_that_the_gateway_gives() {
    let mut stage = Stage::set().await;
    stage.add("[store]\npage_max = 2\n").await;
    for index in 0..5 {
        stage.change(Change::Update, stage.account(index)).await;
    }
    stage.settled().await;
    let (code, said, error) = soapstone(&stage, &["deliveries", "--limit", "4"]).await;
    assert_eq!((code, said.lines().count()), (Some(0), 4), "{error}");
    let (code, said, error) = soapstone(&stage, &["deliveries"]).await;
    assert_eq!((code, said.lines().count()), (Some(0), 5), "{error}");
    let ids: Vec<_> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let (code, said, error) = soapstone(&stage, &[&["replay"], &ids[..]].concat()).await;
    assert_eq!((code, said.as_str()), (Some(0), "5 replayed\n"), "{error}");
    stage.settled().await;
    let (code, said, error) = soapstone(&stage, &["replay", "--handler", "hss", "--rate", "1000"]).await;
    assert_eq!((code, said.as_str()), (Some(0), "5 replayed\n"), "{error}");
    stage.settled().await;
    let (code, said, error) = soapstone(&stage, &["cancel", "--handler", "hss", "--reason", "no"]).await;
    assert_eq!((code, said.as_str()), (Some(0), "0 cancelled\n5 left out: delivered\n"), "{error}");
    stage.add(&HSS.replace("name = \"hss\"", "name = \"later\"")).await;
    let (code, said, error) = soapstone(&stage, &["subscribe", "later"]).await;
    assert_eq!((code, said.as_str()), (Some(0), "5 deliveries made\n"), "{error}");
}

#[tokio::test]
async fn an_operator_does_all_that_on_the_command_line() {
    let stage = Stage::set().await;
    let (code, said, _) = soapstone(&stage, &["pause", "--handler", "hss", "--reason", "night"]).await;
    assert_eq!((code, said.starts_with("paused")), (Some(0), true), "{said}");
    let (code, _, error) = soapstone(&stage, &["pause", "--handler", "hs"]).await;
    assert_eq!((code, error.trim()), (Some(64), "there is no handler \"hs\""));
    let sent = stage.change(Change::Update, stage.account(0)).await;
    let (_, said, _) = soapstone(&stage, &["state"]).await;
    assert!(said.contains("\"night\"") && said.contains("\"pending\": 1"), "{said}");
    let (_, said, _) = soapstone(&stage, &["cancel", "--state", "pending", "--reason", "a mistake"]).await;
    assert_eq!(said, "1 cancelled\n");
    let (_, said, _) = soapstone(&stage, &["deliveries", "--state", "cancelled"]).await;
    assert!(said.contains(" cancelled ") && said.contains("a mistake"), "{said}");
    assert_eq!(soapstone(&stage, &["resume", "--handler", "hss"]).await.1, "resumed\n");
    assert_eq!(soapstone(&stage, &["replay"]).await.0, Some(64), "nobody means everything who says nothing");
    assert_eq!(soapstone(&stage, &["replay", "--state", "cancelled"]).await.1, "1 replayed\n");
    stage.until_state(sent.i_event, "delivered").await;
}

#[tokio::test]
async fn a_subject_is_paused_however_its_number_is_spelled_and_one_without_events_is_said_to_be() {
    let stage = Stage::set().await;
    let account = stage.account(0);
    let first = stage.change(Change::Update, account).await;
    stage.until_state(first.i_event, "delivered").await;
    let spelled = format!("account 0{account}");
    let (code, said, _) = soapstone(&stage, &["pause", "--subject", &spelled]).await;
    assert_eq!((code, said.lines().count()), (Some(0), 1), "{said}");
    let shown = stage.ask("/api/v1/pauses").await;
    assert_eq!(shown["pauses"][0]["name"], format!("account {account}"));
    let held = stage.change(Change::Update, account).await;
    let other = stage.change(Change::Update, stage.account(1)).await;
    stage.until_state(other.i_event, "delivered").await;
    assert_eq!(stage.state(held.i_event).await, "pending");
    assert_eq!(soapstone(&stage, &["resume", "--subject", &spelled]).await.1, "resumed\n");
    stage.until_state(held.i_event, "delivered").await;
    let (code, said, _) = soapstone(&stage, &["pause", "--subject", "account 4711"]).await;
    assert_eq!(
        (code, said.lines().nth(1)),
        (Some(0), Some("there has been no event about account 4711 so far"))
    );
    // a telephone number is what it is
    soapstone(&stage, &["pause", "--subject", "did 0049301234"]).await;
    let shown = stage.ask("/api/v1/pauses").await;
    assert_eq!(shown["pauses"][1]["name"], "did 0049301234", "{shown}");
}
