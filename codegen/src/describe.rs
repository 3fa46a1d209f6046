//! What definitions hold, for people and for scripts: services, operations, what goes in and what comes out.

use std::fmt::Write as _;

use crate::resolve::{Model, Place, Type};

/// A service, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDescription {
    /// As in the definition.
    pub name: String,
    /// Its operations, in the definition's order.
    pub operations: Vec<OperationDescription>,
}

/// An operation, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationDescription {
    /// As in the definition.
    pub name: String,
    /// `SOAPAction`.
    pub action: String,
    /// What goes in.
    pub input: Vec<ParameterDescription>,
    /// What comes out.
    pub output: Vec<ParameterDescription>,
}

/// A parameter, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterDescription {
    /// As on the wire.
    pub name: String,
    /// What it holds, in words.
    pub ty: String,
    /// May be left out.
    pub optional: bool,
    /// May be nil.
    pub nillable: bool,
}

pub(crate) fn describe(model: &Model) -> Vec<ServiceDescription> {
    let services = model.services.iter().map(|service| ServiceDescription {
        name: service.name.clone(),
        operations: service
            .operations
            .iter()
            .map(|operation| OperationDescription {
                name: operation.name.clone(),
                action: operation.action.clone(),
                input: parameters(model, operation.input.structure),
                output: operation
                    .output
                    .as_ref()
                    .map_or_else(Vec::new, |output| parameters(model, output.structure)),
            })
            .collect(),
    });
    services.collect()
}

fn parameters(model: &Model, structure: usize) -> Vec<ParameterDescription> {
    let Some(structure) = model.structures.get(structure) else { return Vec::new() };
    let members = structure.members.iter().map(|member| ParameterDescription {
        name: match member.place {
            Place::Attribute => format!("@{}", member.name),
            _ => member.name.clone(),
        },
        ty: words(model, &member.ty),
        optional: member.optional,
        nillable: member.nillable,
    });
    members.collect()
}

fn words(model: &Model, ty: &Type) -> String {
    match ty {
        Type::Simple(simple) => format!("{simple:?}"),
        Type::Structure(index) | Type::Enumeration(index) => {
            model.structures.get(*index).map(|it| it.name.local.to_string()).unwrap_or_default()
        }
        Type::Array(item)
        | Type::NamedArray(_, _, item)
        | Type::Repeated(item)
        | Type::List(item)
        | Type::Items(_, _, item) => {
            format!("list of {}", words(model, item))
        }
        Type::Any => "anything".to_owned(),
        Type::Raw => "XML".to_owned(),
    }
}

/// One line for each operation and each of its parameters.
pub fn description_table(services: &[ServiceDescription]) -> String {
    let mut out = String::new();
    for service in services {
        let _ = writeln!(out, "{}", service.name);
        for operation in &service.operations {
            let _ = writeln!(out, "  {}", operation.name);
            for (mark, parameters) in [("<-", &operation.input), ("->", &operation.output)] {
                for ParameterDescription { name, ty, optional, nillable } in parameters {
                    let optional = if *optional { ", optional" } else { "" };
                    let nillable = if *nillable { ", nillable" } else { "" };
                    let _ = writeln!(out, "    {mark} {name}: {ty}{optional}{nillable}");
                }
            }
        }
    }
    out
}

/// The same as JSON: an array of services.
pub fn description_json(services: &[ServiceDescription]) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let parameters = |parameters: &[ParameterDescription]| {
        list(
            parameters
                .iter()
                .map(|ParameterDescription { name, ty, optional, nillable }| {
                    let (name, ty) = (quoted(name), quoted(ty));
                    format!(
                        "{{\"name\":{name},\"type\":{ty},\"optional\":{optional},\"nillable\":{nillable}}}"
                    )
                })
                .collect(),
        )
    };
    let operation = |operation: &OperationDescription| {
        format!(
            "{{\"name\":{},\"action\":{},\"input\":{},\"output\":{}}}",
            quoted(&operation.name),
            quoted(&operation.action),
            parameters(&operation.input),
            parameters(&operation.output)
        )
    };
    let services = services.iter().map(|service| {
        let operations = list(service.operations.iter().map(operation).collect());
        format!("{{\"name\":{},\"operations\":{operations}}}", quoted(&service.name))
    });
    list(services.collect()) + "\n"
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            character if character.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            character => out.push(character),
        }
    }
    out.push('"');
    out
}
