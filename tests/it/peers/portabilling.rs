//! Foreign clients against the simulated PortaBilling, over the definitions that it serves: they read our WSDL, log in,
//! and are judged by what they understood.
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use portabilling::account::{GetAccountInfo, GetAccountInfoRequest};
use portabilling::client::{AuthInfo, Client, Credentials, Settings};
use serde_json::{Value as Json, json};
use soapstone::simulator::{SessionSettings, Simulator, SimulatorSettings};

use super::installed;

/// The client and how it is started, from the peers' folder.
const CLIENTS: [(&str, &[&str]); 5] = [
    ("soaplite", &["perl", "clients/portabilling.pl"]),
    ("php", &["php", "clients/portabilling.php"]),
    ("zeep", &[".venv/bin/python", "clients/portabilling.py"]),
    ("node-soap", &["node", "clients/portabilling.js"]),
    ("strong-soap", &["node", "clients/portabilling.js"]),
];
const ACCOUNTS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_foreign_client_works_with_the_simulated_portabilling_over_its_own_definitions() {
    for (client, command) in CLIENTS {
        if !installed::has(client) {
            continue;
        }
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = SimulatorSettings { accounts: ACCOUNTS, ..SimulatorSettings::default() };
        let simulator = Simulator::start(local, settings).await.expect("a free port");
        let url = simulator.url();
        let said = tokio::task::spawn_blocking(move || run(client, command, &url)).await.unwrap();
        judge(client, &said);
        let lastname =
            simulator.world(|world| world.account(1_000_000).and_then(|account| account.lastname.clone()));
        assert_eq!(lastname.as_deref(), Some("Žlutá <&> \"кот\" 😀"), "{client}: what arrived");
        simulator.stop().await;
    }
}

/// What the client printed: operation → what came out.
fn run(client: &str, command: &[&str], url: &str) -> serde_json::Map<String, Json> {
    let said = said(client, command, &[url]);
    assert_eq!(said.len(), 10, "{client}: {said:?}");
    said
}

fn said(client: &str, command: &[&str], arguments: &[&str]) -> serde_json::Map<String, Json> {
    let output = Command::new(command[0])
        .args(&command[1..])
        .args(arguments)
        .env("LAB_NODE", client)
        .current_dir(installed::folder())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{client}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let said = lines.filter_map(|line| Some((line["op"].as_str()?.to_string(), line.clone()))).collect();
    assert!(output.status.success(), "{client}: {text}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn php_says_who_it_is_in_every_way_in_which_our_client_does_and_sees_the_same_account() {
    if !installed::has("php") {
        return;
    }
    let sessions = SessionSettings::default();
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = SimulatorSettings { accounts: ACCOUNTS, sessions: sessions.clone() };
    let simulator = Simulator::start(local, settings).await.expect("a free port");
    let url = simulator.url();
    let (login, password, token) = (sessions.login, sessions.password, sessions.token);
    let arguments = [url.clone(), login.clone(), password.clone(), token.clone()];
    let php = move || said("php", &["php", "clients/ways.php"], &arguments.each_ref().map(String::as_str));
    let said = tokio::task::spawn_blocking(php).await.unwrap();
    let by_password = || Credentials::password(login.clone(), password.clone());
    let by_token = || Credentials::token(login.clone(), token.clone());
    for (name, credentials, way) in [
        ("session_id", by_password(), AuthInfo::SessionId),
        ("api_token", by_token(), AuthInfo::SessionId),
        ("access_token", by_password(), AuthInfo::AccessToken),
        ("inline", by_password(), AuthInfo::Inline),
        ("inline_token", by_token(), AuthInfo::Inline),
        ("bearer", by_password(), AuthInfo::Bearer),
        ("refreshed", by_password(), AuthInfo::Bearer),
        ("cookie", by_password(), AuthInfo::Cookie),
        ("realm", by_password(), AuthInfo::SessionId),
    ] {
        let client = Client::new(Settings { auth_info: way, ..Settings::new(&url, credentials) }).unwrap();
        let request = GetAccountInfoRequest { i_account: Some(1_000_001), ..Default::default() };
        let account = client.call::<GetAccountInfo>(&request).await.unwrap().account_info.unwrap();
        assert_eq!(said[name]["out"], json!([account.id, account.lastname]), "{name}: {:?}", said[name]);
    }
    assert!(said["ping"]["out"].as_i64() > Some(0), "{:?}", said["ping"]);
    assert_eq!(said["logout"]["out"], 1);
    for (name, code) in [
        ("wrong_inline", "Server.Session.auth_failed"),
        ("wrong_bearer", "Client.Session.check_auth.failed_to_process_access_token"),
        ("nothing", "Client.check_auth.envelope_missed"),
        ("ended", "Server.Session.check_auth.auth_failed"),
    ] {
        let fault = said[name]["fault"].as_str().unwrap_or_default();
        assert_eq!(fault.rsplit(':').next(), Some(code), "{name}: {:?}", said[name]);
    }
}

fn judge(client: &str, said: &serde_json::Map<String, Json>) {
    let fault = |op: &str| {
        said[op]["fault"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default().to_string()
    };
    assert_eq!(fault("no_auth"), "Client.check_auth.envelope_missed", "{client}: {said:?}");
    assert_eq!(fault("wrong_login"), "Server.Session.auth_failed", "{client}: {said:?}");
    assert_eq!(said["wrong_login"]["said"], "Invalid login or password <&>", "{client}");
    assert_eq!(said["login"]["out"].as_str().map(str::len), Some(32), "{client}: {said:?}");
    let info = &said["info"]["out"];
    assert_eq!(text(&info["id"]), "420701000000@msisdn", "{client}: {info}");
    assert_eq!(text(&info["lastname"]), "Nováková", "{client}");
    assert_eq!(number(&info["balance"]), Some(12.1), "{client}: {info}");
    assert!(info["credit_limit"].is_null(), "{client}: nil is {}", info["credit_limit"]);
    assert_eq!(info["features"], json!(["netaccess_policy", "cli"]), "{client}");
    let values: Vec<String> = info["values"].as_array().into_iter().flatten().map(text).collect();
    assert_eq!(values, ["4201", "4202"], "{client}: {info}");
    let list = &said["list"]["out"];
    let ids: Vec<String> = list["ids"].as_array().into_iter().flatten().map(text).collect();
    assert_eq!(
        (ids, number(&list["total"])),
        (vec!["1000001".into(), "1000002".into()], Some(5.0)),
        "{client}: {list}"
    );
    assert_eq!(number(&said["update"]["out"]), Some(1_000_000.0), "{client}: {:?}", said["update"]);
    let after = &said["after"]["out"];
    assert_eq!(text(&after["lastname"]), "Žlutá <&> \"кот\" 😀", "{client}");
    assert_eq!(number(&after["credit_limit"]), Some(12.5), "{client}: {after}");
    assert_eq!(said["missing"]["out"]["found"], false, "{client}: {:?}", said["missing"]);
    assert_eq!(number(&said["logout"]["out"]), Some(1.0), "{client}");
    assert_eq!(fault("ended"), "Server.Session.check_auth.auth_failed", "{client}");
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

fn number(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}
