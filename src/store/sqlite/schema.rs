//! The tables and how they came about: numbered steps, each in a transaction with its number.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::store::StoreError;

/// Step n of this list leads to version n + 1. Never change one that has been released: add another.
const STEPS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// The steps that are still to be applied to the store in this file, with the versions that they lead to. Changes nothing.
///
/// # Errors
/// The file isn't one of ours, or a newer program's.
pub fn plan(path: &Path) -> Result<Vec<(i64, &'static str)>, StoreError> {
    let version = match path.exists() {
        false => 0,
        true => Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?.pragma_query_value(
            None,
            "user_version",
            |row| row.get(0),
        )?,
    };
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > STEPS.len() {
        return Err(newer(version));
    }
    Ok((1..).zip(STEPS.iter().copied()).skip(done).collect())
}

fn newer(version: i64) -> StoreError {
    let known = STEPS.len();
    StoreError::Failed(format!(
        "it has schema {version}, this program knows {known} at most: start the newer program that wrote it"
    ))
}

/// Brings the tables up to date.
pub(super) fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let known = STEPS.len();
    loop {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let done = usize::try_from(version).unwrap_or(usize::MAX);
        let Some(sql) = STEPS.get(done) else {
            if done == known {
                return Ok(());
            }
            return Err(newer(version));
        };
        step.execute_batch(sql)?;
        step.pragma_update(None, "user_version", version + 1)?;
        step.commit()?;
    }
}
