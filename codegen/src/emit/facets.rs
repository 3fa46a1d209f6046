//! What is demanded of a member's values: in its documentation, and in the table.

use super::structure::quoted;
use crate::resolve::{Facet, Member};

/// A member's documentation, and what is demanded of its values.
pub(super) fn described(member: &Member) -> String {
    if member.facets.is_empty() {
        return member.documentation.clone();
    }
    let words: Vec<String> = member.facets.iter().map(Facet::words).collect();
    let words = words.join(", ");
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase()).into_iter();
    let sentence: String = first.chain(characters).chain(['.']).collect();
    if member.documentation.is_empty() { sentence } else { format!("{}\n\n{sentence}", member.documentation) }
}

/// What the table says of it.
pub(super) fn facet(facet: &Facet) -> String {
    match facet {
        Facet::Length(number) => format!("Facet::Length({number})"),
        Facet::MinLength(number) => format!("Facet::MinLength({number})"),
        Facet::MaxLength(number) => format!("Facet::MaxLength({number})"),
        Facet::TotalDigits(number) => format!("Facet::TotalDigits({number})"),
        Facet::FractionDigits(number) => format!("Facet::FractionDigits({number})"),
        Facet::Pattern(text) => format!("Facet::Pattern({})", quoted(text)),
        Facet::AtLeast(text) => format!("Facet::AtLeast({})", quoted(text)),
        Facet::AtMost(text) => format!("Facet::AtMost({})", quoted(text)),
        Facet::Above(text) => format!("Facet::Above({})", quoted(text)),
        Facet::Below(text) => format!("Facet::Below({})", quoted(text)),
        Facet::OneOf(values) => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("Facet::OneOf(&[{}])", values.join(", "))
        }
    }
}
