//! The tables and how they came about: numbered steps, each in a transaction with its number.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

/// Step n of this list leads to version n + 1. Never change one that has been released: add another.
const STEPS: &[&str] = &[include_str!("schema_1.sql"), include_str!("schema_2.sql")];

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
            return Err(StoreError::Failed(format!(
                "it has schema {version}, this program knows {known} at most: start the newer program that wrote it"
            )));
        };
        step.execute_batch(sql)?;
        step.pragma_update(None, "user_version", version + 1)?;
        step.commit()?;
    }
}
