//! A structure's members: what its groups, its attributes, and the types it extends, come to.

use std::collections::HashSet;
use std::rc::Rc;

use super::{Types, builtin};
use crate::diagnostic::At;
use crate::names;
use crate::namespace::WSDL;
use crate::parse::schema::is_encoding;
use crate::parse::schema::{
    AttributeContent, AttributeDeclaration, Attributes, ComplexType, Content, Definition, ElementContent,
    ElementDeclaration, Group, GroupKind, Occurs, Particle, Presence,
};
use crate::resolve::builtin::Simple;
use crate::resolve::{Facet, Member, Place, Type};
use crate::xml::QName;

/// A structure may be made of this many groups: groups that name others twice each would never end.
pub(super) const GROUPS_MAX: usize = 10_000;

/// The members found so far.
pub(super) struct Members {
    /// The structure's name.
    pub(super) owner: Rc<str>,
    pub(super) at: At,
    /// Gone through so far.
    groups: usize,
    pub(super) found: Vec<Member>,
    /// Of the elements found so far, also those of choices among the members.
    pub(super) names: HashSet<QName>,
}

/// A type and those that it is made from, the outermost base last.
struct Chain<'a> {
    complex: &'a ComplexType,
    /// Its elements are still its own: none of those before it has said all of them again.
    elements: bool,
}

impl Members {
    pub(super) fn new(owner: Rc<str>, at: At) -> Self {
        Self { owner, at, groups: 0, found: Vec::new(), names: HashSet::new() }
    }

    /// A name that no member has, for one that has none on the wire.
    pub(super) fn free(&self, name: &str) -> String {
        let taken = |name: &str| {
            self.found.iter().any(|member| member.name == name)
                || self.names.iter().any(|known| &*known.local == name)
        };
        let mut free = name.to_owned();
        let mut number = 1;
        while taken(&free) {
            number += 1;
            free = format!("{name}_{number}");
        }
        free
    }
}

impl<'a> Types<'a> {
    /// The members of a structure, those of the types it extends first.
    pub(super) fn members_of(&mut self, index: usize, complex: &'a ComplexType) -> Vec<Member> {
        let name = self.structures[index].name.clone();
        if let Some(alternatives) = self.alternatives_alone(index, complex) {
            return alternatives;
        }
        let chain = self.chain(complex, Some(&name));
        let mut members = Members::new(name.local.clone(), complex.at);
        for link in chain.iter().rev() {
            if let (true, Content::Members { group: Some(group), .. }) =
                (link.elements, &link.complex.content)
            {
                self.group(group, false, false, 0, &mut members);
            }
        }
        if chain.iter().any(|link| link.complex.mixed) {
            let text = QName { namespace: Rc::from(""), local: members.free("text").into() };
            let ty = Type::Simple(Simple::String);
            let documentation = "Its text, in one piece.".to_owned();
            members.found.push(Member {
                place: Place::Text,
                optional: true,
                documentation,
                ..Member::new(&text, complex.at, ty)
            });
        }
        if matches!(complex.content, Content::Simple { .. }) {
            let around = names::type_name(&name.local);
            let ty = self.text_of(complex, Some(&name), &around, 0).unwrap_or(Type::Simple(Simple::String));
            let local = QName { namespace: Rc::from(""), local: Rc::from("value") };
            let mut facets = Vec::new();
            if let Content::Simple { base: Some(base), restriction } = &complex.content {
                match restriction {
                    Some(restriction) => facets = self.facets(restriction),
                    None => self.facets_of_type(base, Some(&name), 0, &mut facets),
                }
            }
            let facets = demanded(facets, &ty);
            members.found.push(Member { place: Place::Text, facets, ..Member::new(&local, complex.at, ty) });
        }
        let mut taken = HashSet::new();
        // the innermost says what counts, the outermost base stands first
        let mut attributes: Vec<Vec<Member>> = Vec::new();
        let (mut any, mut inherits) = (None, true);
        for link in &chain {
            let (mut of_link, mut own) = (Vec::new(), None);
            self.attributes(&link.complex.attributes, &name.local, 0, &mut taken, &mut of_link, &mut own);
            attributes.push(of_link);
            any = any.or(own.filter(|_| inherits));
            // a restriction has the attributes of its base, but not its wildcard (XML Schema 1.0 part 1 §3.4.2)
            inherits &= !matches!(
                link.complex.content,
                Content::Members { restricts: true, .. } | Content::Simple { restriction: Some(_), .. }
            );
        }
        members.found.extend(attributes.into_iter().rev().flatten());
        if let Some(at) = any {
            let name = QName { namespace: Rc::from(""), local: members.free("other_attributes").into() };
            members.found.push(Member {
                place: Place::OtherAttributes,
                optional: true,
                ..Member::new(&name, at, Type::Raw)
            });
        }
        members.found
    }

    fn chain(&mut self, complex: &'a ComplexType, name: Option<&QName>) -> Vec<Chain<'a>> {
        let mut chain = vec![Chain { complex, elements: true }];
        let (mut last, mut name, mut elements) = (complex, name.cloned(), true);
        loop {
            let base = match &last.content {
                Content::Members { base: Some(base), restricts, .. } => {
                    elements &= !restricts;
                    base
                }
                Content::Simple { base: Some(base), .. } => base,
                _ => return chain,
            };
            // anyType and SOAP-ENC:Struct have no members
            if builtin::look_up(&base.name).is_some() || self.too_deep(base.at, chain.len()) {
                return chain;
            }
            match self.base(base, name.as_ref()).map(|ty| (&ty.name, &ty.definition)) {
                Some((base, Definition::Complex(next))) => (last, name) = (next, Some(base.clone())),
                Some((_, Definition::Simple(_))) => {
                    if matches!(last.content, Content::Members { .. }) {
                        let message =
                            format!("`{}` is a simple type and has no members to extend", base.written);
                        self.diagnostics.error(base.at, message, "extend a complex type");
                    }
                    return chain;
                }
                None => {
                    self.unknown(base, "type");
                    return chain;
                }
            }
            chain.push(Chain { complex: last, elements });
        }
    }

    /// Whether a type, or one that it is made from, has attributes.
    pub(super) fn has_attributes(&self, complex: &'a ComplexType, name: Option<&QName>) -> bool {
        let (mut last, mut name) = (complex, name);
        for _ in 0..super::NESTING_MAX {
            let Attributes { declared, groups, any } = &last.attributes;
            if !declared.is_empty() || !groups.is_empty() || any.is_some() {
                return true;
            }
            let (Content::Members { base: Some(base), .. } | Content::Simple { base: Some(base), .. }) =
                &last.content
            else {
                return false;
            };
            match self.base(base, name).map(|ty| (&ty.name, &ty.definition)) {
                Some((base, Definition::Complex(next))) => (last, name) = (next, Some(base)),
                _ => return false,
            }
        }
        false
    }

    fn attributes(
        &mut self,
        attributes: &'a Attributes,
        owner: &str,
        depth: usize,
        taken: &mut HashSet<QName>,
        found: &mut Vec<Member>,
        any: &mut Option<At>,
    ) {
        *any = any.or(attributes.any);
        for attribute in &attributes.declared {
            if taken.insert(attribute.name.clone()) && attribute.presence != Presence::Prohibited {
                found.extend(self.attribute(attribute, owner));
            }
        }
        // those of SOAP's encoding (`commonAttributes`) are nobody's members either
        for reference in attributes.groups.iter().filter(|group| !is_encoding(&group.name.namespace)) {
            if self.too_deep(reference.at, depth) {
                return;
            }
            match self.attribute_group_named(reference) {
                Some(group) => self.attributes(&group.attributes, owner, depth + 1, taken, found, any),
                None => self.unknown(reference, "attribute group"),
            }
        }
    }

    fn attribute(&mut self, attribute: &'a AttributeDeclaration, owner: &str) -> Option<Member> {
        let around = format!("{}{}", names::type_name(owner), names::type_name(&attribute.name.local));
        let mut declared = attribute;
        if let AttributeContent::Attribute(reference) = &attribute.content {
            // what SOAP's encoding puts on arrays and WSDL on their types is nobody's member
            if is_encoding(&reference.name.namespace) || &*reference.name.namespace == WSDL {
                return None;
            }
            match self.attributes.get(&reference.name).copied() {
                Some(known) => declared = known,
                None => {
                    self.unknown(reference, "attribute");
                    return None;
                }
            }
        }
        let ty = match &declared.content {
            AttributeContent::Type(reference) => self.by_name(reference)?,
            AttributeContent::Simple(simple) => self.simple(simple, None, &around, 0)?,
            AttributeContent::Attribute(_) | AttributeContent::Untyped => Type::Simple(Simple::String),
        };
        let ty = if ty.is_simple() { ty } else { Type::Simple(Simple::String) };
        let mut facets = Vec::new();
        match &declared.content {
            AttributeContent::Type(reference) => self.facets_of_type(reference, None, 0, &mut facets),
            AttributeContent::Simple(simple) => facets = self.facets(simple),
            AttributeContent::Attribute(_) | AttributeContent::Untyped => {}
        }
        let documentation = [&attribute.documentation, &declared.documentation];
        let documentation = documentation.into_iter().find(|text| !text.is_empty()).cloned();
        Some(Member {
            place: Place::Attribute,
            facets: demanded(facets, &ty),
            optional: attribute.presence != Presence::Required,
            preset: attribute.value.clone().or_else(|| declared.value.clone()),
            documentation: documentation.unwrap_or_default(),
            ..Member::new(&attribute.name, attribute.at, ty)
        })
    }

    pub(super) fn group(
        &mut self,
        group: &'a Group,
        optional: bool,
        repeated: bool,
        depth: usize,
        members: &mut Members,
    ) {
        members.groups += 1;
        if members.groups == GROUPS_MAX {
            let message = format!("`{}` is made of more than {GROUPS_MAX} groups", members.owner);
            self.diagnostics.error(members.at, message, "make it of fewer");
        }
        if members.groups >= GROUPS_MAX {
            return;
        }
        let optional = optional || group.occurs.optional;
        let repeated = repeated || group.occurs.repeated;
        if group.kind == GroupKind::Choice && self.choice(group, optional, repeated, members) {
            return;
        }
        if group.kind != GroupKind::Choice && repeated && group.particles.len() > 1 {
            if self.repeated_group(group, optional, members) {
                return;
            }
            self.diagnostics.warning(
                group.at,
                format!(
                    "what repeats in `{}` is kept as one list for each element: its order is lost",
                    members.owner
                ),
                "give the elements in it names of their own, and no wildcard, if the order matters",
            );
        }
        // what is no enum is members that may all be missing
        let optional = optional || (group.kind == GroupKind::Choice && group.particles.len() > 1);
        for particle in &group.particles {
            match particle {
                Particle::Element(element) => {
                    let occurs = Occurs {
                        optional: optional || element.occurs.optional,
                        repeated: repeated || element.occurs.repeated,
                    };
                    self.member(element, occurs, members);
                }
                Particle::Group(inner) => self.group(inner, optional, repeated, depth, members),
                Particle::GroupReference { reference, occurs } => {
                    if self.too_deep(reference.at, depth) {
                        continue;
                    }
                    let Some(named) = self.group_named(reference) else {
                        self.unknown(reference, "group");
                        continue;
                    };
                    if let Some(inner) = &named.group {
                        let optional = optional || occurs.optional;
                        self.group(inner, optional, repeated || occurs.repeated, depth + 1, members);
                    }
                }
                Particle::Wildcard { at } => wildcard(*at, members),
            }
        }
    }

    pub(super) fn member(&mut self, element: &'a ElementDeclaration, occurs: Occurs, members: &mut Members) {
        if !members.names.insert(element.name.clone()) {
            self.diagnostics.warning(
                element.at,
                format!(
                    "member `{}` of `{}` stands there twice; the first counts",
                    element.name.local, members.owner
                ),
                "remove one of them",
            );
            return;
        }
        let around = format!("{}{}", members.owner, names::type_name(&element.name.local));
        let referred = match &element.content {
            ElementContent::Element(reference) => {
                let substitution = self.substitution(&reference.name);
                let free = |other: &&ElementDeclaration| {
                    other.name == element.name || !members.names.contains(&other.name)
                };
                if !substitution.is_empty() && substitution.iter().all(free) {
                    let choice = self.choice_of_substitutes(&reference.name, &substitution);
                    // the element's own name is the choice's
                    members.names.remove(&element.name);
                    inline(members, &element.name.local, element.at, choice, occurs);
                    members.names.extend(substitution.iter().map(|other| other.name.clone()));
                    members.names.insert(element.name.clone());
                    return;
                }
                self.elements.get(&reference.name).copied()
            }
            _ => None,
        };
        // what is wrong has been reported; going on finds the rest
        let ty = self.content(element, &around, 0).unwrap_or(Type::Any);
        let mut ty = self.opened(ty);
        if occurs.repeated {
            ty = Type::Repeated(Box::new(ty));
        }
        let documentation = match referred {
            Some(referred) if element.documentation.is_empty() => referred.documentation.clone(),
            _ => element.documentation.clone(),
        };
        let facets = self.facets_of_element(referred.unwrap_or(element));
        members.found.push(Member {
            optional: occurs.optional,
            facets: demanded(facets, &ty),
            nillable: element.nillable || referred.is_some_and(|referred| referred.nillable),
            preset: element.value.clone(),
            documentation,
            ..Member::new(&element.name, element.at, ty)
        });
    }
}

/// What is left to demand: an enumeration's values are its type, and of a structure nothing is.
fn demanded(mut facets: Vec<Facet>, ty: &Type) -> Vec<Facet> {
    match ty {
        Type::Repeated(item) => demanded(facets, item),
        Type::Enumeration(_) => {
            facets.retain(|facet| !matches!(facet, Facet::OneOf(_)));
            facets
        }
        Type::Simple(_) | Type::List(_) => facets,
        _ => Vec::new(),
    }
}

/// Adds a member that has no element of its own.
pub(super) fn inline(members: &mut Members, name: &str, at: At, structure: usize, occurs: Occurs) {
    let name = QName { namespace: Rc::from(""), local: members.free(name).into() };
    let ty = Type::Structure(structure);
    let ty = if occurs.repeated { Type::Repeated(Box::new(ty)) } else { ty };
    let optional = occurs.optional;
    members.found.push(Member { place: Place::Inline, optional, ..Member::new(&name, at, ty) });
}

/// Adds the member for elements that no other member has; one is enough.
fn wildcard(at: At, members: &mut Members) {
    if members.found.iter().any(|member| member.place == Place::Wildcard) {
        return;
    }
    let name = QName { namespace: Rc::from(""), local: members.free("any").into() };
    let ty = Type::Repeated(Box::new(Type::Raw));
    members.found.push(Member { place: Place::Wildcard, optional: true, ..Member::new(&name, at, ty) });
}
