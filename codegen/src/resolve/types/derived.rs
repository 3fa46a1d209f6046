//! What may stand in for something else: types derived from a member's type, elements that substitute an element.

use super::{Key, Types};
use crate::parse;
use crate::parse::schema::{ComplexType, Definition, ElementDeclaration};
use crate::resolve::{Kind, Member, Origin, Type};
use crate::xml::QName;

impl<'a> Types<'a> {
    /// `ty`, or where others are derived from it, the choice of all of them.
    pub(super) fn opened(&mut self, ty: Type) -> Type {
        match ty {
            Type::Structure(index) => Type::Structure(self.choice_of_derived(index).unwrap_or(index)),
            other => other,
        }
    }

    fn choice_of_derived(&mut self, index: usize) -> Option<usize> {
        let structure = &self.structures[index];
        if structure.origin != Origin::Named || structure.kind != Kind::Structure {
            return None;
        }
        if let Some(known) = self.known.get(&Key::Derived(index)) {
            return Some(*known);
        }
        let name = structure.name.clone();
        let family = self.family(&name);
        if family.len() < 2 && family.first().is_some_and(|(first, _)| first.name == name) {
            return None;
        }
        if family.is_empty() {
            return None;
        }
        let at = self.structures[index].at;
        let documentation = format!("`{}`, or a type derived from it.", name.local);
        let local = format!("Any{}", crate::names::type_name(&name.local));
        let made = QName { namespace: name.namespace.clone(), local: local.into() };
        let key = Key::Derived(index);
        let choice = self.add(key, made, at, Origin::Inline, Kind::Derived, documentation, Vec::new());
        let members = family
            .into_iter()
            .map(|(ty, complex)| {
                let structure = self.structure(complex, Some(&ty.name), &ty.name.local);
                Member { boxed: true, ..Member::new(&ty.name, ty.at, Type::Structure(structure)) }
            })
            .collect();
        self.structures[choice].members = members;
        Some(choice)
    }

    /// A type and all that are derived from it, without abstract ones.
    fn family(&self, name: &QName) -> Vec<(&'a parse::schema::Type, &'a ComplexType)> {
        let mut found: Vec<&'a parse::schema::Type> = self.named.get(name).copied().into_iter().collect();
        let mut next = 0;
        while let Some(ty) = found.get(next) {
            for derived in self.derived.get(&ty.name).into_iter().flatten() {
                if !found.iter().any(|known| known.name == derived.name) {
                    found.push(derived);
                }
            }
            next += 1;
        }
        let complex = found.into_iter().filter_map(|ty| match &ty.definition {
            Definition::Complex(complex) if !complex.is_abstract => Some((ty, complex)),
            _ => None,
        });
        // of mixed kinds only those that are structures themselves
        complex.filter(|(ty, complex)| self.is_structure(ty, complex)).collect()
    }

    fn is_structure(&self, ty: &parse::schema::Type, complex: &'a ComplexType) -> bool {
        match &complex.content {
            parse::schema::Content::Members { .. } => self.items(&ty.name, complex).is_none(),
            parse::schema::Content::Simple { .. } => self.has_attributes(complex, Some(&ty.name)),
            parse::schema::Content::Array(_) => false,
        }
    }

    /// The element called `name` and all that may stand for it, without abstract ones; none when it stands alone.
    pub(super) fn substitution(&self, name: &QName) -> Vec<&'a ElementDeclaration> {
        if !self.substitutes.contains_key(name) {
            return Vec::new();
        }
        let mut found: Vec<&'a ElementDeclaration> = self.elements.get(name).copied().into_iter().collect();
        let mut next = 0;
        while let Some(element) = found.get(next) {
            for substitute in self.substitutes.get(&element.name).into_iter().flatten() {
                if !found.iter().any(|known| known.name == substitute.name) {
                    found.push(substitute);
                }
            }
            next += 1;
        }
        found.retain(|element| !element.is_abstract);
        found
    }

    /// The choice of `elements`, which all stand for the one called `head`.
    pub(super) fn choice_of_substitutes(
        &mut self,
        head: &QName,
        elements: &[&'a ElementDeclaration],
    ) -> usize {
        let key = Key::Substitution(head.clone());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let Some(first) = elements.first() else { return 0 };
        let documentation = format!("The element `{}`, or one that stands for it.", head.local);
        let name = self.made(&format!("{}Element", crate::names::type_name(&head.local)));
        let kind = Kind::Choice { default: 0 };
        let choice = self.add(key, name, first.at, Origin::Inline, kind, documentation, Vec::new());
        let before = self.missing.len();
        for element in elements {
            let ty = self.content(element, &element.name.local, 0).unwrap_or(Type::Any);
            let ty = self.opened(ty);
            let documentation = element.documentation.clone();
            let member = Member {
                documentation,
                nillable: element.nillable,
                ..Member::new(&element.name, element.at, ty)
            };
            self.structures[choice].members.push(member);
        }
        self.note(choice, before);
        choice
    }
}
