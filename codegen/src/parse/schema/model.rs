//! What a schema holds, as written (XML Schema 1.0): the names in it aren't looked up yet.

use crate::diagnostic::At;
use crate::parse::Reference;
use crate::xml::QName;

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
    /// Takes the place of the group of this name, which it may refer to.
    pub(crate) redefines: bool,
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
    /// `wsdl:arrayType`: the item's type, and the brackets behind it; what the items are called, if that is said, too.
    Typed { item: Reference, brackets: String, name: Option<QName> },
    /// An element that repeats.
    Element(Box<ElementDeclaration>),
    /// Nothing.
    Untyped,
}

impl Array {
    /// What the items are called in literal messages, where that isn't `item`.
    pub(crate) fn items(&self) -> Option<&QName> {
        let name = match self {
            Array::Typed { name, .. } => name.as_ref()?,
            Array::Element(element) => &element.name,
            Array::Untyped => return None,
        };
        (&*name.local != "item" || !name.namespace.is_empty()).then_some(name)
    }
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
    /// Takes the place of the group of this name, which it may refer to.
    pub(crate) redefines: bool,
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
    /// The other facets, except for white space, which its base decides.
    pub(crate) facets: Vec<Facet>,
}

/// What a restriction demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facet {
    /// `maxLength` and the like.
    pub(crate) name: String,
    pub(crate) value: String,
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
