//! What a build script sees: the file, when it is written, and what it depends on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use soapstone_codegen::{Config, Error};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

#[test]
fn the_file_is_written_once_and_again_only_when_it_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::new();
    config.definitions(case("smallest")).out_dir(folder.path()).file_name("out.rs");
    let path = folder.path().join("out.rs");

    config.compile().expect("generated");
    let written = fs::read_to_string(&path).expect("there");
    assert_eq!(written, fs::read_to_string(case("smallest").join("expected.rs")).expect("expected"));

    // an old time shows whether it is written again
    let file = fs::File::options().write(true).open(&path).expect("there");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("set");
    let modified = || fs::metadata(&path).and_then(|there| there.modified()).expect("a time");
    config.compile().expect("generated");
    assert_eq!(modified(), SystemTime::UNIX_EPOCH);
    config.secret("name").compile().expect("generated");
    assert_ne!(modified(), SystemTime::UNIX_EPOCH);
}

#[test]
fn the_report_names_every_file_that_was_read() {
    let (_, report) = Config::new().definitions(case("imports")).generate().expect("generated");
    let names: Vec<_> =
        report.files.iter().filter_map(|file| file.file_name()).map(|name| name.to_string_lossy()).collect();
    assert_eq!(names, ["input.wsdl", "messages.xml", "more.xsd", "deep.xsd"]);
    assert_eq!(report.folders, [case("imports")]);
    assert_eq!((report.services, report.operations, report.structures), (1, 1, 4));
}

#[test]
fn nothing_to_generate_from_is_an_error_of_its_own() {
    assert!(matches!(Config::new().generate(), Err(Error::Nothing)));
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(Config::new().definitions(folder.path()).generate(), Err(Error::Nothing)));
    let missing = folder.path().join("missing");
    assert!(matches!(Config::new().definitions(&missing).generate(), Err(Error::Io { .. })));
    let error = Config::new().definition(missing.join("a.wsdl")).generate().expect_err("missing");
    assert!(matches!(&error, Error::Load(list) if list.len() == 1), "{error}");
}
