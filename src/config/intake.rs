//! Who may post events, and where.

use super::Secret;
use super::units::serialize_duration;
use serde::Serialize;
use std::time::Duration;

/// One `[[intake]]`: a path that ESPF posts events to.
#[derive(Debug, Clone, Serialize)]
pub struct IntakeSettings {
    /// The source's name; events bear it, and it is part of what makes two events the same.
    pub name: String,
    /// The path.
    pub path: String,
    /// What wrong credentials are answered with: 401, upon which ESPF drops the event for good, or 503.
    pub unauthorized: u16,
    /// Who may post.
    pub auth: IntakeAuth,
}

/// Who may post events: one or two credentials, so that they can be changed without losing an event.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum IntakeAuth {
    /// HTTP Basic, ESPF's default.
    Basic {
        /// The credentials.
        basic: Vec<BasicCredential>,
    },
    /// Two words in a header, ESPF's custom method.
    Custom {
        /// The header.
        header: String,
        /// The credentials.
        custom: Vec<CustomCredential>,
    },
    /// An HMAC-SHA1 over the `Date` header.
    Signature {
        /// How far `Date` may be off.
        #[serde(serialize_with = "serialize_duration")]
        max_skew: Duration,
        /// The credentials.
        signature: Vec<SignatureCredential>,
    },
}

/// User and password of HTTP Basic.
#[derive(Debug, Clone, Serialize)]
pub struct BasicCredential {
    /// The user, without a colon.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// The two words of ESPF's custom method: `Authorization: <scheme> <value>`.
#[derive(Debug, Clone, Serialize)]
pub struct CustomCredential {
    /// The first word, in any case.
    pub scheme: String,
    /// The rest.
    pub value: Secret,
}

/// A key of ESPF's signature method.
#[derive(Debug, Clone, Serialize)]
pub struct SignatureCredential {
    /// `keyId` of the header.
    pub key_id: String,
    /// The shared secret.
    pub secret: Secret,
}
