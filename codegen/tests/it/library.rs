//! A server of everything in the case `both_ends`: what clients, ours and others', are tried against.

use std::sync::{Arc, Mutex, PoisonError};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use soapstone_soap::{Context, Definition, Endpoint, Fault, Limits, Nothing, TypedFault};
use tokio::sync::Notify;

use generated::{bare, library, old, sums, types};

pub(crate) mod generated {
    include!("../cases/both_ends/expected.rs");
}

/// Books, sums and mirrors.
#[derive(Clone, Default)]
pub(crate) struct Library {
    /// The lines that were logged.
    pub(crate) lines: Arc<Mutex<Vec<String>>>,
    /// Told of each line: who sends one doesn't have to wait for it.
    pub(crate) logged: Arc<Notify>,
}

/// One of its books.
pub(crate) fn book(title: &str, year: i32) -> types::Book {
    types::Book {
        title: title.to_owned(),
        year: Some(year),
        price: "12.10".parse::<soapstone_soap::Decimal>().map(Into::into).expect("a price"),
        author: vec!["Božena Němcová".to_owned(), "K. & J. <Čapek>".to_owned()],
        id: Some(format!("b-{year}")),
    }
}

impl library::LibraryServer for Library {
    async fn find(
        &self,
        request: types::Find,
        context: &mut Context,
    ) -> Result<types::FindResponse, TypedFault<types::FindFault>> {
        let Some(session) = context.header::<types::Session>().map(|session| session.id.clone()) else {
            let denied = types::Denied { reason: "no session".to_owned() };
            return Err(TypedFault::from(Fault::new("Client.Denied", "who are you?")).with_header(denied));
        };
        match request.title.as_str() {
            "nothing" => {
                let detail = types::NotFound { title: request.title.clone() };
                return Err(TypedFault::new(
                    "Client.NotFound",
                    "no <such> book",
                    types::FindFault::NotFound(detail),
                ));
            }
            "later" => {
                let detail = types::FindFault::Busy(types::Busy { seconds: 30 });
                return Err(TypedFault::new("Server.Busy", "ask again", detail));
            }
            "panic" => panic!("on purpose"),
            "plain" => Err(Fault::new("Server", "no more to say"))?,
            // what a fault may not have: the definition declares it for answers
            "fault with headers" => {
                let denied = types::Denied { reason: "this one may".to_owned() };
                let fault = TypedFault::from(Fault::new("Server.Headers", "with headers"));
                return Err(fault.with_header(types::Quota { left: 0 }).with_header(denied));
            }
            // what an answer may not have: the definition declares it for faults
            "header" => context.answer_headers().set(types::Denied::default()),
            _ => {}
        }
        // as somebody who waits for a database would
        tokio::task::yield_now().await;
        context.answer_headers().set(types::Quota { left: session.len().try_into().unwrap_or(0) });
        let limit = request.limit.unwrap_or(2).try_into().unwrap_or(0);
        let books = (1855..).take(limit).map(|year| book(&request.title, year)).collect();
        Ok(types::FindResponse { book: books })
    }

    async fn log(&self, request: types::Log, context: &mut Context) -> Result<Nothing, TypedFault> {
        if request.line == "refuse" {
            Err(Fault::new("Server", "no more lines"))?;
        }
        // as somebody who waits for a disk would; meanwhile the client may be gone
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        if request.line == "header" {
            // what nothing can have that isn't answered
            context.answer_headers().set(types::Quota { left: 0 });
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(request.line);
        self.logged.notify_one();
        Ok(Nothing)
    }
}

impl bare::BareServer for Library {
    async fn count(&self, request: types::Title, _: &mut Context) -> Result<types::Total, TypedFault> {
        Ok(types::Total { value: request.value.chars().count().try_into().unwrap_or(i32::MAX) })
    }

    async fn store(&self, request: types::Book, _: &mut Context) -> Result<types::Book, TypedFault> {
        Ok(types::Book { id: Some("stored".to_owned()), ..request })
    }
}

impl sums::SumsServer for Library {
    async fn divide(
        &self,
        types::DivideIn { dividend, divisor }: types::DivideIn,
        _: &mut Context,
    ) -> Result<types::DivideOut, TypedFault<types::DivideFault>> {
        let Some(quotient) = dividend.checked_div(divisor) else {
            let detail = types::DivideFault::DivisionByZero(types::DivisionByZero { dividend });
            return Err(TypedFault::new("Client", "by zero", detail));
        };
        Ok(types::DivideOut { quotient, remainder: dividend % divisor })
    }

    async fn swap(&self, pair: types::Pair, _: &mut Context) -> Result<types::Pair, TypedFault> {
        Ok(types::Pair { left: pair.right, right: pair.left })
    }
}

impl old::OldServer for Library {
    async fn mirror(&self, text: types::Text, _: &mut Context) -> Result<types::Text, TypedFault> {
        let mirrored = |word: &String| {
            let word: String = word.chars().rev().collect();
            if text.upper { word.to_uppercase() } else { word }
        };
        Ok(types::Text { words: text.words.iter().rev().map(mirrored).collect(), upper: text.upper })
    }
}

impl Library {
    /// All four port types, and the definition.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let limits = Limits { message_bytes: 100_000, ..Limits::default() };
        Endpoint::new(limits)
            .port(library::LibraryServer::port(self.clone()))
            .port(bare::BareServer::port(self.clone()))
            .port(sums::SumsServer::port(self.clone()))
            .port(old::OldServer::port(self.clone()))
            .definition(Definition::new(library::DEFINITION))
    }

    /// The same on hyper; it runs as long as the runtime. The URL.
    pub(crate) async fn serve(&self) -> String {
        // PHP hangs up after a one-way request, and what it has asked for is to be done all the same
        serve(self.endpoint(), true).await
    }
}

/// An endpoint on hyper, which with `half_close` minds who hangs up no more than who stops sending. The URL.
pub(crate) async fn serve(endpoint: Endpoint, half_close: bool) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/library", listener.local_addr().expect("an address"));
    let service = TowerToHyperService::new(endpoint);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let mut server = auto::Builder::new(TokioExecutor::new());
                server.http1().half_close(half_close);
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    url
}
