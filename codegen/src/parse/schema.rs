//! Types and elements as written (XML Schema 1.0), as far as definitions of services use it.

use std::rc::Rc;

use super::{Reference, documentation, reference, reference_in, required};
use crate::diagnostic::{At, Diagnostics};
use crate::namespace::{SOAP_ENCODING, WSDL, XSD};
use crate::xml::{Element, QName};

/// `xsd:schema`.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) types: Vec<Type>,
    pub(crate) elements: Vec<ElementDeclaration>,
    pub(crate) groups: Vec<NamedGroup>,
}

/// A named type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: QName,
    pub(crate) at: At,
    pub(crate) definition: Definition,
}

/// `xsd:complexType` or `xsd:simpleType`.
#[derive(Debug)]
pub(crate) enum Definition {
    Complex(ComplexType),
    Simple(SimpleType),
}

/// `xsd:complexType`.
#[derive(Debug)]
pub(crate) struct ComplexType {
    pub(crate) at: At,
    pub(crate) documentation: String,
    pub(crate) content: Content,
    /// XML attributes that it declares; those of arrays aren't among them.
    pub(crate) attributes: Vec<Attribute>,
}

/// `xsd:attribute` with a name.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) at: At,
}

/// What a complex type holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// Members of its own, perhaps after those of `base`.
    Members { base: Option<Reference>, group: Option<Group> },
    /// A restriction of SOAP-ENC:Array (SOAP 1.1 §5.4.2, WSDL 1.1 §2.2).
    Array(Array),
    /// A simple type, perhaps with attributes.
    Simple { base: Option<Reference> },
}

/// What a SOAP-ENC array says about its items.
#[derive(Debug)]
pub(crate) enum Array {
    /// `wsdl:arrayType`: the item's type, and the brackets behind it.
    Typed { item: Reference, brackets: String },
    /// An element that repeats.
    Element(Box<ElementDeclaration>),
    /// Nothing.
    Untyped,
}

/// `xsd:all`, `xsd:sequence` or `xsd:choice`.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) kind: GroupKind,
    pub(crate) occurs: Occurs,
    pub(crate) particles: Vec<Particle>,
}

/// Which kind a [`Group`] is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupKind {
    All,
    Sequence,
    Choice,
}

/// `xsd:group` with a name.
#[derive(Debug)]
pub(crate) struct NamedGroup {
    pub(crate) name: QName,
    pub(crate) group: Option<Group>,
}

/// What stands in a [`Group`].
#[derive(Debug)]
pub(crate) enum Particle {
    Element(ElementDeclaration),
    Group(Group),
    GroupReference { reference: Reference, occurs: Occurs },
    Wildcard { at: At },
}

/// How often something may stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occurs {
    /// `minOccurs="0"`.
    pub(crate) optional: bool,
    /// `maxOccurs` over one.
    pub(crate) repeated: bool,
}

/// `xsd:element`.
#[derive(Debug)]
pub(crate) struct ElementDeclaration {
    /// For a reference the name of what it refers to.
    pub(crate) name: QName,
    pub(crate) at: At,
    pub(crate) content: ElementContent,
    pub(crate) occurs: Occurs,
    pub(crate) nillable: bool,
    pub(crate) documentation: String,
}

/// What an element holds.
#[derive(Debug)]
pub(crate) enum ElementContent {
    Type(Reference),
    Element(Reference),
    Complex(Box<ComplexType>),
    Simple(SimpleType),
    /// Nothing said: anything.
    Untyped,
}

/// `xsd:simpleType`.
#[derive(Debug)]
pub(crate) struct SimpleType {
    pub(crate) base: SimpleBase,
}

/// What a simple type is made of.
#[derive(Debug)]
pub(crate) enum SimpleBase {
    Restriction(Reference),
    Inline(Box<SimpleType>),
    /// A list, a union, or nothing that could be made out: text.
    Text,
}

pub(super) fn parse(element: &Element, diagnostics: &mut Diagnostics) -> Schema {
    let namespace: Rc<str> = Rc::from(element.value("targetNamespace").unwrap_or_default());
    let mut reader = Reader { namespace, diagnostics };
    let mut schema = Schema { types: Vec::new(), elements: Vec::new(), groups: Vec::new() };
    for child in element.elements().filter(|child| &*child.name.namespace == XSD) {
        match &*child.name.local {
            "complexType" | "simpleType" => schema.types.extend(reader.named_type(child)),
            "element" => schema.elements.extend(reader.element(child)),
            "group" => schema.groups.extend(reader.named_group(child)),
            _ => {}
        }
    }
    schema
}

struct Reader<'a> {
    namespace: Rc<str>,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn named_type(&mut self, element: &Element) -> Option<Type> {
        let name = self.declared(element)?;
        let definition = match &*element.name.local {
            "complexType" => Definition::Complex(self.complex(element)),
            _ => Definition::Simple(self.simple(element)),
        };
        Some(Type { name, at: element.at, definition })
    }

    fn named_group(&mut self, element: &Element) -> Option<NamedGroup> {
        let name = self.declared(element)?;
        Some(NamedGroup { name, group: self.group_in(element) })
    }

    fn complex(&mut self, element: &Element) -> ComplexType {
        let documentation = documentation::of(element);
        let content = if let Some(content) = element.all(XSD, "complexContent").next() {
            self.complex_content(content)
        } else if let Some(content) = element.all(XSD, "simpleContent").next() {
            let base =
                derivation(content).and_then(|derivation| reference(derivation, "base", self.diagnostics));
            Content::Simple { base }
        } else {
            Content::Members { base: None, group: self.group_in(element) }
        };
        let attributes = match content {
            Content::Array(_) => Vec::new(),
            _ => attributes(element),
        };
        ComplexType { at: element.at, documentation, content, attributes }
    }

    fn complex_content(&mut self, element: &Element) -> Content {
        let Some(derivation) = derivation(element) else {
            return Content::Members { base: None, group: None };
        };
        let base = reference(derivation, "base", self.diagnostics);
        let is_array = base
            .as_ref()
            .is_some_and(|base| &*base.name.namespace == SOAP_ENCODING && &*base.name.local == "Array");
        if is_array {
            return Content::Array(self.array(derivation));
        }
        // a restriction says all members again, an extension only what it adds
        let base = base.filter(|_| &*derivation.name.local == "extension");
        Content::Members { base, group: self.group_in(derivation) }
    }

    fn array(&mut self, restriction: &Element) -> Array {
        for attribute in restriction.all(XSD, "attribute") {
            let Some(array_type) = attribute.attribute_in(WSDL, "arrayType") else { continue };
            let text = array_type.value.trim();
            let (item, brackets) = text.split_at(text.find('[').unwrap_or(text.len()));
            let Some(item) = reference_in(attribute, item, array_type.at, self.diagnostics) else { continue };
            return Array::Typed { item, brackets: brackets.split_whitespace().collect() };
        }
        match self.group_in(restriction).map(|group| group.particles) {
            Some(mut particles) if particles.len() == 1 => match particles.pop() {
                Some(Particle::Element(element)) => Array::Element(Box::new(element)),
                _ => Array::Untyped,
            },
            _ => Array::Untyped,
        }
    }

    /// The group that stands in `element`, which a type or a derivation has at most one of.
    fn group_in(&mut self, element: &Element) -> Option<Group> {
        for child in element.elements() {
            if let Some(kind) = group_kind(child) {
                return Some(self.group(child, kind));
            }
            if child.is(XSD, "group") {
                let particles = self.group_reference(child).into_iter().collect();
                let occurs = Occurs { optional: false, repeated: false };
                return Some(Group { kind: GroupKind::Sequence, occurs, particles });
            }
        }
        None
    }

    fn group(&mut self, element: &Element, kind: GroupKind) -> Group {
        let mut particles = Vec::new();
        for child in element.elements() {
            if let Some(kind) = group_kind(child) {
                particles.push(Particle::Group(self.group(child, kind)));
            } else if child.is(XSD, "element") {
                particles.extend(self.element(child).map(Particle::Element));
            } else if child.is(XSD, "group") {
                particles.extend(self.group_reference(child));
            } else if child.is(XSD, "any") {
                particles.push(Particle::Wildcard { at: child.at });
            }
        }
        Group { kind, occurs: self.occurs(element), particles }
    }

    fn group_reference(&mut self, element: &Element) -> Option<Particle> {
        required(element, "ref", self.diagnostics)?;
        let reference = reference(element, "ref", self.diagnostics)?;
        Some(Particle::GroupReference { reference, occurs: self.occurs(element) })
    }

    fn element(&mut self, element: &Element) -> Option<ElementDeclaration> {
        let (name, content) = match element.attribute("ref") {
            Some(_) => {
                let reference = reference(element, "ref", self.diagnostics)?;
                (reference.name.clone(), ElementContent::Element(reference))
            }
            None => (self.declared(element)?, self.element_content(element)?),
        };
        Some(ElementDeclaration {
            name,
            at: element.at,
            content,
            occurs: self.occurs(element),
            nillable: matches!(element.value("nillable"), Some("true" | "1")),
            documentation: documentation::of(element),
        })
    }

    fn element_content(&mut self, element: &Element) -> Option<ElementContent> {
        if element.attribute("type").is_some() {
            return reference(element, "type", self.diagnostics).map(ElementContent::Type);
        }
        if let Some(inner) = element.all(XSD, "complexType").next() {
            return Some(ElementContent::Complex(Box::new(self.complex(inner))));
        }
        if let Some(inner) = element.all(XSD, "simpleType").next() {
            return Some(ElementContent::Simple(self.simple(inner)));
        }
        Some(ElementContent::Untyped)
    }

    fn simple(&mut self, element: &Element) -> SimpleType {
        let Some(restriction) = element.all(XSD, "restriction").next() else {
            return SimpleType { base: SimpleBase::Text };
        };
        let base = match restriction.all(XSD, "simpleType").next() {
            Some(inner) => SimpleBase::Inline(Box::new(self.simple(inner))),
            None => match reference(restriction, "base", self.diagnostics) {
                Some(base) => SimpleBase::Restriction(base),
                None => SimpleBase::Text,
            },
        };
        SimpleType { base }
    }

    fn occurs(&mut self, element: &Element) -> Occurs {
        let mut number = |name: &str| {
            let attribute = element.attribute(name)?;
            match attribute.value.trim() {
                "unbounded" if name == "maxOccurs" => Some(u64::MAX),
                text => text.parse().ok().or_else(|| {
                    self.diagnostics.error(
                        attribute.at,
                        format!("`{text}` is no value of `{name}`"),
                        "write a whole number",
                    );
                    None
                }),
            }
        };
        let (min, max) = (number("minOccurs"), number("maxOccurs"));
        Occurs { optional: min == Some(0), repeated: max.is_some_and(|max| max > 1) }
    }

    fn declared(&mut self, element: &Element) -> Option<QName> {
        let name = required(element, "name", self.diagnostics)?;
        Some(QName { namespace: self.namespace.clone(), local: Rc::from(name) })
    }
}

/// The attributes of a type, where they stand directly or in a derivation.
fn attributes(element: &Element) -> Vec<Attribute> {
    let derived = element
        .elements()
        .filter(|child| child.is(XSD, "complexContent") || child.is(XSD, "simpleContent"))
        .filter_map(derivation);
    std::iter::once(element)
        .chain(derived)
        .flat_map(|holder| holder.all(XSD, "attribute"))
        .filter_map(|child| Some(Attribute { name: child.value("name")?.to_owned(), at: child.at }))
        .collect()
}

fn derivation(element: &Element) -> Option<&Element> {
    element.elements().find(|child| child.is(XSD, "extension") || child.is(XSD, "restriction"))
}

fn group_kind(element: &Element) -> Option<GroupKind> {
    if &*element.name.namespace != XSD {
        return None;
    }
    match &*element.name.local {
        "all" => Some(GroupKind::All),
        "sequence" => Some(GroupKind::Sequence),
        "choice" => Some(GroupKind::Choice),
        _ => None,
    }
}
