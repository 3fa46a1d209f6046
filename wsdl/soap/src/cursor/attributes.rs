//! The attributes of a start tag: looked at once when the tag is taken, and read where a structure has some.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;
use quick_xml::events::attributes::Attribute as Raw;
use quick_xml::name::{Namespace, QName, ResolveResult};

use super::{Cursor, Kind, Marks, Tag, plain};
use crate::error::{ReadError, ReadErrorKind};
use crate::token::Entry;

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The schema instance namespaces of 1999 and 2000, whose word for nil is `null`.
const XSI_OLD: [&str; 2] =
    ["http://www.w3.org/1999/XMLSchema-instance", "http://www.w3.org/2000/10/XMLSchema-instance"];

/// An attribute, read.
pub(crate) struct Attribute<'a, 'n> {
    pub(crate) local: &'a str,
    prefix: &'a str,
    /// Empty where it has none.
    pub(crate) namespace: Cow<'n, str>,
    pub(crate) value: Cow<'a, str>,
}

impl Attribute<'_, '_> {
    /// Appends it to other attributes kept as text.
    pub(crate) fn append(&self, out: &mut String) {
        let colon = if self.prefix.is_empty() { "" } else { ":" };
        let declaration = format!(" xmlns:{}=\"", self.prefix);
        if !self.namespace.is_empty() && self.prefix != "xml" && !out.contains(&declaration) {
            out.push_str(&declaration);
            crate::write::escape(out, &self.namespace);
            out.push('"');
        }
        for piece in [" ", self.prefix, colon, self.local, "=\""] {
            out.push_str(piece);
        }
        crate::write::escape(out, &self.value);
        out.push('"');
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn marks(&mut self, tag: &Tag<'a>) -> Result<Marks<'a>, ReadError> {
        let mut marks = Marks::default();
        let (mut nil, mut declares) = (None, false);
        let mut entries = std::mem::take(&mut self.entries);
        entries.clear();
        for (count, attribute) in tag.attributes().enumerate() {
            if count >= self.limits.attributes {
                return Err(self.limit("attributes", self.limits.attributes));
            }
            let entry = attribute.map_err(|why| self.wrong(tag, &why))?;
            let (key, value) = (entry.key, entry.value);
            if entries.iter().any(|earlier: &Entry<'_>| earlier.key == key) {
                return Err(self.wrong(tag, &format_args!("{key} comes twice")));
            }
            entries.push(entry);
            if !entry.plain {
                raw(key, value)
                    .normalized_value(XmlVersion::Implicit1_0)
                    .map_err(|error| self.wrong(tag, &error))?;
            }
            let (prefix, local) = entry.split();
            if prefix.is_empty() {
                // a type or a position without a prefix is the structure's own
                match key {
                    "xmlns" => declares = true,
                    "href" => marks.href = Some(value.trim_start_matches('#')),
                    _ => {}
                }
                continue;
            }
            match local {
                _ if prefix == "xmlns" => declares = true,
                "type" => match value.rsplit(':').next() {
                    Some("base64Binary" | "base64") => marks.ty = Kind::Base64,
                    Some("Map") => marks.ty = Kind::Map,
                    Some("Array") => marks.array = true,
                    _ => {}
                },
                "nil" | "null" if matches!(value.trim(), "true" | "1") => {
                    nil = Some((QName(key), local == "null"))
                }
                "arrayType" => marks.array = true,
                "position" | "offset" => marks.position = value.trim_matches(['[', ']', ' ']).parse().ok(),
                "mustUnderstand" => marks.must_understand = matches!(value.trim(), "1" | "true"),
                _ => {}
            }
        }
        (self.entries, self.entries_at) = (entries, tag.offset);
        if declares {
            self.declare(tag)?;
        }
        if let Some((key, null)) = nil {
            marks.nil = match self.names.resolve_attribute(key).0 {
                ResolveResult::Bound(Namespace(namespace)) => {
                    if null {
                        XSI_OLD.contains(&namespace)
                    } else {
                        namespace == XSI
                    }
                }
                // nobody means anything else by it
                ResolveResult::Unknown(_) => key.0.starts_with("xsi:"),
                ResolveResult::Unbound => false,
            };
        }
        Ok(marks)
    }

    /// The attributes of a tag, to be given back to [`Self::keep`], so that the next tag needs no room of its own.
    pub(crate) fn entries(&mut self, tag: &Tag<'a>) -> Vec<Entry<'a>> {
        if self.entries_at == tag.offset {
            self.entries_at = usize::MAX;
            return std::mem::take(&mut self.entries);
        }
        tag.attributes().flatten().collect()
    }

    pub(crate) fn keep(&mut self, entries: Vec<Entry<'a>>) {
        self.entries = entries;
    }

    fn declare(&mut self, tag: &Tag<'_>) -> Result<(), ReadError> {
        let start = BytesStart::from_content(tag.content, tag.name.len());
        self.names.push(&start).map_err(|error| self.error(ReadErrorKind::Malformed(error.to_string())))?;
        self.declared.push(self.depth);
        Ok(())
    }

    fn wrong(&self, tag: &Tag<'_>, error: &dyn std::fmt::Display) -> ReadError {
        self.error(ReadErrorKind::Malformed(format!("in the attributes of <{}>: {error}", tag.name)))
    }

    /// An attribute of a tag that was taken just now; none if it declares a namespace or is XML Schema's own.
    pub(crate) fn attribute(
        &self,
        tag: &Tag<'a>,
        entry: Entry<'a>,
    ) -> Result<Option<Attribute<'a, '_>>, ReadError> {
        let (key, value) = (entry.key, entry.value);
        let (prefix, local) = entry.split();
        if prefix == "xmlns" || key == "xmlns" {
            return Ok(None);
        }
        let mut namespace = Cow::Borrowed("");
        if !prefix.is_empty()
            && let ResolveResult::Bound(Namespace(bound)) = self.names.resolve_attribute(QName(key)).0
        {
            if bound == XSI {
                return Ok(None);
            }
            namespace = plain(bound);
        }
        if prefix == "xsi" {
            return Ok(None);
        }
        let value = if entry.plain {
            Cow::Borrowed(value)
        } else {
            let attribute = raw(key, value);
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            Cow::Owned(value.map_err(|error| self.wrong(tag, &error))?.into_owned())
        };
        if value.len() > self.limits.value_bytes {
            return Err(self.limit("bytes in a value", self.limits.value_bytes));
        }
        Ok(Some(Attribute { local, prefix, namespace, value }))
    }
}

/// An attribute as quick-xml has it, for what it does with references in a value.
fn raw<'a>(key: &'a str, value: &'a str) -> Raw<'a> {
    Raw { key: QName(key), value: Cow::Borrowed(value) }
}
