//! Who says that they ask: for the log, and no more than that, as long as there is no authentication.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The header that names them; `soapstone`'s commands send the user's name, and a proxy that knows better may set it.
pub const HEADER: &str = "x-operator";
/// The longest name, in characters.
const LONGEST: usize = 64;

/// A name without anything that could be taken for something else in a log.
pub(super) struct Who(String);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let said = parts.headers.get(HEADER).and_then(|said| said.to_str().ok()).unwrap_or_default();
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_.@+\\".contains(*letter);
        Ok(Self(said.chars().filter(plain).take(LONGEST).collect()))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(if self.0.is_empty() { "somebody" } else { &self.0 })
    }
}
