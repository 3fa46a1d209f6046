//! Foreign clients, and raw requests that are awkward or hostile, against an endpoint of ours.
use std::process::Output;

use serde_json::Value as Json;

use super::lab::Manner;
use super::{endpoint, installed};

const CLIENTS: [&str; 5] = ["soaplite", "php", "zeep", "node-soap", "strong-soap"];

/// Runs a script of the harness against our endpoint, which goes on serving meanwhile.
async fn run(name: &str, arguments: Vec<String>, url: &str) -> Output {
    let mut command = installed::script(name);
    command.args(arguments).env("LAB_URL", url);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("python3 runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_foreign_client_gets_what_it_asks_our_endpoint_for() {
    ask_all(Manner::Rpc).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_foreign_client_gets_what_it_asks_our_endpoint_for_in_document_style() {
    ask_all(Manner::Doc).await;
}

async fn ask_all(manner: Manner) {
    let url = endpoint::start(manner).await;
    let mut wrong = Vec::new();
    for client in CLIENTS {
        if !installed::has(client) {
            continue;
        }
        let out = tempfile::tempdir().unwrap();
        let arguments = vec![out.path().display().to_string(), manner.name().into(), client.into()];
        let output = run("matrix", arguments, &url).await;
        assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
        let matrix = std::fs::read(out.path().join("matrix.json")).expect("what came out");
        let matrix: Json = serde_json::from_slice(&matrix).expect("what came out");
        let verdicts = matrix[format!("{}|{client}|given", manner.name())]["verdicts"]
            .as_array()
            .expect("verdicts")
            .clone();
        assert_eq!(verdicts.len(), 11, "{client}");
        for verdict in verdicts {
            let (operation, verdict) =
                (verdict[0].to_string(), verdict[1].as_str().unwrap_or("?").to_string());
            // with a tilde: a difference that the stack makes by itself, as nil for empty
            if !verdict.is_empty() && !verdict.starts_with('~') {
                wrong.push(format!("{client}, {operation}: {verdict}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awkward_requests_are_served_and_hostile_ones_refused_at_once() {
    replay(Manner::Rpc, "37 of 37 as expected").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awkward_requests_in_document_style_are_served_and_hostile_ones_refused_at_once() {
    replay(Manner::Doc, "34 of 34 as expected").await;
}

async fn replay(manner: Manner, expected: &str) {
    // needs nothing but Python and the scripts
    if !installed::has("harness") {
        return;
    }
    let url = endpoint::start(manner).await;
    let output = run("replay", vec![url.clone(), manner.name().into()], &url).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(expected), "{said}");
}
