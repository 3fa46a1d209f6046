//! Elements, and the groups they stand in.

use super::model::{ElementContent, ElementDeclaration, Group, GroupKind, Occurs, Particle};
use super::{Reader, documentation, is_true, preset, required};
use crate::namespace::XSD;
use crate::xml::Element;

impl Reader<'_> {
    /// The group that stands in `element`, which a type or a derivation has at most one of.
    pub(super) fn group_in(&mut self, element: &Element) -> Option<Group> {
        for child in element.elements() {
            if let Some(kind) = group_kind(child) {
                return Some(self.group(child, kind));
            }
            if child.is(XSD, "group") {
                let particles = self.group_reference(child).into_iter().collect();
                let occurs = Occurs { optional: false, repeated: false };
                return Some(Group { at: child.at, kind: GroupKind::Sequence, occurs, particles });
            }
        }
        // in the drafts of 1999 elements stood in a type without a group around them
        let bare = element.elements().any(|child| child.is(XSD, "element") || child.is(XSD, "any"));
        bare.then(|| self.group(element, GroupKind::Sequence))
    }

    pub(super) fn group(&mut self, element: &Element, kind: GroupKind) -> Group {
        let mut particles = Vec::new();
        // a restriction takes away with `maxOccurs="0"` what its base has
        for child in element.elements().filter(|child| child.value("maxOccurs") != Some("0")) {
            if let Some(kind) = group_kind(child) {
                particles.push(Particle::Group(self.group(child, kind)));
            } else if child.is(XSD, "element") {
                particles
                    .extend(self.element(child, false).map(|element| Particle::Element(Box::new(element))));
            } else if child.is(XSD, "group") {
                particles.extend(self.group_reference(child));
            } else if child.is(XSD, "any") {
                particles.push(Particle::Wildcard { at: child.at });
            }
        }
        Group { at: element.at, kind, occurs: self.occurs(element), particles }
    }

    pub(super) fn group_reference(&mut self, element: &Element) -> Option<Particle> {
        required(element, "ref", self.diagnostics)?;
        let reference = self.reference(element, "ref")?;
        Some(Particle::GroupReference { reference, occurs: self.occurs(element) })
    }

    pub(super) fn element(&mut self, element: &Element, global: bool) -> Option<ElementDeclaration> {
        let (name, content) = match element.attribute("ref") {
            Some(_) => {
                let reference = self.reference(element, "ref")?;
                (reference.name.clone(), ElementContent::Element(reference))
            }
            None => {
                let qualified = global || self.is_qualified(element, self.elements_qualified);
                (self.local(element, qualified)?, self.element_content(element)?)
            }
        };
        Some(ElementDeclaration {
            name,
            at: element.at,
            content,
            occurs: self.occurs(element),
            nillable: is_true(element, "nillable"),
            documentation: documentation::of(element),
            is_abstract: is_true(element, "abstract"),
            substitutes: self.reference(element, "substitutionGroup"),
            value: preset(element),
        })
    }

    pub(super) fn element_content(&mut self, element: &Element) -> Option<ElementContent> {
        if element.attribute("type").is_some() {
            return self.reference(element, "type").map(ElementContent::Type);
        }
        if let Some(inner) = element.all(XSD, "complexType").next() {
            return Some(ElementContent::Complex(Box::new(self.complex(inner))));
        }
        if let Some(inner) = element.all(XSD, "simpleType").next() {
            return Some(ElementContent::Simple(self.simple(inner)));
        }
        Some(ElementContent::Untyped)
    }

    pub(super) fn occurs(&mut self, element: &Element) -> Occurs {
        let mut number = |name: &str| {
            let attribute = element.attribute(name)?;
            match attribute.value.trim() {
                "unbounded" if name == "maxOccurs" => Some(u64::MAX),
                text => text.parse().ok().or_else(|| {
                    self.diagnostics.error(
                        attribute.at,
                        format!("`{text}` is no value of `{name}`"),
                        "write a whole number",
                    );
                    None
                }),
            }
        };
        let (min, max) = (number("minOccurs"), number("maxOccurs"));
        Occurs { optional: min == Some(0), repeated: max.is_some_and(|max| max > 1) }
    }
}

fn group_kind(element: &Element) -> Option<GroupKind> {
    if &*element.name.namespace != XSD {
        return None;
    }
    match &*element.name.local {
        "all" => Some(GroupKind::All),
        "sequence" => Some(GroupKind::Sequence),
        "choice" => Some(GroupKind::Choice),
        _ => None,
    }
}
