//! What only literal messages hold: text between elements, and XML of any namespace.

use soapstone_soap::{Call as _, Envelope, Limits, Structure, write};

use crate::compiles::{any_literal, literal_arrays, literal_rpc, mixed};
use crate::fuzz::finds::again;

fn read(body: &str, operation: &soapstone_soap::Operation, target: &mut dyn Structure) {
    let text = format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:p=\"urn:other\"><s:Body>{body}</s:Body></s:Envelope>"
    );
    let limits = Limits::default();
    let envelope = Envelope::open(&text, &limits).expect("an envelope");
    envelope.request(operation, target).unwrap_or_else(|error| panic!("{error}: {text}"));
}

#[test]
fn the_wrapper_of_an_rpc_answer_is_in_the_namespace_of_the_output() {
    use literal_rpc::example::Swap;
    let operation = Swap::operation();
    let asked = write::request(operation, None, &*(operation.input.empty)()).expect("written");
    assert!(asked.contains("xmlns:tns=\"urn:example\"><soap:Body><tns:Swap>"), "{asked}");
    let result = literal_rpc::types::Pair { left: 7, right: 1 };
    let written = write::response(operation, &result).expect("written");
    assert!(written.contains("xmlns:tns=\"urn:other\"><soap:Body><tns:SwapResponse>"), "{written}");
    let mut again = literal_rpc::types::Pair::default();
    let limits = Limits::default();
    let read = Envelope::open(&written, &limits).and_then(|it| it.answer(operation, &mut again));
    assert_eq!((read, again), (Ok(Ok(())), result));
}

#[test]
fn the_text_of_mixed_content_is_kept_in_one_piece() {
    let body = "<Note xmlns=\"urn:example\" lang=\"de\">a <b>x</b>c &amp; <![CDATA[<d>]]><b>y</b>\
                <open>in <i>it</i> too</open><only>all</only></Note>";
    let mut note = mixed::types::Note::default();
    read(body, mixed::example::NoteCall::operation(), &mut note);
    assert_eq!(
        (note.b.as_slice(), note.lang.as_deref()),
        (&["x".to_owned(), "y".to_owned()][..], Some("de"))
    );
    assert_eq!(note.text_2.as_deref(), Some("a c & <d>"));
    assert_eq!(note.open.expect("there").text.as_deref(), Some("in  too"));
    assert_eq!(note.only.expect("there").text.as_deref(), Some("all"));
    again("mixed", "note", body);
    // white space between elements is none of it
    let mut note = mixed::types::Note::default();
    read(
        "<Note xmlns=\"urn:example\">\n  <b>x</b>\n</Note>",
        mixed::example::NoteCall::operation(),
        &mut note,
    );
    assert_eq!(note.text_2, None);
}

#[test]
fn what_has_no_type_keeps_its_namespaces_its_attributes_and_the_prefixes_it_has_from_around_it() {
    let body = "<Values xmlns=\"urn:example\"><one xsi:type=\"p:Point\"><p:x unit=\"mm\">1</p:x></one>\
                <many>text</many><many/><list><anything p:a=\"1\"/></list></Values>";
    let mut values = any_literal::types::Values::default();
    read(body, any_literal::example::ValuesCall::operation(), &mut values);
    let one = values.one.as_str();
    for kept in [
        "<one xmlns",
        "xmlns:p=\"urn:other\"",
        "xsi:type=\"p:Point\"",
        "xmlns:xsi=",
        "<p:x unit=\"mm\">1</p:x>",
    ] {
        assert!(one.contains(kept), "{kept}: {one}");
    }
    assert_eq!(values.many.len(), 2);
    assert!(values.list[0].as_str().contains("xmlns:p=\"urn:other\""), "{:?}", values.list);
    let operation = any_literal::example::ValuesCall::operation();
    let written = write::request(operation, None, &values).expect("written");
    let mut values_again = any_literal::types::Values::default();
    let limits = Limits::default();
    let read = Envelope::open(&written, &limits).and_then(|it| it.request(operation, &mut values_again));
    assert_eq!(read, Ok(()), "{written}");
    assert_eq!(values_again, values);
    // one that must be there is there, though nothing was put into it
    let empty = any_literal::types::Values::default();
    let written = write::request(operation, None, &empty).expect("written");
    assert!(written.contains("<one xmlns=\"urn:example\"/>"), "{written}");
}

#[test]
fn items_of_an_array_are_called_as_the_schema_says_and_read_whatever_they_are_called() {
    use literal_arrays::types::{Event, Inform};
    let operation = literal_arrays::example::InformCall::operation();
    let event = |code: &str| Event { code: code.to_owned() };
    let inform = Inform {
        events: vec![event("1"), event("2")],
        names: vec!["a".to_owned()],
        rows: vec![vec![1], vec![]],
    };
    let written = write::request(operation, None, &inform).expect("written");
    for part in
        ["<EventStruct><Code>1</Code></EventStruct>", "Event[2]\"", "<string xmlns=\"\">a</string>", "<item"]
    {
        assert!(written.contains(part), "{part}: {written}");
    }
    assert_eq!(written.matches("<item").count(), 3, "only those that have no name: {written}");
    let mut again = Inform::default();
    let body = "<e:Inform xmlns:e=\"urn:example\"><e:Events><item><e:Code>1</e:Code></item>\
                <e:Event><e:Code>2</e:Code></e:Event></e:Events><e:Names><n>a</n></e:Names>\
                <e:Rows><r><i>1</i></r><r/></e:Rows></e:Inform>";
    read(body, operation, &mut again);
    assert_eq!(again, inform);
}
