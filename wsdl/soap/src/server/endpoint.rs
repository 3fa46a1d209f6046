//! The server as a tower service over HTTP requests: what hyper, axum or any other host of such services runs.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tower::{BoxError, Service};

use super::{Answer, Context, Definition, Outcome, Port, Server};
use crate::{Fault, Header, Headers, Invocation, Limits, Operation};

/// Serves any number of port types at one address, in SOAP 1.1 and 1.2 as their definitions say.
///
/// A tower service that is always ready and never fails: `hyper_util::service::TowerToHyperService` makes one of hyper's
/// of it, `axum::Router::route_service` takes it as it is. Cloning it is cheap.
///
/// ```
/// # mod library { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../codegen/tests/cases/both_ends/expected.rs")); }
/// use library::bare::{BareServer, DEFINITION, Title, Total}; // generated
/// use soapstone_soap::{Context, Definition, Endpoint, Fault, TypedFault};
///
/// struct Counter;
///
/// impl BareServer for Counter {
///     async fn count(&self, title: Title, _: &mut Context) -> Result<Total, TypedFault> {
///         let value = title.value.chars().count().try_into();
///         Ok(Total { value: value.map_err(|_| Fault::new("Client", "too long a title"))? })
///     }
///     // `store` isn't implemented, and says so to whoever calls it
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let endpoint = Endpoint::default().port(Counter.port()).definition(Definition::new(DEFINITION));
/// // axum::Router::new().route_service("/library", endpoint), or without a socket:
/// let envelope = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>\
///     <Title xmlns='urn:example:library'>R.U.R.</Title></e:Body></e:Envelope>";
/// let request = http::Request::post("/library").body(envelope.to_owned()).unwrap();
/// let answer = endpoint.answer(request).await;
/// assert_eq!(answer.status(), 200);
/// # }
/// ```
///
/// | request | answer |
/// |---|---|
/// | POST with an envelope | 200 with the answer, 202 without a body for an operation that has none, 500 with a fault; in SOAP 1.2 400 for a fault of the sender's |
/// | POST with more than [`Limits::message_bytes`] | 413 with a fault |
/// | POST with a `Content-Encoding` | 415 with a fault: decompression is a layer in front, which has its own limit |
/// | GET or HEAD with `?wsdl` | the definition ([`Endpoint::definition`]), 404 where there is none |
/// | any other | 405 |
///
/// What a method gets wrong is logged as an error (`tracing`): that it panicked, that a header of its fault isn't
/// declared and so is left out.
///
/// PHP hangs up once it has sent a one-way request, and hyper then drops what is under way: a server with one-way
/// operations hands them to its runtime ([`Endpoint::detach`]), or sets `half_close(true)` on hyper's
/// `http1::Builder`.
///
/// A body that trickles in is waited for: a host that faces strangers puts a time limit around the service. A fault
/// of a one-way operation is answered, although WS-I wants it unsaid: the sender had better know.
#[derive(Clone)]
pub struct Endpoint {
    site: Arc<Site>,
}

#[derive(Clone)]
struct Site {
    ports: Vec<Port>,
    server: Server,
    limits: Limits,
    definition: Option<Definition>,
    address: Option<String>,
    detach: Option<fn(Work)>,
}

/// A one-way operation under way.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Default for Endpoint {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Endpoint {
    /// An endpoint that serves nothing yet; `limits` hold for each request.
    pub fn new(limits: Limits) -> Self {
        let server = Server::new(&[], limits);
        let site = Site { ports: Vec::new(), server, limits, definition: None, address: None, detach: None };
        Self { site: Arc::new(site) }
    }

    /// The same with a port type more. Of two operations that a request could mean, that of the first port is meant.
    pub fn port(mut self, port: Port) -> Self {
        let site = Arc::make_mut(&mut self.site);
        site.ports.push(port);
        let services: Vec<_> = site.ports.iter().map(Port::service).collect();
        site.server = Server::new(&services, site.limits);
        self
    }

    /// The same with the definition that `?wsdl` answers with.
    pub fn definition(mut self, definition: Definition) -> Self {
        Arc::make_mut(&mut self.site).definition = Some(definition);
        self
    }

    /// The same with the address that the definition names, where it isn't the one that was asked (`http`, the host of
    /// the request, its path): behind a proxy, say.
    pub fn address(mut self, url: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.site).address = Some(url.into());
        self
    }

    /// The same with a runtime that one-way operations are handed to, `|work| drop(tokio::spawn(work))` for one: they
    /// are answered as soon as they have been read, and carried out whether or not the client stays. Their faults are
    /// only logged, then.
    pub fn detach(mut self, spawn: fn(Work)) -> Self {
        Arc::make_mut(&mut self.site).detach = Some(spawn);
        self
    }

    /// Answers a request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        match parts.method {
            Method::POST => {}
            Method::GET | Method::HEAD => return self.site.described(&parts),
            _ => return not_allowed(),
        }
        if let Some(refusal) = encoded(&parts) {
            return refusal;
        }
        let limit = self.site.limits.message_bytes;
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let fault = Fault::new("Client", format!("the request has more than {limit} bytes"));
                return faulty(StatusCode::PAYLOAD_TOO_LARGE, &parts, &fault);
            }
            Err(_) => {
                let fault = Fault::new("Client", "the request's body broke off");
                return faulty(StatusCode::BAD_REQUEST, &parts, &fault);
            }
        };
        self.site.post(parts, &body).await
    }
}

impl<B> Service<Request<B>> for Endpoint
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let endpoint = self.clone();
        async move { Ok(endpoint.answer(request).await) }.boxed()
    }
}

impl Site {
    async fn post(&self, parts: Parts, body: &[u8]) -> Response<Full<Bytes>> {
        let action = text(&parts, HeaderName::from_static("soapaction"));
        let content_type = text(&parts, CONTENT_TYPE);
        let call = match self.server.accept_for(action.as_deref(), content_type.as_deref(), body) {
            Ok(call) => call,
            Err(refused) => return sent(Answer::refused(&refused)),
        };
        let Invocation { operation, version, headers, parameter } = call;
        let owns = |port: &&Port| port.service().operations.iter().any(|own| std::ptr::eq(*own, operation));
        let Some(port) = self.ports.iter().find(owns) else {
            return sent(Answer::fault(version, &Fault::not_implemented(operation)));
        };
        let context = Context::new(operation, headers, parts).in_version(version);
        if let Some(detach) = self.detach.filter(|_| operation.one_way) {
            let port = port.clone();
            detach(Box::pin(async move {
                if let Err(fault) = port.call(parameter, context).await.result {
                    let (service, operation) = (operation.service, operation.name);
                    tracing::warn!(service, operation, %fault, "a one-way operation failed");
                }
            }));
            return empty(StatusCode::ACCEPTED);
        }
        let Outcome { result, headers } = port.call(parameter, context).await;
        match result {
            Ok(_) if operation.one_way => {
                tell_of_undeclared(operation, &headers, operation.output_headers);
                empty(StatusCode::ACCEPTED)
            }
            Ok(result) => sent(Answer::result(operation, version, &headers, &*result)),
            Err(typed) => {
                tell_of_undeclared(operation, &typed.headers, operation.fault_headers);
                let detail = typed.detail.as_deref();
                sent(Answer::typed_fault(operation, version, &typed.headers, &typed.fault, detail))
            }
        }
    }

    /// A definition's file, with this server's address in it.
    fn described(&self, parts: &Parts) -> Response<Full<Bytes>> {
        let Some(query) = parts.uri.query() else { return not_allowed() };
        let Some(wanted) = Definition::wanted(query) else { return not_allowed() };
        let Some(definition) = &self.definition else { return empty(StatusCode::NOT_FOUND) };
        let address = self.address.clone().unwrap_or_else(|| asked(parts));
        match definition.file(wanted, &address) {
            Some(text) => full(StatusCode::OK, "text/xml; charset=utf-8", text),
            None => empty(StatusCode::NOT_FOUND),
        }
    }
}

/// Logs an error for each header block that doesn't go out: for whoever wrote the server, since neither the caller
/// nor the fault has anything to do with it. An answer with one isn't written at all.
fn tell_of_undeclared(operation: &Operation, headers: &Headers, declared: &'static [Header]) {
    for undeclared in headers.undeclared(declared) {
        let (service, operation) = (operation.service, operation.name);
        tracing::error!(service, operation, "a header is left out: {undeclared}");
    }
}

/// The URL that a request is for.
fn asked(parts: &Parts) -> String {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.authority().map(|authority| authority.as_str()).or(named).unwrap_or("localhost");
    let scheme = parts.uri.scheme_str().unwrap_or("http");
    format!("{scheme}://{host}{}", parts.uri.path())
}

fn text(parts: &Parts, name: HeaderName) -> Option<String> {
    parts.headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn encoded(parts: &Parts) -> Option<Response<Full<Bytes>>> {
    let coding = text(parts, CONTENT_ENCODING).filter(|it| !it.trim().eq_ignore_ascii_case("identity"))?;
    let coding: String = coding.chars().take(40).collect();
    let fault = Fault::new("Client", format!("the content encoding {coding:?} is not understood here"));
    Some(faulty(StatusCode::UNSUPPORTED_MEDIA_TYPE, parts, &fault))
}

/// A fault about the HTTP side of a request.
fn faulty(status: StatusCode, parts: &Parts, fault: &Fault) -> Response<Full<Bytes>> {
    let content_type = text(parts, CONTENT_TYPE);
    let answer = Answer::fault(super::version_of(content_type.as_deref()), fault);
    full(status, answer.content_type, answer.body)
}

fn sent(answer: Answer) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    full(status, answer.content_type, answer.body)
}

fn full(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn not_allowed() -> Response<Full<Bytes>> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}
