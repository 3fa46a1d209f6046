//! Definitions that other people published. They aren't part of the project: without the folder the tests say so,
//! and fail where `SOAPSTONE_REQUIRE_CORPUS=1`.

use std::fs;
use std::path::PathBuf;

use soapstone_codegen::Config;

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

#[test]
fn every_operation_of_a_published_rpc_encoded_definition_is_generated() {
    let Some(corpus) = corpus() else { return };
    let truth = fs::read_to_string(corpus.join("truth.json")).expect("what stands in each file");
    let truth: serde_json::Value = serde_json::from_str(&truth).expect("JSON");
    for name in ["r03_php_round2_base", "r04_php_groupE_list", "r05_jira", "r06_tradetracker"] {
        let (_, report) = Config::new().definitions(corpus.join(name)).generate().expect(name);
        assert_eq!(truth[name]["ops"].as_u64(), Some(report.operations as u64), "{name}");
    }
}

#[test]
fn every_published_definition_gives_code_or_reasons() {
    let Some(corpus) = corpus() else { return };
    let mut seen = 0;
    for entry in fs::read_dir(corpus).expect("the corpus") {
        let path = entry.expect("an entry").path().join("main.wsdl");
        if !path.exists() {
            continue;
        }
        seen += 1;
        match Config::new().definition(&path).generate() {
            // whatever isn't served has been named
            Ok((_, report)) => {
                assert!(report.operations > 0 || !report.warnings.is_empty(), "{}", path.display());
            }
            Err(error) => assert!(!error.diagnostics().is_empty(), "{error}"),
        }
    }
    assert!(seen > 0, "an empty corpus");
}
