//! The definitions' own texts, for a server that is asked for them.

use std::path::{Component, Path};

use crate::diagnostic::Diagnostics;
use crate::load::Loaded;

/// The names and texts of a definition's files, the definition itself first.
pub(crate) type Definition = Vec<(String, String)>;

/// The files of each of [`Loaded::units`], named as seen from the definition's folder; what is bundled with the
/// generator is left out, since nothing leads there.
pub(crate) fn definitions(loaded: &Loaded, diagnostics: &Diagnostics) -> Vec<Definition> {
    let definition = |documents: &[usize]| {
        let mut files: Vec<u32> = Vec::new();
        for document in documents.iter().map(|index| &loaded.documents[*index]) {
            // a schema stands there once more for each namespace that it has been given
            if !document.bundled && !files.contains(&document.file) {
                files.push(document.file);
            }
        }
        let folder = files.first().and_then(|file| diagnostics.path(*file).parent()).unwrap_or(Path::new(""));
        let file =
            |file: &u32| (seen_from(folder, diagnostics.path(*file)), diagnostics.text(*file).to_owned());
        files.iter().map(file).collect()
    };
    loaded.units.iter().map(|unit| definition(&unit.documents)).collect()
}

/// How a file in `folder` would name `path`, with slashes.
fn seen_from(folder: &Path, path: &Path) -> String {
    let (folder, path) = (steps(folder), steps(path));
    let shared = folder.iter().zip(&path).take_while(|(one, other)| one == other).count();
    let up = folder[shared..].iter().map(|_| "..");
    up.chain(path[shared..].iter().map(String::as_str)).collect::<Vec<_>>().join("/")
}

/// The steps of a path, without those that lead back.
fn steps(path: &Path) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if steps.last().is_some_and(|last| last != "..") => drop(steps.pop()),
            component => steps.push(component.as_os_str().to_string_lossy().into_owned()),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_their_definition_would() {
        for (folder, path, name) in [
            ("/a/b", "/a/b/c.wsdl", "c.wsdl"),
            ("/a/b", "/a/b/parts/../more/./d.xsd", "more/d.xsd"),
            ("/a/b", "/a/b/../d.xsd", "../d.xsd"),
            ("", "c.wsdl", "c.wsdl"),
            ("x", "x/../y/d.xsd", "../y/d.xsd"),
        ] {
            assert_eq!(seen_from(Path::new(folder), Path::new(path)), name);
        }
    }
}
