//! The table that stands for a type: what the engine follows instead of generated reading and writing code.

use std::sync::OnceLock;

/// A structure as its definition has it: its name and its members in wire order.
///
/// Generated code declares one as a `static` for each structure. Apart from reading and writing it describes:
/// the command line and documentation pages are made from it.
#[derive(Debug)]
pub struct Shape {
    /// Local name of the type (`AccountInfo`).
    pub name: &'static str,
    /// Namespace of the type; empty where it has none.
    pub namespace: &'static str,
    /// The definition's own documentation, empty where it has none.
    pub documentation: &'static str,
    /// The members, in the order in which they are written.
    pub members: &'static [Member],
    lookup: OnceLock<Lookup>,
    tags: OnceLock<Box<[Tags]>>,
}

/// The tags of a member that holds a simple value, as they are written.
#[derive(Debug)]
pub(crate) struct Tags {
    /// With `xsi:type`.
    pub(crate) start: Box<str>,
    pub(crate) end: Box<str>,
}

/// One member of a [`Shape`].
#[derive(Debug)]
pub struct Member {
    /// The name on the wire, exactly as defined.
    pub name: &'static str,
    /// What it holds.
    pub ty: Type,
    /// May be left out (`minOccurs="0"`).
    pub optional: bool,
    /// May be an explicit nil (`nillable="true"`).
    pub nillable: bool,
    /// Never shown: passwords, tokens.
    pub secret: bool,
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
    /// Anything (`xsd:anyType`): kept as it came, see [`crate::Any`].
    Any,
}

/// The simple types of XML Schema that definitions in use name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Xsd {
    String,
    Boolean,
    Byte,
    Short,
    Int,
    Long,
    Integer,
    UnsignedInt,
    UnsignedLong,
    Decimal,
    Float,
    Double,
    Date,
    DateTime,
    Time,
    AnyUri,
    Base64Binary,
}

impl Shape {
    /// A table; `const`, so that generated code can keep it in a `static`.
    pub const fn new(name: &'static str, namespace: &'static str, members: &'static [Member]) -> Self {
        Self { name, namespace, documentation: "", members, lookup: OnceLock::new(), tags: OnceLock::new() }
    }

    /// The same with documentation.
    pub const fn documented(mut self, documentation: &'static str) -> Self {
        self.documentation = documentation;
        self
    }

    /// The position of the member called `name`; `hint` is where it usually stands, looked at first.
    ///
    /// A sender that keeps the definition's order pays one comparison; one that doesn't (Perl's hashes come in
    /// an order that changes with every process) pays one hash.
    pub fn position(&self, name: &[u8], hint: usize) -> Option<usize> {
        if self.members.get(hint).is_some_and(|member| member.name.as_bytes() == name) {
            return Some(hint);
        }
        self.lookup.get_or_init(|| Lookup::new(self.members)).find(self.members, name)
    }

    /// The tags of each member, in order; made when the first structure is written.
    pub(crate) fn tags(&self) -> &[Tags] {
        self.tags.get_or_init(|| {
            let tags = |member: &Member| {
                let name = member.name;
                let rest = if let Type::Xsd(xsd) = member.ty { xsd.start_tag_end() } else { ">" };
                Tags { start: format!("<{name}{rest}").into(), end: format!("</{name}>").into() }
            };
            self.members.iter().map(tags).collect()
        })
    }

    /// The member called `name`.
    pub fn member(&self, name: &str) -> Option<&'static Member> {
        self.position(name.as_bytes(), 0).map(|index| &self.members[index])
    }
}

impl Member {
    /// A member that must be there.
    pub const fn new(name: &'static str, ty: Type) -> Self {
        Self { name, ty, optional: false, nillable: false, secret: false, documentation: "" }
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

impl Xsd {
    /// The local name in the XML Schema namespace.
    pub fn name(self) -> &'static str {
        let whole = self.start_tag_end();
        &whole[" xsi:type=\"xsd:".len()..whole.len() - "\">".len()]
    }

    /// What a start tag of this type ends with: its `xsi:type` and the bracket, in one piece.
    pub(crate) fn start_tag_end(self) -> &'static str {
        macro_rules! names {
            ($($xsd:ident $name:literal)*) => {
                match self { $(Xsd::$xsd => concat!(" xsi:type=\"xsd:", $name, "\">"),)* }
            };
        }
        names! {
            String "string" Boolean "boolean" Byte "byte" Short "short" Int "int" Long "long" Integer "integer"
            UnsignedInt "unsignedInt" UnsignedLong "unsignedLong" Decimal "decimal" Float "float" Double "double"
            Date "date" DateTime "dateTime" Time "time" AnyUri "anyURI" Base64Binary "base64Binary"
        }
    }

    /// Whether an empty element is a value (the empty string) rather than the absence of one.
    pub fn is_text(self) -> bool {
        matches!(self, Xsd::String | Xsd::AnyUri | Xsd::Base64Binary)
    }
}

/// Open addressing over the members' names, built when the first message arrives out of order.
#[derive(Debug)]
struct Lookup {
    slots: Box<[u16]>,
    mask: usize,
}

const EMPTY: u16 = u16::MAX;

impl Lookup {
    fn new(members: &[Member]) -> Self {
        let size = (members.len() * 4).next_power_of_two().max(4);
        let mut lookup = Self { slots: vec![EMPTY; size].into_boxed_slice(), mask: size - 1 };
        for (index, member) in members.iter().enumerate().take(usize::from(EMPTY)) {
            let mut slot = hash(member.name.as_bytes()) & lookup.mask;
            while lookup.slots[slot] != EMPTY {
                slot = (slot + 1) & lookup.mask;
            }
            lookup.slots[slot] = index as u16;
        }
        lookup
    }

    fn find(&self, members: &[Member], name: &[u8]) -> Option<usize> {
        let mut slot = hash(name) & self.mask;
        loop {
            let index = self.slots[slot];
            if index == EMPTY {
                return None;
            }
            if members[usize::from(index)].name.as_bytes() == name {
                return Some(usize::from(index));
            }
            slot = (slot + 1) & self.mask;
        }
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
