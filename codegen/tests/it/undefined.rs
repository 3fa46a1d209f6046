//! A name that is defined nowhere: what it costs, and what is said.

use std::path::Path;

use soapstone_codegen::{Config, Severity};

fn case() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/undefined/input.wsdl")
}

#[test]
fn what_needs_an_undefined_name_is_left_out_with_a_warning_at_its_line_and_the_rest_is_generated() {
    let (code, report) = Config::new().definition(case()).generate().expect("the rest");
    assert_eq!(report.operations, 1);
    assert!(code.contains("pub struct Stays;") && !code.contains("NeedsGone"));
    let said = report
        .warnings
        .iter()
        .find(|warning| warning.message.starts_with("operation `needs_gone` is left out"))
        .expect("a warning");
    assert_eq!(said.severity, Severity::Warning);
    assert_eq!((said.file.clone(), said.position.map(|at| at.line)), (case(), Some(32)));
    assert!(said.message.contains("no element `tns:Gone`") && said.advice.contains("define it"), "{said}");
}

#[test]
fn where_nothing_may_be_left_out_an_undefined_name_is_an_error() {
    let error = Config::new().definition(case()).strict(true).generate().expect_err("strict");
    assert!(error.diagnostics().iter().all(|it| it.severity == Severity::Error), "{error}");
    assert!(error.diagnostics().iter().any(|it| it.message.contains("no element `tns:Gone`")), "{error}");
}

#[test]
fn where_nothing_remains_without_undefined_names_they_are_errors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/broken-type");
    let error = Config::new().definitions(folder).generate().expect_err("nothing remains");
    assert!(error.diagnostics().iter().any(|it| it.message.contains("no type `tns:Gone`")), "{error}");
}

#[test]
fn a_service_or_operation_that_is_asked_for_and_not_there_is_reported() {
    let mut config = Config::new();
    config.definition(case()).only_service("Example").only_operation("stays").only_operation("stay");
    let (_, report) = config.generate().expect("the rest");
    let said: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    let of_settings: Vec<&String> = said.iter().filter(|it| it.starts_with("the settings: ")).collect();
    assert_eq!(of_settings.len(), 1, "{said:?}");
    assert!(of_settings[0].contains("`only_operation` names `stay`"), "{of_settings:?}");
}
