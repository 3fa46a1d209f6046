//! Definitions that other people published. They aren't part of the project: without the folder the tests say so,
//! and fail where `SOAPSTONE_REQUIRE_CORPUS=1`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use soapstone_codegen::{Config, Diagnostic};

/// The folder of the corpus beside the project, if it is there.
fn corpus() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("SOAPSTONE_REQUIRE_CORPUS").is_ok_and(|value| value == "1");
    assert!(!required, "no corpus at {}", folder.display());
    eprintln!("skipped: no corpus at {}", folder.display());
    None
}

/// The definitions, by name.
fn definitions(corpus: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(corpus).expect("the corpus").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = entries
        .filter(|folder| folder.join("main.wsdl").exists())
        .map(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, folder.join("main.wsdl"))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "an empty corpus");
    found
}

#[test]
fn every_operation_and_every_enumeration_of_a_published_definition_is_generated() {
    let Some(corpus) = corpus() else { return };
    let truth = fs::read_to_string(corpus.join("truth.json")).expect("what stands in each file");
    let truth: serde_json::Value = serde_json::from_str(&truth).expect("JSON");
    eprintln!("{:<28} {:>6} {:>9} {:>5} {:>5} {:>5}", "definition", "ms", "bytes", "ops", "enums", "warn");
    for (name, path) in definitions(&corpus) {
        let start = Instant::now();
        let generated = Config::new().definition(&path).generate();
        let (code, report) = generated.unwrap_or_else(|error| panic!("{name}: {error}"));
        eprintln!(
            "{name:<28} {:>6} {:>9} {:>5} {:>5} {:>5}",
            start.elapsed().as_millis(),
            code.len(),
            report.operations,
            report.enumerations,
            report.warnings.len()
        );
        let of = |what: &str| truth[&name][what].as_u64().unwrap_or_default();
        let left_out = |warning: &&Diagnostic| warning.message.starts_with("operation ");
        let operations = report.operations + report.warnings.iter().filter(left_out).count();
        assert_eq!(of("ops"), operations as u64, "operations of {name}");
        // two enumerations of the same name and values are one type; of numbers none is made
        let enumerations = report.enumerations as u64;
        assert!(of("enums").abs_diff(enumerations) <= 1, "{name}: {enumerations} of {}", of("enums"));
    }
}
