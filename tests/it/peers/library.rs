//! Foreign clients against a generated server of several port types: they read the definition that it gives, and call
//! it in document/literal, wrapped and bare, in rpc/literal, and in SOAP 1.2.
use std::process::{Command, Stdio};

use serde_json::{Map, Value as Json, json};

use super::installed;
use super::served::Library;
use crate::harness::soon;

/// The client, how it is started from the peers' folder, and what it can't do.
const CLIENTS: [(&str, &[&str], &[&str]); 5] = [
    ("zeep", &[".venv/bin/python", "clients/library.py"], &[]),
    // the subcodes of SOAP 1.2 it doesn't give out
    ("php", &["php", "clients/library.php"], &["subcodes"]),
    ("node-soap", &["node", "clients/library.js"], &[]),
    ("strong-soap", &["node", "clients/library.js"], &[]),
    // a body that is a simple value it can't write
    ("soaplite", &["perl", "clients/library.pl"], &["count"]),
];

async fn play(client: &str) {
    let (_, command, cannot) = CLIENTS.into_iter().find(|it| it.0 == client).expect("a client");
    if !installed::has(client) {
        return;
    }
    let server = Library::default();
    let url = server.serve().await;
    let name = client.to_owned();
    let said = tokio::task::spawn_blocking(move || run(&name, command, &url)).await.expect("it runs");
    judge(&said, cannot);
    soon(server.logged.notified()).await;
    assert_eq!(*server.lines.lock().expect("the lines"), [client]);
}

/// What the client printed: operation → what came out.
fn run(client: &str, command: &[&str], url: &str) -> Map<String, Json> {
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(url)
        .env("LAB_NODE", client)
        .current_dir(installed::folder())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{client}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let said: Map<String, Json> =
        lines.filter_map(|line| Some((line["op"].as_str()?.to_string(), line.clone()))).collect();
    assert!(said.len() >= 9, "{text}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn judge(said: &Map<String, Json>, cannot: &[&str]) {
    let code = |op: &str| {
        let code = said[op]["fault"].as_str().unwrap_or_default();
        code.rsplit(':').next().unwrap_or_default().to_owned()
    };
    for op in ["find", "find12"] {
        let out = &said[op]["out"];
        assert_eq!(out["ids"], json!(["b-1855", "b-1856"]), "{op}: {}", said[op]);
        assert_eq!(out["title"], "Žlutý <&> кот", "{op}");
        assert_eq!(out["price"].as_str().and_then(|price| price.parse().ok()), Some(12.1), "{op}: {out}");
        assert_eq!(out["authors"], json!(["Božena Němcová", "K. & J. <Čapek>"]), "{op}");
        assert_eq!(number(&out["left"]), Some(5), "{op}, the answer's header: {out}");
    }
    assert_eq!((code("none").as_str(), code("none12").as_str()), ("Client.NotFound", "Sender"), "{said:?}");
    for op in ["none", "none12"] {
        assert_eq!(said[op]["said"], "no <such> book", "{op}");
        assert_eq!(said[op]["detail"], json!(["nothing"]), "{op}");
    }
    if !cannot.contains(&"subcodes") {
        assert_eq!(said["none12"]["subcodes"], json!(["NotFound"]));
    }
    assert_eq!(said["log"], json!({ "op": "log", "out": null }));
    if !cannot.contains(&"count") {
        assert_eq!(number(&said["count"]["out"]), Some(5), "{}", said["count"]);
    }
    assert_eq!(said["store"]["out"], "stored", "{}", said["store"]);
    let pair = |op: &str, one: &str, other: &str| {
        let out = &said[op]["out"];
        (number(&out[one]), number(&out[other]))
    };
    assert_eq!(pair("divide", "quotient", "remainder"), (Some(3), Some(2)), "{}", said["divide"]);
    assert_eq!(
        (code("zero").as_str(), &said["zero"]["detail"]),
        ("Client", &json!(["17"])),
        "{}",
        said["zero"]
    );
    assert_eq!(pair("swap", "left", "right"), (Some(2), Some(1)), "{}", said["swap"]);
}

fn number(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeep_reads_our_definition_and_calls_every_literal_style_in_both_versions() {
    play("zeep").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn php_reads_our_definition_and_calls_every_literal_style_in_both_versions() {
    play("php").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_soap_reads_our_definition_and_calls_every_literal_style_in_both_versions() {
    play("node-soap").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strong_soap_reads_our_definition_and_calls_every_literal_style_in_both_versions() {
    play("strong-soap").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soap_lite_calls_document_and_rpc_literal_in_both_versions() {
    play("soaplite").await;
}
