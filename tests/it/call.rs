//! `soapstone call` against the simulated PortaBilling, as an operator types it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use soapstone::simulator::{Disturbance, Simulator, SimulatorSettings};
use tempfile::TempDir;

const PASSWORD: &str = "p&ss<w>\"ö";

/// A simulated PortaBilling, and a configuration that leads to it.
struct Site {
    simulator: Simulator,
    folder: TempDir,
}

impl Site {
    async fn open() -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = SimulatorSettings { accounts: 3, ..SimulatorSettings::default() };
        let simulator = Simulator::start(local, settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        let text = format!(
            r#"
[portabilling]
url = "{}"
login = "demo"
password = {{ file = "password" }}

[[intake]]
name = "default"
auth = {{ basic = [{{ user = "espf", password = {{ file = "password" }} }}] }}
"#,
            simulator.url()
        );
        std::fs::write(folder.path().join("soapstone.toml"), text).unwrap();
        Self { simulator, folder }
    }

    async fn call(&self, args: &[&str]) -> Ended {
        let config = self.folder.path().join("soapstone.toml");
        ended(
            tokio::process::Command::new(env!("CARGO_BIN_EXE_soapstone"))
                .arg("call")
                .arg("--config")
                .arg(Path::new(&config))
                .args(args)
                .env_remove("SOAPSTONE_CONFIG")
                .env_remove("RUST_LOG")
                .output()
                .await
                .unwrap(),
        )
    }
}

/// What a command has said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn ended(output: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test]
async fn an_answer_comes_as_json() {
    let site = Site::open().await;
    let called = site.call(&["Account/get_account_info", r#"{"i_account": 1000001}"#]).await;
    assert_eq!((called.code, called.err.as_str()), (Some(0), ""), "{called:?}");
    let answer: Value = serde_json::from_str(&called.out).unwrap();
    let account = &answer["account_info"];
    assert_eq!(account["i_account"], 1_000_001);
    assert_eq!(account["firstname"], "Zoë");
    assert_eq!(account["product_name"], "Mobile 2 <gold>");
    assert_eq!(account["service_features"][0]["attributes"][0]["values"], json!(["3"]));
}

#[tokio::test]
async fn names_are_found_without_case_of_the_service_and_without_parameters() {
    let site = Site::open().await;
    let called = site.call(&["generic/get_version"]).await;
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(serde_json::from_str::<Value>(&called.out).unwrap(), json!({ "version": "MR128" }));
}

#[tokio::test]
async fn raw_shows_both_envelopes_and_no_secret() {
    let site = Site::open().await;
    let called = site.call(&["--raw", "Account/get_account_info", r#"{"i_account": 1000001}"#]).await;
    assert_eq!(called.code, Some(0), "{called:?}");
    let sessions = called.out.matches("session_id").count();
    assert!(sessions >= 1 && called.out.contains(">***</"), "{}", called.out);
    assert!(called.out.contains("HTTP 200"), "{}", called.out);
    assert!(
        called.out.contains("Envelope") && called.out.contains("get_account_infoResponse"),
        "{}",
        called.out
    );
    // the account's own password is in the answer, and must not be shown either
    assert!(!called.out.split("\n{").next().unwrap().contains("s-1000001"), "{}", called.out);

    let login = format!(r#"{{"login": "demo", "password": {}}}"#, json!(PASSWORD));
    let called = site.call(&["--raw", "Session/login", &login]).await;
    assert_eq!(called.code, Some(0), "{called:?}");
    let envelopes = called.out.split("\n{").next().unwrap();
    for secret in ["p&amp;ss", "p&ss", "ö"] {
        assert!(!envelopes.contains(secret), "{secret}: {envelopes}");
    }
    let answer: Value = serde_json::from_str(&called.out[envelopes.len()..]).unwrap();
    for name in ["session_id", "access_token", "refresh_token"] {
        assert!(!envelopes.contains(answer[name].as_str().unwrap()), "{name}: {envelopes}");
    }
}

#[tokio::test]
async fn slips_are_64_with_the_nearest_name() {
    let site = Site::open().await;
    let slips: [(&[&str], &str); 6] = [
        (&["Acount/get_account_info"], "there is no service \"Acount\"; did you mean \"Account\"?"),
        (
            &["Account/get_acount_info"],
            "Account has no method \"get_acount_info\"; did you mean \"get_account_info\"?",
        ),
        (&["Account/get_account_info", r#"{"i_acount": 1}"#], "did you mean \"i_account\"?"),
        (
            &["Account/update_account", r#"{"account_info": {"i_acount": 1}}"#],
            "has no member \"account_info.i_acount\"; did you mean \"i_account\"?",
        ),
        (&["Account/get_account_info", "{i_account: 1}"], "the parameters are no JSON"),
        (&["Account/get_account_info", r#"{"i_account": "many"}"#], "the parameters don't fit"),
    ];
    for (args, expected) in slips {
        let called = site.call(args).await;
        assert_eq!((called.code, called.out.as_str()), (Some(64), ""), "{args:?}: {called:?}");
        assert!(called.err.contains(expected), "{args:?}: {}", called.err);
        assert_eq!(called.err.lines().count(), 1, "{args:?}: {}", called.err);
    }
    assert_eq!(site.simulator.logins(), 0, "a slip went out to PortaBilling");
}

#[tokio::test]
async fn a_fault_is_1_with_its_code() {
    let site = Site::open().await;
    site.simulator.disturb(Disturbance { fault: Some("Server.Account.internal"), ..Disturbance::default() });
    let called = site.call(&["Account/get_account_info", r#"{"i_account": 1000001}"#]).await;
    assert_eq!((called.code, called.out.as_str()), (Some(1), ""), "{called:?}");
    assert!(called.err.contains("Server.Account.internal"), "{}", called.err);
    assert!(called.err.contains("disturbed on purpose"), "{}", called.err);
}

#[tokio::test]
async fn a_fault_is_shown_raw_as_well() {
    let site = Site::open().await;
    site.simulator.disturb(Disturbance { fault: Some("Server.Account.internal"), ..Disturbance::default() });
    let called = site.call(&["--raw", "Account/get_account_info", r#"{"i_account": 1000001}"#]).await;
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(
        called.out.contains("HTTP 500") && called.out.contains("Server.Account.internal"),
        "{}",
        called.out
    );
}
