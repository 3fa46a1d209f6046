//! A table as generated code has it: text, read when the table is asked for the first time. For the compiler it is one
//! literal, where a table of constants was most of what a definition of a thousand structures took to be checked.
//!
//! The first line is for the structure, each other one for a member: its name, what it holds, and marks. What is no plain
//! word stands in a list beside the text, and in the text its number:
//!
//! ```text
//! qualified doc=0
//! id int
//! lines *#0 ?
//! note string ? nil doc=1
//! unit string attribute default=2
//! ```
//!
//! * What it holds: the name of a simple type; `#0` a structure by its number; `raw`; `any`; and in front of one of
//!   those `*` (it may stand several times), `list:`, `array:`, `items:NAME:NAMESPACE:` (with the numbers of words).
//! * Marks: `?` it may be left out, `nil` it may be an explicit nil, `inline`, `wildcard`, `text`, `attribute`,
//!   `others` (where it stands), `secret`, and with the number of a word `ns=`, `default=`, `fixed=`, `doc=`.
//! * Of the structure: `qualified`, `in=`, `choice`, `derived`, `apart`, `doc=`.

use crate::shape::Table;
use crate::{Facet, Items, Member, Place, Preset, Shape, Type, Xsd};

pub(crate) struct Script {
    pub(crate) text: &'static str,
    pub(crate) shapes: &'static [&'static Shape],
    pub(crate) words: &'static [&'static str],
    pub(crate) facets: &'static [(usize, &'static [Facet])],
}

impl Script {
    /// The table. Generated text says nothing that isn't understood; whatever isn't, stops here with its line.
    pub(crate) fn table(&self, shape: &Shape) -> Table {
        let mut lines = self.text.lines();
        let head = lines.next().unwrap_or_default();
        let mut members: Vec<Member> =
            lines.map(str::trim).filter(|line| !line.is_empty()).map(|line| self.member(line)).collect();
        for (index, facets) in self.facets {
            if let Some(member) = members.get_mut(*index) {
                member.facets = facets;
            }
        }
        // a table lives as long as the program, and so does what it refers to
        let mut table = Table::new(members.leak());
        for mark in head.split_ascii_whitespace() {
            match mark.split_once('=').unwrap_or((mark, "")) {
                ("qualified", _) => table.elements_in = shape.namespace,
                ("in", number) => table.elements_in = self.word(number, head),
                ("choice", _) => table.choice = true,
                ("derived", _) => table.derived = true,
                ("apart", _) => table.told_apart = true,
                ("doc", number) => table.documentation = self.word(number, head),
                _ => wrong(head),
            }
        }
        table
    }

    fn member(&self, line: &'static str) -> Member {
        let mut parts = line.split_ascii_whitespace();
        let (Some(name), Some(ty)) = (parts.next(), parts.next()) else { wrong(line) };
        let mut member = Member::new(name, self.ty(ty, line));
        for mark in parts {
            match mark.split_once('=').unwrap_or((mark, "")) {
                ("?", _) => member.optional = true,
                ("nil", _) => member.nillable = true,
                ("secret", _) => member.secret = true,
                ("inline", _) => member.place = Place::Inline,
                ("wildcard", _) => member.place = Place::Wildcard,
                ("text", _) => member.place = Place::Text,
                ("attribute", _) => member.place = Place::Attribute,
                ("others", _) => member.place = Place::OtherAttributes,
                ("ns", number) => member.namespace = Some(self.word(number, line)),
                ("default", number) => member.preset = Some(Preset::Default(self.word(number, line))),
                ("fixed", number) => member.preset = Some(Preset::Fixed(self.word(number, line))),
                ("doc", number) => member.documentation = self.word(number, line),
                _ => wrong(line),
            }
        }
        member
    }

    fn ty(&self, text: &'static str, line: &str) -> Type {
        let inner = |rest: &'static str| -> &'static Type { Box::leak(Box::new(self.ty(rest, line))) };
        if let Some(rest) = text.strip_prefix('*') {
            return Type::Repeated(inner(rest));
        }
        if let Some(number) = text.strip_prefix('#') {
            let shape = number.parse().ok().and_then(|number: usize| self.shapes.get(number));
            return Type::Structure(shape.unwrap_or_else(|| wrong(line)));
        }
        match text.split_once(':') {
            Some(("list", rest)) => Type::List(inner(rest)),
            Some(("array", rest)) => Type::Array(inner(rest)),
            Some((kind @ ("items" | "named"), rest)) => {
                let mut parts = rest.splitn(3, ':');
                let (Some(name), Some(namespace), Some(ty)) = (parts.next(), parts.next(), parts.next())
                else {
                    wrong(line)
                };
                let (name, namespace) = (self.word(name, line), self.word(namespace, line));
                let items = Box::leak(Box::new(Items { name, namespace, ty: self.ty(ty, line) }));
                if kind == "named" { Type::NamedArray(items) } else { Type::Items(items) }
            }
            Some(_) => wrong(line),
            None if text == "raw" => Type::Raw,
            None if text == "any" => Type::Any,
            None => Type::Xsd(Xsd::named(text).unwrap_or_else(|| wrong(line))),
        }
    }

    fn word(&self, number: &str, line: &str) -> &'static str {
        let word = number.parse().ok().and_then(|number: usize| self.words.get(number));
        word.unwrap_or_else(|| wrong(line))
    }
}

fn wrong(line: &str) -> ! {
    panic!("a generated table that this version of soapstone-soap can't read: {line}; generate it anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Shape = Shape::of("Inner", "", "\n a int\n", &[], &[]);
    static OUTER: Shape = Shape::of(
        "Outer",
        "urn:x",
        "qualified choice apart doc=0
            id int ? nil secret doc=1
            lines *#0 inline
            words list:NMTOKEN attribute ns=2 default=3
            all items:0:2:array:#0 fixed=3
            both named:0:2:array:#0
            value string text
            more *raw wildcard
            rest raw others
            it any
        ",
        &[&INNER],
        &["Outer.", "Its id.", "urn:y", "a b"],
    )
    .checked(&[(0, &[Facet::Length(1)])]);

    #[test]
    fn every_mark_says_what_the_builders_of_a_table_by_hand_say() {
        static STRUCTURE: Type = Type::Structure(&INNER);
        let inner = &STRUCTURE;
        static WORD: Type = Type::Xsd(Xsd::NmToken);
        static RAW: Type = Type::Raw;
        let items = Items { name: "Outer.", namespace: "urn:y", ty: Type::Array(inner) };
        let items: &'static Items = Box::leak(Box::new(items));
        let expected = [
            Member::xsd("id", Xsd::Int)
                .optional()
                .nillable()
                .secret()
                .documented("Its id.")
                .facets(&[Facet::Length(1)]),
            Member::repeated("lines", inner).at(Place::Inline),
            Member::new("words", Type::List(&WORD)).at(Place::Attribute).of("urn:y").default_is("a b"),
            Member::new("all", Type::Items(items)).fixed("a b"),
            Member::new("both", Type::NamedArray(items)),
            Member::xsd("value", Xsd::String).at(Place::Text),
            Member::repeated("more", &RAW).at(Place::Wildcard),
            Member::new("rest", Type::Raw).at(Place::OtherAttributes),
            Member::new("it", Type::Any),
        ];
        for (found, expected) in OUTER.members.iter().zip(&expected) {
            assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        }
        assert_eq!(OUTER.members.len(), expected.len());
        assert_eq!((OUTER.elements_in, OUTER.documentation), ("urn:x", "Outer."));
        assert!(OUTER.choice && OUTER.told_apart && !OUTER.derived);
        assert_eq!((INNER.elements_in, INNER.members.len(), INNER.choice), ("", 1, false));
    }

    #[test]
    fn every_simple_type_is_known_by_its_name() {
        for xsd in crate::xsd::ALL {
            assert_eq!(Xsd::named(xsd.name()), Some(*xsd));
        }
    }
}
