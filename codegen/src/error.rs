//! Why nothing was generated.

use std::fmt;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Severity};

/// At most this many problems are printed; the rest is counted.
const SHOWN_MAX: usize = 50;

/// Why nothing was generated, by the stage that found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No definition was named, or the folder named has none.
    #[error("no definitions to generate from: name some with Config::definition or Config::definitions")]
    Nothing,
    /// A file can't be read, isn't XML or isn't WSDL 1.1.
    #[error("definitions that can't be loaded\n{}", Listed(.0))]
    Load(Vec<Diagnostic>),
    /// A file doesn't say what it has to.
    #[error("definitions that can't be parsed\n{}", Listed(.0))]
    Parse(Vec<Diagnostic>),
    /// Names that stand for nothing, types that make no sense.
    #[error("definitions that can't be resolved\n{}", Listed(.0))]
    Resolve(Vec<Diagnostic>),
    /// Something was left out, and [`Config::strict`](crate::Config::strict) doesn't allow that.
    #[error("definitions with warnings, which strict makes errors\n{}", Listed(.0))]
    Strict(Vec<Diagnostic>),
    /// What was generated isn't Rust: a mistake in the generator.
    #[error("generated code that isn't Rust ({reason}); please report it with the definition\n{tokens}")]
    Emit {
        /// What the Rust parser said.
        reason: String,
        /// The item.
        tokens: String,
    },
    /// A folder can't be listed or the output can't be written.
    #[error("{path} can't be {action}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// No folder to write to.
    #[error("no folder to write to: outside a build script set one with Config::out_dir")]
    NoOutDir,
}

impl Error {
    /// What was found in the definitions; empty for errors that aren't about them.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Error::Load(list) | Error::Parse(list) | Error::Resolve(list) | Error::Strict(list) => list,
            Error::Nothing | Error::Emit { .. } | Error::Io { .. } | Error::NoOutDir => &[],
        }
    }
}

struct Listed<'a>(&'a [Diagnostic]);

impl fmt::Display for Listed<'_> {
    /// Errors first.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |severity| self.0.iter().filter(move |diagnostic| diagnostic.severity == severity);
        let shown = of(Severity::Error).chain(of(Severity::Warning)).take(SHOWN_MAX);
        for (index, diagnostic) in shown.enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(formatter, "{line_break}{diagnostic}")?;
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(formatter, "\n… and {more} more"),
        }
    }
}
