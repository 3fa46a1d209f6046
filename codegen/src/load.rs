//! The first stage: the files named, and those they import, as trees. Never the network.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::bundled::BUNDLED;
use crate::diagnostic::{At, Diagnostics};
use crate::namespace::{SOAP_ENCODING, SOAP_ENCODING_12, WSDL, WSDL_20, XSD};
use crate::place::{self, Locations};
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
pub(crate) fn load(
    paths: &[PathBuf],
    locations: &Locations,
    diagnostics: &mut Diagnostics,
) -> (Loaded, Vec<PathBuf>) {
    let mut loader = Loader {
        diagnostics,
        locations,
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
    locations: &'a Locations,
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
                match place::file(&import.location, &path, self.locations) {
                    // who hasn't got what everybody imports needs no copy of it
                    Some(target) if is_known(&import.namespace) && !target.is_file() => {}
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
        let is_there = |import: &&Import| is_known(&import.namespace) || there.contains(&import.namespace);
        for import in elsewhere.iter().filter(|import| !is_there(import)) {
            self.diagnostics.warning(
                import.at,
                format!("`{}` isn't followed: the network is never asked", import.location),
                "put a copy beside this file, or say where one is (`Config::location`), if types of it are missing",
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
        let (text, broken) = decoded(&bytes);
        let text: Rc<str> = text.into();
        let file = self.diagnostics.add_file(path, text.clone());
        if let Some((message, advice)) = broken {
            let at = At { file, offset: text.len() as u32 };
            self.diagnostics.error(at, message, advice);
            return None;
        }
        let root = xml::parse(file, &text, self.diagnostics)?;
        if root.is(WSDL, "definitions") || root.is(XSD, "schema") {
            return Some(Document { file, root: Rc::new(root), adopted: None, bundled: false });
        }
        // the drafts of 2.0 had a namespace each, and the same root
        let is_draft = root.name.namespace.ends_with("/wsdl") && &*root.name.local == "description";
        let (message, advice) = if &*root.name.namespace == WSDL_20 || is_draft {
            ("this is WSDL 2.0".to_owned(), "ask the service for its WSDL 1.1")
        } else if root.name.namespace.is_empty() && matches!(&*root.name.local, "definitions" | "schema") {
            (format!("the root `{}` is in no namespace", root.name.local), "declare its namespace with xmlns")
        } else {
            let name = &root.name.local;
            (format!("the root `{name}` isn't that of a WSDL 1.1 definition"), "name a file that has one")
        };
        self.diagnostics.error(root.at, message, advice);
        None
    }
}

/// Whether a namespace is one of those that need no file: SOAP's, XML Schema's, and what is bundled.
fn is_known(namespace: &str) -> bool {
    [XSD, WSDL, SOAP_ENCODING, SOAP_ENCODING_12].contains(&namespace)
        || BUNDLED.iter().any(|(_, bundled, _, _)| *bundled == namespace)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read(path).map_err(unreadable)
}

/// A file's text, in the encoding that its byte order mark or its first line says; of one that can't be read, what
/// stands before that, what is wrong, and what to do.
fn decoded(bytes: &[u8]) -> (String, Option<(String, &'static str)>) {
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => (encoding, &bytes[mark..]),
        // the first letters of `<?xml` in two bytes each
        None if bytes.starts_with(b"<\0?\0") => (UTF_16LE, bytes),
        None if bytes.starts_with(b"\0<\0?") => (UTF_16BE, bytes),
        None => match declared(bytes).map(|name| Encoding::for_label(name.as_bytes()).ok_or(name)) {
            None => (UTF_8, bytes),
            // who could read the name of it this way has eight bits a character
            Some(Ok(encoding)) if encoding == UTF_16LE || encoding == UTF_16BE => (UTF_8, bytes),
            Some(Ok(encoding)) => (encoding, bytes),
            Some(Err(name)) => {
                let message = format!("`{name}` is an encoding that nobody has");
                return (String::new(), Some((message, "save the file as UTF-8")));
            }
        },
    };
    if encoding == UTF_8 {
        let whole = std::str::from_utf8(bytes);
        let valid = whole.map_or_else(|error| &bytes[..error.valid_up_to()], |_| bytes);
        let broken = ("a byte that isn't UTF-8".to_owned(), "save the file as UTF-8");
        return (String::from_utf8_lossy(valid).into_owned(), whole.err().map(|_| broken));
    }
    let (text, has_errors) = encoding.decode_without_bom_handling(bytes);
    let message = format!("a byte that isn't {}", encoding.name());
    let text =
        if has_errors { text.split('\u{fffd}').next().unwrap_or_default().to_owned() } else { text.into() };
    (text, has_errors.then_some((message, "save the file as UTF-8")))
}

/// The encoding that the first line of a file names.
fn declared(bytes: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let declaration = start.strip_prefix("<?xml")?.split("?>").next()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    Some(value[1..].split(quote).next()?.trim().to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_the_encoding_that_it_says() {
        let of = |bytes: &[u8]| {
            let (text, broken) = decoded(bytes);
            broken.map_or(text, |(message, _)| message)
        };
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        assert_eq!(of("<é/>".as_bytes()), "<é/>");
        assert_eq!(of("\u{feff}<é/>".as_bytes()), "<é/>");
        assert_eq!(of(&utf16("\u{feff}<é/>", u16::to_le_bytes)), "<é/>");
        assert_eq!(of(&utf16("\u{feff}<é/>", u16::to_be_bytes)), "<é/>");
        assert_eq!(of(&utf16("<?xml?><é/>", u16::to_le_bytes)), "<?xml?><é/>");
        assert_eq!(of(&utf16("<?xml?><é/>", u16::to_be_bytes)), "<?xml?><é/>");
        assert_eq!(
            of(b"<?xml version='1.0' encoding = 'windows-1251' ?><\xcf/>"),
            "<?xml version='1.0' encoding = 'windows-1251' ?><П/>"
        );
        assert_eq!(of(b"<?xml encoding=\"utf-16\"?><a/>"), "<?xml encoding=\"utf-16\"?><a/>");
        assert_eq!(of(b"<\xe9/>"), "a byte that isn't UTF-8");
        assert_eq!(of(b"<?xml encoding=\"shift_jis\"?><\xff/>"), "a byte that isn't Shift_JIS");
        assert_eq!(of(b"<?xml encoding=\"klingon\"?>"), "`klingon` is an encoding that nobody has");
    }
}
