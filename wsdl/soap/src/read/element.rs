//! XML of which only one thing is asked: a fault's detail, whether it is an element at all.

use super::{References, value};
use crate::Structure;
use crate::cursor::{Cursor, Token};
use crate::error::{ReadError, ReadErrorKind};
use crate::shape::inline_shape;

/// Reads a fault's detail into the choice of what an operation declares; whether it is any of that.
pub(crate) fn detail(xml: &str, target: &mut dyn Structure) -> Result<bool, ReadError> {
    let limits = crate::Limits::default();
    let mut cursor = Cursor::new(xml, &limits);
    let mut references = References::default();
    let shape = target.shape();
    let _ = cursor.next()?;
    loop {
        match cursor.next()? {
            // Axis calls every detail `fault` and says by its type which one it is
            Token::Start(tag) => match shape.position(tag.local.as_bytes(), 0).or_else(|| {
                let ty = tag.type_name()?;
                shape
                    .members
                    .iter()
                    .position(|member| inline_shape(member.ty).is_some_and(|it| it.name == ty))
            }) {
                Some(index) => {
                    let member = &shape.members[index];
                    value(&mut cursor, &mut references, &tag, member.ty, target.member_mut(index))
                        .map_err(|error| error.inside(member.name))?;
                    return Ok(true);
                }
                None => cursor.skip()?,
            },
            Token::Text(_) => {}
            Token::End | Token::Eof => return Ok(false),
        }
    }
}

/// Whether a text is one well-formed element.
pub(crate) fn check_element(xml: &str) -> Result<(), ReadError> {
    let limits = crate::Limits::default();
    let mut cursor = Cursor::new(xml, &limits);
    let mut open = 0_usize;
    loop {
        match cursor.next()? {
            Token::Start(tag) if tag.is_well_formed() => open += 1,
            Token::Start(_) => {
                return Err(cursor.error(ReadErrorKind::Malformed("in the names of a tag".into())));
            }
            Token::End => open -= 1,
            Token::Text(_) if open > 0 => {}
            Token::Text(_) => return Err(cursor.error(ReadErrorKind::Malformed("no element".into()))),
            Token::Eof => return Err(cursor.cut_off()),
        }
        if open == 0 {
            break;
        }
    }
    match cursor.next()? {
        Token::Eof => Ok(()),
        _ => Err(cursor.error(ReadErrorKind::Malformed("something follows the element".into()))),
    }
}
