//! A start tag, and the few of its attributes that SOAP's encoding uses.

use crate::token::{Attributes, Entry};
use crate::wellformed::{are_attributes, is_name};

/// A start tag; an empty element is one too, followed by its end.
#[derive(Clone, Copy)]
pub(crate) struct Tag<'a> {
    /// Name and attributes, as they stand between the brackets.
    pub(super) content: &'a str,
    pub(super) name: &'a str,
    /// The name without its prefix.
    pub(crate) local: &'a str,
    pub(crate) marks: Marks<'a>,
    /// Where it begins in the document.
    pub(crate) offset: usize,
}

/// The attributes of SOAP's encoding that a start tag has.
#[derive(Default, Clone, Copy)]
pub(crate) struct Marks<'a> {
    /// `xsi:nil`, or `xsi:null` of the older schema namespaces.
    pub(crate) nil: bool,
    /// The local name of `xsi:type` is one of interest.
    pub(crate) ty: Kind,
    /// `href="#…"`, without the `#`.
    pub(crate) href: Option<&'a str>,
    /// The index of `soapenc:position` or `soapenc:offset`.
    pub(crate) position: Option<usize>,
    /// There is a `soapenc:arrayType`, or the type is an `Array`.
    pub(crate) array: bool,
    /// `mustUnderstand` is set, and to true.
    pub(crate) must_understand: bool,
}

/// What `xsi:type` says, as far as it changes the reading of a value whose type is known from the definition.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Other,
    /// Text that SOAP::Lite has wrapped because it isn't ASCII.
    Base64,
    /// Apache's map: items of key and value.
    Map,
}

impl<'a> Tag<'a> {
    /// The attribute of this local name. Only for what is rare: the common ones are in [`Marks`].
    pub(crate) fn attribute(&self, local: &str) -> Option<String> {
        let named = |key: &str| key.rsplit(':').next() == Some(local);
        let found = self.attributes().flatten().find(|entry| named(entry.key))?;
        Some(found.value.to_owned())
    }

    /// The local name of the type that `xsi:type` names.
    pub(crate) fn type_name(&self) -> Option<&'a str> {
        if self.name.len() == self.content.len() {
            return None;
        }
        let is_type = |entry: &Entry<'_>| matches!(entry.split(), (prefix, "type") if !prefix.is_empty());
        let found = self.attributes().flatten().find(is_type)?;
        found.value.trim().rsplit(':').next()
    }

    /// Whether its name and attributes are as XML has them, not only as they can be made out.
    pub(crate) fn is_well_formed(&self) -> bool {
        let attributes = self.content[self.name.len()..].trim_end_matches('/');
        is_name(self.name) && are_attributes(attributes)
    }

    /// The same without what its attributes say: for the text of a structure that has read them.
    pub(crate) fn bare(&self) -> Self {
        let marks = Marks { ty: self.marks.ty, ..Marks::default() };
        Self { marks, ..*self }
    }

    /// The attributes, as they stand.
    pub(crate) fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.content, self.name.len())
    }
}
