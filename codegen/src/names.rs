//! Names in Rust for names in XML: readable, valid, and never two alike in one place.

use std::collections::HashSet;

use proc_macro2::{Ident, Span};

/// Strict and reserved words of every edition; most can be written raw.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// These can't be.
const NEVER_RAW: &[&str] = &["_", "self", "Self", "super", "crate"];

/// Names that generated code or the prelude has its own meaning for.
const TYPES_TAKEN: &[&str] = &[
    "Any",
    "Base64",
    "Box",
    "Call",
    "Clone",
    "Date",
    "DateTime",
    "Debug",
    "Decimal",
    "Default",
    "Err",
    "Facet",
    "Element",
    "Header",
    "Items",
    "Member",
    "Nillable",
    "None",
    "Ok",
    "Operation",
    "Option",
    "Part",
    "PartialEq",
    "Place",
    "Raw",
    "Service",
    "Shape",
    "Some",
    "String",
    "Structure",
    "Style",
    "Type",
    "Value",
    "Vec",
    "Version",
    "Xsd",
];

/// The identifier for `name`, which has only letters, digits and underscores and starts with no digit.
pub(crate) fn identifier(name: &str) -> Ident {
    if NEVER_RAW.contains(&name) {
        Ident::new(&format!("{name}_"), Span::call_site())
    } else if KEYWORDS.contains(&name) {
        Ident::new_raw(name, Span::call_site())
    } else {
        Ident::new(name, Span::call_site())
    }
}

/// `i_account`, `firstname`, `DIDNumber` (`did_number`), `x-y.z` (`x_y_z`), `1st` (`_1st`).
pub(crate) fn snake(name: &str) -> String {
    let joined = words(name).join("_").to_lowercase();
    started(if joined.is_empty() { "value".to_owned() } else { joined })
}

/// The same in capitals, for statics.
pub(crate) fn shout(name: &str) -> String {
    snake(name).to_uppercase()
}

/// `DIDNumberInfo` stays, `get_account_info` is `GetAccountInfo`.
pub(crate) fn type_name(name: &str) -> String {
    let joined: String = pieces(name).map(|piece| capital(&piece)).collect();
    started(if joined.is_empty() { "Value".to_owned() } else { joined })
}

/// One scope's names: each is given out once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// A scope of types: what generated code itself names is taken.
    pub(crate) fn of_types() -> Self {
        Self { taken: TYPES_TAKEN.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Takes `name` if it is free.
    pub(crate) fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_owned())
    }

    /// `name`, or the first of `name2`, `name3`, … that is free.
    pub(crate) fn unique(&mut self, name: String, separator: &str) -> String {
        let mut unique = name.clone();
        let mut number = 1_usize;
        while !self.take(&unique) {
            number += 1;
            unique = format!("{name}{separator}{number}");
        }
        unique
    }
}

/// The names of a structure's fields, in order.
///
/// A name that needs no change goes first: where `CLI` and `cli` meet, `cli` stays what it is.
pub(crate) fn fields<'n>(members: impl Iterator<Item = &'n str>) -> Vec<String> {
    let members: Vec<&str> = members.collect();
    let mut names = Names::default();
    let mut fields: Vec<String> = members.iter().map(|name| snake(name)).collect();
    let unchanged: Vec<bool> =
        fields.iter().zip(&members).map(|(field, name)| field == name && names.take(field)).collect();
    for (field, _) in fields.iter_mut().zip(&unchanged).filter(|(_, unchanged)| !**unchanged) {
        *field = names.unique(std::mem::take(field), "_");
    }
    fields
}

/// The same with other names where they are wanted; one that is taken gets a number as ever.
pub(crate) fn renamed(found: Vec<String>, wanted: &[Option<&str>]) -> Vec<String> {
    if wanted.iter().all(Option::is_none) {
        return found;
    }
    let mut names = Names::default();
    let wishes: Vec<Option<String>> =
        wanted.iter().map(|wanted| wanted.map(|wanted| names.unique(wanted.to_owned(), "_"))).collect();
    let chosen = found.into_iter().zip(wishes);
    chosen.map(|(found, wish)| wish.unwrap_or_else(|| names.unique(found, "_"))).collect()
}

/// The names of methods for operations, in order; those of `taken` are somebody else's.
pub(crate) fn fields_beside(operations: impl Iterator<Item = String>, taken: &[&str]) -> Vec<String> {
    let mut names = Names::default();
    for name in taken {
        names.take(name);
    }
    operations.map(|operation| names.unique(snake(&operation), "_")).collect()
}

/// The names of an enum's variants, in order; those of `taken` are somebody else's.
///
/// Where `Y` and `y` meet, `Y` stays what it is.
pub(crate) fn variants<'n>(values: impl Iterator<Item = &'n str>, taken: &[&str]) -> Vec<String> {
    let values: Vec<&str> = values.collect();
    let mut names = Names::default();
    for name in taken.iter().chain(&["Self"]) {
        names.take(name);
    }
    let mut variants: Vec<String> = values.iter().map(|value| variant(value)).collect();
    let unchanged: Vec<bool> = variants
        .iter()
        .zip(&values)
        .map(|(variant, value)| variant == value && names.take(variant))
        .collect();
    for (variant, _) in variants.iter_mut().zip(&unchanged).filter(|(_, unchanged)| !**unchanged) {
        let separator = if variant.ends_with(|last: char| last.is_ascii_digit()) { "_" } else { "" };
        *variant = names.unique(std::mem::take(variant), separator);
    }
    variants
}

/// `in-progress` is `InProgress`, `1.0` is `_1_0`, `+` is `Plus`, nothing is `Empty`.
fn variant(value: &str) -> String {
    let signs: String = if value.chars().any(char::is_alphanumeric) {
        String::new()
    } else {
        value.chars().filter_map(sign).collect()
    };
    match value {
        "" => "Empty".to_owned(),
        _ if !signs.is_empty() => signs,
        _ => {
            let pieces: Vec<String> = pieces(value).map(|piece| capital(&piece)).collect();
            let mut name = String::new();
            for piece in pieces {
                // digits beside digits are other digits
                let apart = name.ends_with(|last: char| last.is_ascii_digit())
                    && piece.starts_with(|first: char| first.is_ascii_digit());
                name += if apart { "_" } else { "" };
                name += &piece;
            }
            let minus =
                value.starts_with('-') && value[1..].starts_with(|first: char| first.is_ascii_digit());
            let name = if minus { format!("Minus{name}") } else { name };
            started(if name.is_empty() { "Value".to_owned() } else { name })
        }
    }
}

fn sign(character: char) -> Option<&'static str> {
    Some(match character {
        '+' => "Plus",
        '-' => "Minus",
        '*' => "Star",
        '/' => "Slash",
        '%' => "Percent",
        '=' => "Equal",
        '<' => "Less",
        '>' => "Greater",
        '!' => "Not",
        '&' => "And",
        '|' => "Or",
        '#' => "Hash",
        '?' => "Question",
        '.' => "Dot",
        ',' => "Comma",
        '_' => "Underscore",
        ' ' => "Space",
        _ => return None,
    })
}

/// What stands between characters that no identifier has; letters that no identifier should have become their number.
fn pieces(name: &str) -> impl Iterator<Item = String> {
    let apart = name.split(|character: char| !character.is_alphanumeric()).filter(|piece| !piece.is_empty());
    apart.map(|piece| {
        let mut kept = String::new();
        for character in piece.chars() {
            if is_readable(character) {
                kept.push(character);
            } else {
                kept += &format!("u{:x}", u32::from(character));
            }
        }
        kept
    })
}

/// Whether a letter or digit may stand in an identifier as it is: those of scripts that people name things in, without
/// those that Rust warns of (one letter that looks like two, and forms of others).
fn is_readable(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character,
            // Latin, Greek, Cyrillic
            'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ı' | 'Ĵ'..='ľ' | 'Ł'..='ň' | 'Ŋ'..='ž'
            | 'Ά' | 'Έ'..='Ί' | 'Ό' | 'Ύ'..='Ρ' | 'Σ'..='ώ' | '\u{400}'..='\u{481}' | '\u{48a}'..='\u{52f}'
            // Hebrew, Arabic; kana, Chinese, Hangul
            | '\u{5d0}'..='\u{5ea}' | '\u{621}'..='\u{63a}' | '\u{641}'..='\u{64a}'
            | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '\u{4e00}'..='\u{9fff}' | '가'..='힣')
}

/// Pieces cut again where capitals begin a word: `DIDNumber` is `DID` and `Number`.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for piece in pieces(name) {
        let letters: Vec<char> = piece.chars().collect();
        let mut start = 0;
        for at in 1..letters.len() {
            let after_small = !letters[at - 1].is_uppercase();
            let before_small = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
            if letters[at].is_uppercase() && (after_small || before_small) {
                words.push(letters[start..at].iter().collect());
                start = at;
            }
        }
        words.push(letters[start..].iter().collect());
    }
    words
}

fn capital(piece: &str) -> String {
    let mut characters = piece.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().to_string() + characters.as_str())
}

/// No identifier starts with a digit.
fn started(name: String) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_in_rust() {
        for (xml, rust) in [
            ("i_account", "i_account"),
            ("h323_password", "h323_password"),
            ("iso_4217", "iso_4217"),
            ("CLI", "cli"),
            ("DIDNumberInfo", "did_number_info"),
            ("firstName", "first_name"),
            ("IVRApplications", "ivr_applications"),
            ("a.b-c", "a_b_c"),
            ("a__b", "a_b"),
            ("1st", "_1st"),
            ("+", "value"),
            ("é", "é"),
            ("Straße", "straße"),
            ("ПолучитьДанныеИНН", "получить_данные_инн"),
            ("名前", "名前"),
            ("ﬁ①", "ufb01u2460"),
            ("", "value"),
        ] {
            assert_eq!(snake(xml), rust, "{xml}");
        }
        for (xml, rust) in [
            ("DIDNumberInfo", "DIDNumberInfo"),
            ("get_account_info", "GetAccountInfo"),
            ("x.y-1", "XY1"),
            ("3GInfo", "_3GInfo"),
            ("элемент", "Элемент"),
            ("", "Value"),
        ] {
            assert_eq!(type_name(xml), rust, "{xml}");
        }
    }

    #[test]
    fn fields_that_meet_are_told_apart_and_the_unchanged_one_keeps_its_name() {
        assert_eq!(fields(["CLI", "cli", "Cli", "cli_2"].into_iter()), ["cli_3", "cli", "cli_4", "cli_2"]);
    }

    #[test]
    fn variants_are_valid_and_never_two_alike() {
        let values =
            ["y", "Y", "", "1.0", "10", "+", "in-progress", "-1", "1", "Other", "self", "Self", "++", "é"];
        let variants = variants(values.into_iter(), &["Other"]);
        let expected = [
            "Y2",
            "Y",
            "Empty",
            "_1_0",
            "_10",
            "Plus",
            "InProgress",
            "Minus1",
            "_1",
            "Other2",
            "Self2",
            "Self3",
            "PlusPlus",
            "É",
        ];
        assert_eq!(variants, expected);
    }

    #[test]
    fn whatever_is_readable_is_an_identifier() {
        for character in (0..=0x10ffff).filter_map(char::from_u32).filter(|character| is_readable(*character))
        {
            let name = started(character.to_string());
            assert!(syn::parse_str::<Ident>(&name).is_ok(), "{name}");
            assert!(syn::parse_str::<Ident>(&shout(&name)).is_ok(), "{name}");
            assert!(syn::parse_str::<Ident>(&format!("x{character}")).is_ok(), "{name}");
        }
    }

    #[test]
    fn every_keyword_becomes_an_identifier() {
        for name in KEYWORDS.iter().chain(NEVER_RAW) {
            let tokens = identifier(name).to_string();
            assert!(syn::parse_str::<Ident>(&tokens).is_ok(), "{tokens}");
        }
    }
}
