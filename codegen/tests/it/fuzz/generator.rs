//! The generator on definitions that were changed: code, or a reason.

use std::path::{Path, PathBuf};
use std::time::Duration;

use soapstone_codegen::Config;

use super::{Run, files, mutate::mutate};

/// A definition's folder, copied to where it may be changed.
struct Source {
    folder: PathBuf,
    /// Definitions and schemas, and what they hold.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The one to generate from, or all of the folder.
    main: Option<PathBuf>,
}

impl Source {
    fn copy(from: &Path, to: &Path) -> Self {
        let folder = to.join(from.file_name().expect("a name"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let is_read = |path: &PathBuf| path.extension().is_some_and(|it| it == "wsdl" || it == "xsd");
        let copied = files(from).into_iter().filter(is_read).map(|path| {
            let bytes = std::fs::read(&path).expect("readable");
            let copy = folder.join(path.strip_prefix(from).expect("below"));
            std::fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
            std::fs::write(&copy, &bytes).expect("written");
            (copy, bytes)
        });
        let files = copied.collect();
        let main = Some(folder.join("main.wsdl")).filter(|main| main.exists());
        Self { folder, files, main }
    }

    /// Whether there is code.
    fn generate(&self) -> bool {
        let mut config = Config::new();
        match &self.main {
            Some(main) => config.definition(main),
            None => config.definitions(&self.folder),
        };
        match config.generate() {
            // what is short enough is looked at: it has to be Rust
            Ok((code, _)) => {
                if code.len() < 100_000 {
                    syn::parse_file(&code).unwrap_or_else(|error| panic!("no Rust: {error}\n{code}"));
                }
                true
            }
            Err(error) => {
                assert!(!error.diagnostics().is_empty(), "{error}");
                false
            }
        }
    }
}

#[test]
fn a_definition_with_anything_changed_gives_code_or_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = Run::new("generator", 300);
    let mut sources: Vec<Source> =
        crate::golden::cases().iter().map(|case| Source::copy(case, folder.path())).collect();
    if run.until.is_some()
        && let Some(corpus) = crate::corpus::corpus()
    {
        let folders = crate::corpus::definitions(&corpus);
        let folders = folders.iter().filter_map(|(_, path)| path.parent());
        sources.extend(folders.map(|from| Source::copy(from, folder.path())));
    }
    while run.goes_on() {
        let source = &sources[run.numbers.below(sources.len())];
        let (path, bytes) = &source.files[run.numbers.below(source.files.len())];
        let other = &sources[run.numbers.below(sources.len())];
        let other = &other.files[run.numbers.below(other.files.len())].1;
        let changed = mutate(bytes, other, &mut run.numbers);
        std::fs::write(path, &changed).expect("written");
        run.round(&changed, Duration::from_secs(60), || source.generate());
        std::fs::write(path, bytes).expect("written");
    }
    run.report();
}
