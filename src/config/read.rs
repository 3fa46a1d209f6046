//! From TOML to the configuration, section by section. A wrong value is noted and reading goes on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::Url;
use toml::de::DeTable;

use super::reader::{Reading, Section, Value, suggest};
use super::{Config, Credential, EspfAuth, Listen, PortaBillingSettings, Problem, SoapPath, StatusEncoding};
use super::{StoreSettings, defaults};

mod connector;
mod handler;
mod intake;

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const MIB: u64 = 1 << 20;

/// Reads a whole configuration, or finds all its mistakes.
pub(super) fn config(
    text: &str,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Vec<Problem>> {
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
    let config = if errors.is_empty() { root(&reading, document.get_ref()) } else { None };
    let problems = reading.into_problems();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

pub(super) fn root(reading: &Reading<'_>, table: &DeTable<'_>) -> Option<Config> {
    let root = Section::new(reading, "the configuration", Some(table), 0);
    let listen = listen(&section(&root, "listen"));
    let store = store(&section(&root, "store"));
    let portabilling = root
        .need("portabilling", "a section [portabilling] with url, login and password")
        .and_then(|value| root.section_of("[portabilling]", "portabilling", value))
        .and_then(|section| portabilling(&section));
    let intakes = intake::all(&root);
    let connectors = connector::all(&root);
    let names: Vec<&str> = connectors.keys().map(String::as_str).collect();
    let handlers = handler::all(&root, &names);
    root.finish();
    let connectors: BTreeMap<_, _> =
        connectors.into_iter().filter_map(|(name, settings)| Some((name, settings?))).collect();
    Some(Config {
        listen: listen?,
        store: store?,
        portabilling: portabilling?,
        intakes,
        connectors,
        handlers,
    })
}

/// A section of the document; one that isn't there reads as empty.
fn section<'a>(root: &Section<'a>, key: &'static str) -> Section<'a> {
    let name = format!("[{key}]");
    root.get(key)
        .and_then(|value| root.section_of(&name, key, value))
        .unwrap_or_else(|| Section::new(root.reading, &name, None, 0))
}

fn listen(section: &Section<'_>) -> Option<Listen> {
    let intake = address(section, "intake", defaults::LISTEN_INTAKE);
    let operator = address(section, "operator", defaults::LISTEN_OPERATOR);
    if let (Some(intake), Some(operator)) = (intake, operator)
        && intake == operator
        && intake.port() != 0
    {
        section.problem(
            section.at,
            "`intake` and `operator` in [listen] are the same address",
            "give one another port",
        );
    }
    let listen = Listen {
        intake: intake?,
        operator: operator?,
        header_timeout: section.duration("header_timeout", defaults::HEADER_TIMEOUT, MILLISECOND..=HOUR),
        body_timeout: section.duration("body_timeout", defaults::BODY_TIMEOUT, MILLISECOND..=HOUR),
        answer_timeout: section.duration("answer_timeout", defaults::ANSWER_TIMEOUT, MILLISECOND..=HOUR),
        body_limit: section.size("body_limit", defaults::BODY_LIMIT, 1024..=64 * MIB),
        // Less than 8 KiB isn't taken by hyper.
        head_limit: section.size("head_limit", defaults::HEAD_LIMIT, 8 * 1024..=MIB),
        max_headers: section.count("max_headers", defaults::MAX_HEADERS, 10..=10_000),
        max_connections: section.count("max_connections", defaults::MAX_CONNECTIONS, 1..=1_000_000),
        shutdown_grace: section.duration("shutdown_grace", defaults::SHUTDOWN_GRACE, MILLISECOND..=HOUR),
        retry_after: section.duration("retry_after", defaults::RETRY_AFTER, Duration::from_secs(1)..=HOUR),
    };
    section.finish();
    Some(listen)
}

fn address(section: &Section<'_>, key: &'static str, default: &str) -> Option<SocketAddr> {
    let Some(value) = section.get(key) else { return default.parse().ok() };
    let text = section.text_of(key, value)?;
    let address = text.parse().ok();
    if address.is_none() {
        let what = format!("`{key}` in {} is not an address: \"{text}\"", section.name);
        section.problem(value.at, what, format!("write an IP address with a port: \"{default}\""));
    }
    address
}

fn store(section: &Section<'_>) -> Option<StoreSettings> {
    let path = match section.get("path") {
        Some(value) => section.path_of("path", value),
        None => Some(section.folder().join(defaults::STORE_PATH)),
    };
    let default = StoreSettings::with_defaults(path.unwrap_or_default());
    let settings = StoreSettings {
        queue: section.count("queue", default.queue, 1..=1_000_000),
        batch_max: section.count("batch_max", default.batch_max, 1..=100_000),
        patience: section.duration("patience", default.patience, MILLISECOND..=HOUR),
        readers: section.count("readers", default.readers, 1..=1000),
        busy_timeout: section.duration("busy_timeout", default.busy_timeout, Duration::ZERO..=HOUR),
        cache: section.size("cache", default.cache, MIB..=64 * 1024 * MIB),
        checkpoint_every: section.duration("checkpoint_every", default.checkpoint_every, MILLISECOND..=HOUR),
        log_limit: section.size("log_limit", default.log_limit, MIB..=64 * 1024 * MIB),
        samples: section.count("samples", default.samples, 0..=1_000_000),
        sample_limit: section.size("sample_limit", default.sample_limit, 0..=MIB),
        page_max: section.count("page_max", default.page_max, 1..=10_000),
        path: default.path,
    };
    section.finish();
    Some(settings)
}

fn portabilling(section: &Section<'_>) -> Option<PortaBillingSettings> {
    let url = need_url(section, "url", "\"https://portabilling.example.com\"");
    let espf_url = match section.get("espf_url") {
        Some(value) => section.url_of("espf_url", value),
        None => url.as_ref().and_then(|url| url.join("/espf/v1").ok()),
    };
    let login = section.need_text("login", "\"soapstone\"");
    let credential = credential(section);
    let realm = section.text("realm").unwrap_or_else(|| defaults::REALM.to_owned());
    let soap_path = [("modern", SoapPath::Modern), ("classic", SoapPath::Classic)];
    let soap_path = section.choice("soap_path", SoapPath::Modern, &soap_path);
    let encodings = [("form", StatusEncoding::Form), ("json", StatusEncoding::Json)];
    let status_encoding = section.choice("status_encoding", StatusEncoding::Form, &encodings);
    let espf_auth = [("bearer", EspfAuth::Bearer), ("basic", EspfAuth::Basic)];
    let espf_auth = section.choice("espf_auth", EspfAuth::Bearer, &espf_auth);
    let connect_timeout = defaults::PORTABILLING_CONNECT_TIMEOUT;
    let connect_timeout = section.duration("connect_timeout", connect_timeout, MILLISECOND..=HOUR);
    let timeout = section.duration("timeout", defaults::PORTABILLING_TIMEOUT, MILLISECOND..=HOUR);
    let max_in_flight = section.count("max_in_flight", defaults::PORTABILLING_MAX_IN_FLIGHT, 1..=10_000);
    let cache_ttl = section.duration("cache_ttl", defaults::CACHE_TTL, Duration::ZERO..=HOUR);
    let answer_limit =
        section.size("answer_limit", defaults::PORTABILLING_ANSWER_LIMIT, 64 * 1024..=1024 * MIB);
    let ca_file = section.readable_file("ca_file");
    let danger_accept_invalid_certs = section.flag("danger_accept_invalid_certs", false);
    section.finish();
    Some(PortaBillingSettings {
        url: url?,
        espf_url: espf_url?,
        login: login?,
        credential: credential?,
        realm,
        soap_path,
        status_encoding,
        espf_auth,
        connect_timeout,
        timeout,
        max_in_flight,
        cache_ttl,
        answer_limit,
        ca_file,
        danger_accept_invalid_certs,
    })
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
