//! Statuses to be written back: one row per account and service group, what was told last wins, one write at a time.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::batch::Batch;
use super::row;
use crate::delivery::DeliveryId;
use crate::store::spread::spread;
use crate::store::{KeptStatus, Status, StatusEnd, StatusId, StatusJob, StatusStand, Statuses, StoreError};

const PUT: &str = "\
    INSERT INTO status (i_account, service_group, value, message, at, told, version, attempts, due)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 0, ?5)
    ON CONFLICT DO UPDATE SET value = excluded.value, message = excluded.message, at = excluded.at, told = excluded.told,
        version = version + 1, attempts = 0, due = excluded.due, reason = NULL
    WHERE excluded.told >= status.told";

/// When something was recorded, in the order of all that was: attempts aren't filed in that order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// In the journal, under this number.
    Journal(i64),
    /// In the tables themselves, just now.
    Now,
}

impl Told {
    fn place(self, db: &Batch) -> i64 {
        match self {
            Self::Journal(number) => number * 2,
            Self::Now => db.inbox.last() * 2 + 1,
        }
    }
}

pub(super) fn put(db: &Batch, status: &Status, told: Told) -> Result<(), StoreError> {
    db.prepare_cached(PUT)?.execute(params![
        status.i_account,
        status.group,
        status.value.as_str(),
        status.message,
        row::micros(status.at),
        told.place(db),
    ])?;
    Ok(())
}

/// As long as the delivery is in flight under this claim.
pub(super) fn announce(
    db: &Batch,
    delivery: DeliveryId,
    claim: u32,
    status: &Status,
) -> Result<(), StoreError> {
    if db.inbox.flies(delivery, claim) { put(db, status, Told::Now) } else { Ok(()) }
}

pub(super) fn due_sql() -> String {
    format!(
        "SELECT rowid, {}, attempts, version FROM status
         WHERE due IS NOT NULL AND writing IS NULL AND due <= ?1 ORDER BY due LIMIT ?2",
        row::STATUS
    )
}

pub(super) fn claim(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<StatusJob>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = db
        .prepare_cached(&due_sql())?
        .query_map(params![row::micros(now), limit], |found| {
            let job = StatusJob {
                status: row::status(found)?,
                attempts: found.get("attempts")?,
                version: found.get("version")?,
            };
            Ok((found.get::<_, i64>("rowid")?, job))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut take = db.prepare_cached("UPDATE status SET writing = version WHERE rowid = ?1")?;
    let mut jobs = Vec::with_capacity(found.len());
    for (rowid, job) in found {
        take.execute([rowid])?;
        jobs.push(job);
    }
    Ok(jobs)
}

/// A newer status that came meanwhile has a due time of its own: then only the way is made free for it.
const FINISH: &str = "\
    UPDATE status SET writing = NULL,
        due        = CASE WHEN version = ?3 THEN ?4 ELSE due END,
        attempts   = CASE WHEN version = ?3 THEN attempts + ?7 ELSE attempts END,
        reason     = CASE WHEN version = ?3 THEN ?5 ELSE reason END,
        written_at = coalesce(?6, written_at)
    WHERE i_account = ?1 AND service_group = ?2 AND writing = ?3";

pub(super) fn finish(
    db: &Connection,
    job: &StatusJob,
    end: &StatusEnd,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (due, reason, written_at) = match end {
        StatusEnd::Written => (None, None, Some(row::micros(now))),
        StatusEnd::Retry { at, reason, .. } => (Some(row::micros(*at)), Some(reason), None),
        StatusEnd::GivenUp { reason } => (None, Some(reason), None),
    };
    db.prepare_cached(FINISH)?.execute(params![
        job.status.i_account,
        job.status.group,
        job.version,
        due,
        reason,
        written_at,
        i64::from(end.counts())
    ])?;
    Ok(())
}

pub(super) const NEXT_DUE: &str = "SELECT min(due) FROM status WHERE due IS NOT NULL AND writing IS NULL";

pub(super) fn next_due(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = db.prepare_cached(NEXT_DUE)?.query_row([], |row| row.get(0))?;
    Ok(due.map(row::time).transpose()?)
}

/// What was being written when the gateway died is written again; answers how many.
pub(super) fn recover(db: &Connection) -> Result<usize, StoreError> {
    Ok(db.execute("UPDATE status SET writing = NULL WHERE writing IS NOT NULL", [])?)
}

/// The columns that [`kept`] reads.
macro_rules! kept_columns {
    () => {
        "i_account, service_group, value, message, at, attempts, due, writing, reason, written_at"
    };
}

pub(super) const OF_ACCOUNT: &str = concat!(
    "SELECT ",
    kept_columns!(),
    " FROM status WHERE i_account = ?1 AND service_group > ?2 ORDER BY service_group LIMIT ?3"
);

pub(super) const GIVEN_UP: &str = concat!(
    "SELECT ",
    kept_columns!(),
    " FROM status WHERE due IS NULL AND writing IS NULL AND reason IS NOT NULL AND (i_account, service_group) > (?1, ?2)
     ORDER BY i_account, service_group LIMIT ?3"
);

pub(super) fn list(
    db: &Connection,
    which: Statuses,
    after: Option<StatusId>,
    limit: usize,
) -> Result<Vec<KeptStatus>, StoreError> {
    let (account, group) = after.unwrap_or((i64::MIN, String::new()));
    let (sql, account) = match which {
        Statuses::OfAccount(i_account) => (OF_ACCOUNT, i_account),
        Statuses::GivenUp => (GIVEN_UP, account),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_map(params![account, group, limit], kept)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn kept(found: &rusqlite::Row<'_>) -> rusqlite::Result<KeptStatus> {
    let time = |column: &str| found.get::<_, Option<i64>>(column)?.map(row::time).transpose();
    let reason: Option<String> = found.get("reason")?;
    let writing = found.get::<_, Option<i64>>("writing")?.is_some();
    Ok(KeptStatus {
        status: row::status(found)?,
        stand: StatusStand::of(time("due")?, writing, reason.is_some()),
        attempts: found.get("attempts")?,
        reason,
        written_at: time("written_at")?,
    })
}

const AGAIN: &str = "\
    UPDATE status SET due = ?3, attempts = 0
    WHERE i_account = ?1 AND service_group = ?2 AND due IS NULL AND writing IS NULL AND reason IS NOT NULL";

pub(super) fn again(
    db: &Connection,
    statuses: &[StatusId],
    due: Timestamp,
    gap: Duration,
) -> Result<Vec<StatusId>, StoreError> {
    let mut statement = db.prepare_cached(AGAIN)?;
    let mut again = Vec::new();
    for (i_account, group) in statuses {
        let due = row::micros(spread(due, gap, again.len()));
        if statement.execute(params![i_account, group, due])? > 0 {
            again.push((*i_account, group.clone()));
        }
    }
    Ok(again)
}
