//! Values that are names in namespaces ([`crate::QName`]): each namespace gets a prefix in the tag that the value
//! belongs to.

use super::text::words;
use super::{WriteError, Writer, escape};
use crate::qname::parts;
use crate::{List, View, Xsd};

impl Writer<'_> {
    /// Names as the content of the element whose start tag was written just now.
    pub(super) fn qualified(&mut self, names: &[&str]) -> Result<(), char> {
        let mut declarations = String::new();
        let text = prefixed(names, self.text.len(), &mut declarations);
        // a table by hand may have elements before its text
        let tag = self.text.rfind('<').map_or("", |at| &self.text[at..]);
        if !declarations.is_empty() && !tag.starts_with("</") && !tag.ends_with("/>") {
            self.text.pop();
            self.text.push_str(&declarations);
            self.text.push('>');
        }
        self.escaped(&text)
    }

    /// The items of a list, with spaces between them.
    pub(super) fn words(&mut self, list: &dyn List) -> Result<(), WriteError> {
        let text = words(list)?;
        if is_qualified(list) {
            return self.qualified(&text.split(' ').collect::<Vec<_>>()).map_err(WriteError::of);
        }
        self.escaped(&text).map_err(WriteError::of)
    }
}

/// Whether the items of a list are names in namespaces.
pub(super) fn is_qualified(list: &dyn List) -> bool {
    !list.is_empty() && matches!(list.item(0).view(), View::Scalar(scalar) if scalar.xsd() == Xsd::QName)
}

/// The names with prefixes, and the declarations of these; `at` makes them others than those of the same tag's other
/// values.
pub(super) fn prefixed(names: &[&str], at: usize, declarations: &mut String) -> String {
    let mut namespaces: Vec<&str> = Vec::new();
    let mut value = String::new();
    for name in names {
        let (namespace, local) = parts(name);
        if !value.is_empty() {
            value.push(' ');
        }
        if !namespace.is_empty() {
            let known = namespaces.iter().position(|known| *known == namespace).unwrap_or_else(|| {
                *declarations += &format!(" xmlns:q{at}_{}=\"", namespaces.len());
                escape(declarations, namespace);
                declarations.push('"');
                namespaces.push(namespace);
                namespaces.len() - 1
            });
            value += &format!("q{at}_{known}:");
        }
        value += local;
    }
    value
}
