//! Types by name: what a definition's schemas say, as structures with members in wire order.

mod members;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::rc::Rc;

use super::{Member, Origin, Structure, Type, builtin};
use crate::diagnostic::{At, Diagnostics};
use crate::names;
use crate::parse::schema::{
    Array, ComplexType, Content, Definition, ElementContent, ElementDeclaration, NamedGroup, SimpleBase,
    SimpleType,
};
use crate::parse::{self, Parsed, Reference};
use crate::xml::QName;

/// Arrays of arrays, types made from types and groups in groups may go this deep; more is a circle.
const NESTING_MAX: usize = 32;

/// With more problems than this the nearest name is no longer looked for: it is the import that is missing.
const SUGGESTIONS_MAX: usize = 50;

/// The types of one definition, resolved as they are asked for.
pub(super) struct Types<'a> {
    named: HashMap<&'a QName, &'a parse::schema::Type>,
    elements: HashMap<&'a QName, &'a ElementDeclaration>,
    groups: HashMap<&'a QName, &'a NamedGroup>,
    /// In the order of the files.
    order: Vec<&'a parse::schema::Type>,
    structures: Vec<Structure>,
    known: HashMap<Key, usize>,
    /// Structures whose members are still to be found.
    queue: VecDeque<(usize, &'a ComplexType)>,
    made_names: HashSet<Rc<str>>,
    pub(super) diagnostics: &'a mut Diagnostics,
}

/// What makes a structure the same one.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Named(QName),
    At(At),
}

impl<'a> Types<'a> {
    pub(super) fn new(documents: &[&'a Parsed], diagnostics: &'a mut Diagnostics) -> Self {
        let mut types = Self {
            named: HashMap::new(),
            elements: HashMap::new(),
            groups: HashMap::new(),
            order: Vec::new(),
            structures: Vec::new(),
            known: HashMap::new(),
            queue: VecDeque::new(),
            made_names: HashSet::new(),
            diagnostics,
        };
        for schema in documents.iter().flat_map(|document| &document.schemas) {
            for ty in &schema.types {
                types.declare(ty);
            }
            for element in &schema.elements {
                types.elements.entry(&element.name).or_insert(element);
            }
            for group in &schema.groups {
                types.groups.entry(&group.name).or_insert(group);
            }
        }
        types
    }

    fn declare(&mut self, ty: &'a parse::schema::Type) {
        if builtin::look_up(&ty.name).is_some() {
            return; // a copy of a schema that is known anyway
        }
        if let Some(first) = self.named.get(&ty.name) {
            let place = self.diagnostics.place(first.at);
            self.diagnostics.warning(
                ty.at,
                format!("type `{}` is defined a second time; the first, at {place}, counts", ty.name.local),
                "remove one of them",
            );
            return;
        }
        self.named.insert(&ty.name, ty);
        self.order.push(ty);
    }

    /// Resolves every structure that has a name, used or not.
    pub(super) fn all_named(&mut self) {
        for ty in self.order.clone() {
            if let Definition::Complex(complex) = &ty.definition {
                match &complex.content {
                    Content::Members { .. } => drop(self.structure(&ty.name, complex)),
                    Content::Array(array) => drop(self.array(array, &ty.name.local, 0)),
                    Content::Simple { .. } => {}
                }
            }
        }
        self.settle();
    }

    /// The structures, all members found.
    pub(super) fn finish(mut self) -> Vec<Structure> {
        self.settle();
        self.structures
    }

    fn settle(&mut self) {
        while let Some((index, complex)) = self.queue.pop_front() {
            let members = self.members_of(index, complex);
            self.structures[index].members = members;
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

    /// A structure for a message whose parts aren't one.
    pub(super) fn message_structure(&mut self, name: &QName, at: At, members: Vec<Member>) -> usize {
        if let Some(known) = self.known.get(&Key::At(at)) {
            return *known;
        }
        let index = self.structures.len();
        self.structures.push(Structure {
            name: name.clone(),
            at,
            origin: Origin::Message,
            documentation: String::new(),
            members,
            home: None,
        });
        self.known.insert(Key::At(at), index);
        index
    }

    fn by_name_at(&mut self, reference: &Reference, depth: usize) -> Option<Type> {
        if self.too_deep(reference.at, depth) {
            return None;
        }
        match builtin::look_up(&reference.name) {
            Some(Some(ty)) => return Some(ty),
            Some(None) => {
                let message = format!("`{}` is none of the types of XML Schema", reference.written);
                self.diagnostics.error(
                    reference.at,
                    message,
                    "name one of them, such as string, int or dateTime",
                );
                return None;
            }
            None => {}
        }
        let Some(ty) = self.named.get(&reference.name).copied() else {
            self.unknown(reference, "type");
            return None;
        };
        match &ty.definition {
            Definition::Complex(complex) => self.complex(complex, Some(&ty.name), &ty.name.local, depth),
            Definition::Simple(simple) => self.simple(simple, depth),
        }
    }

    /// `around` names a structure that has no name.
    fn complex(
        &mut self,
        complex: &'a ComplexType,
        name: Option<&QName>,
        around: &str,
        depth: usize,
    ) -> Option<Type> {
        match (&complex.content, name) {
            (Content::Members { .. }, Some(name)) => Some(Type::Structure(self.structure(name, complex))),
            (Content::Members { .. }, None) => Some(Type::Structure(self.inline(complex, around))),
            (Content::Array(array), _) => {
                self.array(array, around, depth).map(|item| Type::Array(Box::new(item)))
            }
            (Content::Simple { base: Some(base) }, _) => self.by_name_at(base, depth + 1),
            (Content::Simple { base: None }, _) => Some(Type::Simple(builtin::Simple::String)),
        }
    }

    fn simple(&mut self, simple: &'a SimpleType, depth: usize) -> Option<Type> {
        let mut simple = simple;
        loop {
            match &simple.base {
                SimpleBase::Restriction(base) => return self.by_name_at(base, depth + 1),
                SimpleBase::Inline(inner) => simple = inner,
                SimpleBase::Text => return Some(Type::Simple(builtin::Simple::String)),
            }
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
            Array::Typed { item, brackets } => {
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

    fn structure(&mut self, name: &QName, complex: &'a ComplexType) -> usize {
        let key = Key::Named(name.clone());
        self.enter(key, complex, name.clone(), Origin::Named)
    }

    fn inline(&mut self, complex: &'a ComplexType, around: &str) -> usize {
        let key = Key::At(complex.at);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let name = (1_usize..)
            .map(|number| if number == 1 { around.to_owned() } else { format!("{around}{number}") })
            .find(|name| !self.made_names.contains(name.as_str()));
        let local: Rc<str> = Rc::from(name.unwrap_or_default());
        self.made_names.insert(local.clone());
        self.enter(key, complex, QName { namespace: Rc::from(""), local }, Origin::Inline)
    }

    fn enter(&mut self, key: Key, complex: &'a ComplexType, name: QName, origin: Origin) -> usize {
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let index = self.structures.len();
        self.structures.push(Structure {
            name,
            at: complex.at,
            origin,
            documentation: complex.documentation.clone(),
            members: Vec::new(),
            home: None,
        });
        self.known.insert(key, index);
        self.queue.push_back((index, complex));
        index
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
            ElementContent::Simple(simple) => self.simple(simple, depth),
            ElementContent::Untyped => Some(Type::Any),
        }
    }

    fn element(&mut self, reference: &Reference) -> Option<&'a ElementDeclaration> {
        let element = self.elements.get(&reference.name).copied();
        if element.is_none() {
            self.unknown(reference, "element");
        }
        element
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

    fn unknown(&mut self, reference: &Reference, kind: &str) {
        let names: Vec<&QName> = match kind {
            "type" => self.named.keys().copied().collect(),
            "group" => self.groups.keys().copied().collect(),
            _ => self.elements.keys().copied().collect(),
        };
        unknown(self.diagnostics, reference, kind, names.into_iter());
    }
}

/// Reports a name that nothing is declared under, with the nearest one that something is.
pub(super) fn unknown<'n>(
    diagnostics: &mut Diagnostics,
    reference: &Reference,
    kind: &str,
    names: impl Iterator<Item = &'n QName>,
) {
    let wanted = &reference.name.local;
    let near = names
        .take(if diagnostics.list.len() < SUGGESTIONS_MAX { usize::MAX } else { 0 })
        .map(|name| (strsim::damerau_levenshtein(&name.local, wanted), name))
        .min_by(|one, other| one.cmp(other))
        .filter(|(distance, _)| *distance <= wanted.len() / 3);
    let advice = match near {
        // the same name in another namespace
        Some((0, name)) => format!("there is one in namespace `{}`: check the prefix", name.namespace),
        Some((_, name)) => format!("did you mean `{}`?", name.local),
        None => format!("define it, or import the file that does, or correct the name of the {kind}"),
    };
    let namespace = &reference.name.namespace;
    diagnostics.error(
        reference.at,
        format!("no {kind} `{}` in namespace `{namespace}`", reference.written),
        advice,
    );
}
