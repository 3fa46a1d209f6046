//! An operation as data: what the registry lists and what a call needs to know.

use crate::{Shape, Structure};

/// A service: the operations of one port type, as a definition has them.
#[derive(Debug)]
pub struct Service {
    /// Its short name, which is also the segment of the URL (`Account`).
    pub name: &'static str,
    /// The name of `wsdl:service` (`AccountAdminService`).
    pub wsdl_name: &'static str,
    /// The definition's own documentation, empty where it has none.
    pub documentation: &'static str,
    /// Its operations, in the definition's order.
    pub operations: &'static [&'static Operation],
}

impl Service {
    /// The operation called `name`, exactly.
    pub fn operation(&self, name: &str) -> Option<&'static Operation> {
        self.operations.iter().copied().find(|operation| operation.name == name)
    }
}

/// One operation of a service: its names, its parts, and how to make empty ones.
#[derive(Debug)]
pub struct Operation {
    /// The short name of its service (`Account`).
    pub service: &'static str,
    /// Its name (`get_account_info`), which is also the name of the body element.
    pub name: &'static str,
    /// The namespace of the body element (`soap:body namespace`).
    pub namespace: &'static str,
    /// What goes into `SOAPAction`, without quotes.
    pub action: &'static str,
    /// How its body is written.
    pub style: Style,
    /// The definition's own documentation, empty where it has none.
    pub documentation: &'static str,
    /// The header that a request bears, if any.
    pub header: Option<Header>,
    /// What goes in.
    pub input: Part,
    /// What comes out.
    pub output: Part,
}

/// How a body is written (WSDL 1.1 §3.3, §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A wrapper named like the operation, typed accessors (SOAP 1.1 §5 and §7).
    RpcEncoded,
}

/// A part of a message: its accessor's name and its structure.
#[derive(Debug)]
pub struct Part {
    /// The name of the accessor element; empty when the message has no part that is a structure, or several parts:
    /// then the structure's members are the parts, and stand in the body element without an accessor around them.
    pub name: &'static str,
    /// The table of its structure.
    pub shape: &'static Shape,
    /// An empty one.
    pub empty: fn() -> Box<dyn Structure>,
}

/// A header block that an operation declares (WSDL 1.1 §3.7).
#[derive(Debug)]
pub struct Header {
    /// Local name of the block's element (`auth_info`).
    pub name: &'static str,
    /// Its namespace.
    pub namespace: &'static str,
    /// The table of its structure.
    pub shape: &'static Shape,
    /// An empty one.
    pub empty: fn() -> Box<dyn Structure>,
}

/// An operation as a type, so that a call knows its request and its answer.
pub trait Call: Send + Sync + 'static {
    /// What goes in.
    type Request: Structure + Default;
    /// What comes out.
    type Response: Structure + Default;
    /// The same as data.
    fn operation() -> &'static Operation;
}
