//! How deliveries go on: attempts are recorded, claims given back, waits for callbacks ended.

use std::collections::HashSet;
use std::slice;

use jiff::Timestamp;

use super::changes::{Changes, Onward};
use super::connect::{Db, Session};
use super::fault::Fault;
use super::lane::{self, Into, Placed, known};
use super::row::{self, Columns, delivery_columns, event_columns, micros, small};
use crate::delivery::{Attempt, DeliveryId, State};
use crate::store::{Claimed, Record, Settle, StoreError};

/// Records all of them; what can't be recorded takes nothing with it.
pub(super) async fn record(db: &Db, records: &[Record]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut answers = vec![None; records.len()];
    // One after another those of the same delivery: each must see what the one before has done.
    while answers.iter().any(Option::is_none) {
        let mut seen = HashSet::new();
        let now: Vec<usize> = (0..records.len())
            .filter(|at| answers[*at].is_none() && seen.insert(records[*at].delivery))
            .collect();
        let part: Vec<&Record> = now.iter().map(|at| &records[*at]).collect();
        for (at, answer) in now.into_iter().zip(db.again(true, || once(db, &part)).await?) {
            answers[at] = Some(answer);
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

async fn once(db: &Db, records: &[&Record]) -> Result<Vec<Result<(), StoreError>>, Fault> {
    let mut session = db.session().await?;
    let ids: Vec<_> = records.iter().map(|record| record.delivery).collect();
    let placed = lane::lock(&mut session, &ids, Into::Present).await?;
    let mut changes = Changes::default();
    let mut answers = Vec::with_capacity(records.len());
    for record in records {
        answers.push(match known(&placed, record.delivery) {
            Ok(placed) if has_ended(placed, record.claim) => {
                is_recorded(&mut session, placed, record).await?
            }
            Ok(placed) => take_down(placed, record, &mut changes),
            Err(error) => Err(error),
        });
    }
    changes.commit(session).await?;
    Ok(answers)
}

fn has_ended(placed: &Placed, claim: u32) -> bool {
    placed.claims != claim || !matches!(placed.state, State::InFlight { .. })
}

/// Whether this very attempt has been recorded before. One that was recorded for it by whoever took over isn't the same.
async fn is_recorded(
    session: &mut Session,
    placed: &Placed,
    record: &Record,
) -> Result<Result<(), StoreError>, Fault> {
    let Attempt { number, started_at, ended_at, .. } = record.attempt;
    let found = session
        .row(
            "SELECT 1 FROM attempt
             WHERE delivery = $1 AND number = $2 AND claim = $3 AND started_at = $4 AND ended_at = $5",
            &[&placed.seq, &small(number), &small(record.claim), &micros(started_at), &micros(ended_at)],
        )
        .await?;
    Ok(found.map(|_| ()).ok_or(StoreError::Overtaken(record.delivery)))
}

fn take_down<'a>(
    placed: &'a Placed,
    record: &'a Record,
    changes: &mut Changes<'a>,
) -> Result<(), StoreError> {
    let Record { attempt, state, .. } = record;
    if attempt.number != placed.attempts + 1 || matches!(state, State::InFlight { .. }) {
        return Err(StoreError::Rejected(format!(
            "attempt {} of delivery {}, which is {} after {} attempts",
            attempt.number,
            record.delivery,
            placed.state.word(),
            placed.attempts
        )));
    }
    changes.attempt(placed, record.claim, attempt);
    let Placed { since, .. } = *placed;
    let (attempts, tries, at) = (attempt.number, record.tries, attempt.ended_at);
    changes.go_on(placed, Onward { state, attempts, tries, since, at });
    match (state, &record.last) {
        (State::Delivered { .. }, Some(pb_data)) => changes.last(placed, pb_data, attempt.ended_at),
        (State::Awaiting { deadline }, pb_data) => {
            changes.wait(placed, record.claim, *deadline, pb_data.as_deref());
        }
        _ => {}
    }
    if let Some(status) = &record.status {
        changes.status(status);
    }
    Ok(())
}

/// Ends the transaction at once, since others go round what is locked.
async fn refuse(session: Session, error: StoreError) -> Result<(), Fault> {
    session.commit(&[]).await?;
    Err(error.into())
}

pub(super) async fn release(
    mut session: Session,
    delivery: DeliveryId,
    claim: u32,
    due: Timestamp,
) -> Result<(), Fault> {
    let placed = lane::lock(&mut session, &[delivery], Into::Present).await?;
    let placed = match known(&placed, delivery) {
        Ok(placed) => placed,
        Err(error) => return refuse(session, error).await,
    };
    let at = match placed.state {
        State::InFlight { since } if placed.claims == claim => since,
        _ => return refuse(session, StoreError::Overtaken(delivery)).await,
    };
    let state = State::Pending { due };
    let Placed { attempts, tries, since, .. } = *placed;
    let mut changes = Changes::default();
    changes.go_on(placed, Onward { state: &state, attempts, tries, since, at });
    changes.commit(session).await
}

pub(super) async fn settle(mut session: Session, settle: &Settle) -> Result<(), Fault> {
    let placed = lane::lock(&mut session, slice::from_ref(&settle.delivery), Into::Present).await?;
    let placed = match known(&placed, settle.delivery) {
        Ok(placed) if placed.claims == settle.claim && matches!(placed.state, State::Awaiting { .. }) => {
            placed
        }
        Ok(_) => return refuse(session, StoreError::Overtaken(settle.delivery)).await,
        Err(error) => return refuse(session, error).await,
    };
    let pb_data = match settle.state {
        State::Delivered { .. } => {
            let found =
                session.row("SELECT pb_data FROM awaiting WHERE delivery = $1", &[&placed.seq]).await?;
            found.map(|row| Columns::of(&row).maybe_text()).transpose()?.flatten()
        }
        _ => None,
    };
    let mut changes = Changes::default();
    changes.settle(placed, &settle.settlement);
    let Placed { attempts, since, .. } = *placed;
    let at = settle.settlement.at;
    changes.go_on(placed, Onward { state: &settle.state, attempts, tries: settle.tries, since, at });
    if let Some(pb_data) = &pb_data {
        changes.last(placed, pb_data, at);
    }
    if let Some(status) = &settle.status {
        changes.status(status);
    }
    changes.commit(session).await
}

pub(super) const OVERDUE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", ",
    event_columns!(),
    ", d.claims, a.pb_data
    FROM awaiting a JOIN delivery d ON d.seq = a.delivery JOIN event e ON e.seq = d.seq / 1024
    WHERE a.deadline <= $1 ORDER BY a.deadline LIMIT $2"
);

pub(super) async fn overdue(
    mut session: Session,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Claimed>, Fault> {
    let rows = session.rows(OVERDUE, &[&micros(now), &row::limit(limit)]).await?;
    rows.iter().map(|row| Ok(Columns::of(row).claimed()?.1)).collect()
}

pub(super) async fn next_deadline(mut session: Session) -> Result<Option<Timestamp>, Fault> {
    let found = session.row("SELECT deadline FROM awaiting ORDER BY deadline LIMIT 1", &[]).await?;
    found.map(|row| Columns::of(&row).time()).transpose()
}
