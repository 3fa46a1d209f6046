//! SQLite's way to a [`Machine`]: its files, its locks, and the index of its log, which its connections share.
//!
//! The crate that speaks to SQLite here gives each connection a copy of the index, fetched and brought back around locks. Several
//! connections may hold locks on different parts of it at the same time, so only what has changed is brought back.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sqlite_vfs::wip::{WalIndex, WalIndexLock};
use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenOptions, Vfs};

use super::machine::Machine;

/// What SQLite calls it.
pub(super) const NAME: &str = "machine";

const REGION: usize = 32_768;

/// The machines that run, by the first part of the names of their files.
#[derive(Debug, Default, Clone)]
struct Machines(Arc<Mutex<HashMap<String, Running>>>);

#[derive(Debug, Clone)]
struct Running {
    machine: Arc<Machine>,
    /// What is in its memory: locks and indexes, by the name of the database.
    memory: Arc<Mutex<HashMap<String, Shared>>>,
}

#[derive(Debug, Default)]
struct Shared {
    locks: HashMap<u64, LockKind>,
    regions: HashMap<u32, Box<[u8; REGION]>>,
    /// Grows with each change of the regions.
    version: u64,
    /// By place: who holds it, and whether alone.
    index_locks: HashMap<u8, HashMap<u64, WalIndexLock>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn machines() -> &'static Machines {
    static MACHINES: OnceLock<Machines> = OnceLock::new();
    MACHINES.get_or_init(|| {
        let machines = Machines::default();
        sqlite_vfs::register(NAME, machines.clone(), false).expect("registered");
        machines
    })
}

/// Starts a machine; answers the folder that its files are in.
pub(super) fn start(machine: Arc<Machine>) -> String {
    let folder = format!("/{}", id());
    let running = Running { machine, memory: Arc::default() };
    lock(&machines().0).insert(folder.clone(), running);
    folder
}

/// It doesn't answer any more.
pub(super) fn stop(folder: &str) {
    lock(&machines().0).remove(folder);
}

fn id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Machines {
    /// The machine and the file's name on it.
    fn find<'p>(&self, path: &'p str) -> io::Result<(Running, &'p str)> {
        let (folder, name) = path.rsplit_once('/').ok_or(io::ErrorKind::NotFound)?;
        let running = lock(&self.0).get(folder).cloned();
        Ok((running.ok_or(io::ErrorKind::NotFound)?, name))
    }
}

impl Vfs for Machines {
    type Handle = Open;

    fn open(&self, path: &str, options: OpenOptions) -> io::Result<Open> {
        let (running, name) = self.find(path)?;
        if matches!(options.access, OpenAccess::Create | OpenAccess::CreateNew) {
            running.machine.create(name)?;
        } else if !running.machine.exists(name)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        let heard = running.machine.failures(name);
        Ok(Open { running, name: name.to_owned(), id: id(), heard })
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        let (running, name) = self.find(path)?;
        running.machine.delete(name)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let (running, name) = self.find(path)?;
        running.machine.exists(name)
    }

    fn temporary_name(&self) -> String {
        format!("/none/{}", id())
    }

    fn random(&self, buffer: &mut [i8]) {
        for part in buffer.chunks_mut(16) {
            let random = *uuid::Uuid::new_v4().as_bytes();
            part.iter_mut().zip(random).for_each(|(to, from)| *to = i8::from_ne_bytes([from]));
        }
    }

    fn sleep(&self, duration: Duration) -> Duration {
        std::thread::sleep(duration);
        duration
    }
}

/// A file that is open.
pub(super) struct Open {
    running: Running,
    name: String,
    id: u64,
    /// Of how many failed syncs.
    heard: u32,
}

impl Open {
    fn shared<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(lock(&self.running.memory).entry(self.name.clone()).or_default())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared(|shared| shared.locks.remove(&self.id));
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("small")
}

impl DatabaseHandle for Open {
    type WalIndex = Index;

    fn size(&self) -> io::Result<u64> {
        Ok(self.running.machine.size(&self.name)? as u64)
    }

    fn read_exact_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.running.machine.read(&self.name, place(offset), bytes)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.running.machine.write(&self.name, place(offset), bytes)
    }

    fn sync(&mut self, _data_only: bool) -> io::Result<()> {
        self.running.machine.sync(&self.name, &mut self.heard)
    }

    fn set_len(&mut self, size: u64) -> io::Result<()> {
        self.running.machine.set_length(&self.name, place(size))
    }

    fn lock(&mut self, kind: LockKind) -> io::Result<bool> {
        self.shared(|shared| {
            let denied = shared.locks.iter().filter(|(id, _)| **id != self.id).any(|(_, held)| match kind {
                LockKind::None => false,
                LockKind::Shared => *held as u8 >= LockKind::Pending as u8,
                LockKind::Reserved => *held as u8 >= LockKind::Reserved as u8,
                LockKind::Pending | LockKind::Exclusive => *held as u8 >= LockKind::Shared as u8,
            });
            if !denied {
                shared.locks.insert(self.id, kind);
            }
            Ok(!denied)
        })
    }

    fn reserved(&mut self) -> io::Result<bool> {
        Ok(self.shared(|shared| shared.locks.values().any(|held| *held as u8 >= LockKind::Reserved as u8)))
    }

    fn current_lock(&self) -> io::Result<LockKind> {
        Ok(self.shared(|shared| shared.locks.get(&self.id).copied().unwrap_or(LockKind::None)))
    }

    fn wal_index(&self, _readonly: bool) -> io::Result<Index> {
        let file = Open { running: self.running.clone(), name: self.name.clone(), id: id(), heard: 0 };
        Ok(Index { file, fetched: HashMap::new(), version: 0, alone: 0 })
    }
}

/// One connection's copy of the index.
pub(super) struct Index {
    file: Open,
    /// The regions as they were fetched.
    fetched: HashMap<u32, Box<[u8; REGION]>>,
    version: u64,
    /// How many places it holds alone: then nothing is fetched.
    alone: usize,
}

impl WalIndex for Index {
    fn map(&mut self, region: u32) -> io::Result<[u8; REGION]> {
        let mut bytes = [0; REGION];
        self.pull(region, &mut bytes)?;
        Ok(bytes)
    }

    fn pull(&mut self, region: u32, bytes: &mut [u8; REGION]) -> io::Result<()> {
        self.version = self.file.shared(|shared| {
            let there = shared.regions.entry(region).or_insert_with(|| Box::new([0; REGION]));
            bytes.copy_from_slice(&there[..]);
            shared.version
        });
        self.fetched.insert(region, Box::new(*bytes));
        Ok(())
    }

    fn push(&mut self, region: u32, bytes: &[u8; REGION]) -> io::Result<()> {
        let Some(before) = self.fetched.get_mut(&region).filter(|before| before[..] != bytes[..]) else {
            return Ok(());
        };
        self.file.shared(|shared| {
            let there = shared.regions.entry(region).or_insert_with(|| Box::new([0; REGION]));
            let blocks = there.chunks_mut(64).zip(before.chunks(64)).zip(bytes.chunks(64));
            for ((there, before), bytes) in blocks.filter(|((_, before), bytes)| before != bytes) {
                for at in 0..bytes.len() {
                    if before[at] != bytes[at] {
                        there[at] = bytes[at];
                    }
                }
            }
            shared.version += 1;
        });
        before.copy_from_slice(bytes);
        Ok(())
    }

    fn lock(&mut self, places: Range<u8>, kind: WalIndexLock) -> io::Result<bool> {
        let (me, version, alone) = (self.file.id, self.version, self.alone);
        let got = self.file.shared(|shared| {
            if kind == WalIndexLock::None {
                let held = places.clone().filter_map(|at| shared.index_locks.get_mut(&at)?.remove(&me));
                return Some(held.filter(|held| *held == WalIndexLock::Exclusive).count());
            }
            // what was fetched before it came to the lock is old already: once more
            if alone == 0 && shared.version != version {
                return None;
            }
            let others = |at| shared.index_locks.get(&at).into_iter().flatten().filter(|(id, _)| **id != me);
            let denied =
                |held: &WalIndexLock| kind == WalIndexLock::Exclusive || *held == WalIndexLock::Exclusive;
            if places.clone().flat_map(others).any(|(_, held)| denied(held)) {
                return None;
            }
            for at in places.clone() {
                shared.index_locks.entry(at).or_default().insert(me, kind);
            }
            Some(0)
        });
        match (got, kind) {
            (None, _) => return Ok(false),
            (Some(_), WalIndexLock::Exclusive) => self.alone += places.len(),
            (Some(released), _) => self.alone -= released,
        }
        Ok(true)
    }

    fn delete(self) -> io::Result<()> {
        self.file.shared(|shared| shared.regions.clear());
        Ok(())
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let me = self.file.id;
        self.file.shared(|shared| {
            for held in shared.index_locks.values_mut() {
                held.remove(&me);
            }
        });
    }
}
