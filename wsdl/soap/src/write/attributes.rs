//! The attributes of a structure's element.

use super::qualified::{is_qualified, prefixed};
use super::text::{special, untouched, words};
use super::{WriteError, Writer};
use crate::read::check_element;
use crate::shape::Tags;
use crate::{Member, Place, Preset, Structure, Table, Type, View, Xsd};

impl Writer<'_> {
    pub(super) fn attributes(&mut self, value: &dyn Structure) -> Result<(), WriteError> {
        let table: &Table = value.shape();
        let tags = value.shape().tags();
        for index in table.elements..table.members.len() {
            let (member, tags) = (&table.members[index], &tags[index]);
            let view = value.member(index).view();
            match member.place {
                Place::Attribute => {
                    self.attribute(member, tags, view).map_err(|error| error.inside(member.name))?
                }
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

    fn attribute(&mut self, member: &Member, tags: &Tags, view: View<'_>) -> Result<(), WriteError> {
        let view = match view {
            View::List(list) if list.is_empty() && member.optional => return Ok(()),
            View::Scalar(_) | View::List(_) => view,
            _ if member.optional => return Ok(()),
            _ => View::Absent,
        };
        self.text.push_str(&tags.start);
        let start = self.text.len();
        let mut declarations = String::new();
        match view {
            View::Scalar(scalar) if is_name(member.ty) && scalar.xsd() == Xsd::QName => {
                let mut name = String::new();
                scalar.write(&mut name);
                let value = prefixed(&[&name], start, &mut declarations);
                self.attribute_text(&value)?;
            }
            View::Scalar(scalar) => match scalar.as_text() {
                Some(text) => match member.ty {
                    Type::Xsd(xsd) if xsd != Xsd::String => {
                        self.attribute_text(&xsd.spaced(text.into()))?;
                    }
                    _ => self.attribute_text(text)?,
                },
                // numbers and dates have nothing to be escaped
                None => {
                    scalar.write(&mut self.text);
                    let text = !matches!(member.ty, Type::Xsd(xsd) if !xsd.is_text());
                    if text && special(&self.text[start..]) {
                        let lexical = self.text.split_off(start);
                        self.attribute_text(&lexical)?;
                    }
                }
            },
            View::List(list) => {
                let value = words(list)?;
                let value = match is_qualified(list) {
                    true => prefixed(&value.split(' ').collect::<Vec<_>>(), start, &mut declarations),
                    false => value,
                };
                self.attribute_text(&value)?;
            }
            _ => {}
        }
        if let (Some(Preset::Fixed(fixed)), true) = (member.preset, self.text.len() == start) {
            self.attribute_text(fixed)?;
        }
        self.text.push('"');
        self.text.push_str(&declarations);
        Ok(())
    }

    /// The text of an attribute: line feeds and tabs too are written so that a reader doesn't make spaces of them (XML
    /// 1.0 §3.3.3).
    fn attribute_text(&mut self, text: &str) -> Result<(), WriteError> {
        if untouched(text) {
            self.text.push_str(text);
            return Ok(());
        }
        let start = self.text.len();
        self.escaped(text).map_err(WriteError::of)?;
        if memchr::memchr2(b'\n', b'\t', text.as_bytes()).is_some() {
            let escaped = self.text.split_off(start);
            self.text.push_str(&escaped.replace('\n', "&#10;").replace('\t', "&#9;"));
        }
        Ok(())
    }
}

fn is_name(ty: Type) -> bool {
    matches!(ty, Type::Xsd(Xsd::QName))
}
