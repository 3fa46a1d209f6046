//! The file that an acceptance and a recorded attempt wait for: entries one after another, each synced before anybody hears
//! of it.
//!
//! A commit in a database writes whole pages and their bookkeeping; here it is one write and one `fdatasync`, into blocks
//! that the file has already, so that the file system has nothing to write down either. Only what isn't filed yet is worth
//! anything in here, so the file never grows: it has two halves that take turns, and a half begins anew once all of it is
//! filed (see [`super::inbox`]).
//!
//! Layout: a page with [`MAGIC`], the id of the store that it belongs to and the readiness check's counter; then the two
//! halves. An entry is its length (4 bytes), a checksum (4), its number (8) and its bytes, integers little-endian. The
//! checksum goes over that of the entry before it in the half as well, so that nothing left over from an earlier round, nor
//! from a write that failed, can pass for a continuation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::store::StoreError;

const MAGIC: &[u8; 8] = b"SOAPIN01";
/// The first page: magic, id of the store, counter.
const PAGE: usize = 4096;
const ID: usize = 16;
/// Length, checksum, number.
const HEAD: usize = 16;

/// What the journal lies on. Tests put one under it that fails, tears and forgets.
pub(super) trait Disk: Send {
    /// All there is.
    fn read(&mut self) -> io::Result<Vec<u8>>;
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// What was written is on the disk when this returns.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.seek(SeekFrom::Start(0))?;
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The journal, at the place where it goes on.
pub(super) struct Journal {
    disk: Box<dyn Disk>,
    halves: [Half; 2],
    /// The half that is being written.
    current: usize,
    /// How long a half is.
    size: usize,
    /// What waits for [`Journal::commit`], and what the half will be like then.
    staged: Vec<u8>,
    next: Half,
    page: Vec<u8>,
}

/// How far a half is filled.
#[derive(Debug, Clone, Copy, Default)]
struct Half {
    used: usize,
    /// Of the last entry.
    checksum: u32,
    last: i64,
}

/// An entry that was read, with its number.
pub(super) type Entry = (i64, Vec<u8>);

impl Journal {
    /// Opens the file at `path`, or makes one of `size` bytes, and reads what is in it, in the order of the numbers.
    ///
    /// The caller must have filed all of it before the first entry is staged. `store` is the id of the database that it
    /// belongs to: entries of another store are nothing to throw away, nor to deliver.
    pub(super) fn open(path: &Path, size: u64, store: [u8; ID]) -> Result<(Self, Vec<Entry>), StoreError> {
        let failed = |what: &str, error: io::Error| {
            StoreError::Failed(format!("cannot {what} {}: {error}", path.display()))
        };
        // Made under another name: one that is half made, by a gateway that was killed just then, is never taken for one.
        if !path.try_exists().map_err(|error| failed("look for", error))? {
            create(path, size, store).map_err(|error| failed("make", error))?;
        }
        let file =
            File::options().read(true).write(true).open(path).map_err(|error| failed("open", error))?;
        Self::on(Box::new(file), store).map_err(|error| failed("read", error))
    }

    pub(super) fn on(mut disk: Box<dyn Disk>, store: [u8; ID]) -> io::Result<(Self, Vec<Entry>)> {
        let bytes = disk.read()?;
        let page = bytes.get(..PAGE).filter(|page| page.starts_with(MAGIC));
        let page = page.ok_or_else(|| io::Error::other("it isn't the inbox of a store"))?.to_vec();
        if page[MAGIC.len()..MAGIC.len() + ID] != store {
            return Err(io::Error::other(
                "it belongs to another store, and may hold events that only it knows of: put the two files together \
                 again, or move this one away",
            ));
        }
        let size = (bytes.len() - PAGE) / 2;
        let mut entries = read_half(&bytes[PAGE..PAGE + size]);
        entries.extend(read_half(&bytes[PAGE + size..]));
        entries.sort_unstable_by_key(|(number, _)| *number);
        let halves = [Half::default(); 2];
        let journal =
            Self { disk, halves, current: 0, size, staged: Vec::new(), next: Half::default(), page };
        Ok((journal, entries))
    }

    /// Whether an entry of that many bytes could be staged if everything were filed.
    pub(super) fn could_hold(&self, length: usize) -> bool {
        HEAD + length <= self.size
    }

    /// Adds an entry to those that the next [`Self::commit`] writes; false if there is no room for it until more is filed
    /// than what has the number `filed` and those before it, or until what is staged is committed.
    pub(super) fn stage(&mut self, number: i64, entry: &[u8], filed: i64) -> bool {
        if self.next.used + HEAD + entry.len() > self.size && !self.turn(filed) {
            return false;
        }
        let Ok(length) = u32::try_from(entry.len()) else { return false };
        let checksum = checksum(self.next.checksum, number, entry);
        self.staged.extend_from_slice(&length.to_le_bytes());
        self.staged.extend_from_slice(&checksum.to_le_bytes());
        self.staged.extend_from_slice(&number.to_le_bytes());
        self.staged.extend_from_slice(entry);
        self.next = Half { used: self.next.used + HEAD + entry.len(), checksum, last: number };
        true
    }

    /// Goes on in the other half, if all of that is filed.
    fn turn(&mut self, filed: i64) -> bool {
        let other = 1 - self.current;
        if !self.staged.is_empty() || self.halves[other].last > filed {
            return false;
        }
        self.current = other;
        self.halves[other] = Half::default();
        self.next = Half::default();
        true
    }

    /// Writes what is staged and waits until it is on the disk. If that fails none of it counts; the next commit writes over
    /// it.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let half = &mut self.halves[self.current];
        let offset = PAGE + self.current * self.size + half.used;
        let written = self.disk.write_at(offset as u64, &self.staged).and_then(|()| self.disk.sync());
        self.staged.clear();
        match written {
            Ok(()) => *half = self.next,
            Err(_) => self.next = *half,
        }
        written
    }

    /// Writes something that means nothing: only a write shows that writing works.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        let counter = &mut self.page[MAGIC.len() + ID];
        *counter = counter.wrapping_add(1);
        self.disk.write_at(0, &self.page)?;
        self.disk.sync()
    }
}

/// A new file, with all its blocks: writing zeros is the only way to have them that works everywhere.
fn create(path: &Path, size: u64, store: [u8; ID]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = Path::new(&unfinished);
    let mut file = File::create(unfinished)?;
    file.write_all(&first_page(store))?;
    let zeros = [0; PAGE];
    for _ in 0..size.div_ceil(PAGE as u64) {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    std::fs::rename(unfinished, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn first_page(store: [u8; ID]) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE);
    page.extend_from_slice(MAGIC);
    page.extend_from_slice(&store);
    page.resize(PAGE, 0);
    page
}

/// The entries from the beginning of a half up to the first that isn't whole, or isn't of this round.
fn read_half(half: &[u8]) -> Vec<Entry> {
    let (mut entries, mut rest, mut before, mut last) = (Vec::new(), half, 0, 0);
    while let Some((number, entry, sum)) = read_entry(rest, before)
        && number > last
    {
        entries.push((number, entry.to_vec()));
        rest = &rest[HEAD + entry.len()..];
        (before, last) = (sum, number);
    }
    entries
}

fn read_entry(bytes: &[u8], before: u32) -> Option<(i64, &[u8], u32)> {
    let (length, bytes) = bytes.split_first_chunk()?;
    let (sum, bytes) = bytes.split_first_chunk()?;
    let (number, bytes) = bytes.split_first_chunk()?;
    let entry = bytes.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let (sum, number) = (u32::from_le_bytes(*sum), i64::from_le_bytes(*number));
    (sum == checksum(before, number, entry)).then_some((number, entry, sum))
}

fn checksum(before: u32, number: i64, entry: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    // Never that of zeros alone, which a new file is full of.
    hasher.update(MAGIC);
    hasher.update(&before.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(&(entry.len() as u64).to_le_bytes());
    hasher.update(entry);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    const STORE: [u8; ID] = [7; ID];
    const SIZE: usize = 200;

    /// A disk with a cache: what isn't synced may be lost, wholly or in part, when the power fails.
    #[derive(Clone)]
    struct Fragile(Arc<Mutex<Platter>>);

    struct Platter {
        synced: Vec<u8>,
        cached: Vec<u8>,
        fails: Option<Fails>,
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fails {
        /// Nothing is written.
        Write,
        /// Of what is written, only so many bytes, and nobody hears of it until the sync fails.
        Sync(usize),
    }

    impl Fragile {
        fn new() -> Self {
            let mut bytes = first_page(STORE);
            bytes.resize(PAGE + 2 * SIZE, 0);
            let platter = Platter { synced: bytes.clone(), cached: bytes, fails: None };
            Self(Arc::new(Mutex::new(platter)))
        }

        fn open(&self) -> (Journal, Vec<Entry>) {
            Journal::on(Box::new(self.clone()), STORE).expect("a journal")
        }

        fn with<T>(&self, act: impl FnOnce(&mut Platter) -> T) -> T {
            act(&mut self.0.lock().expect("nobody panicked"))
        }

        /// Some of what was written last survives, up to byte `torn`, the rest doesn't.
        fn power_cut(&self, torn: usize) {
            self.with(|platter| {
                let differs = |at: &usize| platter.synced[*at] != platter.cached[*at];
                let lost: Vec<_> = (0..platter.synced.len()).filter(differs).collect();
                for at in lost.into_iter().take(torn) {
                    platter.synced[at] = platter.cached[at];
                }
                platter.cached.clone_from(&platter.synced);
            });
        }
    }

    impl Disk for Fragile {
        fn read(&mut self) -> io::Result<Vec<u8>> {
            Ok(self.with(|platter| platter.cached.clone()))
        }

        fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            let offset = usize::try_from(offset).expect("small");
            self.with(|platter| {
                if platter.fails == Some(Fails::Write) {
                    return Err(io::Error::other("full"));
                }
                platter.cached[offset..offset + bytes.len()].copy_from_slice(bytes);
                Ok(())
            })
        }

        fn sync(&mut self) -> io::Result<()> {
            if let Some(Fails::Sync(torn)) = self.with(|platter| platter.fails) {
                // as Linux does it: the cache keeps what the disk hasn't
                let cached = self.with(|platter| platter.cached.clone());
                self.power_cut(torn);
                self.with(|platter| platter.cached = cached);
                return Err(io::Error::other("input/output error"));
            }
            self.with(|platter| platter.synced.clone_from(&platter.cached));
            Ok(())
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Accept { lengths: Vec<usize>, fails: Option<Fails> },
        File,
        PowerCut { torn: usize, unsynced: Vec<usize> },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let lengths = || prop::collection::vec(0..60_usize, 1..4);
        let fails = prop_oneof![
            6 => Just(None),
            1 => Just(Some(Fails::Write)),
            1 => (0..80_usize).prop_map(|torn| Some(Fails::Sync(torn))),
        ];
        let step = prop_oneof![
            8 => (lengths(), fails).prop_map(|(lengths, fails)| Step::Accept { lengths, fails }),
            2 => Just(Step::File),
            2 => (0..80_usize, lengths()).prop_map(|(torn, unsynced)| Step::PowerCut { torn, unsynced }),
        ];
        prop::collection::vec(step, 1..40)
    }

    /// The journal with what its user knows.
    struct Model {
        disk: Fragile,
        journal: Journal,
        next: i64,
        filed: i64,
        /// Acknowledged, and not filed.
        kept: Vec<Entry>,
        /// Refused after a failure; they may be there after a crash, but nothing else may.
        refused: Vec<Entry>,
    }

    impl Model {
        fn stage(&mut self, lengths: &[usize]) -> Vec<Entry> {
            let mut staged = Vec::new();
            for length in lengths {
                let entry = vec![self.next.to_le_bytes()[0]; *length];
                if self.journal.stage(self.next, &entry, self.filed) {
                    staged.push((self.next, entry));
                    self.next += 1;
                }
            }
            staged
        }

        fn accept(&mut self, lengths: &[usize], fails: Option<Fails>) {
            let staged = self.stage(lengths);
            self.disk.with(|platter| platter.fails = fails);
            let committed = self.journal.commit();
            self.disk.with(|platter| platter.fails = None);
            match committed {
                Ok(()) => self.kept.extend(staged),
                Err(_) => self.refused.extend(staged),
            }
        }

        fn file(&mut self) {
            self.filed = self.kept.drain(..).map(|(number, _)| number).max().unwrap_or(self.filed);
        }

        fn power_cut(&mut self, torn: usize, unsynced: &[usize]) {
            let staged = self.stage(unsynced);
            self.refused.extend(staged);
            let half = self.journal.halves[self.journal.current];
            let offset = PAGE + self.journal.current * self.journal.size + half.used;
            self.disk.write_at(offset as u64, &self.journal.staged.clone()).expect("written");
            self.disk.power_cut(torn);
            let (journal, found) = self.disk.open();
            self.journal = journal;
            let filed = self.filed;
            let found: Vec<_> = found.into_iter().filter(|(number, _)| *number > filed).collect();
            for entry in &self.kept {
                assert!(found.contains(entry), "lost {entry:?}");
            }
            for entry in &found {
                assert!(self.kept.contains(entry) || self.refused.contains(entry), "made up {entry:?}");
            }
            assert!(found.is_sorted_by_key(|(number, _)| *number));
            // what is found is filed before the journal goes on
            self.next = found.last().map_or(0, |(number, _)| *number).max(self.filed) + 1;
            self.filed = self.next - 1;
            self.kept.clear();
            self.refused.clear();
        }
    }

    proptest! {
        #[test]
        fn what_was_acknowledged_is_found_whatever_fails(steps in steps()) {
            let disk = Fragile::new();
            let (journal, entries) = disk.open();
            assert!(entries.is_empty());
            let mut model = Model { disk, journal, next: 1, filed: 0, kept: vec![], refused: vec![] };
            for step in steps {
                match step {
                    Step::Accept { lengths, fails } => model.accept(&lengths, fails),
                    Step::File => model.file(),
                    Step::PowerCut { torn, unsynced } => model.power_cut(torn, &unsynced),
                }
            }
            model.power_cut(0, &[]);
        }
    }

    #[test]
    fn a_half_begins_anew_only_once_all_of_it_is_filed() {
        let (mut journal, _) = Fragile::new().open();
        let entry = [1; SIZE / 2];
        for (number, filed, fits) in [(1, 0, true), (2, 0, true), (3, 0, false), (3, 1, true), (4, 1, false)]
        {
            assert_eq!(journal.stage(number, &entry, filed), fits, "{number}");
            journal.commit().expect("written");
        }
    }

    #[test]
    fn an_entry_that_is_longer_than_a_half_never_fits() {
        let (journal, _) = Fragile::new().open();
        assert!(journal.could_hold(SIZE - HEAD) && !journal.could_hold(SIZE - HEAD + 1));
    }

    #[test]
    fn what_is_not_a_journal_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("inbox");
        for text in ["", "SOAPIN02", "something else"] {
            std::fs::write(&path, text).expect("written");
            let error = Journal::open(&path, 8192, STORE).map(|_| ()).expect_err("refused").to_string();
            assert!(error.contains("isn't the inbox"), "{error}");
        }
    }

    #[test]
    fn a_new_file_has_all_its_blocks_and_is_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("inbox");
        let (mut journal, _) = Journal::open(&path, 8192, STORE).expect("made");
        assert!(journal.stage(1, b"one", 0));
        journal.commit().expect("written");
        journal.probe().expect("written");
        let (_, entries) = Journal::open(&path, 8192, STORE).expect("opened");
        assert_eq!(entries, [(1, b"one".to_vec())]);
        assert_eq!(std::fs::metadata(&path).expect("a file").len(), 3 * 4096);
    }
}
