//! Members without an element of their own: choices and groups, whose elements stand among the structure's.

use super::array::push;
use super::{References, value};
use crate::cursor::{Cursor, Tag};
use crate::error::ReadError;
use crate::shape::inline_shape;
use crate::{Place, Shape, Slot, Type, Value};

/// Where an element of an inline member stands: the position of the member, and those inside it, one for each level
/// that has no element of its own.
#[derive(Default)]
pub(super) struct Path {
    positions: Vec<usize>,
}

impl Path {
    pub(super) fn of(&self, index: usize, ty: Type, name: &str) -> Path {
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
pub(super) fn inline<'a>(
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
