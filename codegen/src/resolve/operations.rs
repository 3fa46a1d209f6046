//! Services and their operations: which binding is served, and what its messages hold.

use std::collections::{HashMap, HashSet};

use super::types::Types;
use super::{Header, Member, Operation, Part, Place, Service, Style, Type};
use crate::diagnostic::At;
use crate::parse::wsdl::{
    Binding, BindingOperation, Body, Message, PartContent, PortFault, PortOperation, PortType, Protocol,
};
use crate::parse::{Parsed, Reference, wsdl};
use crate::xml::QName;

/// The one transport of SOAP bindings that is in use.
const TRANSPORT_HTTP: &str = "http://schemas.xmlsoap.org/soap/http";

/// The name that SOAP 1.2 has for it.
const TRANSPORT_HTTP_12: &str = "http://www.w3.org/2003/05/soap/bindings/HTTP/";

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
    // a definition may stop at its bindings, leaving the service to whoever has the address, or misspell them there
    let mut ports = documents.iter().flat_map(|document| &document.services).flat_map(|it| &it.ports);
    if ports.all(|(_, binding)| !resolver.bindings.contains_key(&binding.name)) {
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

    /// A service for each of its port types: the first has the service's name, the others their own.
    fn service(&mut self, document: &Parsed, service: &wsdl::Service) -> Vec<Service> {
        if service.ports.is_empty() {
            self.leave_out(service.at, format!("service `{}`", service.name), "it has no port");
        }
        let mut bindings = Vec::new();
        for (port, reference) in &service.ports {
            match self.bindings.get(&reference.name).copied() {
                Some(found) => bindings.push(found),
                None => {
                    let before = self.types.missing_so_far();
                    self.types.note_missing(reference, "binding", self.bindings.keys().copied());
                    self.leave_out_missing(before, &format!("port `{port}`"));
                }
            }
        }
        let mut services: Vec<Service> = Vec::new();
        for (port_type, operations, documentation) in self.served(bindings) {
            let words = [&service.documentation, &documentation, &document.documentation];
            let documentation =
                words.into_iter().find(|words| !words.is_empty()).cloned().unwrap_or_default();
            let name = if services.is_empty() { service.name.clone() } else { port_type };
            services.push(Service { unit: 0, name, documentation, operations });
        }
        services
    }

    fn bindings_alone(&mut self, document: &'a Parsed, stem: &str, seen: &mut HashSet<At>) -> Vec<Service> {
        let bindings = document.bindings.iter().filter(|binding| seen.insert(binding.at));
        let bindings = bindings.map(|binding| (binding, &*document.namespace)).collect();
        let name = document.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| stem.to_owned());
        let mut services: Vec<Service> = Vec::new();
        for (port_type, operations, _) in self.served(bindings) {
            let name = if services.is_empty() { name.clone() } else { port_type };
            services.push(Service {
                unit: 0,
                name,
                documentation: document.documentation.clone(),
                operations,
            });
        }
        services
    }

    /// Of each port type the name, the operations of the binding that is served, and its documentation.
    ///
    /// SOAP 1.1 goes before 1.2 where both are there, since every stack speaks it.
    fn served(&mut self, bindings: Vec<(&'a Binding, &'a str)>) -> Vec<(String, Vec<Operation>, String)> {
        let mut of_port_type: Vec<(&'a QName, Vec<(&'a Binding, &'a str)>)> = Vec::new();
        for (binding, namespace) in bindings {
            let Some(port_type) = &binding.port_type else { continue };
            if let Some(reason) = unserved(binding) {
                self.leave_out(binding.at, format!("binding `{}`", binding.name.local), reason);
                continue;
            }
            match of_port_type.iter_mut().find(|(known, _)| **known == port_type.name) {
                Some((_, known)) => known.push((binding, namespace)),
                None => of_port_type.push((&port_type.name, vec![(binding, namespace)])),
            }
        }
        let mut served = Vec::new();
        for (port_type, mut bindings) in of_port_type {
            bindings.sort_by_key(|(binding, _)| binding.protocol == Protocol::Soap12);
            let operations = bindings.iter().find_map(|(binding, namespace)| {
                let mut operations = self.binding(binding, namespace);
                for operation in &mut operations {
                    let others = bindings.iter().map(|(other, _)| *other);
                    operation.also_soap12 = !operation.soap12 && also_in_soap12(binding, operation, others);
                }
                (!operations.is_empty()).then(|| (operations, binding.documentation.clone()))
            });
            if let Some((operations, documentation)) = operations {
                served.push((port_type.local.to_string(), operations, documentation));
            }
        }
        served
    }

    /// The operations of a binding that can be served; what can't is reported.
    fn binding(&mut self, binding: &Binding, namespace: &str) -> Vec<Operation> {
        let Some(port_type) = binding.port_type.as_ref() else { return Vec::new() };
        let Some(found) = self.port_types.get(&port_type.name).copied() else {
            let before = self.types.missing_so_far();
            self.types.note_missing(port_type, "port type", self.port_types.keys().copied());
            self.leave_out_missing(before, &format!("binding `{}`", binding.name.local));
            return Vec::new();
        };
        let mut operations: Vec<Operation> = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for bound in &binding.operations {
            let number = numbers.entry(bound.name.as_str()).or_default();
            *number += 1;
            let abstract_operation = self.abstract_operation(found, bound, *number);
            let operation = abstract_operation.and_then(|it| self.operation(binding, bound, it, namespace));
            operations.extend(operation.map(|operation| Operation { number: *number, ..operation }));
        }
        operations
    }

    /// The port type's operation that a binding's operation is about: of several of one name the one whose input is
    /// called the same, or that stands at the same place.
    fn abstract_operation<'p>(
        &mut self,
        port_type: &'p PortType,
        bound: &BindingOperation,
        number: usize,
    ) -> Option<&'p PortOperation> {
        let named: Vec<_> =
            port_type.operations.iter().filter(|operation| operation.name == bound.name).collect();
        if named.is_empty() {
            let (name, port_type) = (&bound.name, &port_type.name.local);
            self.types.diagnostics.undefined(
                bound.at,
                format!("operation `{name}` is left out: port type `{port_type}` has no operation `{name}`"),
                "declare it there, or remove it from the binding",
            );
            return None;
        }
        if number > 1 {
            self.types.diagnostics.warning(
                bound.at,
                format!("operation `{}` is called `{}{number}`: the name is taken", bound.name, bound.name),
                "give it a name of its own if a server is to tell them apart",
            );
        }
        let called = named.iter().find(|it| it.input_name.is_some() && it.input_name == bound.input_name);
        called.or_else(|| named.get(number - 1)).or_else(|| named.first()).copied()
    }

    fn operation(
        &mut self,
        binding: &Binding,
        bound: &BindingOperation,
        operation: &PortOperation,
        namespace: &str,
    ) -> Option<Operation> {
        let before = self.types.missing_so_far();
        let found = self.complete_operation(binding, bound, operation, namespace);
        if found.is_none() {
            self.leave_out_missing(before, &format!("operation `{}`", bound.name));
        }
        found
    }

    fn complete_operation(
        &mut self,
        binding: &Binding,
        bound: &BindingOperation,
        operation: &PortOperation,
        namespace: &str,
    ) -> Option<Operation> {
        let kind = match body_kind(binding, bound) {
            Ok(kind) => kind,
            Err(style) => {
                self.leave_out_operation(bound, &format!("it is {style}, which nobody serves"));
                return None;
            }
        };
        let (Some(input), false) = (&operation.input, operation.server_first) else {
            self.leave_out_operation(bound, "the server speaks first");
            return None;
        };
        if let Some(at) = bound.not_soap {
            self.leave_out(at, format!("operation `{}`", bound.name), "a message of it isn't SOAP");
            return None;
        }
        if let Some(at) = bound.mime {
            let what = format!("what operation `{}` has attached", bound.name);
            self.leave_out(at, what, "only the SOAP part is read and written");
        }
        let of = |body: &'_ Option<Body>| body.as_ref().and_then(|body| body.namespace.clone());
        let of_input = of(&bound.input).map_or_else(|| namespace.to_owned(), |it| it.to_string());
        let of_output = of(&bound.output).map_or_else(|| of_input.clone(), |it| it.to_string());
        let (input, input_element) = self.part(input, bound.input.as_ref(), &bound.headers, kind)?;
        let output = match &operation.output {
            Some(output) => Some(self.part(output, bound.output.as_ref(), &bound.output_headers, kind)?),
            None => None,
        };
        let (output, output_element) = output.unzip();
        let style = match kind {
            BodyKind::RpcEncoded => Style::RpcEncoded,
            BodyKind::RpcLiteral => Style::RpcLiteral,
            BodyKind::Document => {
                Style::Document { input: input_element, output: output_element.unwrap_or_else(no_element) }
            }
        };
        Some(Operation {
            name: operation.name.clone(),
            number: 1,
            namespace: of_input,
            output_namespace: of_output,
            action: bound.action.clone(),
            documentation: operation.documentation.clone(),
            style,
            soap12: binding.protocol == Protocol::Soap12,
            also_soap12: false,
            headers: self.headers(bound, &bound.headers, namespace),
            output_headers: self.headers(bound, &bound.output_headers, namespace),
            fault_headers: self.headers(bound, &bound.fault_headers, namespace),
            input,
            output,
            faults: self.faults(operation),
        })
    }

    /// What a message's body holds, as one structure, and in document style its element.
    fn part(
        &mut self,
        reference: &Reference,
        body: Option<&Body>,
        headers: &[wsdl::Header],
        kind: BodyKind,
    ) -> Option<(Part, QName)> {
        let message = self.message(reference)?;
        let listed = body.and_then(|body| body.parts.as_ref());
        let in_header = |part: &str| {
            headers.iter().any(|header| {
                header.part == part && header.message.as_ref().is_some_and(|of| of.name == message.name)
            })
        };
        let in_body = |part: &str| match listed {
            Some(listed) => listed.iter().any(|listed| listed == part),
            None => !in_header(part),
        };
        // in this order whatever `parameterOrder` says, which is about procedures' signatures (WS-I R2301, R2302);
        // zeep refuses another
        let parts: Vec<_> = message.parts.iter().filter(|part| in_body(&part.name)).collect();
        let mut contents = Vec::new();
        for part in parts {
            let (name, ty) = self.part_content(part)?;
            if kind == BodyKind::Document && name.is_none() {
                let what = format!("part `{}` of a message in document style has a type", part.name);
                self.types.diagnostics.warning(
                    part.at,
                    format!("{what}: an element of the part's name is written, and stacks differ in that"),
                    "declare an element and name that, or use style rpc (WS-I Basic Profile R2204)",
                );
            }
            contents.push((part, name, ty));
        }
        match (contents.as_slice(), kind) {
            ([(_, Some(element), ty)], BodyKind::Document) => {
                let structure = self.holding(element, message.at, ty.clone());
                return Some((Part { name: String::new(), structure }, element.clone()));
            }
            ([(part, _, Type::Structure(structure))], BodyKind::RpcEncoded | BodyKind::RpcLiteral) => {
                return Some((Part { name: part.name.clone(), structure: *structure }, no_element()));
            }
            _ => {}
        }
        let members = contents.into_iter().map(|(part, element, ty)| {
            let accessor = QName { namespace: "".into(), local: part.name.as_str().into() };
            let name = element.filter(|_| kind == BodyKind::Document).unwrap_or(accessor);
            Member::new(&name, part.at, ty)
        });
        let in_body = kind == BodyKind::Document;
        let structure = self.types.message_structure(&message.name, message.at, in_body, members.collect());
        Some((Part { name: String::new(), structure }, no_element()))
    }

    /// The structure that an element of type `ty` is: its own, or one made to hold what isn't a structure.
    fn holding(&mut self, element: &QName, at: At, ty: Type) -> usize {
        let unnamed = |local: &str| QName { namespace: "".into(), local: local.into() };
        let member = match ty {
            Type::Structure(structure) => return structure,
            Type::Items(name, namespace, item) => {
                let ty = Type::Repeated(item);
                Member { optional: true, ..Member::new(&QName { namespace, local: name }, at, ty) }
            }
            ty if ty.is_simple() => Member { place: Place::Text, ..Member::new(&unnamed("value"), at, ty) },
            _ => {
                let ty = Type::Repeated(Box::new(Type::Raw));
                Member { place: Place::Wildcard, optional: true, ..Member::new(&unnamed("any"), at, ty) }
            }
        };
        self.types.message_structure(element, at, false, vec![member])
    }

    /// The name and type of a part; for `element` the element's own name.
    fn part_content(&mut self, part: &wsdl::Part) -> Option<(Option<QName>, Type)> {
        let Some(content) = &part.content else {
            let what = format!("part `{}` has neither `type` nor `element`", part.name);
            self.types.note_unreadable(part.at, what, "say what the part holds");
            return None;
        };
        match content {
            PartContent::Type(reference) => self.types.by_name(reference).map(|ty| (None, ty)),
            PartContent::Element(reference) => {
                self.types.by_element(reference).map(|(name, ty)| (Some(name), ty))
            }
        }
    }

    fn headers(
        &mut self,
        bound: &BindingOperation,
        headers: &[wsdl::Header],
        namespace: &str,
    ) -> Vec<Header> {
        let mut found = Vec::new();
        for header in headers {
            let before = self.types.missing_so_far();
            match self.header(bound, header, namespace) {
                Some(header) => found.push(header),
                None => {
                    let what = format!("header `{}` of operation `{}`", header.part, bound.name);
                    self.leave_out_missing(before, &what);
                }
            }
        }
        found
    }

    fn header(&mut self, bound: &BindingOperation, header: &wsdl::Header, namespace: &str) -> Option<Header> {
        let message = self.message(header.message.as_ref()?)?;
        let Some(part) = message.parts.iter().find(|part| part.name == header.part) else {
            self.types.diagnostics.warning(
                header.at,
                format!(
                    "header `{}` of operation `{}` is left out: message `{}` has no such part",
                    header.part, bound.name, message.name.local
                ),
                "correct the header's `part`",
            );
            return None;
        };
        let (name, ty) = self.part_content(part)?;
        let name = name.unwrap_or_else(|| QName {
            namespace: header.namespace.as_deref().unwrap_or(namespace).into(),
            local: part.name.as_str().into(),
        });
        let structure = self.holding(&name, part.at, ty);
        Some(Header { name: name.local.to_string(), namespace: name.namespace.to_string(), structure })
    }

    /// The choice of what a fault's detail may hold, where the definition says anything about it.
    fn faults(&mut self, operation: &PortOperation) -> Option<usize> {
        let mut members: Vec<Member> = Vec::new();
        for fault in &operation.faults {
            let before = self.types.missing_so_far();
            let Some((part, element, ty)) = self.fault(operation, fault) else {
                let what = format!("fault `{}` of operation `{}`", fault.name, operation.name);
                self.leave_out_missing(before, &what);
                continue;
            };
            let name =
                element.unwrap_or_else(|| QName { namespace: "".into(), local: fault.name.as_str().into() });
            if members.iter().any(|member| *member.name == *name.local) {
                continue;
            }
            members.push(Member::new(&name, part.at, ty));
        }
        let at = members.first()?.at;
        let key: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let name = format!("{}Fault", crate::names::type_name(&operation.name));
        let name = QName { namespace: key.join(" ").into(), local: name.into() };
        Some(self.types.fault_choice(name, at, members))
    }

    fn fault(
        &mut self,
        operation: &PortOperation,
        fault: &PortFault,
    ) -> Option<(&'a wsdl::Part, Option<QName>, Type)> {
        let message = self.message(&fault.message)?;
        let [part] = message.parts.as_slice() else {
            let what = format!("fault `{}` of operation `{}`", fault.name, operation.name);
            let reason = format!("its message has {} parts instead of one", message.parts.len());
            self.leave_out(fault.message.at, what, &reason);
            return None;
        };
        let (element, ty) = self.part_content(part)?;
        Some((part, element, ty))
    }

    fn message(&mut self, reference: &Reference) -> Option<&'a Message> {
        let message = self.messages.get(&reference.name).copied();
        if message.is_none() {
            self.types.note_missing(reference, "message", self.messages.keys().copied());
        }
        message
    }

    fn leave_out_operation(&mut self, bound: &BindingOperation, reason: &str) {
        self.leave_out(bound.at, format!("operation `{}`", bound.name), reason);
    }

    /// Reports what is left out because of a name that was looked up since there were `before` missing ones.
    fn leave_out_missing(&mut self, before: usize, what: &str) {
        if let Some(missing) = self.types.missing_since(before).cloned() {
            missing.report(what, self.types.diagnostics);
        }
    }

    fn leave_out(&mut self, at: At, what: String, reason: &str) {
        let advice = "take it out of the definition if it isn't wanted";
        self.types.diagnostics.warning(at, format!("{what} is left out: {reason}"), advice);
    }
}

/// Whether one of `bindings` is of SOAP 1.2 and has the operation written alike.
fn also_in_soap12<'b>(
    binding: &Binding,
    operation: &Operation,
    mut bindings: impl Iterator<Item = &'b Binding>,
) -> bool {
    let kind = |binding: &Binding| {
        let bound = binding.operations.iter().filter(|bound| bound.name == operation.name);
        bound.map(|bound| body_kind(binding, bound).ok()).nth(operation.number - 1).flatten()
    };
    let own = kind(binding);
    bindings.any(|other| other.protocol == Protocol::Soap12 && own.is_some() && kind(other) == own)
}

/// How an operation's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    RpcEncoded,
    RpcLiteral,
    Document,
}

fn no_element() -> QName {
    QName { namespace: "".into(), local: "".into() }
}

/// Why a binding can't be served.
fn unserved(binding: &Binding) -> Option<&'static str> {
    match binding.protocol {
        Protocol::Soap11 | Protocol::Soap12 => match binding.transport.as_deref() {
            None | Some(TRANSPORT_HTTP | TRANSPORT_HTTP_12) => None,
            Some(_) => Some("its transport isn't HTTP"),
        },
        Protocol::Http => Some("it is plain HTTP, not SOAP"),
        Protocol::Unknown => Some("it isn't SOAP"),
    }
}

/// The style of an operation, or what it is called when nobody serves it.
fn body_kind(binding: &Binding, operation: &BindingOperation) -> Result<BodyKind, String> {
    let style = operation.style.as_deref().or(binding.style.as_deref()).unwrap_or("document");
    let usage = |body: &Option<Body>| {
        body.as_ref().map(|body| body.usage.clone().unwrap_or_else(|| "literal".to_owned()))
    };
    let usage = usage(&operation.input).or_else(|| usage(&operation.output));
    match (style, usage.as_deref().unwrap_or("literal")) {
        ("rpc", "encoded") => Ok(BodyKind::RpcEncoded),
        ("rpc", "literal") => Ok(BodyKind::RpcLiteral),
        ("document", "literal") => Ok(BodyKind::Document),
        (style, usage) => Err(format!("{style}/{usage}")),
    }
}
