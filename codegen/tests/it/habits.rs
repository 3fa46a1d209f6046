//! What senders do: the array, reference, nil, charset and fault habits of foreign stacks, over generated types. The
//! engine's own tests (`soapstone-soap`, `tests/wire.rs`) have more of them over a table written by hand.

use soapstone_soap::{Any, Envelope, Fault, Limits, Operation, ReadError, Server};

use crate::compiles::{COMPILED, arrays, literal};

const ENVELOPE: &str = "xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' xmlns:n='urn:example' \
                        xmlns:c='http://schemas.xmlsoap.org/soap/encoding/' \
                        xmlns:xsd='http://www.w3.org/2001/XMLSchema' \
                        xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'";

fn body(inside: &str) -> String {
    format!("<e:Envelope {ENVELOPE}><e:Body>{inside}</e:Body></e:Envelope>")
}

fn operation(case: &str, name: &str) -> &'static Operation {
    let services = COMPILED.iter().find(|(known, _)| *known == case).expect("a case").1;
    services.iter().find_map(|service| service.operation(name)).expect("an operation")
}

fn arrays(request: &str, after: &str) -> Result<arrays::types::Request, ReadError> {
    let text = body(&format!("<n:call><Request>{request}</Request></n:call>{after}"));
    let mut read = arrays::types::Request::default();
    Envelope::open(&text, &Limits::default())?.request(operation("arrays", "call"), &mut read)?;
    Ok(read)
}

#[test]
fn an_array_of_arrays_is_read_in_place_by_reference_and_with_gaps() {
    let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]];
    for (inside, after) in [
        (
            "<rows c:arrayType='xsd:string[][2]'><item c:arrayType='xsd:string[2]'><item>a</item><item>b</item></item><item><x>c</x></item></rows>",
            "",
        ),
        (
            "<rows><c:Array c:arrayType='xsd:string[2]'><c:string>a</c:string><c:string>b</c:string></c:Array><c:Array><c:string>c</c:string></c:Array></rows>",
            "",
        ),
        (
            "<rows href='#r'/>",
            "<c:Array id='r' c:arrayType='xsd:string[][2]'><i href='#one'/><i href='#two'/></c:Array><multiRef id='one'><i>a</i><i href='#b'/></multiRef><multiRef id='two'><i>c</i></multiRef><multiRef id='b' xsi:type='xsd:string'>b</multiRef>",
        ),
        ("<rows c:offset='[0]'><i><i c:position='[1]'>b</i><i c:position='[0]'>a</i></i><i>c</i></rows>", ""),
    ] {
        let inside = inside.replace("<i>c</i></rows>", "<i><i>c</i></i></rows>");
        let read = arrays(&inside, after).unwrap_or_else(|error| panic!("{error}\n{inside}"));
        assert_eq!(read.rows, rows, "{inside}");
    }
}

#[test]
fn one_array_stands_for_two_members_by_reference() {
    let after = "<m id='x' c:arrayType='xsd:int[2]'><i>1</i><i>2</i></m>";
    let read =
        arrays("<numbers href='#x'/><rows><i href='#x'/><i href='#x'/></rows>", after).expect("readable");
    assert_eq!(read.numbers, [1, 2]);
    assert_eq!(read.rows, [["1", "2"], ["1", "2"]]);
}

#[test]
fn an_array_that_holds_itself_is_refused() {
    let after = "<m id='x'><i href='#y'/></m><m id='y'><i href='#x'/></m>";
    let error = arrays("<nested href='#x'/>", after).expect_err("a circle").to_string();
    assert!(error.contains("leads back to itself"), "{error}");
}

#[test]
fn a_literal_message_may_bear_any_prefix_types_and_what_nobody_knows() {
    let request = "<a:Wrapped xmlns:a='urn:example' xmlns:o='urn:other' xsi:type='a:Whatever' o:odd='1'>\
                   <o:there>t</o:there><a:unknown><a:in>9</a:in></a:unknown><a:in xsi:type='xsd:int'> 7 </a:in>\
                   <bare>b</bare><a:list><a:Item><o:name>o</o:name><a:name>n</a:name></a:Item></a:list></a:Wrapped>";
    let mut read = literal::types::Wrapped::default();
    let text = body(request);
    let envelope = Envelope::open(&text, &Limits::default())
        .map(|envelope| envelope.request(operation("literal", "Wrapped"), &mut read));
    assert_eq!(envelope, Ok(Ok(())));
    assert_eq!((read.r#in, read.bare.as_str(), read.there.as_str()), (7, "b", "t"));
    assert_eq!((read.list[0].name.as_str(), read.list.len()), ("n", 1));
}

/// The same envelope in every encoding that is in use, as prolog, `charset` and mark say it or don't.
fn encoded(text: &str) -> Vec<(&'static str, Option<&'static str>, Vec<u8>)> {
    let units = |swap: bool| {
        let bytes = move |unit: u16| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
    };
    let marked = |mark: &[u8], rest: Vec<u8>| [mark, &rest[..]].concat();
    let latin: Vec<u8> =
        text.chars().map(|character| u8::try_from(u32::from(character)).expect("Latin 1")).collect();
    let prolog = |name: &str, rest: &[u8]| {
        [format!("<?xml version=\"1.0\" encoding=\"{name}\"?>").as_bytes(), rest].concat()
    };
    vec![
        ("UTF-8", None, text.into()),
        ("UTF-8 with a mark", Some("utf-8"), marked(b"\xef\xbb\xbf", text.into())),
        ("UTF-8 in quotes", Some("\"UTF-8\""), text.into()),
        ("UTF-16, little end first", None, marked(b"\xff\xfe", units(false))),
        ("UTF-16, big end first", Some("utf-16"), marked(b"\xfe\xff", units(true))),
        ("UTF-16LE without a mark", Some("utf-16le"), units(false)),
        ("ISO-8859-1 by charset", Some("ISO-8859-1"), latin.clone()),
        ("ISO-8859-1 by prolog", None, prolog("iso-8859-1", &latin)),
        ("windows-1252 by charset", Some("windows-1252"), latin.clone()),
        ("windows-1252 by prolog, whatever the charset", Some("utf-8"), prolog("windows-1252", &latin)),
    ]
}

#[test]
fn a_message_is_read_in_every_encoding_in_use() {
    let text = body("<n:Wrapped><n:in>1</n:in><bare>Zoë ÿ</bare></n:Wrapped>");
    let server = Server::new(literal::SERVICES, Limits::default());
    for (name, charset, bytes) in encoded(&text) {
        let content_type = charset.map(|charset| format!("text/xml; charset={charset}"));
        let read =
            server.accept(content_type.as_deref(), &bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let wrapped: &literal::types::Wrapped = read.parameter().expect("what was asked");
        assert_eq!(wrapped.bare, "Zoë ÿ", "{name}");
    }
}

fn fault(inside: &str) -> Fault {
    let text = body(&format!("<e:Fault>{inside}</e:Fault>"));
    Envelope::open(&text, &Limits::default()).and_then(Envelope::into_fault).expect("a fault")
}

#[test]
fn a_faults_code_is_the_same_with_any_prefix_and_none() {
    for code in [
        "soap:Server.Account.no",
        "SOAP-ENV:Server.Account.no",
        "Server.Account.no",
        " e:Server.Account.no\n",
    ] {
        let fault = fault(&format!("<faultcode>{code}</faultcode><faultstring>no</faultstring>"));
        assert_eq!((fault.code(), fault.message.as_str(), &fault.detail), ("Server.Account.no", "no", &None));
    }
    let typed = fault(
        "<faultstring xsi:type='xsd:string'>no</faultstring><faultcode xsi:type='xsd:QName'>e:Client</faultcode><faultactor>me</faultactor>",
    );
    assert_eq!((typed.code(), typed.message.as_str(), typed.actor.as_deref()), ("Client", "no", Some("me")));
}

#[test]
fn a_faults_detail_is_a_text_a_structure_a_map_or_nothing() {
    let detail = |inside: &str| fault(&format!("<faultcode>Server</faultcode><faultstring/>{inside}")).detail;
    assert_eq!(detail(""), None);
    assert_eq!(detail("<detail/>"), None);
    assert_eq!(detail("<detail xsi:nil='true'/>"), None);
    assert_eq!(detail("<detail xsi:type='xsd:string'>why</detail>"), Some(Any::Text("why".into())));
    let of_perl =
        detail("<detail><c-gensym5><code xsi:type='xsd:string'>x</code></c-gensym5></detail>").expect("one");
    assert_eq!(of_perl.get("c-gensym5").and_then(|it| it.get("code")?.text()), Some("x"));
    let of_php = detail(
        "<detail><error_info xmlns:a='http://xml.apache.org/xml-soap' xsi:type='a:Map'>\
         <item><key>code</key><value>x</value></item></error_info></detail>",
    );
    assert_eq!(of_php.expect("one").get("error_info").and_then(|it| it.get("code")?.text()), Some("x"));
}
