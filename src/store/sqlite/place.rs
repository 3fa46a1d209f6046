//! Where the files of a store lie.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::journal::{self, Disk};
use super::log;
use crate::store::StoreError;

/// A folder for a store's files. Tests have one on a disk that fails, tears and forgets.
pub(super) trait Place: Debug + Send + Sync {
    /// What the store is called in errors.
    fn name(&self) -> String;

    /// A connection to the database.
    fn database(&self, flags: OpenFlags) -> rusqlite::Result<Connection>;

    /// Writes what is in the database's log once more, just as it is read, and waits for the disk.
    fn write_log_again(&self) -> io::Result<()>;

    /// The file of the inbox; one that is made has `size` bytes and belongs to `store`.
    fn inbox(&self, size: u64, store: [u8; journal::ID]) -> Result<Box<dyn Disk>, StoreError>;
}

impl Place for PathBuf {
    fn name(&self) -> String {
        self.display().to_string()
    }

    fn database(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        Connection::open_with_flags(self, flags)
    }

    fn write_log_again(&self) -> io::Result<()> {
        log::write_file_again(&beside(self, "-wal"))
    }

    fn inbox(&self, size: u64, store: [u8; journal::ID]) -> Result<Box<dyn Disk>, StoreError> {
        let path = beside(self, "-inbox");
        let failed = |what: &str, error: io::Error| {
            StoreError::Failed(format!("cannot {what} {}: {error}", path.display()))
        };
        // Made under another name: one that is half made, by a gateway that was killed just then, is never taken for one.
        if !path.try_exists().map_err(|error| failed("look for", error))? {
            journal::create(&path, size, store).map_err(|error| failed("make", error))?;
        }
        let file =
            File::options().read(true).write(true).open(&path).map_err(|error| failed("open", error))?;
        Ok(Box::new(file))
    }
}

/// The file of that name with something added.
pub(super) fn beside(path: &Path, added: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(added);
    PathBuf::from(name)
}
