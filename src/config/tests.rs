use super::*;
use crate::handler::Made;

/// Every variable is set, to its own name.
fn env(name: &str) -> Option<String> {
    Some(format!("secret-of-{name}"))
}

fn parse(text: &str) -> Config {
    Config::parse("test.toml", text, Path::new(""), &env).unwrap_or_else(|error| panic!("{error}"))
}

/// What has no default, and nothing else.
const MINIMAL: &str = r#"
[portabilling]
url = "https://portabilling.example.com"
login = "soapstone"
password = { env = "PORTABILLING_PASSWORD" }
[[intake]]
name = "default"
auth = { basic = [{ user = "espf", password = { env = "ESPF_PASSWORD" } }] }
[connector.hlr]
type = "http"
url = "https://hlr-connector.example.com/process-event"
bearer = { env = "HLR_TOKEN" }
[[handler]]
name = "sim"
events = ["SIM/*", "Subscriber/*"]
fetch = ["account_info", "sim_info"]
connector = "hlr"
"#;

#[test]
fn the_example_shows_the_defaults() {
    assert_eq!(parse(EXAMPLE).effective().unwrap(), parse(MINIMAL).effective().unwrap());
}

#[test]
fn the_example_shows_every_key() {
    let reading = reader::Reading::new(EXAMPLE, Path::new(""), &env);
    let document = toml::de::DeTable::parse(EXAMPLE).unwrap();
    read::root(&reading, document.get_ref());
    let known = reading.known();
    assert!(known.len() > 50, "{known:?}");
    for key in known {
        let shown = [format!("{key} = "), format!("[{key}]"), format!(".{key}]"), format!("[{key}.")];
        assert!(shown.iter().any(|shown| EXAMPLE.contains(shown)), "the example lacks `{key}`");
    }
}

#[test]
fn the_effective_configuration_reads_as_itself_and_holds_no_secret() {
    for auth in [
        r#"{ basic = [{ user = "a", password = { env = "A" } }, { user = "b", password = { env = "B" } }] }"#,
        r#"{ custom = [{ scheme = "Token", value = { env = "A" } }], header = "X-Auth" }"#,
        r#"{ signature = [{ key_id = "k", secret = { env = "A" } }], max_skew = "60s" }"#,
    ] {
        let text = EXAMPLE.replace(
            r#"auth = { basic = [{ user = "espf", password = { env = "ESPF_PASSWORD" } }] }"#,
            &format!("auth = {auth}"),
        );
        let effective = parse(&text).effective().unwrap();
        assert_eq!(parse(&effective).effective().unwrap(), effective);
        assert!(!effective.contains("secret-of"), "{effective}");
    }
}

#[test]
fn an_intake_has_a_path_of_its_own_name() {
    let text = MINIMAL.replace(r#"name = "default""#, r#"name = "north""#);
    assert_eq!(parse(&text).intakes[0].path, "/espf/north");
    assert_eq!(parse(MINIMAL).intakes[0].path, "/espf");
}

#[test]
fn a_secret_file_loses_one_newline_and_counts_from_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "pass word \n").unwrap();
    let text = MINIMAL.replace(r#"{ env = "PORTABILLING_PASSWORD" }"#, r#"{ file = "secret" }"#);
    let config = Config::parse("test.toml", &text, folder.path(), &env).unwrap();
    let Credential::Password(secret) = &config.portabilling.credential else { panic!("not a password") };
    assert_eq!(secret.expose(), "pass word ");
    assert!(!config.effective().unwrap().contains("pass word"));
}

#[test]
fn all_mistakes_are_found_in_one_run() {
    let text = MINIMAL.replace("login", "logni").replace("connector = \"hlr\"", "connector = \"hrl\"");
    let Err(ConfigError::Wrong(Problems { problems, .. })) = Config::parse("t", &text, Path::new(""), &env)
    else {
        panic!("no mistakes found")
    };
    let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 4, 17], "{problems:?}");
}

/// The minimum with `reconcile` of its handler.
fn reconciled(reconcile: &str) -> String {
    format!("{MINIMAL}reconcile = {{ {reconcile} }}\n[reconcile]\nevery = \"7d\"\n")
}

#[test]
fn what_is_reconciled_reads_as_itself() {
    let config = parse(&reconciled(""));
    let defaults = config.handlers[0].reconcile.clone().unwrap();
    let made = Made { changed: "Subscriber/Updated".into(), gone: Some("Subscriber/Deleted".into()) };
    assert_eq!((defaults.accounts, defaults.customers), (Some(made), None));
    assert_eq!(defaults.ignore, ["full_vd_counter_info"]);
    assert_eq!(config.reconcile.every, Some(Duration::from_secs(7 * 24 * 3600)));
    let own = r#"event_type = "SIM/Updated", gone_type = [], ignore = ["account_info.status"], never_delivered = "leave""#;
    for text in [reconciled(""), reconciled(own), about_both("")] {
        let effective = parse(&text).effective().unwrap();
        assert_eq!(parse(&effective).effective().unwrap(), effective);
    }
}

/// A handler of accounts and customers.
fn about_both(reconcile: &str) -> String {
    let text = reconciled(reconcile);
    let text = text.replace(
        r#""SIM/*", "Subscriber/*""#,
        r#""Account/*", "SIM/*", "Customer/Updated", "Customer/Status/*""#,
    );
    text.replace(r#""sim_info"]"#, r#""customer_info"]"#)
}

#[test]
fn what_is_walked_through_follows_from_the_events_and_what_is_fetched() {
    let of = |text: &str| parse(text).handlers[0].reconcile.clone().unwrap();
    let made = |changed: &str, gone: &str| {
        Some(Made { changed: changed.into(), gone: Some(gone.to_owned()).filter(|gone| !gone.is_empty()) })
    };
    // the usual event of accounts isn't wanted, so they are walked through only if another is named
    let customers = made("Customer/Updated", "Customer/Status/Closed");
    let usual = of(&about_both(""));
    assert_eq!((usual.accounts, &usual.customers), (None, &customers));
    let both = of(&about_both(r#"event_type = ["SIM/Updated", "Customer/Updated"]"#));
    assert_eq!((both.accounts, both.customers), (made("SIM/Updated", "Account/Status/Closed"), customers));
    let silent = of(&about_both(
        r#"event_type = ["SIM/Updated", "Customer/Updated"], gone_type = "Account/Status/Closed""#,
    ));
    assert_eq!(silent.accounts, made("SIM/Updated", "Account/Status/Closed"));
    assert_eq!(silent.customers, made("Customer/Updated", ""));
    let all = reconciled("").replace(r#""SIM/*", "Subscriber/*""#, r#""*""#);
    assert_eq!(of(&all).customers, None, "nothing is fetched of them");
    let only = all.replace(r#""account_info", "sim_info""#, r#""customer_info""#);
    assert_eq!(
        (of(&only).accounts, of(&only).customers),
        (None, made("Customer/Updated", "Customer/Deleted"))
    );
}

#[test]
fn whoever_can_not_be_reconciled_is_told_why() {
    for (reconcile, what) in [
        (r#"event_type = "Customer/Updated""#, "gets no events of type"),
        (r#"event_type = "Subscriber/Deleted""#, "says that accounts are gone"),
        (r#"event_type = ["SIM/Updated", "Subscriber/Updated"]"#, "names two types for the same"),
        (r#"gone_type = "Subscriber/Updated""#, "doesn't say that accounts are gone"),
        (r#"gone_type = "Account/Status/Closed""#, "gets no events of type"),
        (r#"ignore = ["account_info", "sim_info"]"#, "has nothing to compare"),
        (r#"ignore = ["acount_info.status"]"#, "names no member of pb_data"),
        (r#"never_delivered = "skip""#, "unknown value"),
    ] {
        let error = Config::parse("t", &reconciled(reconcile), Path::new(""), &env).unwrap_err().to_string();
        assert!(error.contains("t:18: ") && error.contains(what), "{error}");
    }
    let invoices = reconciled(r#"event_type = "Invoice/Updated""#).replace(r#""SIM/*""#, r#""Invoice/*""#);
    let neither = reconciled("").replace(r#""SIM/*", "Subscriber/*""#, r#""SIM/*""#);
    let nothing = about_both(r#"event_type = "Customer/Updated""#).replace(r#", "customer_info""#, "");
    for (text, what) in [
        (invoices, "can't be reconciled by events of type"),
        (neither, "gets no events of type \"Subscriber/Updated\""),
        (nothing, "has nothing to compare"),
    ] {
        let error = Config::parse("t", &text, Path::new(""), &env).unwrap_err().to_string();
        assert!(error.contains("t:18: ") && error.contains(what), "{error}");
    }
}

#[test]
fn a_file_of_certificates_has_to_hold_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), "not a certificate").unwrap();
    let text = MINIMAL.replace("type = \"http\"", "type = \"http\"\nca_file = \"ca.pem\"");
    let error = Config::parse("t", &text, folder.path(), &env).unwrap_err().to_string();
    assert!(
        error.contains("t:11: `ca_file` in [connector.hlr]") && error.contains("holds no certificate"),
        "{error}"
    );
}

#[test]
fn a_client_certificate_needs_its_key_and_the_newest_tls_is_not_older_than_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("client.pem"), include_str!("tests/client.pem")).unwrap();
    std::fs::write(
        folder.path().join("client.key"),
        "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
    )
    .unwrap();
    let with = |lines: &str| {
        let text = MINIMAL.replace("[[intake]]", &format!("{lines}\n[[intake]]"));
        Config::parse("t", &text, folder.path(), &env).map_err(|error| error.to_string())
    };
    let certificate = "client_certificate = \"client.pem\"";
    let key = "client_key = { file = \"client.key\" }";
    let right = format!("{certificate}\n{key}\nmin_tls = \"1.3\"");
    let config = with(&right).unwrap();
    assert!(config.portabilling.client_key.is_some() && config.portabilling.min_tls == Tls::V1_3);
    let effective = config.effective().unwrap();
    assert!(effective.contains("client.key") && !effective.contains("PRIVATE"), "{effective}");
    for (lines, says) in [
        (certificate, "[portabilling] lacks `client_key`"),
        (key, "[portabilling] lacks `client_certificate`"),
        (&format!("{certificate}\nclient_key = {{ env = \"SET\" }}"), "holds no private key in PEM format"),
        ("max_tls = \"1.2\"\nmin_tls = \"1.3\"", "`min_tls` in [portabilling] is above `max_tls`"),
        ("min_tls = \"1.1\"", "unknown value \"1.1\" for `min_tls`"),
    ] {
        let error = with(lines).unwrap_err();
        assert!(error.contains(says) && !error.contains("secret-of"), "{error}");
    }
}

#[test]
fn whatever_is_broken_in_a_configuration_is_told_and_never_a_panic() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let mut wrong = 0;
    for at in 0..lines.len() {
        let Some((key, _)) = lines[at].split_once('=').filter(|_| !lines[at].starts_with('#')) else {
            continue;
        };
        for value in
            ["", "5", "-1", "\"\"", "\"x\"", "true", "[]", "[5]", "{}", "{ env = 5 }", "\"\u{e9}\" #"]
        {
            let broken = format!("{key}= {value}");
            let text = [&lines[..at], &[broken.as_str()], &lines[at + 1..]].concat().join("\n");
            let Err(error) = Config::parse("t", &text, Path::new(""), &env) else { continue };
            let ConfigError::Wrong(Problems { problems, .. }) = error else { panic!("{broken}: {error}") };
            assert!(problems.iter().all(|problem| (1..=lines.len()).contains(&problem.line)), "{broken}");
            assert!(problems.iter().any(|problem| problem.line == at + 1), "{broken}: {problems:?}");
            wrong += 1;
        }
    }
    assert!(wrong > 300, "{wrong}");
}
