//! Simple types: restrictions, lists and unions.

use super::model::{Facet, SimpleBase, SimpleType};
use super::{Reader, documentation};
use crate::diagnostic::At;
use crate::namespace::XSD;
use crate::xml::Element;

impl Reader<'_> {
    pub(super) fn simple(&mut self, element: &Element) -> SimpleType {
        let documentation = documentation::of(element);
        let mut simple =
            match element.elements().find(|child| &*child.name.namespace == XSD && is_simple_base(child)) {
                Some(child) if child.is(XSD, "restriction") => self.restriction(child),
                Some(child) if child.is(XSD, "list") => {
                    let inner = child.all(XSD, "simpleType").next().map(|inner| Box::new(self.simple(inner)));
                    let named = self.reference(child, "itemType");
                    self.made_of(SimpleBase::List(named, inner), child.at)
                }
                Some(child) => {
                    let named = child.attribute("memberTypes").map_or_else(Vec::new, |members| {
                        members
                            .value
                            .split_whitespace()
                            .filter_map(|name| self.reference_in(child, name, members.at))
                            .collect()
                    });
                    let inner = child.all(XSD, "simpleType").map(|inner| self.simple(inner)).collect();
                    self.made_of(SimpleBase::Union(named, inner), child.at)
                }
                None => self.made_of(SimpleBase::Text, element.at),
            };
        simple.at = element.at;
        simple.documentation = documentation;
        simple
    }

    pub(super) fn restriction(&mut self, restriction: &Element) -> SimpleType {
        let base = match restriction.all(XSD, "simpleType").next() {
            Some(inner) => SimpleBase::Inline(Box::new(self.simple(inner))),
            None => self.reference(restriction, "base").map_or(SimpleBase::Text, SimpleBase::Restriction),
        };
        let mut simple = self.made_of(base, restriction.at);
        for facet in restriction.elements().filter(|child| &*child.name.namespace == XSD) {
            let Some(value) = facet.attribute("value") else { continue };
            if &*facet.name.local == "enumeration" {
                simple.values.push((value.value.clone(), documentation::of(facet)));
            } else if &*facet.name.local != "whiteSpace" {
                let name = facet.name.local.to_string();
                simple.facets.push(Facet { name, value: value.value.clone() });
            }
        }
        simple
    }

    pub(super) fn made_of(&self, base: SimpleBase, at: At) -> SimpleType {
        SimpleType { at, documentation: String::new(), base, values: Vec::new(), facets: Vec::new() }
    }
}

fn is_simple_base(element: &Element) -> bool {
    matches!(&*element.name.local, "restriction" | "list" | "union")
}
