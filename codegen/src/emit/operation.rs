//! Operations and services: a type and a static for each operation, a static for the service.

use quote::quote;

use super::plan::{Module, Plan};
use super::structure::documented;
use super::{Uses, item};
use crate::error::Error;
use crate::resolve::{Header, Model, Operation, Part};

/// A service's operations and the service itself.
pub(super) fn items(model: &Model, plan: &Plan, index: usize, uses: &mut Uses) -> Result<Vec<String>, Error> {
    uses.extend(["Service", "Operation"]);
    let service = &model.services[index];
    let mut items = Vec::new();
    let mut tables = Vec::new();
    for (position, operation) in service.operations.iter().enumerate() {
        items.extend(operation_items(plan, index, position, operation, uses)?);
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
    Ok(items)
}

fn operation_items(
    plan: &Plan,
    service: usize,
    position: usize,
    operation: &Operation,
    uses: &mut Uses,
) -> Result<[String; 3], Error> {
    uses.extend(["Call", "Part", "Style"]);
    let module = Module::Service(service);
    let short = plan.short_name(service);
    let (name, table) = plan.operation(service, position);
    let comment = match operation.documentation.as_str() {
        "" => documented(&format!("The operation {} of {short}.", operation.name)),
        documentation => documented(documentation),
    };
    let declaration = quote! {
        #comment
        #[derive(Debug, Clone, Copy)]
        pub struct #name;
    };
    let request = plan.ty(operation.input.structure, module);
    let response = plan.ty(operation.output.structure, module);
    let call = quote! {
        impl Call for #name {
            type Request = #request;
            type Response = #response;
            fn operation() -> &'static Operation { &#table }
        }
    };
    let Operation { name, namespace, action, documentation, .. } = operation;
    let header = operation.header.as_ref().map_or_else(
        || quote! { None },
        |header| {
            uses.insert("Header");
            header_value(plan, module, header)
        },
    );
    let input = part_value(plan, module, &operation.input);
    let output = part_value(plan, module, &operation.output);
    let data = quote! {
        static #table: Operation = Operation {
            service: #short,
            name: #name,
            namespace: #namespace,
            action: #action,
            style: Style::RpcEncoded,
            documentation: #documentation,
            header: #header,
            input: #input,
            output: #output,
        };
    };
    Ok([item(declaration)?, item(call)?, item(data)?])
}

fn header_value(plan: &Plan, module: Module, header: &Header) -> proc_macro2::TokenStream {
    let Header { name, namespace, structure } = header;
    let table = plan.table(*structure, module);
    let ty = plan.ty(*structure, module);
    quote! {
        Some(Header { name: #name, namespace: #namespace, shape: &#table, empty: || Box::<#ty>::default() })
    }
}

fn part_value(plan: &Plan, module: Module, part: &Part) -> proc_macro2::TokenStream {
    let Part { name, structure } = part;
    let table = plan.table(*structure, module);
    let ty = plan.ty(*structure, module);
    quote! { Part { name: #name, shape: &#table, empty: || Box::<#ty>::default() } }
}
