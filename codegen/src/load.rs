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
    pub(crate) root: Rc<Element>,
    /// The namespace of whoever includes this schema, which has none of its own.
    pub(crate) adopted: Option<Rc<str>>,
    /// One of ours: only what is asked for of it is generated.
    pub(crate) bundled: bool,
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
    let mut loader = Loader {
        diagnostics,
        loaded: Loaded::default(),
        known: HashMap::new(),
        adopted: HashMap::new(),
        read: Vec::new(),
    };
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
    /// Schemas without a namespace, by the one they take.
    adopted: HashMap<(usize, Rc<str>), usize>,
    read: Vec<PathBuf>,
}

impl Loader<'_> {
    fn unit(&mut self, path: &Path) {
        let mut documents: Vec<usize> = Vec::new();
        let mut elsewhere: Vec<Import> = Vec::new();
        let mut queue = VecDeque::from([(path.to_path_buf(), None, None)]);
        while let Some((path, importer, adopted)) = queue.pop_front() {
            let Some(index) = self.document(&path, importer) else { continue };
            let index = self.adopt(index, adopted);
            if documents.contains(&index) {
                continue;
            }
            documents.push(index);
            let document = &self.loaded.documents[index];
            for import in imports(&document.root, document.adopted.as_ref()) {
                match import.target(&path) {
                    Some(target) => queue.push_back((target, Some(import.at), import.adopted)),
                    None => elsewhere.push(import),
                }
            }
        }
        if documents.is_empty() {
            return;
        }
        self.bundled(&mut documents);
        let there = self.namespaces(&documents);
        for import in elsewhere.iter().filter(|import| !there.contains(import.namespace.as_str())) {
            self.diagnostics.warning(
                import.at,
                format!("`{}` isn't followed: the network is never asked", import.location),
                "put a copy beside this file and name it here if types of it are missing",
            );
        }
        self.loaded.units.push(Unit { documents });
    }

    /// The schema that a document is in the eyes of who includes it.
    fn adopt(&mut self, index: usize, adopted: Option<Rc<str>>) -> usize {
        let document = &self.loaded.documents[index];
        let own = document.root.value("targetNamespace").is_some_and(|own| !own.is_empty());
        let Some(adopted) = adopted.filter(|adopted| !own && !adopted.is_empty()) else { return index };
        let (file, root) = (document.file, document.root.clone());
        let documents = &mut self.loaded.documents;
        *self.adopted.entry((index, adopted.clone())).or_insert_with(|| {
            documents.push(Document { file, root, adopted: Some(adopted), bundled: false });
            documents.len() - 1
        })
    }

    /// The namespaces that a definition's schemas declare.
    fn namespaces(&self, documents: &[usize]) -> HashSet<String> {
        let roots = documents.iter().map(|index| &self.loaded.documents[*index].root);
        roots
            .flat_map(|root| schemas(root))
            .filter_map(|schema| Some(schema.value("targetNamespace")?.to_owned()))
            .collect()
    }

    /// Adds the schemas that everybody imports and nobody has beside their definition.
    fn bundled(&mut self, documents: &mut Vec<usize>) {
        let there = self.namespaces(documents);
        let mut wanted: Vec<&(&str, &str, &str, &str)> = BUNDLED
            .iter()
            .filter(|(_, namespace, mark, _)| {
                let named =
                    |index: &usize| self.diagnostics.text(self.loaded.documents[*index].file).contains(mark);
                !there.contains(*namespace) && documents.iter().any(named)
            })
            .collect();
        // xmlmime and ws-addressing need nothing of each other
        for (name, _, _, text) in wanted.drain(..) {
            let path = PathBuf::from(format!("bundled/{name}"));
            let index = match self.known.get(&path) {
                Some(known) => *known,
                None => {
                    let text: Rc<str> = Rc::from(*text);
                    let file = self.diagnostics.add_file(&path, text.clone());
                    let root = xml::parse(file, &text, self.diagnostics);
                    let index = root.map(|root| {
                        let root = Rc::new(root);
                        self.loaded.documents.push(Document { file, root, adopted: None, bundled: true });
                        self.loaded.documents.len() - 1
                    });
                    self.known.insert(path, index);
                    index
                }
            };
            documents.extend(index);
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
            return Some(Document { file, root: Rc::new(root), adopted: None, bundled: false });
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
    namespace: String,
    /// For an included schema: the namespace that it takes if it has none.
    adopted: Option<Rc<str>>,
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
fn imports(root: &Element, adopted: Option<&Rc<str>>) -> Vec<Import> {
    let mut found = Vec::new();
    let mut import = |element: &Element, location: &str, adopted: Option<Rc<str>>| {
        if let Some(place) = element.attribute(location) {
            found.push(Import {
                at: place.at,
                location: place.value.trim().to_owned(),
                namespace: element.value("namespace").unwrap_or_default().to_owned(),
                adopted,
            });
        }
    };
    for element in root.all(WSDL, "import") {
        import(element, "location", None);
    }
    for schema in schemas(root) {
        let namespace = schema.value("targetNamespace").map(Rc::from).or_else(|| adopted.cloned());
        for element in schema.elements().filter(|element| &*element.name.namespace == XSD) {
            match &*element.name.local {
                "import" => import(element, "schemaLocation", None),
                "include" | "redefine" => import(element, "schemaLocation", namespace.clone()),
                _ => {}
            }
        }
    }
    found
}

/// The schemas of a file: its own root, or those inside a definition.
fn schemas(root: &Element) -> impl Iterator<Item = &Element> {
    let inner = root.all(WSDL, "types").flat_map(|types| types.all(XSD, "schema"));
    inner.chain(Some(root).filter(|root| root.is(XSD, "schema")))
}

/// Schemas that definitions import by namespace alone: file name, namespace, what a file that uses it has in it, and
/// as much of the schema as anybody names. SOAP's encoding is known without one.
const BUNDLED: &[(&str, &str, &str, &str)] = &[
    ("xml.xsd", "http://www.w3.org/XML/1998/namespace", "\"xml:", include_str!("bundled/xml.xsd")),
    (
        "xmlmime.xsd",
        "http://www.w3.org/2005/05/xmlmime",
        "http://www.w3.org/2005/05/xmlmime",
        include_str!("bundled/xmlmime.xsd"),
    ),
    (
        "xop.xsd",
        "http://www.w3.org/2004/08/xop/include",
        "http://www.w3.org/2004/08/xop/include",
        include_str!("bundled/xop.xsd"),
    ),
    (
        "addressing.xsd",
        "http://www.w3.org/2005/08/addressing",
        "http://www.w3.org/2005/08/addressing",
        include_str!("bundled/addressing.xsd"),
    ),
    (
        "envelope.xsd",
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://schemas.xmlsoap.org/soap/envelope/",
        include_str!("bundled/envelope.xsd"),
    ),
];
