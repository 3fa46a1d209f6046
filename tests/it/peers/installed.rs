//! Where the peers are installed, and which of them.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value as Json;

/// `target/peers`, where `tests/peers/setup.sh` puts them.
pub fn folder() -> PathBuf {
    // Cargo's folder for temporary files of tests stands in the target folder
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("peers")
}

/// A script of the harness, ready to be given arguments.
pub fn script(name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(format!("harness/{name}.py")).current_dir(folder()).stdin(Stdio::null());
    command
}

/// Whether the peer can run here. Where it can't, says so, or fails where it must be there.
pub fn has(peer: &str) -> bool {
    let there = installed()[peer] == true;
    let required = std::env::var("SOAPSTONE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
    assert!(there || !required, "{peer} is not installed; tests/peers/setup.sh installs it");
    if !there {
        eprintln!("skipped: {peer} is not installed; tests/peers/setup.sh installs it");
    }
    there
}

/// Name of each stack → whether it is installed; asked once.
fn installed() -> &'static Json {
    static INSTALLED: OnceLock<Json> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let output = script("have").output();
        output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok()).unwrap_or(Json::Null)
    })
}
