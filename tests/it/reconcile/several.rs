//! Several gateways on one store: one walks at a time, and another goes on when it dies.

use std::net::SocketAddr;

use soapstone::gateway::Gateway;
use soapstone::simulator::{Simulator, SimulatorSettings};
use soapstone::store::Control;
use soapstone::store::postgres::{PostgresSettings, PostgresStore};

use super::*;
use crate::crash::postgres;
use crate::crash::process::{self, Process};
use crate::whole_way::external::External;

/// The walks as this gateway knows them.
async fn seen_by(gateway: &Gateway) -> Value {
    let answer = request(gateway.operator, "GET", "/api/v1/reconcile", &[], "").await;
    serde_json::from_str::<Value>(&answer.body).unwrap()["walks"][0].clone()
}

async fn ask(gateway: &Gateway, path: &str, body: Value) -> Answer {
    request(gateway.operator, "POST", path, &[("Content-Type", "application/json")], &body.to_string()).await
}

fn store(schema: &str, name: &str) -> String {
    format!(
        "[store.postgres]\nurl = {{ env = \"DATABASE\" }}\nschema = \"{schema}\"\nname = \"{name}\"\nheartbeat = \"50ms\"\n\
         lease = \"500ms\"\n"
    )
}

/// A stage with the gateway north on this database, on which all accounts have been delivered once.
async fn stage_on(database: &str, schema: &str) -> (Stage, String) {
    let plan = plan_with("rate = 1000\npage = 7", "");
    let handlers = format!("{}{}", store(schema, "north"), plan.handlers);
    let stage = delivered(Plan { handlers, database: database.to_owned(), ..plan }).await;
    (stage, schema.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_gateways_walks_and_the_other_says_who_and_goes_on_when_it_stops() {
    let Some(server) = postgres::server() else { return };
    let (stage, schema) = stage_on(&server.url(), "walked").await;
    let all = dropped(&stage, Change::Update, 0..20);
    let south = stage.another(|text| text.replace(&store(&schema, "north"), &store(&schema, "south"))).await;

    start(&stage, json!({ "rate": 20.0 })).await;
    let walk = eventually("the other knows of it", async || {
        Some(seen_by(&south).await).filter(|walk| walk["gateway"] == "north")
    })
    .await;
    assert_eq!((&walk["state"], &walk["here"]), (&json!("running"), &json!(false)), "{walk}");
    for (path, body) in
        [("/api/v1/reconcile", json!({})), ("/api/v1/reconcile/stop", json!({ "handler": "hss" }))]
    {
        let refused = ask(&south, path, body).await;
        let said = refused.body.contains(r#"gateway \"north\" walks for handler \"hss\" since "#);
        assert!(refused.status == 409 && said, "{refused:?}");
    }
    let operator = format!("http://{}", south.operator);
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soapstone"));
        command.args(["reconcile", "--operator", &operator]).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(r#"gateway "north" walks"#), "{said}");

    until(&stage, "it is in the middle", |walk| walk["seen"].as_u64() >= Some(6)).await;
    let mut stage = stage;
    stage.stop_gateway().await;
    let walk = eventually("the other has gone on with it to the end", async || {
        Some(seen_by(&south).await).filter(|walk| walk["state"] == "done")
    })
    .await;
    assert_eq!((&walk["seen"], &walk["enqueued"]), (&json!(20), &json!(20)), "{walk}");
    eventually("all is delivered", async || (stage.external.requests().len() >= 40).then_some(())).await;
    assert_eq!(told_once(&stage, 20), all);
    south.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_gateways_with_a_schedule_one_walks() {
    let Some(server) = postgres::server() else { return };
    let (mut stage, schema) = stage_on(&server.url(), "scheduled").await;
    let all = dropped(&stage, Change::Update, 0..20);
    stage.stop_gateway().await;
    let scheduled = |name: &str, text: &str| {
        let text = text.replace("[reconcile]", "[reconcile]\nevery = \"1h\"");
        text.replace(&store(&schema, "north"), &store(&schema, name))
    };
    let (north, south) = tokio::join!(
        stage.another(|text| scheduled("north", text)),
        stage.another(|text| scheduled("south", text))
    );
    let mut ended = Vec::new();
    for gateway in [&north, &south] {
        let walk = eventually("it has ended for both", async || {
            Some(seen_by(gateway).await).filter(|walk| walk["state"] == "done")
        });
        ended.push(walk.await);
    }
    assert_eq!(ended[0]["started_at"], ended[1]["started_at"], "{ended:?}");
    assert_eq!((&ended[0]["enqueued"], &ended[1]["enqueued"]), (&json!(20), &json!(20)));
    eventually("all is delivered", async || (stage.external.requests().len() >= 40).then_some(())).await;
    north.stop().await;
    south.stop().await;
    assert_eq!(told_once(&stage, 20), all);
}

/// The note of the walk, changed by somebody else.
async fn change_note(store: &PostgresStore, change: impl FnOnce(&mut Value)) {
    let note = store.note("reconcile.hss".into()).await.unwrap().unwrap();
    let mut note = serde_json::from_str(&note).unwrap();
    change(&mut note);
    store.put_note("reconcile.hss".into(), note.to_string()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_is_lost_to_another_gateway_and_taken_over_when_that_has_died() {
    let Some(server) = postgres::server() else { return };
    let (stage, schema) = stage_on(&server.url(), "lost").await;
    let all = dropped(&stage, Change::Update, 0..20);
    let settings = PostgresSettings { schema, ..PostgresSettings::new(server.url()) };
    let store = PostgresStore::open(settings, jiff::Timestamp::now()).await.unwrap();
    start(&stage, json!({ "rate": 40.0 })).await;
    until(&stage, "it is in the middle", |walk| walk["seen"].as_u64() >= Some(9)).await;
    // as though this gateway had been frozen for longer than its lease, and the one that took over had died at once
    let begun = std::time::Instant::now();
    let by = json!({ "gateway": "dead", "since": "2026-01-01T00:00:00Z", "id": "x", "beat": 7 });
    change_note(&store, |note| note["by"] = by).await;
    let walk = until(&stage, "it is lost", |walk| walk["gateway"] == "dead").await;
    assert_eq!((&walk["state"], &walk["here"]), (&json!("running"), &json!(false)), "{walk}");
    let refused = post(&stage, "/api/v1/reconcile", json!({})).await;
    assert!(refused.status == 409 && refused.body.contains(r#"gateway \"dead\" walks"#), "{refused:?}");
    until(&stage, "it is taken over", |walk| walk["gateway"] != "dead").await;
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    let walk = done(&stage).await;
    stage.settled().await;
    // those that the lost walk had made events for since its last note are found as delivered, or on their way
    assert_eq!(told_once(&stage, 20), all);
    assert_eq!(
        (&walk["seen"], &walk["differing"].as_u64().map(|differing| differing > 0)),
        (&json!(20), &Some(true))
    );
    assert_eq!(walk["gateway"], Value::Null, "{walk}");
    store.close().await;
}

/// The walk as this process knows it.
async fn known_by(process: &Process) -> Value {
    process.get("/api/v1/reconcile").await["walks"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_of_a_gateway_that_is_frozen_or_killed_is_gone_on_with_by_the_other() {
    let Some(server) = postgres::server() else { return };
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = SimulatorSettings { accounts: 40, ..SimulatorSettings::default() };
    let simulator = Simulator::start(local, settings).await.unwrap();
    let external = External::start().await;
    let store = process::Store::Database { url: server.url(), schema: "walked_and_killed".into() };
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let mut gateway = Process::prepare(&simulator.url(), external.address, &store).await;
        gateway.add("reconcile = {}\n[reconcile]\nrate = 15\npage = 5\n");
        gateway.start();
        gateway.ready().await;
        gateways.push(gateway);
    }
    let headers = [("Content-Type", "application/json")];
    let begun = request(gateways[0].operator, "POST", "/api/v1/reconcile", &headers, "{}").await;
    assert_eq!(begun.status, 202, "{begun:?}");
    let far = async |gateway: &Process, seen: u64| {
        eventually("it walks", async || {
            let walk = known_by(gateway).await;
            (walk["here"] == true && walk["seen"].as_u64() >= Some(seen)).then_some(())
        })
        .await;
    };
    far(&gateways[0], 6).await;
    gateways[0].freeze();
    far(&gateways[1], 12).await;
    // the one that wakes finds that it has lost it
    gateways[0].thaw();
    eventually("the other is said to walk", async || {
        let walk = known_by(&gateways[0]).await;
        (walk["here"] == false && walk["state"] == "running").then_some(())
    })
    .await;
    let refused = request(gateways[0].operator, "POST", "/api/v1/reconcile", &headers, "{}").await;
    assert!(refused.status == 409 && refused.body.contains(" walks for handler "), "{refused:?}");
    gateways[1].kill();
    let walk = eventually("the first has gone on with it to the end", async || {
        Some(known_by(&gateways[0]).await).filter(|walk| walk["state"] == "done")
    })
    .await;
    let all: BTreeSet<i64> = simulator.world(|world| world.account_ids().into_iter().collect());
    eventually("all is delivered", async || {
        let account = |body: &Value| body["data"]["variables"]["i_account"].as_i64().unwrap();
        let told = external.requests().iter().map(|request| account(&request.body)).collect::<BTreeSet<_>>();
        (told == all).then_some(())
    })
    .await;
    assert_eq!((&walk["listed"], &walk["failed"]), (&json!({ "accounts": 40 }), &json!(0)), "{walk}");
}
