//! Simple values: one text, or several in a list.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::array::push;
use crate::cursor::{Cursor, Kind};
use crate::error::{ReadError, ReadErrorKind};
use crate::{Invalid, Scalar, Slot, Type, Value, Xsd};

/// A simple value. An empty element is the empty string for text, and nothing for a number or a date.
pub(super) fn scalar(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    xsd: Xsd,
    target: &mut dyn Value,
) -> Result<(), ReadError> {
    let whole = cursor.text()?;
    simple(cursor, whole, kind, xsd, target)
}

/// Reads a text that is a simple value or a list of them.
pub(super) fn text(
    cursor: &mut Cursor<'_>,
    text: Cow<'_, str>,
    kind: Kind,
    ty: Type,
    target: &mut dyn Value,
) -> Result<(), ReadError> {
    match ty {
        Type::Xsd(xsd) => simple(cursor, text, kind, xsd, target),
        Type::List(item) => {
            let Slot::List(list) = target.open() else { return Ok(()) };
            for word in text.split_ascii_whitespace() {
                let Type::Xsd(xsd) = *item else { continue };
                let target = push(cursor, list)?;
                simple(cursor, Cow::Borrowed(word), Kind::Other, xsd, target)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn simple(
    cursor: &mut Cursor<'_>,
    mut text: Cow<'_, str>,
    kind: Kind,
    xsd: Xsd,
    target: &mut dyn Value,
) -> Result<(), ReadError> {
    if kind == Kind::Base64 && xsd != Xsd::Base64Binary {
        text = unwrapped(cursor, &text)?;
    }
    if xsd != Xsd::String {
        text = xsd.spaced(text);
    }
    // nearly every number and every date begins with a digit
    let plain = matches!(text.as_bytes().first(), Some(b'1'..=b'9'));
    if !xsd.is_text() && !plain && is_nothing(text.trim()) {
        target.set_absent();
        return Ok(());
    }
    let Slot::Scalar(scalar) = target.open() else { return Ok(()) };
    if xsd == Xsd::QName
        && scalar.xsd() == Xsd::QName
        && let Some(qualified) = cursor.qualified(&text)
    {
        text = Cow::Owned(qualified);
    }
    if xsd.is_text() {
        // may take the text as it is, and only base64 of it can be wrong
        scalar.read(text).map_err(|invalid| cursor.error(ReadErrorKind::Value(String::new(), invalid)))
    } else {
        read_shown(cursor, scalar, &text)
    }
}

/// Reads a value that is short when it is right; the error shows how it begins.
pub(super) fn read_shown(cursor: &Cursor<'_>, scalar: &mut dyn Scalar, text: &str) -> Result<(), ReadError> {
    scalar
        .read(Cow::Borrowed(text))
        .map_err(|invalid| cursor.error(ReadErrorKind::Value(text.chars().take(60).collect(), invalid)))
}

/// No number and no date at all: the empty element, and what databases keep for a date that was never set.
fn is_nothing(text: &str) -> bool {
    text.is_empty() || matches!(text, "0000-00-00" | "0000-00-00 00:00:00" | "0000-00-00T00:00:00")
}

/// Text that SOAP::Lite has sent as base64 because it isn't ASCII: UTF-8 inside, or Latin-1 from a Perl string that
/// was never decoded.
pub(super) fn unwrapped<'a>(cursor: &Cursor<'_>, text: &str) -> Result<Cow<'a, str>, ReadError> {
    let compact: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(compact).map_err(|_| {
        cursor.error(ReadErrorKind::Value(text.chars().take(60).collect(), Invalid("base64 value")))
    })?;
    Ok(Cow::Owned(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect()),
    ))
}
