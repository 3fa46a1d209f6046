//! The reading engine: follows a table through the tokens, whatever order, prefixes and habits they come with.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cursor::{Cursor, Kind, Marks, Token, ids};
use crate::error::{ReadError, ReadErrorKind};
use crate::{Any, Invalid, List, Scalar, Slot, Structure, Type, Value, Xsd};

/// What references need: where the elements with ids are, and which are being read just now.
#[derive(Default)]
pub(crate) struct References {
    ids: Option<Vec<(String, usize)>>,
    active: Vec<String>,
}

/// Reads the members of a structure, up to the end of the current element.
pub(crate) fn structure(
    cursor: &mut Cursor<'_>,
    references: &mut References,
    kind: Kind,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    let shape = target.shape();
    let mut hint = 0;
    loop {
        match cursor.next()? {
            Token::Start(_) if kind == Kind::Map => map_item(cursor, references, target)?,
            Token::Start(tag) => match shape.position(tag.local.as_bytes(), hint) {
                Some(index) => {
                    hint = index + 1;
                    let member = &shape.members[index];
                    value(cursor, references, tag.marks, member.ty, target.member_mut(index))
                        .map_err(|error| error.inside(member.name))?;
                }
                None => cursor.skip()?,
            },
            Token::End => return Ok(()),
            Token::Text(_) => {}
            Token::Eof => return Err(cursor.cut_off()),
        }
    }
}

/// One `<item><key>name</key><value>…</value></item>`: SOAP::Lite sends a hash this way when one of its keys is no
/// XML name.
fn map_item(
    cursor: &mut Cursor<'_>,
    references: &mut References,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    let shape = target.shape();
    let mut index = None;
    loop {
        match cursor.next()? {
            Token::Start(tag) if tag.local == "key" => {
                index = shape.position(cursor.text()?.trim().as_bytes(), 0);
            }
            Token::Start(tag) => match index {
                Some(index) if tag.local == "value" => {
                    let member = &shape.members[index];
                    value(cursor, references, tag.marks, member.ty, target.member_mut(index))
                        .map_err(|error| error.inside(member.name))?;
                }
                _ => cursor.skip()?,
            },
            Token::End => return Ok(()),
            Token::Text(_) => {}
            Token::Eof => return Err(cursor.cut_off()),
        }
    }
}

/// Reads one value: the start tag has been taken, the end tag is taken here.
pub(crate) fn value(
    cursor: &mut Cursor<'_>,
    references: &mut References,
    marks: Marks<'_>,
    ty: Type,
    target: &mut dyn Value,
) -> Result<(), ReadError> {
    if let (Type::Repeated(item), Slot::List(list)) = (ty, target.open()) {
        let target = push(cursor, list)?;
        return value(cursor, references, marks, *item, target);
    }
    if marks.nil {
        target.set_nil();
        return cursor.skip();
    }
    if let Some(id) = marks.href {
        cursor.skip()?;
        return referred(cursor, references, id, ty, target);
    }
    match (ty, target.open()) {
        (Type::Xsd(xsd), _) => scalar(cursor, marks.ty, xsd, target),
        (Type::Structure(_), Slot::Structure(target)) => structure(cursor, references, marks.ty, target),
        (Type::Array(item), Slot::List(list)) => array(cursor, references, &marks, *item, list),
        (Type::Any, Slot::Any(any)) => {
            *any = tree(cursor, references, &marks)?;
            Ok(())
        }
        // a table that contradicts its type: generated code can't, and hand-written code sees its value missing
        _ => cursor.skip(),
    }
}

/// A simple value. An empty element is the empty string for text, and nothing for a number or a date.
fn scalar(cursor: &mut Cursor<'_>, kind: Kind, xsd: Xsd, target: &mut dyn Value) -> Result<(), ReadError> {
    let mut text = cursor.text()?;
    if kind == Kind::Base64 && xsd != Xsd::Base64Binary {
        text = unwrapped(cursor, &text)?;
    }
    if !xsd.is_text() && is_nothing(text.trim()) {
        target.set_absent();
        return Ok(());
    }
    let Slot::Scalar(scalar) = target.open() else { return Ok(()) };
    if xsd.is_text() {
        // may take the text as it is, and only base64 of it can be wrong
        scalar.read(text).map_err(|invalid| cursor.error(ReadErrorKind::Value(String::new(), invalid)))
    } else {
        read_shown(cursor, scalar, &text)
    }
}

/// Reads a value that is short when it is right; the error shows how it begins.
fn read_shown(cursor: &Cursor<'_>, scalar: &mut dyn Scalar, text: &str) -> Result<(), ReadError> {
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
fn unwrapped<'a>(cursor: &Cursor<'_>, text: &str) -> Result<Cow<'a, str>, ReadError> {
    let compact: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(compact).map_err(|_| {
        cursor.error(ReadErrorKind::Value(text.chars().take(60).collect(), Invalid("base64 value")))
    })?;
    Ok(Cow::Owned(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect()),
    ))
}

/// The items of an array, whatever they are called; a bare value instead of items is the only item, as SOAP::Lite
/// sends it for a list that Perl held as a scalar.
fn array(
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
                pad(cursor, list, tag.marks.position.unwrap_or(0))?;
                let index = list.len();
                let target = push(cursor, list)?;
                value(cursor, references, tag.marks, item, target)
                    .map_err(|error| error.inside_item(index))?;
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
fn push<'a>(cursor: &mut Cursor<'_>, list: &'a mut dyn List) -> Result<&'a mut dyn Value, ReadError> {
    cursor.spend_list(list.item_bytes())?;
    Ok(list.push())
}

/// A value that stands elsewhere in the document (SOAP 1.1 §5.4.1).
fn referred(
    cursor: &mut Cursor<'_>,
    references: &mut References,
    id: &str,
    ty: Type,
    target: &mut dyn Value,
) -> Result<(), ReadError> {
    follow(cursor, references, id, |fork, references, marks| value(fork, references, marks, ty, target))
}

/// Opens a cursor at the element with `id` and lets `read` read it; refuses missing ones and cycles.
pub(crate) fn follow<T>(
    cursor: &mut Cursor<'_>,
    references: &mut References,
    id: &str,
    read: impl FnOnce(&mut Cursor<'_>, &mut References, Marks<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let wrong = |how| ReadErrorKind::Reference(id.chars().take(60).collect(), how);
    if references.active.iter().any(|active| active == id) {
        return Err(cursor.error(wrong("leads back to itself")));
    }
    if references.ids.is_none() {
        let (ids, elements) = ids(cursor.source(), cursor.limits())?;
        references.ids = Some(ids);
        cursor.restrict(elements.saturating_mul(cursor.limits().expansion));
    }
    let known = references.ids.as_deref().unwrap_or_default();
    let offset = match known.binary_search_by(|(known, _)| known.as_str().cmp(id)) {
        Ok(index) => known[index].1,
        Err(_) => return Err(cursor.error(wrong("leads nowhere"))),
    };
    let mut fork = cursor.fork(offset);
    let Token::Start(tag) = fork.next()? else { return Err(cursor.cut_off()) };
    references.active.push(id.to_string());
    let read = read(&mut fork, references, tag.marks);
    references.active.pop();
    cursor.rejoin(fork);
    read
}

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
        return follow(cursor, references, id, |fork, references, marks| tree(fork, references, &marks));
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
