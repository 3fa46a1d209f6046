//! Services and their operations: which binding is served, and what its messages hold.

use std::collections::{HashMap, HashSet};

use super::types::{Types, unknown};
use super::{Header, Member, Operation, Part, Service, Type};
use crate::diagnostic::At;
use crate::parse::wsdl::{
    Binding, BindingOperation, Body, Message, PartContent, PortOperation, PortType, Protocol,
};
use crate::parse::{Parsed, Reference, wsdl};
use crate::xml::QName;

/// The one transport of SOAP bindings that is in use.
const TRANSPORT_HTTP: &str = "http://schemas.xmlsoap.org/soap/http";

/// The services of one definition; `seen` holds those that another definition had, as both import them.
pub(super) fn services(
    documents: &[&Parsed],
    stem: &str,
    types: &mut Types<'_>,
    seen: &mut HashSet<At>,
) -> Vec<Service> {
    let mut resolver = Resolver::new(documents, types);
    let mut services = Vec::new();
    for document in documents {
        for service in &document.services {
            if seen.insert(service.at) {
                services.extend(resolver.service(document, service));
            }
        }
    }
    // a definition may stop at its bindings, leaving the service to whoever has the address
    if documents.iter().all(|document| document.services.is_empty()) {
        for document in documents {
            services.extend(resolver.bindings_alone(document, stem, seen));
        }
    }
    services
}

struct Resolver<'a, 't, 'd> {
    messages: HashMap<&'a QName, &'a Message>,
    port_types: HashMap<&'a QName, &'a PortType>,
    /// With the namespace of the definition that has it.
    bindings: HashMap<&'a QName, (&'a Binding, &'a str)>,
    types: &'t mut Types<'d>,
}

impl<'a, 't, 'd> Resolver<'a, 't, 'd> {
    fn new(documents: &[&'a Parsed], types: &'t mut Types<'d>) -> Self {
        let mut resolver =
            Self { messages: HashMap::new(), port_types: HashMap::new(), bindings: HashMap::new(), types };
        for document in documents {
            for message in &document.messages {
                resolver.messages.entry(&message.name).or_insert(message);
            }
            for port_type in &document.port_types {
                resolver.port_types.entry(&port_type.name).or_insert(port_type);
            }
            for binding in &document.bindings {
                resolver.bindings.entry(&binding.name).or_insert((binding, &document.namespace));
            }
        }
        resolver
    }

    fn service(&mut self, document: &Parsed, service: &wsdl::Service) -> Option<Service> {
        if service.bindings.is_empty() {
            self.leave_out(service.at, format!("service `{}`", service.name), "it has no port");
        }
        let mut served: Option<(Vec<Operation>, String)> = None;
        let mut known = HashSet::new();
        for reference in &service.bindings {
            let Some((binding, namespace)) = self.bindings.get(&reference.name).copied() else {
                unknown(self.types.diagnostics, reference, "binding", self.bindings.keys().copied());
                continue;
            };
            if !known.insert(&binding.name) {
                continue; // a second address of the same
            }
            if served.is_some() {
                self.leave_out(
                    binding.at,
                    format!("binding `{}`", binding.name.local),
                    "the service has one already",
                );
                continue;
            }
            let operations = self.binding(binding, namespace);
            if !operations.is_empty() {
                served = Some((operations, binding.documentation.clone()));
            }
        }
        let (operations, of_binding) = served?;
        let documentation = [&service.documentation, &of_binding, &document.documentation]
            .into_iter()
            .find(|documentation| !documentation.is_empty());
        let documentation = documentation.cloned().unwrap_or_default();
        Some(Service { name: service.name.clone(), documentation, operations })
    }

    fn bindings_alone(&mut self, document: &Parsed, stem: &str, seen: &mut HashSet<At>) -> Option<Service> {
        let mut operations = Vec::new();
        for binding in &document.bindings {
            if !seen.insert(binding.at) {
                continue;
            }
            if operations.is_empty() {
                operations = self.binding(binding, &document.namespace);
            } else {
                self.leave_out(
                    binding.at,
                    format!("binding `{}`", binding.name.local),
                    "there is one already",
                );
            }
        }
        let name = document.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| stem.to_owned());
        (!operations.is_empty()).then(|| Service {
            name,
            documentation: document.documentation.clone(),
            operations,
        })
    }

    /// The operations of a binding that can be served; what can't is reported.
    fn binding(&mut self, binding: &Binding, namespace: &str) -> Vec<Operation> {
        let name = format!("binding `{}`", binding.name.local);
        let unserved = match binding.protocol {
            Protocol::Soap11 => match binding.transport.as_deref() {
                None | Some(TRANSPORT_HTTP) => None,
                Some(_) => Some("its transport isn't HTTP"),
            },
            Protocol::Soap12 => Some("it is SOAP 1.2, only 1.1 is generated yet"),
            Protocol::Http => Some("it is plain HTTP, not SOAP"),
            Protocol::Unknown => Some("it isn't SOAP"),
        };
        if let Some(reason) = unserved {
            self.leave_out(binding.at, name, reason);
            return Vec::new();
        }
        let styles: HashSet<_> =
            binding.operations.iter().filter_map(|it| unserved_style(binding, it)).collect();
        let all = binding.operations.iter().all(|operation| unserved_style(binding, operation).is_some());
        if let (true, 1, Some(style)) = (all, styles.len(), styles.iter().next()) {
            self.leave_out(binding.at, name, &format!("it is {style}, only rpc/encoded is generated yet"));
            return Vec::new();
        }
        let Some(port_type) = binding.port_type.as_ref() else { return Vec::new() };
        let Some(found) = self.port_types.get(&port_type.name).copied() else {
            unknown(self.types.diagnostics, port_type, "port type", self.port_types.keys().copied());
            return Vec::new();
        };
        let mut operations: Vec<Operation> = Vec::new();
        for bound in &binding.operations {
            let abstract_operation = self.abstract_operation(found, bound);
            let operation = abstract_operation.and_then(|it| self.operation(binding, bound, it, namespace));
            operations.extend(operation);
        }
        operations
    }

    /// The port type's operation that a binding's operation is about.
    fn abstract_operation<'p>(
        &mut self,
        port_type: &'p PortType,
        bound: &BindingOperation,
    ) -> Option<&'p PortOperation> {
        let mut named = port_type.operations.iter().filter(|operation| operation.name == bound.name);
        let Some(operation) = named.next() else {
            self.types.diagnostics.error(
                bound.at,
                format!("port type `{}` has no operation `{}`", port_type.name.local, bound.name),
                "declare it there, or remove it from the binding",
            );
            return None;
        };
        if named.next().is_some() {
            self.leave_out_operation(bound, "there are several of that name");
            return None;
        }
        Some(operation)
    }

    fn operation(
        &mut self,
        binding: &Binding,
        bound: &BindingOperation,
        operation: &PortOperation,
        namespace: &str,
    ) -> Option<Operation> {
        if let Some(style) = unserved_style(binding, bound) {
            self.leave_out_operation(bound, &format!("it is {style}, only rpc/encoded is generated yet"));
            return None;
        }
        let (Some(input), Some(output), false) =
            (&operation.input, &operation.output, operation.server_first)
        else {
            self.leave_out_operation(bound, "it isn't a request with a response");
            return None;
        };
        let of_body = bound.input.as_ref().and_then(|body| body.namespace.as_deref());
        Some(Operation {
            name: operation.name.clone(),
            namespace: of_body.unwrap_or(namespace).to_owned(),
            action: bound.action.clone(),
            documentation: operation.documentation.clone(),
            header: self.header(bound, namespace),
            input: self.part(input, bound.input.as_ref())?,
            output: self.part(output, bound.output.as_ref())?,
        })
    }

    /// What a message's body holds, as one structure.
    fn part(&mut self, reference: &Reference, body: Option<&Body>) -> Option<Part> {
        let message = self.message(reference)?;
        let listed = body.and_then(|body| body.parts.as_ref());
        let parts: Vec<_> = message
            .parts
            .iter()
            .filter(|part| listed.is_none_or(|listed| listed.contains(&part.name)))
            .collect();
        let mut members = Vec::new();
        for part in parts {
            let (_, ty) = self.part_content(part)?;
            members.push((part, ty));
        }
        if let [(part, Type::Structure(structure))] = members.as_slice() {
            return Some(Part { name: part.name.clone(), structure: *structure });
        }
        let members = members.into_iter().map(|(part, ty)| Member {
            name: part.name.clone(),
            at: part.at,
            ty,
            optional: false,
            nillable: false,
            boxed: false,
            documentation: String::new(),
        });
        let structure = self.types.message_structure(&message.name, message.at, members.collect());
        Some(Part { name: String::new(), structure })
    }

    /// The name and type of a part; for `element` the element's own name.
    fn part_content(&mut self, part: &wsdl::Part) -> Option<(Option<QName>, Type)> {
        match part.content.as_ref()? {
            PartContent::Type(reference) => self.types.by_name(reference).map(|ty| (None, ty)),
            PartContent::Element(reference) => {
                self.types.by_element(reference).map(|(name, ty)| (Some(name), ty))
            }
        }
    }

    /// The first header of a request; more than one is left out.
    fn header(&mut self, bound: &BindingOperation, namespace: &str) -> Option<Header> {
        let mut headers = bound.headers.iter();
        let header = headers.next()?;
        for further in headers {
            let what = format!("header `{}` of operation `{}`", further.part, bound.name);
            self.leave_out(further.at, what, "an operation has one header, for now");
        }
        let message = self.message(header.message.as_ref()?)?;
        let Some(part) = message.parts.iter().find(|part| part.name == header.part) else {
            self.types.diagnostics.error(
                header.at,
                format!("message `{}` has no part `{}`", message.name.local, header.part),
                "correct the header's `part`",
            );
            return None;
        };
        let (name, ty) = self.part_content(part)?;
        let Type::Structure(structure) = ty else {
            let what = format!("header `{}` of operation `{}`", header.part, bound.name);
            self.leave_out(header.at, what, "it isn't a structure");
            return None;
        };
        Some(match name {
            Some(name) => {
                Header { name: name.local.to_string(), namespace: name.namespace.to_string(), structure }
            }
            None => {
                let namespace = header.namespace.as_deref().unwrap_or(namespace).to_owned();
                Header { name: part.name.clone(), namespace, structure }
            }
        })
    }

    fn message(&mut self, reference: &Reference) -> Option<&'a Message> {
        let message = self.messages.get(&reference.name).copied();
        if message.is_none() {
            unknown(self.types.diagnostics, reference, "message", self.messages.keys().copied());
        }
        message
    }

    fn leave_out_operation(&mut self, bound: &BindingOperation, reason: &str) {
        self.leave_out(bound.at, format!("operation `{}`", bound.name), reason);
    }

    fn leave_out(&mut self, at: At, what: String, reason: &str) {
        let advice = "take it out of the definition if it isn't wanted";
        self.types.diagnostics.warning(at, format!("{what} is left out: {reason}"), advice);
    }
}

/// How an operation's body is written when that can't be served; `None` for rpc/encoded.
fn unserved_style(binding: &Binding, operation: &BindingOperation) -> Option<String> {
    let style = operation.style.as_deref().or(binding.style.as_deref()).unwrap_or("document");
    let usage = |body: &Option<Body>| {
        body.as_ref().map(|body| body.usage.clone().unwrap_or_else(|| "literal".to_owned()))
    };
    let usages = [usage(&operation.input), usage(&operation.output)];
    let odd = usages.into_iter().flatten().find(|usage| usage != "encoded");
    match (style, odd) {
        ("rpc", None) => None,
        (style, odd) => Some(format!("{style}/{}", odd.as_deref().unwrap_or("encoded"))),
    }
}
