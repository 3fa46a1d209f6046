//! The front door: what to generate from, what to generate, and where to.

use std::path::{Path, PathBuf};

use crate::contents::{self, Contents};
use crate::describe::{self, ServiceDescription};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::embed::{self, Definition};
use crate::error::Error;
use crate::place::Locations;
use crate::settings::{self, Settings};
use crate::{emit, load, parse, resolve};

/// Members that are never shown, whatever a definition calls its own: `NAME`, or `TYPE.NAME` for one type only.
pub const DEFAULT_SECRETS: &[&str] = &[
    "password",
    "h323_password",
    "old_password",
    "new_password",
    "token",
    "access_token",
    "refresh_token",
    "session_id",
    "api_token",
    "one_time_password",
    "cvv",
    "PaymentMethodInfo.number",
];

/// What a service's short name goes without; the first that fits is cut.
pub const DEFAULT_SUFFIXES: &[&str] = &["AdminService", "Service"];

/// The name of the file that is written unless another is asked for.
pub const DEFAULT_FILE_NAME: &str = "definitions.rs";

/// What to generate.
///
/// ```no_run
/// // build.rs
/// fn main() -> Result<(), soapstone_codegen::Error> {
///     soapstone_codegen::Config::new().definitions("definitions").file_name("services.rs").compile()?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    sources: Vec<Source>,
    out_dir: Option<PathBuf>,
    file_name: String,
    wide_integers: bool,
    big_integers: bool,
    exact_floats: bool,
    embed_definitions: bool,
    facets: bool,
    json: bool,
    strict: bool,
    secrets: Vec<String>,
    suffixes: Vec<String>,
    only_services: Vec<String>,
    only_operations: Vec<String>,
    open_tables: bool,
    locations: Locations,
    pub(crate) settings: Settings,
}

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Folder(PathBuf),
}

/// What was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Every file that was read, imported ones too: when one of them changes it is time to generate again.
    pub files: Vec<PathBuf>,
    /// The folders that were searched for definitions.
    pub folders: Vec<PathBuf>,
    /// What was left out, and what may not be as meant.
    pub warnings: Vec<Diagnostic>,
    /// How many services there are.
    pub services: usize,
    /// How many operations they have.
    pub operations: usize,
    /// How many structures there are.
    pub structures: usize,
    /// How many enumerations there are.
    pub enumerations: usize,
    /// What stands in the files, whether it is generated or not.
    pub contents: Contents,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Nothing to generate from yet, and defaults for the rest.
    pub fn new() -> Self {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Self {
            sources: Vec::new(),
            out_dir: None,
            file_name: DEFAULT_FILE_NAME.to_owned(),
            wide_integers: false,
            big_integers: false,
            exact_floats: false,
            embed_definitions: false,
            facets: false,
            json: false,
            strict: false,
            secrets: owned(DEFAULT_SECRETS),
            suffixes: owned(DEFAULT_SUFFIXES),
            only_services: Vec::new(),
            only_operations: Vec::new(),
            open_tables: false,
            locations: Locations::new(),
            settings: Settings::default(),
        }
    }

    /// Adds a definition: a WSDL 1.1 file, or a schema for types only.
    pub fn definition(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.sources.push(Source::File(path.into()));
        self
    }

    /// Adds every `*.wsdl` of a folder, in the order of their names.
    pub fn definitions(&mut self, folder: impl Into<PathBuf>) -> &mut Self {
        self.sources.push(Source::Folder(folder.into()));
        self
    }

    /// Where the file is that an import calls `location`, as written there.
    ///
    /// Nothing is fetched: of `http://example.com/types/Orders.xsd` there must be a copy. One of that name beside the
    /// definition is found without being named here; so is `xsd0.xsd` for WCF's `Orders.svc?xsd=xsd0`.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.location("http://example.com/types/2/Orders.xsd", "definitions/orders-2.xsd");
    /// ```
    pub fn location(&mut self, location: impl Into<String>, path: impl Into<PathBuf>) -> &mut Self {
        self.locations.insert(location.into(), path.into());
        self
    }

    /// The folder to write to; a build script's `OUT_DIR` by default.
    pub fn out_dir(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.out_dir = Some(path.into());
        self
    }

    /// The name of the file to write, [`DEFAULT_FILE_NAME`] by default.
    pub fn file_name(&mut self, name: impl Into<String>) -> &mut Self {
        self.file_name = name.into();
        self
    }

    /// Whether `int`, `short` and `byte` become `i64`, and unsigned ones `u64`: servers exceed what their
    /// definitions promise. Off by default.
    pub fn wide_integers(&mut self, wide: bool) -> &mut Self {
        self.wide_integers = wide;
        self
    }

    /// Whether the types without an end (`integer`, `nonNegativeInteger`, `positiveInteger`, `nonPositiveInteger`,
    /// `negativeInteger`) become `i128` and `u128` instead of `i64` and `u64`. Nearly every definition means ordinary
    /// numbers by them; a value that is too long is refused, with the name of its member, and never cut. Off by default.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.big_integers(true);
    /// ```
    pub fn big_integers(&mut self, big: bool) -> &mut Self {
        self.big_integers = big;
        self
    }

    /// Whether `float` and `double` become `Decimal`, so that money keeps its digits. Off by default.
    pub fn exact_floats(&mut self, exact: bool) -> &mut Self {
        self.exact_floats = exact;
        self
    }

    /// Whether each service's module holds `DEFINITION`, the texts of the files that it is made from: what a server
    /// answers `?wsdl` with. Off by default; a program that doesn't name it doesn't carry the texts.
    pub fn embed_definitions(&mut self, embed: bool) -> &mut Self {
        self.embed_definitions = embed;
        self
    }

    /// Whether the tables have what definitions demand of values beyond their types (lengths, patterns, bounds), for
    /// the runtime's `check` (its feature `check`). It stands in the documentation in any case. Off by default.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.facets(true);
    /// ```
    ///
    /// and where the types are used: `assert!(soapstone_soap::check(&request).is_empty())`.
    pub fn facets(&mut self, facets: bool) -> &mut Self {
        self.facets = facets;
        self
    }

    /// Gives each structure serde's `Serialize` and `Deserialize`, for which `soapstone-soap` needs its feature `json`.
    /// Not by default, as they take their time to compile: any structure is JSON through `soapstone_soap::Json` and
    /// `fill_json` without them.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.json(true);
    /// ```
    pub fn json(&mut self, json: bool) -> &mut Self {
        self.json = json;
        self
    }

    /// Whether tables are public, so that other generated code may hold these types: see [`Config::extern_type`]. Off
    /// by default.
    ///
    /// ```
    /// # let mut config = soapstone_codegen::Config::new();
    /// config.definition("shared.wsdl").open_tables(true);
    /// ```
    pub fn open_tables(&mut self, open: bool) -> &mut Self {
        self.open_tables = open;
        self
    }

    /// Whether a warning is an error, so that nothing is left out unnoticed. Off by default.
    pub fn strict(&mut self, strict: bool) -> &mut Self {
        self.strict = strict;
        self
    }

    /// Adds a member that is never shown: `NAME` wherever it stands, or `TYPE.NAME`. [`DEFAULT_SECRETS`] are there
    /// already.
    pub fn secret(&mut self, pattern: impl Into<String>) -> &mut Self {
        self.secrets.push(pattern.into());
        self
    }

    /// Adds a service to the ones that are generated; without any, all are. Structures that no operation needs are
    /// then left out as well.
    pub fn only_service(&mut self, name: impl Into<String>) -> &mut Self {
        self.only_services.push(name.into());
        self
    }

    /// Adds an operation to the ones that are generated, of whichever service; without any, all are.
    pub fn only_operation(&mut self, name: impl Into<String>) -> &mut Self {
        self.only_operations.push(name.into());
        self
    }

    /// What services' names go without to become short names, instead of [`DEFAULT_SUFFIXES`].
    pub fn service_suffixes<S: Into<String>>(&mut self, suffixes: impl IntoIterator<Item = S>) -> &mut Self {
        self.suffixes = suffixes.into_iter().map(Into::into).collect();
        self
    }

    /// Generates, writes the file unless it is there already word for word, and tells Cargo what it depends on and
    /// what was left out.
    ///
    /// # Errors
    /// Those of [`Config::generate`], and when there is no folder to write to or it can't be written to.
    #[allow(clippy::print_stdout)] // that is how a build script speaks to Cargo
    pub fn compile(&self) -> Result<Report, Error> {
        let out_dir = match &self.out_dir {
            Some(out_dir) => out_dir.clone(),
            None => std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or(Error::NoOutDir)?,
        };
        // said first: a build that fails is to run again when a file changes
        for path in self.watched() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
        let (text, report) = self.generate()?;
        for path in &report.files {
            println!("cargo:rerun-if-changed={}", path.display());
        }
        for warning in &report.warnings {
            println!("cargo:warning={warning}");
        }
        write_if_changed(&out_dir.join(&self.file_name), &text)?;
        Ok(report)
    }

    /// Generates without writing anything.
    ///
    /// # Errors
    /// When there is nothing to generate from, a file can't be read, or the definitions have errors (with
    /// [`Config::strict`] also warnings): [`Error::diagnostics`] names them all.
    pub fn generate(&self) -> Result<(String, Report), Error> {
        let Read { model, contents, definitions, paths, files, folders, warnings } = self.read()?;
        let names: Vec<String> = paths.iter().map(|path| file_name(path)).collect();
        let text = emit::emit(&model, self, &names, &definitions)?;
        let report = Report {
            files,
            folders,
            warnings,
            services: model.services.len(),
            operations: model.services.iter().map(|service| service.operations.len()).sum(),
            structures: model.structures.iter().filter(|it| !is_enumeration(it)).count(),
            enumerations: model.structures.iter().filter(|it| is_enumeration(it)).count(),
            contents,
        };
        Ok((text, report))
    }

    /// What the definitions hold, and the warnings about them.
    ///
    /// # Errors
    /// As for [`Config::generate`].
    pub fn describe(&self) -> Result<(Vec<ServiceDescription>, Vec<Diagnostic>), Error> {
        let read = self.read()?;
        Ok((describe::describe(&read.model), read.warnings))
    }

    fn read(&self) -> Result<Read, Error> {
        let (paths, folders) = self.paths()?;
        if paths.is_empty() {
            return Err(Error::Nothing);
        }
        let mut diagnostics = Diagnostics::default();
        let (loaded, files) = load::load(&paths, &self.locations, &mut diagnostics);
        stop(&mut diagnostics, Error::Load)?;
        let parsed = parse::parse(&loaded, &mut diagnostics);
        stop(&mut diagnostics, Error::Parse)?;
        let contents = contents::count(&loaded, &parsed);
        let mut model = resolve::resolve(&loaded, &parsed, &mut diagnostics);
        stop(&mut diagnostics, Error::Resolve)?;
        let definitions =
            if self.embed_definitions { embed::definitions(&loaded, &diagnostics) } else { Vec::new() };
        let mut warnings = diagnostics.list;
        warnings.extend(self.unknown(&model));
        warnings.extend(self.settings.problems(&model));
        if self.strict && !warnings.is_empty() {
            let error = |warning| Diagnostic { severity: Severity::Error, ..warning };
            return Err(Error::Strict(warnings.into_iter().map(error).collect()));
        }
        model.keep(&self.only_services, &self.only_operations);
        model.part();
        Ok(Read { model, contents, definitions, paths, files, folders, warnings })
    }

    pub(crate) fn has_big_integers(&self) -> bool {
        self.big_integers
    }

    pub(crate) fn has_wide_integers(&self) -> bool {
        self.wide_integers
    }

    pub(crate) fn has_exact_floats(&self) -> bool {
        self.exact_floats
    }

    /// Services and operations that were asked for and aren't there.
    fn unknown(&self, model: &resolve::Model) -> Vec<Diagnostic> {
        let services: Vec<&str> = model.services.iter().map(|service| service.name.as_str()).collect();
        let operations = model.services.iter().flat_map(|service| &service.operations);
        let operations: Vec<&str> = operations.map(|operation| operation.name.as_str()).collect();
        let lists = [
            ("only_service", &self.only_services, services),
            ("only_operation", &self.only_operations, operations),
        ];
        let mut found = Vec::new();
        for (setting, wanted, known) in lists {
            for name in wanted.iter().filter(|name| !known.contains(&name.as_str())) {
                let message = format!("`{setting}` names `{name}`, which the definitions don't have");
                found.push(settings::warning(message, "names are written as in the definition".to_owned()));
            }
        }
        found
    }

    pub(crate) fn has_open_tables(&self) -> bool {
        self.open_tables
    }

    pub(crate) fn has_json(&self) -> bool {
        self.json
    }

    pub(crate) fn has_facets(&self) -> bool {
        self.facets
    }

    /// Whether the member `name` of the type `ty` is never shown.
    pub(crate) fn is_secret(&self, ty: &str, name: &str) -> bool {
        self.secrets.iter().any(|pattern| {
            pattern == name || pattern.strip_prefix(ty).and_then(|rest| rest.strip_prefix('.')) == Some(name)
        })
    }

    /// A service's name without its suffix, unless nothing would be left.
    pub(crate) fn short_name(&self, name: &str) -> String {
        let mut cut = self.suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix.as_str()));
        cut.find(|cut| !cut.is_empty()).unwrap_or(name).to_owned()
    }

    fn watched(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().map(|source| match source {
            Source::File(path) | Source::Folder(path) => path.as_path(),
        })
    }

    /// The definitions, and the folders searched for them.
    fn paths(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Error> {
        let (mut paths, mut folders) = (Vec::new(), Vec::new());
        for source in &self.sources {
            match source {
                Source::File(path) => paths.push(path.clone()),
                Source::Folder(folder) => {
                    paths.extend(listed(folder)?);
                    folders.push(folder.clone());
                }
            }
        }
        Ok((paths, folders))
    }
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Io { path: folder.to_path_buf(), action: "listed", source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wsdl")) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_enumeration(structure: &resolve::Structure) -> bool {
    matches!(structure.kind, resolve::Kind::Enumeration(_))
}

/// What the stages before the last have made.
struct Read {
    model: resolve::Model,
    /// Of each definition its files, where they are to be embedded.
    definitions: Vec<Definition>,
    contents: Contents,
    paths: Vec<PathBuf>,
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    warnings: Vec<Diagnostic>,
}

/// Ends the run when a stage found errors.
fn stop(diagnostics: &mut Diagnostics, error: fn(Vec<Diagnostic>) -> Error) -> Result<(), Error> {
    if diagnostics.has_errors() {
        return Err(error(std::mem::take(&mut diagnostics.list)));
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    // a name of several lines would end the comment it goes into
    path.file_name().unwrap_or_default().to_string_lossy().replace(char::is_control, " ")
}

/// A file that stays the same keeps its time, and nothing that depends on it is built again.
fn write_if_changed(path: &Path, text: &str) -> Result<(), Error> {
    if std::fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|source| Error::Io {
        path: path.to_path_buf(),
        action: "written",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_alone_or_with_its_type() {
        let mut config = Config::new();
        config.secret("Card.pin");
        assert!(config.is_secret("Anything", "password"));
        assert!(config.is_secret("PaymentMethodInfo", "number"));
        assert!(!config.is_secret("DIDNumberInfo", "number"));
        assert!(config.is_secret("Card", "pin"));
        assert!(!config.is_secret("Card", "password2"));
    }

    #[test]
    fn a_short_name_goes_without_its_suffix_unless_it_is_nothing_else() {
        let mut config = Config::new();
        for (name, short) in [
            ("AccountAdminService", "Account"),
            ("AccountService", "Account"),
            ("Service", "Service"),
            ("AdminService", "Admin"),
            ("Account", "Account"),
        ] {
            assert_eq!(config.short_name(name), short);
        }
        config.service_suffixes(["Soap"]);
        assert_eq!(config.short_name("AccountSoap"), "Account");
        assert_eq!(config.short_name("AccountService"), "AccountService");
    }
}
