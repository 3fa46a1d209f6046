//! What a simple type demands of its values beyond being of the type it restricts.

use super::types::Types;
use crate::parse::Reference;
use crate::parse::schema::{
    self, Content, Definition, ElementContent, ElementDeclaration, SimpleBase, SimpleType,
};
use crate::xml::QName;

/// Types made from types may go this deep.
const DEPTH_MAX: usize = 32;

/// One demand, as the runtime has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Facet {
    Length(u32),
    MinLength(u32),
    MaxLength(u32),
    Pattern(String),
    AtLeast(String),
    AtMost(String),
    Above(String),
    Below(String),
    TotalDigits(u32),
    FractionDigits(u32),
    OneOf(Vec<String>),
}

impl Facet {
    fn of(facet: &schema::Facet) -> Option<Self> {
        let number = || facet.value.trim().parse().ok();
        let text = || facet.value.trim().to_owned();
        Some(match facet.name.as_str() {
            "length" => Self::Length(number()?),
            "minLength" => Self::MinLength(number()?),
            "maxLength" => Self::MaxLength(number()?),
            "minInclusive" => Self::AtLeast(text()),
            "maxInclusive" => Self::AtMost(text()),
            "minExclusive" => Self::Above(text()),
            "maxExclusive" => Self::Below(text()),
            "totalDigits" => Self::TotalDigits(number()?),
            "fractionDigits" => Self::FractionDigits(number()?),
            _ => return None,
        })
    }

    /// The same in words, behind "a value is".
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Length(exact) => format!("{exact} long"),
            Self::MinLength(least) => format!("at least {least} long"),
            Self::MaxLength(most) => format!("at most {most} long"),
            Self::Pattern(pattern) => format!("of the pattern `{pattern}`"),
            Self::AtLeast(bound) => format!("at least {bound}"),
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::Above(bound) => format!("more than {bound}"),
            Self::Below(bound) => format!("less than {bound}"),
            Self::TotalDigits(most) => format!("of at most {most} digits"),
            Self::FractionDigits(most) => format!("of at most {most} digits after the point"),
            Self::OneOf(values) => format!("one of {}", values.join(", ")),
        }
    }
}

impl<'a> Types<'a> {
    /// What is demanded of the values of an element.
    pub(super) fn facets_of_element(&self, element: &'a ElementDeclaration) -> Vec<Facet> {
        let mut found = Vec::new();
        match &element.content {
            ElementContent::Type(reference) => self.facets_of_type(reference, None, 0, &mut found),
            ElementContent::Simple(simple) => self.facets_of_simple(simple, None, 0, &mut found),
            ElementContent::Element(_) | ElementContent::Complex(_) | ElementContent::Untyped => {}
        }
        found
    }

    /// What is demanded of the values of a simple type.
    pub(super) fn facets(&self, simple: &'a SimpleType) -> Vec<Facet> {
        let mut found = Vec::new();
        self.facets_of_simple(simple, None, 0, &mut found);
        found
    }

    /// Those of the type called so, its base's first; in the definition of `of` it may be the one that is redefined.
    pub(super) fn facets_of_type(
        &self,
        reference: &Reference,
        of: Option<&QName>,
        depth: usize,
        found: &mut Vec<Facet>,
    ) {
        let Some(ty) = self.base(reference, of).filter(|_| depth < DEPTH_MAX) else { return };
        // what is made from an earlier type of its own name comes to it once
        let own_name = Some(&ty.name).filter(|name| of != Some(*name));
        match &ty.definition {
            Definition::Simple(simple) => self.facets_of_simple(simple, own_name, depth + 1, found),
            Definition::Complex(complex) => {
                if let Content::Simple { base, restriction } = &complex.content {
                    base.iter().for_each(|base| self.facets_of_type(base, own_name, depth + 1, found));
                    restriction.iter().for_each(|restriction| own(restriction, found));
                }
            }
        }
    }

    fn facets_of_simple(
        &self,
        simple: &'a SimpleType,
        of: Option<&QName>,
        depth: usize,
        found: &mut Vec<Facet>,
    ) {
        match &simple.base {
            SimpleBase::Restriction(base) => self.facets_of_type(base, of, depth + 1, found),
            SimpleBase::Inline(inner) if depth < DEPTH_MAX => {
                self.facets_of_simple(inner, of, depth + 1, found);
            }
            _ => {}
        }
        own(simple, found);
    }
}

/// What one restriction demands: a text is to be of one of its patterns.
fn own(simple: &SimpleType, found: &mut Vec<Facet>) {
    found.extend(simple.facets.iter().filter_map(Facet::of));
    let patterns: Vec<&str> =
        simple.facets.iter().filter(|it| it.name == "pattern").map(|it| it.value.as_str()).collect();
    match patterns.as_slice() {
        [] => {}
        [only] => found.push(Facet::Pattern((*only).to_owned())),
        several => found.push(Facet::Pattern(format!("({})", several.join(")|(")))),
    }
    if !simple.values.is_empty() {
        found.push(Facet::OneOf(simple.values.iter().map(|(value, _)| value.clone()).collect()));
    }
}
