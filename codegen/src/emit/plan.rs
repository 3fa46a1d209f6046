//! What is called what, and which module it stands in.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::config::Config;
use crate::names::{self, Names, identifier};
use crate::resolve::Model;

/// A module of the generated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Module {
    /// What services share.
    Types,
    /// Of `Model::services`.
    Service(usize),
}

/// The names of everything.
pub(super) struct Plan {
    homes: Vec<Module>,
    /// Of each structure: its type, and the static that holds its table.
    types: Vec<String>,
    tables: Vec<String>,
    /// Of those that are there already: the type's path, and its table's.
    elsewhere: Vec<Option<(String, String)>>,
    services: Vec<ServicePlan>,
}

struct ServicePlan {
    module: String,
    short: String,
    client: String,
    server: String,
    /// What it names of other modules.
    imports: BTreeSet<usize>,
    operations: Vec<OperationPlan>,
}

struct OperationPlan {
    ty: String,
    /// The static that holds it.
    table: String,
    /// What its method is called: a type of the operation's name is no reason to call it otherwise.
    method: String,
}

impl Plan {
    pub(super) fn new(model: &Model, config: &Config) -> Self {
        let homes: Vec<Module> = model
            .structures
            .iter()
            .map(|structure| structure.home.map_or(Module::Types, Module::Service))
            .collect();
        let mut type_names: BTreeMap<Module, Names> = BTreeMap::new();
        let mut static_names: BTreeMap<Module, Names> = BTreeMap::new();
        let (mut types, mut tables) = (Vec::new(), Vec::new());
        for (structure, home) in model.structures.iter().zip(&homes) {
            let taken = type_names.entry(*home).or_insert_with(Names::of_types);
            let wanted = config.settings.type_name(structure).map(str::to_owned);
            let name = taken.unique(wanted.unwrap_or_else(|| names::type_name(&structure.name.local)), "");
            let statics = static_names.entry(*home).or_insert_with(statics);
            // who imports a type called ID doesn't want a table with it
            let table = names::shout(&name);
            let table = if table == name { table + "_TABLE" } else { table };
            tables.push(statics.unique(table, "_"));
            types.push(name);
        }
        let elsewhere = model.structures.iter().map(|it| config.settings.elsewhere(it)).collect();
        let mut plan = Self { homes, types, tables, elsewhere, services: Vec::new() };
        let mut modules = Names::default();
        modules.take("types");
        for (index, service) in model.services.iter().enumerate() {
            let own = Module::Service(index);
            let mut taken = type_names.remove(&own).unwrap_or_else(Names::of_types);
            let mut statics = static_names.remove(&own).unwrap_or_else(statics);
            let reached = reached(model, index, &plan.homes);
            let imports = reached
                .into_iter()
                .filter(|structure| plan.homes[*structure] != own && plan.elsewhere[*structure].is_none())
                .filter(|structure| taken.take(&plan.types[*structure]))
                .collect();
            let mut operations: Vec<OperationPlan> = service
                .operations
                .iter()
                .map(|operation| {
                    let wanted = config.settings.operation_name(&service.name, &operation.name);
                    let mut name = wanted.map_or_else(|| names::type_name(&operation.name), str::to_owned);
                    if operation.number > 1 {
                        name += &operation.number.to_string();
                    }
                    let method = name.clone();
                    // a type without members is a value, too, and shares the statics' names
                    if !taken.take(&name) || !statics.take(&name) {
                        name = taken.unique(name + "Call", "");
                        statics.take(&name);
                    }
                    OperationPlan { ty: name, table: String::new(), method }
                })
                .collect();
            for (plan, operation) in operations.iter_mut().zip(&service.operations) {
                plan.table = statics.unique(names::shout(&operation.name), "_");
            }
            let short = config.short_name(&service.name);
            let client = taken.unique(names::type_name(&short) + "Client", "");
            let server = taken.unique(names::type_name(&short) + "Server", "");
            let module = modules.unique(names::snake(&short), "_");
            plan.services.push(ServicePlan { module, short, client, server, imports, operations });
        }
        plan
    }

    /// Of `Model::structures`: those that stand in `module`, by name.
    pub(super) fn structures_in(&self, module: Module) -> Vec<usize> {
        let mut found: Vec<usize> =
            (0..self.homes.len()).filter(|index| self.homes[*index] == module).collect();
        found.retain(|index| self.elsewhere[*index].is_none());
        found.sort_by(|one, other| self.types[*one].cmp(&self.types[*other]));
        found
    }

    /// What `module` brings in, by the module it comes from.
    pub(super) fn imports(&self, module: Module) -> BTreeMap<Module, BTreeSet<&str>> {
        let mut imports: BTreeMap<Module, BTreeSet<&str>> = BTreeMap::new();
        if let Module::Service(index) = module {
            for structure in &self.services[index].imports {
                imports.entry(self.homes[*structure]).or_default().insert(&self.types[*structure]);
            }
        }
        imports
    }

    pub(super) fn module_name(&self, module: Module) -> Ident {
        match module {
            Module::Types => identifier("types"),
            Module::Service(index) => identifier(&self.services[index].module),
        }
    }

    pub(super) fn service_modules(&self) -> Vec<&str> {
        self.services.iter().map(|service| service.module.as_str()).collect()
    }

    pub(super) fn short_name(&self, service: usize) -> &str {
        &self.services[service].short
    }

    pub(super) fn client_name(&self, service: usize) -> Ident {
        identifier(&self.services[service].client)
    }

    pub(super) fn server_name(&self, service: usize) -> Ident {
        identifier(&self.services[service].server)
    }

    /// The name of an operation's type, and of its static.
    pub(super) fn operation(&self, service: usize, operation: usize) -> (Ident, Ident) {
        let OperationPlan { ty, table, .. } = &self.services[service].operations[operation];
        (identifier(ty), identifier(table))
    }

    /// What the methods of a service's operations are called, before they are told apart.
    pub(super) fn methods(&self, service: usize) -> impl Iterator<Item = String> {
        self.services[service].operations.iter().map(|operation| operation.method.clone())
    }

    /// The bare name of a structure's type, and of its table.
    pub(super) fn own(&self, structure: usize) -> (Ident, Ident) {
        (identifier(&self.types[structure]), identifier(&self.tables[structure]))
    }

    /// A structure's type, as `module` names it.
    pub(super) fn ty(&self, structure: usize, module: Module) -> TokenStream {
        if let Some((path, _)) = &self.elsewhere[structure] {
            return tokens(path);
        }
        let name = identifier(&self.types[structure]);
        let imported = match module {
            Module::Service(index) => self.services[index].imports.contains(&structure),
            Module::Types => false,
        };
        if imported {
            quote! { #name }
        } else {
            self.path(structure, module, name)
        }
    }

    /// A structure's table, as `module` names it.
    pub(super) fn table(&self, structure: usize, module: Module) -> TokenStream {
        if let Some((_, table)) = &self.elsewhere[structure] {
            return tokens(table);
        }
        self.path(structure, module, identifier(&self.tables[structure]))
    }

    /// The same in two pieces of text.
    pub(super) fn table_path(&self, structure: usize, module: Module) -> (String, &str) {
        if let Some((_, table)) = &self.elsewhere[structure] {
            return (String::new(), table);
        }
        let home = self.homes[structure];
        let path =
            if home == module { String::new() } else { format!("super::{}::", self.module_name(home)) };
        (path, &self.tables[structure])
    }

    fn path(&self, structure: usize, module: Module, name: Ident) -> TokenStream {
        if self.homes[structure] == module {
            return quote! { #name };
        }
        let home = self.module_name(self.homes[structure]);
        quote! { super::#home::#name }
    }
}

/// A path that was given, and looked at before.
fn tokens(path: &str) -> TokenStream {
    path.parse().unwrap_or_default()
}

fn statics() -> Names {
    let mut names = Names::default();
    names.take("SERVICE");
    names.take("DEFINITION");
    for position in 0..super::namespaces::MOST {
        names.take(&super::namespaces::name(position));
        names.take(&super::operation::list_name(position));
    }
    names
}

/// Every structure that a service's operations, or structures that only it has, hold.
fn reached(model: &Model, service: usize, homes: &[Module]) -> BTreeSet<usize> {
    let mut open: Vec<usize> =
        (0..homes.len()).filter(|index| homes[*index] == Module::Service(service)).collect();
    for operation in &model.services[service].operations {
        open.extend(operation.structures());
    }
    let mut reached = BTreeSet::new();
    while let Some(index) = open.pop() {
        if reached.insert(index) {
            open.extend(model.structures[index].members.iter().filter_map(|member| member.ty.structure()));
        }
    }
    reached
}
