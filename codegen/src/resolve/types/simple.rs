//! Simple types: enumerations, lists, unions, and what restrictions of them come to.

use std::collections::HashSet;

use super::{Key, Types};
use crate::parse::Reference;
use crate::parse::schema::{ComplexType, Content, Definition, SimpleBase, SimpleType};
use crate::resolve::builtin::Simple;
use crate::resolve::{Kind, Origin, Text, Type};
use crate::xml::QName;

impl<'a> Types<'a> {
    /// What a simple type is; `around` names an enumeration that has no name.
    pub(super) fn simple(
        &mut self,
        simple: &'a SimpleType,
        name: Option<&QName>,
        around: &str,
        depth: usize,
    ) -> Option<Type> {
        if self.too_deep(simple.at, depth) {
            return None;
        }
        match &simple.base {
            SimpleBase::Restriction(base) => {
                let ty = self.simple_base(base, name, depth)?;
                Some(self.restricted(simple, ty, name, around))
            }
            SimpleBase::Inline(inner) => {
                let own = if simple.values.is_empty() { name } else { None };
                let ty = self.simple(inner, own, around, depth + 1)?;
                Some(self.restricted(simple, ty, name, around))
            }
            SimpleBase::List(named, inline) => {
                let item = match (named, inline) {
                    (Some(named), _) => self.by_name_at(named, depth + 1)?,
                    (None, Some(inline)) => self.simple(inline, None, &format!("{around}Item"), depth + 1)?,
                    (None, None) => Type::Simple(Simple::String),
                };
                Some(match item {
                    Type::Simple(_) | Type::Enumeration(_) => Type::List(Box::new(item)),
                    _ => Type::Simple(Simple::String),
                })
            }
            SimpleBase::Union(named, inline) => self.union(simple, named, inline, name, around, depth),
            SimpleBase::Text => Some(Type::Simple(Simple::String)),
        }
    }

    /// The type that a restriction restricts: for a redefined one that of its own name.
    fn simple_base(&mut self, base: &Reference, name: Option<&QName>, depth: usize) -> Option<Type> {
        if name == Some(&base.name)
            && let Some(original) = self.originals.get(&base.name).copied()
            && let Definition::Simple(simple) = &original.definition
        {
            let around = format!("{}Original", base.name.local);
            return self.simple(simple, None, &around, depth + 1);
        }
        self.by_name_at(base, depth + 1)
    }

    /// An enumeration of texts is an enum; numbers stay numbers.
    fn restricted(&mut self, simple: &'a SimpleType, ty: Type, name: Option<&QName>, around: &str) -> Type {
        let is_text = match &ty {
            Type::Simple(simple) => simple.is_text(),
            Type::Enumeration(_) | Type::Any => true,
            _ => false,
        };
        match (is_text, simple.values.is_empty()) {
            (true, false) => {
                let values = simple.values.iter().map(|(text, documentation)| Text {
                    text: text.clone(),
                    documentation: documentation.clone(),
                });
                Type::Enumeration(self.enumeration(simple, values.collect(), name, around))
            }
            (true, true) if matches!(ty, Type::Any) => Type::Simple(Simple::String),
            _ => ty,
        }
    }

    /// A union of enumerations is one enumeration; of anything else, text.
    fn union(
        &mut self,
        simple: &'a SimpleType,
        named: &'a [Reference],
        inline: &'a [SimpleType],
        name: Option<&QName>,
        around: &str,
        depth: usize,
    ) -> Option<Type> {
        let mut members = Vec::new();
        for reference in named {
            members.push(self.by_name_at(reference, depth + 1)?);
        }
        for (index, inner) in inline.iter().enumerate() {
            members.push(self.simple(inner, None, &format!("{around}{}", index + 1), depth + 1)?);
        }
        let mut values = Vec::new();
        for member in &members {
            match member {
                Type::Enumeration(index) => match &self.structures[*index].kind {
                    Kind::Enumeration(texts) => values.extend(texts.iter().cloned()),
                    _ => return Some(Type::Simple(Simple::String)),
                },
                _ => return Some(Type::Simple(Simple::String)),
            }
        }
        if values.is_empty() {
            return Some(Type::Simple(Simple::String));
        }
        Some(Type::Enumeration(self.enumeration(simple, values, name, around)))
    }

    fn enumeration(
        &mut self,
        simple: &SimpleType,
        mut values: Vec<Text>,
        name: Option<&QName>,
        around: &str,
    ) -> usize {
        let key = name.map_or(Key::At(simple.at), |name| Key::Named(name.clone()));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let mut seen = HashSet::new();
        values.retain(|value| seen.insert(value.text.clone()));
        let (name, origin) = match name {
            Some(name) => (name.clone(), Origin::Named),
            None => (self.made(around), Origin::Inline),
        };
        let documentation = simple.documentation.clone();
        self.add(key, name, simple.at, origin, Kind::Enumeration(values), documentation, Vec::new())
    }

    /// What the text of a complex type of simple content is.
    pub(super) fn text_of(
        &mut self,
        complex: &'a ComplexType,
        name: Option<&QName>,
        around: &str,
        depth: usize,
    ) -> Option<Type> {
        if self.too_deep(complex.at, depth) {
            return None;
        }
        let Content::Simple { base, restriction } = &complex.content else {
            return Some(Type::Simple(Simple::String)); // mixed content that is restricted to its text
        };
        if let Some(restriction) = restriction
            && (!restriction.values.is_empty() || matches!(restriction.base, SimpleBase::Inline(_)))
        {
            return match (&restriction.base, base) {
                (SimpleBase::Restriction(_), Some(base)) => {
                    let ty = self.text_base(base, name, around, depth)?;
                    Some(self.restricted(restriction, ty, None, &format!("{around}Value")))
                }
                _ => self.simple(restriction, None, &format!("{around}Value"), depth + 1),
            };
        }
        match base {
            Some(base) => self.text_base(base, name, around, depth),
            None => Some(Type::Simple(Simple::String)),
        }
    }

    fn text_base(
        &mut self,
        base: &'a Reference,
        of: Option<&QName>,
        around: &str,
        depth: usize,
    ) -> Option<Type> {
        match self.base(base, of).map(|ty| (&ty.name, &ty.definition)) {
            Some((name, Definition::Complex(complex))) => {
                self.text_of(complex, Some(name), around, depth + 1)
            }
            _ => match self.by_name_at(base, depth + 1)? {
                Type::Any => Some(Type::Simple(Simple::String)),
                ty => Some(ty),
            },
        }
    }
}
