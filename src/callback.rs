//! Callbacks: an external system that finishes later says so at an address that only it was told, once.
//!
//! The address ends in a token: the delivery and the claim that it was attempted under, signed. So it can't be guessed, needs
//! no table, works on every gateway that knows the secret, and works once: settling ends the wait, and a later attempt has
//! another claim.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use uuid::Uuid;

use crate::delivery::{DeliveryId, Failure, Outcome};

/// What a token names: 16 bytes of the delivery's id, 4 of the claim.
const NAMED: usize = 20;

/// Makes and reads tokens.
pub struct Tokens(hmac::Key);

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Whose.
    pub delivery: DeliveryId,
    /// The claim under which it was attempted.
    pub claim: u32,
}

impl Tokens {
    /// Tokens signed with `secret`, by HMAC-SHA256. A gateway with another secret doesn't know them.
    pub fn new(secret: &SecretString) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()))
    }

    /// The token of an attempt, to be put into a URL: letters, digits, `-` and `_`.
    pub fn write(&self, token: Token) -> String {
        let mut bytes = Vec::with_capacity(NAMED + 32);
        bytes.extend_from_slice(token.delivery.0.as_bytes());
        bytes.extend_from_slice(&token.claim.to_be_bytes());
        let signature = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(signature.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a token stands for; none if it isn't one of ours. The signature is compared in constant time.
    pub fn read(&self, text: &str) -> Option<Token> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (named, signature) = bytes.split_at_checked(NAMED)?;
        hmac::verify(&self.0, named, signature).ok()?;
        let (delivery, claim) = named.split_at_checked(16)?;
        Some(Token {
            delivery: DeliveryId(Uuid::from_slice(delivery).ok()?),
            claim: u32::from_be_bytes(claim.try_into().ok()?),
        })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tokens(***)")
    }
}

/// What is called back: JSON, `{"success": true}` or `{"success": false, "message": "…"}`; `status` with a word will do, too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Said {
    /// Whether it worked.
    #[serde(default)]
    pub success: Option<bool>,
    /// The same in a word: `ok`, `success`, `done`, `processed`, `delivered`, `completed`, or `failed`, `failure`, `error`.
    #[serde(default)]
    pub status: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub message: Option<String>,
    /// The same, as the connector contract calls it.
    #[serde(default)]
    pub error: Option<String>,
    /// Whether trying again makes no sense.
    #[serde(default, rename = "final")]
    pub is_final: bool,
}

impl Said {
    /// What came of the attempt; none if it isn't said.
    pub fn outcome(&self) -> Option<Outcome> {
        let worked = self.success.or_else(|| self.status.as_deref().and_then(worked))?;
        if worked {
            return Some(Outcome::Delivered);
        }
        let said = self.message.as_deref().or(self.error.as_deref()).unwrap_or("it didn't say why");
        let reason = format!("the external system called back that it failed: {said}");
        Some(match self.is_final {
            true => Outcome::Refused { reason },
            false => Outcome::Retry { class: Failure::Callback, reason, after: None },
        })
    }
}

fn worked(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "ok" | "success" | "succeeded" | "done" | "processed" | "delivered" | "completed" => Some(true),
        "failed" | "failure" | "fail" | "error" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&SecretString::from(secret))
    }

    const TOKEN: Token = Token { delivery: DeliveryId(Uuid::from_u128(77)), claim: 3 };

    #[test]
    fn a_token_is_read_by_whoever_knows_the_secret_and_by_nobody_else() {
        let written = tokens("a").write(TOKEN);
        assert!(
            written.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "{written}"
        );
        assert_eq!(tokens("a").read(&written), Some(TOKEN));
        assert_eq!(tokens("b").read(&written), None);
        assert_ne!(tokens("a").write(Token { claim: 4, ..TOKEN }), written);
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_none() {
        let written = tokens("a").write(TOKEN);
        for at in 0..written.len() {
            let mut changed = written.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(tokens("a").read(&changed), None, "{at}");
            assert_eq!(tokens("a").read(&written[..at]), None, "{at}");
        }
        for text in ["", "A", "AAAA", "not base64!"] {
            assert_eq!(tokens("a").read(text), None, "{text}");
        }
    }

    #[test]
    fn success_and_failure_are_understood_in_several_ways() {
        let said = |json: &str| serde_json::from_str::<Said>(json).expect("JSON").outcome();
        for json in [r#"{"success":true}"#, r#"{"status":"OK"}"#, r#"{"status":"processed","message":"x"}"#] {
            assert_eq!(said(json), Some(Outcome::Delivered), "{json}");
        }
        let failed = said(r#"{"success":false,"message":"no such SIM"}"#);
        assert!(matches!(failed, Some(Outcome::Retry { class: Failure::Callback, reason, .. })
            if reason.ends_with("no such SIM")));
        let refused = said(r#"{"status":"FAILED","error":"no","final":true}"#);
        assert!(matches!(refused, Some(Outcome::Refused { .. })));
        for json in ["{}", r#"{"status":"perhaps"}"#] {
            assert_eq!(said(json), None, "{json}");
        }
    }
}
