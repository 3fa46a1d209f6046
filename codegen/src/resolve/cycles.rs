//! Where a structure would hold itself: a pointer has to stand in between.

use super::{Kind, Member, Structure, direct};
use crate::diagnostic::Diagnostics;

/// Marks the members that need a pointer.
///
/// A member that may be missing is the place for it. A circle of members that must all be there can't be filled
/// in by anything finite, so there one of them may be missing after all.
pub(super) fn point(structures: &mut [Structure], diagnostics: &mut Diagnostics) {
    start(structures);
    loosen(structures, diagnostics);
    let edges: Vec<Vec<usize>> = structures
        .iter()
        // the types of a choice of types stand behind pointers in any case
        .map(|structure| if structure.kind == Kind::Derived { Vec::new() } else { held(structure) })
        .collect();
    for (index, structure) in structures.iter_mut().enumerate() {
        let derived = structure.kind == Kind::Derived;
        let choice = matches!(structure.kind, Kind::Choice { .. });
        for member in &mut structure.members {
            let holds_itself = direct(&member.ty).is_some_and(|target| reaches(&edges, target, index));
            member.boxed = derived || (holds_itself && (choice || can_be_missing(member)));
        }
    }
}

fn held(structure: &Structure) -> Vec<usize> {
    structure.members.iter().filter_map(|member| direct(&member.ty)).collect()
}

/// Has each choice start as something that doesn't hold another of it.
fn start(structures: &mut [Structure]) {
    let required: Vec<Vec<usize>> = structures.iter().map(required_edges).collect();
    for (index, structure) in structures.iter_mut().enumerate() {
        let Kind::Choice { default } = structure.kind else { continue };
        let circular = |member: &Member| {
            direct(&member.ty)
                .is_some_and(|target| !can_be_missing(member) && reaches(&required, target, index))
        };
        if structure.members.get(default).is_some_and(circular)
            && let Some(other) = structure.members.iter().position(|member| !circular(member))
        {
            structure.kind = Kind::Choice { default: other };
        }
    }
}

/// Makes a member optional wherever only required ones lead back to where they started.
fn loosen(structures: &mut [Structure], diagnostics: &mut Diagnostics) {
    let mut required: Vec<Vec<usize>> = structures.iter().map(required_edges).collect();
    for index in 0..structures.len() {
        if structures[index].kind != Kind::Structure {
            continue;
        }
        for member in 0..structures[index].members.len() {
            let Some(target) = direct(&structures[index].members[member].ty) else { continue };
            if can_be_missing(&structures[index].members[member]) || !reaches(&required, target, index) {
                continue;
            }
            let name = structures[index].name.local.clone();
            let member = &mut structures[index].members[member];
            member.optional = true;
            diagnostics.warning(
                member.at,
                format!(
                    "member `{}` of `{name}` is taken as optional: it holds itself without end",
                    member.name
                ),
                "give it minOccurs=\"0\"",
            );
            required[index] = required_edges(&structures[index]);
        }
    }
}

/// What an empty one of it holds.
fn required_edges(structure: &Structure) -> Vec<usize> {
    let first = match structure.kind {
        Kind::Choice { default } => structure.members.get(default),
        Kind::Derived => structure.members.first(),
        _ => None,
    };
    let members: Vec<&Member> = match structure.kind {
        Kind::Structure => structure.members.iter().collect(),
        _ => first.into_iter().collect(),
    };
    members
        .into_iter()
        .filter(|member| !can_be_missing(member))
        .filter_map(|member| direct(&member.ty))
        .collect()
}

fn can_be_missing(member: &Member) -> bool {
    member.optional || member.nillable
}

/// Whether `to` can be reached from `from`, which may be the same.
fn reaches(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; edges.len()];
    let mut open = vec![from];
    while let Some(index) = open.pop() {
        if index == to {
            return true;
        }
        if !std::mem::replace(&mut seen[index], true) {
            open.extend(&edges[index]);
        }
    }
    false
}
