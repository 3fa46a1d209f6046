//! Choices and groups that repeat: enums and structures of their own among a structure's members.

use std::collections::HashSet;
use std::rc::Rc;

use super::members::{GROUPS_MAX, Members, inline};
use super::{Key, Types};
use crate::names;
use crate::parse::schema::{ComplexType, Content, Group, GroupKind, Occurs, Particle};
use crate::resolve::{Kind, Member, Origin};
use crate::xml::QName;

const ONCE: Occurs = Occurs { optional: false, repeated: false };

impl<'a> Types<'a> {
    /// The alternatives of a type that is nothing but a choice.
    pub(super) fn alternatives_alone(
        &mut self,
        index: usize,
        complex: &'a ComplexType,
    ) -> Option<Vec<Member>> {
        let Content::Members { base: None, group: Some(group), .. } = &complex.content else { return None };
        let name = self.structures[index].name.clone();
        let alone = group.kind == GroupKind::Choice && group.occurs == ONCE && !complex.mixed;
        // a derived type has the choice among members of its own, so that its base is better a structure too
        let extended = self.derived.contains_key(&name);
        if !alone || extended || self.has_attributes(complex, Some(&name)) {
            return None;
        }
        let mut members = Members::new(name.local.clone(), complex.at);
        let optional = self.alternatives(group, &mut members)?;
        if optional {
            return None;
        }
        self.structures[index].kind = Kind::Choice { default: 0 };
        Some(members.found)
    }

    /// Adds a choice as one member, an enum; false when it can't be one.
    pub(super) fn choice(
        &mut self,
        group: &'a Group,
        optional: bool,
        repeated: bool,
        members: &mut Members,
    ) -> bool {
        let names = match self.distinct_names(group, members) {
            Some(names) if group.particles.len() > 1 => names,
            _ => return false,
        };
        let owner = format!("{}Choice", names::type_name(&members.owner));
        let Some((structure, may_be_missing)) = self.group_structure(group, &owner) else { return false };
        members.names.extend(names);
        let occurs = Occurs { optional: optional || may_be_missing, repeated };
        inline(members, "choice", group.at, structure, occurs);
        true
    }

    /// Adds a sequence that repeats as one member, a list of structures; false when it is simpler than that.
    pub(super) fn repeated_group(&mut self, group: &'a Group, optional: bool, members: &mut Members) -> bool {
        if group.particles.len() < 2 {
            return false;
        }
        let Some(names) = self.distinct_names(group, members) else { return false };
        let owner = format!("{}Group", names::type_name(&members.owner));
        let structure = self.sequence_structure(group, &owner);
        members.names.extend(names);
        inline(members, "group", group.at, structure, Occurs { optional, repeated: true });
        true
    }

    /// The enum of a choice, and whether the choice may be missing.
    fn group_structure(&mut self, group: &'a Group, owner: &str) -> Option<(usize, bool)> {
        if let Some(known) = self.known.get(&Key::At(group.at)) {
            let may_be_missing = self.optional_choices.contains(known);
            return Some((*known, may_be_missing));
        }
        let name = self.made(owner);
        let mut inner = Members::new(name.local.clone(), group.at);
        let before = self.missing.len();
        let may_be_missing = self.alternatives(group, &mut inner)?;
        let kind = Kind::Choice { default: 0 };
        let index =
            self.add(Key::At(group.at), name, group.at, Origin::Inline, kind, String::new(), inner.found);
        self.note(index, before);
        if may_be_missing {
            self.optional_choices.insert(index);
        }
        Some((index, may_be_missing))
    }

    fn sequence_structure(&mut self, group: &'a Group, owner: &str) -> usize {
        if let Some(known) = self.known.get(&Key::At(group.at)) {
            return *known;
        }
        let name = self.made(owner);
        let mut inner = Members::new(name.local.clone(), group.at);
        let before = self.missing.len();
        for particle in &group.particles {
            self.particle(particle, &mut inner);
        }
        let kind = Kind::Structure;
        let index =
            self.add(Key::At(group.at), name, group.at, Origin::Inline, kind, String::new(), inner.found);
        self.note(index, before);
        index
    }

    fn particle(&mut self, particle: &'a Particle, members: &mut Members) {
        match particle {
            Particle::Element(element) => self.member(element, element.occurs, members),
            Particle::Group(inner) => self.group(inner, false, false, 0, members),
            Particle::GroupReference { reference, occurs } => {
                match self.group_named(reference).map(|named| &named.group) {
                    Some(Some(inner)) => self.group(inner, occurs.optional, occurs.repeated, 1, members),
                    Some(None) => {}
                    None => self.unknown(reference, "group"),
                }
            }
            Particle::Wildcard { .. } => {}
        }
    }

    /// Fills in the alternatives of a choice; whether none of them may be there, too. `None` where they can't be
    /// told apart by the names of their elements.
    fn alternatives(&mut self, group: &'a Group, members: &mut Members) -> Option<bool> {
        let names = self.distinct_names(group, members)?;
        if names.len() < 2 {
            return None;
        }
        let mut optional = false;
        for particle in &group.particles {
            self.alternative(particle, members, &mut optional);
        }
        (members.found.len() > 1).then_some(optional)
    }

    fn alternative(&mut self, particle: &'a Particle, members: &mut Members, optional: &mut bool) {
        match particle {
            Particle::Element(element) => {
                *optional |= element.occurs.optional;
                let occurs = Occurs { optional: false, repeated: element.occurs.repeated };
                self.member(element, occurs, members);
            }
            Particle::Group(inner) => self.group_alternative(inner, inner.occurs, members, optional),
            Particle::GroupReference { reference, occurs } => {
                match self.group_named(reference).map(|named| &named.group) {
                    Some(Some(inner)) => {
                        let occurs = Occurs {
                            optional: occurs.optional || inner.occurs.optional,
                            repeated: occurs.repeated || inner.occurs.repeated,
                        };
                        self.group_alternative(inner, occurs, members, optional);
                    }
                    Some(None) => *optional = true,
                    None => self.unknown(reference, "group"),
                }
            }
            Particle::Wildcard { .. } => {}
        }
    }

    fn group_alternative(
        &mut self,
        group: &'a Group,
        occurs: Occurs,
        members: &mut Members,
        optional: &mut bool,
    ) {
        *optional |= occurs.optional;
        match (group.kind, group.particles.as_slice()) {
            (_, []) => *optional = true,
            (_, [only]) if !occurs.repeated => self.alternative(only, members, optional),
            (GroupKind::Choice, particles) if !occurs.repeated => {
                for particle in particles {
                    self.alternative(particle, members, optional);
                }
            }
            (GroupKind::Choice, _) => {
                let owner = format!("{}Choice", names::type_name(&members.owner));
                if let Some((structure, _)) = self.group_structure(group, &owner) {
                    let occurs = Occurs { optional: false, repeated: true };
                    inline(members, "choice", group.at, structure, occurs);
                }
            }
            (_, [first, ..]) => {
                let first = match first {
                    Particle::Element(element) => element.name.local.to_string(),
                    _ => "group".to_owned(),
                };
                let owner = format!("{}{}", names::type_name(&members.owner), names::type_name(&first));
                let structure = self.sequence_structure(group, &owner);
                let occurs = Occurs { optional: false, repeated: occurs.repeated };
                inline(members, &format!("{first}_group"), group.at, structure, occurs);
            }
        }
    }

    /// The names of a group's elements where each has one of its own, and none is a member already; a wildcard has
    /// all names.
    fn distinct_names(&mut self, group: &'a Group, members: &Members) -> Option<Vec<QName>> {
        let mut names = Vec::new();
        let mut budget = GROUPS_MAX;
        if !self.element_names(group, &mut names, &mut budget, 0) {
            return None;
        }
        let mut seen: HashSet<Rc<str>> = HashSet::new();
        let distinct = names.iter().all(|name| {
            seen.insert(name.local.clone()) && !members.names.iter().any(|known| known.local == name.local)
        });
        distinct.then_some(names)
    }

    fn element_names(
        &self,
        group: &'a Group,
        names: &mut Vec<QName>,
        budget: &mut usize,
        depth: usize,
    ) -> bool {
        for particle in &group.particles {
            *budget = budget.saturating_sub(1);
            if *budget == 0 || depth > super::NESTING_MAX {
                return false;
            }
            let known = match particle {
                Particle::Element(element) => {
                    let substitution = self.substitution(&element.name);
                    if matches!(element.content, crate::parse::schema::ElementContent::Element(_))
                        && !substitution.is_empty()
                    {
                        names.extend(substitution.iter().map(|element| element.name.clone()));
                    } else {
                        names.push(element.name.clone());
                    }
                    true
                }
                Particle::Group(inner) => self.element_names(inner, names, budget, depth + 1),
                Particle::GroupReference { reference, .. } => match self.group_named(reference) {
                    Some(named) => named
                        .group
                        .as_ref()
                        .is_none_or(|inner| self.element_names(inner, names, budget, depth + 1)),
                    None => false,
                },
                Particle::Wildcard { .. } => false,
            };
            if !known {
                return false;
            }
        }
        true
    }
}
