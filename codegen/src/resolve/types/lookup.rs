//! Names looked up, and what is noted where one is defined nowhere.

use super::Types;
use crate::diagnostic::At;
use crate::parse::schema::{Definition, ElementDeclaration, NamedAttributes, NamedGroup};
use crate::parse::{self, Reference};
use crate::resolve::{Missing, Type, builtin};
use crate::xml::QName;

/// With more problems than this the nearest name is no longer looked for: it is the import that is missing.
const SUGGESTIONS_MAX: usize = 50;

impl<'a> Types<'a> {
    pub(super) fn by_name_at(&mut self, reference: &Reference, depth: usize) -> Option<Type> {
        if self.too_deep(reference.at, depth) {
            return None;
        }
        match builtin::look_up(&reference.name) {
            Some(Some(ty)) => return Some(ty),
            Some(None) => {
                self.missing.push(Missing {
                    at: reference.at,
                    what: format!("`{}` is none of the types of XML Schema", reference.written),
                    advice: "name one of them, such as string, int or dateTime".to_owned(),
                });
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
            Definition::Simple(simple) => self.simple(simple, Some(&ty.name), &ty.name.local, depth),
        }
    }

    /// The type that `base` names in the definition of `of`, which may be made from an earlier one of its own name.
    pub(in crate::resolve) fn base(
        &self,
        base: &Reference,
        of: Option<&QName>,
    ) -> Option<&'a parse::schema::Type> {
        let original = self.originals.get(&base.name).filter(|_| of == Some(&base.name));
        original.or_else(|| self.named.get(&base.name)).copied()
    }

    pub(super) fn element(&mut self, reference: &Reference) -> Option<&'a ElementDeclaration> {
        let element = self.elements.get(&reference.name).copied();
        if element.is_none() {
            self.unknown(reference, "element");
        }
        element
    }

    /// The group that a reference names: in a redefinition of it, the one redefined.
    pub(super) fn group_named(&self, reference: &Reference) -> Option<&'a NamedGroup> {
        let groups = if reference.original { &self.original_groups } else { &self.groups };
        groups.get(&reference.name).copied()
    }

    /// The same for attributes.
    pub(super) fn attribute_group_named(&self, reference: &Reference) -> Option<&'a NamedAttributes> {
        let groups =
            if reference.original { &self.original_attribute_groups } else { &self.attribute_groups };
        groups.get(&reference.name).copied()
    }

    pub(super) fn unknown(&mut self, reference: &Reference, kind: &str) {
        let names: Vec<&QName> = match kind {
            "type" => self.named.keys().copied().collect(),
            "group" => self.groups.keys().copied().collect(),
            "attribute" => self.attributes.keys().copied().collect(),
            "attribute group" => self.attribute_groups.keys().copied().collect(),
            _ => self.elements.keys().copied().collect(),
        };
        let missing = unknown(reference, kind, self.missing.len(), names.into_iter());
        self.missing.push(missing);
    }

    /// A message, binding or the like that is defined nowhere.
    pub(in crate::resolve) fn note_missing<'n>(
        &mut self,
        reference: &Reference,
        kind: &str,
        names: impl Iterator<Item = &'n QName>,
    ) {
        let missing = unknown(reference, kind, self.missing.len(), names);
        self.missing.push(missing);
    }

    /// Something that names nothing at all where it must.
    pub(in crate::resolve) fn note_unreadable(&mut self, at: At, what: String, advice: &str) {
        self.missing.push(Missing { at, what, advice: advice.to_owned() });
    }

    /// How many names were found to be defined nowhere, to be compared later.
    pub(in crate::resolve) fn missing_so_far(&self) -> usize {
        self.missing.len()
    }

    /// The first name that was found to be defined nowhere since there were `before`.
    pub(in crate::resolve) fn missing_since(&self, before: usize) -> Option<&Missing> {
        self.missing.get(before)
    }

    /// A structure can't be read if names were missing while its members were looked for.
    pub(super) fn note(&mut self, index: usize, before: usize) {
        if let Some(missing) = self.missing.get(before)
            && self.structures[index].missing.is_none()
        {
            self.structures[index].missing = Some(missing.clone());
        }
    }
}

/// What is to be said of a name that nothing is declared under: with the nearest one that something is.
fn unknown<'n>(
    reference: &Reference,
    kind: &str,
    before: usize,
    names: impl Iterator<Item = &'n QName>,
) -> Missing {
    let wanted = &reference.name.local;
    let near = names
        .take(if before < SUGGESTIONS_MAX { usize::MAX } else { 0 })
        .map(|name| (strsim::damerau_levenshtein(&name.local, wanted), name))
        .min_by(|one, other| one.cmp(other))
        .filter(|(distance, _)| *distance <= wanted.len() / 3);
    let advice = match near {
        // the same name in another namespace
        Some((0, name)) if name.namespace.is_empty() => {
            "there is one in a schema without `targetNamespace`: give the schema that namespace".to_owned()
        }
        Some((0, name)) => format!("there is one in namespace `{}`: check the prefix", name.namespace),
        Some((_, name)) => format!("did you mean `{}`?", name.local),
        None => format!("define it, or import the file that does, or correct the name of the {kind}"),
    };
    let namespace = &reference.name.namespace;
    let what = format!("no {kind} `{}` in namespace `{namespace}`", reference.written);
    Missing { at: reference.at, what, advice }
}
