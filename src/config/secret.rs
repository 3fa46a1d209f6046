//! A secret that knows where it came from, so that a configuration can be shown without showing it.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A secret from the environment or from a file; its value is never printed.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    Env(String),
    File(PathBuf),
    Code,
}

impl Secret {
    /// A secret made by code, for tests and the demo; a configuration file can't hold one.
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: SecretString::from(value.into()), origin: Origin::Code }
    }

    pub(super) fn from_env(name: String, value: String) -> Self {
        Self { value: value.into(), origin: Origin::Env(name) }
    }

    pub(super) fn from_file(path: PathBuf, value: String) -> Self {
        Self { value: value.into(), origin: Origin::File(path) }
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// The value as a type that doesn't print it.
    pub fn value(&self) -> &SecretString {
        &self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({:?})", self.origin)
    }
}

/// Shows where the secret comes from, as the configuration says it; never what it is.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (key, value) = match &self.origin {
            Origin::Env(name) => ("env", name.clone()),
            Origin::File(path) => ("file", path.display().to_string()),
            Origin::Code => return to.serialize_str("***"),
        };
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry(key, &value)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_printed() {
        let secret = Secret::from_env("PASSWORD".to_owned(), "hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#"{"env":"PASSWORD"}"#);
        assert_eq!(secret.expose(), "hunter2");
    }
}
