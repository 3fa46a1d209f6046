//! Arrays of SOAP's encoding, and other elements that hold items.

use super::simple::read_shown;
use super::{References, value};
use crate::cursor::{Cursor, Marks, Token};
use crate::error::ReadError;
use crate::{List, Slot, Type, Value};

/// The items of an array, whatever they are called; a bare value instead of items is the only item, as SOAP::Lite
/// sends it for a list that Perl held as a scalar.
pub(super) fn array(
    cursor: &mut Cursor<'_>,
    references: &mut References,
    marks: &Marks<'_>,
    item: Type,
    list: &mut dyn List,
) -> Result<(), ReadError> {
    pad(cursor, list, marks.position.unwrap_or(0))?;
    let mut bare = String::new();
    let mut items = false;
    loop {
        match cursor.next()? {
            Token::Start(tag) => {
                items = true;
                // positions come in any order
                let index = tag.marks.position.unwrap_or(list.len());
                pad(cursor, list, index)?;
                let target = if index < list.len() {
                    let target = list.item_mut(index);
                    target.set_absent();
                    target
                } else {
                    push(cursor, list)?
                };
                value(cursor, references, &tag, item, target).map_err(|error| error.inside_item(index))?;
            }
            Token::Text(text) => bare.push_str(&text),
            Token::End => break,
            Token::Eof => return Err(cursor.cut_off()),
        }
    }
    if let (false, false, Type::Xsd(_)) = (items, bare.trim().is_empty(), item)
        && let Slot::Scalar(scalar) = push(cursor, list)?.open()
    {
        read_shown(cursor, scalar, &bare)?;
    }
    Ok(())
}

/// Fills a sparse array up to `position` (SOAP 1.1 §5.4.2.2), within the limit for what may be left out.
fn pad(cursor: &mut Cursor<'_>, list: &mut dyn List, position: usize) -> Result<(), ReadError> {
    cursor.spend_sparse(position.saturating_sub(list.len()))?;
    while list.len() < position {
        push(cursor, list)?;
    }
    Ok(())
}

/// A new item at the end of a list, within the limit for what lists may take.
pub(super) fn push<'a>(
    cursor: &mut Cursor<'_>,
    list: &'a mut dyn List,
) -> Result<&'a mut dyn Value, ReadError> {
    cursor.spend_list(list.item_bytes())?;
    Ok(list.push())
}
