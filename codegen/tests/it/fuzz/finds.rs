//! What came out of long runs, each as small as it gets.

use soapstone_soap::{Envelope, Limits, Operation, write};

use crate::compiles::COMPILED;

/// Reads a request and writes it again, twice; what was written.
pub(crate) fn again(case: &str, operation: &str, body: &str) -> String {
    let (_, services) = COMPILED.iter().find(|(known, _)| *known == case).expect("a case");
    let operation: &'static Operation =
        services.iter().find_map(|service| service.operation(operation)).expect("an operation");
    let limits = Limits::default();
    let mut text = format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{body}</s:Body></s:Envelope>"
    );
    let mut before = String::new();
    for _ in 0..2 {
        before = text;
        let mut request = (operation.input.empty)();
        let read = Envelope::open(&before, &limits).and_then(|it| it.request(operation, &mut *request));
        assert_eq!(read, Ok(()), "{before}");
        text = write::request(operation, None, &*request).expect("can be written");
    }
    assert_eq!(before, text);
    text
}

#[test]
fn a_namespace_with_an_ampersand_stays_the_same_namespace() {
    let body = "<Call xmlns=\"urn:example\"><amount xmlns:o=\"a&amp;b\" o:odd=\"1\">12.5</amount></Call>";
    let written = again("attributes", "Call", body);
    assert!(written.contains("xmlns:o=\"a&amp;b\" o:odd=\"1\""), "{written}");
}

#[test]
fn attributes_and_elements_that_are_no_xml_are_not_written_as_they_stand() {
    use crate::compiles::attributes::{example::CallCall, types};
    use soapstone_soap::{Call as _, Raw, Scalar as _};
    for attributes in [" xmlns:o=\"urn:o\"(o:odd=\"1\"", " a=\"1\"b=\"2\"", " 1=\"2\""] {
        let mut others = Raw::default();
        others.read(attributes.into()).expect("any text");
        let amount = types::Amount { other_attributes: Some(others), ..types::Amount::default() };
        let request =
            types::Call2 { amount: types::AnyAmount::Amount(Box::new(amount)), ..types::Call2::default() };
        let error = write::request(CallCall::operation(), None, &request).expect_err("no XML");
        assert_eq!(error.path, "amount.other_attributes", "{attributes}");
        assert!(Raw::element(format!("<a{attributes}/>")).is_err(), "{attributes}");
    }
    assert!(Raw::element("<a:b x='1' />").is_ok());
    assert!(Raw::element("<a(b/>").is_err() && Raw::element("text").is_err());
}

#[test]
fn xml_of_no_namespace_stays_in_none_and_with_one_of_its_own_in_that() {
    for (element, written) in [
        ("<odd axmlns=\"1\"/>", "<odd xmlns=\"\" axmlns=\"1\"/>"),
        ("<odd a=\">\" xmlns=\"urn:o\"/>", "<odd a=\">\" xmlns=\"urn:o\"/>"),
    ] {
        use crate::compiles::mixed::{example::NoteCall, types};
        use soapstone_soap::{Call as _, Raw};
        let open = types::Open { any: vec![Raw::element(element).expect("XML")], ..types::Open::default() };
        let note = types::Note { open: Some(open), ..types::Note::default() };
        let text = write::request(NoteCall::operation(), None, &note).expect("can be written");
        assert!(text.contains(written), "{text}");
    }
}

#[test]
fn white_space_that_means_nothing_to_a_type_is_not_written() {
    use crate::compiles::attributes::{example::CallCall, types};
    use soapstone_soap::Call as _;
    let less = types::Less { lang: Some(" de\n".into()), ..types::Less::default() };
    let request = types::Call2 { less: vec![less], ..types::Call2::default() };
    let text = write::request(CallCall::operation(), None, &request).expect("can be written");
    assert!(text.contains("xml:lang=\"de\""), "{text}");
}

#[test]
fn an_item_of_a_list_in_one_text_that_would_be_none_or_two_is_refused() {
    use crate::compiles::attributes::{example::CallCall, types};
    use soapstone_soap::Call as _;
    for item in ["", "a b", "\n"] {
        let less = types::Less { tags: vec!["a".into(), item.into()], ..types::Less::default() };
        let request = types::Call2 { less: vec![less], ..types::Call2::default() };
        let error = write::request(CallCall::operation(), None, &request).expect_err("no item");
        assert_eq!((error.path.as_str(), error.problem), ("less.tags[1]", write::Problem::Item));
    }
}
