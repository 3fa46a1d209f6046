//! The reading engine: follows a table through the tokens, whatever order, prefixes and habits they come with.

mod array;
mod attributes;
mod element;
mod inline;
mod references;
mod simple;
mod tree;

use std::borrow::Cow;

use crate::cursor::{Cursor, Kind, Tag, Token};
use crate::error::{ReadError, ReadErrorKind};
use crate::{Place, Slot, Structure, Table, Type, Value};

use array::{array, push};
use attributes::attributes;
pub(crate) use element::{check_element, detail};
use inline::{Path, inline};
use references::referred;
pub(crate) use references::{References, follow};
use simple::{read_shown, scalar, text};
pub(crate) use tree::tree;

/// Reads a structure: the attributes of its element, and the members up to its end.
pub(crate) fn structure<'a>(
    cursor: &mut Cursor<'a>,
    references: &mut References,
    tag: &Tag<'a>,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    let shape = target.shape();
    let table: &Table = shape;
    if table.derived {
        // a type that the definition doesn't have is read as the first, the base of the others
        let chosen = tag.type_name().and_then(|name| shape.position(name.as_bytes(), 0)).unwrap_or(0);
        return match target.member_mut(chosen).open() {
            Slot::Structure(target) => structure(cursor, references, tag, target),
            _ => cursor.skip(),
        };
    }
    if table.elements < table.members.len() {
        attributes(cursor, tag, target)?;
        if let Some(index) = table.text.filter(|_| table.elements == 0) {
            let member = &table.members[index];
            if let Type::Xsd(xsd) = member.ty {
                return scalar(cursor, tag.marks.ty, xsd, target.member_mut(index));
            }
            return value(cursor, references, &tag.bare(), member.ty, target.member_mut(index));
        }
    }
    members(cursor, references, tag.marks.ty, None, target)
}

/// Reads the members of a structure, up to the end of the current element; `first` is a start tag that has been taken.
pub(crate) fn members<'a>(
    cursor: &mut Cursor<'a>,
    references: &mut References,
    kind: Kind,
    mut first: Option<Tag<'a>>,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    let shape = target.shape();
    let table: &Table = shape;
    // a definition may have a type of that name, whose items are members
    let is_map = kind == Kind::Map && shape.name != "Map";
    let mut hint = 0;
    let mut path = Path::default();
    let mut text = String::new();
    loop {
        let token = match first.take() {
            Some(tag) => Token::Start(tag),
            None => cursor.next()?,
        };
        match token {
            Token::Start(_) if is_map => map_item(cursor, references, target)?,
            Token::Start(tag) => {
                let found = if table.told_apart {
                    shape.qualified_position(tag.local, cursor.namespace(&tag))
                } else {
                    shape.position(tag.local.as_bytes(), hint)
                };
                match found {
                    Some(index) => {
                        hint = index + 1;
                        let member = &table.members[index];
                        let target = target.member_mut(index);
                        match member.place {
                            Place::Inline => {
                                let next = path.of(index, member.ty, tag.local);
                                inline(cursor, references, &tag, member.ty, target, (&path, &next), 1)
                                    .map_err(|error| error.inside(member.name))?;
                                path = next;
                            }
                            _ => value(cursor, references, &tag, member.ty, target)
                                .map_err(|error| error.inside(member.name))?,
                        }
                    }
                    None => match table.wildcard {
                        Some(index) => raw(cursor, &tag, target.member_mut(index))?,
                        None => cursor.skip()?,
                    },
                }
            }
            Token::Text(piece) if table.text.is_some() => {
                cursor.limit_value(text.len() + piece.len())?;
                text.push_str(&piece);
            }
            Token::Text(_) => {}
            Token::End => break,
            Token::Eof => return Err(cursor.cut_off()),
        }
    }
    // of mixed content: the text between the elements, in one
    if let (Some(index), false) = (table.text, text.trim().is_empty())
        && let Slot::Scalar(scalar) = target.member_mut(index).open()
    {
        read_shown(cursor, scalar, &text)?;
    }
    Ok(())
}

/// Keeps an element as it stands.
fn raw<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>, target: &mut dyn Value) -> Result<(), ReadError> {
    let xml = cursor.raw(tag)?;
    let target = match target.open() {
        Slot::List(list) => {
            cursor.spend_list(xml.len())?;
            push(cursor, list)?
        }
        _ => target,
    };
    match target.open() {
        Slot::Scalar(scalar) => scalar
            .read(Cow::Owned(xml))
            .map_err(|invalid| cursor.error(ReadErrorKind::Value(String::new(), invalid))),
        _ => Ok(()),
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
                    value(cursor, references, &tag, member.ty, target.member_mut(index))
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
pub(crate) fn value<'a>(
    cursor: &mut Cursor<'a>,
    references: &mut References,
    tag: &Tag<'a>,
    ty: Type,
    target: &mut dyn Value,
) -> Result<(), ReadError> {
    let marks = &tag.marks;
    if let Type::Repeated(item) = ty
        && let Slot::List(list) = target.open()
    {
        let target = push(cursor, list)?;
        return value(cursor, references, tag, *item, target);
    }
    if marks.nil {
        target.set_nil();
        return cursor.skip();
    }
    if let Some(id) = marks.href
        && !matches!(ty, Type::Structure(shape) if shape.has_href())
    {
        cursor.skip()?;
        return referred(cursor, references, id, ty, target);
    }
    // nearly every value, opened once
    if let Type::Xsd(xsd) = ty {
        return scalar(cursor, marks.ty, xsd, target);
    }
    match (ty, target.open()) {
        (Type::Structure(_), Slot::Structure(target)) => structure(cursor, references, tag, target),
        (Type::Array(item), Slot::List(list)) => array(cursor, references, marks, *item, list),
        (Type::Items(items) | Type::NamedArray(items), Slot::List(list)) => {
            array(cursor, references, marks, items.ty, list)
        }
        (Type::List(_), Slot::List(_)) => {
            let whole = cursor.text()?;
            text(cursor, whole, marks.ty, ty, target)
        }
        (Type::Raw, _) => raw(cursor, tag, target),
        (Type::Any, Slot::Any(any)) => {
            *any = tree(cursor, references, marks)?;
            Ok(())
        }
        // a table that contradicts its type: generated code can't, and hand-written code sees its value missing
        _ => cursor.skip(),
    }
}
