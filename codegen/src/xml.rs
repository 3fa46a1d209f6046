//! XML as a tree that knows where everything stands: names resolved, prefixes kept for values that are names.
//!
//! A definition is small and is looked at from several sides, so a tree is worth its memory. DTDs are skipped, and
//! the entities that one declares are unknown: they are the way to entity bombs.

use std::rc::Rc;

use quick_xml::XmlVersion;
use quick_xml::escape::EscapeError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::diagnostic::{At, Diagnostics};
use crate::namespace::{XSD, XSD_DRAFTS};

/// Elements may stand this deep; definitions in use stay below twenty.
const DEPTH_MAX: usize = 128;

/// A name with its namespace, which is empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QName {
    pub(crate) namespace: Rc<str>,
    pub(crate) local: Rc<str>,
}

/// An element with what is in it.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) name: QName,
    pub(crate) at: At,
    pub(crate) attributes: Vec<Attribute>,
    nodes: Vec<Node>,
    scope: Rc<Scope>,
}

/// An attribute; its value is unescaped, its namespace empty unless it has a prefix.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: QName,
    pub(crate) value: String,
    pub(crate) at: At,
}

#[derive(Debug)]
enum Node {
    Element(Element),
    Text(String),
}

/// The prefixes that one element declares; the rest is its parent's.
#[derive(Debug, Default)]
struct Scope {
    declared: Vec<(String, Rc<str>)>,
    parent: Option<Rc<Scope>>,
}

impl Element {
    /// Whether this is `local` of `namespace`.
    pub(crate) fn is(&self, namespace: &str, local: &str) -> bool {
        &*self.name.local == local && &*self.name.namespace == namespace
    }

    /// The elements in it.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The elements called `local` of `namespace` in it.
    pub(crate) fn all<'a>(&'a self, namespace: &'a str, local: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.is(namespace, local))
    }

    /// The attribute called `local` without a namespace.
    pub(crate) fn attribute(&self, local: &str) -> Option<&Attribute> {
        self.attribute_in("", local)
    }

    /// The attribute called `local` of `namespace`.
    pub(crate) fn attribute_in(&self, namespace: &str, local: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| &*attribute.name.local == local && &*attribute.name.namespace == namespace)
    }

    /// The value of the attribute called `local`, without white space around it.
    pub(crate) fn value(&self, local: &str) -> Option<&str> {
        self.attribute(local).map(|attribute| attribute.value.trim())
    }

    /// The name that `text` (`tns:AccountInfo`) stands for here; `None` when its prefix isn't declared.
    pub(crate) fn qname(&self, text: &str) -> Option<QName> {
        let (prefix, local) = text.trim().split_once(':').unwrap_or(("", text.trim()));
        let namespace = self.scope.namespace(prefix)?;
        Some(QName { namespace, local: Rc::from(local) })
    }

    /// All text in it, also that of inner elements.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.collect_text(&mut out);
        out
    }

    // as deep as the tree, which has a limit
    fn collect_text(&self, out: &mut String) {
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.collect_text(out),
                Node::Text(text) => out.push_str(text),
            }
        }
    }
}

impl Scope {
    fn namespace(&self, prefix: &str) -> Option<Rc<str>> {
        let mut scope = Some(self);
        while let Some(Scope { declared, parent }) = scope {
            if let Some((_, namespace)) = declared.iter().find(|(name, _)| name == prefix) {
                return Some(namespace.clone());
            }
            scope = parent.as_deref();
        }
        match prefix {
            "" => Some(Rc::from("")),
            "xml" => Some(Rc::from("http://www.w3.org/XML/1998/namespace")),
            _ => None,
        }
    }
}

/// Reads a file's text; what is wrong with it is reported, and then there is no tree.
pub(crate) fn parse(file: u32, text: &str, diagnostics: &mut Diagnostics) -> Option<Element> {
    match Builder::new(file, text).run() {
        Ok(root) => Some(root),
        Err(Broken { offset, message, advice }) => {
            diagnostics.error(At { file, offset: offset as u32 }, message, advice);
            None
        }
    }
}

struct Broken {
    offset: usize,
    message: String,
    advice: &'static str,
}

const REPAIR: &str = "make the file well-formed XML";

fn broken(offset: usize, message: impl Into<String>) -> Broken {
    Broken { offset, message: message.into(), advice: REPAIR }
}

fn unknown_entity(offset: usize, name: &str) -> Broken {
    Broken {
        offset,
        message: format!("entity `{name}` isn't one that XML defines by itself"),
        advice: "write out what it stands for: what a DTD declares isn't read",
    }
}

struct Builder<'a> {
    file: u32,
    text: &'a str,
    open: Vec<Element>,
    root: Option<Element>,
}

impl<'a> Builder<'a> {
    fn new(file: u32, text: &'a str) -> Self {
        Self { file, text, open: Vec::new(), root: None }
    }

    fn run(mut self) -> Result<Element, Broken> {
        let mut reader = Reader::from_str(self.text);
        loop {
            let offset = reader.buffer_position() as usize;
            let event = reader
                .read_event()
                .map_err(|error| broken(reader.error_position() as usize, lower(&error.to_string())))?;
            match event {
                Event::Start(start) => self.start(&start, offset)?,
                Event::Empty(start) => {
                    self.start(&start, offset)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => self.push_text(&text.xml_content(XmlVersion::Implicit1_0), offset)?,
                Event::CData(text) => self.push_text(&text.xml_content(XmlVersion::Implicit1_0), offset)?,
                Event::GeneralRef(reference) => {
                    let name = reference.xml_content(XmlVersion::Implicit1_0).into_owned();
                    let character = reference
                        .resolve_char_ref()
                        .map_err(|error| broken(offset, lower(&error.to_string())))?
                        .or_else(|| predefined(&name))
                        .ok_or_else(|| unknown_entity(offset, &name))?;
                    self.push_text(character.encode_utf8(&mut [0; 4]), offset)?;
                }
                // the W3C's own schemas of signatures have a DTD, and need nothing of it
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
                Event::Eof => return self.finish(),
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'_>, offset: usize) -> Result<(), Broken> {
        if self.open.is_empty() && self.root.is_some() {
            return Err(broken(offset, "a second element beside the root"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(broken(offset, format!("elements nested more than {DEPTH_MAX} deep")));
        }
        let mut raw = Vec::new();
        let mut declared = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| broken(offset, lower(&error.to_string())))?;
            let at = self.offset_of(attribute.key.0).unwrap_or(offset);
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| match error {
                quick_xml::Error::Escape(EscapeError::UnrecognizedEntity(_, name)) => {
                    unknown_entity(at, &name)
                }
                error => broken(at, lower(&error.to_string())),
            })?;
            match attribute.key.0.split_once(':') {
                None if attribute.key.0 == "xmlns" => declared.push((String::new(), namespace(&value))),
                Some(("xmlns", prefix)) => declared.push((prefix.to_owned(), namespace(&value))),
                _ => raw.push((attribute.key.0.to_owned(), value.into_owned(), at)),
            }
        }
        let parent = self.open.last().map(|element| element.scope.clone());
        let scope = match parent {
            Some(parent) if declared.is_empty() => parent,
            parent => Rc::new(Scope { declared, parent }),
        };
        let name = name(&scope, start.name().0, true, offset)?;
        let mut attributes = Vec::with_capacity(raw.len());
        for (key, value, at) in raw {
            attributes.push(Attribute { name: name_of_attribute(&scope, &key, at)?, value, at: self.at(at) });
        }
        self.open.push(Element { name, at: self.at(offset), attributes, nodes: Vec::new(), scope });
        Ok(())
    }

    fn end(&mut self) {
        // the reader has checked that end tags match
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.nodes.push(Node::Element(element)),
            None => self.root = Some(element),
        }
    }

    fn push_text(&mut self, text: &str, offset: usize) -> Result<(), Broken> {
        match self.open.last_mut() {
            Some(element) => match element.nodes.last_mut() {
                Some(Node::Text(before)) => before.push_str(text),
                _ => element.nodes.push(Node::Text(text.to_owned())),
            },
            None if text.trim().is_empty() => {}
            None => return Err(broken(offset, "text outside the root element")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, Broken> {
        if let Some(element) = self.open.last() {
            let name = &element.name.local;
            return Err(broken(
                element.at.offset as usize,
                format!("`{name}` is never closed: the file ends"),
            ));
        }
        self.root.ok_or_else(|| Broken {
            offset: 0,
            message: "no element: the file is empty".into(),
            advice: "put a WSDL 1.1 definition there, or don't name the file",
        })
    }

    fn at(&self, offset: usize) -> At {
        At { file: self.file, offset: offset as u32 }
    }

    /// Where a piece of the text stands in it.
    fn offset_of(&self, piece: &str) -> Option<usize> {
        let offset = (piece.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        (offset < self.text.len()).then_some(offset)
    }
}

/// A namespace as it is declared; a draft of XML Schema is taken for what became of it.
fn namespace(declared: &str) -> Rc<str> {
    Rc::from(if XSD_DRAFTS.contains(&declared) { XSD } else { declared })
}

fn name(scope: &Scope, text: &str, use_default: bool, offset: usize) -> Result<QName, Broken> {
    let (prefix, local) = match text.split_once(':') {
        Some(parts) => parts,
        None if use_default => ("", text),
        None => return Ok(QName { namespace: Rc::from(""), local: Rc::from(text) }),
    };
    let namespace = scope.namespace(prefix).ok_or_else(|| Broken {
        offset,
        message: format!("prefix `{prefix}` of `{text}` isn't declared"),
        advice: "declare it with xmlns",
    })?;
    Ok(QName { namespace, local: Rc::from(local) })
}

fn name_of_attribute(scope: &Scope, text: &str, offset: usize) -> Result<QName, Broken> {
    name(scope, text, false, offset)
}

fn predefined(entity: &str) -> Option<char> {
    Some(match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// The library's messages start with a capital letter now and then.
fn lower(message: &str) -> String {
    let mut characters = message.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
