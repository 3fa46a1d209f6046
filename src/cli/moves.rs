//! `soapstone migrate`, `export`, `import`: the store's tables brought up to date, and a store moved to another kind.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write, stderr};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CliError, ConfigArg, print};
use crate::store::open::Place;
use crate::store::{Control, DumpRow, postgres, sqlite};

/// How many rows are moved at a time.
const PAGE: usize = 500;
/// What an export begins with.
const FORMAT: u32 = 1;

/// Arguments of `soapstone migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    config: ConfigArg,
    /// Apply the steps; without it they are shown.
    #[arg(long)]
    apply: bool,
}

/// Arguments of `soapstone export`.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    #[command(flatten)]
    config: ConfigArg,
    /// The file that everything is written to, a line of JSON for each row; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Arguments of `soapstone import`.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    #[command(flatten)]
    config: ConfigArg,
    /// A file that `soapstone export` has written.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

/// The first line of an export.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    soapstone_export: u32,
}

/// The last line: an export without it isn't whole.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    rows: u64,
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CliError {
    CliError::Failed(error.into())
}

pub(super) async fn migrate(args: Migrate) -> Result<(), CliError> {
    let place = args.config.load()?.store.place();
    let shown = place.shown();
    let steps: Vec<(i64, &'static str)> = match (&place, args.apply) {
        (Place::Sqlite(path, _), false) => sqlite::plan(path).map_err(failed)?,
        (Place::Sqlite(path, settings), true) => sqlite::apply(path, settings).map_err(failed)?,
        (Place::Postgres(settings), false) => steps(postgres::plan(settings).await.map_err(failed)?),
        (Place::Postgres(settings), true) => steps(postgres::apply(settings).await.map_err(failed)?),
    };
    let count = steps.len();
    if !args.apply {
        for (version, sql) in &steps {
            print(&format!("-- step to version {version}\n{sql}\n"))?;
        }
    }
    print(&match (count, args.apply) {
        (0, _) => format!("{shown}: up to date\n"),
        (count, true) => format!("{shown}: steps applied: {count}\n"),
        (count, false) => {
            format!("-- {shown}: steps to apply: {count}; `--apply` does it, and so does a start\n")
        }
    })
}

fn steps(steps: Vec<postgres::Step>) -> Vec<(i64, &'static str)> {
    steps.into_iter().map(|step| (step.version, step.sql)).collect()
}

pub(super) async fn export(args: Export) -> Result<(), CliError> {
    let place = args.config.load()?.store.place();
    let file =
        File::create_new(&args.to).map_err(|error| failed(format!("{}: {error}", args.to.display())))?;
    let opened = place.open(Timestamp::now()).await.map_err(failed)?;
    let rows = write(&*opened.store(), file).await;
    opened.close().await;
    print(&format!("{}: rows written: {}\n", args.to.display(), rows?))
}

async fn write(store: &dyn Control, file: File) -> Result<u64, CliError> {
    let mut to = BufWriter::new(file);
    let bar = progress(store.dump_size().await.map_err(failed)?);
    write_line(&mut to, &Head { soapstone_export: FORMAT })?;
    let (mut rows, mut after) = (0, None);
    loop {
        let page = store.dump(after, PAGE).await.map_err(failed)?;
        for row in &page.rows {
            write_line(&mut to, row)?;
            rows += 1;
        }
        bar.set_position(rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    write_line(&mut to, &End { rows })?;
    to.into_inner().map_err(|error| failed(error.to_string()))?.sync_all()?;
    bar.finish_and_clear();
    Ok(rows)
}

fn write_line(to: &mut impl Write, line: &impl Serialize) -> Result<(), CliError> {
    serde_json::to_writer(&mut *to, line).map_err(failed)?;
    Ok(to.write_all(b"\n")?)
}

pub(super) async fn import(args: Import) -> Result<(), CliError> {
    let place = args.config.load()?.store.place();
    let shown = place.shown();
    let file = File::open(&args.from).map_err(|error| failed(format!("{}: {error}", args.from.display())))?;
    let opened = place.open(Timestamp::now()).await.map_err(failed)?;
    let store = opened.store();
    let rows = match store.dump_size().await.map_err(failed) {
        Ok(0) => read(&*store, file, &args.from).await,
        Ok(_) => {
            Err(CliError::Usage(format!("{shown}: something is in it already; import into an empty store")))
        }
        Err(error) => Err(error),
    };
    opened.close().await;
    print(&format!("{shown}: rows read: {}\n", rows?))
}

async fn read(store: &dyn Control, file: File, name: &std::path::Path) -> Result<u64, CliError> {
    let size = file.metadata()?.len();
    let bar = progress(size);
    let wrong = |number: u64, what: &str| {
        failed(format!("{}:{number}: {what}; empty the store before you import again", name.display()))
    };
    let (mut rows, mut page, mut end, mut seen) = (0, Vec::new(), None, 0);
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line?;
        seen += line.len() as u64 + 1;
        if number == 1 {
            let head: Head =
                serde_json::from_str(&line).map_err(|_| wrong(number, "this is no export of soapstone"))?;
            if head.soapstone_export != FORMAT {
                return Err(wrong(number, "a newer program has written it"));
            }
            continue;
        }
        if let Ok(last) = serde_json::from_str::<End>(&line) {
            end = Some(last.rows);
            continue;
        }
        let row: DumpRow = serde_json::from_str(&line).map_err(|error| wrong(number, &error.to_string()))?;
        page.push(row);
        rows += 1;
        if page.len() >= PAGE {
            store.load(std::mem::take(&mut page)).await.map_err(failed)?;
            bar.set_position(seen);
        }
    }
    if end != Some(rows) {
        return Err(wrong(rows + 1, "the file isn't whole"));
    }
    store.load(page).await.map_err(failed)?;
    store.loaded(Timestamp::now()).await.map_err(failed)?;
    bar.finish_and_clear();
    Ok(rows)
}

/// How far it is, for people on a terminal.
fn progress(length: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template("{bar:40} {percent}% {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
