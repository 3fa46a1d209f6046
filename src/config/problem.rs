//! What is wrong with a configuration, all of it at once.

use std::fmt;

/// A mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong; holds no secret.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Why there is no configuration: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{file}: the configuration can't be read; check the path and the file's permissions")]
    Unreadable {
        /// As it was given.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong: one line for each mistake.
    #[error("{0}")]
    Wrong(Problems),
}

/// The mistakes of one file.
#[derive(Debug)]
pub struct Problems {
    /// As it was given.
    pub file: String,
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, what, remedy }) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(formatter, "{newline}{}:{line}: {what}; {remedy}", self.file)?;
        }
        Ok(())
    }
}
