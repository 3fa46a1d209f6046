//! The generated server as a protocol: raw requests, versions, statuses, limits, `?wsdl`.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use soapstone_soap::{
    Context, Definition, Endpoint, Fault, Limits, NOTHING, Nothing, Operation, Part, Port, SOAP_1_1,
    SOAP_1_2, Service, Style, TypedFault, Version,
};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::compiles::literal::example::ExampleServer;
use crate::compiles::literal::types::{BothIn, BothOut};
use crate::compiles::soap_1_2;
use crate::library::Library;

/// An answer: status, content type, text.
type Said = (u16, String, String);

async fn send(endpoint: &Endpoint, request: http::request::Builder, body: impl Into<Bytes>) -> Said {
    let request = request.body(Full::new(body.into())).expect("a request");
    let (parts, body) = endpoint.answer(request).await.into_parts();
    let text = |value: Option<&http::HeaderValue>| {
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let body = body.collect().await.expect("a body").to_bytes();
    let said = text(parts.headers.get(CONTENT_TYPE).or(parts.headers.get(ALLOW)));
    (parts.status.as_u16(), said, String::from_utf8(body.to_vec()).expect("text"))
}

fn envelope(version: &str, header: &str, body: &str) -> String {
    format!(
        "<e:Envelope xmlns:e=\"{version}\" xmlns=\"urn:example:library\"><e:Header>{header}</e:Header><e:Body>{body}</e:Body></e:Envelope>"
    )
}

const SESSION: &str = "<Session><id>1</id></Session>";
const FIND: &str = "<Find><title>a</title></Find>";
const NONE: &str = "<Find><title>nothing</title></Find>";

async fn post(text: &str) -> Said {
    post_to(&Library::default().endpoint(), text).await
}

async fn post_to(endpoint: &Endpoint, text: &str) -> Said {
    send(endpoint, Request::post("/library"), text.to_owned()).await
}

#[tokio::test]
async fn an_answer_has_the_version_of_its_request() {
    for (version, media) in [(SOAP_1_1, "text/xml"), (SOAP_1_2, "application/soap+xml")] {
        let (status, content_type, text) = post(&envelope(version, SESSION, FIND)).await;
        assert_eq!((status, content_type), (200, format!("{media}; charset=utf-8")), "{text}");
        assert!(
            text.contains(&format!("xmlns:soap=\"{version}\"")) && text.contains("FindResponse"),
            "{text}"
        );
        assert!(text.contains("Quota"), "{text}");
    }
}

#[tokio::test]
async fn a_fault_has_the_status_and_the_form_of_its_version() {
    let (status, content_type, text) = post(&envelope(SOAP_1_1, SESSION, NONE)).await;
    assert_eq!((status, content_type.as_str()), (500, "text/xml; charset=utf-8"));
    assert!(text.contains("<faultcode>soap:Client.NotFound</faultcode>"), "{text}");
    assert!(
        text.contains("<detail><NotFound xmlns=\"urn:example:library\"><title>nothing</title>"),
        "{text}"
    );
    let (status, content_type, text) = post(&envelope(SOAP_1_2, SESSION, NONE)).await;
    assert_eq!((status, content_type.as_str()), (400, "application/soap+xml; charset=utf-8"));
    assert!(text.contains("<soap:Value>soap:Sender</soap:Value>"), "{text}");
    assert!(text.contains("<soap:Detail><NotFound xmlns=\"urn:example:library\">"), "{text}");
    let busy = envelope(SOAP_1_2, SESSION, "<Find><title>later</title></Find>");
    assert_eq!(post(&busy).await.0, 500, "the receiver's fault");
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_header_that_a_fault_may_not_have_is_left_out_and_whoever_wrote_the_server_is_told() {
    let log = Log::default();
    let writer = log.clone();
    let logging =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).set_default();
    let said = || String::from_utf8(std::mem::take(&mut *log.0.lock().expect("the log"))).expect("text");
    let title = "<Find><title>fault with headers</title></Find>";
    let (status, _, text) = post(&envelope(SOAP_1_1, SESSION, title)).await;
    // the fault gets through, with the header that it may have
    assert!(status == 500 && text.contains("soap:Server.Headers"), "{text}");
    assert!(text.contains("<reason>this one may</reason>") && !text.contains("Quota"), "{text}");
    let line = said();
    for part in ["ERROR", "declares no header of type Quota here", "operation=\"Find\""] {
        assert!(line.contains(part) && line.lines().count() == 1, "{line}");
    }
    let (status, _, text) = post(&envelope(SOAP_1_1, "", "<Log><line>header</line></Log>")).await;
    assert_eq!((status, text.as_str()), (202, ""));
    let line = said();
    assert!(line.contains("type Quota here") && line.contains("operation=\"Log\""), "{line}");
    // nothing to be told
    assert_eq!(post(&envelope(SOAP_1_1, "", FIND)).await.0, 500);
    assert_eq!(said(), "");
    drop(logging);
}

#[tokio::test]
async fn an_envelope_that_the_bindings_do_not_have_is_a_version_mismatch_in_one_that_they_have() {
    for body in [
        envelope(SOAP_1_2, "", "<Title>abc</Title>"),
        envelope("urn:soap-of-tomorrow", "", "<Title>abc</Title>"),
    ] {
        let (status, content_type, text) = post(&body).await;
        assert_eq!((status, content_type.as_str()), (500, "text/xml; charset=utf-8"), "{text}");
        assert!(text.contains("<faultcode>soap:VersionMismatch</faultcode>"), "{text}");
        let upgrade = format!(
            "<n:SupportedEnvelope qname=\"e:Envelope\" xmlns:e=\"{SOAP_1_1}\"/></n:Upgrade></soap:Header>"
        );
        assert!(text.contains(&upgrade), "{text}");
    }
    // the other way round
    let modern = Endpoint::default().port(Port::new(&soap_1_2::example::SERVICE));
    let (_, content_type, text) =
        post_to(&modern, &envelope(SOAP_1_1, "", "<Ask xmlns='urn:example'/>")).await;
    assert_eq!(content_type, "application/soap+xml; charset=utf-8");
    assert!(text.contains("soap:VersionMismatch") && text.contains("send a SOAP 1.2 envelope"), "{text}");
    let only = format!(
        "<n:Upgrade xmlns:n=\"{SOAP_1_2}\"><n:SupportedEnvelope qname=\"e:Envelope\" xmlns:e=\"{SOAP_1_2}\"/></n:Upgrade>"
    );
    assert!(text.contains(&format!("<soap:Header>{only}</soap:Header>")), "{text}");
}

#[tokio::test]
async fn what_must_be_understood_and_is_not_is_a_fault_if_it_is_meant_for_us() {
    let next_12 = "e:role=\"http://www.w3.org/2003/05/soap-envelope/role/next\"";
    for (version, attributes, refused) in [
        (SOAP_1_1, "e:mustUnderstand=\"1\"", true),
        (SOAP_1_1, "e:mustUnderstand=\"0\"", false),
        (SOAP_1_1, "e:mustUnderstand=\"1\" e:actor=\"urn:somebody-else\"", false),
        (SOAP_1_2, "e:mustUnderstand=\"true\"", true),
        (SOAP_1_2, &format!("e:mustUnderstand=\"true\" {next_12}"), true),
        (SOAP_1_2, "e:mustUnderstand=\"true\" e:role=\"urn:somebody-else\"", false),
    ] {
        let header = format!("{SESSION}<Security xmlns=\"urn:s\" {attributes}/>");
        let (status, _, text) = post(&envelope(version, &header, FIND)).await;
        assert_eq!(status == 500 && text.contains("soap:MustUnderstand"), refused, "{attributes}: {text}");
        let named =
            format!("<n:NotUnderstood xmlns:n=\"{SOAP_1_2}\" qname=\"b:Security\" xmlns:b=\"urn:s\"/>");
        assert_eq!(text.contains(&named), refused && version == SOAP_1_2, "{attributes}: {text}");
    }
    let known = SESSION.replace("<Session>", "<Session e:mustUnderstand=\"1\">");
    assert_eq!(post(&envelope(SOAP_1_1, &known, FIND)).await.0, 200);
}

#[tokio::test]
async fn a_one_way_request_is_answered_with_202_and_nothing() {
    for version in [SOAP_1_1, SOAP_1_2] {
        let server = Library::default();
        let said = post_to(&server.endpoint(), &envelope(version, "", "<Log><line>a</line></Log>")).await;
        assert_eq!(said, (202, String::new(), String::new()));
        assert_eq!(*server.lines.lock().expect("the lines"), ["a"]);
    }
}

#[tokio::test]
async fn a_panic_is_a_fault_and_the_next_request_is_served() {
    let endpoint = Library::default().endpoint();
    let (status, _, text) =
        post_to(&endpoint, &envelope(SOAP_1_1, SESSION, "<Find><title>panic</title></Find>")).await;
    assert_eq!(status, 500);
    assert!(text.contains("<faultstring>Find failed unexpectedly</faultstring>"), "{text}");
    assert!(!text.contains("on purpose"), "what it panicked with is nobody's business: {text}");
    assert_eq!(post_to(&endpoint, &envelope(SOAP_1_1, SESSION, FIND)).await.0, 200);
}

#[tokio::test]
async fn a_body_over_the_limit_a_coding_and_another_method_are_refused() {
    let endpoint = Library::default().endpoint();
    let long = envelope(SOAP_1_1, "", &format!("<Title>{}</Title>", "a".repeat(100_000)));
    let (status, _, text) = post_to(&endpoint, &long).await;
    assert!(status == 413 && text.contains("the request has more than 100000 bytes"), "{status}: {text}");
    let coded = Request::post("/").header("Content-Encoding", "gzip");
    let (status, _, text) = send(&endpoint, coded, "x").await;
    assert!(status == 415 && text.contains("gzip"), "{status}: {text}");
    for method in [Method::PUT, Method::DELETE, Method::GET] {
        let said = send(&endpoint, Request::builder().method(method).uri("/library"), "").await;
        assert_eq!(said, (405, "POST".to_owned(), String::new()));
    }
    let deep = envelope(SOAP_1_1, "", &format!("<Book>{}", "<a>".repeat(1000)));
    let (status, _, text) = post_to(&endpoint, &deep).await;
    assert!(status == 500 && text.contains("more than the limit of 64"), "{text}");
    let (status, _, text) = post_to(&endpoint, "").await;
    assert!(status == 500 && text.contains("<faultcode>soap:Client</faultcode>"), "{text}");
}

#[tokio::test]
async fn a_request_may_be_in_any_charset_and_the_answer_is_in_utf_8() {
    let endpoint = Library::default().endpoint();
    let text = envelope(SOAP_1_1, "", "<Title>Žluťoučký</Title>");
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    // ISO-8859-2, by hand
    let latin: Vec<u8> = text
        .chars()
        .map(|character| match character {
            'Ž' => 0xae,
            'ť' => 0xbb,
            'č' => 0xe8,
            'ý' => 0xfd,
            other => u8::try_from(u32::from(other)).expect("ASCII"),
        })
        .collect();
    for (content_type, body) in [("text/xml", utf16), ("text/xml; charset=iso-8859-2", latin)] {
        let request = Request::post("/").header(CONTENT_TYPE, content_type);
        let (status, said, text) = send(&endpoint, request, body).await;
        assert_eq!((status, said.as_str()), (200, "text/xml; charset=utf-8"), "{text}");
        assert!(text.contains(">9<"), "{text}");
    }
}

#[tokio::test]
async fn a_definition_is_given_with_the_address_that_was_asked() {
    let endpoint = Library::default().endpoint();
    let ask = |uri: &str| Request::get(uri).header(HOST, "books.example:8080");
    let (status, content_type, wsdl) = send(&endpoint, ask("/library?wsdl"), "").await;
    assert_eq!((status, content_type.as_str()), (200, "text/xml; charset=utf-8"));
    assert_eq!(wsdl.matches("location=\"http://books.example:8080/library\"").count(), 5, "{wsdl}");
    assert!(!wsdl.contains("http://localhost/library"), "{wsdl}");
    // the files that it imports are had one by one
    let mut text = wsdl;
    for file in ["parts/books.xsd", "more/faults.xsd"] {
        let url = format!("http://books.example:8080/library?file={file}");
        assert!(text.contains(&format!("schemaLocation=\"{url}\"")), "{text}");
        let (status, _, next) = send(&endpoint, ask(&url), "").await;
        assert_eq!(status, 200);
        text = next;
    }
    assert!(text.contains("DivisionByZero"), "{text}");
    for missing in ["/library?file=../../etc/passwd", "/library?file=none.xsd"] {
        assert_eq!(send(&endpoint, ask(missing), "").await.0, 404);
    }
    let proxied = endpoint.address("https://books.example/api");
    let (_, _, wsdl) = send(&proxied, ask("/library?WSDL"), "").await;
    assert_eq!(wsdl.matches("location=\"https://books.example/api\"").count(), 5, "{wsdl}");
    let none = Endpoint::default();
    assert_eq!(send(&none, ask("/library?wsdl"), "").await.0, 404);
    let given = none.definition(Definition::new(&[("a.wsdl", "no XML at all")]));
    assert_eq!(send(&given, ask("/library?wsdl"), "").await.2, "no XML at all");
}

/// Somebody who implements one operation of three.
struct Partly;

impl ExampleServer for Partly {
    async fn both(&self, request: BothIn, context: &mut Context) -> Result<BothOut, TypedFault> {
        let host = context.request().headers.get(HOST).and_then(|host| host.to_str().ok());
        Err(Fault::new(
            "Server",
            format!("{} of {} at {}", context.operation().name, request.trace.id, host.unwrap_or_default()),
        ))?
    }
}

#[tokio::test]
async fn a_body_without_an_element_of_its_own_is_known_by_its_action() {
    let endpoint = Endpoint::default().port(Partly.port());
    let body = "<Bare xmlns='urn:example'>1</Bare><Trace xmlns='urn:example'><id>t</id></Trace>";
    // `Bare` is the element of another operation, which goes first
    let first = post_to(&endpoint, &envelope(SOAP_1_1, "", body)).await;
    assert!(first.2.contains("Bare of Example is not implemented here"), "{}", first.2);
    let turned = "<Trace xmlns='urn:example'><id>t</id></Trace><Bare xmlns='urn:example'>1</Bare>";
    let text = envelope(SOAP_1_1, "", turned);
    let request = Request::post("/").header("SOAPAction", "\"urn:example#Both\"").header(HOST, "h");
    let (status, _, said) = send(&endpoint, request, text.clone()).await;
    assert!(status == 500 && said.contains("Both of t at h"), "{said}");
    let (_, _, said) = post_to(&endpoint, &text).await;
    assert!(said.contains("soap:Client.UnknownMethod"), "{said}");
}

/// A service with one operation, whose element is `call`.
fn service(name: &'static str, namespace: &'static str, action: &'static str) -> &'static Service {
    let nothing = || Part { name: "", shape: &NOTHING, empty: || Box::new(Nothing) };
    let operation = Operation {
        service: name,
        name: "call",
        namespace,
        output_namespace: namespace,
        action,
        style: Style::RpcLiteral,
        documentation: "",
        versions: &[Version::Soap11],
        one_way: false,
        headers: &[],
        output_headers: &[],
        fault_headers: &[],
        input: nothing(),
        output: nothing(),
        faults: None,
    };
    let operations: &[&Operation] = Box::leak(Box::new([&*Box::leak(Box::new(operation))]));
    Box::leak(Box::new(Service { name, wsdl_name: name, documentation: "", operations }))
}

#[tokio::test]
async fn the_bodys_element_goes_before_the_action_and_the_action_tells_equal_elements_apart() {
    let named = |operation: &Operation| Fault::new("Server", format!("it is {}", operation.service));
    let mut endpoint = Endpoint::default();
    for service in [service("A", "urn:1", "a"), service("B", "urn:1", "b"), service("C", "urn:2", "c")] {
        endpoint = endpoint.port(Port::new(service).otherwise(named));
    }
    for (namespace, action, expected) in [
        ("urn:1", "", "A"),
        ("urn:1", "b", "B"),
        ("urn:1", "\"b\"", "B"),
        // an action that belongs to another element, or to nothing
        ("urn:1", "c", "A"),
        ("urn:2", "a", "C"),
        ("urn:2", "nobody's", "C"),
        // nobody's namespace: the name alone has to do
        ("urn:nobody", "", "A"),
        ("urn:nobody", "c", "C"),
    ] {
        let body = format!("<call xmlns=\"{namespace}\"/>");
        let request = Request::post("/").header("SOAPAction", action);
        let (_, _, said) = send(&endpoint, request, envelope(SOAP_1_1, "", &body)).await;
        assert!(said.contains(&format!("it is {expected}<")), "{namespace} {action}: {said}");
    }
}

#[tokio::test]
async fn what_is_asked_before_each_call_sees_headers_and_request() {
    let port = crate::library::generated::library::LibraryServer::port(Library::default()).guard(|context| {
        let session = context.header::<crate::library::generated::types::Session>();
        match (session, context.request().uri.path()) {
            (Some(session), "/in") if session.id == "1" => Ok(()),
            _ => Err(Fault::new("Client.Guard", "not you")),
        }
    });
    let endpoint = Endpoint::new(Limits::default()).port(port);
    let text = envelope(SOAP_1_1, SESSION, FIND);
    assert_eq!(send(&endpoint, Request::post("/in"), text.clone()).await.0, 200);
    for (path, text) in [("/out", text), ("/in", envelope(SOAP_1_1, "", FIND))] {
        let (status, _, said) = send(&endpoint, Request::post(path), text).await;
        assert!(status == 500 && said.contains("Client.Guard"), "{said}");
    }
}
