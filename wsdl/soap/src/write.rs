//! The writing engine: one strict form that every stack reads, with types on every value.

use std::fmt::Write as _;

use crate::charset::allowed;
use crate::envelope::{SOAP_1_1, SOAP_1_2, Version};
use crate::error::{ReadError, ReadErrorKind};
use crate::operation::{Element, Style};
use crate::read::check_element;
use crate::{
    Any, Fault, Header, List, Member, Operation, Place, Preset, Scalar, Shape, Structure, Type, View, Xsd,
};

/// A message that can't be written; the caller's fault, nothing has been sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct WriteError {
    /// The members that lead to the value.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has a character that XML doesn't allow (XML 1.0 §2.2).
    #[error("the character U+{0:04X} is not allowed in XML")]
    Character(u32),
    /// It is to be XML as it stands, and isn't well-formed.
    #[error("not well-formed XML: {0}")]
    Raw(ReadErrorKind),
}

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
    let element = match operation.style {
        Style::Document { input, .. } => Some(input),
        _ => None,
    };
    let blocks = blocks(operation.headers, headers);
    Writer::open(operation).message(&blocks, element, "", operation.input.name, parameter)
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
    let element = match operation.style {
        Style::Document { output, .. } => Some(output),
        _ => None,
    };
    let blocks = blocks(operation.output_headers, headers);
    Writer::open(operation).message(&blocks, element, "Response", operation.output.name, result)
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

/// The envelope of a fault in SOAP 1.1.
///
/// Characters that XML can't hold are replaced, so that a fault always gets through.
pub fn fault(fault: &Fault) -> String {
    fault_in(Version::Soap11, fault, None)
}

/// The envelope of a fault, with a detail as the operation declares it ([`Operation::faults`]) where one is given.
///
/// Characters that XML can't hold are replaced, so that a fault always gets through; a detail that can't be written
/// is left out.
pub fn fault_in(version: Version, fault: &Fault, detail: Option<&dyn Structure>) -> String {
    let mut out = Writer::plain(version);
    out.text.push_str(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soap:Body><soap:Fault>");
    let names = match version {
        Version::Soap11 => {
            out.text.push_str("<faultcode>");
            out.lossy(&qualified(&fault.raw_code));
            out.text.push_str("</faultcode><faultstring>");
            out.lossy(&fault.message);
            out.text.push_str("</faultstring>");
            ("faultactor", "detail")
        }
        Version::Soap12 => {
            let (code, subcode) = code_12(&fault.raw_code);
            out.text.push_str("<soap:Code><soap:Value>");
            out.text.push_str(code);
            out.text.push_str("</soap:Value>");
            if let Some(subcode) = subcode {
                out.text.push_str("<soap:Subcode><soap:Value>");
                out.lossy(&subcode);
                out.text.push_str("</soap:Value></soap:Subcode>");
            }
            out.text.push_str("</soap:Code><soap:Reason><soap:Text xml:lang=\"en\">");
            out.lossy(&fault.message);
            out.text.push_str("</soap:Text></soap:Reason>");
            ("soap:Role", "soap:Detail")
        }
    };
    if let Some(actor) = &fault.actor {
        out.start(names.0);
        out.text.push('>');
        out.lossy(actor);
        out.end(names.0);
    }
    let before = out.text.len();
    if let Some(detail) = detail {
        out.start(names.1);
        out.text.push('>');
        match out.members(detail) {
            Ok(()) => out.end(names.1),
            Err(_) => out.text.truncate(before),
        }
    } else if let Some(detail) = &fault.detail {
        out.detail(names.1, detail);
    }
    out.text.push_str("</soap:Fault></soap:Body></soap:Envelope>");
    out.text
}

/// SOAP 1.2 §5.4.6: one of its own codes, and what was meant as a code below it.
fn code_12(code: &str) -> (&'static str, Option<String>) {
    let local = code.rsplit(':').next().unwrap_or_default();
    let (first, rest) = local.split_once('.').unwrap_or((local, ""));
    let own = match first {
        "Client" | "Sender" => "soap:Sender",
        "VersionMismatch" => "soap:VersionMismatch",
        "MustUnderstand" => "soap:MustUnderstand",
        "Server" | "Receiver" => "soap:Receiver",
        _ => return ("soap:Receiver", Some(local.to_owned()).filter(|code| !code.is_empty())),
    };
    (own, Some(rest.to_owned()).filter(|rest| !rest.is_empty()))
}

/// SOAP 1.1 §4.4.1: its own codes, dotted or not, are names in the envelope's namespace; others stay as they are.
fn qualified(code: &str) -> String {
    let own = ["Client", "Server", "VersionMismatch", "MustUnderstand"];
    match code.split('.').next() {
        Some(first) if own.contains(&first) => format!("soap:{code}"),
        _ => code.to_string(),
    }
}

const XML: &str = "http://www.w3.org/XML/1998/namespace";

const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";

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

impl WriteError {
    fn of(character: char) -> Self {
        Self { path: String::new(), problem: Problem::Character(u32::from(character)) }
    }

    fn raw(error: ReadError) -> Self {
        Self { path: String::new(), problem: Problem::Raw(error.kind) }
    }

    fn inside(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }
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

    fn open(operation: &'a Operation) -> Self {
        let mut out = Self::plain(operation.version);
        out.operation = operation.name;
        out.literal = operation.style != Style::RpcEncoded;
        if !out.literal {
            out.text.push_str(" xmlns:soapenc=\"");
            out.text.push_str(ENCODING);
            out.text.push_str("\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"");
        }
        out.text.push_str(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"");
        if !matches!(operation.style, Style::Document { .. }) {
            out.text.push_str(" xmlns:tns=\"");
            escape(&mut out.text, operation.namespace);
            out.text.push('"');
            out.namespace = Some(operation.namespace);
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
        if !headers.is_empty() {
            self.text.push_str("<soap:Header>");
            for (header, block) in headers {
                self.block(header, *block).map_err(|error| error.inside(header.name))?;
            }
            self.text.push_str("</soap:Header>");
        }
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
        for piece in ["<tns:", name, suffix] {
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
        for piece in ["</tns:", name, suffix, ">"] {
            self.text.push_str(piece);
        }
        Ok(())
    }

    /// An element that has nothing around it. With a prefix where the elements in it are in no namespace, so that
    /// not each of them has to say so.
    fn root(&mut self, name: &str, namespace: &'a str, value: &dyn Structure) -> Result<(), WriteError> {
        if namespace.is_empty() || value.shape().elements_in == namespace || value.shape().derived {
            return self.structure(name, namespace, value);
        }
        let prefixed = format!("m:{name}");
        self.start(&prefixed);
        self.text.push_str(" xmlns:m=\"");
        escape(&mut self.text, namespace);
        self.text.push('"');
        self.inside(&prefixed, value)
    }

    fn structure(&mut self, name: &str, namespace: &'a str, value: &dyn Structure) -> Result<(), WriteError> {
        let shape = value.shape();
        if shape.derived {
            for index in 0..shape.members.len() {
                if let View::Structure(chosen) = value.member(index).view() {
                    return self.typed(name, namespace, chosen, true);
                }
            }
            return Ok(());
        }
        // one that is defined in its element has no name that a receiver could know
        self.typed(name, namespace, value, !self.literal && !shape.namespace.is_empty())
    }

    fn typed(
        &mut self,
        name: &str,
        namespace: &'a str,
        value: &dyn Structure,
        with_type: bool,
    ) -> Result<(), WriteError> {
        let before = self.enter(name, namespace);
        if with_type {
            self.type_of(value.shape());
        }
        self.inside(name, value)?;
        self.default = before;
        Ok(())
    }

    /// Attributes, members and the end.
    fn inside(&mut self, name: &str, value: &dyn Structure) -> Result<(), WriteError> {
        if value.shape().has_more_than_elements() {
            self.attributes(value)?;
        }
        self.text.push('>');
        self.members(value)?;
        self.end(name);
        Ok(())
    }

    /// Begins a start tag; the namespace without a prefix before it is given back.
    fn enter(&mut self, name: &str, namespace: &'a str) -> &'a str {
        let before = self.default;
        self.start(name);
        if self.literal && namespace != before {
            self.text.push_str(" xmlns=\"");
            escape(&mut self.text, namespace);
            self.text.push('"');
            self.default = namespace;
        }
        before
    }

    fn attributes(&mut self, value: &dyn Structure) -> Result<(), WriteError> {
        let shape = value.shape();
        for (index, member) in shape.members.iter().enumerate().skip(shape.elements) {
            let view = value.member(index).view();
            match member.place {
                Place::Attribute => self
                    .attribute(index, member, shape.namespace_of(member), view)
                    .map_err(|error| error.inside(member.name))?,
                Place::OtherAttributes => {
                    if let View::Scalar(scalar) = view
                        && let Some(text) = scalar.as_text()
                        && !text.is_empty()
                    {
                        check_element(&format!("<a {text}/>"))
                            .map_err(|error| WriteError::raw(error).inside(member.name))?;
                        self.text.push(' ');
                        self.text.push_str(text.trim());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        index: usize,
        member: &Member,
        namespace: &str,
        view: View<'_>,
    ) -> Result<(), WriteError> {
        let view = match view {
            View::List(list) if list.is_empty() && member.optional => return Ok(()),
            View::Scalar(_) | View::List(_) => view,
            _ if member.optional => return Ok(()),
            _ => View::Absent,
        };
        match namespace {
            "" => self.text.push(' '),
            XML => self.text.push_str(" xml:"),
            namespace => {
                let _ = write!(self.text, " xmlns:a{index}=\"");
                escape(&mut self.text, namespace);
                let _ = write!(self.text, "\" a{index}:");
            }
        }
        self.text.push_str(member.name);
        self.text.push_str("=\"");
        let start = self.text.len();
        match view {
            View::Scalar(scalar) => match scalar.as_text() {
                Some(text) => self.attribute_text(text)?,
                // numbers and dates have nothing to be escaped; what is text all the same is looked at again
                None => {
                    scalar.write(&mut self.text);
                    if special(&self.text[start..]) {
                        let lexical = self.text.split_off(start);
                        self.attribute_text(&lexical)?;
                    }
                }
            },
            View::List(list) => self.attribute_text(&words(list))?,
            _ => {}
        }
        if let (Some(Preset::Fixed(fixed)), true) = (member.preset, self.text.len() == start) {
            self.attribute_text(fixed)?;
        }
        self.text.push('"');
        Ok(())
    }

    /// The text of an attribute: line feeds and tabs too are written so that a reader doesn't make spaces of them (XML
    /// 1.0 §3.3.3).
    fn attribute_text(&mut self, text: &str) -> Result<(), WriteError> {
        let start = self.text.len();
        self.escaped(text).map_err(WriteError::of)?;
        if memchr::memchr2(b'\n', b'\t', text.as_bytes()).is_some() {
            let escaped = self.text.split_off(start);
            self.text.push_str(&escaped.replace('\n', "&#10;").replace('\t', "&#9;"));
        }
        Ok(())
    }

    /// `xsi:type` of a structure; its namespace gets a prefix of its own where it isn't the operation's.
    fn type_of(&mut self, shape: &Shape) {
        let prefix = if self.namespace == Some(shape.namespace) {
            "tns:"
        } else if shape.namespace.is_empty() {
            ""
        } else {
            self.text.push_str(" xmlns:t=\"");
            escape(&mut self.text, shape.namespace);
            self.text.push('"');
            "t:"
        };
        self.text.push_str(" xsi:type=\"");
        self.text.push_str(prefix);
        self.text.push_str(shape.name);
        self.text.push('"');
    }

    fn members(&mut self, value: &dyn Structure) -> Result<(), WriteError> {
        let shape = value.shape();
        let elements = &shape.members[..shape.elements];
        if self.literal {
            for (index, member) in elements.iter().enumerate() {
                self.member(shape, member, value.member(index).view())
                    .map_err(|error| error.inside(member.name))?;
            }
        } else {
            for (index, (member, tags)) in elements.iter().zip(shape.tags()).enumerate() {
                match (value.member(index).view(), member.ty) {
                    (View::Absent, _) if !member.nillable || member.optional => {}
                    (View::List(list), _) if list.is_empty() && member.optional => {}
                    // nearly every member: three pieces instead of many
                    (View::Scalar(scalar), Type::Xsd(xsd)) => {
                        self.text.push_str(&tags.start);
                        self.content(xsd, scalar)
                            .map_err(|character| WriteError::of(character).inside(member.name))?;
                        self.text.push_str(&tags.end);
                    }
                    (view, _) => {
                        self.member(shape, member, view).map_err(|error| error.inside(member.name))?;
                    }
                }
            }
        }
        match shape.text {
            Some(index) => self.text_of(value.member(index).view(), shape.members[index].ty),
            None => Ok(()),
        }
    }

    fn member(&mut self, shape: &'static Shape, member: &Member, view: View<'_>) -> Result<(), WriteError> {
        match (member.place, view) {
            // one that must be there, and may be nil
            (Place::Element, View::Absent) if member.nillable && !member.optional && !shape.choice => {
                self.value(member.name, shape.namespace_of(member), member.ty, View::Nil)
            }
            (_, View::Absent) => Ok(()),
            (_, View::List(list)) if list.is_empty() && member.optional => Ok(()),
            (Place::Inline, view) => self.inline(view),
            (Place::Wildcard, view) => self.wildcard(view),
            (_, view) => self.value(member.name, shape.namespace_of(member), member.ty, view),
        }
    }

    /// What has no element of its own.
    fn inline(&mut self, view: View<'_>) -> Result<(), WriteError> {
        match view {
            View::Structure(structure) => self.members(structure),
            View::List(list) => (0..list.len()).try_for_each(|index| {
                self.inline(list.item(index).view()).map_err(|error| error.inside(&format!("[{index}]")))
            }),
            _ => Ok(()),
        }
    }

    /// XML as it stands, where it is well-formed.
    fn wildcard(&mut self, view: View<'_>) -> Result<(), WriteError> {
        match view {
            View::List(list) => (0..list.len()).try_for_each(|index| self.wildcard(list.item(index).view())),
            View::Scalar(scalar) => {
                let xml = scalar.as_text().unwrap_or_default().trim();
                check_element(xml).map_err(WriteError::raw)?;
                let tag = &xml[..xml.find('>').unwrap_or(xml.len())];
                let name = tag.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(tag.len());
                self.text.push_str(&xml[..name]);
                // what it says without a prefix isn't meant in the namespace around it
                if !self.default.is_empty() && !tag.contains("xmlns=") {
                    self.text.push_str(" xmlns=\"\"");
                }
                self.text.push_str(&xml[name..]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn text_of(&mut self, view: View<'_>, ty: Type) -> Result<(), WriteError> {
        match (view, ty) {
            (View::Scalar(scalar), Type::Xsd(xsd)) => self.content(xsd, scalar).map_err(WriteError::of),
            (View::List(list), _) => self.escaped(&words(list)).map_err(WriteError::of),
            _ => Ok(()),
        }
    }

    fn value(&mut self, name: &str, namespace: &'a str, ty: Type, view: View<'_>) -> Result<(), WriteError> {
        match view {
            View::Absent | View::Nil => {
                let before = self.enter(name, namespace);
                self.text.push_str(" xsi:nil=\"true\"/>");
                self.default = before;
                Ok(())
            }
            View::Scalar(scalar) if matches!(ty, Type::Raw) => self.wildcard(View::Scalar(scalar)),
            View::Scalar(scalar) => {
                let xsd = if let Type::Xsd(xsd) = ty { xsd } else { scalar.xsd() };
                self.scalar(name, namespace, xsd, scalar)
            }
            View::Structure(structure) => self.structure(name, namespace, structure),
            View::List(list) => match ty {
                Type::Repeated(item) => (0..list.len())
                    .try_for_each(|index| self.value(name, namespace, *item, list.item(index).view())),
                Type::List(_) => {
                    let before = self.enter(name, namespace);
                    self.text.push('>');
                    self.escaped(&words(list)).map_err(WriteError::of)?;
                    self.end(name);
                    self.default = before;
                    Ok(())
                }
                Type::Items(items) => {
                    let before = self.enter(name, namespace);
                    self.text.push('>');
                    for index in 0..list.len() {
                        self.value(items.name, items.namespace, items.ty, list.item(index).view())
                            .map_err(|error| error.inside(&format!("[{index}]")))?;
                    }
                    self.end(name);
                    self.default = before;
                    Ok(())
                }
                Type::Array(item) => self.array(name, *item, list),
                _ => self.array(name, Type::Any, list),
            },
            View::Any(any) => {
                let before = self.enter(name, namespace);
                self.any(name, any)?;
                self.default = before;
                Ok(())
            }
        }
    }

    fn scalar(
        &mut self,
        name: &str,
        namespace: &'a str,
        xsd: Xsd,
        scalar: &dyn Scalar,
    ) -> Result<(), WriteError> {
        let before = self.enter(name, namespace);
        self.text.push_str(if self.literal { ">" } else { xsd.start_tag_end() });
        self.content(xsd, scalar).map_err(WriteError::of)?;
        self.end(name);
        self.default = before;
        Ok(())
    }

    /// The text of a scalar; the character in it that XML can't hold, if there is one.
    fn content(&mut self, xsd: Xsd, scalar: &dyn Scalar) -> Result<(), char> {
        if let Some(text) = scalar.as_text() {
            return self.escaped(text);
        }
        let start = self.text.len();
        scalar.write(&mut self.text);
        // numbers and dates have nothing to be escaped
        if xsd.is_text() && special(&self.text[start..]) {
            let lexical = self.text.split_off(start);
            self.escaped(&lexical)?;
        }
        Ok(())
    }

    /// With `arrayType` and an explicit size: without them Perl takes the array for a scalar, and gSOAP an array of
    /// no stated size for an empty one.
    fn array(&mut self, name: &str, item: Type, list: &dyn List) -> Result<(), WriteError> {
        self.start(name);
        if let Type::Structure(shape) = item
            && self.namespace != Some(shape.namespace)
            && !shape.namespace.is_empty()
        {
            self.text.push_str(" xmlns:t=\"");
            escape(&mut self.text, shape.namespace);
            self.text.push('"');
        }
        self.text.push_str(" soapenc:arrayType=\"");
        let ranks = self.item_type(item);
        self.text.push_str(&"[]".repeat(ranks));
        let _ = write!(self.text, "[{}]", list.len());
        self.text.push_str("\" xsi:type=\"soapenc:Array\">");
        for index in 0..list.len() {
            self.value("item", "", item, list.item(index).view())
                .map_err(|error| error.inside(&format!("[{index}]")))?;
        }
        self.end(name);
        Ok(())
    }

    /// The name of an array's innermost item type; how many arrays are in between.
    fn item_type(&mut self, item: Type) -> usize {
        match item {
            Type::Xsd(xsd) => {
                self.text.push_str("xsd:");
                self.text.push_str(xsd.name());
                0
            }
            Type::Structure(shape) if !shape.namespace.is_empty() => {
                self.text.push_str(if self.namespace == Some(shape.namespace) { "tns:" } else { "t:" });
                self.text.push_str(shape.name);
                0
            }
            Type::Array(inner) | Type::Repeated(inner) => self.item_type(*inner) + 1,
            Type::Any | Type::Structure(_) | Type::List(_) | Type::Items(_) | Type::Raw => {
                self.text.push_str("xsd:anyType");
                0
            }
        }
    }

    /// What follows the name of a value of no declared type.
    fn any(&mut self, name: &str, any: &Any) -> Result<(), WriteError> {
        match any {
            Any::Nil => {
                self.text.push_str(" xsi:nil=\"true\"/>");
                return Ok(());
            }
            Any::Text(text) => {
                self.text.push_str(if self.literal { ">" } else { Xsd::String.start_tag_end() });
                self.escaped(text).map_err(WriteError::of)?;
            }
            Any::Structure(members) => {
                self.text.push('>');
                for (member, value) in members {
                    self.start(member);
                    self.any(member, value).map_err(|error| error.inside(member))?;
                }
            }
            Any::List(items) => {
                if !self.literal {
                    let _ = write!(self.text, " soapenc:arrayType=\"xsd:anyType[{}]\"", items.len());
                    self.text.push_str(" xsi:type=\"soapenc:Array\"");
                }
                self.text.push('>');
                for item in items {
                    self.start("item");
                    self.any("item", item)?;
                }
            }
        }
        self.end(name);
        Ok(())
    }

    /// A fault's detail: literal, so without types.
    fn detail(&mut self, name: &str, any: &Any) {
        self.start(name);
        self.text.push('>');
        match any {
            Any::Nil => {}
            Any::Text(text) => self.lossy(text),
            Any::Structure(members) => members.iter().for_each(|(member, value)| self.detail(member, value)),
            Any::List(items) => items.iter().for_each(|item| self.detail("item", item)),
        }
        self.end(name);
    }

    fn start(&mut self, name: &str) {
        self.text.push('<');
        self.text.push_str(name);
    }

    fn end(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    fn escaped(&mut self, text: &str) -> Result<(), char> {
        if !special(text) {
            self.text.push_str(text);
            return Ok(());
        }
        match text.chars().find(|character| !allowed(*character)) {
            Some(character) => Err(character),
            None => {
                escape(&mut self.text, text);
                Ok(())
            }
        }
    }

    fn lossy(&mut self, text: &str) {
        let text: String =
            text.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
        escape(&mut self.text, &text);
    }
}

/// The items of a list in one text (`xsd:list`).
fn words(list: &dyn List) -> String {
    let mut text = String::new();
    for index in 0..list.len() {
        if index > 0 {
            text.push(' ');
        }
        if let View::Scalar(scalar) = list.item(index).view() {
            scalar.write(&mut text);
        }
    }
    text
}

/// Whether text has bytes that can't stay just like that: to be escaped, or the beginning of what XML doesn't allow.
/// Eight bytes in one step, without a way out in between.
fn special(text: &str) -> bool {
    let (chunks, rest) = text.as_bytes().as_chunks::<8>();
    let any = |bytes: &[u8]| bytes.iter().fold(false, |found, byte| found | special_byte(*byte));
    chunks.iter().any(|chunk| any(chunk)) || any(rest)
}

fn special_byte(byte: u8) -> bool {
    let control = (byte < 0x20) & (byte != b'\t') & (byte != b'\n');
    control | (byte == b'<') | (byte == b'>') | (byte == b'&') | (byte == b'"') | (byte == 0xEF)
}

/// Escapes text for content and for attributes in double quotes. A carriage return is written as a reference,
/// since a reader turns a bare one into a line feed (XML 1.0 §2.11).
pub(crate) fn escape(out: &mut String, text: &str) {
    if !special(text) {
        return out.push_str(text);
    }
    let mut rest = text;
    let escaped = |byte: &u8| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\r');
    while let Some(index) = rest.as_bytes().iter().position(escaped) {
        out.push_str(&rest[..index]);
        out.push_str(match rest.as_bytes()[index] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'"' => "&quot;",
            _ => "&#13;",
        });
        rest = &rest[index + 1..];
    }
    out.push_str(rest);
}
