//! Statuses to be written back: one row per account and service group, what was told last wins, one write at a time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connect::Session;
use super::fault::Fault;
use super::lease::Taken;
use super::row::{self, Columns, micros, small, text};
use crate::delivery::DeliveryId;
use crate::store::number::delivery_seq;
use crate::store::{KeptStatus, Status, StatusEnd, StatusId, StatusJob, StatusStand, Statuses};

/// Those of one account and group wait for one another here, so the last is the one that was recorded last, by whichever gateway.
macro_rules! put {
    ($first:literal, $if:literal) => {
        concat!(
            $first,
            "INSERT INTO status AS s (i_account, service_group, value, message, at, version, attempts, due)
            SELECT i_account, service_group, value, message, at, 1, 0, at
            FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::int8[])
                AS w (i_account, service_group, value, message, at)",
            $if,
            " ON CONFLICT (i_account, service_group) DO UPDATE SET value = excluded.value, message = excluded.message,
                at = excluded.at, version = s.version + 1, attempts = 0, due = excluded.due, reason = NULL"
        )
    };
}

pub(super) const PUT: &str = put!("", "");

/// Whoever records what became of the claim waits until this is committed, or has done so before.
pub(super) const ANNOUNCE: &str = put!(
    "WITH mine AS MATERIALIZED (
        SELECT 1 FROM delivery WHERE seq = $6 AND claims = $7 AND state = 'in_flight' FOR SHARE
    ) ",
    " WHERE EXISTS (SELECT 1 FROM mine)"
);

/// Columns of statuses, the last of each account and group, in the order in which they are locked.
#[derive(Debug, Default)]
pub(super) struct Puts<'a> {
    i_account: Vec<i64>,
    group: Vec<Cow<'a, str>>,
    value: Vec<&'static str>,
    message: Vec<Option<Cow<'a, str>>>,
    at: Vec<i64>,
}

impl<'a> Puts<'a> {
    pub(super) fn of(statuses: &[&'a Status]) -> Self {
        let last: BTreeMap<(i64, &str), &Status> =
            statuses.iter().map(|status| ((status.i_account, status.group.as_str()), *status)).collect();
        let mut puts = Self::default();
        for status in last.into_values() {
            puts.i_account.push(status.i_account);
            puts.group.push(text(&status.group));
            puts.value.push(status.value.as_str());
            puts.message.push(status.message.as_deref().map(text));
            puts.at.push(micros(status.at));
        }
        puts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.i_account, &self.group, &self.value, &self.message, &self.at]
    }
}

/// As long as the delivery is in flight under this claim.
pub(super) async fn announce(
    mut session: Session,
    delivery: DeliveryId,
    claim: u32,
    status: &Status,
) -> Result<(), Fault> {
    let (puts, seq, claim) = (Puts::of(&[status]), delivery_seq(delivery), small(claim));
    let [i_account, group, value, message, at] = puts.values();
    session.write(ANNOUNCE, &[i_account, group, value, message, at, &seq, &claim]).await?;
    Ok(())
}

/// Under a live lease only: else what another gateway has set free would be taken by one that is thought dead.
pub(super) const CLAIM: &str = "\
    WITH me AS MATERIALIZED (
        SELECT 1 FROM gateway WHERE id = $3 AND lease_until > clock_timestamp() FOR KEY SHARE
    ), due AS MATERIALIZED (
        SELECT i_account, service_group FROM status
        WHERE EXISTS (SELECT 1 FROM me) AND due IS NOT NULL AND writing IS NULL AND due <= $1
        ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE status s SET writing = s.version, gateway = $3, taken = $4 FROM due
        WHERE s.i_account = due.i_account AND s.service_group = due.service_group AND s.writing IS NULL
        RETURNING s.i_account, s.service_group, s.value, s.message, s.at, s.attempts, s.version, s.due
    )
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM me
    UNION ALL
    (SELECT i_account, service_group, value, message, at, attempts, version FROM taken ORDER BY due)";

/// What a claim took whose answer got lost.
pub(super) const TAKEN: &str = "\
    SELECT i_account, service_group, value, message, at, attempts, version FROM status
    WHERE gateway = $1 AND taken = $2 ORDER BY due";

pub(super) async fn claim(
    mut session: Session,
    now: Timestamp,
    limit: usize,
    Taken { gateway, mark }: Taken,
) -> Result<Vec<StatusJob>, Fault> {
    let rows = session.write_rows(CLAIM, &[&micros(now), &row::limit(limit), &gateway, &mark]).await?;
    let Some((_, found)) = rows.split_first() else { return Err(Fault::Lease) };
    found.iter().map(job).collect()
}

pub(super) async fn taken(
    mut session: Session,
    Taken { gateway, mark }: Taken,
) -> Result<Vec<StatusJob>, Fault> {
    session.rows(TAKEN, &[&gateway, &mark]).await?.iter().map(job).collect()
}

fn job(row: &tokio_postgres::Row) -> Result<StatusJob, Fault> {
    let mut columns = Columns::of(row);
    Ok(StatusJob { status: columns.status()?, attempts: columns.count()?, version: columns.next()? })
}

/// A newer status that came meanwhile has a due time of its own: then only the way is made free for it.
const FINISH: &str = "\
    UPDATE status SET writing = NULL, gateway = NULL, taken = NULL,
        due        = CASE WHEN version = $3 THEN $4 ELSE due END,
        attempts   = CASE WHEN version = $3 THEN attempts + $8 ELSE attempts END,
        reason     = CASE WHEN version = $3 THEN $5 ELSE reason END,
        written_at = coalesce($6, written_at)
    WHERE i_account = $1 AND service_group = $2 AND writing = $3 AND gateway = $7";

pub(super) async fn finish(
    mut session: Session,
    job: &StatusJob,
    end: &StatusEnd,
    now: Timestamp,
    gateway: Uuid,
) -> Result<(), Fault> {
    let (due, reason, written_at) = match end {
        StatusEnd::Written => (None, None, Some(micros(now))),
        StatusEnd::Retry { at, reason, .. } => (Some(micros(*at)), Some(text(reason)), None),
        StatusEnd::GivenUp { reason } => (None, Some(text(reason)), None),
    };
    let Status { i_account, group, .. } = &job.status;
    let counted = i32::from(end.counts());
    session
        .write(
            FINISH,
            &[i_account, &text(group), &job.version, &due, &reason, &written_at, &gateway, &counted],
        )
        .await?;
    Ok(())
}

pub(super) const NEXT_DUE: &str =
    "SELECT due FROM status WHERE due IS NOT NULL AND writing IS NULL ORDER BY due LIMIT 1";

pub(super) async fn next_due(mut session: Session) -> Result<Option<Timestamp>, Fault> {
    let found = session.row(NEXT_DUE, &[]).await?;
    found.map(|row| Columns::of(&row).time()).transpose()
}

/// The columns that [`kept`] reads.
macro_rules! kept_columns {
    () => {
        "i_account, service_group, value, message, at, attempts, due, writing, reason, written_at"
    };
}

const OF_ACCOUNT: &str = concat!(
    "SELECT ",
    kept_columns!(),
    " FROM status WHERE i_account = $1 AND service_group > $2 ORDER BY service_group LIMIT $3"
);

const GIVEN_UP: &str = concat!(
    "SELECT ",
    kept_columns!(),
    " FROM status WHERE due IS NULL AND writing IS NULL AND reason IS NOT NULL AND (i_account, service_group) > ($1, $2)
     ORDER BY i_account, service_group LIMIT $3"
);

pub(super) async fn list(
    mut session: Session,
    which: Statuses,
    after: Option<&StatusId>,
    limit: usize,
) -> Result<Vec<KeptStatus>, Fault> {
    let (account, group) = after.map_or((i64::MIN, ""), |(account, group)| (*account, group.as_str()));
    let (sql, account) = match which {
        Statuses::OfAccount(i_account) => (OF_ACCOUNT, i_account),
        Statuses::GivenUp => (GIVEN_UP, account),
    };
    let rows = session.rows(sql, &[&account, &text(group), &row::limit(limit)]).await?;
    rows.iter().map(kept).collect()
}

fn kept(row: &tokio_postgres::Row) -> Result<KeptStatus, Fault> {
    let mut columns = Columns::of(row);
    let (status, attempts, due) = (columns.status()?, columns.count()?, columns.maybe_time()?);
    let (writing, reason): (Option<i64>, _) = (columns.next()?, columns.maybe_text()?);
    let stand = StatusStand::of(due, writing.is_some(), reason.is_some());
    Ok(KeptStatus { status, stand, attempts, reason, written_at: columns.maybe_time()? })
}

/// In the order in which others lock them.
const AGAIN: &str = "\
    WITH given_up AS MATERIALIZED (
        SELECT s.i_account, s.service_group
        FROM unnest($1::int8[], $2::text[]) AS w (i_account, service_group)
        JOIN status s ON s.i_account = w.i_account AND s.service_group = w.service_group
        WHERE s.due IS NULL AND s.writing IS NULL AND s.reason IS NOT NULL
        ORDER BY s.i_account, s.service_group FOR UPDATE OF s
    ), spread AS (
        SELECT i_account, service_group, row_number() OVER (ORDER BY i_account, service_group) - 1 AS n FROM given_up
    )
    UPDATE status s SET attempts = 0, due = $3::int8 + n * $4::int8
    FROM spread WHERE s.i_account = spread.i_account AND s.service_group = spread.service_group
    RETURNING s.i_account, s.service_group";

pub(super) async fn again(
    mut session: Session,
    statuses: &[StatusId],
    due: Timestamp,
    gap: Duration,
) -> Result<Vec<StatusId>, Fault> {
    let (accounts, groups): (Vec<i64>, Vec<_>) =
        statuses.iter().map(|(account, group)| (*account, text(group))).unzip();
    // so many may be spread over as long as times reach
    let most =
        (micros(Timestamp::MAX) - micros(due)) / i64::try_from(statuses.len()).unwrap_or(i64::MAX).max(1);
    let gap = i64::try_from(gap.as_micros()).unwrap_or(i64::MAX).min(most);
    let rows = session.write_rows(AGAIN, &[&accounts, &groups, &micros(due), &gap]).await?;
    let id = |row: &tokio_postgres::Row| {
        let mut columns = Columns::of(row);
        Ok((columns.next()?, columns.text()?))
    };
    let mut again = rows.iter().map(id).collect::<Result<Vec<StatusId>, Fault>>()?;
    again.sort_unstable();
    Ok(again)
}
