//! Whether XML that is to be written as it stands is well-formed inside its tags: reading is more generous than writing.

use crate::token::{Attributes, Entry};

/// Whether a text is attributes as they may stand in a start tag: names, each with a value in quotes, white space before
/// each.
pub(crate) fn are_attributes(text: &str) -> bool {
    let is_one = |entry: Entry<'_>| is_name(entry.key) && !entry.value.contains('<');
    Attributes::new(text, 0).all(|entry| entry.is_ok_and(is_one))
}

/// Whether a start tag, from behind its name on, says what names without a prefix belong to.
pub(crate) fn has_default_namespace(tag: &str) -> bool {
    Attributes::new(tag, 0).map_while(Result::ok).any(|entry| entry.key == "xmlns")
}

/// Whether a text is a name, with a prefix or without (Namespaces in XML §4).
pub(crate) fn is_name(text: &str) -> bool {
    let starts = |character: char| character.is_alphabetic() || character == '_';
    let goes_on = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '·');
    let mut parts = text.split(':');
    let plain = |part: &str| part.starts_with(starts) && part.chars().all(goes_on);
    parts.next().is_some_and(plain) && parts.next().is_none_or(plain) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_names_values_in_quotes_and_space_between_them() {
        for good in ["", " ", " a=\"1\"", " a = '1'\n b:c=\"&amp;>\" ", " xmlns:o=\"urn:o\" o:é=\"'\""] {
            assert!(are_attributes(good), "{good}");
        }
        for bad in [
            "a=\"1\"",
            " a",
            " a=1",
            " a=\"1\"b=\"2\"",
            " a=\"1\"(b=\"2\"",
            " (a=\"1\"",
            " a=\"<\"",
            " a=\"1",
            " =\"1\"",
            " a:b:c=\"1\"",
            " 1=\"1\"",
            " a b=\"1\"",
        ] {
            assert!(!are_attributes(bad), "{bad}");
        }
    }

    #[test]
    fn a_default_namespace_is_an_attribute_of_that_name_and_nothing_that_looks_like_one() {
        for there in [" xmlns=\"\">", " a='>' xmlns = 'u'/>", " xmlns:a=\"1\" xmlns=\"u\">"] {
            assert!(has_default_namespace(there), "{there}");
        }
        for absent in [">", "/>", " xmlns:a=\"u\">", " axmlns=\"\">", " a=\" xmlns=''\">", ">x xmlns=\"\""] {
            assert!(!has_default_namespace(absent), "{absent}");
        }
    }
}
