//! What can go wrong between the gateway and the database, and whether trying again mends it.

use std::io::ErrorKind;

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::chain::chain;
use crate::store::StoreError;

/// Why a verb didn't work.
#[derive(Debug)]
pub(super) enum Fault {
    /// The store's own word: nothing to try again.
    Store(StoreError),
    /// The server or the way to it; what was done was rolled back.
    Database(Error),
    /// The connection broke while it was being committed: nobody knows.
    Uncertain(Error),
    /// No connection was to be had.
    Connection(PoolError),
    /// The gateway's lease has run out; it needs a new one.
    Lease,
}

impl Fault {
    /// Whether the same may work if it is done again at once; `safe`: even if it has worked already.
    pub(super) fn may_pass(&self, safe: bool) -> bool {
        match self {
            Self::Store(_) => false,
            Self::Database(error) => passes(error),
            Self::Uncertain(_) => safe,
            Self::Connection(PoolError::Backend(error)) => passes(error),
            Self::Connection(_) => false,
            Self::Lease => true,
        }
    }

    /// What was read isn't what was written: somebody else wrote, or the disk lies.
    pub(super) fn strange(what: &str, found: impl std::fmt::Display) -> Self {
        Self::Store(StoreError::Failed(format!(
            "the database holds {found:?} where {what} should be",
            found = found.to_string()
        )))
    }
}

/// The connection is gone, or has never been there.
pub(super) fn is_cut(error: &Error) -> bool {
    let by_disk_or_wire = || {
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<std::io::Error>() {
                // a certificate that isn't believed won't be the next time, either
                return !error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            }
            source = error.source();
        }
        false
    };
    error.code().is_none() && (error.is_closed() || by_disk_or_wire())
}

/// The server answers, and takes no writes: the client library says that as if the system had denied the connection.
fn is_read_only(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none())
}

fn passes(error: &Error) -> bool {
    let Some(code) = error.code() else { return is_cut(error) };
    *code == SqlState::T_R_SERIALIZATION_FAILURE
        || *code == SqlState::T_R_DEADLOCK_DETECTED
        || is_outage(code)
}

/// The server is going, coming or overrun.
fn is_outage(code: &SqlState) -> bool {
    let code = code.code();
    // connection exceptions, operator intervention
    code.starts_with("08") || code.starts_with("57")
        // too many connections, out of memory, a lock that wasn't to be had, idle for too long in a transaction
        || ["53200", "53300", "55P03", "25P03"].contains(&code)
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        Self::Connection(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error,
            Fault::Database(error) => judge(&error),
            Fault::Connection(PoolError::Backend(error)) => judge(&error),
            Fault::Uncertain(error) => {
                tracing::warn!(error = chain(&error), "the connection to the database broke at a commit");
                Self::Unavailable
            }
            Fault::Connection(_) | Fault::Lease => Self::Unavailable,
        }
    }
}

fn judge(error: &Error) -> StoreError {
    let Some(said) = error.as_db_error() else {
        if is_read_only(error) {
            return StoreError::Failed(
                "the database is read-only, or follows another: name the server that takes writes, or all of them".into(),
            );
        }
        if !is_cut(error) {
            return StoreError::Failed(format!("the database: {}", chain(error)));
        }
        tracing::warn!(error = chain(error), "the database can't be reached");
        return StoreError::Unavailable;
    };
    let code = said.code().code();
    let mut words = format!("the database says: {} ({code})", said.message());
    for more in [said.detail(), said.hint()].into_iter().flatten() {
        words.push_str("; ");
        words.push_str(more);
    }
    if passes(error) {
        tracing::warn!(error = words, "the database is busy");
        return StoreError::Unavailable;
    }
    // data exceptions and limits of the program: the same will fail again
    if code.starts_with("22") || code.starts_with("54") {
        return StoreError::Rejected(words);
    }
    StoreError::Failed(words)
}
