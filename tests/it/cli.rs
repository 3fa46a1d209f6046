//! The binary as an operator meets it.

use std::path::Path;
use std::process::{Command, Output};

fn soapstone(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soapstone"))
        .args(args)
        .env_remove("SOAPSTONE_CONFIG")
        .env("PORTABILLING_PASSWORD", "hunter2")
        .env("ESPF_PASSWORD", "hunter3")
        .env("HLR_TOKEN", "hunter4")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn write(folder: &Path, content: &str) -> String {
    let file = folder.join("soapstone.toml");
    std::fs::write(&file, content).unwrap();
    file.display().to_string()
}

#[test]
fn the_example_that_it_prints_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let example = soapstone(&["config", "--example"]);
    assert_eq!(example.status.code(), Some(0));
    let file = write(folder.path(), text(&example.stdout));
    let check = soapstone(&["check", "--config", &file]);
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stderr));
}

#[test]
fn the_effective_configuration_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), soapstone::config::EXAMPLE);
    let shown = soapstone(&["config", "--effective", "--config", &file]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).contains("PORTABILLING_PASSWORD"));
    assert!(!text(&shown.stdout).contains("hunter"), "{}", text(&shown.stdout));
}

#[test]
fn a_wrong_configuration_is_64_with_a_line_for_each_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = soapstone::config::EXAMPLE
        .replace("order = \"skip\"", "odrer = \"skip\"")
        .replace("/espf\"", "espf\"");
    let file = write(folder.path(), &wrong);
    for command in ["check", "serve"] {
        let check = soapstone(&[command, "--config", &file]);
        assert_eq!(check.status.code(), Some(64));
        let lines: Vec<_> = text(&check.stderr).lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with(&format!("{file}:"))), "{lines:?}");
        assert!(lines[1].ends_with("did you mean `order`?"), "{lines:?}");
    }
}

#[test]
fn wrong_usage_is_64_and_help_is_0() {
    for args in [
        &["serve"][..],
        &["config"],
        &["config", "--effective"],
        &["nonsense"],
        &["check", "--config", "/nowhere/x"],
    ] {
        let output = soapstone(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["demo", "--help"]] {
        let output = soapstone(args);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?}");
    }
}
