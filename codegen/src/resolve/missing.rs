//! Names that are defined nowhere: what can't do without them is left out, and the rest is generated.

use std::collections::HashSet;

use super::{Header, Kind, Missing, Model, Origin, Structure};
use crate::diagnostic::{At, Diagnostics};

impl Missing {
    /// Says what is left out because of it.
    pub(super) fn report(&self, what: &str, diagnostics: &mut Diagnostics) {
        diagnostics.undefined(self.at, format!("{what} is left out: {}", self.what), self.advice.clone());
    }
}

/// Leaves out every operation that can't do without a name that is defined nowhere, and what only those need.
///
/// `missing` is every such name: each is reported, also where nothing that is generated comes near it. Where no
/// operation remains of definitions that have some (`wants_operations`), or no type of schemas, they are errors.
pub(super) fn leave_out(
    model: &mut Model,
    missing: Vec<Missing>,
    wants_operations: bool,
    diagnostics: &mut Diagnostics,
) {
    if missing.is_empty() {
        return;
    }
    let causes = causes(&model.structures);
    let mut told = HashSet::new();
    alternatives(model, &causes, &mut told, diagnostics);
    operations(model, &causes, &mut told, diagnostics);
    for structure in &model.structures {
        if let Some(missing) = &structure.missing
            && told.insert(missing.at)
        {
            missing.report(&format!("type `{}`", structure.name.local), diagnostics);
        }
    }
    for missing in missing {
        if !told.contains(&missing.at) && !diagnostics.is_told(missing.at) {
            missing.report("what it stands in", diagnostics);
        }
    }
    model.retain(causes.iter().map(Option::is_none).collect());
    let operations = model.services.iter().any(|service| !service.operations.is_empty());
    if !operations && (wants_operations || model.structures.is_empty()) {
        diagnostics.nothing_remains();
    }
}

/// For each structure the name that it can't do without and that is missing.
fn causes(structures: &[Structure]) -> Vec<Option<Missing>> {
    let mut causes: Vec<Option<Missing>> = structures.iter().map(|it| it.missing.clone()).collect();
    let mut settled = false;
    while !settled {
        settled = true;
        for (index, structure) in structures.iter().enumerate() {
            if causes[index].is_some() {
                continue;
            }
            let held = structure
                .members
                .iter()
                .map(|member| member.ty.structure().and_then(|held| causes[held].clone()));
            let cause = if any_will_do(structure) {
                // one that can be read is enough
                held.collect::<Option<Vec<_>>>().and_then(|causes| causes.into_iter().next())
            } else {
                held.flatten().next()
            };
            if cause.is_some() {
                causes[index] = cause;
                settled = false;
            }
        }
    }
    causes
}

/// Whether a structure goes on with fewer alternatives: types that `xsi:type` may name, and faults.
fn any_will_do(structure: &Structure) -> bool {
    let is_fault = structure.origin == Origin::Message && matches!(structure.kind, Kind::Choice { .. });
    structure.kind == Kind::Derived || is_fault
}

/// Drops alternatives that can't be read.
fn alternatives(
    model: &mut Model,
    causes: &[Option<Missing>],
    told: &mut HashSet<At>,
    diagnostics: &mut Diagnostics,
) {
    for structure in model.structures.iter_mut().filter(|structure| any_will_do(structure)) {
        let name = structure.name.local.clone();
        structure.members.retain(|member| {
            let cause = member.ty.structure().and_then(|held| causes[held].as_ref());
            if let Some(missing) = cause {
                told.insert(missing.at);
                missing.report(&format!("`{}` of `{name}`", member.name), diagnostics);
            }
            cause.is_none()
        });
    }
}

fn operations(
    model: &mut Model,
    causes: &[Option<Missing>],
    told: &mut HashSet<At>,
    diagnostics: &mut Diagnostics,
) {
    let mut report = |missing: &Missing, what: String| {
        told.insert(missing.at);
        missing.report(&what, diagnostics);
    };
    for service in &mut model.services {
        service.operations.retain_mut(|operation| {
            let name = operation.name.clone();
            let mut parts = std::iter::once(&operation.input).chain(&operation.output);
            if let Some(missing) = parts.find_map(|part| causes[part.structure].as_ref()) {
                report(missing, format!("operation `{name}`"));
                return false;
            }
            let mut is_whole = |header: &Header| {
                let cause = causes[header.structure].as_ref();
                if let Some(missing) = cause {
                    report(missing, format!("header `{}` of operation `{name}`", header.name));
                }
                cause.is_none()
            };
            operation.headers.retain(&mut is_whole);
            operation.output_headers.retain(&mut is_whole);
            if operation.faults.is_some_and(|faults| causes[faults].is_some()) {
                operation.faults = None;
            }
            true
        });
    }
}
