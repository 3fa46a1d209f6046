//! Members by the names of their elements, for messages in another order.

use super::inline_shape;
use crate::{Member, Place, Shape};

/// Open addressing over the elements' names, built when the first message arrives out of order.
#[derive(Debug)]
pub(super) struct Lookup {
    slots: Box<[u16]>,
    mask: usize,
    /// Names of elements, and the positions of the members that have them.
    names: Box<[(&'static str, u16)]>,
}

const EMPTY: u16 = u16::MAX;

impl Lookup {
    pub(super) fn new(shape: &Shape) -> Self {
        let mut names = Vec::with_capacity(shape.elements);
        for (index, member) in shape.members[..shape.elements].iter().enumerate().take(usize::from(EMPTY)) {
            add_names(member, index as u16, &mut names, 0);
        }
        names.truncate(usize::from(EMPTY));
        let size = (names.len() * 4).next_power_of_two().max(4);
        let mut lookup =
            Self { slots: vec![EMPTY; size].into_boxed_slice(), mask: size - 1, names: names.into() };
        for index in 0..lookup.names.len() {
            let mut slot = hash(lookup.names[index].0.as_bytes()) & lookup.mask;
            while lookup.slots[slot] != EMPTY {
                slot = (slot + 1) & lookup.mask;
            }
            lookup.slots[slot] = index as u16;
        }
        lookup
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let mut slot = hash(name) & self.mask;
        loop {
            let index = self.slots[slot];
            if index == EMPTY {
                return None;
            }
            let (known, position) = self.names[usize::from(index)];
            if known.as_bytes() == name {
                return Some(usize::from(position));
            }
            slot = (slot + 1) & self.mask;
        }
    }
}

/// The names of the elements that a member has: its own, or those of what stands for it. Definitions nest choices a
/// few levels deep; a table by hand that holds itself ends here too.
fn add_names(member: &Member, position: u16, names: &mut Vec<(&'static str, u16)>, depth: usize) {
    match (member.place, inline_shape(member.ty)) {
        (Place::Element, _) => names.push((member.name, position)),
        (Place::Inline, Some(shape)) if depth < 32 => {
            for inner in &shape.members[..shape.elements] {
                add_names(inner, position, names, depth + 1);
            }
        }
        _ => {}
    }
}

/// Names are the definition's own, so a weak hash is no way in for an attacker: a foreign name costs one miss.
fn hash(name: &[u8]) -> usize {
    name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }) as usize
}
