//! The writing engine: one strict form that every stack reads, with types on every value.

use std::fmt::Write as _;

use crate::charset::allowed;
use crate::envelope::SOAP_1_1;
use crate::{Any, Fault, List, Operation, Scalar, Shape, Structure, Type, View, Xsd};

/// A message that can't be written; the caller's fault, nothing has been sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: the character U+{character:04X} is not allowed in XML")]
pub struct WriteError {
    /// The members that lead to the value.
    pub path: String,
    /// The character.
    pub character: u32,
}

/// The request envelope of `operation`, with its header block where one is given.
///
/// # Errors
/// A character in a value that XML can't hold.
pub fn request(
    operation: &Operation,
    header: Option<&dyn Structure>,
    parameter: &dyn Structure,
) -> Result<String, WriteError> {
    let block = match (&operation.header, header) {
        (Some(declared), Some(header)) => Some((declared.name, header)),
        _ => None,
    };
    envelope(operation, operation.name, "", block, operation.input.name, parameter)
}

/// The response envelope of `operation`.
///
/// # Errors
/// A character in a value that XML can't hold.
pub fn response(operation: &Operation, result: &dyn Structure) -> Result<String, WriteError> {
    envelope(operation, operation.name, "Response", None, operation.output.name, result)
}

/// The envelope of a fault.
///
/// Characters that XML can't hold are replaced, so that a fault always gets through.
pub fn fault(fault: &Fault) -> String {
    let mut out = Writer::open("", false);
    out.text.push_str("<soap:Body><soap:Fault><faultcode>");
    out.lossy(&qualified(&fault.raw_code));
    out.text.push_str("</faultcode><faultstring>");
    out.lossy(&fault.message);
    out.text.push_str("</faultstring>");
    if let Some(actor) = &fault.actor {
        out.text.push_str("<faultactor>");
        out.lossy(actor);
        out.text.push_str("</faultactor>");
    }
    if let Some(detail) = &fault.detail {
        out.detail("detail", detail);
    }
    out.text.push_str("</soap:Fault></soap:Body></soap:Envelope>");
    out.text
}

/// SOAP 1.1 §4.4.1: its own codes, dotted or not, are names in the envelope's namespace; others stay as they are.
fn qualified(code: &str) -> String {
    let own = ["Client", "Server", "VersionMismatch", "MustUnderstand"];
    match code.split('.').next() {
        Some(first) if own.contains(&first) => format!("soap:{code}"),
        _ => code.to_string(),
    }
}

const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";

fn envelope(
    operation: &Operation,
    element: &str,
    suffix: &str,
    header: Option<(&str, &dyn Structure)>,
    part: &str,
    value: &dyn Structure,
) -> Result<String, WriteError> {
    let mut out = Writer::open(operation.namespace, true);
    if let Some((name, block)) = header {
        out.text.push_str("<soap:Header><tns:");
        out.text.push_str(name);
        out.text.push('>');
        out.members(block).map_err(|error| error.inside(name))?;
        out.text.push_str("</tns:");
        out.text.push_str(name);
        out.text.push_str("></soap:Header>");
    }
    for piece in ["<soap:Body><tns:", element, suffix, " soap:encodingStyle=\"", ENCODING, "\">"] {
        out.text.push_str(piece);
    }
    if part.is_empty() {
        // the structure's members are the message's parts
        out.members(value)?;
    } else {
        out.structure(part, value)?;
    }
    for piece in ["</tns:", element, suffix, "></soap:Body></soap:Envelope>"] {
        out.text.push_str(piece);
    }
    Ok(out.text)
}

struct Writer<'a> {
    text: String,
    /// Bound to the prefix `tns`.
    namespace: &'a str,
}

impl WriteError {
    fn of(character: char) -> Self {
        Self { path: String::new(), character: u32::from(character) }
    }

    fn inside(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }
}

impl<'a> Writer<'a> {
    fn open(namespace: &'a str, encoded: bool) -> Self {
        let mut text = String::with_capacity(8192);
        text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"");
        text.push_str(SOAP_1_1);
        text.push('"');
        if encoded {
            text.push_str(" xmlns:soapenc=\"");
            text.push_str(ENCODING);
            text.push_str(
                "\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
                 xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:tns=\"",
            );
            escape(&mut text, namespace);
            text.push('"');
        }
        text.push('>');
        Self { text, namespace }
    }

    fn structure(&mut self, name: &str, value: &dyn Structure) -> Result<(), WriteError> {
        let shape = value.shape();
        self.start(name);
        self.type_of(shape);
        self.text.push('>');
        self.members(value)?;
        self.end(name);
        Ok(())
    }

    /// `xsi:type` of a structure; its namespace gets a prefix of its own where it isn't the operation's.
    fn type_of(&mut self, shape: &Shape) {
        let prefix = if shape.namespace == self.namespace {
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
        for (index, (member, tags)) in shape.members.iter().zip(shape.tags()).enumerate() {
            match (value.member(index).view(), member.ty) {
                (View::Absent, _) => {}
                (View::List(list), _) if list.is_empty() && member.optional => {}
                // nearly every member: three pieces instead of many
                (View::Scalar(scalar), Type::Xsd(xsd)) => {
                    self.text.push_str(&tags.start);
                    self.content(xsd, scalar)
                        .map_err(|character| WriteError::of(character).inside(member.name))?;
                    self.text.push_str(&tags.end);
                }
                (view, ty) => self.value(member.name, ty, view).map_err(|error| error.inside(member.name))?,
            }
        }
        Ok(())
    }

    fn value(&mut self, name: &str, ty: Type, view: View<'_>) -> Result<(), WriteError> {
        match view {
            View::Absent | View::Nil => {
                self.start(name);
                self.text.push_str(" xsi:nil=\"true\"/>");
                Ok(())
            }
            View::Scalar(scalar) => {
                let xsd = if let Type::Xsd(xsd) = ty { xsd } else { scalar.xsd() };
                self.scalar(name, xsd, scalar)
            }
            View::Structure(structure) => self.structure(name, structure),
            View::List(list) => match ty {
                Type::Array(item) => self.array(name, *item, list),
                Type::Repeated(item) => {
                    (0..list.len()).try_for_each(|index| self.value(name, *item, list.item(index).view()))
                }
                _ => self.array(name, Type::Any, list),
            },
            View::Any(any) => self.any(name, any),
        }
    }

    fn scalar(&mut self, name: &str, xsd: Xsd, scalar: &dyn Scalar) -> Result<(), WriteError> {
        self.start(name);
        self.text.push_str(xsd.start_tag_end());
        self.content(xsd, scalar).map_err(WriteError::of)?;
        self.end(name);
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
            && shape.namespace != self.namespace
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
            self.value("item", item, list.item(index).view())
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
            Type::Structure(shape) => {
                self.text.push_str(if shape.namespace == self.namespace { "tns:" } else { "t:" });
                self.text.push_str(shape.name);
                0
            }
            Type::Array(inner) | Type::Repeated(inner) => self.item_type(*inner) + 1,
            Type::Any => {
                self.text.push_str("xsd:anyType");
                0
            }
        }
    }

    fn any(&mut self, name: &str, any: &Any) -> Result<(), WriteError> {
        self.start(name);
        match any {
            Any::Nil => {
                self.text.push_str(" xsi:nil=\"true\"/>");
                return Ok(());
            }
            Any::Text(text) => {
                self.text.push_str(Xsd::String.start_tag_end());
                self.escaped(text).map_err(WriteError::of)?;
            }
            Any::Structure(members) => {
                self.text.push('>');
                for (member, value) in members {
                    self.any(member, value).map_err(|error| error.inside(member))?;
                }
            }
            Any::List(items) => {
                let _ = write!(self.text, " soapenc:arrayType=\"xsd:anyType[{}]\"", items.len());
                self.text.push_str(" xsi:type=\"soapenc:Array\">");
                for item in items {
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
fn escape(out: &mut String, text: &str) {
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
