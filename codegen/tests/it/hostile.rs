//! Whatever a file holds, the generator answers with code or with a reason, never with a panic.

use std::fs;
use std::path::Path;

use soapstone_codegen::Config;

use crate::fuzz::Numbers;
use crate::golden::cases;

fn good(case: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case).join("input.wsdl");
    fs::read(path).expect("a case")
}

/// Generates from `bytes`; an error has to say something about the file.
fn try_out(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
    if let Err(error) = Config::new().definition(path).generate() {
        assert!(!error.diagnostics().is_empty(), "{error}\n{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_definition_cut_short_anywhere_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.wsdl");
    let bytes = good("header");
    let end = String::from_utf8_lossy(&bytes).trim_end().len();
    for length in 0..end {
        fs::write(&path, &bytes[..length]).expect("written");
        let error = Config::new().definition(&path).generate().expect_err("not whole");
        assert!(!error.diagnostics().is_empty(), "{error}");
    }
    try_out(&path, &bytes[..end]);
}

#[test]
fn no_byte_that_is_changed_makes_it_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("changed.wsdl");
    let mut numbers = Numbers::new(0x50AB);
    for case in ["names", "recursion", "unserved"] {
        let bytes = good(case);
        // every seventh byte, another seventh for each case: all of them take a minute
        for position in (case.len() % 7..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            // mostly characters that mean something
            let other = b"<>/\"'&=: \0\xff{}azA"[numbers.below(16)];
            changed[position] = if changed[position] == other { b'x' } else { other };
            try_out(&path, &changed);
        }
    }
}

#[test]
fn no_values_that_change_places_make_it_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("swapped.wsdl");
    let mut numbers = Numbers::new(0x50A9);
    for case in ["arrays", "recursion", "derived", "header", "parts", "scalars"] {
        let text = String::from_utf8(good(case)).expect("text");
        // every second piece is the value of an attribute
        let pieces: Vec<&str> = text.split('"').collect();
        for _ in 0..400 {
            let mut swapped = pieces.clone();
            for _ in 0..=numbers.below(3) {
                let (one, other) = (numbers.below(pieces.len() / 2), numbers.below(pieces.len() / 2));
                swapped[one * 2 + 1] = pieces[other * 2 + 1];
            }
            try_out(&path, swapped.join("\"").as_bytes());
        }
    }
}

#[test]
fn a_definition_as_deep_as_it_is_long_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep.wsdl");
    let deep = "<a>".repeat(200_000) + &"</a>".repeat(200_000);
    fs::write(&path, deep).expect("written");
    let error = Config::new().definition(&path).generate().expect_err("too deep").to_string();
    assert!(error.contains("nested more than"), "{error}");
}

#[test]
fn a_chain_of_types_as_long_as_the_file_is_no_trouble() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("long.wsdl");
    let types: String = (0..3000)
        .map(|number| {
            format!(
                "<x:complexType name=\"T{number}\"><x:all><x:element name=\"a\" type=\"T{}\" minOccurs=\"0\"/>\
                 </x:all></x:complexType>",
                (number + 1) % 3000
            )
        })
        .collect();
    fs::write(&path, format!("<x:schema xmlns:x=\"http://www.w3.org/2001/XMLSchema\">{types}</x:schema>"))
        .expect("written");
    let (code, report) = Config::new().definition(&path).generate().expect("generated");
    assert_eq!(report.structures, 3000);
    let pointers =
        ["Box", "::soapstone_soap::Far"].map(|it| code.matches(&format!("pub a: Option<{it}<T")).count());
    assert_eq!(pointers.iter().sum::<usize>(), 3000, "a circle needs a pointer");
    assert!(pointers[1] > 100 && pointers[1] < 500, "and now and then one that rustc doesn't look behind");
}

#[test]
fn every_broken_case_names_a_file() {
    for case in cases() {
        if let Err(error) = Config::new().definitions(&case).generate() {
            for diagnostic in error.diagnostics() {
                assert!(diagnostic.file.starts_with(&case), "{diagnostic}");
            }
        }
    }
}
