//! The third stage: what the definitions mean. Every name has been looked up, every type is one of few kinds.

mod builtin;
mod cycles;
mod facets;
mod far;
mod merge;
mod missing;
mod operations;
mod types;

use std::collections::HashSet;
use std::rc::Rc;

use crate::diagnostic::{At, Diagnostics};
use crate::load::Loaded;
use crate::parse::Parsed;
pub(crate) use crate::parse::schema::Preset;
use crate::xml::QName;

pub(crate) use builtin::Simple;
pub(crate) use facets::Facet;

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
    pub(crate) kind: Kind,
    pub(crate) documentation: String,
    pub(crate) members: Vec<Member>,
    /// Of [`Model::services`]: the one that keeps it to itself, because an earlier definition means something
    /// else by the same name.
    pub(crate) home: Option<usize>,
    /// Why it can't be read.
    missing: Option<Missing>,
}

/// A name that is defined nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    /// Where it is used.
    at: At,
    what: String,
    advice: String,
}

impl Model {
    /// Leaves out what isn't among `services` and `operations`, where any are named, and what only those needed.
    pub(crate) fn keep(&mut self, services: &[String], operations: &[String]) {
        if services.is_empty() && operations.is_empty() {
            return;
        }
        let wanted =
            |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
        self.services.retain(|service| wanted(services, &service.name));
        for service in &mut self.services {
            service.operations.retain(|operation| wanted(operations, &operation.name));
        }
        let mut open: Vec<usize> = self.operations().flat_map(Operation::structures).collect();
        let mut positions: Vec<Option<usize>> = vec![None; self.structures.len()];
        while let Some(index) = open.pop() {
            if positions[index].replace(0).is_none() {
                open.extend(self.structures[index].members.iter().filter_map(|member| member.ty.structure()));
            }
        }
        let kept = positions.iter().map(Option::is_some).collect();
        for structure in &mut self.structures {
            // a service that is gone keeps nothing to itself
            structure.home = None;
        }
        self.retain(kept);
    }

    /// Puts pointers where structures are too deep inside of each other; last, so that nothing is for what is gone.
    pub(crate) fn part(&mut self) {
        far::part(&mut self.structures);
    }

    /// Removes the structures that aren't `kept`, which nothing that stays holds.
    fn retain(&mut self, kept: Vec<bool>) {
        let mut positions = Vec::with_capacity(kept.len());
        let mut next = 0;
        for kept in &kept {
            positions.push(next);
            next += usize::from(*kept);
        }
        let moved = |index: &mut usize| *index = positions[*index];
        let mut kept = kept.into_iter();
        self.structures.retain(|_| kept.next().unwrap_or_default());
        for structure in &mut self.structures {
            structure.members.iter_mut().filter_map(|member| member.ty.structure_mut()).for_each(moved);
        }
        for service in &mut self.services {
            service.operations.iter_mut().flat_map(Operation::structures_mut).for_each(moved);
        }
    }

    fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.services.iter().flat_map(|service| &service.operations)
    }
}

/// What a [`Structure`] is in Rust.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// All members.
    Structure,
    /// One of the members: an enum, which starts as the member at `default`.
    Choice { default: usize },
    /// One of the types that `xsi:type` may name: an enum whose members are called like the types.
    Derived,
    /// One of some texts.
    Enumeration(Vec<Text>),
}

/// One value of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) documentation: String,
}

/// Where a [`Member`] stands in its structure's element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// In an element of its name.
    Element,
    /// Directly: what it holds has elements, it has none of its own.
    Inline,
    /// Any element that no other member has.
    Wildcard,
    /// The element's text.
    Text,
    /// An attribute of its name.
    Attribute,
    /// All attributes that no other member has.
    OtherAttributes,
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
    /// Of its element or attribute; empty for an unqualified one.
    pub(crate) namespace: String,
    pub(crate) place: Place,
    pub(crate) at: At,
    pub(crate) ty: Type,
    pub(crate) optional: bool,
    pub(crate) nillable: bool,
    /// Stands behind a pointer: the structure would hold itself otherwise.
    pub(crate) boxed: bool,
    /// The structure in it stands behind a pointer that the compiler doesn't look behind.
    pub(crate) far: bool,
    /// `default` or `fixed`.
    pub(crate) preset: Option<Preset>,
    /// What is demanded of its values.
    pub(crate) facets: Vec<Facet>,
    pub(crate) documentation: String,
}

impl Member {
    /// An element that must be there.
    fn new(name: &QName, at: At, ty: Type) -> Self {
        Self {
            name: name.local.to_string(),
            namespace: name.namespace.to_string(),
            place: Place::Element,
            at,
            ty,
            optional: false,
            nillable: false,
            boxed: false,
            far: false,
            preset: None,
            facets: Vec::new(),
            documentation: String::new(),
        }
    }
}

/// What a member or an item holds.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    Simple(Simple),
    /// Of [`Model::structures`], which is of kind [`Kind::Enumeration`].
    Enumeration(usize),
    /// Simple values with spaces between them.
    List(Box<Type>),
    /// Of [`Model::structures`].
    Structure(usize),
    Array(Box<Type>),
    /// The same, whose items are called so, in this namespace.
    NamedArray(Rc<str>, Rc<str>, Box<Type>),
    /// An element of elements of this name, in this namespace.
    Items(Rc<str>, Rc<str>, Box<Type>),
    Repeated(Box<Type>),
    Any,
    /// XML as it stands: an element, or attributes.
    Raw,
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// Of [`Loaded::units`]: the definition that has it.
    pub(crate) unit: usize,
    /// As in the definition.
    pub(crate) name: String,
    pub(crate) documentation: String,
    pub(crate) operations: Vec<Operation>,
}

/// An operation that can be served.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) name: String,
    /// For a name that several operations have: which of them it is, from 1.
    pub(crate) number: usize,
    pub(crate) namespace: String,
    /// Of an answer's body.
    pub(crate) output_namespace: String,
    pub(crate) action: String,
    pub(crate) documentation: String,
    pub(crate) style: Style,
    pub(crate) soap12: bool,
    /// Another binding has it in SOAP 1.2.
    pub(crate) also_soap12: bool,
    pub(crate) headers: Vec<Header>,
    pub(crate) output_headers: Vec<Header>,
    pub(crate) fault_headers: Vec<Header>,
    pub(crate) input: Part,
    /// `None` for a message without an answer.
    pub(crate) output: Option<Part>,
    /// Of [`Model::structures`]: the choice of what a fault's detail may hold.
    pub(crate) faults: Option<usize>,
}

/// How a body is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Style {
    RpcEncoded,
    RpcLiteral,
    /// With the names of the body's elements; one without a name is none: what is in it stands in the body.
    Document {
        input: QName,
        output: QName,
    },
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

impl Operation {
    /// All of [`Model::structures`] that it names.
    pub(crate) fn structures(&self) -> impl Iterator<Item = usize> {
        let headers = self.headers.iter().chain(&self.output_headers).chain(&self.fault_headers);
        let headers = headers.map(|header| header.structure);
        let parts = std::iter::once(&self.input).chain(&self.output).map(|part| part.structure);
        parts.chain(headers).chain(self.faults)
    }

    fn structures_mut(&mut self) -> impl Iterator<Item = &mut usize> {
        let headers = self.headers.iter_mut().chain(&mut self.output_headers).chain(&mut self.fault_headers);
        let parts = std::iter::once(&mut self.input).chain(&mut self.output);
        parts
            .map(|part| &mut part.structure)
            .chain(headers.map(|header| &mut header.structure))
            .chain(&mut self.faults)
    }
}

/// One definition's share of the model, before definitions are brought together.
#[derive(Debug, Default)]
struct UnitModel {
    structures: Vec<Structure>,
    missing: Vec<Missing>,
    services: Vec<Service>,
}

/// Resolves every unit and brings them together.
pub(crate) fn resolve(loaded: &Loaded, parsed: &[Parsed], diagnostics: &mut Diagnostics) -> Model {
    let mut units = Vec::new();
    let mut services_seen = HashSet::new();
    for (number, unit) in loaded.units.iter().enumerate() {
        let documents: Vec<_> = unit.documents.iter().filter_map(|index| parsed.get(*index)).collect();
        let file = unit.documents.first().and_then(|index| loaded.documents.get(*index)).map(|it| it.file);
        let stem = file.and_then(|file| diagnostics.path(file).file_stem());
        let stem = stem.unwrap_or_default().to_string_lossy().into_owned();
        let mut types = types::Types::new(&documents, diagnostics);
        types.all_named();
        let mut services = operations::services(&documents, &stem, &mut types, &mut services_seen);
        services.iter_mut().for_each(|service| service.unit = number);
        let (mut structures, missing) = types.finish();
        if is_literal(&services) {
            let members = structures.iter_mut().flat_map(|structure| &mut structure.members);
            members.for_each(|member| member.ty.keep_raw());
        }
        units.push(UnitModel { structures, missing, services });
    }
    let missing = units.iter_mut().flat_map(|unit| std::mem::take(&mut unit.missing)).collect();
    let mut model = merge::merge(units, diagnostics);
    let wants_operations = parsed.iter().any(|document| !document.bindings.is_empty());
    missing::leave_out(&mut model, missing, wants_operations, diagnostics);
    cycles::point(&mut model.structures, diagnostics);
    model
}

/// Whether nothing is SOAP-encoded, so that what has no type is XML like any other.
fn is_literal(services: &[Service]) -> bool {
    let mut operations = services.iter().flat_map(|service| &service.operations).peekable();
    operations.peek().is_some() && operations.all(|operation| operation.style != Style::RpcEncoded)
}

/// `Structure` members reached without a list in between.
fn direct(ty: &Type) -> Option<usize> {
    match ty {
        Type::Structure(index) => Some(*index),
        _ => None,
    }
}

impl Type {
    /// The structure or enumeration in it, however deep in lists.
    pub(crate) fn structure(&self) -> Option<usize> {
        match self {
            Type::Structure(index) | Type::Enumeration(index) => Some(*index),
            Type::Array(item)
            | Type::NamedArray(_, _, item)
            | Type::Repeated(item)
            | Type::List(item)
            | Type::Items(_, _, item) => item.structure(),
            Type::Simple(_) | Type::Any | Type::Raw => None,
        }
    }

    fn structure_mut(&mut self) -> Option<&mut usize> {
        match self {
            Type::Structure(index) | Type::Enumeration(index) => Some(index),
            Type::Array(item)
            | Type::NamedArray(_, _, item)
            | Type::Repeated(item)
            | Type::List(item)
            | Type::Items(_, _, item) => item.structure_mut(),
            Type::Simple(_) | Type::Any | Type::Raw => None,
        }
    }

    /// What has no type keeps its namespaces and attributes.
    fn keep_raw(&mut self) {
        match self {
            Type::Any => *self = Type::Raw,
            Type::Repeated(item) | Type::Items(_, _, item) => item.keep_raw(),
            _ => {}
        }
    }

    /// Whether it is a simple value, or a list of them in one text.
    fn is_simple(&self) -> bool {
        matches!(self, Type::Simple(_) | Type::Enumeration(_) | Type::List(_))
    }
}
