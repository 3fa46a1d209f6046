//! A definition's own words about what it declares.

use crate::namespace::{WSDL, XSD};
use crate::xml::Element;

/// The text of `wsdl:documentation` or `xsd:annotation/xsd:documentation`, empty where there is none.
///
/// Lines are kept, the white space around them isn't: it is the indentation of the XML.
pub(super) fn of(element: &Element) -> String {
    let of_schema =
        element.all(XSD, "annotation").flat_map(|annotation| annotation.all(XSD, "documentation"));
    let mut lines = Vec::new();
    for documentation in element.all(WSDL, "documentation").chain(of_schema) {
        for line in documentation.text().lines() {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if !line.is_empty() || lines.last().is_some_and(|before: &String| !before.is_empty()) {
                lines.push(line);
            }
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}
