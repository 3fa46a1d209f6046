//! Whether XML that is to be written as it stands is well-formed inside its tags: reading is more generous than writing.

/// Whether a text is attributes as they may stand in a start tag: names, each with a value in quotes, white space before
/// each.
pub(crate) fn are_attributes(text: &str) -> bool {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches(is_space);
        if trimmed.is_empty() {
            return true;
        }
        let Some((name, value)) = trimmed.split_once('=') else { return false };
        let value = value.trim_start_matches(is_space);
        let Some(quote) = value.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else {
            return false;
        };
        let Some((value, behind)) = value[1..].split_once(quote) else { return false };
        if trimmed.len() == rest.len() || !is_name(name.trim_end_matches(is_space)) || value.contains('<') {
            return false;
        }
        rest = behind;
    }
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
}
