//! The database's log, which a sync that failed brings into doubt: what is read from it may not be on the disk then.
//!
//! The system keeps in its cache what it could not write and takes it for written, so a second sync succeeds and brings nothing to
//! the disk. Whatever goes on from there hangs in the air: frames behind those that are missing wouldn't be found again, and a
//! checkpoint that the power interrupts leaves pages in the database that belong together with others which are nowhere. So until
//! the log has been written once more as it is read, and synced, nobody goes on. Each handle hears of a sync that failed, whoever
//! asked for it, so nobody misses it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::place::Place;
use crate::store::StoreError;

/// What is known about the log by those who write to it and copy from it.
#[derive(Debug)]
pub(super) struct Log {
    place: Arc<dyn Place>,
    /// How many times something has failed.
    doubts: AtomicU64,
    /// How many of these are made good.
    settled: AtomicU64,
}

impl Log {
    /// Before anybody opens the database: who wrote to it last may have been killed after a sync that failed.
    pub(super) fn of(place: Arc<dyn Place>) -> Result<Self, StoreError> {
        let log = Self { place, doubts: AtomicU64::default(), settled: AtomicU64::default() };
        log.write_again()?;
        Ok(log)
    }

    /// Copies what is left of the program's life before into the database, and has nothing of it in the log any more when the next
    /// thing is written. What is filed again comes to where it was, as it was, bit by bit: if the log went on there, what the power
    /// had cut off behind it would follow once more. Somebody who reads (a backup) keeps the log from being emptied; then what the
    /// first transaction writes besides, which never was there, keeps it from that.
    pub(super) fn begin(&self, db: &Connection) -> Result<(), StoreError> {
        self.checkpoint(db, "TRUNCATE")?;
        self.write_again()
    }

    /// Something has failed, perhaps a sync.
    pub(super) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
    }

    /// The last doubt, unless it is settled.
    pub(super) fn in_doubt(&self) -> Option<u64> {
        let doubts = self.doubts.load(Ordering::SeqCst);
        (doubts > self.settled.load(Ordering::SeqCst)).then_some(doubts)
    }

    /// This doubt and those before are settled: the log has been written again, and another transaction after what failed.
    pub(super) fn settle(&self, doubt: u64) {
        self.settled.fetch_max(doubt, Ordering::SeqCst);
    }

    /// Writes what is in the log once more and waits for the disk. Only for whoever writes.
    pub(super) fn write_again(&self) -> Result<(), StoreError> {
        self.place.write_log_again().map_err(|error| {
            StoreError::Failed(format!("the log of {} can't be written: {error}", self.place.name()))
        })
    }

    /// Copies the log into the database, and answers how many pages the log has; does nothing if there is a doubt.
    pub(super) fn checkpoint(&self, db: &Connection, mode: &str) -> Result<Option<i64>, StoreError> {
        if self.in_doubt().is_some() {
            return Ok(None);
        }
        let pages = db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(1));
        pages.map(Some).map_err(|error| {
            self.doubt();
            error.into()
        })
    }

    /// Has SQLite copy nothing when this connection is closed, if there is a doubt.
    pub(super) fn before_close(&self, db: &Connection) -> Result<(), StoreError> {
        if self.in_doubt().is_some() {
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        }
        Ok(())
    }
}

/// So much of it at a time.
const PART: usize = 1 << 20;

/// See [`Place::write_log_again`].
pub(super) fn write_file_again(path: &Path) -> io::Result<()> {
    let mut file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut part = vec![0; PART];
    let mut at = 0;
    loop {
        let length = file.read(&mut part)?;
        if length == 0 {
            return file.sync_all();
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&part[..length])?;
        at += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_again_is_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        write_file_again(&path).expect("nothing to do");
        assert!(!path.exists());
        for length in [0, 1, PART, 2 * PART + 17] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            std::fs::write(&path, &bytes).expect("written");
            write_file_again(&path).expect("written again");
            assert!(std::fs::read(&path).expect("read") == bytes, "{length}");
        }
    }
}
