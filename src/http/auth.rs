//! Who may post events: ESPF's three methods, each with one or two credentials so that they can be changed.
//!
//! Comparisons take the same time whatever differs, and all credentials are compared. What is expected is kept as a digest,
//! so that not even its length shows, nor is it in memory in clear.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, DATE};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::config::IntakeAuth;

/// Some senders leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request's credentials are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Allowed,
    /// They are wrong or missing; why, without repeating them.
    Denied(&'static str),
    /// They are right, but of another time: one of the two clocks is off, and it may be ours.
    ClockOff,
}

/// Judges the credentials of one source.
pub struct Authenticator {
    method: Method,
}

enum Method {
    Basic { expected: Vec<Digest> },
    Custom { header: HeaderName, expected: Vec<(String, Digest)> },
    Signature { max_skew: Duration, keys: Vec<(String, hmac::Key)> },
}

/// Digests aren't shown either: a weak password can be found from one.
impl fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.method {
            Method::Basic { .. } => "Authenticator(basic)",
            Method::Custom { .. } => "Authenticator(custom)",
            Method::Signature { .. } => "Authenticator(signature)",
        })
    }
}

impl Authenticator {
    /// Takes the credentials of a configuration that was checked.
    pub fn new(auth: &IntakeAuth) -> Self {
        let method = match auth {
            IntakeAuth::Basic { basic } => {
                let pair = |user: &str, password: &str| sha256(format!("{user}:{password}").as_bytes());
                let expected =
                    basic.iter().map(|credential| pair(&credential.user, credential.password.expose()));
                Method::Basic { expected: expected.collect() }
            }
            IntakeAuth::Custom { header, custom } => {
                let expected = custom.iter().map(|credential| {
                    (credential.scheme.clone(), sha256(credential.value.expose().trim().as_bytes()))
                });
                let header = HeaderName::from_bytes(header.as_bytes()).unwrap_or(AUTHORIZATION);
                Method::Custom { header, expected: expected.collect() }
            }
            IntakeAuth::Signature { max_skew, signature } => {
                let keys = signature.iter().map(|credential| {
                    let secret = credential.secret.expose().as_bytes();
                    (credential.key_id.clone(), hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret))
                });
                Method::Signature { max_skew: *max_skew, keys: keys.collect() }
            }
        };
        Self { method }
    }

    /// What these headers are worth at `now`.
    pub fn judge(&self, headers: &HeaderMap, now: Timestamp) -> Verdict {
        match &self.method {
            Method::Basic { expected } => judge_basic(expected, headers),
            Method::Custom { header, expected } => judge_custom(header, expected, headers),
            Method::Signature { max_skew, keys } => judge_signature(*max_skew, keys, headers, now),
        }
    }
}

fn judge_basic(expected: &[Digest], headers: &HeaderMap) -> Verdict {
    let Some((scheme, rest)) = two_words(headers, &AUTHORIZATION) else {
        return Verdict::Denied("no credentials");
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Verdict::Denied("not HTTP Basic");
    }
    let Ok(pair) = BASE64.decode(rest) else {
        return Verdict::Denied("HTTP Basic that isn't base64");
    };
    // Without a colon it equals nothing, since what is expected has one.
    verdict(any(expected, |expected| same(expected, &sha256(&pair))))
}

fn judge_custom(header: &HeaderName, expected: &[(String, Digest)], headers: &HeaderMap) -> Verdict {
    let Some((scheme, value)) = two_words(headers, header) else {
        return Verdict::Denied("no credentials");
    };
    let value = sha256(value.as_bytes());
    verdict(any(expected, |(name, expected)| same(expected, &value) & name.eq_ignore_ascii_case(scheme)))
}

/// ESPF: an HMAC-SHA1 over the `Date` header. Whether over its value alone or over `date: <value>`, and whether as hex or
/// base64, isn't documented, so each is taken.
fn judge_signature(
    max_skew: Duration,
    keys: &[(String, hmac::Key)],
    headers: &HeaderMap,
    now: Timestamp,
) -> Verdict {
    let Some((scheme, parameters)) = two_words(headers, &AUTHORIZATION) else {
        return Verdict::Denied("no credentials");
    };
    if !scheme.eq_ignore_ascii_case("signature") {
        return Verdict::Denied("not a signature");
    }
    let Some(date) = headers.get(DATE).and_then(|value| value.to_str().ok()) else {
        return Verdict::Denied("a signature without a Date header");
    };
    let parameter = |name| parameter(parameters, name);
    if parameter("algorithm").is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case("hmac-sha1")) {
        return Verdict::Denied("a signature that isn't hmac-sha1");
    }
    let (Some(key_id), Some(tag)) = (parameter("keyId"), parameter("signature").and_then(decode_tag)) else {
        return Verdict::Denied("a signature without keyId or signature");
    };
    let draft = format!("date: {date}");
    let right = any(keys, |(name, key)| {
        let plain = hmac::verify(key, date.as_bytes(), &tag).is_ok();
        (plain | hmac::verify(key, draft.as_bytes(), &tag).is_ok()) & (name == key_id)
    });
    match right {
        false => Verdict::Denied("a wrong signature"),
        true if is_near(date, now, max_skew) => Verdict::Allowed,
        true => Verdict::ClockOff,
    }
}

fn verdict(right: bool) -> Verdict {
    if right { Verdict::Allowed } else { Verdict::Denied("wrong credentials") }
}

/// Whether any is right; all are looked at, so that the time tells nothing.
fn any<T>(items: &[T], is_right: impl Fn(&T) -> bool) -> bool {
    items.iter().fold(false, |found, item| found | is_right(item))
}

fn sha256(bytes: &[u8]) -> Digest {
    digest(&SHA256, bytes)
}

fn same(left: &Digest, right: &Digest) -> bool {
    constant_time::verify_slices_are_equal(left.as_ref(), right.as_ref()).is_ok()
}

/// `<scheme> <rest>`, with any number of spaces between.
fn two_words<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<(&'h str, &'h str)> {
    // Not `to_str`: a custom value may hold more than ASCII.
    let text = std::str::from_utf8(headers.get(name)?.as_bytes()).ok()?.trim();
    let (scheme, rest) = text.split_once(' ')?;
    Some((scheme, rest.trim_start()))
}

/// The value of `name="value"` in a list with commas; quotation marks may be missing.
fn parameter<'p>(parameters: &'p str, name: &str) -> Option<&'p str> {
    parameters.split(',').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// The 20 bytes of an HMAC-SHA1, from 40 hex digits or from base64.
fn decode_tag(text: &str) -> Option<Vec<u8>> {
    const LENGTH: usize = 20;
    let tag = match text.len() {
        40 => (0..LENGTH)
            .map(|at| text.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<Vec<u8>>>()?,
        _ => BASE64.decode(text).ok()?,
    };
    (tag.len() == LENGTH).then_some(tag)
}

/// Whether an HTTP date is near enough. One that can't be read isn't, and then the signature is right all the same: that is
/// for the operator to look at, not a reason to lose the event.
fn is_near(date: &str, now: Timestamp, max_skew: Duration) -> bool {
    static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(date.trim()).is_ok_and(|date| now.duration_since(date).unsigned_abs() <= max_skew)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BasicCredential, CustomCredential, Secret, SignatureCredential};

    const DATE_TEXT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn now() -> Timestamp {
        "1994-11-06T08:50:00Z".parse().unwrap()
    }

    fn basic() -> Authenticator {
        let credential =
            |user: &str, password| BasicCredential { user: user.into(), password: Secret::new(password) };
        Authenticator::new(&IntakeAuth::Basic { basic: vec![credential("a", "old:1"), credential("b", "")] })
    }

    fn judge_basic(text: &str) -> Verdict {
        basic().judge(&headers(&[("authorization", text)]), now())
    }

    #[test]
    fn basic_takes_either_credential_and_any_case_of_the_scheme() {
        for text in ["Basic YTpvbGQ6MQ==", "basic  YTpvbGQ6MQ", "BASIC Yjo="] {
            assert_eq!(judge_basic(text), Verdict::Allowed, "{text}");
        }
    }

    #[test]
    fn basic_denies_without_falling_over() {
        // The third is the sample of a PortaOne guide: `user p@ssw0rd`, without a colon.
        for text in
            ["", "Basic", "Basic dXNlciBwQHNzdzByZA==", "Basic %%%", "Basic ", "Bearer x", "Basic YTpiOg=="]
        {
            assert!(matches!(judge_basic(text), Verdict::Denied(_)), "{text}");
        }
        assert!(matches!(basic().judge(&HeaderMap::new(), now()), Verdict::Denied(_)));
    }

    #[test]
    fn custom_takes_two_words_in_the_header_of_the_configuration() {
        let custom = vec![CustomCredential { scheme: "Token".into(), value: Secret::new("a b") }];
        let auth = Authenticator::new(&IntakeAuth::Custom { header: "X-Auth".into(), custom });
        assert_eq!(auth.judge(&headers(&[("x-auth", "token a b")]), now()), Verdict::Allowed);
        for pair in
            [("x-auth", "Token a"), ("x-auth", "Other a b"), ("x-auth", "a"), ("authorization", "Token a b")]
        {
            assert!(matches!(auth.judge(&headers(&[pair]), now()), Verdict::Denied(_)), "{pair:?}");
        }
    }

    fn sign(secret: &str, text: &str) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn judge_signature(key_id: &str, signature: &str, date: &str, now: &str) -> Verdict {
        let credential =
            |key_id: &str, secret| SignatureCredential { key_id: key_id.into(), secret: Secret::new(secret) };
        let signatures = vec![credential("k1", "one"), credential("k2", "two")];
        let auth = IntakeAuth::Signature { max_skew: Duration::from_secs(300), signature: signatures };
        let value = format!(r#"Signature keyId="{key_id}",algorithm="hmac-sha1",signature="{signature}""#);
        Authenticator::new(&auth)
            .judge(&headers(&[("authorization", &value), ("date", date)]), now.parse().unwrap())
    }

    #[test]
    fn nothing_of_a_credential_is_printed() {
        assert_eq!(format!("{:?}", basic()), "Authenticator(basic)");
    }

    #[test]
    fn hmac_sha1_is_the_one_of_rfc_2202() {
        let tag = sign("Jefe", "what do ya want for nothing?");
        assert_eq!(hex(&tag), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    }

    #[test]
    fn a_signature_is_taken_in_all_four_forms() {
        for text in [DATE_TEXT.to_owned(), format!("date: {DATE_TEXT}")] {
            let tag = sign("two", &text);
            for signature in [hex(&tag), hex(&tag).to_uppercase(), BASE64.encode(&tag)] {
                let verdict = judge_signature("k2", &signature, DATE_TEXT, "1994-11-06T08:50:00Z");
                assert_eq!(verdict, Verdict::Allowed, "{signature}");
            }
        }
    }

    #[test]
    fn a_signature_of_another_key_or_date_is_denied() {
        let now = "1994-11-06T08:50:00Z";
        let right = hex(&sign("two", DATE_TEXT));
        for (key_id, signature, date) in [
            ("k1", right.as_str(), DATE_TEXT),
            ("k3", &right, DATE_TEXT),
            ("k2", &right, "Sun, 06 Nov 1994 08:49:38 GMT"),
            ("k2", &right[2..], DATE_TEXT),
            ("k2", "éééééééééééééééééééé", DATE_TEXT),
        ] {
            let verdict = judge_signature(key_id, signature, date, now);
            assert!(matches!(verdict, Verdict::Denied(_)), "{key_id} {signature} {date}");
        }
    }

    #[test]
    fn a_right_signature_of_another_time_is_not_denied() {
        let signature = hex(&sign("one", DATE_TEXT));
        for now in ["1994-11-06T09:00:00Z", "1994-11-06T08:40:00Z"] {
            assert_eq!(judge_signature("k1", &signature, DATE_TEXT, now), Verdict::ClockOff);
        }
        let signature = hex(&sign("one", "yesterday"));
        assert_eq!(judge_signature("k1", &signature, "yesterday", "1994-11-06T08:50:00Z"), Verdict::ClockOff);
    }
}
