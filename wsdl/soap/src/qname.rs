//! Names in namespaces as values (`xs:QName`): what stands in a message is a prefix, which means nothing outside of it.

use std::borrow::Cow;
use std::fmt;

use crate::{Invalid, Scalar, Xsd};

/// A name in a namespace, as a value.
///
/// Reading a message resolves the prefix, writing declares one. Outside of messages (JSON, logs) it is
/// `{namespace}local`. A prefix that a message declares nowhere stays where it is, in front of the local name.
///
/// ```
/// use soapstone_soap::QName;
/// let name = QName::new("urn:example", "thing");
/// assert_eq!(name.to_string(), "{urn:example}thing");
/// assert_eq!("{urn:example}thing".parse(), Ok(name));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QName {
    /// Empty for none. XML has no way to say "none" where a namespace without a prefix is in force; there a reader takes
    /// such a name to be in that one (XML Schema part 2, §3.2.18).
    pub namespace: String,
    /// The name in it.
    pub local: String,
}

impl QName {
    /// The name `local` in `namespace`.
    pub fn new(namespace: impl Into<String>, local: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), local: local.into() }
    }
}

/// `{namespace}local` in its parts.
pub(crate) fn parts(text: &str) -> (&str, &str) {
    text.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')).unwrap_or(("", text))
}

impl fmt::Display for QName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => formatter.write_str(&self.local),
            namespace => write!(formatter, "{{{namespace}}}{}", self.local),
        }
    }
}

impl std::str::FromStr for QName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (namespace, local) = parts(text);
        if local.contains(['{', '}', ' ', '\t', '\n', '\r']) {
            return Err(Invalid("qualified name"));
        }
        Ok(Self::new(namespace, local))
    }
}

impl Scalar for QName {
    fn xsd(&self) -> Xsd {
        Xsd::QName
    }
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
        *self = text.trim().parse()?;
        Ok(())
    }
    fn write(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_and_back() {
        for (text, namespace, local) in [
            ("a", "", "a"),
            ("", "", ""),
            ("p:a", "", "p:a"),
            ("{urn:x}a", "urn:x", "a"),
            ("{urn:{x}}a", "urn:{x}", "a"),
        ] {
            let name: QName = text.parse().expect(text);
            assert_eq!(name, QName::new(namespace, local));
            assert_eq!(name.to_string(), text);
        }
        for text in ["{urn:x", "a b", "a}b"] {
            assert!(text.parse::<QName>().is_err(), "{text}");
        }
    }
}
