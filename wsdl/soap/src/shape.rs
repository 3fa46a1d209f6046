//! The table that stands for a type: what the engine follows instead of generated reading and writing code.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use crate::script::Script;
use crate::write::escape;
use crate::{Facet, Xsd};

/// The namespace that has a prefix everywhere (Namespaces in XML 1.0 §3).
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// A structure as its definition has it: its name and its members in wire order.
///
/// Generated code declares one as a `static` for each structure. Apart from reading and writing it describes:
/// the command line and documentation pages are made from it. What is in it is its [`Table`].
pub struct Shape {
    /// Local name of the type (`AccountInfo`).
    pub name: &'static str,
    /// Namespace of the type; empty where it has none.
    pub namespace: &'static str,
    source: Source,
    table: OnceLock<Table>,
}

/// What a table is made of, when it is asked for the first time.
enum Source {
    /// By hand: what [`Shape`]'s methods made of it.
    Given(Given),
    /// By the generator, see [`crate::script`].
    Script(Script),
}

#[derive(Clone, Copy)]
struct Given {
    members: &'static [Member],
    documentation: &'static str,
    elements_in: &'static str,
    derived: bool,
    choice: bool,
    told_apart: bool,
}

/// What a [`Shape`] has in it.
#[derive(Default)]
pub struct Table {
    /// The definition's own documentation, empty where it has none.
    pub documentation: &'static str,
    /// The members, in the order in which they are written: elements first, then text and attributes.
    pub members: &'static [Member],
    /// The namespace of its elements in a literal message; empty where they have none.
    pub elements_in: &'static str,
    /// Its members are types that `xsi:type` may name, and one of them is there: it has no element of its own.
    pub derived: bool,
    /// One of its members is there: a choice.
    pub choice: bool,
    /// Two members differ by nothing but their namespace.
    pub told_apart: bool,
    /// How many of the members are elements, or stand for some.
    pub(crate) elements: usize,
    pub(crate) text: Option<usize>,
    pub(crate) wildcard: Option<usize>,
    pub(crate) other_attributes: Option<usize>,
    lookup: OnceLock<Lookup>,
    tags: OnceLock<Box<[Tags]>>,
}

/// The tags of a member that holds a simple value, as they are written; of an attribute, what stands before its value.
#[derive(Debug)]
pub(crate) struct Tags {
    /// With `xsi:type`.
    pub(crate) start: Box<str>,
    /// Without it, for literal messages.
    pub(crate) plain: Box<str>,
    /// The same with the namespace that the member has of its own.
    pub(crate) declared: Box<str>,
    pub(crate) end: Box<str>,
}

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

/// What [`Type::Items`] holds.
#[derive(Debug, Clone, Copy)]
pub struct Items {
    /// The name of each item.
    pub name: &'static str,
    /// Its namespace; empty where it has none.
    pub namespace: &'static str,
    /// What each holds.
    pub ty: Type,
}

impl Table {
    /// Members, and where among them what there is once stands.
    pub(crate) fn new(members: &'static [Member]) -> Self {
        let last = |wanted: &[Place]| members.iter().rposition(|member| wanted.contains(&member.place));
        Self {
            elements: last(&[Place::Element, Place::Inline, Place::Wildcard]).map_or(0, |index| index + 1),
            text: last(&[Place::Text]),
            wildcard: last(&[Place::Wildcard]),
            other_attributes: last(&[Place::OtherAttributes]),
            members,
            ..Self::default()
        }
    }

    fn given(given: &Given) -> Self {
        let Given { members, documentation, elements_in, derived, choice, told_apart } = *given;
        Self { documentation, elements_in, derived, choice, told_apart, ..Self::new(members) }
    }
}

impl Deref for Shape {
    type Target = Table;

    fn deref(&self) -> &Table {
        self.table.get_or_init(|| match &self.source {
            Source::Given(given) => Table::given(given),
            Source::Script(script) => script.table(self),
        })
    }
}

/// By name: what it holds may be itself again.
impl fmt::Debug for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shape").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Shape {
    /// A table by hand; `const`, so that it can be kept in a `static`.
    pub const fn new(name: &'static str, namespace: &'static str, members: &'static [Member]) -> Self {
        let given = Given {
            members,
            documentation: "",
            elements_in: "",
            derived: false,
            choice: false,
            told_apart: false,
        };
        Self { name, namespace, source: Source::Given(given), table: OnceLock::new() }
    }

    /// A table as generated code has it: a line for the structure and one for each member, with the shapes and the
    /// words that they name by their numbers.
    #[doc(hidden)]
    pub const fn of(
        name: &'static str,
        namespace: &'static str,
        text: &'static str,
        shapes: &'static [&'static Shape],
        words: &'static [&'static str],
    ) -> Self {
        let script = Script { text, shapes, words, facets: &[] };
        Self { name, namespace, source: Source::Script(script), table: OnceLock::new() }
    }

    /// The same with what is demanded of members' values, each by its position.
    #[doc(hidden)]
    pub const fn checked(mut self, facets: &'static [(usize, &'static [Facet])]) -> Self {
        if let Source::Script(script) = &mut self.source {
            script.facets = facets;
        }
        self
    }

    const fn with(mut self, change: Given) -> Self {
        self.source = Source::Given(change);
        self
    }

    const fn as_given(&self) -> Given {
        match &self.source {
            Source::Given(given) => *given,
            Source::Script(_) => panic!("a generated table says it all in its text"),
        }
    }

    /// Its elements are in `namespace`.
    pub const fn elements_in(self, namespace: &'static str) -> Self {
        let given = Given { elements_in: namespace, ..self.as_given() };
        self.with(given)
    }

    /// Its elements are in the namespace that it is in itself.
    pub const fn qualified(self) -> Self {
        let given = Given { elements_in: self.namespace, ..self.as_given() };
        self.with(given)
    }

    /// A choice: one of the members is there.
    pub const fn choice(self) -> Self {
        let given = Given { choice: true, ..self.as_given() };
        self.with(given)
    }

    /// A choice of types that `xsi:type` tells apart.
    pub const fn derived(self) -> Self {
        let given = Given { derived: true, ..self.as_given() };
        self.with(given)
    }

    /// Two members differ by nothing but their namespace.
    pub const fn told_apart(self) -> Self {
        let given = Given { told_apart: true, ..self.as_given() };
        self.with(given)
    }

    /// The same with documentation.
    pub const fn documented(self, documentation: &'static str) -> Self {
        let given = Given { documentation, ..self.as_given() };
        self.with(given)
    }

    /// The position of the member whose element is called `name`, or that has such an element in it; `hint` is where
    /// it usually stands, looked at first.
    ///
    /// A sender that keeps the definition's order pays one comparison; one that doesn't (Perl's hashes come in
    /// an order that changes with every process) pays one hash.
    pub fn position(&self, name: &[u8], hint: usize) -> Option<usize> {
        if hint < self.elements && self.members[hint].name.as_bytes() == name {
            return Some(hint);
        }
        self.lookup.get_or_init(|| Lookup::new(self)).find(name)
    }

    /// The position of the member called `name` in JSON and on the command line: elements, attributes, text and all.
    pub fn index_of(&self, name: &str, hint: usize) -> Option<usize> {
        if self.members.get(hint).is_some_and(|member| member.name == name) {
            return Some(hint);
        }
        let found = self.position(name.as_bytes(), usize::MAX);
        if found.is_some_and(|index| self.members[index].name == name) {
            return found;
        }
        self.members.iter().position(|member| member.name == name)
    }

    /// The position of the element `name` in `namespace`, for a shape whose members only that tells apart.
    pub(crate) fn qualified_position(&self, name: &str, namespace: &str) -> Option<usize> {
        let elements = &self.members[..self.elements];
        let matches = |member: &Member| member.place == Place::Element && member.name == name;
        elements
            .iter()
            .position(|member| matches(member) && self.namespace_of(member) == namespace)
            .or_else(|| self.position(name.as_bytes(), usize::MAX))
    }

    /// The namespace of a member's element or attribute; empty where it has none.
    pub fn namespace_of(&self, member: &Member) -> &'static str {
        match (member.namespace, member.place) {
            (Some(own), _) => own,
            (None, Place::Element) => self.elements_in,
            (None, _) => "",
        }
    }

    /// Whether `href` is an attribute of its own (that of XOP's `Include`) and no reference of SOAP's encoding.
    pub(crate) fn has_href(&self) -> bool {
        self.members[self.elements..].iter().any(|member| member.name == "href")
    }

    /// Whether it has text or attributes.
    pub(crate) fn has_more_than_elements(&self) -> bool {
        self.elements < self.members.len()
    }

    /// The tags of each member, in order; made when the first structure is written.
    pub(crate) fn tags(&self) -> &[Tags] {
        self.tags.get_or_init(|| {
            let tags = |(index, member): (usize, &Member)| {
                let (name, mut namespace) = (member.name, String::new());
                escape(&mut namespace, member.namespace.unwrap_or_default());
                if member.place == Place::Attribute {
                    let start = match namespace.as_str() {
                        "" => format!(" {name}=\""),
                        XML => format!(" xml:{name}=\""),
                        namespace => format!(" xmlns:a{index}=\"{namespace}\" a{index}:{name}=\""),
                    };
                    let none = || Box::from("");
                    return Tags { start: start.into(), plain: none(), declared: none(), end: none() };
                }
                let rest = if let Type::Xsd(xsd) = member.ty { xsd.start_tag_end() } else { ">" };
                Tags {
                    start: format!("<{name}{rest}").into(),
                    plain: format!("<{name}>").into(),
                    declared: format!("<{name} xmlns=\"{namespace}\">").into(),
                    end: format!("</{name}>").into(),
                }
            };
            self.members.iter().enumerate().map(tags).collect()
        })
    }

    /// The member called `name`.
    pub fn member(&self, name: &str) -> Option<&'static Member> {
        self.index_of(name, 0).map(|index| &self.members[index])
    }
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

/// Open addressing over the elements' names, built when the first message arrives out of order.
#[derive(Debug)]
struct Lookup {
    slots: Box<[u16]>,
    mask: usize,
    /// Names of elements, and the positions of the members that have them.
    names: Box<[(&'static str, u16)]>,
}

const EMPTY: u16 = u16::MAX;

impl Lookup {
    fn new(shape: &Shape) -> Self {
        let mut names = Vec::with_capacity(shape.elements);
        for (index, member) in shape.members[..shape.elements].iter().enumerate().take(usize::from(EMPTY)) {
            add_names(member, index as u16, &mut names, 0);
        }
        names.truncate(usize::from(EMPTY));
        let size = (names.len() * 4).next_power_of_two().max(4);
        let mut lookup =
            Self { slots: vec![EMPTY; size].into_boxed_slice(), mask: size - 1, names: names.into() };
        for index in 0..lookup.names.len() {
            let mut slot = hash(lookup.names[index].0.as_bytes()) & lookup.mask;
            while lookup.slots[slot] != EMPTY {
                slot = (slot + 1) & lookup.mask;
            }
            lookup.slots[slot] = index as u16;
        }
        lookup
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let mut slot = hash(name) & self.mask;
        loop {
            let index = self.slots[slot];
            if index == EMPTY {
                return None;
            }
            let (known, position) = self.names[usize::from(index)];
            if known.as_bytes() == name {
                return Some(usize::from(position));
            }
            slot = (slot + 1) & self.mask;
        }
    }
}

/// The names of the elements that a member has: its own, or those of what stands for it. Definitions nest choices a
/// few levels deep; a table by hand that holds itself ends here too.
fn add_names(member: &Member, position: u16, names: &mut Vec<(&'static str, u16)>, depth: usize) {
    match (member.place, inline_shape(member.ty)) {
        (Place::Element, _) => names.push((member.name, position)),
        (Place::Inline, Some(shape)) if depth < 32 => {
            for inner in &shape.members[..shape.elements] {
                add_names(inner, position, names, depth + 1);
            }
        }
        _ => {}
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

/// Names are the definition's own, so a weak hash is no way in for an attacker: a foreign name costs one miss.
fn hash(name: &[u8]) -> usize {
    name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    static SHAPE: Shape = Shape::new(
        "S",
        "",
        &[
            Member::new("a", Type::Xsd(Xsd::Int)),
            Member::new("b", Type::Xsd(Xsd::Int)),
            Member::new("é", Type::Any),
        ],
    );

    #[test]
    fn a_member_is_found_whatever_the_hint_says() {
        for hint in [0, 1, 2, 3, usize::MAX] {
            assert_eq!(SHAPE.position(b"a", hint), Some(0));
            assert_eq!(SHAPE.position(b"b", hint), Some(1));
            assert_eq!(SHAPE.position("é".as_bytes(), hint), Some(2));
            assert_eq!(SHAPE.position(b"c", hint), None);
            assert_eq!(SHAPE.position(b"", hint), None);
        }
    }
}
