//! Carries what happens in the workers and in PortaBilling's client to the metrics.

use std::sync::Arc;
use std::time::Duration;

use portabilling::client::{CallReport, Cause, Observer as CallObserver};
use soapstone_soap::CallError;

use crate::breaker::{Breaker, BreakerState};
use crate::dispatch::{AttemptEnded, Observer};
use crate::store::{Status, StoreError};
use crate::telemetry::{Stage, Telemetry};

/// The metrics as an observer of the workers.
pub(super) struct Counted {
    telemetry: Arc<Telemetry>,
    /// Who else wants to know of attempts.
    also: Option<Arc<dyn Observer>>,
}

impl Counted {
    pub(super) fn new(telemetry: Arc<Telemetry>, also: Option<Arc<dyn Observer>>) -> Self {
        Self { telemetry, also }
    }
}

impl Observer for Counted {
    fn attempt_ended(&self, ended: &AttemptEnded<'_>) {
        self.telemetry.delivery(ended.handler, ended.outcome);
        self.telemetry.stage(Stage::Enrich, ended.enrich);
        self.telemetry.stage(Stage::Connect, ended.connect);
        self.telemetry.stage(Stage::Record, ended.record);
        let worked: Duration = ended.enrich + ended.connect + ended.record;
        self.telemetry.stage(Stage::Wait, ended.since_accepted.saturating_sub(worked));
        if matches!(ended.state, crate::delivery::State::Delivered { .. }) {
            self.telemetry.stage(Stage::Whole, ended.since_accepted);
        }
        if let Some(also) = &self.also {
            also.attempt_ended(ended);
        }
    }

    fn attempt_overtaken(&self, handler: &str) {
        self.telemetry.overtaken(handler);
        if let Some(also) = &self.also {
            also.attempt_overtaken(handler);
        }
    }

    fn status_ended(&self, status: &Status, reason: Option<&str>, again: bool) {
        let outcome = match (reason, again) {
            (None, _) => "written",
            (Some(_), true) => "retry",
            (Some(_), false) => "given_up",
        };
        if let (Some(reason), false) = (reason, again) {
            tracing::warn!(
                i_account = status.i_account,
                group = status.group,
                reason,
                "a status is given up"
            );
        }
        self.telemetry.status(status.value, outcome);
    }

    fn breaker_changed(&self, breaker: &Breaker) {
        self.telemetry.breaker(breaker);
        let Breaker { name, state, reason, .. } = breaker;
        let reason = reason.as_deref().unwrap_or_default();
        match state {
            BreakerState::Open { until } => {
                tracing::error!(breaker = name, %until, reason, "left alone until then; deliveries wait");
            }
            BreakerState::HalfOpen { .. } => {
                tracing::info!(breaker = name, "one delivery tries whether it is well again")
            }
            BreakerState::Closed => {
                tracing::warn!(breaker = name, "it is asked again; the backlog resumes gently")
            }
        }
    }

    fn store_failed(&self, _: &'static str, _: &StoreError) {
        self.telemetry.store_error();
    }
}

/// Counts the calls to PortaBilling.
pub(super) fn calls(telemetry: Arc<Telemetry>) -> CallObserver {
    Arc::new(move |report: &CallReport<'_>| {
        let outcome = match report.error.map(|error| &error.cause) {
            None => "ok",
            Some(Cause::Login(_) | Cause::LoginPause(..)) => "no_login",
            Some(Cause::Queue(_)) => "queue_full",
            Some(Cause::Unreadable { .. }) => "unreadable",
            Some(Cause::Status { .. }) => "refused",
            Some(Cause::Call(error)) => match &**error {
                CallError::Fault(_) => "fault",
                CallError::NotSent(_) => "not_sent",
                CallError::MaybeSent(_) => "no_answer",
                CallError::Unreadable { .. } => "unreadable",
                _ => "not_encoded",
            },
            Some(_) => "other",
        };
        telemetry.portabilling_call(report.service, report.method, outcome);
        if let Some(fault) = report.error.and_then(|error| error.fault()) {
            telemetry.portabilling_fault(fault.code());
        }
    })
}
