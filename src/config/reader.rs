//! Reads a TOML document key by key, so that one run finds every mistake in it, each with its line.
//!
//! Deserializing with serde stops at the first mistake; who has five wants to hear of all five. So each section is
//! asked for its keys, a wrong value is noted and stands for its default, and what nobody asked for is unknown.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;
use super::secret::Secret;
use super::units;

/// Where values come from besides the file: the environment, and the folder that relative paths count from.
pub(super) struct Reading<'a> {
    text: &'a str,
    folder: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Problem>>,
    known: RefCell<BTreeSet<String>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(text: &'a str, folder: &'a Path, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { text, folder, env, problems: RefCell::default(), known: RefCell::default() }
    }

    /// Notes a mistake at a byte of the text.
    pub(super) fn problem(&self, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        self.problems.borrow_mut().push(Problem { line, what: what.into(), remedy: remedy.into() });
    }

    /// Every key that was asked for, for the test that the example shows them all.
    #[cfg(test)]
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }

    /// All mistakes, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) value: &'a DeValue<'a>,
    pub(super) at: usize,
}

impl<'a> Value<'a> {
    pub(super) fn new(spanned: &'a Spanned<DeValue<'a>>) -> Self {
        Self { value: spanned.get_ref(), at: spanned.span().start }
    }
}

/// One table of the file; a table that isn't there reads as an empty one.
pub(super) struct Section<'a> {
    pub(super) reading: &'a Reading<'a>,
    table: Option<&'a DeTable<'a>>,
    /// Where it begins, for what is missing in it.
    pub(super) at: usize,
    /// As a reader of the file would call it: `[listen]`, `[[handler]] "sim"`.
    pub(super) name: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        reading: &'a Reading<'a>,
        name: &str,
        table: Option<&'a DeTable<'a>>,
        at: usize,
    ) -> Self {
        Self { reading, table, at, name: name.to_owned(), asked: RefCell::default() }
    }

    pub(super) fn problem(&self, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.reading.problem(at, what, remedy);
    }

    /// What relative paths count from.
    pub(super) fn folder(&self) -> &'a Path {
        self.reading.folder
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(key);
        self.reading.known.borrow_mut().insert(key.to_owned());
        let (_, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Value::new(value))
    }

    /// The value of a key that has to be there.
    pub(super) fn need(&self, key: &'static str, example: &str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.problem(self.at, format!("{} lacks `{key}`", self.name), format!("add {key} = {example}"));
        }
        value
    }

    /// Notes the keys that nobody asked for, each with the nearest known one.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.iter().flat_map(|table| table.keys()) {
            let name = key.get_ref().as_ref();
            if !asked.contains(&name) {
                let what = format!("unknown key `{name}` in {}", self.name);
                self.problem(key.span().start, what, suggest(name, &asked));
            }
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, usize, Value<'a>)> + use<'a> {
        self.table
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.get_ref().as_ref(), key.span().start, Value::new(value)))
    }

    fn mistyped(&self, key: &str, value: Value<'_>, wanted: &str) {
        let what = format!("`{key}` in {} is {}", self.name, a_or_an(value.value.type_str()));
        self.problem(value.at, what, format!("write {wanted}"));
    }

    /// A text that isn't empty.
    pub(super) fn text_of(&self, key: &str, value: Value<'a>) -> Option<&'a str> {
        match value.value.as_str() {
            Some("") => self.problem(
                value.at,
                format!("`{key}` in {} is empty", self.name),
                "write a value, or leave it out",
            ),
            Some(text) => return Some(text),
            None => self.mistyped(key, value, "a text in quotation marks"),
        }
        None
    }

    pub(super) fn need_text(&self, key: &'static str, example: &str) -> Option<String> {
        self.need(key, example).and_then(|value| self.text_of(key, value)).map(str::to_owned)
    }

    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        value.value.as_bool().unwrap_or_else(|| {
            self.mistyped(key, value, "true or false");
            default
        })
    }

    pub(super) fn count(&self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.get(key) else { return default };
        self.count_of(key, value, range).unwrap_or(default)
    }

    pub(super) fn count_of(&self, key: &str, value: Value<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let wanted = || format!("a whole number from {} to {}", range.start(), range.end());
        let Some(integer) = value.value.as_integer() else {
            self.mistyped(key, value, &wanted());
            return None;
        };
        match u64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|count| range.contains(count))
        {
            Some(count) => Some(count),
            None => {
                let what = format!("`{key}` in {} is out of range: {integer}", self.name);
                self.problem(value.at, what, format!("write {}", wanted()));
                None
            }
        }
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(value) = self.get(key) else { return default };
        self.duration_of(key, value, range).unwrap_or(default)
    }

    pub(super) fn duration_of(
        &self,
        key: &str,
        value: Value<'a>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        const WANTED: &str = "a number with a unit: \"500ms\", \"5s\", \"10m\", \"24h\", \"30d\"";
        let Some(text) = value.value.as_str() else {
            self.mistyped(key, value, WANTED);
            return None;
        };
        let Some(duration) = units::parse_duration(text) else {
            let what = format!("`{key}` in {} is not a duration: \"{text}\"", self.name);
            self.problem(value.at, what, format!("write {WANTED}"));
            return None;
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let (low, high) = (units::format_duration(*range.start()), units::format_duration(*range.end()));
        let what = format!("`{key}` in {} is out of range: \"{text}\"", self.name);
        self.problem(value.at, what, format!("write {low} to {high}"));
        None
    }

    pub(super) fn size(&self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let Some(size) = value.value.as_str().and_then(units::parse_size) else {
            let what = format!("`{key}` in {} is not a size", self.name);
            self.problem(value.at, what, "write a number with a unit: \"64KiB\", \"1MiB\"");
            return default;
        };
        if range.contains(&size) {
            return size;
        }
        let (low, high) = (units::format_size(*range.start()), units::format_size(*range.end()));
        self.problem(
            value.at,
            format!("`{key}` in {} is out of range", self.name),
            format!("write {low} to {high}"),
        );
        default
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, default: T, words: &[(&'static str, T)]) -> T {
        let Some(value) = self.get(key) else { return default };
        self.choice_of(key, value, words).unwrap_or(default)
    }

    pub(super) fn choice_of<T: Copy>(
        &self,
        key: &str,
        value: Value<'a>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text_of(key, value)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("unknown value \"{text}\" for `{key}` in {}", self.name);
            self.problem(value.at, what, suggest(text, &names));
        }
        found
    }

    /// An `http` or `https` URL without a login in it.
    pub(super) fn url_of(&self, key: &str, value: Value<'a>) -> Option<Url> {
        let text = self.text_of(key, value)?;
        let remedy = "write it like \"https://portabilling.example.com\"";
        match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                let what = format!("`{key}` in {} is not an http or https URL: \"{text}\"", self.name);
                self.problem(value.at, what, remedy);
            }
            // The text may hold a password, so it isn't repeated.
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                let what = format!("`{key}` in {} holds a login", self.name);
                self.problem(value.at, what, "take it out of the URL; secrets have keys of their own");
            }
            Ok(url) => return Some(url),
            Err(error) => {
                let what = format!("`{key}` in {} is not a URL: {error}", self.name);
                self.problem(value.at, what, remedy);
            }
        }
        None
    }

    /// A path; a relative one counts from the folder of the configuration file.
    pub(super) fn path_of(&self, key: &str, value: Value<'a>) -> Option<PathBuf> {
        self.text_of(key, value).map(|text| self.reading.folder.join(text))
    }

    /// A file of certificates in PEM format, which has to be there now.
    pub(super) fn certificates(&self, key: &'static str) -> Option<PathBuf> {
        let value = self.get(key)?;
        let path = self.path_of(key, value)?;
        let file = path.display();
        match std::fs::read(&path).map(|pem| reqwest::Certificate::from_pem_bundle(&pem)) {
            Ok(Ok(certificates)) if !certificates.is_empty() => return Some(path),
            Ok(_) => {
                let what = format!("`{key}` in {}: {file} holds no certificate in PEM format", self.name);
                self.problem(value.at, what, "give a file with -----BEGIN CERTIFICATE----- in it");
            }
            Err(error) => {
                let what = format!("`{key}` in {} can't be read: {file}: {error}", self.name);
                self.problem(value.at, what, "correct the path, or let the gateway's user read the file");
            }
        }
        None
    }

    /// A table inside this one; none where there is none.
    pub(super) fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let value = self.get(key)?;
        self.section_of(&format!("{} {key}", self.name), key, value)
    }

    pub(super) fn section_of(&self, name: &str, key: &str, value: Value<'a>) -> Option<Section<'a>> {
        match value.value.as_table() {
            Some(table) => Some(Section::new(self.reading, name, Some(table), value.at)),
            None => {
                self.mistyped(key, value, "a table");
                None
            }
        }
    }

    pub(super) fn list_of(&self, key: &str, value: Value<'a>) -> Vec<Value<'a>> {
        match value.value.as_array() {
            Some(array) => array.iter().map(Value::new).collect(),
            None => {
                self.mistyped(key, value, "a list in square brackets");
                Vec::new()
            }
        }
    }

    /// A secret: `{ env = "…" }` or `{ file = "…" }`; a plain text is refused.
    pub(super) fn secret_of(&self, key: &str, value: Value<'a>) -> Option<Secret> {
        const WANTED: &str = "write { env = \"NAME\" } or { file = \"/path\" }";
        let Some(table) = value.value.as_table() else {
            // Not repeated: it may well be the secret itself.
            let what = format!("`{key}` in {} holds a secret in plain text", self.name);
            self.problem(
                value.at,
                what,
                format!("{WANTED}, and change that secret: this file isn't the place for it"),
            );
            return None;
        };
        let section = Section::new(self.reading, &format!("{} {key}", self.name), Some(table), value.at);
        let (env, file) = (section.get("env"), section.get("file"));
        section.finish();
        match (env, file) {
            (Some(env), None) => section.secret_from_env(env),
            (None, Some(file)) => section.secret_from_file(file),
            _ => {
                self.problem(value.at, format!("{} needs either `env` or `file`", section.name), WANTED);
                None
            }
        }
    }

    fn secret_from_env(&self, value: Value<'a>) -> Option<Secret> {
        let name = self.text_of("env", value)?;
        match (self.reading.env)(name).filter(|value| !value.is_empty()) {
            Some(found) => Some(Secret::from_env(name.to_owned(), found)),
            None => {
                let what = format!("{}: the environment variable {name} isn't set", self.name);
                self.problem(value.at, what, format!("set {name} for the gateway's process"));
                None
            }
        }
    }

    fn secret_from_file(&self, value: Value<'a>) -> Option<Secret> {
        let path = self.path_of("file", value)?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let what = format!("{}: {} can't be read: {error}", self.name, path.display());
                self.problem(value.at, what, "create the file, or let the gateway's user read it");
                return None;
            }
        };
        // Editors and `echo` end a file with a newline, which isn't part of the secret.
        let secret =
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        if secret.is_empty() {
            let what = format!("{}: {} is empty", self.name, path.display());
            self.problem(value.at, what, "write the secret into it");
            return None;
        }
        Some(Secret::from_file(path, secret.to_owned()))
    }
}

/// What to do about a name that isn't known.
pub(super) fn suggest(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .min();
    match nearest {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known are: {}", known.join(", ")),
    }
}

fn a_or_an(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}
