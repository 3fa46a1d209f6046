//! Programs elsewhere: crates outside of the workspace that depend on ours build and run, and the guide works as
//! printed.

mod guide;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of the build that all of them share, so that what they have in common is built once.
fn target() -> PathBuf {
    // Cargo's folder for temporary files of tests stands in the target folder
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("consumer")
}

static RUNNING: Mutex<()> = Mutex::new(());

/// A crate outside of the workspace.
struct Consumer {
    folder: PathBuf,
}

impl Consumer {
    /// The one of this name in `tests/consumer`.
    fn named(name: &str) -> Self {
        Self::at(root().join("tests/consumer").join(name))
    }

    /// With the workspace's versions of everything: the same as tested here, and nothing to be fetched.
    fn at(folder: PathBuf) -> Self {
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("the workspace's versions");
        Self { folder }
    }

    /// What a cargo command prints; it must succeed.
    fn cargo(&self, arguments: &[&str]) -> String {
        // Cargo lets go of its lock between building and running, and then another may have built the same program with
        // other features.
        let _one_at_a_time = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).current_dir(&self.folder).env("CARGO_TARGET_DIR", target());
        // built the same way by all, so that they share it
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        let output = command.output().expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "cargo {} in {}\n{said}",
            arguments.join(" "),
            self.folder.display()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The names of all crates that it is made of.
    fn crates(&self, features: &str) -> Vec<String> {
        let arguments = ["tree", "--prefix", "none", "--edges", "normal,build", "--features", features];
        let names = |line: &str| line.split(' ').next().map(str::to_owned);
        self.cargo(&arguments).lines().filter_map(names).collect()
    }
}

#[test]
fn a_program_that_wants_the_types_only_gets_neither_a_runtime_nor_http() {
    let consumer = Consumer::named("types");
    let said = consumer.cargo(&["run", "--quiet"]);
    assert!(said.starts_with("XML: "), "{said}");
    let crates = consumer.crates("");
    assert!(crates.iter().any(|name| name == "soapstone-soap"), "{crates:?}");
    for name in ["tokio", "reqwest", "hyper", "tower", "serde", "serde_json"] {
        assert!(!crates.iter().any(|found| found == name), "{name} is among {crates:?}");
    }
}

#[test]
fn a_program_that_asks_for_the_client_gets_json_and_calls() {
    let consumer = Consumer::named("types");
    let said = consumer.cargo(&["run", "--quiet", "--features", "json,client"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("JSON: "), "{said}");
    assert_eq!(lines[2], "a call: logged in and got account Some(7)");
    // so that the test above would see them
    let crates = consumer.crates("client");
    assert!(["tokio", "reqwest"].iter().all(|name| crates.iter().any(|found| found == name)), "{crates:?}");
}

#[test]
fn a_program_generates_from_a_definition_of_its_own() {
    let said = Consumer::named("own").cargo(&["run", "--quiet"]);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.contains("<book isbn=\"80-00-00000-0\"><title>R.U.R.</title>"), "{said}");
}
