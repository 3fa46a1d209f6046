//! Structures that are deep inside of each other: somewhere in between stands a pointer that the compiler doesn't look
//! behind.
//!
//! Whether a structure is `Send`, and what drops with it, rustc finds out by going through all that it holds, in
//! definitions of many types that name each other through hundreds of them. After 128 levels it gives up
//! (`recursion_limit`), in the generated crate and in each that uses its types; nothing but an attribute at the root of
//! that very crate could change it, and a generated file isn't one.

use super::{Structure, Type};

/// How many levels rustc may have to go down from any structure. What a program holds structures in (futures that wait
/// for others, mostly) takes the rest of its 128.
const DEEPEST: usize = 96;

/// A member that holds a structure.
struct Edge {
    member: usize,
    target: usize,
    /// How many levels the structure is below the one that holds it.
    levels: usize,
}

/// Marks the members whose structure has to be far away.
pub(super) fn part(structures: &mut [Structure]) {
    let mut search = Search {
        edges: structures.iter().map(edges).collect(),
        seen: vec![0; structures.len()],
        number: 0,
        cut: Vec::new(),
    };
    // what is cut here may be reached elsewhere, by a longer way
    while search.all() {
        for (index, member) in search.cut.drain(..) {
            structures[index].members[member].far = true;
        }
    }
}

fn edges(structure: &Structure) -> Vec<Edge> {
    let held = structure.members.iter().enumerate().filter_map(|(member, it)| {
        let (target, below) = levels(&it.ty)?;
        // an `Option` around it, which a list has none of; what a box is made of
        let around = usize::from(below == 0 && (it.optional || it.nillable)) + 2 * usize::from(it.boxed);
        Some(Edge { member, target, levels: 1 + around + below })
    });
    held.collect()
}

/// The structure in a type, and how many levels below.
fn levels(ty: &Type) -> Option<(usize, usize)> {
    match ty {
        Type::Structure(index) => Some((*index, 0)),
        // `Vec`, what it is made of, and what stands for the items in that
        Type::Array(item)
        | Type::NamedArray(_, _, item)
        | Type::Repeated(item)
        | Type::List(item)
        | Type::Items(_, _, item) => levels(item).map(|(index, levels)| (index, levels + 3)),
        Type::Enumeration(_) | Type::Simple(_) | Type::Any | Type::Raw => None,
    }
}

/// Goes the way that rustc goes: members in their order, and no structure twice.
struct Search {
    edges: Vec<Vec<Edge>>,
    /// The number of the search that each was seen in last.
    seen: Vec<usize>,
    number: usize,
    cut: Vec<(usize, usize)>,
}

impl Search {
    /// From every structure, as anything may be the first that is asked for; whether something had to be cut.
    fn all(&mut self) -> bool {
        for index in 0..self.edges.len() {
            self.number += 1;
            self.below(index, 1);
        }
        !self.cut.is_empty()
    }

    fn below(&mut self, index: usize, level: usize) {
        self.seen[index] = self.number;
        let mut edges = std::mem::take(&mut self.edges[index]);
        edges.retain(|edge| {
            if self.seen[edge.target] == self.number {
                return true;
            }
            let level = level + edge.levels;
            if level > DEEPEST {
                self.cut.push((index, edge.member));
                return false;
            }
            self.below(edge.target, level);
            true
        });
        self.edges[index] = edges;
    }
}
