//! Counts what stands in definitions, as read: whoever compares with the file sees whether anything was passed over.

use crate::load::Loaded;
use crate::parse::Parsed;
use crate::parse::schema::{
    Array, AttributeContent, AttributeDeclaration, Attributes, ComplexType, Content, Definition,
    ElementContent, ElementDeclaration, Group, GroupKind, Particle, SimpleBase, SimpleType,
};
use crate::parse::wsdl::Binding;

/// How much of what stands in the files that were read, used or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// `wsdl:operation` of port types.
    pub operations: usize,
    /// `wsdl:port`.
    pub ports: usize,
    /// `soap:header`.
    pub headers: usize,
    /// `soap:fault`.
    pub faults: usize,
    /// `xsd:element` with a name of its own, directly in a schema.
    pub elements: usize,
    /// `xsd:complexType`, named or not.
    pub complex_types: usize,
    /// `xsd:simpleType`, named or not.
    pub simple_types: usize,
    /// Simple types with values listed.
    pub enumerations: usize,
    /// `xsd:enumeration`: the values listed.
    pub enumeration_values: usize,
    /// `xsd:extension`.
    pub extensions: usize,
    /// `xsd:choice`.
    pub choices: usize,
    /// `xsd:attribute`, declared or referred to.
    pub attributes: usize,
    /// `xsd:any`.
    pub wildcards: usize,
    /// Arrays that say their items' type in `wsdl:arrayType`.
    pub typed_arrays: usize,
}

/// Counts each file once, without those that come with the generator.
pub(crate) fn count(loaded: &Loaded, parsed: &[Parsed]) -> Contents {
    let mut contents = Contents::default();
    for (document, parsed) in loaded.documents.iter().zip(parsed) {
        // a schema that others include into namespaces of theirs is there once more for each
        if !document.bundled && document.adopted.is_none() {
            contents.document(parsed);
        }
    }
    contents
}

impl Contents {
    fn document(&mut self, parsed: &Parsed) {
        self.operations += parsed.port_types.iter().map(|it| it.operations.len()).sum::<usize>();
        self.ports += parsed.services.iter().map(|it| it.ports.len()).sum::<usize>();
        parsed.bindings.iter().for_each(|binding| self.binding(binding));
        for schema in &parsed.schemas {
            self.elements += schema.elements.len();
            for ty in &schema.types {
                match &ty.definition {
                    Definition::Complex(complex) => self.complex(complex),
                    Definition::Simple(simple) => self.simple(simple),
                }
            }
            schema.elements.iter().for_each(|element| self.element(element));
            schema.attributes.iter().for_each(|attribute| self.attribute(attribute));
            schema.groups.iter().filter_map(|it| it.group.as_ref()).for_each(|group| self.group(group));
            schema.attribute_groups.iter().for_each(|group| self.attributes(&group.attributes));
        }
    }

    fn binding(&mut self, binding: &Binding) {
        for operation in &binding.operations {
            self.headers += operation.headers.len() + operation.output_headers.len();
            self.faults += operation.faults.len();
        }
    }

    fn complex(&mut self, complex: &ComplexType) {
        self.complex_types += 1;
        self.attributes(&complex.attributes);
        match &complex.content {
            Content::Members { base, restricts, group } => {
                self.extensions += usize::from(base.is_some() && !restricts);
                group.iter().for_each(|group| self.group(group));
            }
            Content::Array(array) => self.array(array),
            Content::Simple { base, restriction } => {
                self.extensions += usize::from(base.is_some() && restriction.is_none());
                restriction.iter().for_each(|restriction| self.restriction(restriction));
            }
        }
    }

    fn array(&mut self, array: &Array) {
        match array {
            Array::Typed { .. } => {
                self.typed_arrays += 1;
                self.attributes += 1;
            }
            Array::Element(element) => self.element(element),
            Array::Untyped => {}
        }
    }

    fn attributes(&mut self, attributes: &Attributes) {
        attributes.declared.iter().for_each(|attribute| self.attribute(attribute));
    }

    fn attribute(&mut self, attribute: &AttributeDeclaration) {
        self.attributes += 1;
        if let AttributeContent::Simple(simple) = &attribute.content {
            self.simple(simple);
        }
    }

    fn group(&mut self, group: &Group) {
        self.choices += usize::from(group.kind == GroupKind::Choice);
        for particle in &group.particles {
            match particle {
                Particle::Element(element) => self.element(element),
                Particle::Group(inner) => self.group(inner),
                Particle::Wildcard { .. } => self.wildcards += 1,
                Particle::GroupReference { .. } => {}
            }
        }
    }

    fn element(&mut self, element: &ElementDeclaration) {
        match &element.content {
            ElementContent::Complex(complex) => self.complex(complex),
            ElementContent::Simple(simple) => self.simple(simple),
            ElementContent::Type(_) | ElementContent::Element(_) | ElementContent::Untyped => {}
        }
    }

    fn simple(&mut self, simple: &SimpleType) {
        self.simple_types += 1;
        self.enumerations += usize::from(!simple.values.is_empty());
        self.restriction(simple);
    }

    /// What stands in a simple type, or in a restriction of simple content.
    fn restriction(&mut self, simple: &SimpleType) {
        self.enumeration_values += simple.values.len();
        match &simple.base {
            SimpleBase::Inline(inner) | SimpleBase::List(_, Some(inner)) => self.simple(inner),
            SimpleBase::Union(_, inner) => inner.iter().for_each(|inner| self.simple(inner)),
            SimpleBase::Restriction(_) | SimpleBase::List(_, None) | SimpleBase::Text => {}
        }
    }
}
