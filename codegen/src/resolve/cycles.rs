//! Where a structure would hold itself: a pointer has to stand in between.

use super::{Member, Structure, direct};
use crate::diagnostic::Diagnostics;

/// Marks the members that need a pointer.
///
/// A member that may be missing is the place for it. A circle of members that must all be there can't be filled
/// in by anything finite, so there one of them may be missing after all.
pub(super) fn point(structures: &mut [Structure], diagnostics: &mut Diagnostics) {
    loosen(structures, diagnostics);
    let edges: Vec<Vec<usize>> = structures
        .iter()
        .map(|structure| structure.members.iter().filter_map(|member| direct(&member.ty)).collect())
        .collect();
    for (index, structure) in structures.iter_mut().enumerate() {
        for member in &mut structure.members {
            let holds_itself = direct(&member.ty).is_some_and(|target| reaches(&edges, target, index));
            member.boxed = holds_itself && can_be_missing(member);
        }
    }
}

/// Makes a member optional wherever only required ones lead back to where they started.
fn loosen(structures: &mut [Structure], diagnostics: &mut Diagnostics) {
    let mut required: Vec<Vec<usize>> = structures.iter().map(required_edges).collect();
    for index in 0..structures.len() {
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

fn required_edges(structure: &Structure) -> Vec<usize> {
    let required = structure.members.iter().filter(|member| !can_be_missing(member));
    required.filter_map(|member| direct(&member.ty)).collect()
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
