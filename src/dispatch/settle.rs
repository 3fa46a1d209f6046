//! Ends waits for callbacks: by what was called back, or since nothing was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{AttemptEnded, Clock, Jitter, Observer};
use crate::callback::Token;
use crate::delivery::{Delivery, Failure, Outcome, Settlement, State};
use crate::event::Event;
use crate::handler::{Handler, Retries};
use crate::store::{Claimed, Control, Settle, Status, Store, StoreError};

/// How many overdue waits are read from the store at a time.
const OVERDUE: usize = 256;

/// How many of them are ended at a time, so that they share what it takes to get them onto the disk.
const AT_A_TIME: usize = 32;

/// Ends waits for callbacks.
#[derive(Clone)]
pub struct Settler {
    pub(super) store: Arc<dyn Store>,
    pub(super) handlers: BTreeMap<String, Handler>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) now: Clock,
    pub(super) jitter: Jitter,
    pub(super) nudge: Arc<Notify>,
    pub(super) status_nudge: Arc<Notify>,
}

/// What became of a callback.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// It is kept, and the delivery stands like that now.
    Done(State),
    /// The attempt that it belongs to hasn't ended yet: ask again in a moment.
    TooEarly,
    /// It came too late, or for the second time.
    Over,
    /// There is no such delivery (any more).
    Unknown,
}

impl Settler {
    /// Ends the wait that `token` stands for.
    ///
    /// # Errors
    /// When the store fails; calling back again is safe.
    pub async fn call_back(
        &self,
        control: &dyn Control,
        token: Token,
        outcome: Outcome,
        body: Option<String>,
    ) -> Result<Settled, StoreError> {
        let Some(found) = control.delivery(token.delivery).await? else { return Ok(Settled::Unknown) };
        match found.delivery.state {
            State::Awaiting { .. } if found.claim == token.claim => {}
            State::InFlight { .. } if found.claim == token.claim => return Ok(Settled::TooEarly),
            _ => return Ok(Settled::Over),
        }
        self.settle(&found.delivery, &found.event, token.claim, outcome, body).await
    }

    /// Those whose deadline has passed have failed: all of them, unless it is to stop before.
    pub(super) async fn give_up_waiting(self, now: Timestamp, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.give_up_some(now).await {
                Ok(true) => {}
                Ok(false) => return,
                // they are found again at the next look
                Err(error) => {
                    tracing::error!(verb = "settle", %error, "the store failed");
                    return self.observer.store_failed("settle", &error);
                }
            }
        }
    }

    /// The same for so many of them; answers whether there may be more.
    async fn give_up_some(&self, now: Timestamp) -> Result<bool, StoreError> {
        let overdue = self.store.overdue(now, OVERDUE).await?;
        let full = overdue.len() == OVERDUE;
        let ends: Vec<_> = overdue.into_iter().map(|one| self.give_up(one)).collect();
        let ended: Vec<_> = futures::stream::iter(ends).buffer_unordered(AT_A_TIME).collect().await;
        let ended: Vec<_> = ended.into_iter().collect::<Result<_, _>>()?;
        // if others have ended them all, they see to the rest
        Ok(full && ended.iter().any(|settled| matches!(settled, Settled::Done(_))))
    }

    async fn give_up(&self, one: Claimed) -> Result<Settled, StoreError> {
        let reason =
            "the external system took it on and did not call back in time; it may have been carried out";
        let outcome = Outcome::Retry { class: Failure::Callback, reason: reason.to_owned(), after: None };
        self.settle(&one.delivery, &one.event, one.claim, outcome, None).await
    }

    async fn settle(
        &self,
        delivery: &Delivery,
        event: &Event,
        claim: u32,
        outcome: Outcome,
        body: Option<String>,
    ) -> Result<Settled, StoreError> {
        let now = (self.now)();
        let handler = self.handlers.get(&delivery.handler);
        let default = Retries::default();
        let retries = handler.map_or(&default, |handler| &handler.retry);
        let tries = delivery.tries;
        let state = delivery.state.next(&outcome, tries, delivery.since, retries, (self.jitter)(), now);
        let message = match &state {
            State::Parked { reason, .. } => Some(reason.as_str()),
            _ => outcome.reason(),
        };
        let status =
            handler.and_then(|handler| status(handler, event, &state, delivery.attempts, message, now));
        let settle = Settle {
            delivery: delivery.id,
            claim,
            settlement: Settlement { at: now, outcome: outcome.clone(), body },
            state: state.clone(),
            tries,
            status,
        };
        match self.store.settle(settle).await {
            Ok(()) => {}
            Err(StoreError::Overtaken(_)) => return Ok(Settled::Over),
            Err(error) => return Err(error),
        }
        self.nudge.notify_one();
        self.status_nudge.notify_one();
        self.observer.attempt_ended(&AttemptEnded {
            handler: &delivery.handler,
            event,
            attempt: delivery.attempts,
            outcome: &outcome,
            state: &state,
            enrich: Duration::ZERO,
            connect: Duration::ZERO,
            record: Duration::ZERO,
            since_accepted: Duration::try_from(now.duration_since(delivery.accepted_at)).unwrap_or_default(),
        });
        Ok(Settled::Done(state))
    }
}

/// The status that says so. Only accounts have one, and only in the handler's service group (ESPF).
pub(super) fn status(
    handler: &Handler,
    event: &Event,
    state: &State,
    attempts: u32,
    message: Option<&str>,
    at: Timestamp,
) -> Option<Status> {
    Some(Status {
        i_account: event.i_account()?,
        group: handler.service_group.clone()?,
        value: state.status(attempts)?,
        message: message.map(str::to_owned),
        at,
    })
}
