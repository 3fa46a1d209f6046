//! The generated client against the generated server, over hyper: every style, headers, faults with their details.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use soapstone_soap::{
    CallError, Client, Context, Endpoint, Limits, Nothing, RAW_LIMIT, Shape, Transport, TypedFault, Version,
    transport,
};
use tokio::io::AsyncWriteExt as _;
use tower::BoxError;
use tower::util::BoxCloneSyncService;

use crate::compiles::soap_1_2::example::{ExampleClient, ExampleServer};
use crate::compiles::soap_1_2::types::{Ask, AskFault, AskResponse, NotFound, Tell};
use crate::library::generated::{
    bare::BareClient,
    library::{self, LibraryClient},
    old::OldClient,
    sums::{self, SumsClient},
    types,
};
use crate::library::{Library, book, serve};

fn client() -> Client {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    Client::new(transport::over(http, Limits::default().message_bytes), Limits::default())
}

fn session() -> types::Session {
    types::Session { id: "12345".to_owned() }
}

fn find(title: &str) -> types::Find {
    types::Find { title: title.to_owned(), limit: Some(3) }
}

#[tokio::test]
async fn document_literal_wrapped_brings_the_answer_and_its_header() {
    let url = Library::default().serve().await;
    let library = LibraryClient::new(client(), url).header(session());
    let reply = library.find(&find("Babička")).await.expect("an answer");
    assert_eq!(reply.answer.book, [1855, 1856, 1857].map(|year| book("Babička", year)));
    assert_eq!(reply.headers.get::<types::Quota>().map(|quota| quota.left), Some(5));
    assert!(reply.headers.get::<types::Denied>().is_none());
}

#[tokio::test]
async fn a_declared_fault_arrives_as_its_own_type() {
    let url = Library::default().serve().await;
    let library = LibraryClient::new(client(), url).header(session());
    let error = library.find(&find("nothing")).await.expect_err("a fault");
    let expected = types::FindFault::NotFound(types::NotFound { title: "nothing".to_owned() });
    assert_eq!(error.detail(), Some(&expected));
    assert!(!error.may_have_been_carried_out(), "a fault says that it wasn't");
    match library.find(&find("later")).await {
        Err(CallError::Fault(typed)) => {
            assert_eq!((typed.fault.code(), typed.fault.message.as_str()), ("Server.Busy", "ask again"));
            let Some(types::FindFault::Busy(busy)) = typed.detail.as_deref() else { panic!("{typed:?}") };
            assert_eq!(busy.seconds, 30);
        }
        other => panic!("{other:?}"),
    }
    let error = library.find(&find("plain")).await.expect_err("a fault");
    assert_eq!((error.detail(), error.to_string().as_str()), (None, "fault Server: no more to say"));
}

#[tokio::test]
async fn a_fault_about_a_header_has_its_own_header() {
    let url = Library::default().serve().await;
    match LibraryClient::new(client(), url).find(&find("Babička")).await {
        Err(CallError::Fault(typed)) => {
            assert_eq!(typed.fault.code(), "Client.Denied");
            let denied = typed.headers.get::<types::Denied>().expect("the header of the fault");
            assert_eq!(denied.reason, "no session");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_speaks_soap_1_2_where_the_bindings_have_it_and_it_is_told_to() {
    let url = Library::default().serve().await;
    let modern = client().speaking(Version::Soap12);
    let (operation, request) = (<library::FindCall as soapstone_soap::Call>::operation(), find("Babička"));
    let mut answer = types::FindResponse::default();
    let (exchange, result) = modern.call_raw(operation, &url, Some(&session()), &request, &mut answer).await;
    let exchange = exchange.expect("an exchange");
    assert!(result.is_ok(), "{}", exchange.response);
    for text in [&exchange.request, &exchange.response] {
        assert!(text.contains(soapstone_soap::SOAP_1_2), "{text}");
    }
    assert_eq!(answer.book.len(), 3);
}

#[tokio::test]
async fn header_blocks_that_the_definition_does_not_declare_are_there_as_they_stand() {
    let client = stub(|| {
        let text = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Header>\
                    <x:Trace xmlns:x=\"urn:x\">7</x:Trace></e:Header><e:Body><e:Fault><faultcode>e:Server</faultcode>\
                    <faultstring>no</faultstring></e:Fault></e:Body></e:Envelope>";
        Ok(Response::new(Bytes::from(text)))
    });
    let error =
        LibraryClient::new(client, "http://127.0.0.1:9/").find(&find("a")).await.expect_err("a fault");
    let CallError::Fault(fault) = error else { panic!("{error:?}") };
    let others: Vec<&str> = fault.headers.others().iter().map(soapstone_soap::Raw::as_str).collect();
    assert_eq!(others.len(), 1);
    assert!(others[0].starts_with("<x:Trace") && others[0].ends_with(">7</x:Trace>"), "{others:?}");
}

#[tokio::test]
async fn an_answers_header_that_the_definition_does_not_declare_is_the_servers_fault() {
    let url = Library::default().serve().await;
    let error = LibraryClient::new(client(), url).header(session()).find(&find("header")).await;
    let said = error.expect_err("a fault").to_string();
    assert!(said.ends_with("the definition declares no header of type Denied here"), "{said}");
}

#[tokio::test]
async fn a_one_way_operation_is_carried_out_and_says_nothing() {
    let server = Library::default();
    let library = LibraryClient::new(client(), server.serve().await);
    let nothing = library.log(&types::Log { line: "žluťoučký".to_owned() }).await.expect("taken");
    assert!(nothing == Nothing);
    assert_eq!(*server.lines.lock().expect("the lines"), ["žluťoučký"]);
    let refused = library.log(&types::Log { line: "refuse".to_owned() }).await;
    assert_eq!(refused.expect_err("a fault").to_string(), "fault Server: no more lines");
}

#[tokio::test]
async fn a_one_way_request_is_carried_out_although_its_client_hangs_up() {
    let kept = Library::default();
    hang_up(&kept, &serve(kept.endpoint(), true).await).await;
    let detached = Library::default();
    let endpoint = detached.endpoint().detach(|work| drop(tokio::spawn(work)));
    hang_up(&detached, &serve(endpoint, false).await).await;
}

/// Sends lines, and waits for no answer.
async fn hang_up(server: &Library, url: &str) {
    let host = url.trim_start_matches("http://").trim_end_matches("/library");
    let body = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>\
        <Log xmlns='urn:example:library'><line>a</line></Log></e:Body></e:Envelope>";
    for _ in 0..20 {
        let mut stream = tokio::net::TcpStream::connect(host).await.expect("a connection");
        let length = body.len();
        let text =
            format!("POST /library HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.expect("sent");
        drop(stream);
        let logged = tokio::time::timeout(Duration::from_secs(20), server.logged.notified());
        logged.await.expect("it is carried out");
    }
    assert_eq!(server.lines.lock().expect("the lines").len(), 20);
}

#[tokio::test]
async fn document_literal_bare_carries_simple_values_and_structures() {
    let bare = BareClient::new(client(), Library::default().serve().await);
    let total = bare.count(&types::Title { value: "кот 😀".to_owned() }).await.expect("an answer");
    assert_eq!(total.value, 5);
    let stored = bare.store(&book("R.U.R.", 1920)).await.expect("an answer");
    assert_eq!(stored, types::Book { id: Some("stored".to_owned()), ..book("R.U.R.", 1920) });
}

#[tokio::test]
async fn rpc_literal_has_its_parts_in_the_order_of_the_message() {
    let sums = SumsClient::new(client(), Library::default().serve().await);
    let out = sums.divide(&types::DivideIn { dividend: 17, divisor: 5 }).await.expect("an answer");
    assert_eq!((out.quotient, out.remainder), (3, 2));
    let error = sums.divide(&types::DivideIn { dividend: 17, divisor: 0 }).await.expect_err("a fault");
    let expected = types::DivideFault::DivisionByZero(types::DivisionByZero { dividend: 17 });
    assert_eq!(error.detail(), Some(&expected));
    let pair = sums.swap(&types::Pair { left: 1, right: 2 }).await.expect("an answer");
    assert_eq!((pair.left, pair.right), (2, 1));
    // whatever `parameterOrder` says: it is a hint about signatures (WS-I R2301, R2302)
    let members = |shape: &Shape| shape.members.iter().map(|member| member.name).collect::<Vec<_>>();
    let divide = sums::SERVICE.operation("Divide").expect("an operation");
    assert_eq!(members(divide.input.shape), ["divisor", "dividend"]);
    assert_eq!(members(divide.output.shape), ["remainder", "quotient"]);
}

#[tokio::test]
async fn rpc_encoded_carries_structures_with_arrays() {
    let old = OldClient::new(client(), Library::default().serve().await);
    let words = ["Český", "<Krumlov>", ""].map(str::to_owned).to_vec();
    let mirrored = old.mirror(&types::Text { words, upper: true }).await.expect("an answer");
    assert_eq!(mirrored.words, ["", ">VOLMURK<", "ÝKSEČ"]);
}

/// Speaks SOAP 1.2 and nothing else.
struct Modern;

impl ExampleServer for Modern {
    async fn ask(&self, ask: Ask, context: &mut Context) -> Result<AskResponse, TypedFault<AskFault>> {
        assert_eq!(context.version(), Version::Soap12);
        match ask.value.as_str() {
            "why" => Ok(AskResponse { value: "because".to_owned() }),
            what => {
                let detail = AskFault::NotFound(NotFound { what: what.to_owned() });
                Err(TypedFault::new("Sender.Unknown", "nobody knows", detail))
            }
        }
    }
}

#[tokio::test]
async fn soap_1_2_is_spoken_where_the_definition_has_nothing_else() {
    let endpoint = Endpoint::default().port(Modern.port());
    let service = tower::service_fn(move |request: Request<Bytes>| {
        let endpoint = endpoint.clone();
        async move {
            let content_type = request.headers()[http::header::CONTENT_TYPE].to_str()?.to_owned();
            assert!(content_type.contains("action=\"urn:example#"), "{content_type}");
            let (parts, body) = endpoint.answer(request.map(Full::new)).await.into_parts();
            Ok::<_, BoxError>(Response::from_parts(parts, body.collect().await?.to_bytes()))
        }
    });
    let client = Client::new(BoxCloneSyncService::new(service), Limits::default());
    let modern = ExampleClient::new(client, "http://modern/");
    let answer = modern.ask(&Ask { value: "why".to_owned() }).await.expect("an answer");
    assert_eq!(answer.value, "because");
    let error = modern.ask(&Ask { value: "who".to_owned() }).await.expect_err("a fault");
    assert_eq!(error.detail(), Some(&AskFault::NotFound(NotFound { what: "who".to_owned() })));
    // the code of SOAP 1.2 itself says less than its subcode
    assert_eq!(error.fault().map(|fault| fault.code()), Some("Unknown"));
    let left_out = modern.tell(&Tell { value: "x".to_owned() }).await.expect_err("a fault");
    assert!(left_out.to_string().contains("Tell of Example is not implemented here"), "{left_out}");
}

/// A transport that answers everything alike.
fn stub(answer: fn() -> Result<Response<Bytes>, BoxError>) -> Client {
    let service = tower::service_fn(move |_: Request<Bytes>| async move { answer() });
    Client::new(BoxCloneSyncService::new(service) as Transport, Limits::default())
}

#[tokio::test]
async fn an_error_says_whether_the_call_may_have_been_carried_out() {
    let ask = async |client: Client, title: &str| {
        LibraryClient::new(client, "http://127.0.0.1:9/").find(&find(title)).await.expect_err("an error")
    };
    let encode = ask(client(), "\u{1}").await;
    assert!(matches!(encode, CallError::Encode(_)) && !encode.may_have_been_carried_out(), "{encode:?}");
    // a port that nobody listens at
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", free.local_addr().expect("an address"));
    drop(free);
    let refused = LibraryClient::new(client(), url).find(&find("a")).await.expect_err("an error");
    assert!(matches!(refused, CallError::NotSent(_)) && !refused.may_have_been_carried_out(), "{refused:?}");
    let lost = ask(stub(|| Err("the connection broke".into())), "a").await;
    assert!(matches!(lost, CallError::MaybeSent(_)) && lost.may_have_been_carried_out(), "{lost:?}");
    let page = ask(stub(|| Ok(page())), "a").await;
    assert!(page.may_have_been_carried_out());
    match page {
        CallError::Unreadable { status, raw, .. } => {
            assert_eq!((status, raw.len()), (StatusCode::BAD_GATEWAY, RAW_LIMIT));
            assert!(raw.starts_with("<html>bad gateway"), "{raw}");
        }
        other => panic!("{other:?}"),
    }
}

/// What a proxy says for a server that is gone, at length.
fn page() -> Response<Bytes> {
    let mut page = Response::new(Bytes::from(format!("<html>bad gateway{}", " ".repeat(RAW_LIMIT))));
    *page.status_mut() = StatusCode::BAD_GATEWAY;
    page
}
