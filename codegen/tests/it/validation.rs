//! A value of every message is read back the same as it was, and a validator that isn't ours (libxml2) finds what was
//! written to be what the schemas say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compiles::COMPILED;
use crate::messages;

/// The Python that has lxml, which `tests/peers/setup.sh` installs. Where it isn't, says so, or fails where it must be.
pub(crate) fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let python = target.join("peers/.venv/bin/python");
    let there =
        Command::new(&python).args(["-c", "import lxml"]).output().is_ok_and(|it| it.status.success());
    let required = std::env::var("SOAPSTONE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
    assert!(there || !required, "lxml is not installed; tests/peers/setup.sh installs it");
    if !there {
        eprintln!("not validated: lxml is not installed; tests/peers/setup.sh installs it");
    }
    there.then_some(python)
}

/// An empty folder for the messages of `name`.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What the validator has against the messages in `folder`, a line for each; what it looked at, for people.
pub(crate) fn validated(python: &Path, wsdl: &Path, folder: &Path) -> (Vec<String>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/valid.py");
    let output = Command::new(python).arg(script).args([wsdl, folder]).output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return (vec![format!("{}: {said}{error}", wsdl.display())], "(nothing)".to_owned());
    }
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    let summary = lines.pop().expect("a summary");
    (lines, summary)
}

/// What isn't judged: messages, by a part of their files' names, all of them where it is empty.
///
/// * A schema that has a member twice wants it twice, and only the first is there; without what may be left out, it is
///   there once.
/// * Types that are taken from elsewhere aren't those of the definition.
/// * A schema with names that are defined nowhere is none, and neither is a draft or SOAP's encoding.
/// * What stands elsewhere than a definition says is found by us alone.
const NOT_JUDGED: [(&str, &str); 7] = [
    ("copies", ""),
    ("derived", "-all-"),
    ("drafts", ""),
    ("elsewhere", ""),
    ("everybody", ""),
    ("unclear", ""),
    ("undefined", ""),
];

/// Whether there is anything to be judged; what isn't is removed.
fn to_judge(case: &str, folder: &Path) -> bool {
    for (_, part) in NOT_JUDGED.iter().filter(|(name, _)| *name == case) {
        for file in fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file").path()) {
            if file.to_string_lossy().contains(part) {
                fs::remove_file(file).expect("removed");
            }
        }
    }
    fs::read_dir(folder).expect("the folder").next().is_some()
}

/// The case's only definition.
fn definition(case: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case);
    let entries = fs::read_dir(folder).expect("a case").map(|entry| entry.expect("a file").path());
    let mut found = entries.filter(|path| path.extension().is_some_and(|extension| extension == "wsdl"));
    found.next().filter(|_| found.next().is_none())
}

#[test]
fn every_message_of_our_cases_is_valid_and_comes_back_the_same() {
    let python = python();
    let mut wrong = Vec::new();
    for (case, services) in COMPILED {
        let folder = folder(case);
        let outcome = messages::exchange(services, &folder);
        wrong.extend(outcome.wrong.into_iter().map(|why| format!("{case}: {why}")));
        assert!(outcome.messages > 0, "{case} has no messages");
        if let (Some(python), Some(definition)) =
            (&python, definition(case).filter(|_| to_judge(case, &folder)))
        {
            let (invalid, summary) = validated(python, &definition, &folder);
            eprintln!("{case:<16} {summary}");
            wrong.extend(invalid.into_iter().map(|why| format!("{case}: not valid: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
