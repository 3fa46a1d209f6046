//! Events that ESPF dropped: a walk through all accounts, or customers, finds what they were about, and has it delivered.

mod customers;
mod gone;
mod schedule;
mod several;

use std::collections::{BTreeSet, HashMap};
use std::process::{Command, Stdio};
use std::time::Duration;

use portabilling::types::AccountInfo;
use serde_json::{Value, json};
use soapstone::simulator::{Change, Disturbance};

use crate::harness::{Answer, request};
use crate::whole_way::external::Reply;
use crate::whole_way::stage::{HSS, Plan, Stage, eventually};

/// The handler, to be reconciled; a fast walk in pages of seven.
fn plan() -> Plan {
    plan_with("rate = 1000\npage = 7", "")
}

fn plan_with(section: &str, handler: &str) -> Plan {
    let reconcile = format!("reconcile = {{ {handler} }}\nservice_group");
    Plan::handlers(&format!("[reconcile]\n{section}\n{}", HSS.replacen("service_group", &reconcile, 1)))
}

/// A stage on which all accounts have been delivered once.
async fn delivered(plan: Plan) -> Stage {
    let stage = Stage::with(plan).await;
    for i_account in stage.simulator.world(|world| world.account_ids()) {
        stage.event("Subscriber/Updated", json!({ "i_account": i_account })).await;
    }
    stage.settled().await;
    stage
}

/// Changes in PortaBilling of which no event tells.
fn dropped(stage: &Stage, change: Change, indexes: impl IntoIterator<Item = usize>) -> BTreeSet<i64> {
    let ids: BTreeSet<i64> = indexes.into_iter().map(|index| stage.account(index)).collect();
    for i_account in &ids {
        stage.simulator.world(|world| world.change(change, *i_account, ""));
    }
    ids
}

async fn post(stage: &Stage, path: &str, body: Value) -> Answer {
    let headers = [("Content-Type", "application/json")];
    request(stage.gateway().operator, "POST", path, &headers, &body.to_string()).await
}

async fn start(stage: &Stage, body: Value) {
    let answer = post(stage, "/api/v1/reconcile", body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body, r#"{"started":["hss"]}"#);
}

/// The one walk, as it is.
async fn walk(stage: &Stage) -> Value {
    stage.ask("/api/v1/reconcile").await["walks"][0].clone()
}

async fn until(stage: &Stage, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || Some(walk(stage).await).filter(|walk| wanted(walk))).await
}

async fn done(stage: &Stage) -> Value {
    until(stage, "the walk has ended", |walk| walk["state"] == "done").await
}

/// Walks, and waits until all has been delivered.
async fn reconcile(stage: &Stage) -> Value {
    start(stage, json!({})).await;
    let walk = done(stage).await;
    stage.settled().await;
    walk
}

/// The accounts of the requests from the number `from` on, in their order.
fn told(stage: &Stage, from: usize) -> Vec<i64> {
    let account = |data: &Value| data["variables"]["i_account"].as_i64().unwrap();
    stage.external.requests()[from..].iter().map(|request| account(&request.body["data"])).collect()
}

fn told_once(stage: &Stage, from: usize) -> BTreeSet<i64> {
    let all = told(stage, from);
    let set: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!(set.len(), all.len(), "somebody was told twice: {all:?}");
    set
}

/// What the external system believes is what PortaBilling says.
fn assert_right(stage: &Stage) {
    let mut believed = HashMap::new();
    for request in stage.external.requests() {
        let data = request.body["pb_data"].clone();
        if let Some(id) = data["account_info"]["i_account"].as_i64() {
            believed.insert(id, data);
        }
    }
    let truth = |account: &AccountInfo| (account.lastname.clone(), account.blocked.as_deref() == Some("Y"));
    stage.simulator.world(|world| {
        for i_account in world.account_ids() {
            let (lastname, blocked) = truth(world.account(i_account).unwrap());
            let data = &believed[&i_account];
            assert_eq!(data["account_info"]["lastname"], json!(lastname), "account {i_account}");
            assert_eq!(data["account_info"]["blocked"], json!(blocked), "account {i_account}");
            let card = world.card_of(i_account).and_then(|card| card.i_sim_card);
            assert_eq!(data["sim_info"]["i_sim_card"], json!(card), "account {i_account}");
        }
    });
}

#[tokio::test]
async fn exactly_what_differs_is_delivered_and_then_nothing_does() {
    let stage = delivered(plan()).await;
    let mut changed = dropped(&stage, Change::Update, [0, 6, 7]);
    changed.extend(dropped(&stage, Change::Block, [8, 13]));
    changed.extend(dropped(&stage, Change::SwapSim, [14, 19]));
    let created = stage.simulator.world(|world| {
        world.change(Change::Create, 0, "");
        *world.account_ids().last().unwrap()
    });
    changed.insert(created);

    let walk = reconcile(&stage).await;
    assert_eq!(told_once(&stage, 20), changed);
    assert_right(&stage);
    for (name, count) in [("total", 21), ("seen", 21), ("same", 13), ("differing", 8), ("enqueued", 8)] {
        assert_eq!(walk[name], count, "{name} in {walk}");
    }
    let sent = &stage.external.requests()[20].body["data"];
    let i_account = &sent["variables"]["i_account"];
    assert_eq!(*sent, json!({ "event_type": "Subscriber/Updated", "variables": { "i_account": i_account } }));
    let page = stage.ask(&format!("/api/v1/events?subject={created}")).await;
    assert_eq!(page["events"][0]["source"], "reconcile");
    stage.until_status(created, "OK").await;

    // a swapped card was delivered with the one before; that it no longer is doesn't count
    let again = reconcile(&stage).await;
    assert_eq!((&again["same"], &again["differing"]), (&json!(21), &json!(0)), "{again}");
    assert_eq!(stage.external.requests().len(), 28);
    let found = |finding: &str| {
        let finding = format!(r#"finding="{finding}""#);
        let stage = &stage;
        async move { stage.metric("soapstone_reconciled_total", &[&finding, r#"kind="account""#]).await }
    };
    assert_eq!((found("same").await, found("enqueued").await), (34.0, 8.0));
}

#[tokio::test]
async fn a_dry_run_makes_no_events_and_names_what_differs_without_values() {
    let stage = delivered(plan()).await;
    let updated = dropped(&stage, Change::Update, [3]).pop_first().unwrap();
    let swapped = dropped(&stage, Change::SwapSim, [9]).pop_first().unwrap();
    start(&stage, json!({ "handler": "hss", "dry_run": true })).await;
    let walk = done(&stage).await;
    assert_eq!((&walk["differing"], &walk["enqueued"]), (&json!(2), &json!(0)), "{walk}");
    let example = |id: i64, members: &[&str]| json!({ "subject": { "kind": "account", "id": id.to_string() }, "difference": "members", "members": members });
    let mut examples = walk["examples"].as_array().unwrap().clone();
    examples.sort_by_key(|example| example["subject"]["id"].to_string());
    let card = ["sim_info.i_sim_card", "sim_info.iccid", "sim_info.imsi"];
    assert_eq!(examples, [example(updated, &["account_info.lastname"]), example(swapped, &card)]);
    stage.settled().await;
    let events = stage.ask("/api/v1/events?limit=500").await["events"].as_array().unwrap().len();
    assert_eq!((events, stage.external.requests().len()), (20, 20));
}

#[tokio::test]
async fn a_walk_goes_on_after_a_restart_and_leaves_nobody_out() {
    let mut stage = delivered(plan_with("rate = 40\npage = 7\nin_flight = 2", "")).await;
    let all = dropped(&stage, Change::Update, 0..20);
    start(&stage, json!({})).await;
    for seen in [3, 10] {
        let walk = until(&stage, "it is in the middle", |walk| walk["seen"].as_u64() >= Some(seen)).await;
        assert_eq!(walk["state"], "running", "{walk}");
        stage.stop_gateway().await;
        stage.start_gateway().await;
    }
    let walk = done(&stage).await;
    stage.settled().await;
    assert_eq!(told_once(&stage, 20), all);
    assert_eq!((&walk["seen"], &walk["enqueued"]), (&json!(20), &json!(20)), "{walk}");
    assert_right(&stage);
}

#[tokio::test]
async fn a_walk_that_was_stopped_is_resumed_where_it_was() {
    let stage = delivered(plan_with("rate = 40\npage = 7", "")).await;
    let all = dropped(&stage, Change::Update, 0..20);
    let nothing = post(&stage, "/api/v1/reconcile", json!({ "resume": true })).await;
    assert_eq!(nothing.status, 409, "{nothing:?}");
    start(&stage, json!({})).await;
    until(&stage, "it is in the middle", |walk| walk["seen"].as_u64() >= Some(9)).await;
    let stopped = post(&stage, "/api/v1/reconcile/stop", json!({})).await;
    assert_eq!((stopped.status, stopped.body.as_str()), (200, r#"{"stopped":["hss"]}"#));
    let walk = until(&stage, "it has stopped", |walk| walk["state"] == "stopped").await;
    assert!(walk["seen"].as_u64() < Some(20), "{walk}");
    stage.settled().await;
    assert_eq!(json!(told_once(&stage, 20).len()), walk["enqueued"]);

    start(&stage, json!({ "resume": true })).await;
    let walk = done(&stage).await;
    stage.settled().await;
    assert_eq!(told_once(&stage, 20), all);
    assert_eq!(walk["seen"], 20, "{walk}");
}

#[tokio::test]
async fn the_rate_is_held_and_the_rest_estimated() {
    let stage = delivered(plan_with("rate = 1000\npage = 7", "")).await;
    let begun = std::time::Instant::now();
    start(&stage, json!({ "rate": 25.0 })).await;
    let walk = until(&stage, "it is under way", |walk| walk["seen"].as_u64() >= Some(5)).await;
    let (per_second, left) = (walk["per_second"].as_f64().unwrap(), walk["seconds_left"].as_f64().unwrap());
    // the first has no turn to wait for, and a timer's lateness is made up for
    assert!(per_second < 40.0, "{walk}");
    // those that haven't been seen, and the three pages of the list
    assert!((left - (23.0 - walk["seen"].as_f64().unwrap()) / per_second).abs() < 0.001, "{walk}");
    done(&stage).await;
    // nineteen gaps of 40 ms, less what a turn may come early
    assert!(begun.elapsed() >= Duration::from_millis(19 * 40 - 30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_outage_of_portabilling_costs_time_and_nothing_else() {
    let stage = delivered(plan_with("rate = 100\npage = 7", "")).await;
    let changed = dropped(&stage, Change::Update, [11, 17]);
    start(&stage, json!({})).await;
    until(&stage, "it is in the middle", |walk| walk["seen"].as_u64() >= Some(4)).await;
    stage.soap.cut();
    stage.espf.cut();
    until(&stage, "it waits", |walk| walk["waits"].is_string()).await;
    // left alone, and tried by nobody but the walk: there is nothing to deliver
    eventually("the breaker has opened twice", async || {
        let breakers = stage.ask("/api/v1/breakers").await;
        let openings = breakers["breakers"][0]["openings"].as_u64();
        openings.filter(|openings| *openings >= 2)
    })
    .await;
    let halted = walk(&stage).await;
    assert_eq!(halted["state"], "running", "{halted}");
    stage.soap.mend();
    stage.espf.mend();
    let walk = done(&stage).await;
    stage.settled().await;
    assert_eq!(told_once(&stage, 20), changed);
    assert_eq!(
        (&walk["seen"], &walk["failed"], &walk["waits"]),
        (&json!(20), &json!(0), &Value::Null),
        "{walk}"
    );
}

#[tokio::test]
async fn a_list_that_is_refused_ends_the_walk_with_the_reason_and_it_can_be_resumed() {
    let stage = delivered(plan()).await;
    let fault = Some("Server.Account.get_account_list.access_denied");
    stage.simulator.disturb(Disturbance { fault, ..Disturbance::default() });
    start(&stage, json!({})).await;
    let walk = until(&stage, "it has broken off", |walk| walk["state"] == "failed").await;
    assert!(walk["reason"].as_str().unwrap().contains("access_denied"), "{walk}");
    stage.simulator.disturb(Disturbance::default());
    start(&stage, json!({ "resume": true })).await;
    assert_eq!(done(&stage).await["same"], 20);
}

#[tokio::test]
async fn a_second_walk_is_refused_while_one_is_under_way() {
    let stage = delivered(plan_with("rate = 1", "")).await;
    start(&stage, json!({ "dry_run": true })).await;
    for body in [json!({}), json!({ "handler": "hss" }), json!({ "resume": true })] {
        let second = post(&stage, "/api/v1/reconcile", body).await;
        assert_eq!(second.status, 409, "{second:?}");
    }
    post(&stage, "/api/v1/reconcile/stop", json!({ "handler": "hss" })).await;
    until(&stage, "it has stopped", |walk| walk["state"] == "stopped").await;
    start(&stage, json!({ "rate": 1000.0 })).await;
    assert_eq!(done(&stage).await["same"], 20);
}

#[tokio::test]
async fn who_has_nothing_to_compare_is_refused_with_what_to_do() {
    let plain = HSS.replace(r#"name = "hss""#, r#"name = "plain""#);
    let bare = r#"
[[handler]]
name = "bare"
events = ["Invoice/*"]
connector = "hss"
"#;
    let plan = plan();
    let stage = Stage::with(Plan { handlers: format!("{}{plain}{bare}", plan.handlers), ..plan }).await;
    for (handler, why) in [
        ("plain", "add reconcile = "),
        ("bare", "fetches nothing, so there is nothing to compare"),
        ("nobody", "there is no handler"),
    ] {
        let refused = post(&stage, "/api/v1/reconcile", json!({ "handler": handler })).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body.contains(why), "{refused:?}");
    }
    let refused = post(&stage, "/api/v1/reconcile", json!({ "rate": 0 })).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    // without a name it is for those that can be
    start(&stage, json!({ "dry_run": true })).await;
    assert_eq!(done(&stage).await["differing"], 20);
}

#[tokio::test]
async fn what_a_waiting_delivery_will_see_to_is_left_to_it() {
    let stage = delivered(plan()).await;
    stage.external.answer(|_| Reply::Held);
    dropped(&stage, Change::Update, [4]);
    stage.change(Change::Update, stage.account(5)).await;
    stage.external.got(21).await;
    start(&stage, json!({})).await;
    let walk = done(&stage).await;
    assert_eq!((&walk["on_its_way"], &walk["enqueued"]), (&json!(1), &json!(1)), "{walk}");
    // and the next walk finds its own
    start(&stage, json!({})).await;
    let walk = until(&stage, "the next has ended", |walk| walk["on_its_way"] == 2).await;
    assert_eq!(walk["enqueued"], 0, "{walk}");
    stage.external.release();
    stage.settled().await;
    assert_eq!(stage.external.requests().len(), 22);
    assert_right(&stage);
}

#[tokio::test]
async fn nobody_is_left_out_when_others_go_meanwhile_and_the_list_moves_up() {
    let stage = Stage::with(plan_with("rate = 50\npage = 10", "")).await;
    let changed = dropped(&stage, Change::Update, 4..20);
    let before: BTreeSet<i64> = (0..4).map(|index| stage.account(index)).collect();
    start(&stage, json!({})).await;
    let walk = until(&stage, "it is in the first page", |walk| walk["seen"].as_u64() >= Some(4)).await;
    assert!(walk["seen"].as_u64() < Some(9), "too late to say anything: {walk}");
    // those behind it go: what it would ask for next has moved up, past its place
    dropped(&stage, Change::Delete, 0..4);
    let walk = done(&stage).await;
    stage.settled().await;
    let told = told_once(&stage, 0);
    assert_eq!(told.difference(&before).copied().collect::<BTreeSet<_>>(), changed);
    assert_eq!((&walk["listed"], &walk["seen"]), (&json!({ "accounts": 16 }), &json!(20)), "{walk}");
}

#[tokio::test]
async fn those_that_nothing_was_ever_delivered_for_can_be_left_alone() {
    let plan = plan_with("rate = 1000", r#"never_delivered = "leave""#);
    let stage = Stage::with(plan).await;
    let i_account = stage.account(1);
    stage.change(Change::Update, i_account).await;
    stage.settled().await;
    dropped(&stage, Change::Block, [1, 2, 3]);
    let walk = reconcile(&stage).await;
    assert_eq!((&walk["left"], &walk["enqueued"]), (&json!(19), &json!(1)), "{walk}");
    assert_eq!(told(&stage, 1), [i_account]);
}

#[tokio::test]
async fn the_command_shows_what_came_of_it() {
    let stage = delivered(plan()).await;
    let created = stage.simulator.world(|world| {
        world.change(Change::Create, 0, "");
        *world.account_ids().last().unwrap()
    });
    for change in [Change::Update, Change::Delete] {
        // this one's end is told of
        stage.change(change, created).await;
    }
    stage.settled().await;
    let changed = dropped(&stage, Change::Update, [3]).pop_first().unwrap();
    let gone = dropped(&stage, Change::Delete, [19]).pop_first().unwrap();
    let operator = format!("http://{}", stage.gateway().operator);
    let command = |args: &'static [&'static str]| {
        let operator = operator.clone();
        async move {
            let run = move || {
                let mut command = Command::new(env!("CARGO_BIN_EXE_soapstone"));
                command.args(["reconcile", "--operator", &operator]).args(args).output().unwrap()
            };
            let output = tokio::task::spawn_blocking(run).await.unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.code(), text(output.stdout), text(output.stderr))
        }
    };
    let (code, out, _) = command(&["--dry-run", "--handler", "hss"]).await;
    let line = "hss: done; 21 seen: 18 as delivered, 1 differ, 0 on their way, 0 left alone, \
                2 gone (1 untold, 0 not listened for), 0 failed; 0 events made";
    let named = format!("  account {changed}: account_info.lastname\n  account {gone}: gone\n");
    assert_eq!((code, out), (Some(0), format!("{line}\n{named}")));
    let (code, out, _) = command(&["--rate", "500"]).await;
    assert_eq!((code, out), (Some(0), format!("{}\n", line.replace("0 events", "2 events"))));
    stage.settled().await;
    assert_right(&stage);
    let (code, out, _) = command(&["--stop"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "nothing was under way\n"));
    let (code, _, error) = command(&["--handler", "nobody"]).await;
    assert_eq!(code, Some(64), "{error}");
    assert!(error.contains("there is no handler"), "{error}");
}

#[tokio::test]
async fn the_walk_goes_on_when_the_command_is_interrupted() {
    let stage = delivered(plan_with("rate = 1", "")).await;
    let operator = format!("http://{}", stage.gateway().operator);
    let mut command = Command::new(env!("CARGO_BIN_EXE_soapstone"));
    command.args(["reconcile", "--operator", &operator]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    eventually("the command has begun it", async || {
        let walks = stage.ask("/api/v1/reconcile").await;
        (walks["walks"][0]["state"] == "running").then_some(())
    })
    .await;
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("it goes on in the gateway"), "{said}");
    assert_eq!(walk(&stage).await["state"], "running");
}
