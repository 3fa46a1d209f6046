//! What a peer says instead of an answer.

use std::fmt;

use crate::{Any, Call, Headers, Nothing, Operation, Raw, ReadError, Structure};

/// A SOAP fault, of either version, as one structure.
///
/// ```
/// # use soapstone_soap::Fault;
/// let fault = Fault::new("soap:Server.Session.check_auth.auth_failed", "session expired");
/// assert_eq!(fault.code(), "Server.Session.check_auth.auth_failed");
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fault {
    /// The code as it was sent: dotted, with a prefix or without one.
    pub raw_code: String,
    /// The message for people.
    pub message: String,
    /// Who says so (`faultactor`), where it is said.
    pub actor: Option<String>,
    /// Anything more, of no declared type.
    pub detail: Option<Any>,
    /// The detail as it was sent, for [`Fault::typed`]; nothing in a fault of one's own.
    pub raw_detail: Option<Box<Raw>>,
}

impl Fault {
    /// A fault without actor and detail.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { raw_code: code.into(), message: message.into(), actor: None, detail: None, raw_detail: None }
    }

    /// What an operation says that nobody has implemented.
    pub fn not_implemented(operation: &Operation) -> Self {
        let message = format!("{} of {} is not implemented here", operation.name, operation.service);
        Self::new("Server.NotImplemented", message)
    }

    /// The same with a detail.
    pub fn with_detail(mut self, detail: Any) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The detail as `C` declares it; `None` where there is none, or one of another kind.
    ///
    /// # Errors
    /// A detail that is declared and can't be read as that.
    pub fn typed<C: Call>(&self) -> Result<Option<C::Fault>, ReadError> {
        let mut detail = C::Fault::default();
        Ok(self.read_detail(&mut detail)?.then_some(detail))
    }

    /// Reads the detail into what [`crate::Operation::faults`] makes; says whether there is one of that kind.
    ///
    /// # Errors
    /// A detail that is declared and can't be read as that.
    pub fn read_detail(&self, target: &mut dyn Structure) -> Result<bool, ReadError> {
        match &self.raw_detail {
            Some(raw) => crate::read::detail(raw.as_str(), target),
            None => Ok(false),
        }
    }

    /// The code without its prefix, which differs from stack to stack.
    pub fn code(&self) -> &str {
        self.raw_code.rsplit_once(':').map_or(self.raw_code.as_str(), |(_, code)| code).trim()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code(), self.message.trim())
    }
}

impl std::error::Error for Fault {}

/// A fault whose detail is of a declared type: what a generated server's methods may answer, and what a generated
/// client gives back.
///
/// `?` makes one of a plain [`Fault`]. `D` is the operation's choice of what its faults' details hold, or
/// [`Nothing`].
///
/// ```
/// use soapstone_soap::{Fault, TypedFault};
/// fn refuse() -> Result<(), TypedFault> {
///     Err(Fault::new("Client", "no such account"))?
/// }
/// assert_eq!(refuse().unwrap_err().to_string(), "Client: no such account");
/// ```
pub struct TypedFault<D: ?Sized = Nothing> {
    /// Code and message, and the detail as it came. Boxed like the rest, since errors that are large make every call
    /// dear.
    pub fault: Box<Fault>,
    /// The detail as the definition declares it; `None` where there is none, or one of another kind.
    pub detail: Option<Box<D>>,
    /// The header blocks that came or go with it ([`Operation::fault_headers`]).
    pub headers: Box<Headers>,
}

impl<D> TypedFault<D> {
    /// A fault with its detail.
    pub fn new(code: impl Into<String>, message: impl Into<String>, detail: D) -> Self {
        Self { detail: Some(Box::new(detail)), ..Fault::new(code, message).into() }
    }

    /// The same with a header block, one that the operation declares for its faults.
    pub fn with_header(mut self, block: impl Structure) -> Self {
        self.headers.set(block);
        self
    }
}

impl<D: ?Sized> From<Fault> for TypedFault<D> {
    fn from(fault: Fault) -> Self {
        Self { fault: Box::new(fault), detail: None, headers: Box::default() }
    }
}

impl<D: ?Sized> fmt::Display for TypedFault<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(formatter)
    }
}

impl<D: ?Sized + fmt::Debug> fmt::Debug for TypedFault<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = formatter.debug_struct("TypedFault");
        out.field("fault", &self.fault).field("detail", &self.detail).field("headers", &self.headers).finish()
    }
}

impl<D: ?Sized + fmt::Debug> std::error::Error for TypedFault<D> {}
