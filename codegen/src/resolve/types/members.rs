//! A structure's members: what its groups, and the types it extends, come to.

use std::collections::HashSet;
use std::rc::Rc;

use super::{Member, Type, Types, builtin};
use crate::diagnostic::At;
use crate::names;
use crate::parse::schema::{
    ComplexType, Content, Definition, ElementContent, ElementDeclaration, Group, GroupKind, Occurs, Particle,
};

/// A structure may be made of this many groups: groups that name others twice each would never end.
const GROUPS_MAX: usize = 10_000;

struct Members {
    /// The structure's name.
    owner: Rc<str>,
    at: At,
    /// Gone through so far.
    groups: usize,
    found: Vec<Member>,
    names: HashSet<Rc<str>>,
}

impl<'a> Types<'a> {
    /// The members of a structure, those of the types it extends first.
    pub(super) fn members_of(&mut self, index: usize, complex: &'a ComplexType) -> Vec<Member> {
        let mut chain = vec![complex];
        let mut last = complex;
        while let Content::Members { base: Some(base), .. } = &last.content {
            if self.too_deep(base.at, chain.len()) {
                break;
            }
            if builtin::look_up(&base.name).is_some() {
                break; // anyType and SOAP-ENC:Struct have no members
            }
            match self.named.get(&base.name).map(|ty| &ty.definition) {
                Some(Definition::Complex(next)) => last = next,
                Some(Definition::Simple(_)) => {
                    let message = format!("`{}` is a simple type and has no members to extend", base.written);
                    self.diagnostics.error(base.at, message, "extend a complex type");
                    break;
                }
                None => {
                    self.unknown(base, "type");
                    break;
                }
            }
            chain.push(last);
        }
        let name = self.structures[index].name.local.clone();
        for attribute in &complex.attributes {
            self.diagnostics.warning(
                attribute.at,
                format!("attribute `{}` of `{name}` is left out", attribute.name),
                "none is needed for rpc/encoded, which has no attributes",
            );
        }
        let mut members =
            Members { owner: name, at: complex.at, groups: 0, found: Vec::new(), names: HashSet::new() };
        for complex in chain.into_iter().rev() {
            if let Content::Members { group: Some(group), .. } = &complex.content {
                self.group(group, false, false, 0, &mut members);
            }
        }
        members.found
    }

    fn group(
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
        let optional = optional || group.occurs.optional || group.kind == GroupKind::Choice;
        let repeated = repeated || group.occurs.repeated;
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
                    let Some(named) = self.groups.get(&reference.name).copied() else {
                        self.unknown(reference, "group");
                        continue;
                    };
                    if let Some(inner) = &named.group {
                        let optional = optional || occurs.optional;
                        self.group(inner, optional, repeated || occurs.repeated, depth + 1, members);
                    }
                }
                Particle::Wildcard { at } => self.diagnostics.warning(
                    *at,
                    format!("`any` in `{}` is left out", members.owner),
                    "name the members that are of use",
                ),
            }
        }
    }

    fn member(&mut self, element: &'a ElementDeclaration, occurs: Occurs, members: &mut Members) {
        if !members.names.insert(element.name.local.clone()) {
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
        // what is wrong has been reported; going on finds the rest
        let mut ty = self.content(element, &around, 0).unwrap_or(Type::Any);
        if occurs.repeated {
            ty = Type::Repeated(Box::new(ty));
        }
        let referred = match &element.content {
            ElementContent::Element(reference) => self.elements.get(&reference.name),
            _ => None,
        };
        let documentation = match referred {
            Some(referred) if element.documentation.is_empty() => referred.documentation.clone(),
            _ => element.documentation.clone(),
        };
        members.found.push(Member {
            name: element.name.local.to_string(),
            at: element.at,
            ty,
            optional: occurs.optional,
            nillable: element.nillable || referred.is_some_and(|referred| referred.nillable),
            boxed: false,
            documentation,
        });
    }
}
