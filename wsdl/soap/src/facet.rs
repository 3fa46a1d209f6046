//! What a definition demands of values beyond their types (XML Schema part 2, §4.3), as tables say it.

use std::fmt;

use crate::Xsd;

/// One demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet {
    /// `length`: characters, bytes, or items of a list.
    Length(u32),
    /// `minLength`.
    MinLength(u32),
    /// `maxLength`.
    MaxLength(u32),
    /// `pattern`, as written; several of one restriction as alternatives.
    Pattern(&'static str),
    /// `minInclusive`.
    AtLeast(&'static str),
    /// `maxInclusive`.
    AtMost(&'static str),
    /// `minExclusive`.
    Above(&'static str),
    /// `maxExclusive`.
    Below(&'static str),
    /// `totalDigits`.
    TotalDigits(u32),
    /// `fractionDigits`.
    FractionDigits(u32),
    /// `enumeration` of anything but text.
    OneOf(&'static [&'static str]),
}

impl Facet {
    /// Whether something may be `length` long; other facets than those of length allow any.
    #[cfg_attr(not(feature = "check"), allow(dead_code))]
    pub(crate) fn allows_length(&self, length: usize) -> bool {
        match self {
            Facet::Length(exact) => length == *exact as usize,
            Facet::MinLength(least) => length >= *least as usize,
            Facet::MaxLength(most) => length <= *most as usize,
            _ => true,
        }
    }
}

impl fmt::Display for Facet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Facet::Length(exact) => write!(formatter, "{exact} long"),
            Facet::MinLength(least) => write!(formatter, "at least {least} long"),
            Facet::MaxLength(most) => write!(formatter, "at most {most} long"),
            Facet::Pattern(pattern) => write!(formatter, "of the pattern {pattern}"),
            Facet::AtLeast(bound) => write!(formatter, "at least {bound}"),
            Facet::AtMost(bound) => write!(formatter, "at most {bound}"),
            Facet::Above(bound) => write!(formatter, "more than {bound}"),
            Facet::Below(bound) => write!(formatter, "less than {bound}"),
            Facet::TotalDigits(most) => write!(formatter, "of at most {most} digits"),
            Facet::FractionDigits(most) => write!(formatter, "of at most {most} digits after the point"),
            Facet::OneOf(values) => write!(formatter, "one of {}", values.join(", ")),
        }
    }
}

/// Whether a text is of a built-in type that Rust has no type of its own for.
#[cfg_attr(not(feature = "check"), allow(dead_code))]
pub(crate) fn is_of(xsd: Xsd, text: &str) -> bool {
    let starts = |character: char| character.is_alphabetic() || character == '_';
    let goes_on = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
    let is_name = |text: &str| text.starts_with(starts) && text.chars().all(goes_on);
    match xsd {
        Xsd::NormalizedString => !text.contains(['\t', '\n', '\r']),
        Xsd::Token => xsd.spaced(text.into()) == text,
        Xsd::Language => text.split('-').enumerate().all(|(index, part)| {
            let right = |byte: u8| byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit());
            (1..=8).contains(&part.len()) && part.bytes().all(right)
        }),
        Xsd::NmToken => !text.is_empty() && text.chars().all(|it| goes_on(it) || it == ':'),
        Xsd::Name => {
            text.starts_with(|it| starts(it) || it == ':') && text.chars().all(|it| goes_on(it) || it == ':')
        }
        Xsd::NcName | Xsd::Id | Xsd::IdRef | Xsd::Entity => is_name(text),
        Xsd::QName | Xsd::Notation => match text.split_once(':') {
            Some((prefix, local)) => is_name(prefix) && is_name(local),
            None => is_name(text),
        },
        Xsd::NonPositiveInteger => text == "0" || text.starts_with('-'),
        Xsd::NegativeInteger => text.starts_with('-'),
        Xsd::PositiveInteger => text != "0",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_types_that_are_strings_in_rust_have_forms_of_their_own() {
        for (xsd, good, bad) in [
            (Xsd::Language, "de-AT-1996", "deutschland"),
            (Xsd::Language, "en", ""),
            (Xsd::NmToken, "1-a:b", "a b"),
            (Xsd::Name, ":a", "1a"),
            (Xsd::NcName, "a-b.c", "a:b"),
            (Xsd::Id, "_1", "1"),
            (Xsd::QName, "a:b", "a:b:c"),
            (Xsd::Token, "a b", "a  b"),
            (Xsd::Token, "", " "),
            (Xsd::NormalizedString, " a ", "a\tb"),
            (Xsd::NonPositiveInteger, "0", "1"),
            (Xsd::NegativeInteger, "-1", "0"),
            (Xsd::PositiveInteger, "1", "0"),
        ] {
            assert!(is_of(xsd, good), "{xsd:?} {good:?}");
            assert!(!is_of(xsd, bad), "{xsd:?} {bad:?}");
        }
    }
}
