//! From TOML to the configuration, section by section. A wrong value is noted and reading goes on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use toml::de::DeTable;

use super::reader::{Reading, Section, Value, suggest};
use super::{
    AuthInfo, CallbackListening, Config, ConnectorSettings, Credential, Dispatch, Env, EspfAuth, Listen,
    Operating, PortaBillingSettings, PostgresPlace, Problem, Retention, Secret, SoapPath, StatusEncoding,
    StatusWriting, StoreSettings, Tls, Transport, defaults,
};

mod connector;
mod handler;
mod intake;
mod reconcile;

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MIB: u64 = 1 << 20;

/// Reads a whole configuration, or finds all its mistakes.
pub(super) fn config(text: &str, folder: &Path, env: Env<'_>) -> Result<Config, Vec<Problem>> {
    part(text, folder, env, root)
}

/// Only `[listen]`, whatever the rest is like.
pub(super) fn only_listen(text: &str, folder: &Path, env: Env<'_>) -> Result<Listen, Vec<Problem>> {
    part(text, folder, env, |reading, table| listen(&section(&whole(reading, table), "listen")))
}

/// Only `[store]`.
pub(super) fn only_store(text: &str, folder: &Path, env: Env<'_>) -> Result<StoreSettings, Vec<Problem>> {
    part(text, folder, env, |reading, table| store(&section(&whole(reading, table), "store")))
}

/// Only `[portabilling]`.
pub(super) fn only_portabilling(
    text: &str,
    folder: &Path,
    env: Env<'_>,
) -> Result<PortaBillingSettings, Vec<Problem>> {
    part(text, folder, env, |reading, table| needed_portabilling(&whole(reading, table)))
}

fn part<T>(
    text: &str,
    folder: &Path,
    env: Env<'_>,
    read: impl FnOnce(&Reading<'_>, &DeTable<'_>) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let reading = Reading::new(text, folder, env);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reading.problem(
            at,
            format!("not TOML: {}", error.message().replace('\n', " ")),
            "correct the syntax",
        );
    }
    // Behind a mistake in the syntax the rest may read as something else.
    let found = if errors.is_empty() { read(&reading, document.get_ref()) } else { None };
    let problems = reading.into_problems();
    match found {
        Some(found) if problems.is_empty() => Ok(found),
        _ => Err(problems),
    }
}

fn whole<'a>(reading: &'a Reading<'a>, table: &'a DeTable<'a>) -> Section<'a> {
    Section::new(reading, "the configuration", Some(table), 0)
}

fn needed_portabilling(root: &Section<'_>) -> Option<PortaBillingSettings> {
    if root.get("portabilling").is_none() {
        root.problem(0, "there is no [portabilling]", "add one, with `url`, `login` and `password`");
        return None;
    }
    portabilling(&section(root, "portabilling"))
}

pub(super) fn root(reading: &Reading<'_>, table: &DeTable<'_>) -> Option<Config> {
    let root = whole(reading, table);
    let listen = listen(&section(&root, "listen"));
    let operator = operator(&section(&root, "operator"));
    let store = store(&section(&root, "store"));
    let dispatch = dispatch(&section(&root, "dispatch"));
    let status = status(&section(&root, "status"));
    let callback = root.get("callback").map(|_| callback(&section(&root, "callback")));
    let retention = retention(&section(&root, "retention"));
    let reconcile = reconcile::all(&section(&root, "reconcile"));
    let portabilling = needed_portabilling(&root);
    let intakes = intake::all(&root);
    let connectors = connector::all(&root, dispatch.attempt_timeout);
    let names: Vec<&str> = connectors.keys().map(String::as_str).collect();
    let handlers = handler::all(&root, &names);
    if callback.is_none()
        && let Some(name) = calls_back(&connectors)
    {
        let what = format!("[connector.{name}] calls back, and there is no [callback]");
        root.problem(0, what, "add one, with `url` and `secret`");
    }
    root.finish();
    let connectors: BTreeMap<_, _> =
        connectors.into_iter().filter_map(|(name, settings)| Some((name, settings?))).collect();
    Some(Config {
        listen: listen?,
        operator,
        store: store?,
        dispatch,
        status,
        callback: match callback {
            Some(callback) => Some(callback?),
            None => None,
        },
        retention,
        reconcile,
        portabilling: portabilling?,
        intakes,
        connectors,
        handlers,
    })
}

/// The first that needs an address to call back.
fn calls_back(connectors: &BTreeMap<String, Option<ConnectorSettings>>) -> Option<&str> {
    let calls_back = |settings: &Option<ConnectorSettings>| matches!(settings, Some(ConnectorSettings::Http(settings)) if settings.callback.is_some());
    connectors.iter().find(|(_, settings)| calls_back(settings)).map(|(name, _)| name.as_str())
}

/// A section of the document; one that isn't there reads as empty.
fn section<'a>(root: &Section<'a>, key: &'static str) -> Section<'a> {
    let name = format!("[{key}]");
    root.get(key)
        .and_then(|value| root.section_of(&name, key, value))
        .unwrap_or_else(|| Section::new(root.reading, &name, None, 0))
}

fn listen(section: &Section<'_>) -> Option<Listen> {
    let default = Listen::default();
    let intake = address(section, "intake", default.intake);
    let operator = address(section, "operator", default.operator);
    if intake.is_some() && intake == operator && intake.is_some_and(|address| address.port() != 0) {
        let what = "`intake` and `operator` in [listen] are the same address";
        section.problem(section.at, what, "give one of them another port");
    }
    let second = Duration::from_secs(1);
    let listen = Listen {
        header_timeout: section.duration("header_timeout", default.header_timeout, MILLISECOND..=HOUR),
        body_timeout: section.duration("body_timeout", default.body_timeout, MILLISECOND..=HOUR),
        answer_timeout: section.duration("answer_timeout", default.answer_timeout, MILLISECOND..=HOUR),
        body_limit: section.size("body_limit", default.body_limit, 1024..=64 * MIB),
        // Hyper takes no less than 8 KiB.
        head_limit: section.size("head_limit", default.head_limit, 8 * 1024..=MIB),
        max_headers: section.count("max_headers", default.max_headers, 10..=10_000),
        max_connections: section.count("max_connections", default.max_connections, 1..=1_000_000),
        shutdown_grace: section.duration("shutdown_grace", default.shutdown_grace, MILLISECOND..=HOUR),
        retry_after: section.duration("retry_after", default.retry_after, second..=HOUR),
        intake: intake?,
        operator: operator?,
    };
    section.finish();
    Some(listen)
}

fn operator(section: &Section<'_>) -> Operating {
    let mut hosts = Vec::new();
    let listed = section.get("hosts").map(|value| section.list_of("hosts", value)).unwrap_or_default();
    for value in listed {
        let Some(name) = section.text_of("hosts", value) else { continue };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.bytes().all(plain) {
            hosts.push(name.to_ascii_lowercase());
        } else {
            let what = format!("`hosts` in {} has what isn't a name: \"{name}\"", section.name);
            section.problem(
                value.at,
                what,
                "write a machine's name, without a port: \"soapstone.example.com\"",
            );
        }
    }
    section.finish();
    Operating { hosts }
}

fn address(section: &Section<'_>, key: &'static str, default: SocketAddr) -> Option<SocketAddr> {
    let Some(value) = section.get(key) else { return Some(default) };
    let text = section.text_of(key, value)?;
    let address = text.parse().ok();
    if address.is_none() {
        let what = format!("`{key}` in {} is not an address: \"{text}\"", section.name);
        section.problem(value.at, what, format!("write an IP address with a port: \"{default}\""));
    }
    address
}

fn postgres(section: &Section<'_>) -> Option<PostgresPlace> {
    let url = section.need("url", "{ env = \"SOAPSTONE_DATABASE\" }");
    let url = url.and_then(|value| section.secret_of("url", value));
    let complete = url.is_some();
    let default = PostgresPlace::new(url.unwrap_or_else(|| Secret::new("")));
    let text = |key| section.get(key).and_then(|value| section.text_of(key, value)).map(str::to_owned);
    let schema = section.get("schema").and_then(|value| {
        let name = section.text_of("schema", value)?;
        let right = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.len() <= 40
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !right {
            let what = format!("\"{name}\" can't be a schema's name");
            section.problem(value.at, what, "use small letters, digits and `_`, 40 at most");
        }
        right.then(|| name.to_owned())
    });
    let settings = PostgresPlace {
        schema: schema.unwrap_or(default.schema),
        name: text("name"),
        ca_file: section.certificates("ca_file"),
        migrate: section.flag("migrate", default.migrate),
        connections: section.count("connections", default.connections, 2..=1000),
        batches: section.count("batches", default.batches, 1..=100),
        connect_timeout: section.duration("connect_timeout", default.connect_timeout, MILLISECOND..=HOUR),
        timeout: section.duration("timeout", default.timeout, MILLISECOND..=HOUR),
        tries: section.count("tries", default.tries, 1..=100),
        heartbeat: section.duration("heartbeat", default.heartbeat, MILLISECOND..=HOUR),
        lease: section.duration("lease", default.lease, MILLISECOND..=HOUR),
        url: default.url,
    };
    if settings.lease < settings.heartbeat * 2 {
        let what = format!("`lease` in {} is shorter than two heartbeats", section.name);
        section.problem(
            section.at,
            what,
            "one heartbeat that is late must not end it: make it three or more",
        );
    }
    section.finish();
    complete.then_some(settings)
}

fn store(section: &Section<'_>) -> Option<StoreSettings> {
    let postgres = section.section("postgres").map(|section| postgres(&section));
    let path = match section.get("path") {
        Some(value) => section.path_of("path", value),
        None => Some(section.folder().join(defaults::STORE_PATH)),
    };
    let default = StoreSettings::with_defaults(path.unwrap_or_default());
    let settings = StoreSettings {
        queue: section.count("queue", default.queue, 1..=1_000_000),
        batch_max: section.count("batch_max", default.batch_max, 1..=100_000),
        inbox_max: section.count("inbox_max", default.inbox_max, 1..=100_000),
        part_max: section.count("part_max", default.part_max, 1..=10_000),
        inbox_size: section.size("inbox_size", default.inbox_size, MIB..=1024 * MIB),
        patience: section.duration("patience", default.patience, MILLISECOND..=HOUR),
        readers: section.count("readers", default.readers, 1..=1000),
        busy_timeout: section.duration("busy_timeout", default.busy_timeout, Duration::ZERO..=HOUR),
        cache: section.size("cache", default.cache, MIB..=64 * 1024 * MIB),
        checkpoint_every: section.duration("checkpoint_every", default.checkpoint_every, MILLISECOND..=HOUR),
        log_limit: section.size("log_limit", default.log_limit, MIB..=64 * 1024 * MIB),
        samples: section.count("samples", default.samples, 0..=1_000_000),
        sample_limit: section.size("sample_limit", default.sample_limit, 0..=MIB),
        page_max: section.count("page_max", default.page_max, 1..=10_000),
        postgres: match postgres {
            Some(postgres) => Some(postgres?),
            None => None,
        },
        path: default.path,
    };
    section.finish();
    Some(settings)
}

fn dispatch(section: &Section<'_>) -> Dispatch {
    let default = Dispatch::default();
    let dispatch = Dispatch {
        max_in_flight: section.count("max_in_flight", default.max_in_flight, 1..=10_000),
        attempt_timeout: section.duration("attempt_timeout", default.attempt_timeout, MILLISECOND..=HOUR),
        tick: section.duration("tick", default.tick, MILLISECOND..=HOUR),
        drain: section.duration("drain", default.drain, Duration::ZERO..=HOUR),
        announce: section.flag("announce", default.announce),
    };
    section.finish();
    dispatch
}

fn callback(section: &Section<'_>) -> Option<CallbackListening> {
    let url = need_url(section, "url", "\"https://soapstone.example.com:8443\"");
    let secret = section
        .need("secret", "{ env = \"SOAPSTONE_CALLBACK_SECRET\" }")
        .and_then(|value| section.secret_of("secret", value).map(|secret| (secret, value)));
    let body_limit = section.size("body_limit", defaults::CALLBACK_BODY_LIMIT, 64..=MIB);
    let patience = section.duration("patience", defaults::CALLBACK_PATIENCE, Duration::ZERO..=HOUR);
    section.finish();
    let (secret, value) = secret?;
    if secret.expose().len() < CALLBACK_SECRET {
        let what = format!("`secret` in {} is too short to sign with", section.name);
        section.problem(
            value.at,
            what,
            format!("make one of {CALLBACK_SECRET} characters or more, at random"),
        );
    }
    Some(CallbackListening { url: url?, secret, body_limit, patience })
}

/// Shorter secrets can be guessed offline by whoever has seen one token.
const CALLBACK_SECRET: usize = 24;

fn retention(section: &Section<'_>) -> Retention {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let default = Retention::default();
    let retention = Retention {
        events: section.duration("events", default.events, HOUR..=3660 * DAY),
        bodies: section.duration("bodies", default.bodies, HOUR..=3660 * DAY),
        every: section.duration("every", default.every, MILLISECOND..=DAY),
        step: section.count("step", default.step, 1..=100_000),
        pause: section.duration("pause", default.pause, Duration::ZERO..=HOUR),
    };
    section.finish();
    retention
}

fn status(section: &Section<'_>) -> StatusWriting {
    let default = StatusWriting::default();
    let status = StatusWriting {
        max_in_flight: section.count("max_in_flight", default.max_in_flight, 1..=10_000),
        timeout: section.duration("timeout", default.timeout, MILLISECOND..=HOUR),
        drain: section.duration("drain", default.drain, Duration::ZERO..=HOUR),
        retry: handler::retry(section, default.retry),
    };
    section.finish();
    status
}

fn portabilling(section: &Section<'_>) -> Option<PortaBillingSettings> {
    let url = need_url(section, "url", "\"https://portabilling.example.com\"");
    let login = section.need_text("login", "\"soapstone\"");
    let credential = credential(section);
    let complete = url.is_some() && login.is_some() && credential.is_some();
    // Where one of the three is missing, the rest is looked at all the same, and then thrown away.
    let url = url.or_else(|| Url::parse("http://missing.invalid").ok())?;
    let credential = credential.unwrap_or(Credential::Password(Secret::new("")));
    let default = PortaBillingSettings::new(url, login.unwrap_or_default(), credential);
    let soap_path = [("modern", SoapPath::Modern), ("classic", SoapPath::Classic)];
    let transports = [("soap", Transport::Soap), ("json", Transport::Json)];
    let auth_info = [
        ("session_id", AuthInfo::SessionId),
        ("access_token", AuthInfo::AccessToken),
        ("inline", AuthInfo::Inline),
        ("bearer", AuthInfo::Bearer),
        ("cookie", AuthInfo::Cookie),
    ];
    let encodings = [("form", StatusEncoding::Form), ("json", StatusEncoding::Json)];
    let espf_auth = [("bearer", EspfAuth::Bearer), ("basic", EspfAuth::Basic)];
    let espf_url = section.get("espf_url").and_then(|value| section.url_of("espf_url", value));
    let (client_certificate, client_key) = client_certificate(section);
    let (min_tls, max_tls) = tls(section, &default);
    let settings = PortaBillingSettings {
        other_urls: urls(section, "other_urls"),
        espf_url,
        transport: section.choice("transport", default.transport, &transports),
        soap_path: section.choice("soap_path", default.soap_path, &soap_path),
        auth_info: section.choice("auth_info", default.auth_info, &auth_info),
        status_encoding: section.choice("status_encoding", default.status_encoding, &encodings),
        espf_auth: section.choice("espf_auth", default.espf_auth, &espf_auth),
        connect_timeout: section.duration("connect_timeout", default.connect_timeout, MILLISECOND..=HOUR),
        timeout: section.duration("timeout", default.timeout, MILLISECOND..=HOUR),
        max_in_flight: section.count("max_in_flight", default.max_in_flight, 1..=10_000),
        calls_per_second: section.count("calls_per_second", default.calls_per_second, 0..=100_000),
        breaker: connector::breaker(section),
        cache_ttl: section.duration("cache_ttl", default.cache_ttl, Duration::ZERO..=HOUR),
        answer_limit: section.size("answer_limit", default.answer_limit, 64 * 1024..=1024 * MIB),
        ca_file: section.certificates("ca_file"),
        client_certificate,
        client_key,
        min_tls,
        max_tls,
        danger_accept_invalid_certs: section.flag("danger_accept_invalid_certs", false),
        url: default.url,
        login: default.login,
        credential: default.credential,
    };
    section.finish();
    complete.then_some(settings)
}

/// Our own certificate and its key: both or neither.
fn client_certificate(section: &Section<'_>) -> (Option<PathBuf>, Option<Secret>) {
    let (file, key) = (section.get("client_certificate"), section.get("client_key"));
    let (present, missing) = match (file, key) {
        (Some(file), None) => (Some(file), "client_key"),
        (None, Some(key)) => (Some(key), "client_certificate"),
        _ => (None, ""),
    };
    if let Some(present) = present {
        let what = format!("{} lacks `{missing}`", section.name);
        section.problem(
            present.at,
            what,
            "a client certificate is of no use without its key, nor the key without it",
        );
    }
    let secret = key.and_then(|key| section.secret_of("client_key", key));
    // one that is protected by a password says so, and is no use to us
    let is_key = |secret: &Secret| {
        secret.expose().contains("PRIVATE KEY-----") && !secret.expose().contains("ENCRYPTED")
    };
    if let (Some(secret), Some(key)) = (&secret, key)
        && !is_key(secret)
    {
        let what = format!("`client_key` in {} holds no private key in PEM format", section.name);
        section.problem(key.at, what, "give one with -----BEGIN PRIVATE KEY----- in it, without a password");
    }
    (section.certificates("client_certificate"), secret)
}

/// The oldest and the newest TLS.
fn tls(section: &Section<'_>, default: &PortaBillingSettings) -> (Tls, Tls) {
    let versions = [("1.2", Tls::V1_2), ("1.3", Tls::V1_3)];
    let min = section.choice("min_tls", default.min_tls, &versions);
    let max = section.choice("max_tls", default.max_tls, &versions);
    if min > max
        && let Some(value) = section.get("min_tls").or_else(|| section.get("max_tls"))
    {
        let what = format!("`min_tls` in {} is above `max_tls`", section.name);
        section.problem(value.at, what, "allow one version at least");
    }
    (min, max)
}

fn credential(section: &Section<'_>) -> Option<Credential> {
    match (section.get("password"), section.get("token")) {
        (Some(value), None) => section.secret_of("password", value).map(Credential::Password),
        (None, Some(value)) => section.secret_of("token", value).map(Credential::Token),
        (Some(_), Some(value)) => {
            let what = format!("{} has both `password` and `token`", section.name);
            section.problem(value.at, what, "keep one of them");
            None
        }
        (None, None) => {
            let what = format!("{} lacks `password` (or `token`)", section.name);
            section.problem(section.at, what, "add password = { env = \"PORTABILLING_PASSWORD\" }");
            None
        }
    }
}

fn need_url(section: &Section<'_>, key: &'static str, example: &str) -> Option<Url> {
    section.need(key, example).and_then(|value| section.url_of(key, value))
}

/// The tables of `[[key]]`.
fn urls(section: &Section<'_>, key: &'static str) -> Vec<Url> {
    let list = section.get(key).map(|value| section.list_of(key, value)).unwrap_or_default();
    list.into_iter().filter_map(|value| section.url_of(key, value)).collect()
}

fn tables<'a>(root: &Section<'a>, key: &'static str) -> Vec<Section<'a>> {
    let name = format!("[[{key}]]");
    let value = root.get(key);
    let list = value.map(|value| match value.value.as_table() {
        // `[intake]` for `[[intake]]` is a slip that everybody makes.
        Some(_) => {
            root.problem(
                value.at,
                format!("[{key}] is a single table"),
                format!("write {name}: there may be several"),
            );
            Vec::new()
        }
        None => root.list_of(key, value),
    });
    list.unwrap_or_default().into_iter().filter_map(|value| root.section_of(&name, key, value)).collect()
}

/// The name of a table of `[[…]]`, told apart from those before it; the section's own name is then with it.
fn name(section: &mut Section<'_>, seen: &mut Vec<String>, example: &str) -> Option<String> {
    let value = section.need("name", example)?;
    let name = section.text_of("name", value)?.to_owned();
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        let what = format!("\"{name}\" isn't a name");
        section.problem(value.at, what, "use letters, digits, `-`, `_` and `.`");
        return None;
    }
    if seen.contains(&name) {
        section.problem(value.at, format!("two {} are named \"{name}\"", section.name), "rename one of them");
    }
    seen.push(name.clone());
    section.name = format!("{} \"{name}\"", section.name);
    Some(name)
}

/// A name that has to be one of `known`.
fn reference(section: &Section<'_>, key: &str, value: Value<'_>, known: &[&str]) -> Option<String> {
    let name = value.value.as_str().filter(|name| !name.is_empty())?.to_owned();
    if known.contains(&name.as_str()) {
        return Some(name);
    }
    let what = format!("{} names a {key} that isn't there: \"{name}\"", section.name);
    let remedy = match known {
        [] => format!("add a section [{key}.{name}]"),
        _ => suggest(&name, known),
    };
    section.problem(value.at, what, remedy);
    None
}
