//! Over all of the definitions: what holds for each of their types and messages.

use std::collections::BTreeMap;

use portabilling::soap::{Envelope, Limits, Place, Slot, Type, View, Xsd};
use portabilling::{DEFINITIONS, SERVICES};

/// The text of each named type and element of a definition's schema, by kind and name.
fn named(text: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    // top-level ones are indented alike, and end at a line that is indented like their first
    let mut rest = text;
    while let Some(start) = rest.find("\n      <xsd:") {
        rest = &rest[start + 1..];
        let tag = &rest[..rest.find('>').unwrap_or(rest.len())];
        let kind = tag.trim_start().trim_start_matches("<xsd:").split(' ').next().unwrap_or_default();
        let Some((_, name)) = tag.split_once("name=\"") else { continue };
        let name = name.split('"').next().unwrap_or_default();
        let close = format!("\n      </xsd:{kind}>");
        let end = if tag.ends_with('/') { tag.len() } else { rest.find(&close).unwrap_or(rest.len()) };
        found.push((format!("{kind} {name}"), rest[..end].trim()));
        rest = &rest[end..];
    }
    found
}

#[test]
fn a_type_of_the_same_name_is_the_same_in_every_definition() {
    let mut known: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    let (mut differing, mut again) = (Vec::new(), 0);
    for (file, text) in DEFINITIONS {
        let types = named(text);
        // so that none is overlooked
        let all =
            text.matches("<xsd:complexType name=").count() + text.matches("<xsd:simpleType name=").count();
        let found = types.iter().filter(|(name, _)| !name.starts_with("element ")).count();
        assert_eq!(found, all, "{file}");
        for (name, text) in types {
            let (first, before) = *known.entry(name.clone()).or_insert((file, text));
            again += usize::from(first != *file);
            if before != text {
                differing.push(format!("{name} of {file} isn't that of {first}"));
            }
        }
    }
    assert!(again > 20, "{again} types stand in several files");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn an_empty_element_is_no_number_no_date_and_no_flag() {
    let mut tried = 0;
    for operation in SERVICES.iter().flat_map(|service| service.operations) {
        for (index, member) in operation.output.shape.members.iter().enumerate() {
            let Type::Structure(shape) = member.ty else { continue };
            for (inner, scalar) in shape.members.iter().enumerate() {
                let text =
                    matches!(scalar.ty, Type::Xsd(Xsd::String | Xsd::AnyUri | Xsd::Base64Binary | Xsd::Time));
                let simple = matches!(scalar.ty, Type::Xsd(_)) && scalar.place == Place::Element;
                if text || !simple || !scalar.optional {
                    continue;
                }
                tried += 1;
                let [part, member, scalar] = [operation.output.name, member.name, scalar.name];
                let inside = format!("<{part}><{member}><{scalar}/></{member}></{part}>");
                let message = format!(
                    "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>\
                     <n:r xmlns:n='urn:n'>{inside}</n:r></e:Body></e:Envelope>"
                );
                let mut read = (operation.output.empty)();
                let limits = Limits::default();
                let outcome = Envelope::open(&message, &limits)
                    .and_then(|envelope| envelope.answer(operation, &mut *read));
                assert_eq!(outcome, Ok(Ok(())), "{message}");
                let Slot::Structure(structure) = read.member_mut(index).open() else { panic!("{message}") };
                assert!(matches!(structure.member(inner).view(), View::Absent), "{message}");
            }
        }
    }
    assert!(tried > 100, "{tried} members");
}
