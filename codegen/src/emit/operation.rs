//! Operations and services: a type and a static for each operation, a static for the service, its client and its
//! server trait.

use proc_macro2::TokenStream;
use quote::quote;

use super::documentation;
use super::namespaces::{self, named};
use super::plan::{Module, Plan};
use super::structure::documented;
use super::{Uses, item};
use crate::error::Error;
use crate::names::{self, identifier};
use crate::resolve::{Header, Model, Operation, Part, Service, Style};
use crate::xml::QName;

/// A service's operations and the service itself.
pub(super) fn items(
    model: &Model,
    plan: &Plan,
    index: usize,
    uses: &mut Uses,
    namespaces: &mut Vec<String>,
) -> Result<Vec<String>, Error> {
    uses.extend(["Service", "Operation"]);
    let service = &model.services[index];
    let mut items = Vec::new();
    let mut tables = Vec::new();
    let mut lists = Vec::new();
    for (position, operation) in service.operations.iter().enumerate() {
        let known = lists.len();
        let operation = operation_items(plan, index, position, operation, uses, namespaces, &mut lists)?;
        items.extend(declared(&lists, known)?);
        items.extend(operation);
        let (_, table) = plan.operation(index, position);
        tables.push(quote! { &#table });
    }
    let short = plan.short_name(index);
    let (name, documentation) = (&service.name, &service.documentation);
    let comment = format!(" The service `{short}`.");
    items.push(item(quote! {
        #[doc = #comment]
        pub static SERVICE: Service = Service {
            name: #short,
            wsdl_name: #name,
            documentation: #documentation,
            operations: &[ #(#tables),* ],
        };
    })?);
    items.push(port(plan, index, service));
    Ok(items)
}

/// The client and the server trait, which have a method for each operation, as the runtime's macro takes them.
fn port(plan: &Plan, index: usize, service: &Service) -> String {
    let methods = names::fields_beside(plan.methods(index), &["new", "header", "port", "not_implemented"]);
    let mut list = String::new();
    for (position, operation) in service.operations.iter().enumerate() {
        let (name, _) = plan.operation(index, position);
        let said = match operation.documentation.as_str() {
            "" => format!("The operation {}.", operation.name),
            documentation => documentation.to_owned(),
        };
        for line in documentation::lines(&said) {
            list += format!("        /// {line}").trim_end();
            list.push('\n');
        }
        let headers = if operation.output_headers.is_empty() { "" } else { " with headers" };
        list += &format!("        {} {name}{headers},\n", identifier(&methods[position]));
    }
    let short = plan.short_name(index);
    let (client, server) = (plan.client_name(index), plan.server_name(index));
    format!(
        "::soapstone_soap::port! {{\n    /// A client of {short}.\n    client {client};\n    /// What serves {short}.\n    \
         server {server};\n    {{\n{}    }}\n}}\n",
        list
    )
}

fn operation_items(
    plan: &Plan,
    service: usize,
    position: usize,
    operation: &Operation,
    uses: &mut Uses,
    namespaces: &mut Vec<String>,
    lists: &mut Vec<String>,
) -> Result<[String; 3], Error> {
    uses.extend(["Call", "Part", "Style", "Version", "empty"]);
    let module = Module::Service(service);
    let short = plan.short_name(service);
    let (name, table) = plan.operation(service, position);
    let comment = match operation.documentation.as_str() {
        "" => documented(&format!("The operation {} of {short}.", operation.name)),
        documentation => documented(documentation),
    };
    let declaration = quote! {
        #comment
        pub struct #name;
    };
    let request = plan.ty(operation.input.structure, module);
    let response = operation
        .output
        .as_ref()
        .map_or_else(|| quote! { ::soapstone_soap::Nothing }, |output| plan.ty(output.structure, module));
    let fault = operation
        .faults
        .map_or_else(|| quote! { ::soapstone_soap::Nothing }, |faults| plan.ty(faults, module));
    let call = quote! {
        impl Call for #name {
            type Request = #request;
            type Response = #response;
            type Fault = #fault;
            fn operation() -> &'static Operation { &#table }
        }
    };
    let Operation { name, action, documentation, .. } = operation;
    let namespace = named(namespaces, &operation.namespace);
    let output_namespace = named(namespaces, &operation.output_namespace);
    let style = match &operation.style {
        Style::RpcEncoded => quote! { Style::RpcEncoded },
        Style::RpcLiteral => quote! { Style::RpcLiteral },
        Style::Document { input, output } => {
            uses.insert("Element");
            let (input, output) = (element_value(input, namespaces), element_value(output, namespaces));
            quote! { Style::Document { input: #input, output: #output } }
        }
    };
    let versions = match (operation.soap12, operation.also_soap12) {
        (true, _) => quote! { Version::Soap12 },
        (false, true) => quote! { Version::Soap11, Version::Soap12 },
        (false, false) => quote! { Version::Soap11 },
    };
    let one_way = operation.output.is_none();
    let all_headers = [&operation.headers, &operation.output_headers, &operation.fault_headers];
    if all_headers.iter().any(|headers| !headers.is_empty()) {
        uses.insert("Header");
    }
    let [headers, output_headers, fault_headers] =
        all_headers.map(|headers| header_list(plan, module, headers, namespaces, lists));
    let input = part_value(plan, module, &operation.input);
    let output = operation.output.as_ref().map_or_else(
        || {
            let nothing = quote! { ::soapstone_soap::NOTHING };
            quote! { Part { name: "", shape: &#nothing, empty: empty::<::soapstone_soap::Nothing> } }
        },
        |output| part_value(plan, module, output),
    );
    let faults = operation.faults.map_or_else(
        || quote! { None },
        |structure| {
            let part = part_value(plan, module, &Part { name: String::new(), structure });
            quote! { Some(#part) }
        },
    );
    let data = quote! {
        static #table: Operation = Operation {
            service: #short,
            name: #name,
            namespace: #namespace,
            output_namespace: #output_namespace,
            action: #action,
            style: #style,
            documentation: #documentation,
            versions: &[ #versions ],
            one_way: #one_way,
            headers: #headers,
            output_headers: #output_headers,
            fault_headers: #fault_headers,
            input: #input,
            output: #output,
            faults: #faults,
        };
    };
    Ok([item(declaration)?, item(call)?, item(data)?])
}

fn element_value(name: &QName, namespaces: &mut Vec<String>) -> TokenStream {
    let (name, namespace) = (&*name.local, named(namespaces, &name.namespace));
    quote! { Element::new(#name, #namespace) }
}

/// What an operation says of its header blocks. Most operations of a service have the same ones, so that each list
/// stands once, with a name.
fn header_list(
    plan: &Plan,
    module: Module,
    headers: &[Header],
    namespaces: &mut Vec<String>,
    lists: &mut Vec<String>,
) -> TokenStream {
    if headers.is_empty() {
        return quote! { &[] };
    }
    let values = headers.iter().map(|header| header_value(plan, module, header, namespaces));
    let list = quote! { &[ #(#values),* ] };
    let text = list.to_string();
    let known = lists.iter().position(|known| *known == text);
    if known.is_none() && lists.len() >= namespaces::MOST {
        return list;
    }
    let position = known.unwrap_or_else(|| {
        lists.push(text);
        lists.len() - 1
    });
    let name = identifier(&list_name(position));
    quote! { #name }
}

/// The name of the list of header blocks at a position.
pub(super) fn list_name(position: usize) -> String {
    if position == 0 { "HEADERS".to_owned() } else { format!("HEADERS_{}", position + 1) }
}

/// The lists of header blocks from a position on, as items.
fn declared(lists: &[String], from: usize) -> Result<Vec<String>, Error> {
    let lists = lists.iter().enumerate().skip(from);
    lists
        .map(|(position, list)| {
            let name = identifier(&list_name(position));
            let list: TokenStream = list.parse().unwrap_or_default();
            item(quote! { const #name: &[Header] = #list; })
        })
        .collect()
}

fn header_value(plan: &Plan, module: Module, header: &Header, namespaces: &mut Vec<String>) -> TokenStream {
    let Header { name, namespace, structure } = header;
    let namespace = named(namespaces, namespace);
    let table = plan.table(*structure, module);
    let ty = plan.ty(*structure, module);
    quote! { Header { name: #name, namespace: #namespace, shape: &#table, empty: empty::<#ty> } }
}

fn part_value(plan: &Plan, module: Module, part: &Part) -> TokenStream {
    let Part { name, structure } = part;
    let table = plan.table(*structure, module);
    let ty = plan.ty(*structure, module);
    quote! { Part { name: #name, shape: &#table, empty: empty::<#ty> } }
}
