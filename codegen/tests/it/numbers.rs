//! Values that mean more than their text holds, or are longer than usual: names in namespaces, integers without an end.

use soapstone_soap::{Call as _, Envelope, Limits, Operation, QName, write};

use crate::compiles::numbers::example::Count;
use crate::compiles::numbers::types::{Numbers, NumbersCode};

fn read(body: &str) -> Result<Numbers, soapstone_soap::ReadError> {
    let text = format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:p=\"urn:around\"><s:Body>\
         <e:Numbers xmlns:e=\"urn:example\">{body}</e:Numbers></s:Body></s:Envelope>"
    );
    let limits = Limits::default();
    let mut numbers = Numbers::default();
    Envelope::open(&text, &limits)?.request(Count::operation(), &mut numbers)?;
    Ok(numbers)
}

fn operation() -> &'static Operation {
    Count::operation()
}

fn again(numbers: &Numbers) -> (String, Numbers) {
    let text = write::request(operation(), None, numbers).expect("written");
    let (mut read, limits) = (Numbers::default(), Limits::default());
    Envelope::open(&text, &limits).and_then(|it| it.request(operation(), &mut read)).expect("read");
    (text, read)
}

#[test]
fn integers_without_an_end_keep_128_bits_where_that_is_asked_for_and_longer_ones_are_refused_by_name() {
    let body = format!(
        "<integer>{}</integer><natural>{}</natural><negative>-18446744073709551617</negative>",
        i128::MIN,
        u128::MAX
    );
    let numbers = read(&body).expect("read");
    assert_eq!((numbers.integer, numbers.natural), (Some(i128::MIN), Some(u128::MAX)));
    assert_eq!(numbers.negative, Some(-18_446_744_073_709_551_617));
    assert_eq!(again(&numbers).1, numbers);
    let error = read(&format!("<integer>{}0</integer>", i128::MAX)).expect_err("too long").to_string();
    assert!(error.contains("integer") && error.contains("128 bits"), "{error}");
    // and what has an end keeps it
    let error = read("<long>9223372036854775808</long>").expect_err("too long").to_string();
    assert!(error.contains("long"), "{error}");
}

#[test]
fn the_prefix_of_a_qualified_name_is_resolved_where_the_name_stands() {
    for (body, namespace, local) in [
        ("<name>p:a</name>", "urn:around", "a"),
        ("<name xmlns:p=\"urn:own\">\n p:a </name>", "urn:own", "a"),
        ("<name xmlns:p=\"urn:a&amp;b\"><![CDATA[p:a]]></name>", "urn:a&b", "a"),
        ("<e:name xmlns=\"urn:default\">a</e:name>", "urn:default", "a"),
        ("<name>a</name>", "", "a"),
        ("<name>unknown:a</name>", "", "unknown:a"),
        ("<x xmlns:p=\"urn:before\"><y xmlns:p=\"urn:deep\"/></x><name>p:a</name>", "urn:around", "a"),
    ] {
        let numbers = read(body).expect(body);
        assert_eq!(numbers.name, Some(QName::new(namespace, local)), "{body}");
    }
    let numbers = read(
        "<names xmlns:q=\"urn:q\">p:a q:b c</names><code xmlns:q=\"urn:of\" of=\"q:d\">p:e</code><name>p:f</name>",
    )
    .expect("read");
    let of = |namespace: &str, local: &str| QName::new(namespace, local);
    assert_eq!(numbers.names, [of("urn:around", "a"), of("urn:q", "b"), of("", "c")]);
    let code = numbers.code.expect("there");
    assert_eq!((code.value, code.of), (of("urn:around", "e"), Some(of("urn:of", "d"))));
    assert_eq!(numbers.name, Some(of("urn:around", "f")));
}

#[test]
fn a_qualified_name_is_written_with_a_prefix_that_is_declared() {
    let of = |namespace: &str, local: &str| QName::new(namespace, local);
    let numbers = Numbers {
        name: Some(of("urn:a&b", "a")),
        names: vec![of("urn:x", "a"), of("urn:y", "b"), of("urn:x", "c")],
        code: Some(NumbersCode { value: of("urn:example", "d"), of: Some(of("urn:z", "e")) }),
        ..Numbers::default()
    };
    let (text, read) = again(&numbers);
    assert_eq!(read, numbers, "{text}");
    // for a reader that knows nothing of us: every prefix of a value is declared
    let document = text.replace("&amp;", "");
    for name in [":a<", ":b ", ":c<", ":d<", ":e\""] {
        let end = document.find(name).unwrap_or_else(|| panic!("{name} in {text}"));
        let start = document[..end].rfind(['>', ' ', '"']).expect("a beginning") + 1;
        let declared = format!("xmlns:{}=", &document[start..end]);
        assert!(document.contains(&declared), "{declared} in {text}");
    }
}
