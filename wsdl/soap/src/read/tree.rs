//! Values of no declared type.

use super::References;
use super::references::follow;
use super::simple::unwrapped;
use crate::Any;
use crate::cursor::{Cursor, Kind, Marks, Token};
use crate::error::{ReadError, ReadErrorKind};

/// A value of no declared type.
pub(crate) fn tree(
    cursor: &mut Cursor<'_>,
    references: &mut References,
    marks: &Marks<'_>,
) -> Result<Any, ReadError> {
    if marks.nil {
        cursor.skip()?;
        return Ok(Any::Nil);
    }
    if let Some(id) = marks.href {
        cursor.skip()?;
        return follow(cursor, references, id, |fork, references, tag| tree(fork, references, &tag.marks));
    }
    let mut members = Vec::new();
    let mut text = String::new();
    loop {
        match cursor.next()? {
            Token::Start(tag) => {
                let name = tag.local.to_string();
                cursor.spend_list(name.len() + size_of::<(String, Any)>())?;
                let member = tree(cursor, references, &tag.marks).map_err(|error| error.inside(&name))?;
                members.push((name, member));
            }
            Token::Text(part) => text.push_str(&part),
            Token::End => break,
            Token::Eof => return Err(cursor.cut_off()),
        }
        if text.len() > cursor.limits().value_bytes {
            let limit = cursor.limits().value_bytes;
            return Err(cursor.error(ReadErrorKind::Limit { what: "bytes in a value", limit }));
        }
    }
    Ok(match (marks.ty, marks.array, members.is_empty()) {
        (Kind::Map, ..) => Any::Structure(members.into_iter().filter_map(entry).collect()),
        (_, true, _) => Any::List(members.into_iter().map(|(_, item)| item).collect()),
        (Kind::Base64, _, true) => Any::Text(unwrapped(cursor, &text)?.into_owned()),
        (_, _, true) => Any::Text(text),
        (_, _, false) => Any::Structure(members),
    })
}

/// The key and value of a map's item.
fn entry((_, item): (String, Any)) -> Option<(String, Any)> {
    let key = item.get("key")?.text()?.to_string();
    Some((key, item.get("value").cloned().unwrap_or_default()))
}
