//! A structure in a log: only what is there, and never a secret.

use std::fmt;

use crate::{List, Structure, View};

/// Shows a structure the way `Debug` would, leaving out absent members and masking secret ones.
///
/// Generated types use it for their `Debug`.
///
/// # Errors
/// Those of the formatter.
pub fn show(structure: &dyn Structure, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shape = structure.shape();
    let mut out = formatter.debug_struct(shape.name);
    for (index, member) in shape.members.iter().enumerate() {
        match structure.member(index).view() {
            View::Absent => {}
            View::List(list) if list.is_empty() => {}
            _ if member.secret => drop(out.field(member.name, &format_args!("***"))),
            view => drop(out.field(member.name, &Shown(view))),
        }
    }
    out.finish()
}

struct Shown<'a>(View<'a>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            View::Absent | View::Nil => formatter.write_str("nil"),
            View::Scalar(scalar) => match scalar.as_text() {
                Some(text) => write!(formatter, "{text:?}"),
                None => {
                    let mut text = String::new();
                    scalar.write(&mut text);
                    formatter.write_str(&text)
                }
            },
            View::Structure(structure) => show(structure, formatter),
            View::List(list) => formatter.debug_list().entries(items(list).map(Shown)).finish(),
            View::Any(any) => fmt::Debug::fmt(any, formatter),
        }
    }
}

fn items(list: &dyn List) -> impl Iterator<Item = View<'_>> {
    (0..list.len()).map(|index| list.item(index).view())
}
