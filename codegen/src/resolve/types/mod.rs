//! Types by name: what a definition's schemas say, as structures with members in wire order.

mod choices;
mod derived;
mod lookup;
mod members;
mod simple;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::rc::Rc;

use super::{Kind, Member, Missing, Origin, Structure, Type, builtin};
use crate::diagnostic::{At, Diagnostics};
use crate::names;
use crate::parse::schema::{
    Array, AttributeDeclaration, ComplexType, Content, Definition, ElementContent, ElementDeclaration,
    GroupKind, NamedAttributes, NamedGroup, Particle,
};
use crate::parse::{self, Parsed, Reference};
use crate::xml::QName;

/// Arrays of arrays, types made from types and groups in groups may go this deep; more is a circle.
const NESTING_MAX: usize = 32;

/// The types of one definition, resolved as they are asked for.
pub(super) struct Types<'a> {
    named: HashMap<&'a QName, &'a parse::schema::Type>,
    /// What redefined types are made from.
    originals: HashMap<&'a QName, &'a parse::schema::Type>,
    attributes: HashMap<&'a QName, &'a AttributeDeclaration>,
    attribute_groups: HashMap<&'a QName, &'a NamedAttributes>,
    /// By the type that they are derived from, in one step.
    derived: HashMap<&'a QName, Vec<&'a parse::schema::Type>>,
    /// By the element that they may stand for, in one step.
    substitutes: HashMap<&'a QName, Vec<&'a ElementDeclaration>>,
    elements: HashMap<&'a QName, &'a ElementDeclaration>,
    groups: HashMap<&'a QName, &'a NamedGroup>,
    /// What redefined groups refer to by their own name.
    original_groups: HashMap<&'a QName, &'a NamedGroup>,
    original_attribute_groups: HashMap<&'a QName, &'a NamedAttributes>,
    /// In the order of the files.
    order: Vec<&'a parse::schema::Type>,
    structures: Vec<Structure>,
    known: HashMap<Key, usize>,
    /// Structures whose members are still to be found.
    queue: VecDeque<(usize, &'a ComplexType)>,
    made_names: HashSet<Rc<str>>,
    /// Choices of which none may be there.
    optional_choices: HashSet<usize>,
    /// Names looked up so far that are defined nowhere.
    missing: Vec<Missing>,
    pub(super) diagnostics: &'a mut Diagnostics,
}

/// What makes a structure the same one.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Named(QName),
    At(At),
    Derived(usize),
    Substitution(QName),
    Message(QName, bool),
}

impl<'a> Types<'a> {
    pub(super) fn new(documents: &[&'a Parsed], diagnostics: &'a mut Diagnostics) -> Self {
        let mut types = Self {
            named: HashMap::new(),
            originals: HashMap::new(),
            attributes: HashMap::new(),
            attribute_groups: HashMap::new(),
            derived: HashMap::new(),
            substitutes: HashMap::new(),
            elements: HashMap::new(),
            groups: HashMap::new(),
            original_groups: HashMap::new(),
            original_attribute_groups: HashMap::new(),
            order: Vec::new(),
            structures: Vec::new(),
            known: HashMap::new(),
            queue: VecDeque::new(),
            made_names: HashSet::new(),
            optional_choices: HashSet::new(),
            missing: Vec::new(),
            diagnostics,
        };
        for document in documents {
            for schema in &document.schemas {
                for ty in &schema.types {
                    types.declare(ty, document.bundled);
                }
                for element in &schema.elements {
                    types.elements.entry(&element.name).or_insert(element);
                }
                for group in &schema.groups {
                    let is_new = |known: &&NamedGroup| group.redefines && !known.redefines;
                    match types.groups.get(&group.name).copied() {
                        Some(known) if is_new(&known) => {
                            types.original_groups.insert(&group.name, known);
                            types.groups.insert(&group.name, group);
                        }
                        Some(_) => drop(types.original_groups.entry(&group.name).or_insert(group)),
                        None => drop(types.groups.insert(&group.name, group)),
                    }
                }
                for attribute in &schema.attributes {
                    types.attributes.entry(&attribute.name).or_insert(attribute);
                }
                for group in &schema.attribute_groups {
                    let is_new = |known: &&NamedAttributes| group.redefines && !known.redefines;
                    match types.attribute_groups.get(&group.name).copied() {
                        Some(known) if is_new(&known) => {
                            types.original_attribute_groups.insert(&group.name, known);
                            types.attribute_groups.insert(&group.name, group);
                        }
                        Some(_) => drop(types.original_attribute_groups.entry(&group.name).or_insert(group)),
                        None => drop(types.attribute_groups.insert(&group.name, group)),
                    }
                }
            }
        }
        types.relate(documents);
        types
    }

    /// Who is derived from whom, and which element may stand for which.
    fn relate(&mut self, documents: &[&'a Parsed]) {
        for ty in &self.order {
            if let Definition::Complex(complex) = &ty.definition
                && let Content::Members { base: Some(base), .. } | Content::Simple { base: Some(base), .. } =
                    &complex.content
                && base.name != ty.name
            {
                self.derived.entry(&base.name).or_default().push(ty);
            }
        }
        for schema in documents.iter().flat_map(|document| &document.schemas) {
            for element in &schema.elements {
                if let Some(head) = &element.substitutes
                    && self.elements.get(&element.name).is_some_and(|known| known.at == element.at)
                {
                    self.substitutes.entry(&head.name).or_default().push(element);
                }
            }
        }
    }

    fn declare(&mut self, ty: &'a parse::schema::Type, bundled: bool) {
        if builtin::look_up(&ty.name).is_some() {
            return; // a copy of a schema that is known anyway
        }
        if let Some(first) = self.named.get(&ty.name) {
            if first.redefines && !ty.redefines {
                self.originals.insert(&ty.name, ty);
                return;
            }
            if ty.redefines && !first.redefines {
                self.originals.insert(&ty.name, first);
                self.named.insert(&ty.name, ty);
                for known in self.order.iter_mut().filter(|known| known.name == ty.name) {
                    *known = ty;
                }
                return;
            }
            let place = self.diagnostics.place(first.at);
            self.diagnostics.warning(
                ty.at,
                format!("type `{}` is defined a second time; the first, at {place}, counts", ty.name.local),
                "remove one of them",
            );
            return;
        }
        self.named.insert(&ty.name, ty);
        if !bundled {
            self.order.push(ty);
        }
    }

    /// Resolves every structure and enumeration that has a name, used or not.
    pub(super) fn all_named(&mut self) {
        for ty in self.order.clone() {
            match &ty.definition {
                Definition::Complex(complex) => {
                    drop(self.complex(complex, Some(&ty.name), &ty.name.local, 0));
                }
                Definition::Simple(simple) => {
                    drop(self.simple(simple, Some(&ty.name), &ty.name.local, 0));
                }
            }
        }
        self.settle();
    }

    /// The structures, all members found, and the names that are defined nowhere.
    pub(super) fn finish(mut self) -> (Vec<Structure>, Vec<Missing>) {
        self.settle();
        (self.structures, self.missing)
    }

    fn settle(&mut self) {
        while let Some((index, complex)) = self.queue.pop_front() {
            let before = self.missing.len();
            let members = self.members_of(index, complex);
            self.structures[index].members = members;
            self.note(index, before);
        }
    }

    /// What `reference`, the name of a type, stands for; reported when there is no such type.
    pub(super) fn by_name(&mut self, reference: &Reference) -> Option<Type> {
        self.by_name_at(reference, 0)
    }

    /// What the element named `reference` holds, and the element's own name.
    pub(super) fn by_element(&mut self, reference: &Reference) -> Option<(QName, Type)> {
        let element = self.element(reference)?;
        let ty = self.content(element, &element.name.local, 0)?;
        Some((element.name.clone(), ty))
    }

    /// A structure for a message whose parts aren't one; `in_body` when its members stand beside each other there.
    pub(super) fn message_structure(
        &mut self,
        name: &QName,
        at: At,
        in_body: bool,
        members: Vec<Member>,
    ) -> usize {
        let key = Key::Message(name.clone(), in_body);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        self.add(key, name.clone(), at, Origin::Message, Kind::Structure, String::new(), members)
    }

    /// The choice of what an operation's faults hold.
    pub(super) fn fault_choice(&mut self, name: QName, at: At, members: Vec<Member>) -> usize {
        let key = Key::Named(name.clone());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let kind = Kind::Choice { default: 0 };
        let documentation = String::from("What the detail of a fault may hold.");
        self.add(key, name, at, Origin::Message, kind, documentation, members)
    }

    #[allow(clippy::too_many_arguments)]
    fn add(
        &mut self,
        key: Key,
        name: QName,
        at: At,
        origin: Origin,
        kind: Kind,
        documentation: String,
        members: Vec<Member>,
    ) -> usize {
        let index = self.structures.len();
        self.structures.push(Structure {
            name,
            at,
            origin,
            kind,
            documentation,
            members,
            home: None,
            missing: None,
        });
        self.known.insert(key, index);
        index
    }

    /// `around` names a structure that has no name.
    fn complex(
        &mut self,
        complex: &'a ComplexType,
        name: Option<&QName>,
        around: &str,
        depth: usize,
    ) -> Option<Type> {
        match &complex.content {
            Content::Members { .. } => {
                if let Some(items) = name.and_then(|name| self.items(name, complex)) {
                    let around = format!("{around}{}", names::type_name(&items.name.local));
                    let ty = self.content(items, &around, depth + 1)?;
                    let ty = self.opened(ty);
                    let QName { namespace, local } = items.name.clone();
                    return Some(Type::Items(local, namespace, Box::new(ty)));
                }
                Some(Type::Structure(self.structure(complex, name, around)))
            }
            Content::Array(array) => {
                let item = self.array(array, around, depth)?;
                let item = Box::new(self.opened(item));
                Some(match array.items() {
                    Some(QName { namespace, local }) => {
                        Type::NamedArray(local.clone(), namespace.clone(), item)
                    }
                    None => Type::Array(item),
                })
            }
            Content::Simple { .. } => {
                if self.has_attributes(complex, name) {
                    return Some(Type::Structure(self.structure(complex, name, around)));
                }
                self.text_of(complex, name, around, depth)
            }
        }
    }

    /// The one repeated element of an `ArrayOfX`, which is a list.
    fn items(&self, name: &QName, complex: &'a ComplexType) -> Option<&'a ElementDeclaration> {
        let Content::Members { base: None, group: Some(group), .. } = &complex.content else { return None };
        let plain = !complex.mixed && !complex.is_abstract && !self.has_attributes(complex, Some(name));
        let once = !group.occurs.repeated && group.kind != GroupKind::Choice;
        match group.particles.as_slice() {
            [Particle::Element(element)] if plain && once && element.occurs.repeated => {
                let alone = !self.derived.contains_key(name);
                let substituted = matches!(&element.content, ElementContent::Element(head) if self.substitutes.contains_key(&head.name));
                (name.local.starts_with("ArrayOf") && alone && !substituted).then_some(element)
            }
            _ => None,
        }
    }

    /// The type of an array's items.
    fn array(&mut self, array: &'a Array, around: &str, depth: usize) -> Option<Type> {
        match array {
            Array::Untyped => Some(Type::Any),
            Array::Element(element) => {
                let inner = format!("{around}{}", names::type_name(&element.name.local));
                self.content(element, &inner, depth + 1)
            }
            Array::Typed { item, brackets, .. } => {
                let mut ty = self.by_name_at(item, depth + 1)?;
                let inner = brackets.matches('[').count().saturating_sub(1);
                if brackets.contains(',') {
                    self.diagnostics.warning(
                        item.at,
                        format!(
                            "an array of several dimensions (`{}{brackets}`) is kept as it comes",
                            item.written
                        ),
                        "use an array of arrays to have its items typed",
                    );
                    return Some(Type::Any);
                }
                if self.too_deep(item.at, depth + inner) {
                    return None;
                }
                for _ in 0..inner {
                    ty = Type::Array(Box::new(ty));
                }
                Some(ty)
            }
        }
    }

    fn structure(&mut self, complex: &'a ComplexType, name: Option<&QName>, around: &str) -> usize {
        let key = name.map_or(Key::At(complex.at), |name| Key::Named(name.clone()));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let (name, origin) = match name {
            Some(name) => (name.clone(), Origin::Named),
            None => (self.made(around), Origin::Inline),
        };
        let documentation = complex.documentation.clone();
        let index = self.add(key, name, complex.at, origin, Kind::Structure, documentation, Vec::new());
        self.queue.push_back((index, complex));
        index
    }

    /// A name that nothing else was given, for a type that has none.
    fn made(&mut self, around: &str) -> QName {
        let name = (1_usize..)
            .map(|number| if number == 1 { around.to_owned() } else { format!("{around}{number}") })
            .find(|name| !self.made_names.contains(name.as_str()));
        let local: Rc<str> = Rc::from(name.unwrap_or_default());
        self.made_names.insert(local.clone());
        QName { namespace: Rc::from(""), local }
    }

    /// What an element holds.
    fn content(&mut self, element: &'a ElementDeclaration, around: &str, depth: usize) -> Option<Type> {
        if self.too_deep(element.at, depth) {
            return None;
        }
        match &element.content {
            ElementContent::Type(reference) => self.by_name_at(reference, depth),
            ElementContent::Element(reference) => {
                let element = self.element(reference)?;
                let around = names::type_name(&element.name.local);
                self.content(element, &around, depth + 1)
            }
            ElementContent::Complex(complex) => {
                self.complex(complex, None, &names::type_name(around), depth + 1)
            }
            ElementContent::Simple(simple) => self.simple(simple, None, &names::type_name(around), depth),
            // of the type of what it may stand for (XML Schema 1.0 part 1 §3.3.2)
            ElementContent::Untyped => match &element.substitutes {
                Some(head) => {
                    let head = self.element(head)?;
                    self.content(head, &head.name.local, depth + 1)
                }
                None => Some(Type::Any),
            },
        }
    }

    fn too_deep(&mut self, at: At, depth: usize) -> bool {
        if depth < NESTING_MAX {
            return false;
        }
        self.diagnostics.error(
            at,
            "a type that is made from itself, or nested too deep",
            format!("break the circle; {NESTING_MAX} steps are followed"),
        );
        true
    }
}
