//! The envelope around a message: found its version, its headers and the one element of its body that counts.

use crate::cursor::{Cursor, Kind, Tag, Token};
use crate::error::{ReadError, ReadErrorKind};
use crate::read::{References, follow, members, structure, tree};
use crate::{Any, Element, Fault, Header, Limits, Operation, Raw, Shape, Structure, Style};

/// The namespace of SOAP 1.1 envelopes.
pub const SOAP_1_1: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// The namespace of SOAP 1.2 envelopes.
pub const SOAP_1_2: &str = "http://www.w3.org/2003/05/soap-envelope";

/// The version of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// SOAP 1.1.
    Soap11,
    /// SOAP 1.2.
    Soap12,
}

/// An envelope that has been opened: everything in front of the body's first element has been read.
///
/// What follows is read once, by [`Envelope::read`], [`Envelope::answer`] or [`Envelope::into_fault`].
pub struct Envelope<'a> {
    cursor: Cursor<'a>,
    version: Version,
    headers: Vec<Block>,
    entry: Option<Entry<'a>>,
}

/// A header block.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Local name of its element.
    pub name: String,
    /// Namespace of its element; empty where it has none.
    pub namespace: String,
    /// The receiver has to understand it or refuse the message (SOAP 1.1 §4.2.3).
    pub must_understand: bool,
    /// Whom it is meant for, where it says so (`actor`, SOAP 1.1 §4.2.2; `role` in SOAP 1.2).
    pub actor: Option<String>,
    offset: usize,
}

struct Entry<'a> {
    tag: Tag<'a>,
    namespace: String,
}

impl<'a> Envelope<'a> {
    /// Opens the envelope that `text` is; see [`crate::decode`] for how bytes become text.
    ///
    /// # Errors
    /// No envelope, one of an unknown version, malformed XML, a DTD, too much of anything.
    pub fn open(text: &'a str, limits: &'a Limits) -> Result<Self, ReadError> {
        let mut cursor = Cursor::new(text, limits);
        let version = root(&mut cursor)?;
        let mut headers = Vec::new();
        let entry = loop {
            match cursor.next()? {
                Token::Start(tag) if tag.local == "Header" => header(&mut cursor, &mut headers)?,
                Token::Start(tag) if tag.local == "Body" => break body(&mut cursor)?,
                Token::Start(_) => cursor.skip()?,
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) => return Err(not_soap(&cursor, "text between its parts")),
                Token::End | Token::Eof => return Err(not_soap(&cursor, "there is no Body")),
            }
        };
        Ok(Self { cursor, version, headers, entry })
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its header blocks.
    pub fn headers(&self) -> &[Block] {
        &self.headers
    }

    /// Local name of the body's first element: the operation, or `Fault`; none for an empty body.
    pub fn name(&self) -> Option<&str> {
        self.entry.as_ref().map(|entry| entry.tag.local)
    }

    /// Namespace of the body's first element; empty where it has none.
    pub fn namespace(&self) -> &str {
        self.entry.as_ref().map_or("", |entry| entry.namespace.as_str())
    }

    /// Whether the body is a fault.
    pub fn is_fault(&self) -> bool {
        // unqualified, too: nobody names an operation so
        self.name() == Some("Fault")
    }

    /// Reads the header block called `name`, whatever its namespace: clients use three for the same block.
    ///
    /// Says whether there is one.
    ///
    /// # Errors
    /// Those of reading.
    pub fn header(&self, name: &str, target: &mut dyn Structure) -> Result<bool, ReadError> {
        self.block(self.headers.iter().find(|block| block.name == name), target)
    }

    /// Reads the header block that is declared as `header`; of several of its name the one in its namespace.
    ///
    /// Says whether there is one.
    ///
    /// # Errors
    /// Those of reading.
    pub fn declared(&self, header: &Header, target: &mut dyn Structure) -> Result<bool, ReadError> {
        let mut named = self.headers.iter().filter(|block| block.name == header.name);
        let first = named.clone().next();
        self.block(named.find(|block| block.namespace == header.namespace).or(first), target)
    }

    /// The header blocks that aren't called like any of those declared, as they stand.
    pub(crate) fn undeclared(&self, declared: &[Header]) -> Result<Vec<Raw>, ReadError> {
        let known = |block: &&Block| declared.iter().any(|header| header.name == block.name);
        let undeclared = self.headers.iter().filter(|block| !known(block));
        let raw = |block: &Block| {
            let mut cursor = self.cursor.fork(block.offset);
            let Token::Start(tag) = cursor.next()? else { return Err(cursor.cut_off()) };
            cursor.raw(&tag).map(Raw::of_message).map_err(|error| error.inside(&block.name))
        };
        undeclared.map(raw).collect()
    }

    fn block(&self, block: Option<&Block>, target: &mut dyn Structure) -> Result<bool, ReadError> {
        let Some(block) = block else { return Ok(false) };
        let mut cursor = self.cursor.fork(block.offset);
        let Token::Start(tag) = cursor.next()? else { return Err(cursor.cut_off()) };
        let mut references = References::default();
        accessor(&mut cursor, &mut references, tag, target).map_err(|error| error.inside(&block.name))?;
        Ok(true)
    }

    /// Reads the one parameter (or result) inside the body's element, whatever its accessor is called, and the rest
    /// of the message.
    ///
    /// A body element that is nil or has nothing in it leaves `target` as it is.
    ///
    /// # Errors
    /// Those of reading, and a body without any element.
    pub fn read(mut self, part: &str, target: &mut dyn Structure) -> Result<(), ReadError> {
        let Some(entry) = self.entry.take() else {
            return Err(not_soap(&self.cursor, "its Body is empty"));
        };
        let mut references = References::default();
        if entry.tag.marks.nil {
            self.cursor.skip()?;
        } else {
            parameter(&mut self.cursor, &mut references, &entry.tag, part, target)?;
        }
        finish(&mut self.cursor)
    }

    /// Reads what goes into `operation`, and the rest of the message.
    ///
    /// # Errors
    /// Those of reading, and a body without any element where one is expected.
    pub fn request(self, operation: &Operation, target: &mut dyn Structure) -> Result<(), ReadError> {
        match operation.style {
            Style::Document { input, .. } => self.document(input, target),
            _ => self.read(operation.input.name, target),
        }
    }

    /// A body in document style: one element that is the structure, or the members of the structure side by side.
    fn document(mut self, element: Element, target: &mut dyn Structure) -> Result<(), ReadError> {
        match self.entry.take() {
            Some(entry) if element.name.is_empty() => {
                let mut references = References::default();
                members(&mut self.cursor, &mut references, Kind::Other, Some(entry.tag), target)?;
                finish_envelope(&mut self.cursor)
            }
            // its end has been read
            None if element.name.is_empty() => Ok(()),
            entry => {
                self.entry = entry;
                self.read("", target)
            }
        }
    }

    /// Reads the answer to `operation`, or the fault that came instead.
    ///
    /// # Errors
    /// Those of reading.
    pub fn answer(
        self,
        operation: &Operation,
        target: &mut dyn Structure,
    ) -> Result<Result<(), Fault>, ReadError> {
        if self.is_fault() {
            return self.into_fault().map(Err);
        }
        match operation.style {
            Style::Document { output, .. } => self.document(output, target).map(Ok),
            _ => self.read(operation.output.name, target).map(Ok),
        }
    }

    /// Reads the fault that the body is, and the rest of the message.
    ///
    /// # Errors
    /// Those of reading.
    pub fn into_fault(mut self) -> Result<Fault, ReadError> {
        let Some(entry) = self.entry.take() else {
            return Err(not_soap(&self.cursor, "its Body is empty"));
        };
        let mut references = References::default();
        let raw_detail = raw_detail(&self.cursor, entry.tag.offset)?;
        let fault = tree(&mut self.cursor, &mut references, &entry.tag.marks)?;
        finish(&mut self.cursor)?;
        Ok(Fault { raw_detail, ..fault_of(&fault) })
    }
}

/// The detail of the fault at `offset`, as it stands.
fn raw_detail(cursor: &Cursor<'_>, offset: usize) -> Result<Option<Box<Raw>>, ReadError> {
    let mut cursor = cursor.fork(offset);
    let _ = cursor.next()?;
    loop {
        match cursor.next()? {
            Token::Start(tag) if matches!(tag.local, "detail" | "Detail") => {
                return cursor.raw(&tag).map(|xml| Some(Box::new(Raw::of_message(xml))));
            }
            Token::Start(_) => cursor.skip()?,
            Token::Text(_) => {}
            Token::End | Token::Eof => return Ok(None),
        }
    }
}

/// The root element, which says the version.
fn root(cursor: &mut Cursor<'_>) -> Result<Version, ReadError> {
    loop {
        match cursor.next()? {
            Token::Start(tag) if tag.local == "Envelope" => {
                return match cursor.namespace(&tag) {
                    SOAP_1_1 => Ok(Version::Soap11),
                    SOAP_1_2 => Ok(Version::Soap12),
                    other => Err(cursor.error(ReadErrorKind::Version(other.chars().take(100).collect()))),
                };
            }
            Token::Start(tag) => {
                let kind = ReadErrorKind::NotSoap(format!(
                    "its root is <{}>",
                    tag.local.chars().take(40).collect::<String>()
                ));
                return Err(cursor.error(kind));
            }
            Token::Text(text) if text.trim().is_empty() => {}
            Token::Text(_) => return Err(not_soap(cursor, "it is no XML document")),
            Token::End | Token::Eof => return Err(not_soap(cursor, "it is empty")),
        }
    }
}

fn header(cursor: &mut Cursor<'_>, headers: &mut Vec<Block>) -> Result<(), ReadError> {
    loop {
        match cursor.next()? {
            Token::Start(tag) => {
                headers.push(Block {
                    name: tag.local.to_string(),
                    namespace: cursor.namespace(&tag).to_string(),
                    must_understand: tag.marks.must_understand,
                    actor: tag.attribute("actor").or_else(|| tag.attribute("role")),
                    offset: tag.offset,
                });
                cursor.skip()?;
            }
            Token::End => return Ok(()),
            Token::Text(_) => {}
            Token::Eof => return Err(cursor.cut_off()),
        }
    }
}

/// The first element of the body; the others are what references point to.
fn body<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Entry<'a>>, ReadError> {
    loop {
        match cursor.next()? {
            Token::Start(tag) => {
                return Ok(Some(Entry { tag, namespace: cursor.namespace(&tag).to_string() }));
            }
            Token::End => {
                finish_envelope(cursor)?;
                return Ok(None);
            }
            Token::Text(_) => {}
            Token::Eof => return Err(cursor.cut_off()),
        }
    }
}

/// The one accessor in the operation's element. A server that leaves it out and puts the members there directly is
/// understood by the members' names.
fn parameter<'a>(
    cursor: &mut Cursor<'a>,
    references: &mut References,
    tag: &Tag<'a>,
    part: &str,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    if part.is_empty() {
        // the structure's members are the message's parts
        return structure(cursor, references, tag, target);
    }
    let shape = target.shape();
    let mut seen = false;
    loop {
        match cursor.next()? {
            Token::Start(tag) => match bare_member(shape, part, &tag) {
                Some(index) => {
                    let member = &shape.members[index];
                    crate::read::value(cursor, references, &tag, member.ty, target.member_mut(index))
                        .map_err(|error| error.inside(member.name))?;
                }
                None if seen => cursor.skip()?,
                None => {
                    seen = true;
                    accessor(cursor, references, tag, target)?;
                }
            },
            Token::End => return Ok(()),
            Token::Text(_) => {}
            Token::Eof => return Err(cursor.cut_off()),
        }
    }
}

fn bare_member(shape: &Shape, part: &str, tag: &Tag<'_>) -> Option<usize> {
    if tag.local == part { None } else { shape.position(tag.local.as_bytes(), 0) }
}

/// A structure in its accessor element: here, nil, or elsewhere.
fn accessor<'a>(
    cursor: &mut Cursor<'a>,
    references: &mut References,
    tag: Tag<'a>,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    if tag.marks.nil {
        return cursor.skip();
    }
    match tag.marks.href {
        Some(id) => {
            cursor.skip()?;
            follow(cursor, references, id, |fork, references, tag| structure(fork, references, &tag, target))
        }
        None => structure(cursor, references, &tag, target),
    }
}

/// The rest of the message, which must be well-formed too: an answer that was cut off is no answer.
fn finish(cursor: &mut Cursor<'_>) -> Result<(), ReadError> {
    loop {
        match cursor.next()? {
            Token::Start(_) => cursor.skip()?,
            Token::Text(_) => {}
            Token::End => return finish_envelope(cursor),
            Token::Eof => return Err(cursor.cut_off()),
        }
    }
}

fn finish_envelope(cursor: &mut Cursor<'_>) -> Result<(), ReadError> {
    let mut closed = false;
    loop {
        match cursor.next()? {
            Token::Start(_) if closed => return Err(not_soap(cursor, "something follows the envelope")),
            Token::Start(_) => cursor.skip()?,
            Token::Text(text) if closed && !text.trim().is_empty() => {
                return Err(not_soap(cursor, "something follows the envelope"));
            }
            Token::Text(_) => {}
            Token::End => closed = true,
            Token::Eof => return if closed { Ok(()) } else { Err(cursor.cut_off()) },
        }
    }
}

fn not_soap(cursor: &Cursor<'_>, why: &str) -> ReadError {
    cursor.error(ReadErrorKind::NotSoap(why.into()))
}

/// Both versions' faults: `faultcode`, `faultstring`, `detail`, or `Code`, `Reason`, `Detail`.
fn fault_of(fault: &Any) -> Fault {
    let text = |any: &Any| any.text().map(|text| text.trim().to_string());
    let code = fault.get("faultcode").and_then(text).or_else(|| {
        let code = fault.get("Code")?;
        let mut inner = code;
        while let Some(subcode) = inner.get("Subcode") {
            inner = subcode;
        }
        inner.get("Value").and_then(text)
    });
    let message =
        fault.get("faultstring").and_then(text).or_else(|| fault.get("Reason")?.get("Text").and_then(text));
    let detail = fault.get("detail").or_else(|| fault.get("Detail"));
    Fault {
        raw_code: code.unwrap_or_default(),
        message: message.unwrap_or_default(),
        actor: fault.get("faultactor").or_else(|| fault.get("Role")).and_then(text),
        detail: detail.filter(|detail| !matches!(detail, Any::Nil) && detail.text() != Some("")).cloned(),
        raw_detail: None,
    }
}
