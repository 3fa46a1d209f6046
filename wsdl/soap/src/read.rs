//! The reading engine: follows a table through the tokens, whatever order, prefixes and habits they come with.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cursor::{Cursor, Kind, Marks, Tag, Token, ids};
use crate::error::{ReadError, ReadErrorKind};
use crate::shape::inline_shape;
use crate::{Any, Invalid, List, Member, Place, Scalar, Shape, Slot, Structure, Table, Type, Value, Xsd};

/// What references need: where the elements with ids are, and which are being read just now.
#[derive(Default)]
pub(crate) struct References {
    ids: Option<Vec<(String, usize)>>,
    active: Vec<String>,
}

/// Reads a structure: the attributes of its element, and the members up to its end.
pub(crate) fn structure<'a>(
    cursor: &mut Cursor<'a>,
    references: &mut References,
    tag: &Tag<'a>,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    let shape = target.shape();
    if shape.derived {
        // a type that the definition doesn't have is read as the first, the base of the others
        let chosen = tag.type_name().and_then(|name| shape.position(name.as_bytes(), 0)).unwrap_or(0);
        return match target.member_mut(chosen).open() {
            Slot::Structure(target) => structure(cursor, references, tag, target),
            _ => cursor.skip(),
        };
    }
    if shape.has_more_than_elements() {
        attributes(cursor, tag, target)?;
        if let Some(index) = shape.text.filter(|_| shape.elements == 0) {
            let member = &shape.members[index];
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
    let mut hint = 0;
    let mut path = Path::default();
    let mut text = String::new();
    loop {
        let token = match first.take() {
            Some(tag) => Token::Start(tag),
            None => cursor.next()?,
        };
        match token {
            Token::Start(_) if kind == Kind::Map => map_item(cursor, references, target)?,
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

/// Where an element of an inline member stands: the position of the member, and those inside it, one for each level
/// that has no element of its own.
#[derive(Default)]
struct Path {
    positions: Vec<usize>,
}

impl Path {
    fn of(&self, index: usize, ty: Type, name: &str) -> Path {
        let mut positions = vec![index];
        let mut next = inline_shape(ty);
        while let Some(shape) = next {
            let Some(index) = shape.position(name.as_bytes(), 0) else { break };
            positions.push(index);
            let member = &shape.members[index];
            next = inline_shape(member.ty).filter(|_| member.place == Place::Inline);
        }
        Path { positions }
    }
}

/// Reads an element of a member that has none of its own; of a list of those, into the last item or a new one.
fn inline<'a>(
    cursor: &mut Cursor<'a>,
    references: &mut References,
    tag: &Tag<'a>,
    ty: Type,
    target: &mut dyn Value,
    (last, next): (&Path, &Path),
    level: usize,
) -> Result<(), ReadError> {
    let Some(index) = next.positions.get(level).copied() else { return cursor.skip() };
    let shape = inline_shape(ty);
    let target = match target.open() {
        Slot::List(list) => {
            if list.is_empty() || !goes_on(shape, last, next, level) {
                push(cursor, list)?;
            }
            let end = list.len() - 1;
            list.item_mut(end)
        }
        _ => target,
    };
    let Slot::Structure(structure) = target.open() else { return cursor.skip() };
    let Some(member) = structure.shape().members.get(index) else { return cursor.skip() };
    let target = structure.member_mut(index);
    if member.place == Place::Inline {
        return inline(cursor, references, tag, member.ty, target, (last, next), level + 1);
    }
    value(cursor, references, tag, member.ty, target).map_err(|error| error.inside(member.name))
}

/// Whether an element belongs to the item that the last one went into: it may stand behind that one.
fn goes_on(shape: Option<&'static Shape>, last: &Path, next: &Path, level: usize) -> bool {
    let Some(shape) = shape else { return false };
    if last.positions.get(..level) != next.positions.get(..level) {
        return false;
    }
    let (Some(before), Some(now)) = (last.positions.get(level), next.positions.get(level)) else {
        return false;
    };
    let member = &shape.members[*now];
    if before != now {
        return now > before && !shape.choice;
    }
    match member.place {
        Place::Inline => {
            matches!(member.ty, Type::Repeated(_)) || goes_on(inline_shape(member.ty), last, next, level + 1)
        }
        _ => matches!(member.ty, Type::Repeated(_)),
    }
}

/// Reads the attributes of a structure's element.
fn attributes<'a>(
    cursor: &mut Cursor<'a>,
    tag: &Tag<'a>,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    let shape = target.shape();
    let table: &Table = shape;
    let mut others = String::new();
    let entries = cursor.entries(tag);
    for entry in &entries {
        // nearly every attribute is what it looks like
        if let Some(value) = entry.unprefixed()
            && let Some(index) = plain_attribute(table, entry.key)
        {
            cursor.limit_value(value.len())?;
            let member = &table.members[index];
            text(cursor, Cow::Borrowed(value), Kind::Other, member.ty, target.member_mut(index))
                .map_err(|error| error.inside(member.name))?;
            continue;
        }
        let Some(attribute) = cursor.attribute(tag, *entry)? else { continue };
        let of_name = |index: &usize| {
            let member = &shape.members[*index];
            member.place == Place::Attribute && member.name == attribute.local
        };
        let mut named = (shape.elements..shape.members.len()).filter(of_name);
        let first = named.next();
        // an xml:lang beside a lang
        let exact = |index: &usize| shape.namespace_of(&shape.members[*index]) == attribute.namespace;
        match first.filter(exact).or_else(|| named.find(exact)).or(first) {
            Some(index) => {
                let member = &shape.members[index];
                text(cursor, attribute.value, Kind::Other, member.ty, target.member_mut(index))
                    .map_err(|error| error.inside(member.name))?;
            }
            None if shape.other_attributes.is_some() => attribute.append(&mut others),
            None => {}
        }
    }
    cursor.keep(entries);
    if let (Some(index), false) = (shape.other_attributes, others.is_empty())
        && let Slot::Scalar(scalar) = target.member_mut(index).open()
    {
        scalar
            .read(Cow::Owned(others))
            .map_err(|invalid| cursor.error(ReadErrorKind::Value(String::new(), invalid)))?;
    }
    Ok(())
}

/// The attribute of this name that is in no namespace.
fn plain_attribute(table: &Table, name: &str) -> Option<usize> {
    let is_it = |member: &Member| {
        member.name == name
            && member.place == Place::Attribute
            && member.namespace.is_none_or(|namespace| namespace.is_empty())
    };
    table.members[table.elements..].iter().position(is_it).map(|index| table.elements + index)
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
    if let (Type::Repeated(item), Slot::List(list)) = (ty, target.open()) {
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
    match (ty, target.open()) {
        (Type::Xsd(xsd), _) => scalar(cursor, marks.ty, xsd, target),
        (Type::Structure(_), Slot::Structure(target)) => structure(cursor, references, tag, target),
        (Type::Array(item), Slot::List(list)) => array(cursor, references, marks, *item, list),
        (Type::Items(items), Slot::List(list)) => array(cursor, references, marks, items.ty, list),
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

/// A simple value. An empty element is the empty string for text, and nothing for a number or a date.
fn scalar(cursor: &mut Cursor<'_>, kind: Kind, xsd: Xsd, target: &mut dyn Value) -> Result<(), ReadError> {
    let whole = cursor.text()?;
    simple(cursor, whole, kind, xsd, target)
}

/// Reads a text that is a simple value or a list of them.
fn text(
    cursor: &mut Cursor<'_>,
    text: Cow<'_, str>,
    kind: Kind,
    ty: Type,
    target: &mut dyn Value,
) -> Result<(), ReadError> {
    match (ty, target.open()) {
        (Type::List(item), Slot::List(list)) => {
            for word in text.split_ascii_whitespace() {
                let Type::Xsd(xsd) = *item else { continue };
                let target = push(cursor, list)?;
                simple(cursor, Cow::Borrowed(word), Kind::Other, xsd, target)?;
            }
            Ok(())
        }
        (Type::Xsd(xsd), _) => simple(cursor, text, kind, xsd, target),
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
    if !xsd.is_text() && is_nothing(text.trim()) {
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
    follow(cursor, references, id, |fork, references, tag| value(fork, references, &tag, ty, target))
}

/// Opens a cursor at the element with `id` and lets `read` read it; refuses missing ones and cycles.
pub(crate) fn follow<'a, T>(
    cursor: &mut Cursor<'a>,
    references: &mut References,
    id: &str,
    read: impl FnOnce(&mut Cursor<'a>, &mut References, Tag<'a>) -> Result<T, ReadError>,
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
    let read = read(&mut fork, references, tag);
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
