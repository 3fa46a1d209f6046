//! `[connector.NAME]`: external systems.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;

use super::super::reader::{Section, Value};
use super::super::units::format_duration;
use super::super::{
    CallbackSettings, ConnectorSettings, HeaderText, HttpConnectorSettings, Secret, defaults,
};
use super::{HOUR, MIB, MILLISECOND, need_url};
use crate::breaker::BreakerSettings;

/// By name; none for one that is there and wrong, so that a handler that names it isn't wrong too.
///
/// `attempt` is how long an attempt may take in all.
pub(super) fn all(root: &Section<'_>, attempt: Duration) -> BTreeMap<String, Option<ConnectorSettings>> {
    let Some(value) = root.get("connector") else { return BTreeMap::new() };
    if value.value.is_array() {
        root.problem(value.at, "[[connector]] is a list", "write [connector.NAME]");
        return BTreeMap::new();
    }
    let Some(sections) = root.section_of("[connector]", "connector", value) else { return BTreeMap::new() };
    sections
        .entries()
        .map(|(name, _, value)| {
            let section = sections.section_of(&format!("[connector.{name}]"), name, value);
            (name.to_owned(), section.and_then(|section| one(&section, attempt)))
        })
        .collect()
}

fn one(section: &Section<'_>, attempt: Duration) -> Option<ConnectorSettings> {
    let kind =
        section.need("type", "\"http\"").and_then(|value| section.choice_of("type", value, &[("http", ())]));
    let settings = http(section);
    if let Some(settings) = &settings {
        within(section, settings.timeout, attempt);
    }
    section.finish();
    kind.and(settings).map(ConnectorSettings::Http)
}

/// An attempt that is broken off from outside knows neither what was sent nor whether an answer was on its way.
fn within(section: &Section<'_>, timeout: Duration, attempt: Duration) {
    if timeout < attempt {
        return;
    }
    let at = section.get("timeout").map_or(section.at, |value| value.at);
    let (timeout, attempt) = (format_duration(timeout), format_duration(attempt));
    let what =
        format!("`timeout` in {} ({timeout}) isn't shorter than `attempt_timeout` ({attempt})", section.name);
    let remedy =
        "make it shorter, or `attempt_timeout` in [dispatch] longer: an attempt also asks PortaBilling";
    section.problem(at, what, remedy);
}

fn http(section: &Section<'_>) -> Option<HttpConnectorSettings> {
    let url = need_url(section, "url", "\"https://connector.example.com/process-event\"");
    let complete = url.is_some();
    // Without it, the rest is looked at all the same, and then thrown away.
    let default = HttpConnectorSettings::new(url.or_else(|| Url::parse("http://missing.invalid").ok())?);
    let retry_after_limit = default.retry_after_limit;
    let settings = HttpConnectorSettings {
        bearer: section.get("bearer").and_then(|value| bearer(section, value)),
        connect_timeout: section.duration("connect_timeout", default.connect_timeout, MILLISECOND..=HOUR),
        timeout: section.duration("timeout", default.timeout, MILLISECOND..=HOUR),
        max_in_flight: section.count("max_in_flight", default.max_in_flight, 1..=10_000),
        answer_limit: section.size("answer_limit", default.answer_limit, 1024..=64 * MIB),
        keep_limit: section.size("keep_limit", default.keep_limit, 0..=MIB),
        retry_after_limit: section.duration(
            "retry_after_limit",
            retry_after_limit,
            Duration::ZERO..=24 * HOUR,
        ),
        per_second: section.count("per_second", default.per_second, 0..=100_000),
        final_codes: final_codes(section, default.final_codes),
        breaker: breaker(section),
        callback: section.section("callback").map(|section| callback(&section)),
        ca_file: section.certificates("ca_file"),
        danger_accept_invalid_certs: section.flag("danger_accept_invalid_certs", false),
        headers: headers(section),
        url: default.url,
    };
    complete.then_some(settings)
}

/// `breaker` of a section.
pub(super) fn breaker(owner: &Section<'_>) -> BreakerSettings {
    let default = BreakerSettings::default();
    let Some(section) = owner.section("breaker") else { return default };
    let failures = section.count("failures", default.failures.into(), 0..=1_000_000);
    let breaker = BreakerSettings {
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        first: section.duration("first", default.first, MILLISECOND..=24 * HOUR),
        longest: section.duration("longest", default.longest, MILLISECOND..=24 * HOUR),
        probe: section.duration("probe", default.probe, MILLISECOND..=24 * HOUR),
        slow_start: section.duration("slow_start", default.slow_start, Duration::ZERO..=24 * HOUR),
    };
    section.finish();
    breaker
}

fn callback(section: &Section<'_>) -> CallbackSettings {
    let codes = match section.get("codes") {
        None => defaults::CALLBACK_CODES.to_vec(),
        Some(value) => {
            let codes = section.list_of("codes", value).into_iter();
            codes.filter_map(|value| section.count_of("codes", value, 200..=299)?.try_into().ok()).collect()
        }
    };
    let deadline = section.duration("deadline", defaults::CALLBACK_DEADLINE, MILLISECOND..=31 * 24 * HOUR);
    section.finish();
    CallbackSettings { codes, deadline }
}

fn bearer<'a>(section: &Section<'a>, value: Value<'a>) -> Option<Secret> {
    let secret = section.secret_of("bearer", value)?;
    if !secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("`bearer` in {} holds what can't be sent in a header", section.name);
        section.problem(
            value.at,
            what,
            "a token has visible ASCII only; look for a space or a second line in it",
        );
        return None;
    }
    Some(secret)
}

fn final_codes(section: &Section<'_>, default: Vec<u16>) -> Vec<u16> {
    let Some(value) = section.get("final") else { return default };
    let codes = section.list_of("final", value).into_iter();
    codes.filter_map(|value| section.count_of("final", value, 400..=599)?.try_into().ok()).collect()
}

fn headers(section: &Section<'_>) -> BTreeMap<String, HeaderText> {
    let Some(headers) = section.section("headers") else { return BTreeMap::new() };
    headers.entries().filter_map(|(name, at, value)| header(&headers, name, at, value)).collect()
}

fn header<'a>(
    headers: &Section<'a>,
    name: &str,
    at: usize,
    value: Value<'a>,
) -> Option<(String, HeaderText)> {
    const OURS: [&str; 8] = [
        "authorization",
        "content-type",
        "content-length",
        "host",
        "transfer-encoding",
        "x-b3-traceid",
        "x-callback-url",
        "x-request-id",
    ];
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) {
        let what = format!("{} sets `{name}`, which the gateway sets itself", headers.name);
        let remedy = if lower == "authorization" { "use `bearer`" } else { "remove it" };
        headers.problem(at, what, remedy);
        return None;
    }
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        headers.problem(at, format!("`{name}` is not a header's name"), "write it like \"X-Tenant\"");
        return None;
    }
    let text = match value.value.is_table() {
        true => HeaderText::Secret(headers.secret_of(name, value)?),
        false => HeaderText::Plain(headers.text_of(name, value)?.to_owned()),
    };
    if http::HeaderValue::from_str(text.expose()).is_err() {
        let what = format!("the value of `{name}` in {} can't be sent in a header", headers.name);
        headers.problem(value.at, what, "use visible ASCII on one line");
        return None;
    }
    Some((name.to_owned(), text))
}
