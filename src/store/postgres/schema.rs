//! The tables and how they came about: numbered steps, each in a transaction with its number.

use tokio_postgres::Client;

use super::PostgresSettings;
use super::connect::Address;
use super::fault::Fault;
use crate::store::StoreError;

/// Step n of this list leads to version n + 1. Never change one that has been released: add another.
const STEPS: &[&str] =
    &[include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// Of those that must not run together: creating the schema and applying steps.
const LOCK: i64 = 0x736f_6170_7374_6f6e;

/// A step that is still to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version that it leads to.
    pub version: i64,
    /// What it does.
    pub sql: &'static str,
}

/// The steps that [`apply`] would apply, in their order. Changes nothing.
///
/// # Errors
/// [`StoreError::Failed`] if a newer program wrote the store, or the database says no.
pub async fn plan(settings: &PostgresSettings) -> Result<Vec<Step>, StoreError> {
    let client = Address::new(settings)?.connect().await?;
    let version = version(&client, &settings.schema).await.map_err(StoreError::from)?;
    missing(version)
}

/// Applies the steps that are missing, each in a transaction; answers which. Several may ask at once: one does it.
///
/// # Errors
/// As [`plan`]; what was applied until then stays.
pub async fn apply(settings: &PostgresSettings) -> Result<Vec<Step>, StoreError> {
    let client = Address::new(settings)?.connect().await?;
    let mut applied = Vec::new();
    while let Some(step) = apply_next(&client, &settings.schema).await.map_err(StoreError::from)? {
        applied.push(step);
    }
    Ok(applied)
}

/// Makes sure that the store has the tables that this program knows.
pub(super) async fn ensure(settings: &PostgresSettings) -> Result<(), StoreError> {
    let steps = plan(settings).await?;
    if steps.is_empty() {
        return Ok(());
    }
    if !settings.migrate {
        return Err(StoreError::Failed(format!(
            "the database lacks {} steps of this program's schema: apply them first, or let `migrate` be on",
            steps.len()
        )));
    }
    for Step { version, .. } in apply(settings).await? {
        tracing::info!(version, "the schema of the database is a step further");
    }
    Ok(())
}

fn missing(version: i64) -> Result<Vec<Step>, StoreError> {
    let known = STEPS.len();
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > known {
        return Err(StoreError::Failed(format!(
            "it has schema {version}, this program knows {known} at most: start the newer program that wrote it"
        )));
    }
    Ok((1..).zip(STEPS).skip(done).map(|(version, sql)| Step { version, sql }).collect())
}

/// 0 where there is nothing yet.
async fn version(client: &Client, schema: &str) -> Result<i64, Fault> {
    let there = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&format!("{schema}.schema_version")])
        .await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let sql = format!("SELECT coalesce(max(version), 0) FROM {schema}.schema_version");
    Ok(client.query_one(&sql, &[]).await?.try_get(0)?)
}

/// An administrator may have made it, for a role that may not: `IF NOT EXISTS` asks for that right in any case.
async fn make(client: &Client, schema: &str) -> Result<(), Fault> {
    let there = client.query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&schema]).await?;
    if !there.try_get::<_, bool>(0)? {
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    }
    Ok(())
}

async fn apply_next(client: &Client, schema: &str) -> Result<Option<Step>, Fault> {
    // with a large store a step takes as long as it takes, and so long others wait for it
    let begin = format!(
        "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})"
    );
    client.batch_execute(&begin).await?;
    let next = missing(version(client, schema).await?)?.into_iter().next();
    if let Some(Step { version, sql }) = &next {
        make(client, schema).await?;
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {schema}.schema_version (
                version bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
             {sql};
             INSERT INTO {schema}.schema_version (version) VALUES ({version})"
        );
        client.batch_execute(&sql).await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_planned_from_where_the_store_is() {
        assert_eq!(missing(0).expect("a plan").len(), STEPS.len());
        let known = i64::try_from(STEPS.len()).expect("few");
        assert!(missing(known).expect("a plan").is_empty());
        assert!(missing(known + 1).expect_err("newer").to_string().contains("start the newer program"));
    }
}
