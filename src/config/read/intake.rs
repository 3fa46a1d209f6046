//! `[[intake]]`: where events come in, and who may send them.

use std::time::Duration;

use super::super::reader::{Section, Value};
use super::super::{
    BasicCredential, CustomCredential, IntakeAuth, IntakeSettings, Secret, SignatureCredential, defaults,
};
use super::{HOUR, name, tables};

const AUTH: &str = "{ basic = [{ user = \"espf\", password = { env = \"ESPF_PASSWORD\" } }] }";

pub(super) fn all(root: &Section<'_>) -> Vec<IntakeSettings> {
    let sections = tables(root, "intake");
    if root.get("intake").is_none() {
        root.problem(0, "there is no [[intake]], so no event can come in", "add one, with `name` and `auth`");
    }
    let (mut names, mut paths) = (Vec::new(), Vec::new());
    sections.into_iter().filter_map(|mut section| one(&mut section, &mut names, &mut paths)).collect()
}

fn one(
    section: &mut Section<'_>,
    names: &mut Vec<String>,
    paths: &mut Vec<String>,
) -> Option<IntakeSettings> {
    let name = name(section, names, "\"default\"");
    let path = path(section, name.as_deref(), paths);
    let unauthorized = unauthorized(section);
    let auth = section
        .need("auth", AUTH)
        .and_then(|value| section.section_of(&format!("{} auth", section.name), "auth", value))
        .and_then(|section| auth(&section));
    section.finish();
    Some(IntakeSettings { name: name?, path: path?, unauthorized: unauthorized?, auth: auth? })
}

fn path(section: &Section<'_>, name: Option<&str>, paths: &mut Vec<String>) -> Option<String> {
    let (at, path) = match section.get("path") {
        Some(value) => (value.at, section.text_of("path", value)?.to_owned()),
        None if name? == "default" => (section.at, "/espf".to_owned()),
        None => (section.at, format!("/espf/{}", name?)),
    };
    let plain = path.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#'));
    if !path.starts_with('/') || !plain || path.len() > 1 && path.ends_with('/') {
        let what = format!("`path` in {} is not a path: \"{path}\"", section.name);
        section.problem(at, what, "write it like \"/espf\": a slash first, none last, no `?`, `#` or space");
        return None;
    }
    if paths.contains(&path) {
        section.problem(
            at,
            format!("{} has the path of another: {path}", section.name),
            "give it another `path`",
        );
    }
    paths.push(path.clone());
    Some(path)
}

fn unauthorized(section: &Section<'_>) -> Option<u16> {
    let Some(value) = section.get("unauthorized") else { return Some(401) };
    match section.count_of("unauthorized", value, 401..=503)? {
        401 => Some(401),
        503 => Some(503),
        other => {
            let what = format!("`unauthorized` in {} is {other}", section.name);
            section.problem(value.at, what, "write 401 (ESPF drops the event) or 503 (ESPF sends it again)");
            None
        }
    }
}

fn auth(section: &Section<'_>) -> Option<IntakeAuth> {
    let methods = ["basic", "custom", "signature"].map(|key| (key, section.get(key)));
    let mut present = methods.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let (Some((key, value)), None) = (present.next(), present.next()) else {
        let what = format!("{} needs exactly one of `basic`, `custom` and `signature`", section.name);
        section.problem(section.at, what, format!("write auth = {AUTH}"));
        return None;
    };
    let auth = match key {
        "basic" => credentials(section, key, value, basic).map(|basic| IntakeAuth::Basic { basic }),
        "custom" => {
            let header = header(section);
            let custom = credentials(section, key, value, custom);
            custom.zip(header).map(|(custom, header)| IntakeAuth::Custom { header, custom })
        }
        _ => {
            let range = Duration::from_secs(1)..=24 * HOUR;
            let max_skew = section.duration("max_skew", defaults::MAX_SKEW, range);
            let signature = credentials(section, key, value, signature);
            signature.map(|signature| IntakeAuth::Signature { max_skew, signature })
        }
    };
    section.finish();
    auth
}

fn header(section: &Section<'_>) -> Option<String> {
    let Some(value) = section.get("header") else { return Some(defaults::CUSTOM_HEADER.to_owned()) };
    let header = section.text_of("header", value)?;
    if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
        let what = format!("`header` in {} is not a header's name: \"{header}\"", section.name);
        section.problem(value.at, what, "write it like \"X-Auth\"");
        return None;
    }
    Some(header.to_owned())
}

/// One credential, or two while they are being changed.
fn credentials<'a, T>(
    section: &Section<'a>,
    key: &'static str,
    value: Value<'a>,
    read: fn(&Section<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let list = section.list_of(key, value);
    if value.value.is_array() && !(1..=2).contains(&list.len()) {
        let what = format!("`{key}` in {} has {} credentials", section.name, list.len());
        section.problem(value.at, what, "give one, or two while they are being changed");
    }
    let name = format!("{} {key}", section.name);
    let read_one = |value| {
        let section = section.section_of(&name, key, value)?;
        let credential = read(&section);
        section.finish();
        credential
    };
    // All are read before the first that is wrong ends it, so that every mistake is named.
    let credentials: Vec<Option<T>> = list.into_iter().map(read_one).collect();
    credentials.into_iter().collect()
}

fn basic(section: &Section<'_>) -> Option<BasicCredential> {
    let user = section.need("user", "\"espf\"");
    let password = secret(section, "password");
    let value = user?;
    let user = section.text_of("user", value)?;
    if user.contains(':') {
        section.problem(
            value.at,
            format!("`user` in {} holds a colon", section.name),
            "HTTP Basic has no room for it",
        );
        return None;
    }
    Some(BasicCredential { user: user.to_owned(), password: password? })
}

fn custom(section: &Section<'_>) -> Option<CustomCredential> {
    let scheme = section.need_text("scheme", "\"Token\"");
    let value = secret(section, "value");
    Some(CustomCredential { scheme: scheme?, value: value? })
}

fn signature(section: &Section<'_>) -> Option<SignatureCredential> {
    let key_id = section.need_text("key_id", "\"espf\"");
    let secret = secret(section, "secret");
    Some(SignatureCredential { key_id: key_id?, secret: secret? })
}

fn secret(section: &Section<'_>, key: &'static str) -> Option<Secret> {
    section.need(key, "{ env = \"ESPF_PASSWORD\" }").and_then(|value| section.secret_of(key, value))
}
