//! Types and elements as written (XML Schema 1.0), as far as definitions of services use it.

use std::rc::Rc;

use super::{Reference, documentation, reference_in, required};
use crate::diagnostic::{At, Diagnostics};
use crate::namespace::{SOAP_ENCODING, SOAP_ENCODING_12, WSDL, XSD};
use crate::xml::{Element, QName};

/// `xsd:schema`.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) types: Vec<Type>,
    pub(crate) elements: Vec<ElementDeclaration>,
    pub(crate) groups: Vec<NamedGroup>,
    pub(crate) attributes: Vec<AttributeDeclaration>,
    pub(crate) attribute_groups: Vec<NamedAttributes>,
    /// Namespaces that it imports.
    pub(crate) imports: Vec<String>,
}

/// A named type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: QName,
    pub(crate) at: At,
    pub(crate) definition: Definition,
    /// Takes the place of the type of this name, which it is made from (`xsd:redefine`).
    pub(crate) redefines: bool,
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
    pub(crate) attributes: Attributes,
    /// Only types derived from it occur.
    pub(crate) is_abstract: bool,
    /// Text may stand between its members.
    pub(crate) mixed: bool,
}

/// The attributes that a type or an attribute group declares.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) declared: Vec<AttributeDeclaration>,
    pub(crate) groups: Vec<Reference>,
    /// `xsd:anyAttribute`.
    pub(crate) any: Option<At>,
}

/// `xsd:attributeGroup` with a name.
#[derive(Debug)]
pub(crate) struct NamedAttributes {
    pub(crate) name: QName,
    pub(crate) attributes: Attributes,
}

/// `xsd:attribute`.
#[derive(Debug)]
pub(crate) struct AttributeDeclaration {
    /// For a reference the name of what it refers to.
    pub(crate) name: QName,
    pub(crate) at: At,
    pub(crate) content: AttributeContent,
    pub(crate) presence: Presence,
    /// `default` or `fixed`.
    pub(crate) value: Option<Preset>,
    pub(crate) documentation: String,
}

/// What an attribute holds.
#[derive(Debug)]
pub(crate) enum AttributeContent {
    Type(Reference),
    Attribute(Reference),
    Simple(SimpleType),
    /// Nothing said: text.
    Untyped,
}

/// `use` of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Optional,
    Required,
    Prohibited,
}

/// A value that the definition gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Preset {
    Default(String),
    Fixed(String),
}

/// What a complex type holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// Members of its own, perhaps after those of `base`; a restriction says all of them again.
    Members { base: Option<Reference>, restricts: bool, group: Option<Group> },
    /// A restriction of SOAP-ENC:Array (SOAP 1.1 §5.4.2, WSDL 1.1 §2.2).
    Array(Array),
    /// A simple type, perhaps with attributes.
    Simple {
        base: Option<Reference>,
        /// What a restriction makes of it.
        restriction: Option<SimpleType>,
    },
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
    pub(crate) at: At,
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
    Element(Box<ElementDeclaration>),
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
    /// Never occurs itself: only elements that substitute it do.
    pub(crate) is_abstract: bool,
    /// The element that it may stand for.
    pub(crate) substitutes: Option<Reference>,
    /// `default` or `fixed`.
    pub(crate) value: Option<Preset>,
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
    pub(crate) at: At,
    pub(crate) documentation: String,
    pub(crate) base: SimpleBase,
    /// `xsd:enumeration`, each with its documentation.
    pub(crate) values: Vec<(String, String)>,
    /// The other facets, in words.
    pub(crate) facets: Vec<String>,
}

/// What a simple type is made of.
#[derive(Debug)]
pub(crate) enum SimpleBase {
    Restriction(Reference),
    Inline(Box<SimpleType>),
    /// `xsd:list`: items with spaces between them.
    List(Option<Reference>, Option<Box<SimpleType>>),
    /// `xsd:union`: one of several types.
    Union(Vec<Reference>, Vec<SimpleType>),
    /// Nothing that could be made out: text.
    Text,
}

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
            "group" => schema.groups.extend(self.named_group(child)),
            "attributeGroup" => schema.attribute_groups.extend(self.named_attributes(child)),
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

    fn named_group(&mut self, element: &Element) -> Option<NamedGroup> {
        let name = self.declared(element)?;
        Some(NamedGroup { name, group: self.group_in(element) })
    }

    fn named_attributes(&mut self, element: &Element) -> Option<NamedAttributes> {
        let name = self.declared(element)?;
        Some(NamedAttributes { name, attributes: self.attributes(element) })
    }

    fn complex(&mut self, element: &Element) -> ComplexType {
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

    fn simple_content(&mut self, content: &Element) -> Content {
        let Some(derivation) = derivation(content) else {
            return Content::Simple { base: None, restriction: None };
        };
        let base = self.reference(derivation, "base");
        let restriction = derivation.is(XSD, "restriction").then(|| self.restriction(derivation));
        Content::Simple { base, restriction }
    }

    fn complex_content(&mut self, element: &Element) -> Content {
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

    /// The attributes of a type, where they stand directly or in a derivation.
    fn attributes(&mut self, element: &Element) -> Attributes {
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

    fn attribute(&mut self, element: &Element, global: bool) -> Option<AttributeDeclaration> {
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

    fn attribute_content(&mut self, element: &Element) -> Option<AttributeContent> {
        if element.attribute("type").is_some() {
            return self.reference(element, "type").map(AttributeContent::Type);
        }
        Some(match element.all(XSD, "simpleType").next() {
            Some(inner) => AttributeContent::Simple(self.simple(inner)),
            None => AttributeContent::Untyped,
        })
    }

    fn array(&mut self, restriction: &Element) -> Array {
        for attribute in restriction.all(XSD, "attribute") {
            let Some(array_type) = attribute.attribute_in(WSDL, "arrayType") else { continue };
            let text = array_type.value.trim();
            let (item, brackets) = text.split_at(text.find('[').unwrap_or(text.len()));
            let Some(item) = self.reference_in(attribute, item, array_type.at) else { continue };
            return Array::Typed { item, brackets: brackets.split_whitespace().collect() };
        }
        match self.group_in(restriction).map(|group| group.particles) {
            Some(mut particles) if particles.len() == 1 => match particles.pop() {
                Some(Particle::Element(element)) => Array::Element(element),
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
                return Some(Group { at: child.at, kind: GroupKind::Sequence, occurs, particles });
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
                particles
                    .extend(self.element(child, false).map(|element| Particle::Element(Box::new(element))));
            } else if child.is(XSD, "group") {
                particles.extend(self.group_reference(child));
            } else if child.is(XSD, "any") {
                particles.push(Particle::Wildcard { at: child.at });
            }
        }
        Group { at: element.at, kind, occurs: self.occurs(element), particles }
    }

    fn group_reference(&mut self, element: &Element) -> Option<Particle> {
        required(element, "ref", self.diagnostics)?;
        let reference = self.reference(element, "ref")?;
        Some(Particle::GroupReference { reference, occurs: self.occurs(element) })
    }

    fn element(&mut self, element: &Element, global: bool) -> Option<ElementDeclaration> {
        let (name, content) = match element.attribute("ref") {
            Some(_) => {
                let reference = self.reference(element, "ref")?;
                (reference.name.clone(), ElementContent::Element(reference))
            }
            None => {
                let qualified = global || self.is_qualified(element, self.elements_qualified);
                (self.local(element, qualified)?, self.element_content(element)?)
            }
        };
        Some(ElementDeclaration {
            name,
            at: element.at,
            content,
            occurs: self.occurs(element),
            nillable: is_true(element, "nillable"),
            documentation: documentation::of(element),
            is_abstract: is_true(element, "abstract"),
            substitutes: self.reference(element, "substitutionGroup"),
            value: preset(element),
        })
    }

    fn element_content(&mut self, element: &Element) -> Option<ElementContent> {
        if element.attribute("type").is_some() {
            return self.reference(element, "type").map(ElementContent::Type);
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
        let documentation = documentation::of(element);
        let mut simple =
            match element.elements().find(|child| &*child.name.namespace == XSD && is_simple_base(child)) {
                Some(child) if child.is(XSD, "restriction") => self.restriction(child),
                Some(child) if child.is(XSD, "list") => {
                    let inner = child.all(XSD, "simpleType").next().map(|inner| Box::new(self.simple(inner)));
                    let named = self.reference(child, "itemType");
                    self.made_of(SimpleBase::List(named, inner), child.at)
                }
                Some(child) => {
                    let named = child.attribute("memberTypes").map_or_else(Vec::new, |members| {
                        members
                            .value
                            .split_whitespace()
                            .filter_map(|name| self.reference_in(child, name, members.at))
                            .collect()
                    });
                    let inner = child.all(XSD, "simpleType").map(|inner| self.simple(inner)).collect();
                    self.made_of(SimpleBase::Union(named, inner), child.at)
                }
                None => self.made_of(SimpleBase::Text, element.at),
            };
        simple.at = element.at;
        simple.documentation = documentation;
        simple
    }

    fn restriction(&mut self, restriction: &Element) -> SimpleType {
        let base = match restriction.all(XSD, "simpleType").next() {
            Some(inner) => SimpleBase::Inline(Box::new(self.simple(inner))),
            None => self.reference(restriction, "base").map_or(SimpleBase::Text, SimpleBase::Restriction),
        };
        let mut simple = self.made_of(base, restriction.at);
        for facet in restriction.elements().filter(|child| &*child.name.namespace == XSD) {
            let Some(value) = facet.attribute("value") else { continue };
            if &*facet.name.local == "enumeration" {
                simple.values.push((value.value.clone(), documentation::of(facet)));
            } else if &*facet.name.local != "whiteSpace" {
                simple.facets.push(format!("{} {}", facet.name.local, value.value));
            }
        }
        simple
    }

    fn made_of(&self, base: SimpleBase, at: At) -> SimpleType {
        SimpleType { at, documentation: String::new(), base, values: Vec::new(), facets: Vec::new() }
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
        Some(reference)
    }
}

/// SOAP's encoding, of either version.
pub(crate) fn is_encoding(namespace: &str) -> bool {
    matches!(namespace, SOAP_ENCODING | SOAP_ENCODING_12)
}

fn is_true(element: &Element, attribute: &str) -> bool {
    matches!(element.value(attribute), Some("true" | "1"))
}

fn is_simple_base(element: &Element) -> bool {
    matches!(&*element.name.local, "restriction" | "list" | "union")
}

fn preset(element: &Element) -> Option<Preset> {
    let value = |attribute| element.attribute(attribute).map(|attribute| attribute.value.clone());
    value("fixed").map(Preset::Fixed).or_else(|| value("default").map(Preset::Default))
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
