//! A store moves from one kind to another and back, by the command line, and nothing is lost.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use soapstone::config::EXAMPLE;
use soapstone::delivery::{Attempt, Outcome, State};
use soapstone::event::{Event, EventId, Subject, SubjectKind};
use soapstone::handler::Order;
use soapstone::store::postgres::{PostgresSettings, PostgresStore};
use soapstone::store::sqlite::{SqliteStore, StoreSettings};
use soapstone::store::{Control, Record, Select, Store, Subscription, Want};

use crate::crash::postgres;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A configuration with its store in this section.
    fn config(&self, name: &str, store: &str) -> PathBuf {
        let file = self.file(name);
        let begin = EXAMPLE.find("[store]").unwrap();
        let end = EXAMPLE.find("[dispatch]").unwrap();
        std::fs::write(&file, format!("{}{store}\n{}", &EXAMPLE[..begin], &EXAMPLE[end..])).unwrap();
        file
    }
}

fn soapstone(database: &str, args: &[&str], config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soapstone"))
        .args(args)
        .arg("--config")
        .arg(config)
        .env("PORTABILLING_PASSWORD", "a")
        .env("ESPF_PASSWORD", "b")
        .env("HLR_TOKEN", "c")
        .env("DATABASE", database)
        .output()
        .unwrap()
}

fn succeeds(database: &str, args: &[&str], config: &Path) -> String {
    let output = soapstone(database, args, config);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Events of all sorts: delivered, failed, waiting, in flight, with texts that are awkward.
async fn fill(path: &Path) {
    fill_with(path, 40).await;
}

async fn fill_with(path: &Path, events: u32) {
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let store = SqliteStore::open(path, StoreSettings::default(), now).unwrap();
    for number in 0..events {
        let event = Event {
            id: EventId::at(now),
            source: "main".into(),
            i_env: None,
            i_event: Some(number.into()),
            event_type: "Subscriber/Updated".into(),
            subject: Subject { kind: SubjectKind::Account, id: (number % 7).to_string() },
            event_time: None,
            received_at: now,
            body: format!("{{\"n\": {number}, \"text\": \"\\u0000 ü \u{1f600}\\n\"}}"),
        };
        let handler = |order| Subscription { handler: "sim".into(), order, rank: now };
        let order = if number % 2 == 0 { Order::Skip } else { Order::Strict };
        store.accept(event, vec![handler(order)]).await.unwrap();
    }
    for round in 0..2 {
        let want = Want { handler: "sim".into(), connector: "hlr".into(), limit: 5 };
        for claimed in store.claim(now, vec![want]).await.unwrap() {
            let delivered = claimed.event.i_event.unwrap() % 2 == 0;
            if round == 1 && delivered {
                // this one stays in flight
                continue;
            }
            let reason = "no".to_owned();
            let outcome =
                if delivered { Outcome::Delivered } else { Outcome::Refused { reason: reason.clone() } };
            let state =
                if delivered { State::Delivered { at: now } } else { State::Parked { at: now, reason } };
            let attempt = Attempt {
                number: 1,
                started_at: now,
                ended_at: now,
                outcome,
                request: Some("POST".into()),
                response: Some("HTTP 202".into()),
                settled: None,
            };
            let record = Record {
                delivery: claimed.delivery.id,
                claim: claimed.claim,
                attempt,
                state,
                tries: 1,
                status: None,
                last: delivered.then(|| "{\"a\":1}".to_owned()),
            };
            store.record(record).await.unwrap();
        }
    }
    store.close().await;
}

/// All lines but those that say how things were counted on the way.
fn rows(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(lines.len() > 80, "{} lines", lines.len());
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_to_a_database_and_back_without_loss() {
    let Some(server) = postgres::server() else { return };
    let (folder, database) = (Folder::new(), server.url());
    let from = folder.config("from.toml", "[store]\npath = \"from.db\"");
    let several =
        folder.config("several.toml", "[store.postgres]\nurl = { env = \"DATABASE\" }\nschema = \"moved\"");
    let back = folder.config("back.toml", "[store]\npath = \"back.db\"");
    fill(&folder.file("from.db")).await;

    let plan = succeeds(&database, &["migrate"], &several);
    let steps = plan.matches("-- step to version").count();
    assert!(plan.contains("CREATE TABLE") && plan.contains(&format!("steps to apply: {steps}")), "{plan}");
    let applied = succeeds(&database, &["migrate", "--apply"], &several);
    assert!(applied.contains(&format!("steps applied: {steps}")), "{applied}");
    assert!(succeeds(&database, &["migrate"], &several).contains("up to date"));

    let dump = |name: &str| folder.file(name).display().to_string();
    succeeds(&database, &["export", "--to", &dump("1.jsonl")], &from);
    succeeds(&database, &["import", "--from", &dump("1.jsonl")], &several);
    succeeds(&database, &["export", "--to", &dump("2.jsonl")], &several);
    succeeds(&database, &["import", "--from", &dump("2.jsonl")], &back);
    succeeds(&database, &["export", "--to", &dump("3.jsonl")], &back);
    assert_eq!(rows(&folder.file("2.jsonl")), rows(&folder.file("3.jsonl")));
    // what was in flight has been taken up again on the way; all else is as it was
    let first = rows(&folder.file("1.jsonl"));
    let same = rows(&folder.file("3.jsonl")).into_iter().filter(|row| first.contains(row)).count();
    assert!(same + 25 >= first.len(), "{same} of {} rows are the same", first.len());

    let now = jiff::Timestamp::now();
    let store = SqliteStore::open(&folder.file("back.db"), StoreSettings::default(), now).unwrap();
    let deliveries = store.deliveries(Select::default(), None, 500).await.unwrap();
    assert_eq!(deliveries.len(), 40);
    let want = Want { handler: "sim".into(), connector: "hlr".into(), limit: 99 };
    assert!(!store.claim(now, vec![want]).await.unwrap().is_empty(), "it goes on");
    store.close().await;

    let again = soapstone(&database, &["import", "--from", &dump("1.jsonl")], &several);
    assert_eq!(again.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&again.stderr).contains("something is in it already"));
}

#[tokio::test]
async fn an_export_that_is_not_whole_is_refused() {
    let folder = Folder::new();
    let from = folder.config("from.toml", "[store]\npath = \"from.db\"");
    fill(&folder.file("from.db")).await;
    let dump = folder.file("dump.jsonl").display().to_string();
    succeeds("", &["export", "--to", &dump], &from);
    let there = soapstone("", &["export", "--to", &dump], &from);
    assert_eq!(there.status.code(), Some(1), "it overwrites nothing");
    let text = std::fs::read_to_string(&dump).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let cases = [
        (lines[..lines.len() - 1].join("\n"), "the file isn't whole"),
        ([&lines[..5], &lines[6..]].concat().join("\n"), "the file isn't whole"),
        (text.replacen("\"table\":\"delivery\"", "\"table\":\"nonsense\"", 1), "there is no table"),
        ("{}\n".to_owned(), "this is no export"),
    ];
    for (index, (text, expected)) in cases.iter().enumerate() {
        let to = folder.config("to.toml", &format!("[store]\npath = \"to{index}.db\""));
        std::fs::write(&dump, text).unwrap();
        let import = soapstone("", &["import", "--from", &dump], &to);
        let error = String::from_utf8_lossy(&import.stderr).into_owned();
        assert!(import.status.code() == Some(1) && error.contains(expected), "{index}: {error}");
        // all these broke off before anything was put into the store
        assert!(!error.contains("empty the store"), "{index}: {error}");
    }
}

#[tokio::test]
async fn an_export_from_a_store_that_is_in_use_leaves_no_file_behind() {
    let folder = Folder::new();
    let from = folder.config("from.toml", "[store]\npath = \"from.db\"");
    fill(&folder.file("from.db")).await;
    let now = jiff::Timestamp::now();
    let gateway = SqliteStore::open(&folder.file("from.db"), StoreSettings::default(), now).unwrap();
    let dump = folder.file("dump.jsonl");
    let export = ["export", "--to", dump.to_str().unwrap()];
    let refused = soapstone("", &export, &from);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another gateway has"), "{refused:?}");
    assert!(!dump.exists());
    gateway.close().await;
    succeeds("", &export, &from);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_imported_where_a_gateway_works() {
    let Some(server) = postgres::server() else { return };
    let (folder, database) = (Folder::new(), server.url());
    let from = folder.config("from.toml", "[store]\npath = \"from.db\"");
    let several =
        folder.config("several.toml", "[store.postgres]\nurl = { env = \"DATABASE\" }\nschema = \"busy\"");
    fill(&folder.file("from.db")).await;
    let dump = folder.file("dump.jsonl").display().to_string();
    succeeds("", &["export", "--to", &dump], &from);
    let named = |name: &str| PostgresSettings {
        name: name.into(),
        schema: "busy".into(),
        ..PostgresSettings::new(&database)
    };
    let gateway = PostgresStore::open(named("gw-1"), jiff::Timestamp::now()).await.unwrap();
    let refused = soapstone(&database, &["import", "--from", &dump], &several);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("gw-1 works on this database: stop that gateway first"), "{said}");
    gateway.close().await;
    succeeds(&database, &["import", "--from", &dump], &several);
}

/// Without the secrets of the environment.
fn bare(args: &[&str], config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soapstone"));
    command.args(args).arg("--config").arg(config).env_clear().output().unwrap()
}

#[tokio::test]
async fn a_store_is_moved_without_the_secrets_of_the_gateway() {
    let folder = Folder::new();
    let from = folder.config("from.toml", "[store]\npath = \"from.db\"");
    fill(&folder.file("from.db")).await;
    let dump = folder.file("dump.jsonl").display().to_string();
    let export = bare(&["export", "--to", &dump], &from);
    assert!(export.status.success(), "{export:?}");
    let wrong = folder.config("wrong.toml", "[store]\npath = 5\nsamplse = 3");
    let export = bare(&["export", "--to", &dump], &wrong);
    let said = String::from_utf8_lossy(&export.stderr).into_owned();
    assert_eq!(export.status.code(), Some(64), "{said}");
    assert!(said.contains("path") && said.contains("samplse") && !said.contains("PASSWORD"), "{said}");
}

/// What broke off is told by all that would use it.
fn is_refused_as_half(database: &str, config: &Path, whole: &str, remedy: &str) {
    for args in [
        &["serve"][..],
        &["migrate"],
        &["migrate", "--apply"],
        &["import", "--from", whole],
        &["export", "--to", "x"],
    ] {
        let refused = soapstone(database, args, config);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("an import into it broke off") && said.contains(remedy), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_an_import_broke_off_in_is_refused_with_what_to_do() {
    let folder = Folder::new();
    let from = folder.config("from.toml", "[store]\npath = \"from.db\"");
    fill_with(&folder.file("from.db"), 600).await;
    let (whole, cut) = (folder.file("whole.jsonl"), folder.file("cut.jsonl"));
    let (whole, cut) = (whole.to_str().unwrap(), cut.to_str().unwrap());
    succeeds("", &["export", "--to", whole], &from);
    let text = std::fs::read_to_string(whole).unwrap();
    let lines: Vec<_> = text.lines().collect();
    std::fs::write(cut, lines[..900].join("\n")).unwrap();

    let to = folder.config("to.toml", "[store]\npath = \"to.db\"");
    let broken = soapstone("", &["import", "--from", cut], &to);
    assert_eq!(broken.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&broken.stderr).contains("empty the store"), "{broken:?}");
    is_refused_as_half("", &to, whole, "to.db-inbox");
    for end in ["", "-wal", "-shm", "-inbox"] {
        let _ = std::fs::remove_file(folder.file(&format!("to.db{end}")));
    }
    succeeds("", &["import", "--from", whole], &to);

    let Some(server) = postgres::server() else { return };
    let database = server.url();
    let several =
        folder.config("several.toml", "[store.postgres]\nurl = { env = \"DATABASE\" }\nschema = \"half\"");
    assert_eq!(soapstone(&database, &["import", "--from", cut], &several).status.code(), Some(1));
    is_refused_as_half(&database, &several, whole, "drop the schema half");
}
