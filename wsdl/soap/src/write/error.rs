//! Why a message can't be written.

use crate::error::{ReadError, ReadErrorKind};

/// A message that can't be written; the caller's fault, nothing has been sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct WriteError {
    /// The members that lead to the value.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has a character that XML doesn't allow (XML 1.0 §2.2).
    #[error("the character U+{0:04X} is not allowed in XML")]
    Character(u32),
    /// It is an item of a list in one text, and is empty or has white space in it.
    #[error("white space separates the items of a list: an item can't be empty or have any in it")]
    Item,
    /// It is to be XML as it stands, and isn't well-formed.
    #[error("not well-formed XML: {0}")]
    Raw(ReadErrorKind),
}

impl WriteError {
    pub(super) fn of(character: char) -> Self {
        Self { path: String::new(), problem: Problem::Character(u32::from(character)) }
    }

    pub(super) fn raw(error: ReadError) -> Self {
        Self { path: String::new(), problem: Problem::Raw(error.kind) }
    }

    pub(super) fn inside(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }
}
