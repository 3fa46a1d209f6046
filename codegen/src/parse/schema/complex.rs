//! Complex types: their content, their attributes, and SOAP's arrays, which are complex types too.

use super::model::{
    Array, AttributeContent, AttributeDeclaration, Attributes, ComplexType, Content, Particle, Presence,
};
use super::{Reader, derivation, documentation, is_true, preset};
use crate::namespace::{SOAP_ENCODING, SOAP_ENCODING_12, WSDL, XSD};
use crate::xml::Element;

impl Reader<'_> {
    pub(super) fn complex(&mut self, element: &Element) -> ComplexType {
        let documentation = documentation::of(element);
        let content = if let Some(content) = element.all(XSD, "complexContent").next() {
            self.complex_content(content)
        } else if let Some(content) = element.all(XSD, "simpleContent").next() {
            self.simple_content(content)
        } else {
            Content::Members { base: None, restricts: false, group: self.group_in(element) }
        };
        let attributes = match content {
            Content::Array(_) => Attributes::default(),
            _ => self.attributes(element),
        };
        let inner = element.all(XSD, "complexContent").next();
        let is_mixed = |element: &Element| is_true(element, "mixed");
        ComplexType {
            at: element.at,
            documentation,
            content,
            attributes,
            is_abstract: is_true(element, "abstract"),
            mixed: is_mixed(element) || inner.is_some_and(is_mixed),
        }
    }

    pub(super) fn simple_content(&mut self, content: &Element) -> Content {
        let Some(derivation) = derivation(content) else {
            return Content::Simple { base: None, restriction: None };
        };
        let base = self.reference(derivation, "base");
        let restriction = derivation.is(XSD, "restriction").then(|| self.restriction(derivation));
        Content::Simple { base, restriction }
    }

    pub(super) fn complex_content(&mut self, element: &Element) -> Content {
        let Some(derivation) = derivation(element) else {
            return Content::Members { base: None, restricts: false, group: None };
        };
        let base = self.reference(derivation, "base");
        let is_array = base
            .as_ref()
            .is_some_and(|base| is_encoding(&base.name.namespace) && &*base.name.local == "Array");
        if is_array {
            return Content::Array(self.array(derivation));
        }
        let restricts = derivation.is(XSD, "restriction");
        Content::Members { base, restricts, group: self.group_in(derivation) }
    }

    pub(super) fn array(&mut self, restriction: &Element) -> Array {
        let element = match self.group_in(restriction).map(|group| group.particles) {
            Some(mut particles) if particles.len() == 1 => match particles.pop() {
                Some(Particle::Element(element)) => Some(element),
                _ => None,
            },
            _ => None,
        };
        for attribute in restriction.all(XSD, "attribute") {
            let Some(array_type) = attribute.attribute_in(WSDL, "arrayType") else { continue };
            let text = array_type.value.trim();
            let (item, brackets) = text.split_at(text.find('[').unwrap_or(text.len()));
            let Some(item) = self.reference_in(attribute, item, array_type.at) else { continue };
            let name = element.map(|element| element.name);
            return Array::Typed { item, brackets: brackets.split_whitespace().collect(), name };
        }
        element.map_or(Array::Untyped, Array::Element)
    }

    /// The attributes of a type, where they stand directly or in a derivation.
    pub(super) fn attributes(&mut self, element: &Element) -> Attributes {
        let derived = element
            .elements()
            .filter(|child| child.is(XSD, "complexContent") || child.is(XSD, "simpleContent"))
            .filter_map(derivation);
        let mut found = Attributes::default();
        for child in std::iter::once(element).chain(derived).flat_map(Element::elements) {
            if child.is(XSD, "attribute") {
                found.declared.extend(self.attribute(child, false));
            } else if child.is(XSD, "attributeGroup") {
                found.groups.extend(self.reference(child, "ref"));
            } else if child.is(XSD, "anyAttribute") {
                found.any = Some(child.at);
            }
        }
        found
    }

    pub(super) fn attribute(&mut self, element: &Element, global: bool) -> Option<AttributeDeclaration> {
        let (name, content) = match element.attribute("ref") {
            Some(_) => {
                let reference = self.reference(element, "ref")?;
                (reference.name.clone(), AttributeContent::Attribute(reference))
            }
            None => {
                let qualified = global || self.is_qualified(element, self.attributes_qualified);
                (self.local(element, qualified)?, self.attribute_content(element)?)
            }
        };
        Some(AttributeDeclaration {
            name,
            at: element.at,
            content,
            presence: match element.value("use") {
                Some("required") => Presence::Required,
                Some("prohibited") => Presence::Prohibited,
                _ => Presence::Optional,
            },
            value: preset(element),
            documentation: documentation::of(element),
        })
    }

    pub(super) fn attribute_content(&mut self, element: &Element) -> Option<AttributeContent> {
        if element.attribute("type").is_some() {
            return self.reference(element, "type").map(AttributeContent::Type);
        }
        Some(match element.all(XSD, "simpleType").next() {
            Some(inner) => AttributeContent::Simple(self.simple(inner)),
            None => AttributeContent::Untyped,
        })
    }
}

/// SOAP's encoding, of either version.
pub(crate) fn is_encoding(namespace: &str) -> bool {
    matches!(namespace, SOAP_ENCODING | SOAP_ENCODING_12)
}
