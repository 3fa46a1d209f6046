//! Values that stand elsewhere in the document (SOAP 1.1 §5.4.1).

use super::value;
use crate::cursor::{Cursor, Tag, Token, ids};
use crate::error::{ReadError, ReadErrorKind};
use crate::{Type, Value};

/// What references need: where the elements with ids are, and which are being read just now.
#[derive(Default)]
pub(crate) struct References {
    ids: Option<Vec<(String, usize)>>,
    active: Vec<String>,
}

/// A value that stands elsewhere in the document (SOAP 1.1 §5.4.1).
pub(super) fn referred(
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
