//! What a definition leaves open (`xsd:anyType`, untyped arrays): kept as it came, so that nothing is lost.

/// A value of no declared type, as tree.
///
/// Perl senders give such values types of their own making; they are kept as text and converted by whoever knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Any {
    /// Nil, or nothing at all.
    #[default]
    Nil,
    /// A simple value.
    Text(String),
    /// Named members in the order in which they came; a name may come twice.
    Structure(Vec<(String, Any)>),
    /// Items.
    List(Vec<Any>),
}

impl Any {
    /// The member called `name`, the first if there are several.
    ///
    /// ```
    /// use soapstone_soap::Any;
    /// let detail = Any::Structure(vec![("code".into(), Any::Text("auth_failed".into()))]);
    /// assert_eq!(detail.get("code").and_then(Any::text), Some("auth_failed"));
    /// ```
    pub fn get(&self, name: &str) -> Option<&Any> {
        match self {
            Any::Structure(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a simple value.
    pub fn text(&self) -> Option<&str> {
        match self {
            Any::Text(text) => Some(text),
            _ => None,
        }
    }
}
