//! A machine whose disk has a cache: what isn't synced is lost when the power fails, wholly or in part, in whatever order.
//!
//! What comes to the disk of what wasn't synced is decided sector by sector. A sync that fails leaves the cache as it is and
//! forgets that it isn't on the disk, as Linux does: syncing once more doesn't bring it there. Whoever has the file open hears of
//! it, at the next sync.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::journal::Disk;

/// What is written at once, whatever happens.
const SECTOR: usize = 512;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// All that isn't on the disk is lost, or torn.
    Power,
    /// The gateway is killed; the machine goes on, with all that was written.
    Kill,
    /// Nothing can be written, as where file systems copy what is written.
    Full,
    /// The next sync fails, once.
    Sync,
    /// The next sync fails, and after so many more writes and syncs the power fails.
    SyncThenPower(u32),
    /// Nothing can be written or synced; of the first write that fails a part is written.
    Broken,
}

/// From when it is started until the power fails, or until the gateway is killed.
#[derive(Debug, Default)]
pub(super) struct Machine(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: HashMap<String, Content>,
    /// What goes wrong, after how many more writes and syncs.
    fault: Option<(Fault, u32)>,
    /// It has gone wrong.
    struck: bool,
    /// Nothing more happens here.
    dead: bool,
    chance: Chance,
}

#[derive(Debug, Default, Clone)]
struct Content {
    /// What is on the disk.
    synced: Vec<u8>,
    /// What is read.
    cached: Vec<u8>,
    /// What the next sync brings to the disk.
    pending: Vec<Change>,
    /// How many syncs have failed: each handle hears of that once.
    failures: u32,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// Numbers that look like chance, the same for the same seed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => put(bytes, *offset, written),
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }

    /// Applies those sectors of it that chance wants.
    fn tear(&self, bytes: &mut Vec<u8>, survives: &mut impl FnMut() -> bool) {
        match self {
            Self::Length(_) if survives() => self.apply(bytes),
            Self::Length(_) => {}
            Self::Write(offset, written) => {
                let (mut at, end) = (*offset, offset + written.len());
                while at < end {
                    let next = ((at / SECTOR + 1) * SECTOR).min(end);
                    if survives() {
                        put(bytes, at, &written[at - offset..next - offset]);
                    }
                    at = next;
                }
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.cached);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        self.pending.drain(..).for_each(|change| change.apply(&mut self.synced));
    }

    /// Some of what was pending comes to the disk, and nothing is pending any more.
    fn tear(&mut self, chance: &mut Chance) {
        let percent = [0, 50, 90, 100][usize::try_from(chance.below(4)).expect("few")];
        let mut survives = || chance.below(100) < percent;
        self.pending.drain(..).for_each(|change| change.tear(&mut self.synced, &mut survives));
    }
}

fn died() -> io::Error {
    io::Error::other("the machine has died")
}

impl Inner {
    fn file(&mut self, name: &str) -> io::Result<&mut Content> {
        match self.dead {
            true => Err(died()),
            false => self.files.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }

    /// What goes wrong just now.
    fn goes_wrong(&mut self, is_sync: bool) -> Option<Fault> {
        let (fault, left) = self.fault.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let fault = *fault;
        let hits = match fault {
            Fault::Power | Fault::Kill | Fault::Broken => true,
            Fault::Full => !is_sync,
            Fault::Sync | Fault::SyncThenPower(_) => is_sync,
        };
        if !hits {
            return None;
        }
        match fault {
            Fault::Power | Fault::Kill => self.dead = true,
            Fault::Sync => self.fault = None,
            Fault::SyncThenPower(after) => self.fault = Some((Fault::Power, after)),
            Fault::Full | Fault::Broken => {}
        }
        self.struck = true;
        Some(fault)
    }

    fn write(&mut self, name: &str, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?;
        let first = !self.struck;
        let fault = self.goes_wrong(false);
        let file = self.files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        match fault {
            None => {
                file.change(Change::Write(offset, bytes.to_vec()));
                Ok(())
            }
            // what SQLite is told as "full"
            Some(Fault::Full) => Err(io::ErrorKind::WriteZero.into()),
            Some(fault) => {
                if first {
                    file.change(Change::Write(offset, bytes[..bytes.len() / 2].to_vec()));
                }
                Err(io::Error::other(format!("{fault:?}")))
            }
        }
    }

    fn sync(&mut self, name: &str, heard: &mut u32) -> io::Result<()> {
        let failures = self.file(name)?.failures;
        if std::mem::replace(heard, failures) < failures {
            return Err(io::Error::other("an earlier sync"));
        }
        let fault = self.goes_wrong(true);
        let file = self.files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        match fault {
            None => file.sync(),
            Some(fault) => {
                if matches!(fault, Fault::Sync | Fault::SyncThenPower(_)) {
                    file.tear(&mut self.chance);
                    file.failures += 1;
                    *heard = file.failures;
                }
                return Err(io::Error::other(format!("{fault:?}")));
            }
        }
        Ok(())
    }
}

impl Machine {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That goes wrong after so many more writes and syncs.
    pub(super) fn arm(&self, fault: Fault, after: u32, chance: Chance) {
        let mut inner = self.lock();
        inner.fault = Some((fault, after));
        inner.struck = false;
        inner.chance = chance;
    }

    /// From now on nothing goes wrong; answers whether something has.
    pub(super) fn disarm(&self) -> bool {
        let mut inner = self.lock();
        inner.fault = None;
        inner.struck
    }

    /// It ends here, if it hasn't yet; what is left of its files another one has.
    pub(super) fn successor(&self, fault: Fault) -> Self {
        let mut inner = self.lock();
        inner.dead = true;
        let (mut files, mut chance) = (inner.files.clone(), inner.chance);
        for file in files.values_mut() {
            if fault == Fault::Power {
                file.tear(&mut chance);
                file.cached.clone_from(&file.synced);
            }
        }
        Self(Mutex::new(Inner { files, ..Inner::default() }))
    }

    pub(super) fn exists(&self, name: &str) -> io::Result<bool> {
        let inner = self.lock();
        if inner.dead { Err(died()) } else { Ok(inner.files.contains_key(name)) }
    }

    /// Makes the file if it isn't there.
    pub(super) fn create(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.dead {
            return Err(died());
        }
        inner.files.entry(name.to_owned()).or_default();
        Ok(())
    }

    pub(super) fn delete(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.file(name)?;
        inner.files.remove(name);
        Ok(())
    }

    pub(super) fn size(&self, name: &str) -> io::Result<usize> {
        Ok(self.lock().file(name)?.cached.len())
    }

    pub(super) fn read(&self, name: &str, offset: usize, bytes: &mut [u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let cached = &inner.file(name)?.cached;
        let there = cached.get(offset..).unwrap_or_default();
        let length = there.len().min(bytes.len());
        bytes[..length].copy_from_slice(&there[..length]);
        // SQLite wants the rest as zeros
        bytes[length..].fill(0);
        if length < bytes.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    pub(super) fn write(&self, name: &str, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.lock().write(name, offset, bytes)
    }

    pub(super) fn set_length(&self, name: &str, length: usize) -> io::Result<()> {
        let mut inner = self.lock();
        inner.file(name)?;
        match inner.goes_wrong(false) {
            Some(fault) => Err(io::Error::other(format!("{fault:?}"))),
            None => {
                inner.file(name)?.change(Change::Length(length));
                Ok(())
            }
        }
    }

    /// How many syncs of this file have failed so far.
    pub(super) fn failures(&self, name: &str) -> u32 {
        self.lock().files.get(name).map_or(0, |file| file.failures)
    }

    /// `heard`: of how many failures this handle has heard.
    pub(super) fn sync(&self, name: &str, heard: &mut u32) -> io::Result<()> {
        self.lock().sync(name, heard)
    }
}

/// A file of such a machine for the journal.
pub(super) struct OnMachine {
    pub(super) machine: Arc<Machine>,
    pub(super) name: &'static str,
    pub(super) heard: u32,
}

impl Disk for OnMachine {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.machine.size(self.name)?];
        self.machine.read(self.name, 0, &mut bytes)?;
        Ok(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.machine.write(self.name, usize::try_from(offset).expect("small"), bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.machine.sync(self.name, &mut self.heard)
    }
}
