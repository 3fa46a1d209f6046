//! Numbers and flags of PortaBilling's JSON outside the definitions: the same member comes as a number, a string or a boolean.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An id; none where it isn't one.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// `1`, `"1"`, `"Y"`, `true` and `"true"` are yes.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(flag) => flag,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => ["1", "y", "true"].iter().any(|yes| text.trim().eq_ignore_ascii_case(yes)),
        _ => false,
    })
}

/// One, or a list of them.
pub(crate) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(one) => vec![one],
        Value::Array(more) => more.into_iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_spelling_is_read_and_what_is_none_is_nothing() {
        for (value, id, yes, many) in [
            (json!(7), Some(7), true, 0),
            (json!(0), Some(0), false, 0),
            (json!(" 7 "), Some(7), false, 1),
            (json!("1"), Some(1), true, 1),
            (json!("Y"), None, true, 1),
            (json!("True"), None, true, 1),
            (json!("no"), None, false, 1),
            (json!(true), None, true, 0),
            (json!(null), None, false, 0),
            (json!(["a", 1, "b"]), None, false, 2),
        ] {
            assert_eq!(number(&value).expect("any JSON"), id, "{value}");
            assert_eq!(flag(&value).expect("any JSON"), yes, "{value}");
            assert_eq!(one_or_more(&value).expect("any JSON").len(), many, "{value}");
        }
    }
}
