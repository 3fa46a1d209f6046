//! The third stage: what the definitions mean. Every name has been looked up, every type is one of few kinds.

mod builtin;
mod cycles;
mod merge;
mod operations;
mod types;

use std::collections::HashSet;

use crate::diagnostic::{At, Diagnostics};
use crate::load::Loaded;
use crate::parse::Parsed;
use crate::xml::QName;

pub(crate) use builtin::Simple;

/// All that is to be generated.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) structures: Vec<Structure>,
    pub(crate) services: Vec<Service>,
}

/// A structure.
#[derive(Debug, Clone)]
pub(crate) struct Structure {
    pub(crate) name: QName,
    pub(crate) at: At,
    pub(crate) origin: Origin,
    pub(crate) documentation: String,
    pub(crate) members: Vec<Member>,
    /// Of [`Model::services`]: the one that keeps it to itself, because an earlier definition means something
    /// else by the same name.
    pub(crate) home: Option<usize>,
}

/// Where a [`Structure`]'s name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// The definition names it.
    Named,
    /// Made from the names around a type without one.
    Inline,
    /// Made from a message that isn't one structure by itself.
    Message,
}

/// A member of a [`Structure`].
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) at: At,
    pub(crate) ty: Type,
    pub(crate) optional: bool,
    pub(crate) nillable: bool,
    /// Stands behind a pointer: the structure would hold itself otherwise.
    pub(crate) boxed: bool,
    pub(crate) documentation: String,
}

/// What a member or an item holds.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    Simple(Simple),
    /// Of [`Model::structures`].
    Structure(usize),
    Array(Box<Type>),
    Repeated(Box<Type>),
    Any,
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// As in the definition.
    pub(crate) name: String,
    pub(crate) documentation: String,
    pub(crate) operations: Vec<Operation>,
}

/// An operation that can be served: rpc/encoded over SOAP 1.1, for now.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) action: String,
    pub(crate) documentation: String,
    pub(crate) header: Option<Header>,
    pub(crate) input: Part,
    pub(crate) output: Part,
}

/// What goes in or comes out.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Of the accessor; empty when the structure's members are themselves the parts.
    pub(crate) name: String,
    /// Of [`Model::structures`].
    pub(crate) structure: usize,
}

/// A header block.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// Of [`Model::structures`].
    pub(crate) structure: usize,
}

/// One definition's share of the model, before definitions are brought together.
#[derive(Debug, Default)]
struct UnitModel {
    structures: Vec<Structure>,
    services: Vec<Service>,
}

/// Resolves every unit and brings them together.
pub(crate) fn resolve(loaded: &Loaded, parsed: &[Parsed], diagnostics: &mut Diagnostics) -> Model {
    let mut units = Vec::new();
    let mut services_seen = HashSet::new();
    for unit in &loaded.units {
        let documents: Vec<_> = unit.documents.iter().filter_map(|index| parsed.get(*index)).collect();
        let file = unit.documents.first().and_then(|index| loaded.documents.get(*index)).map(|it| it.file);
        let stem = file.and_then(|file| diagnostics.path(file).file_stem());
        let stem = stem.unwrap_or_default().to_string_lossy().into_owned();
        let mut types = types::Types::new(&documents, diagnostics);
        types.all_named();
        let services = operations::services(&documents, &stem, &mut types, &mut services_seen);
        units.push(UnitModel { structures: types.finish(), services });
    }
    let mut model = merge::merge(units, diagnostics);
    cycles::point(&mut model.structures, diagnostics);
    model
}

/// `Structure` members reached without a list in between.
fn direct(ty: &Type) -> Option<usize> {
    match ty {
        Type::Structure(index) => Some(*index),
        Type::Simple(_) | Type::Array(_) | Type::Repeated(_) | Type::Any => None,
    }
}

impl Type {
    /// The structure in it, however deep in lists.
    pub(crate) fn structure(&self) -> Option<usize> {
        match self {
            Type::Structure(index) => Some(*index),
            Type::Array(item) | Type::Repeated(item) => item.structure(),
            Type::Simple(_) | Type::Any => None,
        }
    }

    fn structure_mut(&mut self) -> Option<&mut usize> {
        match self {
            Type::Structure(index) => Some(index),
            Type::Array(item) | Type::Repeated(item) => item.structure_mut(),
            Type::Simple(_) | Type::Any => None,
        }
    }
}
