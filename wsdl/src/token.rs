//! Access tokens: what they say, and whether PortaBilling has signed them. No database and no call is needed.
//!
//! PortaBilling's tokens are JSON Web Tokens signed RS256, with a head of `{"alg":"RS256"}` alone, no issuer and no key id.
//! Where the public key is published isn't documented: an operator gets it from PortaOne, as PEM or as a key set.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (pem, token, now) = (include_str!("token/key.pem"), include_str!("token/valid.jwt").trim(), 1_800_000_000);
//! use portabilling::token::{Claims, Verifier};
//!
//! let claims = Claims::decode(token)?; // believed, not verified
//! assert_eq!(claims.realm.as_deref(), Some("admin"));
//!
//! let verifier = Verifier::from_pem(pem.as_bytes())?.audience("espf-api");
//! let claims = verifier.verify(token, now)?;
//! assert!(claims.has_scope("espf.api:write"));
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::loose::{flag, number, one_or_more};

/// What a token says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// When it ends, in seconds since 1970.
    pub exp: Option<i64>,
    /// When it was made, in seconds since 1970.
    pub iat: Option<i64>,
    /// The session's id (`jti`).
    #[serde(rename = "jti")]
    pub session_id: Option<String>,
    /// The user.
    #[serde(deserialize_with = "number")]
    pub i_user: Option<i64>,
    /// The user's environment.
    #[serde(deserialize_with = "number")]
    pub i_env: Option<i64>,
    /// The account, in tokens of the account's realm that weren't made by `login_to_realm`.
    #[serde(deserialize_with = "number")]
    pub i_account: Option<i64>,
    /// The login.
    pub login: Option<String>,
    /// `admin`, `reseller`, `customer`, `account`.
    pub realm: Option<String>,
    /// What it is good for, with spaces between (`espf.api:write espf.handlers:write`).
    pub scopes: String,
    /// Whom it is for; one may stand without a list, RFC 7519 §4.1.3 (`portabilling-api`, `portasip-api`, `espf-api`).
    #[serde(deserialize_with = "one_or_more")]
    pub aud: Vec<String>,
    /// Whether the user may do everything.
    #[serde(deserialize_with = "flag")]
    pub is_super_user: bool,
}

/// Why a token isn't good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It isn't three parts of base64 with JSON inside.
    #[error("not a JSON Web Token")]
    Malformed,
    /// It is signed in another way than RS256, or not at all: never PortaBilling's.
    #[error("signed otherwise than PortaBilling does it (RS256)")]
    Algorithm,
    /// None of the keys has signed it.
    #[error("the signature is of none of the keys")]
    Signature,
    /// It has ended, or says no end.
    #[error("the token has expired")]
    Expired,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// The key isn't an RSA public key in PEM, or the key set has none.
    #[error("not a public key that RS256 can use: {0}")]
    Key(String),
}

impl Claims {
    /// What a token says, believed without a look at its signature: for one's own token, which came from PortaBilling.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn decode(token: &str) -> Result<Self, TokenError> {
        let decoded = jsonwebtoken::dangerous::insecure_decode::<Self>(token.trim());
        decoded.map(|data| data.claims).map_err(|_| TokenError::Malformed)
    }

    /// How long it is good from its making on, by PortaBilling's clock alone.
    pub fn lifetime(&self) -> Option<Duration> {
        let seconds = self.exp?.checked_sub(self.iat?)?;
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    /// Whether it is good for that.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.split_whitespace().any(|one| one == scope)
    }
}

/// Verifies tokens with one or more public keys; several while keys are rotated.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<DecodingKey>,
    audience: Option<String>,
    leeway: Duration,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("keys", &self.keys.len())
            .field("audience", &self.audience)
            .field("leeway", &self.leeway)
            .finish()
    }
}

impl Verifier {
    /// With an RSA public key in PEM.
    ///
    /// # Errors
    /// [`TokenError::Key`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TokenError> {
        let key = DecodingKey::from_rsa_pem(pem).map_err(|error| TokenError::Key(error.to_string()))?;
        Ok(Self::new(vec![key]))
    }

    /// With all RSA keys of a key set (RFC 7517).
    ///
    /// # Errors
    /// [`TokenError::Key`], for a set without any, too.
    pub fn from_jwks(json: &[u8]) -> Result<Self, TokenError> {
        let set: JwkSet = serde_json::from_slice(json).map_err(|error| TokenError::Key(error.to_string()))?;
        let is_rsa = |key: &&jsonwebtoken::jwk::Jwk| {
            matches!(key.algorithm, jsonwebtoken::jwk::AlgorithmParameters::RSA(_))
        };
        let keys = set.keys.iter().filter(is_rsa).map(DecodingKey::from_jwk);
        let keys: Vec<_> =
            keys.collect::<Result<_, _>>().map_err(|error| TokenError::Key(error.to_string()))?;
        if keys.is_empty() {
            return Err(TokenError::Key("no RSA key is in the set".into()));
        }
        Ok(Self::new(keys))
    }

    fn new(keys: Vec<DecodingKey>) -> Self {
        Self { keys, audience: None, leeway: Duration::from_secs(60) }
    }

    /// Takes another's keys as well.
    pub fn and(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// Takes only tokens for this audience (`espf-api`); otherwise any.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// By how much clocks may differ; 60 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// What a token says, if PortaBilling has signed it, it is for us, and it hasn't ended at `now` (in seconds since 1970).
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str, now: i64) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(Algorithm::RS256);
        // the clock is the caller's
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let mut refused = TokenError::Signature;
        for key in &self.keys {
            match jsonwebtoken::decode::<Claims>(token.trim(), key, &validation) {
                Ok(data) => return self.judge(data.claims, now),
                Err(error) => refused = kind(error.kind()),
            }
        }
        Err(refused)
    }

    fn judge(&self, claims: Claims, now: i64) -> Result<Claims, TokenError> {
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX);
        if claims.exp.is_none_or(|end| end.saturating_add(leeway) <= now) {
            return Err(TokenError::Expired);
        }
        match &self.audience {
            Some(audience) if !claims.aud.contains(audience) => Err(TokenError::Audience),
            _ => Ok(claims),
        }
    }
}

fn kind(error: &ErrorKind) -> TokenError {
    match error {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::MissingAlgorithm => {
            TokenError::Algorithm
        }
        _ => TokenError::Malformed,
    }
}

#[cfg(test)]
mod tests;
