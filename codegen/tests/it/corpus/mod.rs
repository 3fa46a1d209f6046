//! Definitions that other people published. They aren't part of the project: without the folder the tests say so,
//! and fail where `SOAPSTONE_REQUIRE_CORPUS=1`.

pub(crate) mod check;
mod messages;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use soapstone_codegen::{Config, Contents, Diagnostic, Report};

/// The folder of the corpus beside the project, or that of `SOAPSTONE_CORPUS`, if it is there.
pub(crate) fn corpus() -> Option<PathBuf> {
    let own = std::env::var_os("SOAPSTONE_CORPUS").map(PathBuf::from);
    let folder = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"));
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("SOAPSTONE_REQUIRE_CORPUS").is_ok_and(|value| value == "1");
    assert!(!required, "no corpus at {}", folder.display());
    eprintln!("skipped: no corpus at {}", folder.display());
    None
}

/// The definitions, by name.
pub(crate) fn definitions(corpus: &Path) -> Vec<(String, PathBuf)> {
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

/// What stands in each file, by its name.
fn truth(corpus: &Path) -> serde_json::Value {
    let truth = fs::read_to_string(corpus.join("truth.json")).expect("what stands in each file");
    serde_json::from_str(&truth).expect("JSON")
}

/// Enumerations without a name, of an attribute or element that nothing refers to.
const UNUSED: &[(&str, &str)] =
    &[("d21_onvif_devicemgmt", "xml:space"), ("d30_amazon", "Type of an element that no message has")];

/// What stands in all files of a definition's folder, also in those that nothing imports.
fn whole(path: &Path, report: &Report) -> Contents {
    let mut config = Config::new();
    config.definition(path);
    let folder = path.parent().expect("a folder");
    let files = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file").path());
    for file in files.filter(|file| !report.files.contains(file)) {
        config.definition(file);
    }
    config.generate().expect("generated as before").1.contents
}

#[test]
fn everything_that_stands_in_a_published_definition_is_read_and_every_operation_generated() {
    let Some(corpus) = corpus() else { return };
    let truth = truth(&corpus);
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
        let Contents {
            operations,
            ports,
            headers,
            faults,
            elements,
            complex_types,
            simple_types,
            enumerations,
            enumeration_values,
            extensions,
            choices,
            attributes,
            wildcards,
            typed_arrays,
            ..
        } = whole(&path, &report);
        let read = serde_json::json!({
            "ops": operations, "ports": ports, "hdr": headers, "fault": faults, "complexType": complex_types,
            "simpleType": simple_types, "enumeration": enumeration_values, "extension": extensions,
            "choice": choices, "attribute": attributes, "any": wildcards, "enums": enumerations,
            "arr": typed_arrays, "elements": elements,
        });
        assert_eq!(truth[&name], read, "what stands in {name}");
        if name == "d19_ews" {
            let size: u64 =
                report.files.iter().filter_map(|file| fs::metadata(file).ok()).map(|it| it.len()).sum();
            assert!(code.len() as u64 <= 2 * size, "{} bytes of Rust from {size}", code.len());
        }
        let left_out = |warning: &&Diagnostic| warning.message.starts_with("operation ");
        let left_out = report.warnings.iter().filter(left_out).count();
        assert_eq!(operations, report.operations + left_out, "operations of {name}");
        // nothing is made of the values of what no type and no message has
        let unused = UNUSED.iter().filter(|(definition, _)| *definition == name).count();
        assert_eq!(enumerations, report.enumerations + unused, "enumerations of {name}");
    }
}
