//! Whether two structures are equal, by their tables, and where they aren't.

use soapstone_soap::{Member, Preset, Scalar, Structure, View};

/// Nothing, or where they differ and in what.
pub(crate) fn structures(one: &dyn Structure, other: &dyn Structure) -> Result<(), String> {
    let shape = one.shape();
    if !std::ptr::eq(shape, other.shape()) {
        return Err(format!("{} and {}", shape.name, other.shape().name));
    }
    for (index, member) in shape.members.iter().enumerate() {
        views(one.member(index).view(), other.member(index).view(), Some(member))
            .map_err(|why| format!("{}.{why}", member.name))?;
    }
    Ok(())
}

fn views(one: View<'_>, other: View<'_>, member: Option<&Member>) -> Result<(), String> {
    match (one, other) {
        (View::Absent, View::Absent) | (View::Nil, View::Nil) => Ok(()),
        (View::Scalar(one), View::Scalar(other)) => match (text(one), text(other)) {
            (one, other) if one == other => Ok(()),
            (one, other) => Err(format!(" {one:?} became {other:?}")),
        },
        // what isn't there is what the definition says
        (View::Absent, View::Scalar(other)) if member.is_some_and(|it| preset(it, &text(other))) => Ok(()),
        (View::Structure(one), View::Structure(other)) => structures(one, other),
        (View::List(one), View::List(other)) if one.len() == other.len() => {
            for index in 0..one.len() {
                views(one.item(index).view(), other.item(index).view(), None)
                    .map_err(|why| format!("[{index}].{why}"))?;
            }
            Ok(())
        }
        (View::Any(one), View::Any(other)) if one == other => Ok(()),
        (one, other) => Err(format!(" {} became {}", kind(one), kind(other))),
    }
}

fn preset(member: &Member, text: &str) -> bool {
    matches!(member.preset, Some(Preset::Default(known) | Preset::Fixed(known)) if known == text)
}

fn text(scalar: &dyn Scalar) -> String {
    let mut text = String::new();
    scalar.write(&mut text);
    text
}

fn kind(view: View<'_>) -> String {
    match view {
        View::Absent => "nothing".to_owned(),
        View::Nil => "nil".to_owned(),
        View::Scalar(scalar) => format!("{:?}", text(scalar)),
        View::Structure(structure) => format!("a {}", structure.shape().name),
        View::List(list) => format!("{} items", list.len()),
        View::Any(any) => format!("{any:?}"),
    }
}
