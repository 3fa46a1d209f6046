//! The command as it is called.

use std::path::Path;
use std::process::Command;

/// What it says on standard output; it must succeed.
fn said(arguments: &[&str]) -> String {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/smallest/input.wsdl");
    let mut command = Command::new(env!("CARGO_BIN_EXE_soapstone-codegen"));
    let output = command.args(arguments).arg(case).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn each_command_does_what_its_name_says() {
    assert!(said(&["check"]).starts_with("1 services, 1 operations, "));
    let code = said(&["generate"]);
    assert!(code.contains("pub static SERVICES") && !code.contains("json_faces"), "{code}");
    assert!(said(&["generate", "--json"]).contains("::soapstone_soap::json_faces! {"));
    let table = said(&["describe"]);
    let json: serde_json::Value = serde_json::from_str(&said(&["describe", "--json"])).expect("JSON");
    let name = json[0]["name"].as_str().expect("a name");
    assert!(table.contains(name), "{name}: {table}");
}
