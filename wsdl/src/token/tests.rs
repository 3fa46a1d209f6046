//! A set of good and forged tokens; the keys are made anew each time.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

struct Key(RsaKeyPair);

impl Key {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().expect("DER");
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))
    }

    fn jwk(&self, id: &str) -> Value {
        let public = self.0.public_key();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "RSA", "kid": id,
            "n": text(public.modulus().big_endian_without_leading_zero()),
            "e": text(public.exponent().big_endian_without_leading_zero()),
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let signed = unsigned(r#"{"alg":"RS256"}"#, claims);
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn unsigned(head: &str, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn claims() -> Value {
    json!({
        "exp": NOW + 900, "iat": NOW, "i_user": 440, "i_env": "41", "login": "demo", "jti": "0123",
        "scopes": "espf.api:write espf.handlers:write", "realm": "admin",
        "aud": ["portabilling-api", "espf-api"], "is_super_user": 0,
    })
}

#[test]
fn a_valid_token_says_what_it_says() {
    let key = Key::new();
    let token = key.sign(&claims());
    let verifier = Verifier::from_pem(key.pem().as_bytes()).expect("a key").audience("espf-api");
    let read = verifier.verify(&token, NOW).expect("valid");
    assert_eq!(read, Claims::decode(&token).expect("readable"));
    assert_eq!((read.i_user, read.i_env, read.i_account), (Some(440), Some(41), None));
    assert_eq!(read.session_id.as_deref(), Some("0123"));
    assert_eq!(read.lifetime(), Some(Duration::from_secs(900)));
    assert!(read.has_scope("espf.api:write") && !read.has_scope("espf.api"));
    assert!(!read.is_super_user);
}

#[test]
fn a_token_ends_with_a_leeway() {
    let key = Key::new();
    let token = key.sign(&claims());
    let verifier = Verifier::from_pem(key.pem().as_bytes()).expect("a key").leeway(Duration::from_secs(5));
    assert!(verifier.verify(&token, NOW + 904).is_ok());
    assert_eq!(verifier.verify(&token, NOW + 905), Err(TokenError::Expired));
    let mut endless = claims();
    endless.as_object_mut().expect("an object").remove("exp");
    assert_eq!(verifier.verify(&key.sign(&endless), NOW), Err(TokenError::Expired));
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    let key = Key::new();
    let verifier = Verifier::from_pem(key.pem().as_bytes()).expect("a key").audience("portasip-api");
    assert_eq!(verifier.verify(&key.sign(&claims()), NOW), Err(TokenError::Audience));
    let mut one = claims();
    one["aud"] = json!("portasip-api");
    assert!(verifier.verify(&key.sign(&one), NOW).is_ok());
}

#[test]
fn forged_tokens_are_refused() {
    let key = Key::new();
    let verifier = Verifier::from_pem(key.pem().as_bytes()).expect("a key");
    let token = key.sign(&claims());

    let none = format!("{}.", unsigned(r#"{"alg":"none"}"#, &claims()));
    let signed = unsigned(r#"{"alg":"HS256"}"#, &claims());
    let pem = hmac::Key::new(hmac::HMAC_SHA256, key.pem().as_bytes());
    let tag = hmac::sign(&pem, signed.as_bytes());
    let hs256 = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
    let other = Key::new().sign(&claims());
    let mut more = claims();
    more["is_super_user"] = json!(1);
    let (head, signature) =
        (token.split('.').next().expect("a head"), token.rsplit('.').next().expect("a signature"));
    let changed = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(more.to_string()));

    for forged in
        [&none, &hs256, &other, &changed, &token[..token.len() - 4], &token[..40], "", "a.b.c", ".."]
    {
        assert!(verifier.verify(forged, NOW).is_err(), "{forged}");
    }
    assert_eq!(verifier.verify(&hs256, NOW), Err(TokenError::Algorithm));
    assert_eq!(verifier.verify(&other, NOW), Err(TokenError::Signature));
}

#[test]
fn during_a_rotation_both_keys_are_good() {
    let (old, new) = (Key::new(), Key::new());
    let set = json!({ "keys": [old.jwk("1"), new.jwk("2"), { "kty": "oct", "k": "c2VjcmV0" }] });
    let by_set = Verifier::from_jwks(set.to_string().as_bytes()).expect("keys");
    let by_pem = Verifier::from_pem(old.pem().as_bytes()).expect("a key");
    let by_pem = by_pem.and(Verifier::from_pem(new.pem().as_bytes()).expect("a key"));
    for verifier in [by_set, by_pem] {
        for key in [&old, &new] {
            assert!(verifier.verify(&key.sign(&claims()), NOW).is_ok());
        }
        assert_eq!(verifier.verify(&Key::new().sign(&claims()), NOW), Err(TokenError::Signature));
    }
}

#[test]
fn what_is_no_key_is_said() {
    assert!(matches!(Verifier::from_pem(b"no"), Err(TokenError::Key(_))));
    for set in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#] {
        assert!(matches!(Verifier::from_jwks(set.as_bytes()), Err(TokenError::Key(_))), "{set}");
    }
}
