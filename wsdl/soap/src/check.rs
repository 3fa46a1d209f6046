//! What a definition demands of values beyond their types, checked when asked for: reading and writing don't.

use regex::Regex;
use rust_decimal::Decimal;

use crate::facet::{Facet, is_of};
use crate::{Member, Scalar, Structure, Type, Value, View, Xsd};

/// A value that isn't as its definition demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The members that lead to it.
    pub path: String,
    /// What is demanded.
    pub demand: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: not {}", self.path, self.demand)
    }
}

/// Everything in a structure that isn't as its definition demands: values of no known enumeration, numbers outside
/// their type's range, names that are none; and what the table's facets say, where they were generated.
///
/// A value of a secret member is never in what is said.
///
/// ```
/// use soapstone_soap::{Facet, Member, Shape, Type, Xsd, check};
///
/// #[derive(Default)]
/// struct Item { code: String }
/// static ITEM: Shape = Shape::new("Item", "", &[
///     Member::new("code", Type::Xsd(Xsd::String)).facets(&[Facet::Length(3), Facet::Pattern("[A-Z]+")]),
/// ]);
/// soapstone_soap::members! { Item ITEM { 0 code, } }
/// soapstone_soap::structures! { Item }
///
/// assert!(check(&Item { code: "EUR".into() }).is_empty());
/// let found = check(&Item { code: "euro".into() });
/// assert_eq!(found[0].to_string(), "code: not 3 long");
/// assert_eq!(found[1].to_string(), "code: not of the pattern [A-Z]+");
/// ```
pub fn check(structure: &dyn Structure) -> Vec<Violation> {
    let mut found = Vec::new();
    members(structure, "", &mut found);
    found
}

fn members(structure: &dyn Structure, path: &str, found: &mut Vec<Violation>) {
    for (index, member) in structure.shape().members.iter().enumerate() {
        let path = if path.is_empty() { member.name.to_owned() } else { format!("{path}.{}", member.name) };
        value(structure.member(index), member, &member.ty, &path, found);
    }
}

fn value(value: &dyn Value, member: &Member, ty: &Type, path: &str, found: &mut Vec<Violation>) {
    match (value.view(), ty) {
        (View::Structure(inner), _) => members(inner, path, found),
        (View::Scalar(scalar), Type::Xsd(xsd)) => scalar_of(scalar, *xsd, member.facets, path, found),
        (View::List(list), Type::List(_)) => {
            let length = list.len();
            let demands = member.facets.iter().filter(|facet| !facet.allows_length(length));
            found.extend(demands.map(|facet| violation(path, facet.to_string() + " items")));
        }
        (View::List(list), Type::Repeated(item) | Type::Array(item)) => {
            each(list, member, item, path, found);
        }
        (View::List(list), Type::Items(items) | Type::NamedArray(items)) => {
            each(list, member, &items.ty, path, found)
        }
        _ => {}
    }
}

fn each(list: &dyn crate::List, member: &Member, ty: &Type, path: &str, found: &mut Vec<Violation>) {
    for index in 0..list.len() {
        value(list.item(index), member, ty, &format!("{path}[{index}]"), found);
    }
}

fn scalar_of(scalar: &dyn Scalar, xsd: Xsd, facets: &[Facet], path: &str, found: &mut Vec<Violation>) {
    let mut text = String::new();
    scalar.write(&mut text);
    if !scalar.is_known() {
        found.push(violation(path, "a value that the definition has".to_owned()));
    }
    if !is_of(xsd, &text) {
        found.push(violation(path, format!("a value of {}", xsd.name())));
    }
    let broken = facets.iter().filter(|facet| !allows(facet, xsd, &text));
    found.extend(broken.map(|facet| violation(path, facet.to_string())));
}

fn violation(path: &str, demand: String) -> Violation {
    Violation { path: path.to_owned(), demand }
}

fn allows(facet: &Facet, xsd: Xsd, text: &str) -> bool {
    let length = || match xsd {
        Xsd::HexBinary => text.len() / 2,
        Xsd::Base64Binary => text.trim_end_matches('=').len() * 3 / 4,
        _ => text.chars().count(),
    };
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    match facet {
        Facet::Length(_) | Facet::MinLength(_) | Facet::MaxLength(_) => facet.allows_length(length()),
        Facet::Pattern(pattern) => matches(pattern, text),
        Facet::AtLeast(bound) => compare(text, bound).is_none_or(|order| order.is_ge()),
        Facet::AtMost(bound) => compare(text, bound).is_none_or(|order| order.is_le()),
        Facet::Above(bound) => compare(text, bound).is_none_or(|order| order.is_gt()),
        Facet::Below(bound) => compare(text, bound).is_none_or(|order| order.is_lt()),
        Facet::TotalDigits(most) => digits(text.trim_start_matches(['-', '0', '.'])) <= *most as usize,
        Facet::FractionDigits(most) => {
            let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
            digits(fraction.trim_end_matches('0')) <= *most as usize
        }
        Facet::OneOf(values) => values
            .iter()
            .any(|value| *value == text || compare(text, value).is_some_and(std::cmp::Ordering::is_eq)),
    }
}

/// Numbers by their size, moments by the clock; `None` for what can't be compared.
fn compare(one: &str, other: &str) -> Option<std::cmp::Ordering> {
    let decimal = |text: &str| text.parse::<Decimal>().ok();
    if let (Some(one), Some(other)) = (decimal(one), decimal(other)) {
        return Some(one.cmp(&other));
    }
    let float = |text: &str| match text {
        "INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        text => text.parse::<f64>().ok(),
    };
    if let (Some(one), Some(other)) = (float(one), float(other)) {
        return one.partial_cmp(&other);
    }
    let moment = |text: &str| text.parse::<crate::DateTime>().ok()?.timestamp();
    if let (Some(one), Some(other)) = (moment(one), moment(other)) {
        return Some(one.cmp(&other));
    }
    let time = |text: &str| text.parse::<crate::Time>().ok().map(|time| time.civil);
    Some(time(one)?.cmp(&time(other)?))
}

/// Whether a text is of a pattern, as a whole; a pattern that can't be understood allows everything.
fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(&translated(pattern)).map_or(true, |regex| regex.is_match(text))
}

/// XML Schema's regular expressions (part 2, appendix F) in the words of `regex`: both ends are fixed, `^` and `$` mean
/// themselves, `\i` and `\c` are the characters of names, and one class may be taken from another.
fn translated(pattern: &str) -> String {
    let mut out = String::from("^(?s:");
    let mut in_class = 0;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.push_str(&escape(characters.next(), in_class > 0)),
            '[' if in_class > 0 && out.ends_with('-') => {
                out.push_str("-[");
                in_class += 1;
            }
            '[' => {
                out.push('[');
                in_class += 1;
                if characters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            ']' => {
                out.push(']');
                in_class = (in_class - 1).max(0);
            }
            '^' | '$' if in_class == 0 => {
                out.push('\\');
                out.push(character);
            }
            '&' | '~' if in_class > 0 => {
                out.push('\\');
                out.push(character);
            }
            // a line break is no character like others
            '.' if in_class == 0 => out.push_str("[^\\n\\r]"),
            other => out.push(other),
        }
    }
    out + ")$"
}

fn escape(character: Option<char>, in_class: bool) -> String {
    let class = |inside: &str| if in_class { inside.to_owned() } else { format!("[{inside}]") };
    match character {
        Some('i') => class("\\p{L}_:"),
        Some('c') => class("\\p{L}\\p{N}\\p{M}._:-"),
        Some('I') => "[^\\p{L}_:]".to_owned(),
        Some('C') => "[^\\p{L}\\p{N}\\p{M}._:-]".to_owned(),
        Some(other) => format!("\\{other}"),
        None => "\\\\".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_xml_schema() {
        for (pattern, text, expected) in [
            ("[A-Z]{3}", "EUR", true),
            ("[A-Z]{3}", "EURO", false),
            ("a|b", "ab", false),
            ("[a-z-[aeiou]]+", "xyz", true),
            ("[a-z-[aeiou]]+", "xay", false),
            ("^a$", "^a$", true),
            ("^a$", "a", false),
            ("\\i\\c*", "_a-b.1", true),
            ("\\i\\c*", "1a", false),
            ("[\\i-[:]][\\c-[:]]*", "a:b", false),
            ("[\\i-[:]][\\c-[:]]*", "a.b", true),
            ("\\d{2}", "12", true),
            ("a.b", "a\nb", false),
            ("[^@]+@[^.]+\\..+", "a@b.c", true),
            ("\\p{Lu}+", "É", true),
            ("(broken", "anything", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn bounds_compare_numbers_and_moments_and_leave_the_rest_alone() {
        for (facet, text, expected) in [
            (Facet::AtLeast("0"), "-0.01", false),
            (Facet::AtLeast("0"), "0.00", true),
            (Facet::AtMost("100"), "100.0", true),
            (Facet::Below("100"), "100.0", false),
            (Facet::Above("1e300"), "INF", true),
            (Facet::AtMost("2024-12-31"), "2025-01-01", false),
            (Facet::AtLeast("2024-01-01T00:00:00Z"), "2024-01-01T00:30:00+01:00", false),
            (Facet::Below("12:00:00"), "13:00:00", false),
            (Facet::AtLeast("P1D"), "P1Y", true),
            (Facet::TotalDigits(3), "-012.3", true),
            (Facet::TotalDigits(3), "12.34", false),
            (Facet::FractionDigits(2), "1.230", true),
            (Facet::FractionDigits(2), "1.234", false),
            (Facet::OneOf(&["1", "2.0"]), "2", true),
            (Facet::OneOf(&["1", "2"]), "3", false),
            (Facet::MaxLength(2), "äö", true),
        ] {
            assert_eq!(allows(&facet, Xsd::String, text), expected, "{facet:?} {text}");
        }
        assert!(allows(&Facet::Length(2), Xsd::HexBinary, "0AF0"));
        assert!(allows(&Facet::Length(2), Xsd::Base64Binary, "aGk="));
    }
}
