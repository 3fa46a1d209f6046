//! `soapstone migrate`, `export`, `import`: the store's tables brought up to date, and a store moved to another kind.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::progress::{Progress, moved};
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
    let place = args.config.load_store()?.place();
    let shown = place.shown();
    place.whole().await.map_err(failed)?;
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
    let place = args.config.load_store()?.place();
    // first: a file that was made in vain would be in the way of the next try
    let opened = place.open(Timestamp::now()).await.map_err(failed)?;
    let rows = export_to(&*opened.store(), &args.to).await;
    opened.close().await;
    print(&format!("{}: rows written: {}\n", args.to.display(), rows?))
}

/// A file that couldn't be written whole is removed again.
async fn export_to(store: &dyn Control, to: &Path) -> Result<u64, CliError> {
    let mut file = File::create_new(to).map_err(|error| failed(format!("{}: {error}", to.display())))?;
    let written = write(store, &mut file, &Progress::on_terminal()).await;
    let written = written.and_then(|rows| Ok(file.sync_all().map(|()| rows)?));
    if written.is_err()
        && let Err(error) = std::fs::remove_file(to)
    {
        tracing::warn!(file = %to.display(), %error, "what is written of it can't be removed");
    }
    written
}

async fn write(store: &dyn Control, to: &mut impl Write, progress: &Progress) -> Result<u64, CliError> {
    let mut to = BufWriter::new(to);
    let bar = progress.moving(store.dump_size().await.map_err(failed)?);
    write_line(&mut to, &Head { soapstone_export: FORMAT })?;
    let (mut rows, mut after) = (0, None);
    loop {
        let page = store.dump(after, PAGE).await.map_err(failed)?;
        for row in &page.rows {
            write_line(&mut to, row)?;
            rows += 1;
        }
        moved(&bar, rows, rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    write_line(&mut to, &End { rows })?;
    to.flush()?;
    bar.finish_and_clear();
    Ok(rows)
}

fn write_line(to: &mut impl Write, line: &impl Serialize) -> Result<(), CliError> {
    serde_json::to_writer(&mut *to, line).map_err(failed)?;
    Ok(to.write_all(b"\n")?)
}

pub(super) async fn import(args: Import) -> Result<(), CliError> {
    let place = args.config.load_store()?.place();
    let shown = place.shown();
    let file = File::open(&args.from).map_err(|error| failed(format!("{}: {error}", args.from.display())))?;
    let size = file.metadata()?.len();
    let opened = place.open(Timestamp::now()).await.map_err(failed)?;
    let store = opened.store();
    let rows = match store.is_empty().await.map_err(failed) {
        Ok(true) => read(&*store, BufReader::new(file), size, &args.from, &Progress::on_terminal()).await,
        Ok(false) => {
            Err(CliError::Usage(format!("{shown}: something is in it already; import into an empty store")))
        }
        Err(error) => Err(error),
    };
    opened.close().await;
    print(&format!("{shown}: rows read: {}\n", rows?))
}

async fn read(
    store: &dyn Control,
    from: impl BufRead,
    size: u64,
    name: &Path,
    progress: &Progress,
) -> Result<u64, CliError> {
    let bar = progress.moving(size);
    let mut begun = false;
    let wrong = |number: u64, what: &str, begun: bool| {
        // before anything is loaded, what is in the store may be of a gateway that works on it
        let remedy = if begun { "; empty the store before you import again" } else { "" };
        failed(format!("{}:{number}: {what}{remedy}", name.display()))
    };
    let (mut rows, mut page, mut end, mut seen) = (0, Vec::new(), None, 0);
    for (number, line) in (1..).zip(from.lines()) {
        let line = line?;
        seen += line.len() as u64 + 1;
        if number == 1 {
            let head: Head = serde_json::from_str(&line)
                .map_err(|_| wrong(number, "this is no export of soapstone", begun))?;
            if head.soapstone_export != FORMAT {
                return Err(wrong(number, "a newer program has written it", begun));
            }
            continue;
        }
        if let Ok(last) = serde_json::from_str::<End>(&line) {
            end = Some(last.rows);
            continue;
        }
        let row: DumpRow =
            serde_json::from_str(&line).map_err(|error| wrong(number, &error.to_string(), begun))?;
        page.push(row);
        rows += 1;
        if page.len() >= PAGE {
            store.load(std::mem::take(&mut page)).await.map_err(failed)?;
            begun = true;
            moved(&bar, rows, seen);
        }
    }
    if end != Some(rows) {
        return Err(wrong(rows + 1, "the file isn't whole", begun));
    }
    store.load(page).await.map_err(failed)?;
    store.loaded(Timestamp::now()).await.map_err(failed)?;
    bar.finish_and_clear();
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;
    use crate::cli::progress::tests::terminal;
    use crate::event::Event;
    use crate::store::Store;
    use crate::store::sqlite::{SqliteStore, StoreSettings};

    /// Looks at the terminal whenever something is written.
    struct Watched {
        terminal: InMemoryTerm,
        shown: Vec<String>,
        written: Vec<u8>,
    }

    impl Write for Watched {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.shown.push(self.terminal.contents());
            self.written.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_rows_that_have_been_moved_are_shown_while_it_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = Timestamp::UNIX_EPOCH;
        let open = |name: &str| {
            SqliteStore::open(&folder.path().join(name), StoreSettings::default(), now).expect("a store")
        };
        let (from, to) = (open("from.db"), open("to.db"));
        let accepts = (0..3 * PAGE).map(|_| {
            let event = Event::read("main", br#"{"event_type": "A/B"}"#, None, now).expect("an event");
            from.accept(event, Vec::new())
        });
        futures::future::try_join_all(accepts).await.expect("accepted");

        let (terminal, progress) = terminal();
        let mut file = Watched { terminal: terminal.clone(), shown: Vec::new(), written: Vec::new() };
        assert_eq!(write(&from, &mut file, &progress).await.expect("written"), 1500);
        for part in ["33% 500 rows", "67% 1000 rows"] {
            assert!(file.shown.iter().any(|shown| shown.contains(part)), "{part}: {:?}", file.shown.last());
        }
        assert_eq!(terminal.contents(), "", "it is gone when it is done");

        let (terminal, progress) = self::terminal();
        let mut file = std::io::Cursor::new(file.written);
        let length = file.get_ref().len() as u64;
        let watched = Looking { file: &mut file, terminal, shown: Vec::new() };
        let mut reader = BufReader::new(watched);
        let rows = read(&to, &mut reader, length, Path::new("file"), &progress).await.expect("read");
        assert_eq!(rows, 1500);
        for part in [" 500 rows", " 1000 rows"] {
            assert!(reader.get_ref().shown.iter().any(|shown| shown.contains(part)), "{part}");
        }
    }

    /// Looks at the terminal whenever something is read.
    struct Looking<'a> {
        file: &'a mut std::io::Cursor<Vec<u8>>,
        terminal: InMemoryTerm,
        shown: Vec<String>,
    }

    impl std::io::Read for Looking<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            self.shown.push(self.terminal.contents());
            self.file.read(to)
        }
    }
}
