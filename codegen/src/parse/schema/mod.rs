//! Types and elements as written (XML Schema 1.0), as far as definitions of services use it.

mod complex;
mod elements;
mod model;
mod simple;

use std::rc::Rc;

use super::{Reference, documentation, reference_in, required};
use crate::diagnostic::{At, Diagnostics};
use crate::namespace::XSD;
use crate::xml::{Element, QName};

pub(crate) use complex::is_encoding;
pub(crate) use model::*;

/// `adopted` is the namespace of whoever includes a schema that has none (XML Schema §4.2.1).
pub(super) fn parse(element: &Element, adopted: Option<&Rc<str>>, diagnostics: &mut Diagnostics) -> Schema {
    let own = element.value("targetNamespace").filter(|own| !own.is_empty());
    let namespace: Rc<str> = match (own, adopted) {
        (Some(own), _) => Rc::from(own),
        (None, Some(adopted)) => adopted.clone(),
        (None, None) => Rc::from(""),
    };
    let qualified = |attribute| element.value(attribute) == Some("qualified");
    let mut reader = Reader {
        adopts: own.is_none() && adopted.is_some(),
        namespace,
        elements_qualified: qualified("elementFormDefault"),
        attributes_qualified: qualified("attributeFormDefault"),
        redefining: None,
        diagnostics,
    };
    let mut schema = Schema {
        types: Vec::new(),
        elements: Vec::new(),
        groups: Vec::new(),
        attributes: Vec::new(),
        attribute_groups: Vec::new(),
        imports: Vec::new(),
    };
    for child in element.elements().filter(|child| &*child.name.namespace == XSD) {
        match &*child.name.local {
            "element" => schema.elements.extend(reader.element(child, true)),
            "attribute" => schema.attributes.extend(reader.attribute(child, true)),
            "import" => schema.imports.extend(child.value("namespace").map(str::to_owned)),
            "redefine" => child.elements().for_each(|child| reader.component(child, true, &mut schema)),
            _ => reader.component(child, false, &mut schema),
        }
    }
    schema
}

struct Reader<'a> {
    namespace: Rc<str>,
    /// Names without a namespace are in that of whoever includes the schema.
    adopts: bool,
    elements_qualified: bool,
    attributes_qualified: bool,
    /// The group that is being redefined just now.
    redefining: Option<QName>,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    /// What may also stand in a redefinition.
    fn component(&mut self, child: &Element, redefines: bool, schema: &mut Schema) {
        if &*child.name.namespace != XSD {
            return;
        }
        match &*child.name.local {
            "complexType" | "simpleType" => schema.types.extend(self.named_type(child, redefines)),
            "group" => schema.groups.extend(self.named_group(child, redefines)),
            "attributeGroup" => {
                schema.attribute_groups.extend(self.named_attributes(child, redefines));
            }
            _ => {}
        }
    }

    fn named_type(&mut self, element: &Element, redefines: bool) -> Option<Type> {
        let name = self.declared(element)?;
        let definition = match &*element.name.local {
            "complexType" => Definition::Complex(self.complex(element)),
            _ => Definition::Simple(self.simple(element)),
        };
        Some(Type { name, at: element.at, definition, redefines })
    }

    fn named_group(&mut self, element: &Element, redefines: bool) -> Option<NamedGroup> {
        let name = self.declared(element)?;
        self.redefining = Some(name.clone()).filter(|_| redefines);
        let group = self.group_in(element);
        self.redefining = None;
        Some(NamedGroup { name, group, redefines })
    }

    fn named_attributes(&mut self, element: &Element, redefines: bool) -> Option<NamedAttributes> {
        let name = self.declared(element)?;
        self.redefining = Some(name.clone()).filter(|_| redefines);
        let attributes = self.attributes(element);
        self.redefining = None;
        Some(NamedAttributes { name, attributes, redefines })
    }

    fn declared(&mut self, element: &Element) -> Option<QName> {
        self.local(element, true)
    }

    fn local(&mut self, element: &Element, qualified: bool) -> Option<QName> {
        let name = required(element, "name", self.diagnostics)?;
        let namespace = if qualified { self.namespace.clone() } else { Rc::from("") };
        Some(QName { namespace, local: Rc::from(name) })
    }

    fn is_qualified(&self, element: &Element, default: bool) -> bool {
        element.value("form").map_or(default, |form| form == "qualified")
    }

    fn reference(&mut self, element: &Element, attribute: &str) -> Option<Reference> {
        let attribute = element.attribute(attribute)?;
        self.reference_in(element, &attribute.value, attribute.at)
    }

    fn reference_in(&mut self, element: &Element, text: &str, at: At) -> Option<Reference> {
        let mut reference = reference_in(element, text, at, self.diagnostics)?;
        if self.adopts && reference.name.namespace.is_empty() {
            reference.name.namespace = self.namespace.clone();
        }
        let refers = element.is(XSD, "group") || element.is(XSD, "attributeGroup");
        reference.original = refers && self.redefining.as_ref() == Some(&reference.name);
        Some(reference)
    }
}

fn is_true(element: &Element, attribute: &str) -> bool {
    matches!(element.value(attribute), Some("true" | "1"))
}

fn preset(element: &Element) -> Option<Preset> {
    let value = |attribute| element.attribute(attribute).map(|attribute| attribute.value.clone());
    value("fixed").map(Preset::Fixed).or_else(|| value("default").map(Preset::Default))
}

fn derivation(element: &Element) -> Option<&Element> {
    element.elements().find(|child| child.is(XSD, "extension") || child.is(XSD, "restriction"))
}
