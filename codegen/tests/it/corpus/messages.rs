//! The same as for our own cases (`crate::validation`), for the smaller of the published definitions: a program is
//! made of what is generated, and makes, writes and reads all their messages.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use soapstone_codegen::Config;

use super::{check, corpus, definitions};
use crate::validation;

/// The bytes of Rust up to which a definition counts as one of the smaller; with those over it, it takes minutes.
/// `SOAPSTONE_EVERY_MESSAGE=1` takes all.
const SMALL: usize = 150_000;

/// What libxml2 refuses as a schema, and why.
const NOT_JUDGED: &[(&str, &str)] =
    &[("d21_onvif_devicemgmt", "its type LensProjection isn't deterministic")];

#[test]
fn every_message_of_the_smaller_published_definitions_is_valid_and_comes_back_the_same() {
    let Some(corpus) = corpus() else { return };
    let python = validation::python();
    let limit = if std::env::var_os("SOAPSTONE_EVERY_MESSAGE").is_some() { usize::MAX } else { SMALL };
    let (mut program, mut calls, mut taken) = (String::new(), String::new(), Vec::new());
    let folder = check::made("messages", "");
    for (name, path) in definitions(&corpus) {
        let code = match Config::new().definition(&path).generate() {
            Ok((code, _)) if code.len() <= limit => code,
            Ok(_) => continue,
            Err(error) => panic!("{name}: {error}"),
        };
        fs::write(folder.join(format!("src/{name}.rs")), code).expect("written");
        let _ = writeln!(program, "mod {name};");
        let messages = validation::folder(&name);
        let _ = writeln!(
            calls,
            "    tell({name:?}, messages::exchange({name}::SERVICES, {messages:?}.as_ref()));"
        );
        taken.push((name, path, messages));
    }
    assert!(taken.len() >= 10, "{} definitions", taken.len());
    let mut wrong = run(&folder, &program, &calls);
    let Some(python) = python else { return assert!(wrong.is_empty(), "{}", wrong.join("\n")) };
    for (name, path, messages) in taken {
        if let Some((_, why)) = NOT_JUDGED.iter().find(|(known, _)| *known == name) {
            eprintln!("{name:<24} not validated: {why}");
            continue;
        }
        let (invalid, summary) = validation::validated(&python, &path, &messages);
        eprintln!("{name:<24} {summary}");
        wrong.extend(invalid.into_iter().map(|why| format!("{name}: not valid: {why}")));
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// Builds the program and runs it; the lines that it prints, each something wrong.
fn run(folder: &Path, modules: &str, calls: &str) -> Vec<String> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/mod.rs");
    let program = format!(
        "#![allow(dead_code, non_snake_case)]\n{modules}#[path = {shared:?}]\nmod messages;\n\n\
         fn tell(name: &str, outcome: messages::Outcome) {{\n\
         \x20   for wrong in outcome.wrong {{\n        println!(\"{{name}}: {{}}\", wrong.replace('\\n', \" \"));\n    }}\n}}\n\n\
         fn main() {{\n{calls}}}\n"
    );
    let _ = fs::remove_file(folder.join("src/lib.rs"));
    fs::write(folder.join("src/main.rs"), program).expect("written");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet"]).current_dir(folder).env("CARGO_PROFILE_DEV_DEBUG", "0");
    let target = folder.with_file_name("target");
    let output = cargo.env("CARGO_TARGET_DIR", target).env("CARGO_INCREMENTAL", "0").output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}
