//! Why a message could not be read, and where in it.

use std::fmt;

/// A message that can't be read; the sender's fault, and the same message will fail again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong.
    pub kind: ReadErrorKind,
    /// Line in the decoded text, from 1; 0 where no place can be named.
    pub line: usize,
    /// Column in characters, from 1; 0 where no place can be named.
    pub column: usize,
    /// The members that led there (`account_info.service_features[1].name`), outermost first; may be empty.
    pub path: String,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// It isn't in the encoding that it says, or in one that nobody knows.
    #[error("the text is not valid {0}")]
    Encoding(String),
    /// A character that XML 1.0 doesn't allow (§2.2).
    #[error("the character U+{0:04X} is not allowed in XML")]
    Character(u32),
    /// Not well-formed XML, or cut off.
    #[error("not well-formed: {0}")]
    Malformed(String),
    /// A document type declaration: refused, whatever is in it.
    #[error("a document type declaration (DTD) is refused")]
    Dtd,
    /// An entity that only a DTD could have declared.
    #[error("the entity &{0}; is not one of XML's own five")]
    Entity(String),
    /// One of [`crate::Limits`] is exceeded.
    #[error("more than the limit of {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// Well-formed, but no SOAP envelope.
    #[error("not a SOAP message: {0}")]
    NotSoap(String),
    /// An envelope of an unknown version (SOAP 1.1 §4.4 `VersionMismatch`).
    #[error("an envelope in the namespace {0:?}, which is neither SOAP 1.1 nor 1.2")]
    Version(String),
    /// A reference to an element that isn't there, or that leads back to itself.
    #[error("the reference {0:?} {1}")]
    Reference(String, &'static str),
    /// A value that isn't of its type.
    #[error("{0:?} is {1}")]
    Value(String, crate::Invalid),
    /// Elements where a simple value belongs.
    #[error("elements where a simple value belongs")]
    NotSimple,
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        write!(formatter, "{}", self.kind)?;
        if self.line > 0 {
            write!(formatter, " (line {}, column {})", self.line, self.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for ReadError {}

impl ReadError {
    /// An error that no place can be named for.
    pub(crate) fn nowhere(kind: ReadErrorKind) -> Self {
        Self { kind, line: 0, column: 0, path: String::new() }
    }

    /// An error at a byte offset of `source`.
    pub(crate) fn at(kind: ReadErrorKind, source: &str, offset: usize) -> Self {
        let mut offset = offset.min(source.len());
        while !source.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &source[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            kind,
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            path: String::new(),
        }
    }

    /// The same error, found inside `name`.
    pub(crate) fn inside(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }

    /// The same error, found in the item at `index`.
    pub(crate) fn inside_item(self, index: usize) -> Self {
        self.inside(&format!("[{index}]"))
    }
}
