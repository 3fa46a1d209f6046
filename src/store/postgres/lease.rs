//! Who is alive: each gateway holds a lease, by the database's clock. What one had in hand when its lease ran out is taken over.
//!
//! A gateway that was frozen or cut off and comes back finds its row gone, and registers anew, under another id. What it still
//! records is refused, since its claims have ended; nothing is claimed but under a live lease, and as long as a claim goes on
//! nobody can end that lease.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Client;
use uuid::Uuid;

use super::changes::{Changes, Onward};
use super::connect::{Db, Session};
use super::fault::Fault;
use super::lane::{self, Into, Placed};
use crate::delivery::{Attempt, State};
use crate::store::StoreError;

/// This gateway's lease.
#[derive(Debug)]
pub(super) struct Lease {
    name: String,
    length: f64,
    id: Mutex<Uuid>,
    /// Claims whose answers got lost: what they took, if they took anything, isn't being worked on. When they may have been
    /// carried out at the latest nobody can say, so they stay.
    adrift: Mutex<VecDeque<Taken>>,
}

/// What one claim took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) gateway: Uuid,
    pub(super) mark: Uuid,
}

/// What was taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TakenOver {
    pub(super) gateways: usize,
    pub(super) deliveries: usize,
    pub(super) statuses: u64,
}

/// How many are remembered: claims are made one after another, with pauses after a failure.
const ADRIFT_MAX: usize = 4096;

/// The tries of one claim that have no answer. When it has ended, or is dropped, they are adrift.
pub(super) struct Tries<'l> {
    lease: &'l Lease,
    unanswered: Mutex<Vec<Taken>>,
}

impl<'l> Tries<'l> {
    pub(super) fn of(lease: &'l Lease) -> Self {
        Self { lease, unanswered: Mutex::default() }
    }

    /// One more.
    pub(super) fn next(&self) -> Taken {
        let taken = Taken { gateway: self.lease.id(), mark: Uuid::new_v4() };
        lock(&self.unanswered).push(taken);
        taken
    }

    pub(super) fn unanswered(&self) -> Vec<Taken> {
        lock(&self.unanswered).clone()
    }

    /// What it has taken is in hand, or it has taken nothing.
    pub(super) fn answered(&self, taken: Taken) {
        lock(&self.unanswered).retain(|one| *one != taken);
    }
}

impl Drop for Tries<'_> {
    fn drop(&mut self) {
        let unanswered = std::mem::take(&mut *lock(&self.unanswered));
        unanswered.into_iter().for_each(|taken| self.lease.lose(taken));
    }
}

const REGISTER: &str = "\
    INSERT INTO gateway (id, name, lease_until) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')";

const RENEW: &str = "\
    UPDATE gateway SET lease_until = clock_timestamp() + $2 * interval '1 second' WHERE id = $1";

/// One that is still claiming can't be ended.
const LAPSED: &str = "\
    SELECT id, name FROM gateway WHERE lease_until <= clock_timestamp() AND id <> $1 ORDER BY id FOR UPDATE SKIP LOCKED";

impl Lease {
    pub(super) fn new(name: String, length: Duration) -> Self {
        let id = Mutex::new(Uuid::new_v4());
        Self { name, length: length.as_secs_f64(), id, adrift: Mutex::default() }
    }

    /// Under which id this gateway claims now.
    pub(super) fn id(&self) -> Uuid {
        *lock(&self.id)
    }

    /// Prolongs the lease; if somebody has ended it, begins another.
    pub(super) async fn renew(&self, client: &Client) -> Result<(), Fault> {
        let id = self.id();
        if client.execute(RENEW, &[&id, &self.length]).await? > 0 {
            return Ok(());
        }
        let new = Uuid::new_v4();
        client.execute(REGISTER, &[&new, &self.name, &self.length]).await?;
        let mut current = lock(&self.id);
        // another task may have been quicker: then its registration is left to run out
        if *current == id {
            *current = new;
        }
        Ok(())
    }

    /// Gives it up: others may take over at once.
    pub(super) async fn end(&self, mut session: Session) -> Result<(), Fault> {
        session.write("UPDATE gateway SET lease_until = '-infinity' WHERE id = $1", &[&self.id()]).await?;
        Ok(())
    }

    /// Nobody knows whether this claim took anything.
    pub(super) fn lose(&self, taken: Taken) {
        let mut adrift = lock(&self.adrift);
        adrift.push_back(taken);
        if adrift.len() > ADRIFT_MAX {
            adrift.pop_front();
        }
    }

    /// Gives back what claims took whose answers got lost: nothing has been attempted.
    pub(super) async fn salvage(&self, db: &Db) -> Result<(), StoreError> {
        let gateway = self.id();
        let marks: Vec<Uuid> = {
            let mut adrift = lock(&self.adrift);
            // what another id of ours had in hand is taken over
            adrift.retain(|taken| taken.gateway == gateway);
            adrift.iter().map(|taken| taken.mark).collect()
        };
        if marks.is_empty() {
            return Ok(());
        }
        db.again(true, || async { give_back(db.session().await?, gateway, &marks).await }).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn give_back(mut session: Session, gateway: Uuid, marks: &[Uuid]) -> Result<(), Fault> {
    session.begin();
    let found = session
        .rows("SELECT seq FROM delivery WHERE gateway = $1 AND taken = ANY ($2)", &[&gateway, &marks])
        .await?;
    let seqs: Vec<i64> = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let placed = lane::lock_seqs(&mut session, &seqs, Into::Present).await?;
    let mut changes = Changes::default();
    let states: Vec<_> = placed
        .iter()
        .filter(|placed| placed.gateway == Some(gateway))
        .filter_map(|placed| match placed.state {
            State::InFlight { since } => Some((placed, since, State::Pending { due: since })),
            _ => None,
        })
        .collect();
    for (placed, at, state) in &states {
        let Placed { attempts, tries, since, .. } = **placed;
        changes.go_on(placed, Onward { state, attempts, tries, since, at: *at });
    }
    session
        .rows(
            "UPDATE status SET writing = NULL, gateway = NULL, taken = NULL WHERE gateway = $1 AND taken = ANY ($2)",
            &[&gateway, &marks],
        )
        .await?;
    changes.commit(session).await
}

/// Takes over what gateways had in hand whose leases have run out: it is pending again, with the interrupted attempt on record.
/// The external system didn't fail, so that isn't counted as a try.
pub(super) async fn take_over(mut session: Session, me: Uuid, now: Timestamp) -> Result<TakenOver, Fault> {
    session.begin();
    let rows = session.rows(LAPSED, &[&me]).await?;
    let mut gateways: Vec<Uuid> = Vec::with_capacity(rows.len());
    for row in &rows {
        gateways.push(row.try_get(0)?);
        let name: &str = row.try_get(1)?;
        tracing::info!(name, "the lease of a gateway has run out; what it had in hand is taken over");
    }
    if gateways.is_empty() {
        session.commit(&[]).await?;
        return Ok(TakenOver::default());
    }
    let found = session.rows("SELECT seq FROM delivery WHERE gateway = ANY ($1)", &[&gateways]).await?;
    let seqs: Vec<i64> = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let placed = lane::lock_seqs(&mut session, &seqs, Into::Present).await?;
    let theirs =
        placed.iter().filter(|placed| placed.gateway.is_some_and(|gateway| gateways.contains(&gateway)));
    let interrupted: Vec<_> = theirs.filter_map(|placed| Interrupted::of(placed, now)).collect();
    let mut changes = Changes::default();
    for one in &interrupted {
        one.record(&mut changes, now);
    }
    let freed = session
        .rows(
            "UPDATE status SET writing = NULL, gateway = NULL, taken = NULL WHERE gateway = ANY ($1) RETURNING 1",
            &[&gateways],
        )
        .await?;
    session.rows("DELETE FROM gateway WHERE id = ANY ($1)", &[&gateways]).await?;
    session.rows("DELETE FROM probe WHERE gateway = ANY ($1)", &[&gateways]).await?;
    let taken =
        TakenOver { gateways: gateways.len(), deliveries: interrupted.len(), statuses: freed.len() as u64 };
    changes.commit(session).await?;
    Ok(taken)
}

/// One that was in flight when its gateway stopped.
pub(super) struct Interrupted<'p> {
    placed: &'p Placed,
    attempt: Attempt,
    state: State,
}

impl<'p> Interrupted<'p> {
    pub(super) fn of(placed: &'p Placed, now: Timestamp) -> Option<Self> {
        let (state, outcome) = placed.state.interrupted(now);
        let (State::InFlight { since: started_at }, Some(outcome)) = (&placed.state, outcome) else {
            return None;
        };
        let attempt = Attempt {
            number: placed.attempts + 1,
            started_at: *started_at,
            ended_at: now,
            outcome,
            request: None,
            response: None,
            settled: None,
        };
        Some(Self { placed, attempt, state })
    }

    pub(super) fn record<'a>(&'a self, changes: &mut Changes<'a>, now: Timestamp) {
        let Placed { claims, tries, since, .. } = *self.placed;
        changes.attempt(self.placed, claims, &self.attempt);
        let attempts = self.attempt.number;
        changes.go_on(self.placed, Onward { state: &self.state, attempts, tries, since, at: now });
    }
}
