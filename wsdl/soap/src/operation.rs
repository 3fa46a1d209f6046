//! An operation as data: what the registry lists and what a call needs to know.

use crate::{Shape, Structure, Version};

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
    /// The same of an answer's, which some definitions have elsewhere; style rpc alone has it from here.
    pub output_namespace: &'static str,
    /// What goes into `SOAPAction`, without quotes.
    pub action: &'static str,
    /// How its body is written.
    pub style: Style,
    /// The definition's own documentation, empty where it has none.
    pub documentation: &'static str,
    /// Which envelopes its messages may have, as its bindings say: the first is the one that a client sends.
    pub versions: &'static [Version],
    /// Nothing comes back (WSDL 1.1 §2.4.1).
    pub one_way: bool,
    /// The headers that a request may bear.
    pub headers: &'static [Header],
    /// The headers that an answer may bear.
    pub output_headers: &'static [Header],
    /// The headers that a fault may bear (`soap:headerfault`, WSDL 1.1 §3.7).
    pub fault_headers: &'static [Header],
    /// What goes in.
    pub input: Part,
    /// What comes out; nothing for an operation without an answer.
    pub output: Part,
    /// What the detail of a fault may hold, a choice; `None` where the definition doesn't say.
    pub faults: Option<Part>,
}

impl Operation {
    /// The envelope that a client sends.
    pub fn version(&self) -> Version {
        self.versions.first().copied().unwrap_or(Version::Soap11)
    }

    /// The first of its headers: most operations with headers have one.
    pub fn header(&self) -> Option<&'static Header> {
        self.headers.first()
    }

    /// Local name of the element that a request's body has; empty where what goes in stands in the body itself.
    pub fn input_element(&self) -> &'static str {
        self.input_name().name
    }

    /// The whole name of that element.
    pub(crate) fn input_name(&self) -> Element {
        match self.style {
            Style::Document { input, .. } => input,
            _ => Element { name: self.name, namespace: self.namespace },
        }
    }
}

/// How a body is written (WSDL 1.1 §3.3, §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A wrapper named like the operation, typed accessors (SOAP 1.1 §5 and §7).
    RpcEncoded,
    /// A wrapper named like the operation, accessors as their schema has them.
    RpcLiteral,
    /// The element of the message's one part (WSDL 1.1 §3.5); the wrapped convention looks no different.
    Document {
        /// Of a request.
        input: Element,
        /// Of an answer.
        output: Element,
    },
}

/// The element of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its local name; empty where there is none and the message's parts stand in the body themselves.
    pub name: &'static str,
    /// Its namespace; empty where it has none.
    pub namespace: &'static str,
}

impl Element {
    /// The element of that name.
    pub const fn new(name: &'static str, namespace: &'static str) -> Self {
        Self { name, namespace }
    }
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

/// An empty structure of a type. Generated code names it where a closure of its own would be a function more for the
/// compiler.
#[doc(hidden)]
pub fn empty<T: Structure + Default>() -> Box<dyn Structure> {
    Box::<T>::default()
}

/// An operation as a type, so that a call knows its request and its answer.
pub trait Call: Send + Sync + 'static {
    /// What goes in.
    type Request: Structure + Default;
    /// What comes out.
    type Response: Structure + Default;
    /// What the detail of a fault may hold; [`crate::Nothing`] where the definition doesn't say.
    type Fault: Structure + Default;
    /// The same as data.
    fn operation() -> &'static Operation;
}
