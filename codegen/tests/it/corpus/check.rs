//! What is generated from published definitions compiles, without a warning, and what that costs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use soapstone_codegen::Config;

use super::{corpus, definitions, truth};

/// What a command took.
pub(crate) struct Measured {
    /// Of all its processes, in seconds.
    pub(crate) cpu: f64,
    /// Of the largest of its processes, in MiB.
    pub(crate) peak: f64,
}

/// Runs a command that must succeed; gives what it said, too.
fn measured(command: &[&str], folder: &Path) -> (Measured, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/measured.py");
    let mut python = Command::new("python3");
    python.arg(script).args(command).current_dir(folder);
    // all crates use the same build of the runtime
    python.env("CARGO_TARGET_DIR", folder.with_file_name("target")).env("CARGO_INCREMENTAL", "0");
    let output = python.output().expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let result: Json = serde_json::from_slice(&output.stdout).expect("what it took");
    assert_eq!(result["code"], 0, "{}\n{said}", command.join(" "));
    let of = |name: &str| result[name].as_f64().expect("a number");
    (Measured { cpu: of("cpu"), peak: of("peak") / f64::from(1 << 20) }, said)
}

/// A crate of generated code.
pub(super) fn made(name: &str, code: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus").join(name);
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let soap = root.join("wsdl/soap").display().to_string();
    let manifest = format!(
        "[package]\nname = \"checked\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         soapstone-soap = {{ path = {soap:?}, features = [\"json\", \"client\"] }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the workspace's versions");
    fs::write(folder.join("src/lib.rs"), code).expect("written");
    folder
}

/// `cargo check` of a crate that is all generated.
pub(crate) fn check(name: &str, code: &str) -> Measured {
    let (measured, said) = measured(&[env!("CARGO"), "check", "--quiet"], &made(name, code));
    assert!(!said.contains("warning"), "{name}: {said}");
    measured
}

#[test]
fn what_is_generated_from_every_published_definition_compiles_without_a_warning() {
    let Some(corpus) = corpus() else { return };
    let truth = truth(&corpus);
    // what all have in common isn't counted
    check("nothing", "");
    eprintln!(
        "{:<24} {:>6} {:>5} {:>8} {:>6} {:>6} {:>5} {:>4} {:>9} {:>11} {:>9}",
        "definition", "gen s", "MiB", "bytes", "ratio", "check", "MiB", "warn", "ops", "structures", "enums"
    );
    for (name, path) in definitions(&corpus) {
        let generated = Config::new().definition(&path).generate();
        let (code, report) = generated.unwrap_or_else(|error| panic!("{name}: {error}"));
        let checked = check(&name, &code);
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus").join(&name);
        let (program, path) = (env!("CARGO_BIN_EXE_soapstone-codegen"), path.display().to_string());
        let (made, _) = measured(&[program, "generate", &path, "-o", "again.rs"], &out);
        assert!(fs::read(out.join("again.rs")).is_ok_and(|again| again == code.as_bytes()), "{name}");
        let source: u64 = report.files.iter().filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum();
        let beside = |found: usize, what: &str| format!("{found}/{}", truth[&name][what]);
        eprintln!(
            "{name:<24} {:>6.2} {:>5.0} {:>8} {:>6.2} {:>6.2} {:>5.0} {:>4} {:>9} {:>11} {:>9}",
            made.cpu,
            made.peak,
            code.len(),
            code.len() as f64 / source as f64,
            checked.cpu,
            checked.peak,
            report.warnings.len(),
            beside(report.operations, "ops"),
            beside(report.structures, "complexType"),
            beside(report.enumerations, "enums"),
        );
    }
}
