//! An external system behind the NSPS contract: it keeps every request, and answers as the test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::harness::{PATIENCE, free_port};

/// How the external system answers.
pub(crate) enum Reply {
    /// 202.
    Done,
    /// A code, with a body of the contract.
    Code(u16, &'static str),
    /// 202, but not before [`External::release`].
    Held,
    /// Nothing, for ever.
    Silence,
    /// The connection breaks.
    Reset,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Request {
    fn new(headers: HeaderMap, bytes: &Bytes) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap();
        Self { headers, text, body }
    }

    /// The idempotency key.
    pub(crate) fn key(&self) -> &str {
        self.body["event_id"].as_str().unwrap()
    }

    pub(crate) fn handler(&self) -> &str {
        self.body["handler_id"].as_str().unwrap()
    }

    pub(crate) fn i_event(&self) -> i64 {
        self.body["data"]["variables"]["i_event"].as_i64().unwrap()
    }

    pub(crate) fn event_type(&self) -> &str {
        self.body["data"]["event_type"].as_str().unwrap()
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }
}

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

/// The running stand-in.
pub(crate) struct External {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

struct Shared {
    script: Mutex<Script>,
    requests: watch::Sender<Vec<Request>>,
    released: watch::Sender<bool>,
    forgetful: bool,
}

impl External {
    /// One that answers 202 to everything.
    pub(crate) async fn start() -> Self {
        Self::new(false).await
    }

    /// One that keeps no requests, for long runs: the script sees them.
    pub(crate) async fn forgetful() -> Self {
        Self::new(true).await
    }

    async fn new(forgetful: bool) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(|_| Reply::Done)),
            requests: watch::Sender::default(),
            released: watch::Sender::default(),
            forgetful,
        });
        let (listener, address) = free_port().await;
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    // so that a connection that is dropped is reset
                    stream.set_zero_linger().unwrap();
                    tokio::spawn(connection(stream, Arc::clone(&shared)));
                }
            }
        });
        Self { address, shared, accepting: accepting.abort_handle() }
    }

    /// From now on it answers so.
    pub(crate) fn answer(&self, script: impl FnMut(&Request) -> Reply + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Lets those go that are held, and all that come.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until the requests so far are as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl FnMut(&Vec<Request>) -> bool) -> Vec<Request> {
        let mut requests = self.shared.requests.subscribe();
        match tokio::time::timeout(
            PATIENCE,
            requests.wait_for({
                let mut wanted = wanted;
                move |all| wanted(all)
            }),
        )
        .await
        {
            Ok(all) => all.unwrap().clone(),
            Err(_) => panic!("it didn't happen in time: {what}; it got {:#?}", self.texts()),
        }
    }

    /// Waits for so many requests.
    pub(crate) async fn got(&self, count: usize) -> Vec<Request> {
        self.until(&format!("{count} requests"), |all| all.len() >= count).await
    }

    fn texts(&self) -> Vec<String> {
        self.shared.requests.borrow().iter().map(|request| request.text.clone()).collect()
    }
}

impl Drop for External {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connection(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| respond(Arc::clone(&shared), request));
    // a client that goes away is no failure
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Breaks the connection off.
#[derive(Debug, thiserror::Error)]
#[error("broken off on purpose")]
struct BrokenOff;

async fn respond(
    shared: Arc<Shared>,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, BrokenOff> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Err(BrokenOff) };
    let request = Request::new(parts.headers, &body.to_bytes());
    let reply = (shared.script.lock().unwrap())(&request);
    if !shared.forgetful {
        shared.requests.send_modify(|all| all.push(request));
    }
    match reply {
        Reply::Done => Ok(done()),
        Reply::Code(code, message) => Ok(failed(code, message)),
        Reply::Held => {
            let mut released = shared.released.subscribe();
            let _ = released.wait_for(|released| *released).await;
            Ok(done())
        }
        Reply::Silence => std::future::pending().await,
        Reply::Reset => Err(BrokenOff),
    }
}

fn done() -> Response<Full<Bytes>> {
    answer(StatusCode::ACCEPTED, &json!({ "message": "accepted" }))
}

fn failed(code: u16, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "message": message, "error": message, "type": "service_error" });
    answer(StatusCode::from_u16(code).unwrap(), &body)
}

fn answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response
}
