//! The other side of a call: from the bytes of a request to the bytes of its answer, for a definition's operations.
//!
//! What stands in this file is free of HTTP libraries and of any runtime: whoever owns the sockets hands over a body
//! and sends what comes back. With feature `server`, [`Endpoint`] is a tower service that does so for the generated
//! server traits.

#[cfg(feature = "server")]
mod definition;
#[cfg(feature = "server")]
mod endpoint;
mod notices;
#[cfg(feature = "server")]
mod port;

use std::any::Any as StdAny;
use std::fmt;

#[cfg(feature = "server")]
pub use definition::Definition;
#[cfg(feature = "server")]
pub use endpoint::{Endpoint, Work};
#[cfg(feature = "server")]
pub use port::{Context, Method, Outcome, Port};

use notices::Refusal;

use crate::{
    Block, Envelope, Fault, Headers, Limits, Operation, Raw, ReadError, ReadErrorKind, Service, Structure,
    Version, charset_of, decode, write,
};

/// Who is meant by "whoever receives this" (SOAP 1.1 §4.2.2, SOAP 1.2 part 1 §2.2).
const OURS: [&str; 4] = [
    "",
    "http://schemas.xmlsoap.org/soap/actor/next",
    "http://www.w3.org/2003/05/soap-envelope/role/next",
    "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
];

/// Reads requests for the operations of some services and writes the answers.
///
/// The operation is the one that the body's element names: with its namespace where that is somebody's, else without
/// it, since clients are of several minds about it. The action (`SOAPAction`) only decides between operations of the
/// same element, and says what a body without an element is: foreign clients are right about the element and wrong
/// or silent about the action.
#[derive(Debug, Clone)]
pub struct Server {
    services: Vec<&'static Service>,
    limits: Limits,
}

/// A request, read.
pub struct Invocation {
    /// What is to be done.
    pub operation: &'static Operation,
    /// The envelope that it came in, which is the one that the answer goes in.
    pub version: Version,
    /// The header blocks that the operation declares, those that the request has.
    pub headers: Headers,
    /// The operation's parameter.
    pub parameter: Box<dyn Structure>,
}

/// A request that isn't carried out, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The fault to answer with.
    pub fault: Box<Fault>,
    /// The envelope to answer in.
    pub version: Version,
    /// Header blocks to answer with: which blocks weren't understood, which envelopes are.
    pub headers: Vec<Raw>,
}

/// What goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status: 200; with a fault 500 (SOAP 1.1 §6.2), in SOAP 1.2 400 for one that is the sender's (part 2
    /// §7.5.2.2).
    pub status: u16,
    /// The HTTP header `Content-Type`.
    pub content_type: &'static str,
    /// The envelope.
    pub body: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(formatter)
    }
}

impl std::error::Error for Refused {}

impl Server {
    /// A server of `services`.
    pub fn new(services: &[&'static Service], limits: Limits) -> Self {
        Self { services: services.to_vec(), limits }
    }

    /// Reads a request: `content_type` as it stands in the HTTP header, `body` after any decompression.
    ///
    /// # Errors
    /// What to answer with: `Client` for what can't be read, `Client.UnknownMethod`, `VersionMismatch`,
    /// `MustUnderstand`. Nothing has been carried out.
    pub fn accept(&self, content_type: Option<&str>, body: &[u8]) -> Result<Invocation, Refused> {
        self.accept_for(None, content_type, body)
    }

    /// The same with the `SOAPAction` that the request names; in SOAP 1.2 the content type has it.
    ///
    /// # Errors
    /// As for [`Server::accept`].
    pub fn accept_for(
        &self,
        action: Option<&str>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Invocation, Refused> {
        let guessed = version_of(content_type);
        let refused = |fault| Refused { fault: Box::new(fault), version: guessed, headers: Vec::new() };
        if body.is_empty() {
            return Err(refused(Fault::new("Client", "the request is empty")));
        }
        let charset = content_type.and_then(charset_of);
        let text = decode(body, charset, &self.limits).map_err(|error| refused(unreadable(error)))?;
        let envelope = match Envelope::open(&text, &self.limits) {
            Ok(envelope) => envelope,
            Err(error) if matches!(error.kind, ReadErrorKind::Version(_)) => {
                let every: Vec<Version> = [Version::Soap12, Version::Soap11]
                    .into_iter()
                    .filter(|version| self.operations().any(|it| it.versions.contains(version)))
                    .collect();
                let headers = notices::upgrade(&every);
                return Err(Refused { fault: Box::new(unreadable(error)), version: self.spoken(), headers });
            }
            Err(error) => return Err(refused(unreadable(error))),
        };
        let version = envelope.version();
        let action = content_type.and_then(action_of).filter(|_| version == Version::Soap12).or(action);
        self.read(envelope, action).map_err(|(fault, headers)| {
            let mismatch = fault.code() == "VersionMismatch";
            Refused { fault, version: if mismatch { self.spoken() } else { version }, headers }
        })
    }

    fn read(&self, envelope: Envelope<'_>, action: Option<&str>) -> Result<Invocation, Refusal> {
        let alone = |fault| (Box::new(fault), Vec::new());
        let operation = self.operation(&envelope, action).map_err(alone)?;
        let version = envelope.version();
        if !operation.versions.contains(&version) {
            let (asked, spoken) = match version {
                Version::Soap11 => ("1.1", "1.2"),
                Version::Soap12 => ("1.2", "1.1"),
            };
            let message = format!("SOAP {asked} is not spoken here, send a SOAP {spoken} envelope");
            let fault = Fault::new("VersionMismatch", message);
            return Err((Box::new(fault), notices::upgrade(operation.versions)));
        }
        understand(&envelope, operation)?;
        let broken = |error| alone(unreadable(error));
        let headers = Headers::read(operation.headers, &envelope).map_err(broken)?;
        let mut parameter = (operation.input.empty)();
        envelope.request(operation, &mut *parameter).map_err(broken)?;
        Ok(Invocation { operation, version, headers, parameter })
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
                Ok(result) => {
                    Answer::result(invocation.operation, invocation.version, &Headers::default(), &*result)
                }
                Err(fault) => Answer::fault(invocation.version, &fault),
            },
            Err(refused) => Answer::refused(&refused),
        }
    }

    fn operations(&self) -> impl Iterator<Item = &'static Operation> {
        self.services.iter().flat_map(|service| service.operations.iter().copied())
    }

    /// The envelope that whoever speaks another one is answered in: SOAP 1.1 unless nothing here has it.
    fn spoken(&self) -> Version {
        let old = self.operations().any(|operation| operation.versions.contains(&Version::Soap11));
        if old || self.operations().next().is_none() { Version::Soap11 } else { Version::Soap12 }
    }

    fn operation(&self, envelope: &Envelope<'_>, action: Option<&str>) -> Result<&'static Operation, Fault> {
        let (name, namespace) = (envelope.name().unwrap_or_default(), envelope.namespace());
        let action = action.map(|action| action.trim().trim_matches('"')).filter(|action| !action.is_empty());
        let by_action = |operation: &&'static Operation| Some(operation.action) == action;
        if !name.is_empty() {
            let named = || self.operations().filter(|operation| operation.input_element() == name);
            let whole = || named().filter(|operation| operation.input_name().namespace == namespace);
            let found =
                whole().find(by_action).or_else(|| whole().next()).or_else(|| named().find(by_action));
            if let Some(found) = found.or_else(|| named().next()) {
                return Ok(found);
            }
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
        (&*self.parameter as &dyn StdAny).downcast_ref()
    }

    /// The header block as what it is.
    pub fn header<T: Structure>(&self) -> Option<&T> {
        self.headers.get()
    }
}

impl Answer {
    /// The answer with a result, in the envelope of `version`; a fault of the server's where the result holds what XML
    /// can't, or a header isn't declared.
    pub fn result(
        operation: &Operation,
        version: Version,
        headers: &Headers,
        result: &dyn Structure,
    ) -> Self {
        let written = match headers.declared(operation.output_headers) {
            Ok(blocks) => {
                write::answer(operation, version, &blocks, result).map_err(|error| error.to_string())
            }
            Err(undeclared) => Err(undeclared.to_string()),
        };
        match written {
            Ok(body) => Self { status: 200, content_type: content_type(version), body },
            Err(error) => {
                Self::fault(version, &Fault::new("Server", format!("the answer can't be written: {error}")))
            }
        }
    }

    /// The answer with a fault that `operation` declares the detail of ([`Operation::faults`]), and headers
    /// ([`Operation::fault_headers`]). The fault gets through whatever goes with it: a header that the operation
    /// doesn't declare is left out ([`Headers::undeclared`]), and an [`Endpoint`] logs an error about it.
    pub fn typed_fault(
        operation: &Operation,
        version: Version,
        headers: &Headers,
        fault: &Fault,
        detail: Option<&dyn Structure>,
    ) -> Self {
        let blocks = headers.as_far_as(operation.fault_headers);
        Self::faulty(version, fault, write::fault_with(version, &blocks, fault, detail))
    }

    /// The answer with a fault.
    pub fn fault(version: Version, fault: &Fault) -> Self {
        Self::faulty(version, fault, write::fault_in(version, fault, None))
    }

    /// The answer to a request that isn't carried out.
    pub fn refused(refused: &Refused) -> Self {
        let Refused { fault, version, headers } = refused;
        // SOAP 1.1 has no word for what isn't understood
        let mismatch = fault.code() == "VersionMismatch";
        let blocks = if *version == Version::Soap12 || mismatch { headers.as_slice() } else { &[] };
        Self::faulty(*version, fault, write::fault_noticed(*version, blocks, fault))
    }

    fn faulty(version: Version, fault: &Fault, body: String) -> Self {
        let status = if version == Version::Soap12 && write::is_senders(fault) { 400 } else { 500 };
        Self { status, content_type: content_type(version), body }
    }
}

fn content_type(version: Version) -> &'static str {
    match version {
        Version::Soap11 => "text/xml; charset=utf-8",
        Version::Soap12 => "application/soap+xml; charset=utf-8",
    }
}

/// The envelope that a content type promises.
fn version_of(content_type: Option<&str>) -> Version {
    let media = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
    if media.trim().eq_ignore_ascii_case("application/soap+xml") { Version::Soap12 } else { Version::Soap11 }
}

/// The parameter `action` of a content type (SOAP 1.2 part 2 §6.5.3).
fn action_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("action").then(|| value.trim())
    })
}

fn unreadable(error: ReadError) -> Fault {
    let code = if matches!(error.kind, ReadErrorKind::Version(_)) { "VersionMismatch" } else { "Client" };
    Fault::new(code, format!("the request can't be read: {error}"))
}

/// SOAP 1.1 §4.2.3: a block that must be understood, is meant for us and isn't the operation's own is a fault.
fn understand(envelope: &Envelope<'_>, operation: &Operation) -> Result<(), Refusal> {
    let known = |name: &str| operation.headers.iter().any(|header| header.name == name);
    let ours = |block: &&Block| OURS.contains(&block.actor.as_deref().unwrap_or_default().trim());
    let wanted = envelope.headers().iter().filter(|block| block.must_understand).filter(ours);
    let unknown: Vec<&Block> = wanted.filter(|block| !known(&block.name)).collect();
    match unknown.first() {
        Some(block) => {
            let name: String = block.name.chars().take(100).collect();
            let message = format!("the header {name:?} is not understood here");
            Err((Box::new(Fault::new("MustUnderstand", message)), notices::not_understood(&unknown)))
        }
        None => Ok(()),
    }
}
