//! The attributes of a structure's element.

use std::fmt::Write as _;

use super::text::words;
use super::{WriteError, Writer, escape};
use crate::charset::allowed;
use crate::read::check_element;
use crate::{Member, Place, Preset, Structure, Type, View, Xsd};

const XML: &str = "http://www.w3.org/XML/1998/namespace";

impl Writer<'_> {
    pub(super) fn attributes(&mut self, value: &dyn Structure) -> Result<(), WriteError> {
        let shape = value.shape();
        for (index, member) in shape.members.iter().enumerate().skip(shape.elements) {
            let view = value.member(index).view();
            match member.place {
                Place::Attribute => self
                    .attribute(index, member, shape.namespace_of(member), view)
                    .map_err(|error| error.inside(member.name))?,
                Place::OtherAttributes => {
                    if let View::Scalar(scalar) = view
                        && let Some(text) = scalar.as_text()
                        && !text.is_empty()
                    {
                        let text = format!(" {}", text.trim());
                        check_element(&format!("<a{text}/>"))
                            .map_err(|error| WriteError::raw(error).inside(member.name))?;
                        self.text.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        index: usize,
        member: &Member,
        namespace: &str,
        view: View<'_>,
    ) -> Result<(), WriteError> {
        let mut text = String::new();
        match view {
            View::Scalar(scalar) => {
                scalar.write(&mut text);
                if let Type::Xsd(xsd) = member.ty
                    && xsd != Xsd::String
                {
                    text = xsd.spaced(text.into()).into_owned();
                }
            }
            View::List(list) if !list.is_empty() || !member.optional => text = words(list)?,
            _ if member.optional => return Ok(()),
            _ => {}
        }
        if let (Some(Preset::Fixed(fixed)), true) = (member.preset, text.is_empty()) {
            text.push_str(fixed);
        }
        match namespace {
            "" => self.text.push(' '),
            XML => self.text.push_str(" xml:"),
            namespace => {
                let _ = write!(self.text, " xmlns:a{index}=\"");
                escape(&mut self.text, namespace);
                let _ = write!(self.text, "\" a{index}:");
            }
        }
        self.text.push_str(member.name);
        self.text.push_str("=\"");
        if let Some(character) = text.chars().find(|character| !allowed(*character)) {
            return Err(WriteError::of(character));
        }
        // a reader makes spaces of these (XML 1.0 §3.3.3)
        let start = self.text.len();
        escape(&mut self.text, &text);
        if self.text[start..].contains(['\n', '\t']) {
            let escaped = self.text.split_off(start);
            self.text.push_str(&escaped.replace('\n', "&#10;").replace('\t', "&#9;"));
        }
        self.text.push('"');
        Ok(())
    }
}
