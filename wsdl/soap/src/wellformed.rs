//! Whether XML that is to be written as it stands is well-formed inside its tags: reading is more generous than writing.

/// Whether a text is attributes as they may stand in a start tag: names, each with a value in quotes, white space before
/// each.
pub(crate) fn are_attributes(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, behind)) = attribute(rest) {
        rest = behind;
    }
    rest.trim_start_matches(is_space).is_empty()
}

/// Whether a start tag, from behind its name on, says what names without a prefix belong to.
pub(crate) fn has_default_namespace(tag: &str) -> bool {
    let mut rest = tag;
    while let Some((name, behind)) = attribute(rest) {
        if name == "xmlns" {
            return true;
        }
        rest = behind;
    }
    false
}

/// The name of the attribute at the front, and what follows it.
fn attribute(text: &str) -> Option<(&str, &str)> {
    let trimmed = text.trim_start_matches(is_space);
    let (name, value) = trimmed.split_once('=').filter(|_| trimmed.len() < text.len())?;
    let name = name.trim_end_matches(is_space);
    let value = value.trim_start_matches(is_space);
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, behind) = value[1..].split_once(quote)?;
    (is_name(name) && !value.contains('<')).then_some((name, behind))
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
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
