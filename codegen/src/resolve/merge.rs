//! Several definitions become one model: a type that two of them define alike is one type.

use std::collections::HashMap;

use super::{Kind, Member, Model, Operation, Structure, Type, UnitModel};
use crate::diagnostic::Diagnostics;

/// Brings the units together.
///
/// Two structures are the same when they have the same name and members, and the members' types are the same
/// too. That is found by splitting: all of one name are taken for one, until a difference tells them apart;
/// and so on with those that hold them, until nothing splits any more.
pub(super) fn merge(units: Vec<UnitModel>, diagnostics: &mut Diagnostics) -> Model {
    let mut all = Vec::new();
    let mut services = Vec::new();
    // of each structure: the first service of its unit
    let mut keepers = Vec::new();
    for unit in units {
        let offset = all.len();
        let keeper = (!unit.services.is_empty()).then_some(services.len());
        for mut structure in unit.structures {
            for member in &mut structure.members {
                if let Some(index) = member.ty.structure_mut() {
                    *index += offset;
                }
            }
            all.push(structure);
            keepers.push(keeper);
        }
        for mut service in unit.services {
            let held = service.operations.iter_mut().flat_map(Operation::structures_mut);
            held.for_each(|structure| *structure += offset);
            services.push(service);
        }
    }
    let classes = classes(&all);
    let (structures, positions) = first_of_each(all, &keepers, &classes, diagnostics);
    for service in &mut services {
        let held = service.operations.iter_mut().flat_map(Operation::structures_mut);
        held.for_each(|structure| *structure = positions[*structure]);
    }
    Model { structures, services }
}

/// A number for each structure; the same number is the same structure.
fn classes(all: &[Structure]) -> Vec<usize> {
    let own: Vec<String> = all.iter().map(signature).collect();
    let mut classes = number(own.iter().map(|signature| (signature, Vec::new())));
    loop {
        let refined = number(all.iter().enumerate().map(|(index, structure)| {
            let held = structure.members.iter().filter_map(|member| member.ty.structure());
            (classes[index], held.map(|index| classes[index]).collect())
        }));
        if refined == classes {
            return classes;
        }
        classes = refined;
    }
}

/// Numbers in the order in which keys first come.
fn number<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = (K, Vec<usize>)>) -> Vec<usize> {
    let mut numbers = HashMap::new();
    keys.map(|key| {
        let next = numbers.len();
        *numbers.entry(key).or_insert(next)
    })
    .collect()
}

/// A structure's name and members as text, with other structures left out. Documentation doesn't count.
fn signature(structure: &Structure) -> String {
    let mut text = format!("{:?} {:?}", structure.origin, structure.name);
    if let Some(missing) = &structure.missing {
        text += &missing.what;
    }
    match &structure.kind {
        Kind::Structure => {}
        Kind::Choice { .. } => text += " choice",
        Kind::Derived => text += " derived",
        Kind::Enumeration(values) => values.iter().for_each(|value| text += &format!("\n{:?}", value.text)),
    }
    for member in &structure.members {
        let Member { name, namespace, place, optional, nillable, facets, .. } = member;
        text += &format!("\n{name:?} {namespace:?} {place:?} {optional} {nillable} {facets:?} ");
        kind(&member.ty, &mut text);
    }
    text
}

fn kind(ty: &Type, text: &mut String) {
    match ty {
        Type::Simple(simple) => *text += &format!("{simple:?}"),
        Type::Structure(_) => text.push('S'),
        Type::Enumeration(_) => text.push('E'),
        Type::Array(item) | Type::Repeated(item) | Type::List(item) => {
            text.push(match ty {
                Type::Array(_) => 'A',
                Type::Repeated(_) => 'R',
                _ => 'L',
            });
            kind(item, text);
        }
        Type::Items(name, namespace, item) | Type::NamedArray(name, namespace, item) => {
            text.push(if matches!(ty, Type::Items(..)) { 'I' } else { 'N' });
            *text += &format!("{name:?}{namespace:?}");
            kind(item, text);
        }
        Type::Any => text.push('?'),
        Type::Raw => text.push('X'),
    }
}

/// The first structure of each class, and for every structure where its class's first now stands.
///
/// A name's first class is shared; a later one goes to a service of its own definition, with a warning.
fn first_of_each(
    all: Vec<Structure>,
    keepers: &[Option<usize>],
    classes: &[usize],
    diagnostics: &mut Diagnostics,
) -> (Vec<Structure>, Vec<usize>) {
    let mut kept: Vec<Structure> = Vec::new();
    let mut position_of_class: HashMap<usize, usize> = HashMap::new();
    let mut first_of_name = HashMap::new();
    let mut positions = Vec::with_capacity(all.len());
    for (index, mut structure) in all.into_iter().enumerate() {
        let position = *position_of_class.entry(classes[index]).or_insert(kept.len());
        positions.push(position);
        if position != kept.len() {
            continue;
        }
        let key = (structure.origin, structure.name.clone());
        if let Some(first) = first_of_name.get(&key) {
            let place = diagnostics.place(*first);
            let message = format!("type `{}` isn't what it is at {place}", structure.name.local);
            diagnostics.warning(
                structure.at,
                message + " (or what it holds isn't): both are generated",
                "define it alike to have one",
            );
            structure.home = keepers[index];
        } else {
            first_of_name.insert(key, structure.at);
        }
        kept.push(structure);
    }
    for structure in &mut kept {
        for member in &mut structure.members {
            if let Some(index) = member.ty.structure_mut() {
                *index = positions[*index];
            }
        }
    }
    (kept, positions)
}
