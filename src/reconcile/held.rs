//! Who walks: of all gateways on a store one at a time, for each handler.
//!
//! The note of a walk says who walks, and whoever does writes it anew all the time, each time in place of just the note that it
//! wrote before. So it learns when another has taken the walk over, and stops. Another takes it over when nobody holds it (a
//! gateway that is stopped lets go), or when the note hasn't changed for as long as a lease: that is measured by whoever looks,
//! so no two clocks have to agree. A gateway that was frozen and wakes may make the few events that it had in hand; they only
//! have something delivered that is true.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::account::{By, Walk, WalkState};
use super::{ReconcileSettings, Reconciler, Refused};
use crate::store::StoreError;

/// What this process holds of a walk.
pub(super) struct Hold {
    note: String,
    by: By,
    /// The note as it was written last.
    text: Option<String>,
}

/// Whether a walk is held after it has been kept, or let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum Held {
    Yes,
    No,
}

/// Another gateway has taken the walk over.
#[derive(Debug)]
pub(super) struct Lost;

/// The name of the note.
pub(super) fn note_of(handler: &str) -> String {
    format!("reconcile.{handler}")
}

/// What a note says.
pub(super) fn read(handler: &str, text: Option<&str>) -> Option<Walk> {
    match serde_json::from_str(text?) {
        Ok(walk) => Some(walk),
        Err(error) => {
            tracing::warn!(handler, %error, "how far the last reconciliation was can't be read; it is forgotten");
            None
        }
    }
}

impl Hold {
    /// To be kept in place of the note `text`.
    pub(super) fn new(
        settings: &ReconcileSettings,
        handler: &str,
        text: Option<String>,
        now: Timestamp,
    ) -> Self {
        let by =
            By { gateway: settings.gateway.clone(), since: now, id: Uuid::new_v4().to_string(), beat: 0 };
        Self { note: note_of(handler), by, text }
    }

    /// Whether this note is ours.
    fn wrote(&self, text: &str) -> bool {
        let walk = serde_json::from_str::<Walk>(text).ok();
        walk.and_then(|walk| walk.by).is_some_and(|by| by.id == self.by.id)
    }
}

impl Reconciler {
    /// Keeps the walk; answers whether it was still ours.
    pub(super) async fn keep(&self, hold: &mut Hold, walk: &Walk, held: Held) -> Result<bool, StoreError> {
        hold.by.beat += 1;
        let by = (held == Held::Yes).then(|| hold.by.clone());
        let walk = Walk { by, ..walk.clone() };
        let text = serde_json::to_string(&walk).map_err(|error| StoreError::Rejected(error.to_string()))?;
        for _ in 0..2 {
            if self.store.swap_note(hold.note.clone(), hold.text.clone(), text.clone()).await? {
                hold.text = Some(text);
                return Ok(true);
            }
            // what seemed to fail may have been done
            match self.store.note(hold.note.clone()).await? {
                Some(there) if there == text => {
                    hold.text = Some(text);
                    return Ok(true);
                }
                Some(there) if hold.wrote(&there) => hold.text = Some(there),
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Keeps what is heard of the walk, and shows that it is held, until nothing more will be heard. Stops it if it is lost.
    pub(super) async fn keep_all(
        &self,
        mut hold: Hold,
        mut heard: watch::Receiver<Walk>,
        stop: &CancellationToken,
    ) -> Result<Hold, Lost> {
        let mut pause = self.settings.pause;
        let mut rest = self.settings.heartbeat;
        loop {
            tokio::select! {
                changed = heard.changed() => if changed.is_err() { return Ok(hold) },
                () = tokio::time::sleep(rest) => {}
            }
            let walk = heard.borrow_and_update().clone();
            match self.keep(&mut hold, &walk, Held::Yes).await {
                Ok(true) => (pause, rest) = (self.settings.pause, self.settings.heartbeat),
                Ok(false) => {
                    stop.cancel();
                    return Err(Lost);
                }
                Err(error) => {
                    self.store_failed("swap_note", &error);
                    rest = pause.next().min(self.settings.heartbeat);
                }
            }
        }
    }

    /// What the store knows of walks; those that nobody walks go on here.
    pub(super) async fn look_around(self: &Arc<Self>) -> Result<(), StoreError> {
        for name in self.fit() {
            let text = self.store.note(note_of(&name)).await?;
            let Some(walk) = self.noted(&name, text.clone()) else { continue };
            let from = walk.by.as_ref().map(|by| by.gateway.clone());
            tracing::info!(handler = name, from, "goes on with a reconciliation that nobody walks any more");
            match self.hold(walk, text).await {
                Ok(_) | Err(Refused::Running(_)) => {}
                Err(Refused::Store(error)) => return Err(error),
                Err(error) => tracing::warn!(handler = name, %error, "it doesn't go on"),
            }
        }
        Ok(())
    }

    /// Looks at a note; answers the walk if nobody walks any more.
    pub(super) fn noted(&self, handler: &str, text: Option<String>) -> Option<Walk> {
        let mut walks = self.lock();
        let known = walks.entry(handler.to_owned()).or_default();
        if known.run.is_some() {
            return None;
        }
        if known.text != text {
            known.walk = read(handler, text.as_deref());
            (known.text, known.unchanged) = (text, Instant::now());
        }
        let walk = known.walk.clone().filter(|walk| walk.state == WalkState::Running)?;
        (walk.by.is_none() || known.unchanged.elapsed() >= self.settings.lease).then_some(walk)
    }
}
