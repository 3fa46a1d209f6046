//! The table that stands for a type: what the engine follows instead of generated reading and writing code.

mod lookup;
mod member;

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use crate::Facet;
use crate::script::Script;
use crate::write::escape;

use lookup::Lookup;
pub(crate) use member::inline_shape;
pub use member::{Items, Member, Place, Preset, Type};

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
        let table: &Table = self;
        if hint < table.elements && table.members[hint].name.as_bytes() == name {
            return Some(hint);
        }
        table.lookup.get_or_init(|| Lookup::new(self)).find(name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Xsd;

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
