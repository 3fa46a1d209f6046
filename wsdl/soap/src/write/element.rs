//! Structures: an element, its members in their order, and what stands in it without an element of its own.

use super::{WriteError, Writer, escape};
use crate::read::check_element;
use crate::wellformed::has_default_namespace;
use crate::{Member, Place, Shape, Structure, Table, Type, View};

impl<'a> Writer<'a> {
    /// An element that has nothing around it. With a prefix where the elements in it are in no namespace, so that
    /// not each of them has to say so.
    pub(super) fn root(
        &mut self,
        name: &str,
        namespace: &'a str,
        value: &dyn Structure,
    ) -> Result<(), WriteError> {
        if namespace.is_empty() || value.shape().elements_in == namespace || value.shape().derived {
            return self.structure(name, namespace, value);
        }
        let prefixed = format!("m:{name}");
        self.start(&prefixed);
        self.text.push_str(" xmlns:m=\"");
        escape(&mut self.text, namespace);
        self.text.push('"');
        self.inside(&prefixed, value)
    }

    pub(super) fn structure(
        &mut self,
        name: &str,
        namespace: &'a str,
        value: &dyn Structure,
    ) -> Result<(), WriteError> {
        let shape = value.shape();
        if shape.derived {
            for index in 0..shape.members.len() {
                if let View::Structure(chosen) = value.member(index).view() {
                    return self.typed(name, namespace, chosen, true);
                }
            }
            return Ok(());
        }
        // one that is defined in its element has no name that a receiver could know
        self.typed(name, namespace, value, !self.literal && !shape.namespace.is_empty())
    }

    pub(super) fn typed(
        &mut self,
        name: &str,
        namespace: &'a str,
        value: &dyn Structure,
        with_type: bool,
    ) -> Result<(), WriteError> {
        let before = self.enter(name, namespace);
        if with_type {
            self.type_of(value.shape());
        }
        self.inside(name, value)?;
        self.default = before;
        Ok(())
    }

    /// Attributes, members and the end.
    pub(super) fn inside(&mut self, name: &str, value: &dyn Structure) -> Result<(), WriteError> {
        if value.shape().has_more_than_elements() {
            self.attributes(value)?;
        }
        self.text.push('>');
        self.members(value)?;
        self.end(name);
        Ok(())
    }

    /// Begins a start tag; the namespace without a prefix before it is given back.
    pub(super) fn enter(&mut self, name: &str, namespace: &'a str) -> &'a str {
        let before = self.default;
        self.start(name);
        if self.literal && !same(namespace, before) {
            self.text.push_str(" xmlns=\"");
            escape(&mut self.text, namespace);
            self.text.push('"');
            self.default = namespace;
        }
        before
    }

    /// `xsi:type` of a structure; its namespace gets a prefix of its own where it isn't the operation's.
    pub(super) fn type_of(&mut self, shape: &Shape) {
        let prefix = if self.namespace == Some(shape.namespace) {
            "tns:"
        } else if shape.namespace.is_empty() {
            ""
        } else {
            self.text.push_str(" xmlns:t=\"");
            escape(&mut self.text, shape.namespace);
            self.text.push('"');
            "t:"
        };
        self.text.push_str(" xsi:type=\"");
        self.text.push_str(prefix);
        self.text.push_str(shape.name);
        self.text.push('"');
    }

    pub(super) fn members(&mut self, value: &dyn Structure) -> Result<(), WriteError> {
        let shape = value.shape();
        let table: &Table = shape;
        let elements = &table.members[..table.elements];
        if self.literal {
            // nearly every structure has its elements in the namespace that it is in itself
            let usual = same(table.elements_in, self.default);
            for (index, (member, tags)) in elements.iter().zip(shape.tags()).enumerate() {
                match (value.member(index).view(), member.ty) {
                    (View::Scalar(scalar), Type::Xsd(xsd)) if usual || member.namespace.is_some() => {
                        self.text.push_str(match member.namespace {
                            Some(own) if !same(own, self.default) => &tags.declared,
                            _ => &tags.plain,
                        });
                        self.content(xsd, scalar)
                            .map_err(|character| WriteError::of(character).inside(member.name))?;
                        self.text.push_str(&tags.end);
                    }
                    (view, _) => {
                        self.member(shape, member, view).map_err(|error| error.inside(member.name))?;
                    }
                }
            }
        } else {
            for (index, (member, tags)) in elements.iter().zip(shape.tags()).enumerate() {
                match (value.member(index).view(), member.ty) {
                    (View::Absent, _) if !member.nillable || member.optional => {}
                    (View::List(list), _) if list.is_empty() && member.optional => {}
                    // nearly every member: three pieces instead of many
                    (View::Scalar(scalar), Type::Xsd(xsd)) => {
                        self.text.push_str(&tags.start);
                        self.content(xsd, scalar)
                            .map_err(|character| WriteError::of(character).inside(member.name))?;
                        self.text.push_str(&tags.end);
                    }
                    (view, _) => {
                        self.member(shape, member, view).map_err(|error| error.inside(member.name))?;
                    }
                }
            }
        }
        match table.text {
            Some(index) => self.text_of(value.member(index).view(), table.members[index].ty),
            None => Ok(()),
        }
    }

    pub(super) fn member(
        &mut self,
        shape: &'static Shape,
        member: &Member,
        view: View<'_>,
    ) -> Result<(), WriteError> {
        match (member.place, view) {
            // one that must be there, and may be nil
            (Place::Element, View::Absent) if member.nillable && !member.optional && !shape.choice => {
                self.value(member.name, shape.namespace_of(member), member.ty, View::Nil)
            }
            (_, View::Absent) => Ok(()),
            (_, View::List(list)) if list.is_empty() && member.optional => Ok(()),
            (Place::Inline, view) => self.inline(view),
            (Place::Wildcard, view) => self.wildcard(view),
            (_, view) => self.value(member.name, shape.namespace_of(member), member.ty, view),
        }
    }

    /// What has no element of its own.
    pub(super) fn inline(&mut self, view: View<'_>) -> Result<(), WriteError> {
        match view {
            View::Structure(structure) => self.members(structure),
            View::List(list) => (0..list.len()).try_for_each(|index| {
                self.inline(list.item(index).view()).map_err(|error| error.inside(&format!("[{index}]")))
            }),
            _ => Ok(()),
        }
    }

    /// XML as it stands, where it is well-formed.
    pub(super) fn wildcard(&mut self, view: View<'_>) -> Result<(), WriteError> {
        match view {
            View::List(list) => (0..list.len()).try_for_each(|index| self.wildcard(list.item(index).view())),
            View::Scalar(scalar) => {
                let xml = scalar.as_text().unwrap_or_default().trim();
                check_element(xml).map_err(WriteError::raw)?;
                let name = xml.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(xml.len());
                self.text.push_str(&xml[..name]);
                // what it says without a prefix isn't meant in the namespace around it
                if !self.default.is_empty() && !has_default_namespace(&xml[name..]) {
                    self.text.push_str(" xmlns=\"\"");
                }
                self.text.push_str(&xml[name..]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn text_of(&mut self, view: View<'_>, ty: Type) -> Result<(), WriteError> {
        match (view, ty) {
            (View::Scalar(scalar), Type::Xsd(xsd)) => self.content(xsd, scalar).map_err(WriteError::of),
            (View::List(list), _) => self.words(list),
            _ => Ok(()),
        }
    }
}

/// Whether two namespaces are the same; they are one constant, mostly.
fn same(one: &str, other: &str) -> bool {
    std::ptr::eq(one, other) || one == other
}
