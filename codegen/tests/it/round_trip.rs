//! A value of every message, made from its table, is written, read back and written again: the same bytes.

use std::borrow::Cow;

use soapstone_soap::{
    Envelope, Limits, Operation, Place, Service, Slot, Structure, Style, Type, Value, Xsd, write,
};

use crate::compiles::COMPILED;

/// Fills in a structure, `depth` structures deep; which alternative of a choice it is differs with `turn`.
fn fill(structure: &mut dyn Structure, depth: usize, turn: usize) {
    let shape = structure.shape();
    if shape.choice || shape.derived {
        if depth == 0 {
            return;
        }
        let index = turn % shape.members.len().max(1);
        if let Some(member) = shape.members.get(index) {
            fill_value(structure.member_mut(index), &member.ty, member.place, depth, turn);
        }
        return;
    }
    for (index, member) in shape.members.iter().enumerate() {
        if depth == 0 && member.optional {
            continue;
        }
        if member.place == Place::Element && fill_raw(structure, index) {
            continue;
        }
        fill_value(structure.member_mut(index), &member.ty, member.place, depth, turn);
    }
}

/// Fills in a member that is an element as it stands, so that its name has to be right; whether it is one.
fn fill_raw(structure: &mut dyn Structure, index: usize) -> bool {
    let shape = structure.shape();
    let member = &shape.members[index];
    let own = (member.name, member.namespace.unwrap_or(shape.elements_in));
    let (name, namespace) = match member.ty {
        Type::Raw | Type::Repeated(Type::Raw) => own,
        Type::Items(items) if matches!(items.ty, Type::Raw) => (items.name, items.namespace),
        _ => return false,
    };
    let text = format!("<{name} xmlns=\"{namespace}\"><o:odd xmlns:o=\"urn:other\"/></{name}>");
    let value = structure.member_mut(index);
    let value = match value.open() {
        Slot::List(list) => list.push(),
        _ => value,
    };
    if let Slot::Scalar(scalar) = value.open() {
        scalar.read(Cow::Owned(text)).expect("text");
    }
    true
}

fn fill_value(value: &mut dyn Value, ty: &Type, place: Place, depth: usize, turn: usize) {
    match (value.open(), ty) {
        (Slot::Scalar(scalar), Type::Raw) => {
            let text = match place {
                Place::OtherAttributes => " xmlns:o=\"urn:other\" o:odd=\"a&amp;b\"",
                _ => "<o:odd xmlns:o=\"urn:other\"><o:in>1</o:in></o:odd>",
            };
            scalar.read(Cow::Borrowed(text)).expect("text");
        }
        (Slot::Scalar(scalar), ty) => {
            let xsd = if let Type::Xsd(xsd) = ty { *xsd } else { scalar.xsd() };
            scalar.read(Cow::Borrowed(sample(xsd))).expect("a value of its type");
        }
        (Slot::Structure(inner), _) => fill(inner, depth.saturating_sub(1), turn),
        (Slot::List(list), Type::List(Type::Xsd(Xsd::String | Xsd::Token))) => {
            // white space would make two of it
            fill_value(list.push(), &Type::Xsd(Xsd::NmToken), place, depth, turn);
        }
        (Slot::List(list), Type::Array(item) | Type::Repeated(item) | Type::List(item)) => {
            for index in 0..if depth == 0 { 0 } else { 2 } {
                fill_value(list.push(), item, place, depth.saturating_sub(1), turn + index);
            }
        }
        (Slot::List(list), Type::Items(items) | Type::NamedArray(items)) => {
            fill_value(list.push(), &items.ty, place, depth.saturating_sub(1), turn);
        }
        (Slot::Any(any), _) => *any = soapstone_soap::Any::Text("anything".to_owned()),
        (Slot::List(_), other) => panic!("a list where the table says {other:?}"),
    }
}

fn sample(xsd: Xsd) -> &'static str {
    match xsd {
        Xsd::String | Xsd::NormalizedString | Xsd::Token => "a <b> & \"c\"",
        Xsd::Language => "de-AT",
        Xsd::NmToken | Xsd::Name | Xsd::NcName | Xsd::Id | Xsd::IdRef | Xsd::Entity | Xsd::Notation => {
            "a-b.c"
        }
        Xsd::QName => "{urn:example}name",
        Xsd::NonPositiveInteger | Xsd::NegativeInteger => "-7",
        Xsd::Duration => "-P1Y2M3DT4H5M6.7S",
        Xsd::GYear => "2024",
        Xsd::GYearMonth => "2024-02",
        Xsd::GMonth => "--02",
        Xsd::GMonthDay => "--02-29",
        Xsd::GDay => "---29",
        Xsd::HexBinary => "0AF0",
        Xsd::Boolean => "true",
        Xsd::Decimal | Xsd::Float | Xsd::Double => "12.5",
        Xsd::Date => "2024-02-29",
        Xsd::DateTime => "2024-02-29T12:30:00Z",
        Xsd::Time => "12:30:00",
        Xsd::AnyUri => "urn:example:a",
        Xsd::Base64Binary => "aGk=",
        _ => "7",
    }
}

/// Writes and reads a request and an answer.
pub(crate) fn round_trip(operation: &'static Operation, turn: usize) -> Vec<String> {
    let limits = Limits::default();
    let mut written = Vec::new();
    let mut request = (operation.input.empty)();
    fill(&mut *request, 3, turn);
    let headers: Vec<_> = operation
        .headers
        .iter()
        .map(|header| {
            let mut block = (header.empty)();
            fill(&mut *block, 2, turn);
            block
        })
        .collect();
    let headers: Vec<&dyn Structure> = headers.iter().map(|block| &**block).collect();
    let first = write::request_with(operation, &headers, &*request).expect("can be written");
    let mut again = (operation.input.empty)();
    let envelope = Envelope::open(&first, &limits).expect("an envelope");
    for header in operation.headers {
        assert!(envelope.header(header.name, &mut *(header.empty)()).expect("a header"), "{first}");
    }
    envelope.request(operation, &mut *again).unwrap_or_else(|error| panic!("{error}\n{first}"));
    let second = write::request_with(operation, &headers, &*again).expect("can be written");
    assert_eq!(first, second, "{}", operation.name);
    written.push(first);

    let mut response = (operation.output.empty)();
    fill(&mut *response, 3, turn);
    let first = write::response(operation, &*response).expect("can be written");
    let mut again = (operation.output.empty)();
    let read = Envelope::open(&first, &limits).and_then(|envelope| envelope.answer(operation, &mut *again));
    assert_eq!(read, Ok(Ok(())), "{first}");
    assert_eq!(first, write::response(operation, &*again).expect("can be written"), "{}", operation.name);
    written.push(first);
    written
}

fn operation(case: &str, name: &str) -> &'static Operation {
    let services: &[&Service] = COMPILED.iter().find(|(known, _)| *known == case).expect("a case").1;
    services.iter().find_map(|service| service.operation(name)).expect("an operation")
}

#[test]
fn what_is_written_is_read_back_the_same_for_every_operation() {
    // what is called `1st` there can't be an element
    for (_, services) in COMPILED.iter().filter(|(case, _)| *case != "names") {
        for operation in services.iter().flat_map(|service| service.operations) {
            for turn in 0..4 {
                round_trip(operation, turn);
            }
        }
    }
}

#[test]
fn literal_messages_have_their_schemas_namespaces_and_no_types() {
    let operation = operation("literal", "Wrapped");
    assert!(matches!(operation.style, Style::Document { .. }));
    let request = &round_trip(operation, 0)[0];
    assert!(request.contains("<soap:Body><Wrapped xmlns=\"urn:example\""), "{request}");
    assert!(request.contains("<bare xmlns=\"\">"), "an unqualified element says so: {request}");
    assert!(request.contains("<there xmlns=\"urn:other\">"), "{request}");
    assert!(!request.contains("xsi:type=\"xsd:"), "{request}");
}

#[test]
fn an_rpc_literal_message_has_a_wrapper_and_unqualified_accessors() {
    let request = &round_trip(operation("literal_rpc", "Sum"), 0)[0];
    assert!(request.contains("<soap:Body><tns:Sum><a>7</a><b>7</b></tns:Sum></soap:Body>"), "{request}");
}

#[test]
fn a_declared_fault_comes_with_its_detail_typed_in_either_version() {
    use crate::compiles::soap_1_2::types::{AskFault, Busy};
    let detail = AskFault::Busy(Busy { seconds: 9 });
    for version in [soapstone_soap::Version::Soap11, soapstone_soap::Version::Soap12] {
        let fault = soapstone_soap::Fault::new("Client.Busy", "not now");
        let text = write::fault_in(version, &fault, Some(&detail));
        let limits = Limits::default();
        let read = Envelope::open(&text, &limits).and_then(Envelope::into_fault).expect("a fault");
        assert_eq!(read.message, "not now");
        let typed = read.typed::<crate::compiles::soap_1_2::example::AskCall>().expect("readable");
        assert_eq!(typed, Some(detail.clone()), "{text}");
    }
}

#[test]
fn an_operation_without_an_answer_says_so() {
    let tell = operation("soap_1_2", "Tell");
    assert!(tell.one_way && tell.versions == [soapstone_soap::Version::Soap12]);
}
