//! The writing engine: one strict form that every stack reads, with types on every value.

mod attributes;
mod element;
mod error;
mod fault;
mod qualified;
mod text;
mod value;

use crate::envelope::{SOAP_1_1, SOAP_1_2, Version};
use crate::operation::{Element, Style};
use crate::{Header, Operation, Structure};

pub use error::{Problem, WriteError};
pub use fault::{fault, fault_in};
pub(crate) use fault::{fault_noticed, fault_with, is_senders};
pub(crate) use text::escape;

/// The request envelope of `operation`, with its header block where one is given.
///
/// # Errors
/// A value that can't stand in XML.
pub fn request(
    operation: &Operation,
    header: Option<&dyn Structure>,
    parameter: &dyn Structure,
) -> Result<String, WriteError> {
    request_with(operation, header.as_slice(), parameter)
}

/// The same with several header blocks; each is the one of the operation's that has its type.
///
/// # Errors
/// A value that can't stand in XML.
pub fn request_with(
    operation: &Operation,
    headers: &[&dyn Structure],
    parameter: &dyn Structure,
) -> Result<String, WriteError> {
    request_in(operation.version(), operation, headers, parameter)
}

/// The same in the envelope of `version`.
///
/// # Errors
/// A value that can't stand in XML.
pub fn request_in(
    version: Version,
    operation: &Operation,
    headers: &[&dyn Structure],
    parameter: &dyn Structure,
) -> Result<String, WriteError> {
    let element = match operation.style {
        Style::Document { input, .. } => Some(input),
        _ => None,
    };
    let blocks = blocks(operation.headers, headers);
    Writer::open(operation, operation.namespace, version).message(
        &blocks,
        element,
        "",
        operation.input.name,
        parameter,
    )
}

/// The response envelope of `operation`.
///
/// # Errors
/// A value that can't stand in XML.
pub fn response(operation: &Operation, result: &dyn Structure) -> Result<String, WriteError> {
    response_with(operation, &[], result)
}

/// The same with header blocks.
///
/// # Errors
/// A value that can't stand in XML.
pub fn response_with(
    operation: &Operation,
    headers: &[&dyn Structure],
    result: &dyn Structure,
) -> Result<String, WriteError> {
    answer(operation, operation.version(), &blocks(operation.output_headers, headers), result)
}

/// The same in the envelope of `version`, with blocks whose names have been looked up.
pub(crate) fn answer(
    operation: &Operation,
    version: Version,
    blocks: &[(&'static Header, &dyn Structure)],
    result: &dyn Structure,
) -> Result<String, WriteError> {
    let element = match operation.style {
        Style::Document { output, .. } => Some(output),
        _ => None,
    };
    Writer::open(operation, operation.output_namespace, version).message(
        blocks,
        element,
        "Response",
        operation.output.name,
        result,
    )
}

/// What each block is called; one that isn't declared is left out.
fn blocks<'h>(
    declared: &'static [Header],
    headers: &[&'h dyn Structure],
) -> Vec<(&'static Header, &'h dyn Structure)> {
    let named = |header: &&'h dyn Structure| {
        let same = |declared: &&Header| std::ptr::eq(declared.shape, header.shape());
        Some((declared.iter().find(same).or(declared.first())?, *header))
    };
    headers.iter().filter_map(named).collect()
}

const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";

const XSD: &str = "http://www.w3.org/2001/XMLSchema";

struct Writer<'a> {
    text: String,
    /// Bound to the prefix `tns`, where that is declared.
    namespace: Option<&'a str>,
    /// Bound to no prefix.
    default: &'a str,
    /// Values bear no types, elements are in the namespaces that their schema has them in.
    literal: bool,
    /// The operation's name.
    operation: &'a str,
}

impl<'a> Writer<'a> {
    /// Up to the name of the envelope.
    fn plain(version: Version) -> Self {
        let mut text = String::with_capacity(8192);
        text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"");
        text.push_str(if version == Version::Soap12 { SOAP_1_2 } else { SOAP_1_1 });
        text.push('"');
        Self { text, namespace: None, default: "", literal: true, operation: "" }
    }

    /// The same, with what the body's element needs around it; `namespace` is that of style rpc.
    fn open(operation: &'a Operation, namespace: &'a str, version: Version) -> Self {
        let mut out = Self::plain(version);
        out.operation = operation.name;
        out.literal = operation.style != Style::RpcEncoded;
        if !out.literal {
            out.text.push_str(" xmlns:soapenc=\"");
            out.text.push_str(ENCODING);
            for piece in ["\" xmlns:xsd=\"", XSD, "\""] {
                out.text.push_str(piece);
            }
        }
        out.text.push_str(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"");
        // no prefix can stand for no namespace
        if !matches!(operation.style, Style::Document { .. }) && !namespace.is_empty() {
            out.text.push_str(" xmlns:tns=\"");
            escape(&mut out.text, namespace);
            out.text.push('"');
            out.namespace = Some(namespace);
        }
        out.text.push('>');
        out
    }

    /// The whole of a message; without an element for the body, it has the operation's wrapper.
    fn message(
        mut self,
        headers: &[(&'static Header, &dyn Structure)],
        element: Option<Element>,
        suffix: &str,
        part: &str,
        value: &dyn Structure,
    ) -> Result<String, WriteError> {
        self.header(headers)?;
        self.text.push_str("<soap:Body>");
        match element {
            None => self.wrapper(suffix, part, value)?,
            // the structure's members stand in the body
            Some(Element { name: "", .. }) => self.members(value)?,
            Some(element) => self.root(element.name, element.namespace, value)?,
        }
        self.text.push_str("</soap:Body></soap:Envelope>");
        Ok(self.text)
    }

    fn header(&mut self, blocks: &[(&'static Header, &dyn Structure)]) -> Result<(), WriteError> {
        if blocks.is_empty() {
            return Ok(());
        }
        self.text.push_str("<soap:Header>");
        for (header, block) in blocks {
            self.block(header, *block).map_err(|error| error.inside(header.name))?;
        }
        self.text.push_str("</soap:Header>");
        Ok(())
    }

    fn block(&mut self, header: &'static Header, block: &dyn Structure) -> Result<(), WriteError> {
        if self.literal || self.namespace != Some(header.namespace) {
            return self.root(header.name, header.namespace, block);
        }
        for piece in ["<tns:", header.name, ">"] {
            self.text.push_str(piece);
        }
        self.members(block)?;
        for piece in ["</tns:", header.name, ">"] {
            self.text.push_str(piece);
        }
        Ok(())
    }

    /// The element of an rpc body, with the one accessor in it, or those that the members are.
    fn wrapper(&mut self, suffix: &str, part: &str, value: &dyn Structure) -> Result<(), WriteError> {
        let name = self.operation;
        let prefix = if self.namespace.is_some() { "tns:" } else { "" };
        for piece in ["<", prefix, name, suffix] {
            self.text.push_str(piece);
        }
        if !self.literal {
            for piece in [" soap:encodingStyle=\"", ENCODING, "\""] {
                self.text.push_str(piece);
            }
        }
        self.text.push('>');
        if part.is_empty() {
            self.members(value)?;
        } else {
            self.structure(part, "", value)?;
        }
        for piece in ["</", prefix, name, suffix, ">"] {
            self.text.push_str(piece);
        }
        Ok(())
    }
}
