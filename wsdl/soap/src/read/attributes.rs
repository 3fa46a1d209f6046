//! The attributes of a structure's element.

use std::borrow::Cow;

use super::simple::text;
use crate::cursor::{Cursor, Kind, Tag};
use crate::envelope::{SOAP_1_1, SOAP_1_2};
use crate::error::{ReadError, ReadErrorKind};
use crate::{Member, Place, Slot, Structure, Table};

/// Reads the attributes of a structure's element.
pub(super) fn attributes<'a>(
    cursor: &mut Cursor<'a>,
    tag: &Tag<'a>,
    target: &mut dyn Structure,
) -> Result<(), ReadError> {
    let shape = target.shape();
    let table: &Table = shape;
    let mut others = String::new();
    let mut hint = table.elements;
    let entries = cursor.entries(tag);
    for entry in &entries {
        // nearly every attribute is what it looks like
        if let Some(value) = entry.unprefixed()
            && let Some(index) = plain_attribute(table, entry.key, hint)
        {
            hint = index + 1;
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
        // SOAP's own are members only where a definition says so (`mustUnderstand` in a header of TR-069)
        let of_soap = matches!(&*attribute.namespace, SOAP_1_1 | SOAP_1_2);
        match first.filter(exact).or_else(|| named.find(exact)).or(first.filter(|_| !of_soap)) {
            Some(index) => {
                let member = &shape.members[index];
                text(cursor, attribute.value, Kind::Other, member.ty, target.member_mut(index))
                    .map_err(|error| error.inside(member.name))?;
            }
            None if shape.other_attributes.is_some() && !of_soap => attribute.append(&mut others),
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

/// The attribute of this name that is in no namespace; `hint` is where it usually stands.
fn plain_attribute(table: &Table, name: &str, hint: usize) -> Option<usize> {
    let is_it = |member: &Member| {
        member.name == name
            && member.place == Place::Attribute
            && member.namespace.is_none_or(|namespace| namespace.is_empty())
    };
    if table.members.get(hint).is_some_and(is_it) {
        return Some(hint);
    }
    table.members[table.elements..].iter().position(is_it).map(|index| table.elements + index)
}
