//! The first stage: the files named, and those they import, as trees. Never the network.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::diagnostic::{At, Diagnostics};
use crate::namespace::{WSDL, WSDL_20, XSD};
use crate::xml::{self, Element};

/// A file may be this large; the largest definition in use has 5 MB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A definition may draw in this many files.
const FILES_MAX: usize = 2000;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Every file once.
    pub(crate) documents: Vec<Document>,
    /// One for each definition asked for, in the order asked for.
    pub(crate) units: Vec<Unit>,
}

/// A file as a tree.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) file: u32,
    pub(crate) root: Element,
}

/// A definition and everything it imports: names are looked up within it.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Positions in [`Loaded::documents`], the definition itself first.
    pub(crate) documents: Vec<usize>,
}

/// Reads the definitions at `paths` and what they import.
///
/// The second value is every path that was looked at, also those that couldn't be read: a build is to run again
/// when one of them changes.
pub(crate) fn load(paths: &[PathBuf], diagnostics: &mut Diagnostics) -> (Loaded, Vec<PathBuf>) {
    let mut loader =
        Loader { diagnostics, loaded: Loaded::default(), known: HashMap::new(), read: Vec::new() };
    let mut asked = HashSet::new();
    for path in paths {
        if asked.insert(identity(path)) {
            loader.unit(path);
        }
    }
    (loader.loaded, loader.read)
}

struct Loader<'a> {
    diagnostics: &'a mut Diagnostics,
    loaded: Loaded,
    /// By canonical path; `None` for a file that has no tree.
    known: HashMap<PathBuf, Option<usize>>,
    read: Vec<PathBuf>,
}

impl Loader<'_> {
    fn unit(&mut self, path: &Path) {
        let mut documents: Vec<usize> = Vec::new();
        let mut queue = VecDeque::from([(path.to_path_buf(), None)]);
        while let Some((path, importer)) = queue.pop_front() {
            let Some(index) = self.document(&path, importer) else { continue };
            if documents.contains(&index) {
                continue;
            }
            documents.push(index);
            for import in imports(&self.loaded.documents[index].root) {
                match import.target(&path) {
                    Some(target) => queue.push_back((target, Some(import.at))),
                    None => self.diagnostics.warning(
                        import.at,
                        format!("`{}` isn't followed: the network is never asked", import.location),
                        "put a copy beside this file and name it here if types of it are missing",
                    ),
                }
            }
        }
        if !documents.is_empty() {
            self.loaded.units.push(Unit { documents });
        }
    }

    /// The document at `path`, read unless it is known.
    fn document(&mut self, path: &Path, importer: Option<At>) -> Option<usize> {
        let identity = identity(path);
        if let Some(known) = self.known.get(&identity) {
            return *known;
        }
        self.read.push(path.to_path_buf());
        let document = self.read_document(path, importer);
        let index = document.map(|document| {
            self.loaded.documents.push(document);
            self.loaded.documents.len() - 1
        });
        self.known.insert(identity, index);
        index
    }

    fn read_document(&mut self, path: &Path, importer: Option<At>) -> Option<Document> {
        if self.known.len() >= FILES_MAX {
            self.diagnostics.file_error(
                path,
                format!("more than {FILES_MAX} files"),
                "name fewer definitions",
            );
            return None;
        }
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(message) => {
                let advice = "check the path";
                match importer {
                    Some(at) => self.diagnostics.error(at, format!("{}: {message}", path.display()), advice),
                    None => self.diagnostics.file_error(path, message, advice),
                }
                return None;
            }
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let whole = std::str::from_utf8(bytes);
        let valid = whole.map_or_else(|error| &bytes[..error.valid_up_to()], |_| bytes);
        let text: Rc<str> = String::from_utf8_lossy(valid).into();
        let file = self.diagnostics.add_file(path, text.clone());
        if whole.is_err() {
            let at = At { file, offset: text.len() as u32 };
            self.diagnostics.error(at, "a byte that isn't UTF-8", "save the file as UTF-8");
            return None;
        }
        let root = xml::parse(file, &text, self.diagnostics)?;
        if root.is(WSDL, "definitions") || root.is(XSD, "schema") {
            return Some(Document { file, root });
        }
        let (message, advice) = if &*root.name.namespace == WSDL_20 {
            ("this is WSDL 2.0".to_owned(), "ask the service for its WSDL 1.1")
        } else {
            let name = &root.name.local;
            (format!("the root `{name}` isn't that of a WSDL 1.1 definition"), "name a file that has one")
        };
        self.diagnostics.error(root.at, message, advice);
        None
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read(path).map_err(unreadable)
}

/// What stands for a file however it is named.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

struct Import {
    at: At,
    location: String,
}

impl Import {
    /// The path it names, seen from the file at `from`; `None` for a place on the network.
    fn target(&self, from: &Path) -> Option<PathBuf> {
        let location = self.location.strip_prefix("file://").unwrap_or(&self.location);
        if location.contains("://") {
            return None;
        }
        Some(from.parent().unwrap_or(Path::new("")).join(location))
    }
}

/// The imports that say where; one that doesn't is satisfied by another schema of the definition.
fn imports(root: &Element) -> Vec<Import> {
    let mut found = Vec::new();
    for import in root.all(WSDL, "import") {
        found.extend(import.attribute("location"));
    }
    let inner = root.all(WSDL, "types").flat_map(|types| types.all(XSD, "schema"));
    for schema in inner.chain(Some(root).filter(|root| root.is(XSD, "schema"))) {
        for import in schema.all(XSD, "import").chain(schema.all(XSD, "include")) {
            found.extend(import.attribute("schemaLocation"));
        }
    }
    found.into_iter().map(|place| Import { at: place.at, location: place.value.trim().to_owned() }).collect()
}
