//! What generated code costs to compile, against serde's derives of the same structures. Takes a minute and says
//! something only on a machine that does nothing else, so it is asked for:
//! `cargo test -p soapstone-codegen --test it figures -- --ignored --nocapture`

use std::fmt::Write as _;
use std::fs;
use std::sync::{Mutex, PoisonError};

use soapstone_codegen::Config;

use crate::corpus::{check, corpus};

const STRUCTURES: usize = 300;
/// In each; the last is a list of another structure.
const MEMBERS: usize = 20;
/// How many of them are inside of each other.
const DEEP: usize = 10;

/// XML Schema's type and Rust's.
const TYPES: [(&str, &str); 5] =
    [("string", "String"), ("int", "i32"), ("boolean", "bool"), ("double", "f64"), ("long", "i64")];

fn definition() -> String {
    let mut types = String::new();
    for number in 0..STRUCTURES {
        let _ = write!(types, "<xsd:complexType name=\"Thing{number}\"><xsd:sequence>");
        for member in 0..MEMBERS - 1 {
            let ty = TYPES[(number + member) % TYPES.len()].0;
            let _ =
                write!(types, "<xsd:element name=\"member_{member}\" type=\"xsd:{ty}\" minOccurs=\"0\"/>");
        }
        let other = number + 1;
        let ty = if other % DEEP == 0 { "xsd:string".to_owned() } else { format!("tns:Thing{other}") };
        let _ = write!(
            types,
            "<xsd:element name=\"list\" type=\"{ty}\" minOccurs=\"0\" maxOccurs=\"unbounded\"/></xsd:sequence></xsd:complexType>"
        );
    }
    format!(
        "<xsd:schema xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:tns=\"urn:things\" targetNamespace=\"urn:things\" \
         elementFormDefault=\"qualified\">{types}</xsd:schema>"
    )
}

fn derives() -> String {
    let mut code = String::from("use serde::{Deserialize, Serialize};\n");
    for number in 0..STRUCTURES {
        let _ = writeln!(
            code,
            "#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]\npub struct Thing{number} {{"
        );
        for member in 0..MEMBERS - 1 {
            let ty = TYPES[(number + member) % TYPES.len()].1;
            let _ = writeln!(
                code,
                "    #[serde(default, skip_serializing_if = \"Option::is_none\")]\n    pub member_{member}: Option<{ty}>,"
            );
        }
        let other = number + 1;
        let ty = if other % DEEP == 0 { "String".to_owned() } else { format!("Thing{other}") };
        let _ = writeln!(
            code,
            "    #[serde(default, skip_serializing_if = \"Vec::is_empty\")]\n    pub list: Vec<{ty}>,\n}}"
        );
    }
    code
}

/// The quietest of three, without what an empty crate takes.
fn best(name: &str, code: &str) -> (f64, f64) {
    let tries = (0..3).map(|number| check::check(name, &format!("// {number}\n{code}")));
    tries.map(|it| (it.cpu, it.peak)).min_by(|one, other| one.0.total_cmp(&other.0)).expect("three")
}

/// One measurement at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
#[ignore = "measures; see the head of the file"]
fn generated_code_is_checked_in_a_third_of_the_time_of_serdes_derives() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("things.xsd");
    fs::write(&path, definition()).expect("written");
    let (ours, report) = Config::new().definition(&path).generate().expect("generated");
    assert_eq!(report.structures, STRUCTURES);
    check::check("nothing", "");
    let nothing = best("nothing", "");
    let (ours, derived) = (best("things", &ours), best("derives", &derives()));
    let ratio = (ours.0 - nothing.0) / (derived.0 - nothing.0);
    eprintln!("{:<36}{:>12}{:>8}", "cargo check", "CPU s", "MiB");
    for (name, (cpu, peak)) in
        [("an empty crate", nothing), ("300 structures", ours), ("the same for serde", derived)]
    {
        eprintln!("{name:<36}{cpu:>12.2}{peak:>8.0}");
    }
    eprintln!("generated to derived, without the empty crate: {ratio:.2}");
    assert!(ratio < 0.34, "{ratio}");
}

#[test]
#[ignore = "measures; see the head of the file"]
fn exchanges_definition_is_checked_in_under_five_seconds() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(corpus) = corpus() else { return };
    let (code, report) =
        Config::new().definition(corpus.join("d19_ews/main.wsdl")).generate().expect("generated");
    check::check("nothing", "");
    let nothing = best("nothing", "");
    let (cpu, peak) = best("exchange", &code);
    // seen once, beside another measurement: cargo took the crate for checked already
    assert!(cpu > 3.0 * nothing.0, "{cpu} s for Exchange, {} s for nothing: it wasn't checked", nothing.0);
    let source: u64 = report.files.iter().filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum();
    eprintln!(
        "Exchange: {} bytes of Rust from {source} of WSDL, checked in {cpu:.2} CPU s and {peak:.0} MiB",
        code.len()
    );
    assert!(cpu < 5.0, "{cpu} s");
}
