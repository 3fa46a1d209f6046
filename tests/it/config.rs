//! Wrong configurations and what is said about them: `tests/cases/config/NAME.toml` and `NAME.expected`.
//!
//! `UPDATE=1` writes what is said now; look at the difference before committing it.

use std::path::{Path, PathBuf};

use soapstone::config::Config;

/// Variables that are set are named `SET…`.
fn env(name: &str) -> Option<String> {
    name.starts_with("SET").then(|| format!("secret-of-{name}"))
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/config");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "toml")).collect();
    cases.sort();
    cases
}

#[test]
fn every_mistake_is_named_with_its_line_and_what_to_do() {
    let cases = cases();
    assert!(cases.len() >= 8, "the cases are gone: {cases:?}");
    let update = std::env::var_os("UPDATE").is_some();
    for case in cases {
        let text = std::fs::read_to_string(&case).unwrap();
        let name = case.file_name().unwrap().to_str().unwrap();
        let folder = Path::new("cases");
        let said = match Config::parse(name, &text, folder, &env) {
            Ok(_) => "right\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        assert!(!said.contains("secret-of"), "{said}");
        let file = case.with_extension("expected");
        if update {
            std::fs::write(&file, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(said, expected, "{name}");
    }
}
