//! The second stage: what the files say, as they say it; names are not looked up yet.

mod documentation;
pub(crate) mod schema;
pub(crate) mod wsdl;

use std::rc::Rc;

use crate::diagnostic::{At, Diagnostics};
use crate::load::{Document, Loaded};
use crate::namespace::{WSDL, XSD};
use crate::xml::{Element, QName};

/// What a file declares.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// `name` of `wsdl:definitions`.
    pub(crate) name: Option<String>,
    pub(crate) schemas: Vec<schema::Schema>,
    pub(crate) messages: Vec<wsdl::Message>,
    pub(crate) port_types: Vec<wsdl::PortType>,
    pub(crate) bindings: Vec<wsdl::Binding>,
    pub(crate) services: Vec<wsdl::Service>,
    /// Namespace of what the definition itself declares.
    pub(crate) namespace: Rc<str>,
    pub(crate) documentation: String,
    /// See [`Document::bundled`].
    pub(crate) bundled: bool,
}

/// A name written somewhere that stands for something declared elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) name: QName,
    /// As written, with its prefix: what a message quotes.
    pub(crate) written: String,
    pub(crate) at: At,
    /// In a redefinition, of what it redefines.
    pub(crate) original: bool,
}

/// Parses every document; [`Parsed`] stand in the same order.
pub(crate) fn parse(loaded: &Loaded, diagnostics: &mut Diagnostics) -> Vec<Parsed> {
    loaded.documents.iter().map(|document| parse_document(document, diagnostics)).collect()
}

fn parse_document(document: &Document, diagnostics: &mut Diagnostics) -> Parsed {
    let root = &document.root;
    if root.is(XSD, "schema") {
        let schemas = vec![schema::parse(root, document.adopted.as_ref(), diagnostics)];
        return Parsed { schemas, bundled: document.bundled, ..Parsed::default() };
    }
    let namespace: Rc<str> = Rc::from(root.value("targetNamespace").unwrap_or_default());
    let mut parsed = Parsed {
        name: root.value("name").map(str::to_owned),
        documentation: documentation::of(root),
        namespace: namespace.clone(),
        ..Parsed::default()
    };
    for child in root.elements().filter(|child| &*child.name.namespace == WSDL) {
        match &*child.name.local {
            "types" => {
                for inner in child.all(XSD, "schema") {
                    parsed.schemas.push(schema::parse(inner, None, diagnostics));
                }
            }
            "message" => parsed.messages.extend(wsdl::message(child, &namespace, diagnostics)),
            "portType" => parsed.port_types.extend(wsdl::port_type(child, &namespace, diagnostics)),
            "binding" => parsed.bindings.extend(wsdl::binding(child, &namespace, diagnostics)),
            "service" => parsed.services.extend(wsdl::service(child, diagnostics)),
            _ => {}
        }
    }
    parsed
}

/// The name that an attribute of `element` holds; reported when its prefix isn't declared.
fn reference(element: &Element, attribute: &str, diagnostics: &mut Diagnostics) -> Option<Reference> {
    let attribute = element.attribute(attribute)?;
    reference_in(element, &attribute.value, attribute.at, diagnostics)
}

fn reference_in(element: &Element, text: &str, at: At, diagnostics: &mut Diagnostics) -> Option<Reference> {
    let written = text.trim().to_owned();
    match element.qname(&written) {
        Some(name) => Some(Reference { name, written, at, original: false }),
        None => {
            let prefix = written.split(':').next().unwrap_or_default();
            diagnostics.error(
                at,
                format!("prefix `{prefix}` of `{written}` isn't declared"),
                "declare it with xmlns",
            );
            None
        }
    }
}

/// An attribute that must be there.
fn required(element: &Element, attribute: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    match element.value(attribute) {
        Some(value) if !value.is_empty() => Some(value.to_owned()),
        _ => {
            let name = &element.name.local;
            diagnostics.error(element.at, format!("`{name}` has no `{attribute}`"), "give it one");
            None
        }
    }
}
