//! The other side of a call: from the bytes of a request to the bytes of its answer, for a definition's operations.
//!
//! Free of HTTP libraries and of any runtime: whoever owns the sockets hands over a body and sends what comes back.

use std::any::Any as StdAny;

use crate::{
    Envelope, Fault, Limits, Operation, ReadError, ReadErrorKind, Service, Structure, Version, charset_of,
    decode, write,
};

/// The header block that says "whoever receives this next" (SOAP 1.1 §4.2.2).
const NEXT: &str = "http://schemas.xmlsoap.org/soap/actor/next";

/// Reads requests for the operations of some services and writes the answers.
///
/// The operation is the one that the body's element names, whatever its namespace: foreign clients are right about
/// the element and wrong, silent or of many minds about `SOAPAction`, which therefore isn't asked for at all.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    services: &'static [&'static Service],
    limits: Limits,
}

/// A request, read.
pub struct Invocation {
    /// What is to be done.
    pub operation: &'static Operation,
    /// The header block that the operation declares, where the request has it.
    pub header: Option<Box<dyn Structure>>,
    /// The operation's parameter.
    pub parameter: Box<dyn Structure>,
}

/// What goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status: 200, or 500 with a fault (SOAP 1.1 §6.2).
    pub status: u16,
    /// The envelope.
    pub body: String,
}

impl Server {
    /// A server of `services`; where two have an operation of the same name, the first is meant.
    pub const fn new(services: &'static [&'static Service], limits: Limits) -> Self {
        Self { services, limits }
    }

    /// Reads a request: `content_type` as it stands in the HTTP header, `body` after any decompression.
    ///
    /// # Errors
    /// The fault to answer with: `Client` for what can't be read, `Client.UnknownMethod`, `VersionMismatch`,
    /// `MustUnderstand`. Nothing has been carried out.
    pub fn accept(&self, content_type: Option<&str>, body: &[u8]) -> Result<Invocation, Fault> {
        self.accept_for(None, content_type, body)
    }

    /// The same with the action that the request names, which tells operations with the same element apart.
    ///
    /// # Errors
    /// As for [`Server::accept`].
    pub fn accept_for(
        &self,
        action: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Invocation, Fault> {
        if body.is_empty() {
            return Err(Fault::new("Client", "the request is empty"));
        }
        let charset = content_type.and_then(charset_of);
        let text = decode(body, charset, &self.limits).map_err(unreadable)?;
        let envelope = Envelope::open(&text, &self.limits).map_err(unreadable)?;
        let spoken = |operation: &Operation| operation.version == Version::Soap12;
        if envelope.version() == Version::Soap12 && !self.operations().any(spoken) {
            return Err(Fault::new(
                "VersionMismatch",
                "SOAP 1.2 is not spoken here, send a SOAP 1.1 envelope",
            ));
        }
        let operation = self.operation(&envelope, action)?;
        understand(&envelope, operation)?;
        let header = match operation.header() {
            Some(declared) => {
                let mut header = (declared.empty)();
                envelope.header(declared.name, &mut *header).map_err(unreadable)?.then_some(header)
            }
            None => None,
        };
        let mut parameter = (operation.input.empty)();
        envelope.request(operation, &mut *parameter).map_err(unreadable)?;
        Ok(Invocation { operation, header, parameter })
    }

    /// The whole way, for a handler that doesn't have to wait: reads the request, has it carried out, writes what
    /// came of it.
    pub fn answer(
        &self,
        content_type: Option<&str>,
        body: &[u8],
        carry_out: impl FnOnce(&Invocation) -> Result<Box<dyn Structure>, Fault>,
    ) -> Answer {
        match self.accept(content_type, body) {
            Ok(invocation) => match carry_out(&invocation) {
                Ok(result) => Answer::result(invocation.operation, &*result),
                Err(fault) => Answer::fault(&fault),
            },
            Err(fault) => Answer::fault(&fault),
        }
    }

    fn operations(&self) -> impl Iterator<Item = &'static Operation> {
        self.services.iter().flat_map(|service| service.operations.iter().copied())
    }

    /// By the body's element first; among several by the action; an empty body is known by nothing else.
    fn operation(&self, envelope: &Envelope<'_>, action: Option<&str>) -> Result<&'static Operation, Fault> {
        let name = envelope.name().unwrap_or_default();
        let action = action.map(|action| action.trim().trim_matches('"')).filter(|action| !action.is_empty());
        let mut named = self.operations().filter(|operation| operation.input_element() == name);
        let by_action = |operation: &&'static Operation| Some(operation.action) == action;
        if let Some(first) = named.next().filter(|_| !name.is_empty()) {
            return Ok(std::iter::once(first).chain(named).find(by_action).unwrap_or(first));
        }
        // one whose body has no element of its own
        let loose = |operation: &&'static Operation| operation.input_element().is_empty();
        if let Some(found) = self.operations().filter(loose).find(by_action) {
            return Ok(found);
        }
        if name.is_empty() {
            return Err(Fault::new("Client", "the request has an empty Body"));
        }
        let name: String = name.chars().take(100).collect();
        Err(Fault::new("Client.UnknownMethod", format!("there is no method {name:?}")))
    }
}

impl Invocation {
    /// The parameter as what it is.
    pub fn parameter<T: Structure>(&self) -> Option<&T> {
        downcast(&*self.parameter)
    }

    /// The header block as what it is.
    pub fn header<T: Structure>(&self) -> Option<&T> {
        self.header.as_deref().and_then(downcast)
    }
}

impl Answer {
    /// The content type of every answer.
    pub const CONTENT_TYPE: &'static str = "text/xml; charset=utf-8";

    /// The answer with a result; a fault of the server's where the result holds what XML can't.
    pub fn result(operation: &Operation, result: &dyn Structure) -> Self {
        match write::response(operation, result) {
            Ok(body) => Self { status: 200, body },
            Err(error) => Self::fault(&Fault::new("Server", format!("the answer can't be written: {error}"))),
        }
    }

    /// The answer with a fault that `operation` declares the detail of ([`Operation::faults`]), in the envelope that
    /// the operation has.
    pub fn typed_fault(operation: &Operation, fault: &Fault, detail: Option<&dyn Structure>) -> Self {
        Self { status: 500, body: write::fault_in(operation.version, fault, detail) }
    }

    /// The answer with a fault.
    pub fn fault(fault: &Fault) -> Self {
        Self { status: 500, body: write::fault(fault) }
    }
}

fn downcast<T: Structure>(structure: &dyn Structure) -> Option<&T> {
    (structure as &dyn StdAny).downcast_ref()
}

fn unreadable(error: ReadError) -> Fault {
    let code = if matches!(error.kind, ReadErrorKind::Version(_)) { "VersionMismatch" } else { "Client" };
    Fault::new(code, format!("the request can't be read: {error}"))
}

/// SOAP 1.1 §4.2.3: a block that must be understood, is meant for us and isn't the operation's own is a fault.
fn understand(envelope: &Envelope<'_>, operation: &Operation) -> Result<(), Fault> {
    let known = |name: &str| operation.headers.iter().any(|header| header.name == name);
    let ours = |actor: Option<&str>| matches!(actor.unwrap_or_default().trim(), "" | NEXT);
    let foreign = envelope
        .headers()
        .iter()
        .find(|block| block.must_understand && ours(block.actor.as_deref()) && !known(&block.name));
    match foreign {
        Some(block) => {
            let name: String = block.name.chars().take(100).collect();
            Err(Fault::new("MustUnderstand", format!("the header {name:?} is not understood here")))
        }
        None => Ok(()),
    }
}
