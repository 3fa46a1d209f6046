//! Messages, port types, bindings and services as written (WSDL 1.1 §2).

use std::rc::Rc;

use super::{Reference, documentation, reference, required};
use crate::diagnostic::{At, Diagnostics};
use crate::namespace::{WSDL, WSDL_HTTP, WSDL_SOAP, WSDL_SOAP_12};
use crate::xml::{Element, QName};

/// `wsdl:message`.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: QName,
    pub(crate) at: At,
    pub(crate) parts: Vec<Part>,
}

/// `wsdl:part`.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) at: At,
    /// `None` when neither `type` nor `element` could be made out.
    pub(crate) content: Option<PartContent>,
}

/// What a part says it holds.
#[derive(Debug)]
pub(crate) enum PartContent {
    Type(Reference),
    Element(Reference),
}

/// `wsdl:portType`.
#[derive(Debug)]
pub(crate) struct PortType {
    pub(crate) name: QName,
    pub(crate) operations: Vec<PortOperation>,
}

/// `wsdl:operation` of a port type.
#[derive(Debug)]
pub(crate) struct PortOperation {
    pub(crate) name: String,
    pub(crate) documentation: String,
    pub(crate) input: Option<Reference>,
    pub(crate) output: Option<Reference>,
    /// The output stands before the input: the server starts (WSDL 1.1 §2.4.3, §2.4.4).
    pub(crate) server_first: bool,
    /// `name` of the input, which tells operations of one name apart.
    pub(crate) input_name: Option<String>,
    pub(crate) faults: Vec<PortFault>,
}

/// `wsdl:fault` of a port type's operation.
#[derive(Debug)]
pub(crate) struct PortFault {
    pub(crate) name: String,
    pub(crate) message: Reference,
}

/// `wsdl:binding`.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) name: QName,
    pub(crate) at: At,
    pub(crate) port_type: Option<Reference>,
    pub(crate) protocol: Protocol,
    /// `style` of `soap:binding`.
    pub(crate) style: Option<String>,
    pub(crate) transport: Option<String>,
    pub(crate) documentation: String,
    pub(crate) operations: Vec<BindingOperation>,
}

/// What a binding binds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Soap11,
    Soap12,
    Http,
    Unknown,
}

/// `wsdl:operation` of a binding.
#[derive(Debug)]
pub(crate) struct BindingOperation {
    pub(crate) name: String,
    pub(crate) at: At,
    pub(crate) action: String,
    /// `style` of `soap:operation`.
    pub(crate) style: Option<String>,
    pub(crate) input: Option<Body>,
    pub(crate) output: Option<Body>,
    /// Of the input.
    pub(crate) headers: Vec<Header>,
    pub(crate) output_headers: Vec<Header>,
    /// `soap:headerfault` of either.
    pub(crate) fault_headers: Vec<Header>,
    /// `name` of the input.
    pub(crate) input_name: Option<String>,
    /// Names of `soap:fault`.
    pub(crate) faults: Vec<String>,
    /// Where attachments (WSDL 1.1 §5) are asked for.
    pub(crate) mime: Option<At>,
    /// Where a message is said to be a picture, a form or the like, and nothing in it is SOAP.
    pub(crate) not_soap: Option<At>,
}

/// `soap:body`.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) usage: Option<String>,
    pub(crate) namespace: Option<String>,
    /// The parts that are in the body; all when it doesn't say.
    pub(crate) parts: Option<Vec<String>>,
}

/// `soap:header`.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) at: At,
    pub(crate) message: Option<Reference>,
    pub(crate) part: String,
    pub(crate) namespace: Option<String>,
}

/// `wsdl:service`.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) at: At,
    pub(crate) documentation: String,
    /// Its ports: the name of each, and its binding.
    pub(crate) ports: Vec<(String, Reference)>,
}

/// What holds the parts of a SOAP binding, of either version.
fn soap<'e>(element: &'e Element, local: &'e str) -> impl Iterator<Item = &'e Element> {
    element.elements().filter(move |child| {
        &*child.name.local == local && matches!(&*child.name.namespace, WSDL_SOAP | WSDL_SOAP_12)
    })
}

pub(super) fn message(
    element: &Element,
    namespace: &Rc<str>,
    diagnostics: &mut Diagnostics,
) -> Option<Message> {
    let name = required(element, "name", diagnostics)?;
    let parts = element.all(WSDL, "part").filter_map(|part| parse_part(part, diagnostics)).collect();
    Some(Message { name: declared(namespace, &name), at: element.at, parts })
}

fn parse_part(element: &Element, diagnostics: &mut Diagnostics) -> Option<Part> {
    let name = required(element, "name", diagnostics)?;
    let content = if element.attribute("element").is_some() {
        reference(element, "element", diagnostics).map(PartContent::Element)
    } else if element.attribute("type").is_some() {
        reference(element, "type", diagnostics).map(PartContent::Type)
    } else {
        None
    };
    Some(Part { name, at: element.at, content })
}

pub(super) fn port_type(
    element: &Element,
    namespace: &Rc<str>,
    diagnostics: &mut Diagnostics,
) -> Option<PortType> {
    let name = required(element, "name", diagnostics)?;
    let operations = element
        .all(WSDL, "operation")
        .filter_map(|operation| port_operation(operation, diagnostics))
        .collect();
    Some(PortType { name: declared(namespace, &name), operations })
}

fn port_operation(element: &Element, diagnostics: &mut Diagnostics) -> Option<PortOperation> {
    let name = required(element, "name", diagnostics)?;
    let first = |local: &str| element.elements().position(|child| child.is(WSDL, local));
    let server_first = match (first("input"), first("output")) {
        (Some(input), Some(output)) => output < input,
        (None, Some(_)) => true,
        _ => false,
    };
    let mut message = |local: &str| {
        element.all(WSDL, local).next().and_then(|child| {
            required(child, "message", diagnostics)?;
            reference(child, "message", diagnostics)
        })
    };
    let (input, output) = (message("input"), message("output"));
    let faults = element.all(WSDL, "fault").filter_map(|fault| {
        required(fault, "message", diagnostics)?;
        let message = reference(fault, "message", diagnostics)?;
        Some(PortFault { name: fault.value("name").unwrap_or(&message.name.local).to_owned(), message })
    });
    let faults = faults.collect();
    Some(PortOperation {
        name,
        documentation: documentation::of(element),
        input,
        output,
        server_first,
        input_name: input_name(element),
        faults,
    })
}

pub(super) fn binding(
    element: &Element,
    namespace: &Rc<str>,
    diagnostics: &mut Diagnostics,
) -> Option<Binding> {
    let name = required(element, "name", diagnostics)?;
    required(element, "type", diagnostics)?;
    let port_type = reference(element, "type", diagnostics);
    let bound = element.elements().find(|child| &*child.name.local == "binding");
    let protocol = bound.map_or(Protocol::Unknown, |bound| match &*bound.name.namespace {
        WSDL_SOAP => Protocol::Soap11,
        WSDL_SOAP_12 => Protocol::Soap12,
        WSDL_HTTP => Protocol::Http,
        _ => Protocol::Unknown,
    });
    let of_bound = |attribute| bound.and_then(|bound| bound.value(attribute)).map(str::to_owned);
    let operations =
        element.all(WSDL, "operation").filter_map(|child| binding_operation(child, diagnostics)).collect();
    Some(Binding {
        name: declared(namespace, &name),
        at: element.at,
        port_type,
        protocol,
        style: of_bound("style"),
        transport: of_bound("transport"),
        documentation: documentation::of(element),
        operations,
    })
}

fn binding_operation(element: &Element, diagnostics: &mut Diagnostics) -> Option<BindingOperation> {
    let name = required(element, "name", diagnostics)?;
    let bound = soap(element, "operation").next();
    let (input, mime) = message_of(element, "input");
    let (output, mime_out) = message_of(element, "output");
    let mut headers = |message: Option<&Element>| {
        message.map_or_else(Vec::new, |message| {
            soap(message, "header").filter_map(|child| header(child, diagnostics)).collect()
        })
    };
    let (headers, output_headers) = (headers(input), headers(output));
    let of_message = [input, output].into_iter().flatten().flat_map(|message| soap(message, "header"));
    let fault_headers = of_message
        .flat_map(|header| soap(header, "headerfault"))
        .filter_map(|child| header(child, diagnostics))
        .collect();
    Some(BindingOperation {
        name,
        at: element.at,
        action: bound.and_then(|bound| bound.value("soapAction")).unwrap_or_default().to_owned(),
        style: bound.and_then(|bound| bound.value("style")).map(str::to_owned),
        input: input.and_then(body),
        output: output.and_then(body),
        headers,
        output_headers,
        fault_headers,
        input_name: input_name(element),
        faults: faults(element),
        mime: mime.or(mime_out),
        not_soap: [input, output].into_iter().flatten().find_map(not_soap),
    })
}

/// What holds the body of an input or output, and where that is but one part of several (WSDL 1.1 §5).
fn message_of<'e>(element: &'e Element, local: &str) -> (Option<&'e Element>, Option<At>) {
    let Some(message) = element.elements().find(|child| child.is(WSDL, local)) else { return (None, None) };
    let related = message.elements().find(|child| &*child.name.local == "multipartRelated");
    let Some(related) = related else { return (Some(message), None) };
    let mut parts = related.elements().filter(|child| &*child.name.local == "part");
    (parts.find(|part| soap(part, "body").next().is_some()).or(Some(message)), Some(related.at))
}

fn not_soap(message: &Element) -> Option<At> {
    let is_content = |child: &&Element| matches!(&*child.name.local, "content" | "mimeXml" | "urlEncoded");
    let content = message.elements().find(is_content)?;
    soap(message, "body").next().is_none().then_some(content.at)
}

fn faults(element: &Element) -> Vec<String> {
    let faults = element.all(WSDL, "fault").flat_map(|fault| soap(fault, "fault"));
    faults.map(|fault| fault.value("name").unwrap_or_default().to_owned()).collect()
}

fn input_name(element: &Element) -> Option<String> {
    element.all(WSDL, "input").next()?.value("name").map(str::to_owned)
}

fn body(element: &Element) -> Option<Body> {
    let body = soap(element, "body").next()?;
    Some(Body {
        usage: body.value("use").map(str::to_owned),
        namespace: body.value("namespace").map(str::to_owned),
        parts: body.value("parts").map(|parts| parts.split_whitespace().map(str::to_owned).collect()),
    })
}

/// `soap:header` or `soap:headerfault`; one that doesn't say what it holds is left out.
fn header(element: &Element, diagnostics: &mut Diagnostics) -> Option<Header> {
    for attribute in ["message", "part"] {
        if element.value(attribute).is_none_or(str::is_empty) {
            let what = format!("a `{}` is left out: it has no `{attribute}`", element.name.local);
            diagnostics.warning(element.at, what, "give it one");
            return None;
        }
    }
    let part = required(element, "part", diagnostics)?;
    Some(Header {
        at: element.at,
        message: reference(element, "message", diagnostics),
        part,
        namespace: element.value("namespace").map(str::to_owned),
    })
}

pub(super) fn service(element: &Element, diagnostics: &mut Diagnostics) -> Option<Service> {
    let name = required(element, "name", diagnostics)?;
    let ports = element
        .all(WSDL, "port")
        .filter_map(|port| {
            required(port, "binding", diagnostics)?;
            Some((
                port.value("name").unwrap_or_default().to_owned(),
                reference(port, "binding", diagnostics)?,
            ))
        })
        .collect();
    Some(Service { name, at: element.at, documentation: documentation::of(element), ports })
}

fn declared(namespace: &Rc<str>, name: &str) -> QName {
    QName { namespace: namespace.clone(), local: Rc::from(name) }
}
