//! What is wrong with a definition, where, and what to do about it.
//!
//! Every stage reports here and goes on, so that one run names every problem and not just the first.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One problem in a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether something was left out or nothing can be generated at all.
    pub severity: Severity,
    /// The file, as it was named to the generator or found from there.
    pub file: PathBuf,
    /// Where in the file; `None` when the file as a whole is meant.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something was left out; the rest is generated.
    Warning,
    /// Nothing is generated.
    Error,
}

/// A place in a file; both count from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(formatter, ":{line}:{column}")?;
        }
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(formatter, ": {severity}: {}; {}", self.message, self.advice)
    }
}

/// A byte of one of the files read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct At {
    pub(crate) file: u32,
    pub(crate) offset: u32,
}

/// The files read, and what was found wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    files: Vec<Source>,
    pub(crate) list: Vec<Diagnostic>,
    /// What has been said: a thing used in several places is wrong once.
    said: HashSet<(At, String)>,
    /// Of `list`: what names something that is defined nowhere.
    undefined: Vec<usize>,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: Rc<str>,
    /// Where each line starts.
    lines: Vec<usize>,
}

impl Diagnostics {
    /// Takes a file in, so that positions in it can be told.
    pub(crate) fn add_file(&mut self, path: &Path, text: Rc<str>) -> u32 {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.files.push(Source { path: path.to_path_buf(), text, lines });
        (self.files.len() - 1) as u32
    }

    /// The file's path.
    pub(crate) fn path(&self, file: u32) -> &Path {
        self.files.get(file as usize).map_or(Path::new(""), |source| &source.path)
    }

    /// The file's text.
    pub(crate) fn text(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |source| &source.text)
    }

    /// `file:line` without directories, for one message that refers to another place.
    pub(crate) fn place(&self, at: At) -> String {
        let name = self.path(at.file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        match self.position(at) {
            Some(position) => format!("{name}:{}", position.line),
            None => name,
        }
    }

    pub(crate) fn error(&mut self, at: At, message: impl Into<String>, advice: impl Into<String>) {
        self.push(Severity::Error, at, message.into(), advice.into());
    }

    pub(crate) fn warning(&mut self, at: At, message: impl Into<String>, advice: impl Into<String>) {
        self.push(Severity::Warning, at, message.into(), advice.into());
    }

    /// Something is left out because of a name that is defined nowhere.
    pub(crate) fn undefined(&mut self, at: At, message: impl Into<String>, advice: impl Into<String>) {
        let before = self.list.len();
        self.warning(at, message, advice);
        self.undefined.extend(before..self.list.len());
    }

    /// Whether anything was said about this place.
    pub(crate) fn is_told(&self, at: At) -> bool {
        self.said.iter().any(|(said, _)| *said == at)
    }

    /// So much is left out that nothing remains: then names that are defined nowhere are errors.
    pub(crate) fn nothing_remains(&mut self) {
        for index in std::mem::take(&mut self.undefined) {
            self.list[index].severity = Severity::Error;
        }
    }

    /// A file that couldn't even be read.
    pub(crate) fn file_error(&mut self, file: &Path, message: impl Into<String>, advice: impl Into<String>) {
        self.list.push(Diagnostic {
            severity: Severity::Error,
            file: file.to_path_buf(),
            position: None,
            message: message.into(),
            advice: advice.into(),
        });
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    fn push(&mut self, severity: Severity, at: At, message: String, advice: String) {
        if !self.said.insert((at, message.clone())) {
            return;
        }
        let file = self.path(at.file).to_path_buf();
        self.list.push(Diagnostic { severity, file, position: self.position(at), message, advice });
    }

    fn position(&self, at: At) -> Option<Position> {
        let source = self.files.get(at.file as usize)?;
        let offset = (at.offset as usize).min(source.text.len());
        let line = source.lines.partition_point(|start| *start <= offset);
        let start = source.lines.get(line.checked_sub(1)?)?;
        let column = source.text.get(*start..offset).map_or(0, |before| before.chars().count()) + 1;
        Some(Position { line, column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let mut diagnostics = Diagnostics::default();
        let file = diagnostics.add_file(Path::new("d/a.wsdl"), Rc::from("ä\nböc\n"));
        for (offset, line, column) in [(0, 1, 1), (2, 1, 2), (3, 2, 1), (6, 2, 3), (8, 3, 1), (99, 3, 1)] {
            let position = diagnostics.position(At { file, offset });
            assert_eq!(position, Some(Position { line, column }), "byte {offset}");
        }
        diagnostics.error(At { file, offset: 6 }, "what", "do that");
        diagnostics.error(At { file, offset: 6 }, "what", "do that");
        assert_eq!(diagnostics.list.len(), 1, "said once");
        assert_eq!(diagnostics.list[0].to_string(), "d/a.wsdl:2:3: error: what; do that");
    }
}
