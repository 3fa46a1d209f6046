//! What a structure has: its members, where each stands and what it holds.

use crate::{Facet, Shape, Xsd};

/// Where a [`Member`] stands in its structure's element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In an element of its name.
    Element,
    /// Directly: what it holds (a choice, a group that repeats) has elements, it has none of its own.
    Inline,
    /// Any element that no other member has, kept as it stands.
    Wildcard,
    /// The element's text.
    Text,
    /// An attribute of its name.
    Attribute,
    /// All attributes that no other member has, kept as they stand.
    OtherAttributes,
}

/// A value that a definition gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// What is meant where none is there (`default`).
    Default(&'static str),
    /// The only one allowed (`fixed`); written where none is there and one must be.
    Fixed(&'static str),
}

/// One member of a [`Shape`].
#[derive(Debug, Clone)]
pub struct Member {
    /// The name on the wire, exactly as defined.
    pub name: &'static str,
    /// What it holds.
    pub ty: Type,
    /// Where it stands.
    pub place: Place,
    /// Its own namespace, where it isn't that of [`Shape::elements_in`]; an attribute has none otherwise.
    pub namespace: Option<&'static str>,
    /// The value that the definition gives, if any.
    pub preset: Option<Preset>,
    /// May be left out (`minOccurs="0"`).
    pub optional: bool,
    /// May be an explicit nil (`nillable="true"`).
    pub nillable: bool,
    /// Never shown: passwords, tokens.
    pub secret: bool,
    /// What is demanded of its values, where that was generated; see [`crate::Facet`].
    pub facets: &'static [Facet],
    /// The definition's own documentation, empty where it has none.
    pub documentation: &'static str,
}

/// What a member or an item holds.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// One of XML Schema's simple types.
    Xsd(Xsd),
    /// A structure.
    Structure(&'static Shape),
    /// A SOAP-ENC array (SOAP 1.1 §5.4.2): one element that holds items.
    Array(&'static Type),
    /// The same where the schema names its items: they are called so in literal messages, while in encoded ones names
    /// mean nothing, and every item is called `item`.
    NamedArray(&'static Items),
    /// An element that may stand several times (`maxOccurs` over one).
    Repeated(&'static Type),
    /// Simple values in one text, with spaces between them (`xsd:list`).
    List(&'static Type),
    /// One element that holds items of a name of their own (`ArrayOfX`).
    Items(&'static Items),
    /// XML kept as it stands, see [`crate::Raw`].
    Raw,
    /// Anything (`xsd:anyType`): kept as it came, see [`crate::Any`].
    Any,
}

/// What [`Type::Items`] and [`Type::NamedArray`] hold.
#[derive(Debug, Clone, Copy)]
pub struct Items {
    /// The name of each item.
    pub name: &'static str,
    /// Its namespace; empty where it has none.
    pub namespace: &'static str,
    /// What each holds.
    pub ty: Type,
}

impl Member {
    /// A member that must be there.
    pub const fn new(name: &'static str, ty: Type) -> Self {
        Self {
            name,
            ty,
            place: Place::Element,
            namespace: None,
            preset: None,
            optional: false,
            nillable: false,
            secret: false,
            facets: &[],
            documentation: "",
        }
    }

    /// A member that must be there and holds a simple value.
    pub const fn xsd(name: &'static str, xsd: Xsd) -> Self {
        Self::new(name, Type::Xsd(xsd))
    }

    /// An attribute that must be there.
    pub const fn attribute(name: &'static str, xsd: Xsd) -> Self {
        Self::new(name, Type::Xsd(xsd)).at(Place::Attribute)
    }

    /// A member that must be there and holds a structure.
    pub const fn structure(name: &'static str, shape: &'static Shape) -> Self {
        Self::new(name, Type::Structure(shape))
    }

    /// A member that may stand several times.
    pub const fn repeated(name: &'static str, item: &'static Type) -> Self {
        Self::new(name, Type::Repeated(item))
    }

    /// Where it stands, if not in an element of its name.
    pub const fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// In a namespace of its own; empty for none.
    pub const fn of(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// `default`.
    pub const fn default_is(mut self, value: &'static str) -> Self {
        self.preset = Some(Preset::Default(value));
        self
    }

    /// `fixed`.
    pub const fn fixed(mut self, value: &'static str) -> Self {
        self.preset = Some(Preset::Fixed(value));
        self
    }

    /// `minOccurs="0"`.
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// `nillable="true"`.
    pub const fn nillable(mut self) -> Self {
        self.nillable = true;
        self
    }

    /// With what is demanded of its values.
    pub const fn facets(mut self, facets: &'static [Facet]) -> Self {
        self.facets = facets;
        self
    }

    /// Never shown in logs.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// With the definition's documentation.
    pub const fn documented(mut self, documentation: &'static str) -> Self {
        self.documentation = documentation;
        self
    }
}

/// The shape of a member that stands inline, alone or repeated.
pub(crate) fn inline_shape(ty: Type) -> Option<&'static Shape> {
    match ty {
        Type::Structure(shape) => Some(shape),
        Type::Repeated(Type::Structure(shape)) => Some(*shape),
        _ => None,
    }
}
