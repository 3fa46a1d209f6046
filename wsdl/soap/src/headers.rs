//! Header blocks with their types: what came in beside a message, what goes out beside it.

use std::any::Any as StdAny;
use std::fmt;

use crate::{Envelope, Header, Raw, ReadError, Structure, show};

/// Header blocks, each of a type that the definition declares.
///
/// Blocks are told apart by their types, as an operation rarely declares two of one type; where it does, by their
/// elements' names.
#[derive(Default)]
pub struct Headers {
    blocks: Vec<Block>,
    others: Vec<Raw>,
}

struct Block {
    /// Of its element; `None` where its type says it.
    name: Option<&'static str>,
    block: Box<dyn Structure>,
}

/// A block that the operation doesn't declare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the definition declares no header of type {0} here")]
pub struct Undeclared(pub &'static str);

impl Headers {
    /// The block of type `T`, the first if there are several.
    pub fn get<T: Structure>(&self) -> Option<&T> {
        self.blocks.iter().find_map(|block| downcast(&*block.block))
    }

    /// The block of type `T` in the element `name`.
    pub fn named<T: Structure>(&self, name: &str) -> Option<&T> {
        let named = self.blocks.iter().filter(|block| block.name == Some(name));
        named.into_iter().find_map(|block| downcast(&*block.block))
    }

    /// Sets the block of its type.
    pub fn set<T: Structure>(&mut self, block: T) {
        self.put(None, block);
    }

    /// Sets the block in the element `name`, where several elements are of its type.
    pub fn set_named<T: Structure>(&mut self, name: &'static str, block: T) {
        self.put(Some(name), block);
    }

    /// The blocks of a message that the operation doesn't declare, as they stand.
    pub fn others(&self) -> &[Raw] {
        &self.others
    }

    /// Whether there are none that are declared.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// All that are declared, in order.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Structure> {
        self.blocks.iter().map(|block| &*block.block)
    }

    fn put<T: Structure>(&mut self, name: Option<&'static str>, block: T) {
        self.blocks.retain(|old| old.name != name || downcast::<T>(&*old.block).is_none());
        self.blocks.push(Block { name, block: Box::new(block) });
    }

    /// Those of the declared blocks that the message has, and the others as they stand.
    pub(crate) fn read(declared: &'static [Header], envelope: &Envelope<'_>) -> Result<Self, ReadError> {
        let mut headers = Self::default();
        for (index, header) in declared.iter().enumerate() {
            let same = |other: &Header| (other.name, other.namespace) == (header.name, header.namespace);
            if declared[..index].iter().any(same) {
                continue;
            }
            let mut block = (header.empty)();
            if envelope.declared(header, &mut *block)? {
                headers.blocks.push(Block { name: Some(header.name), block });
            }
        }
        headers.others = envelope.undeclared(declared)?;
        Ok(headers)
    }

    /// Those that are none of `declared`, which an answer can't have: [`crate::Operation::output_headers`], or a
    /// fault's.
    pub fn undeclared(&self, declared: &'static [Header]) -> Vec<Undeclared> {
        self.blocks.iter().filter_map(|block| block.element(declared).err()).collect()
    }

    /// The element of each.
    pub(crate) fn declared(
        &self,
        declared: &'static [Header],
    ) -> Result<Vec<(&'static Header, &dyn Structure)>, Undeclared> {
        self.blocks.iter().map(|block| Ok((block.element(declared)?, &*block.block))).collect()
    }

    /// The element of each that has one.
    pub(crate) fn as_far_as(&self, declared: &'static [Header]) -> Vec<(&'static Header, &dyn Structure)> {
        let known = |block| Some((Block::element(block, declared).ok()?, &*block.block));
        self.blocks.iter().filter_map(known).collect()
    }
}

impl Block {
    fn element(&self, declared: &'static [Header]) -> Result<&'static Header, Undeclared> {
        let shape = self.block.shape();
        let of_type = |header: &&Header| std::ptr::eq(header.shape, shape);
        let of_name = |header: &&Header| self.name.is_none_or(|name| name == header.name);
        declared.iter().find(|header| of_type(header) && of_name(header)).ok_or(Undeclared(shape.name))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Shown<'a>(&'a dyn Structure);
        impl fmt::Debug for Shown<'_> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(self.0, formatter)
            }
        }
        formatter.debug_list().entries(self.iter().map(Shown)).finish()
    }
}

fn downcast<T: Structure>(structure: &dyn Structure) -> Option<&T> {
    (structure as &dyn StdAny).downcast_ref()
}
