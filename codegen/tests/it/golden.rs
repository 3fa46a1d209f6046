//! A case is a folder: its `*.wsdl` are the definitions, `options.txt` has settings, `expected.rs` what is generated
//! and `expected.txt` what is said about it. `UPDATE=1` writes what came out instead of comparing.

use std::fs;
use std::path::{Path, PathBuf};

use soapstone_codegen::Config;

/// The folders, in order.
pub(crate) fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = fs::read_dir(folder).expect("the folder of cases");
    let mut cases: Vec<_> = entries.map(|entry| entry.expect("a case").path()).collect();
    cases.sort();
    cases
}

fn config(case: &Path) -> Config {
    let mut config = Config::new();
    config.definitions(case);
    for line in fs::read_to_string(case.join("options.txt")).unwrap_or_default().lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("wide_integers", _) => config.wide_integers(true),
            ("big_integers", _) => config.big_integers(true),
            ("type_attribute", rest) => config.type_attribute(two(rest).0, two(rest).1),
            ("field_attribute", rest) => config.field_attribute(two(rest).0, two(rest).1),
            ("rename_type", rest) => config.rename_type(two(rest).0, two(rest).1),
            ("rename_field", rest) => config.rename_field(two(rest).0, two(rest).1),
            ("rename_operation", rest) => config.rename_operation(two(rest).0, two(rest).1),
            ("extern_type", rest) => config.extern_type(two(rest).0, two(rest).1),
            ("extern_namespace", rest) => config.extern_namespace(two(rest).0, two(rest).1),
            ("open_tables", _) => config.open_tables(true),
            ("json", _) => config.json(true),
            ("facets", _) => config.facets(true),
            ("exact_floats", _) => config.exact_floats(true),
            ("embed_definitions", _) => config.embed_definitions(true),
            ("strict", _) => config.strict(true),
            ("location", rest) => config.location(two(rest).0, case.join(two(rest).1)),
            ("secret", pattern) => config.secret(pattern),
            (other, _) => panic!("{}: no setting {other}", case.display()),
        };
    }
    config
}

/// The first word, and the rest.
fn two(text: &str) -> (&str, &str) {
    text.split_once(' ').expect("a name and what to do with it")
}

/// What is generated, if anything, and what is said.
fn outcome(case: &Path) -> (Option<String>, String) {
    let (code, diagnostics) = match config(case).generate() {
        Ok((code, report)) => (Some(code), report.warnings),
        Err(error) => {
            assert!(!error.diagnostics().is_empty(), "{}: {error}", case.display());
            (None, error.diagnostics().to_vec())
        }
    };
    let folder = format!("{}/", case.display());
    let lines = diagnostics.iter().map(|diagnostic| diagnostic.to_string().replace(&folder, "") + "\n");
    (code, lines.collect())
}

#[test]
fn every_case_gives_what_it_is_expected_to() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (code, said) = outcome(&case);
        for (name, found) in [("expected.rs", code), ("expected.txt", (!said.is_empty()).then_some(said))] {
            let path = case.join(name);
            let expected = fs::read_to_string(&path).ok();
            if found == expected {
                continue;
            }
            if std::env::var_os("UPDATE").is_none() {
                wrong.push(format!("{}\n{}", path.display(), found.unwrap_or("(nothing)".into())));
            } else if let Some(found) = found {
                fs::write(&path, found).expect("written");
            } else {
                fs::remove_file(&path).expect("removed");
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not as expected; if it is better, run again with UPDATE=1:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_same_definitions_give_the_same_bytes() {
    for case in cases() {
        assert_eq!(outcome(&case), outcome(&case), "{}", case.display());
    }
}
