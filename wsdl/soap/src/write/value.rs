//! Values: scalars, lists, SOAP's arrays, and what no type is declared for.

use std::fmt::Write as _;

use super::text::special;
use super::{ENCODING, WriteError, Writer, XSD, escape};
use crate::{Any, Items, List, Scalar, Type, View, Xsd};

impl<'a> Writer<'a> {
    pub(super) fn value(
        &mut self,
        name: &str,
        namespace: &'a str,
        ty: Type,
        view: View<'_>,
    ) -> Result<(), WriteError> {
        match view {
            View::Absent | View::Nil => {
                let before = self.enter(name, namespace);
                self.text.push_str(" xsi:nil=\"true\"/>");
                self.default = before;
                Ok(())
            }
            View::Scalar(scalar) if matches!(ty, Type::Raw) => match scalar.as_text() {
                // one that must be there, and that nothing was put into
                Some("") => {
                    self.start(name);
                    self.text.push_str(" xmlns=\"");
                    escape(&mut self.text, namespace);
                    self.text.push_str("\"/>");
                    Ok(())
                }
                _ => self.wildcard(View::Scalar(scalar)),
            },
            View::Scalar(scalar) => {
                let xsd = if let Type::Xsd(xsd) = ty { xsd } else { scalar.xsd() };
                self.scalar(name, namespace, xsd, scalar)
            }
            View::Structure(structure) => self.structure(name, namespace, structure),
            View::List(list) => match ty {
                Type::Repeated(item) => (0..list.len())
                    .try_for_each(|index| self.value(name, namespace, *item, list.item(index).view())),
                Type::List(_) => {
                    let before = self.enter(name, namespace);
                    self.text.push('>');
                    self.words(list)?;
                    self.end(name);
                    self.default = before;
                    Ok(())
                }
                Type::Items(items) => {
                    let before = self.enter(name, namespace);
                    self.text.push('>');
                    for index in 0..list.len() {
                        self.value(items.name, items.namespace, items.ty, list.item(index).view())
                            .map_err(|error| error.inside(&format!("[{index}]")))?;
                    }
                    self.end(name);
                    self.default = before;
                    Ok(())
                }
                Type::NamedArray(items) if self.literal => self.array(name, namespace, *items, list),
                Type::NamedArray(items) => self.array(name, namespace, unnamed(items.ty), list),
                Type::Array(item) => self.array(name, namespace, unnamed(*item), list),
                _ => self.array(name, namespace, unnamed(Type::Any), list),
            },
            View::Any(any) => {
                let before = self.enter(name, namespace);
                self.any(name, any)?;
                self.default = before;
                Ok(())
            }
        }
    }

    fn scalar(
        &mut self,
        name: &str,
        namespace: &'a str,
        xsd: Xsd,
        scalar: &dyn Scalar,
    ) -> Result<(), WriteError> {
        let before = self.enter(name, namespace);
        self.text.push_str(if self.literal { ">" } else { xsd.start_tag_end() });
        self.content(xsd, scalar).map_err(WriteError::of)?;
        self.end(name);
        self.default = before;
        Ok(())
    }

    /// The text of a scalar; the character in it that XML can't hold, if there is one.
    pub(super) fn content(&mut self, xsd: Xsd, scalar: &dyn Scalar) -> Result<(), char> {
        if let Some(text) = scalar.as_text() {
            if xsd == Xsd::String {
                return self.escaped(text);
            }
            return self.escaped(&xsd.spaced(text.into()));
        }
        let start = self.text.len();
        scalar.write(&mut self.text);
        if xsd == Xsd::QName && scalar.xsd() == xsd {
            let name = self.text.split_off(start);
            return self.qualified(&[&name]);
        }
        // numbers and dates have nothing to be escaped
        if xsd.is_text() && special(&self.text[start..]) {
            let lexical = self.text.split_off(start);
            self.escaped(&lexical)?;
        }
        Ok(())
    }

    /// With `arrayType` and an explicit size: without them Perl takes the array for a scalar, and gSOAP an array of
    /// no stated size for an empty one.
    fn array(
        &mut self,
        name: &str,
        namespace: &'a str,
        items: Items,
        list: &dyn List,
    ) -> Result<(), WriteError> {
        let item = items.ty;
        let before = self.enter(name, namespace);
        if self.literal {
            // the envelope declares them where values bear types
            for piece in [" xmlns:soapenc=\"", ENCODING, "\" xmlns:xsd=\"", XSD, "\""] {
                self.text.push_str(piece);
            }
        }
        if let Type::Structure(shape) = item
            && self.namespace != Some(shape.namespace)
            && !shape.namespace.is_empty()
        {
            self.text.push_str(" xmlns:t=\"");
            escape(&mut self.text, shape.namespace);
            self.text.push('"');
        }
        self.text.push_str(" soapenc:arrayType=\"");
        let ranks = self.item_type(item);
        self.text.push_str(&"[]".repeat(ranks));
        let _ = write!(self.text, "[{}]", list.len());
        self.text.push_str(if self.literal { "\">" } else { "\" xsi:type=\"soapenc:Array\">" });
        for index in 0..list.len() {
            self.value(items.name, items.namespace, item, list.item(index).view())
                .map_err(|error| error.inside(&format!("[{index}]")))?;
        }
        self.end(name);
        self.default = before;
        Ok(())
    }

    /// The name of an array's innermost item type; how many arrays are in between.
    fn item_type(&mut self, item: Type) -> usize {
        match item {
            Type::Xsd(xsd) => {
                self.text.push_str("xsd:");
                self.text.push_str(xsd.name());
                0
            }
            Type::Structure(shape) if !shape.namespace.is_empty() => {
                self.text.push_str(if self.namespace == Some(shape.namespace) { "tns:" } else { "t:" });
                self.text.push_str(shape.name);
                0
            }
            Type::Array(inner) | Type::Repeated(inner) => self.item_type(*inner) + 1,
            Type::NamedArray(items) => self.item_type(items.ty) + 1,
            Type::Any | Type::Structure(_) | Type::List(_) | Type::Items(_) | Type::Raw => {
                self.text.push_str("xsd:anyType");
                0
            }
        }
    }

    /// What follows the name of a value of no declared type.
    fn any(&mut self, name: &str, any: &Any) -> Result<(), WriteError> {
        match any {
            Any::Nil => {
                self.text.push_str(" xsi:nil=\"true\"/>");
                return Ok(());
            }
            Any::Text(text) => {
                self.text.push_str(if self.literal { ">" } else { Xsd::String.start_tag_end() });
                self.escaped(text).map_err(WriteError::of)?;
            }
            Any::Structure(members) => {
                self.text.push('>');
                for (member, value) in members {
                    self.start(member);
                    self.any(member, value).map_err(|error| error.inside(member))?;
                }
            }
            Any::List(items) => {
                if !self.literal {
                    let _ = write!(self.text, " soapenc:arrayType=\"xsd:anyType[{}]\"", items.len());
                    self.text.push_str(" xsi:type=\"soapenc:Array\"");
                }
                self.text.push('>');
                for item in items {
                    self.start("item");
                    self.any("item", item)?;
                }
            }
        }
        self.end(name);
        Ok(())
    }
}

/// The items of an array whose schema doesn't name them.
fn unnamed(ty: Type) -> Items {
    Items { name: "item", namespace: "", ty }
}
