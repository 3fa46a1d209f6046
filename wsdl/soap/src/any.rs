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

/// XML that a definition says nothing about (`xsd:any`, `xsd:anyAttribute`): an element, or attributes, as text.
///
/// As read, it declares every prefix that it uses, so that it means the same wherever it is put.
///
/// ```
/// use soapstone_soap::Raw;
/// assert!(Raw::element("<a:x xmlns:a=\"urn:a\">1</a:x>").is_ok());
/// assert!(Raw::element("<x>").is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raw(String);

impl Raw {
    /// An element.
    ///
    /// # Errors
    /// Text that isn't one well-formed element.
    pub fn element(xml: impl Into<String>) -> Result<Self, crate::ReadError> {
        let xml = xml.into();
        crate::read::check_element(&xml)?;
        Ok(Self(xml))
    }

    /// The element `name` around `content`, which is in its namespace where it says nothing else; `content` is XML: text
    /// has to be escaped.
    ///
    /// ```
    /// use soapstone_soap::Raw;
    /// let point = Raw::around("point", "urn:map", "<x>1</x><y>2</y>")?;
    /// assert_eq!(point.as_str(), "<point xmlns=\"urn:map\"><x>1</x><y>2</y></point>");
    /// assert!(Raw::around("point", "urn:map", "</point>").is_err());
    /// # Ok::<(), soapstone_soap::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// A name that is none, and content that isn't well-formed.
    pub fn around(name: &str, namespace: &str, content: &str) -> Result<Self, crate::ReadError> {
        let mut xml = format!("<{name}");
        if !namespace.is_empty() {
            xml.push_str(" xmlns=\"");
            crate::write::escape(&mut xml, namespace);
            xml.push('"');
        }
        xml += &format!(">{content}</{name}>");
        Self::element(xml)
    }

    /// An element that was read from a message.
    pub(crate) fn of_message(xml: String) -> Self {
        Self(xml)
    }

    /// What it is, as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As text: what is put in is looked at when it is written.
impl crate::Scalar for Raw {
    fn xsd(&self) -> crate::Xsd {
        crate::Xsd::String
    }
    fn read(&mut self, text: std::borrow::Cow<'_, str>) -> Result<(), crate::Invalid> {
        self.0 = text.into_owned();
        Ok(())
    }
    fn write(&self, out: &mut String) {
        out.push_str(&self.0);
    }
    fn as_text(&self) -> Option<&str> {
        Some(&self.0)
    }
}
