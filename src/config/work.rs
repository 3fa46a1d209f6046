//! What the gateway does by itself: delivering, waiting for callbacks, forgetting, reconciling, writing statuses back.

use super::Secret;
use super::defaults;
use super::effective::as_optional_duration;
use super::effective::as_retry;
use super::effective::as_url;
use super::units::serialize_duration;
use super::units::serialize_size;
use crate::dispatch::DispatchSettings;
use crate::handler::RetrySchedule;
use crate::reconcile::ReconcileSettings;
use crate::status::StatusSettings;
use reqwest::Url;
use serde::Serialize;
use std::time::Duration;

/// `[dispatch]`: how deliveries are made.
#[derive(Debug, Clone, Serialize)]
pub struct Dispatch {
    /// The most deliveries under way at a time, per handler.
    pub max_in_flight: u64,
    /// How long one attempt may take, PortaBilling's answers and the external system's included; longer than each connector's
    /// own time-out.
    #[serde(serialize_with = "serialize_duration")]
    pub attempt_timeout: Duration,
    /// How often it looks for work by itself, should nothing have told it.
    #[serde(serialize_with = "serialize_duration")]
    pub tick: Duration,
    /// How long deliveries under way may go on after the gateway was told to stop.
    #[serde(serialize_with = "serialize_duration")]
    pub drain: Duration,
    /// Whether `IN_PROGRESS` is written back when the first attempt of a delivery starts.
    pub announce: bool,
}

impl Dispatch {
    /// As the dispatcher takes them.
    pub fn settings(&self) -> DispatchSettings {
        DispatchSettings {
            max_in_flight: usize::try_from(self.max_in_flight).unwrap_or(usize::MAX),
            attempt_max: self.attempt_timeout,
            tick: self.tick,
            drain: self.drain,
            announce: self.announce,
            ..DispatchSettings::default()
        }
    }
}

impl Default for Dispatch {
    fn default() -> Self {
        let default = DispatchSettings::default();
        Self {
            max_in_flight: default.max_in_flight as u64,
            attempt_timeout: default.attempt_max,
            tick: default.tick,
            drain: default.drain,
            announce: default.announce,
        }
    }
}

/// `[callback]`: how external systems that finish later call back.
#[derive(Debug, Clone, Serialize)]
pub struct CallbackListening {
    /// Where they reach the intake's address, without a path: what they are told begins with it.
    #[serde(serialize_with = "as_url")]
    pub url: Url,
    /// Signs the addresses that they are told; the same on all gateways of one store.
    pub secret: Secret,
    /// The longest body, in bytes.
    #[serde(serialize_with = "serialize_size")]
    pub body_limit: u64,
    /// How long a callback may wait for the attempt that it belongs to: it may be quicker than our own record of it.
    #[serde(serialize_with = "serialize_duration")]
    pub patience: Duration,
}

/// `[retention]`: how long what has happened is kept.
#[derive(Debug, Clone, Serialize)]
pub struct Retention {
    /// Events with their deliveries and attempts, once all of them have ended.
    #[serde(serialize_with = "serialize_duration")]
    pub events: Duration,
    /// What was asked and answered at an attempt.
    #[serde(serialize_with = "serialize_duration")]
    pub bodies: Duration,
    /// How often it is looked for what is old enough.
    #[serde(serialize_with = "serialize_duration")]
    pub every: Duration,
    /// How many events and attempts one step looks at.
    pub step: u64,
    /// How long the store is left alone between two steps.
    #[serde(serialize_with = "serialize_duration")]
    pub pause: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events: defaults::RETENTION_EVENTS,
            bodies: defaults::RETENTION_BODIES,
            every: defaults::RETENTION_EVERY,
            step: defaults::RETENTION_STEP,
            pause: defaults::RETENTION_PAUSE,
        }
    }
}

/// `[reconcile]`: how what was delivered is compared with what PortaBilling says, beside the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciling {
    /// How often; none: only when somebody asks for it.
    #[serde(serialize_with = "as_optional_duration", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// How long after a walk has broken off the schedule has it go on.
    #[serde(serialize_with = "serialize_duration")]
    pub again: Duration,
    /// How many accounts per second, for each handler.
    pub rate: u64,
    /// How many accounts one page of PortaBilling's list has.
    pub page: u64,
    /// How many accounts are asked for at a time, for each handler.
    pub in_flight: u64,
    /// How many of those that differ are shown.
    pub examples: u64,
    /// For how many that are gone a walk makes events before it breaks off.
    pub gone_max: u64,
}

impl Reconciling {
    /// As the walks take them.
    pub fn settings(&self) -> ReconcileSettings {
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        ReconcileSettings {
            every: self.every,
            again: self.again,
            rate: self.rate as f64,
            page: size(self.page),
            in_flight: size(self.in_flight),
            examples: size(self.examples),
            gone_max: self.gone_max,
            ..ReconcileSettings::default()
        }
    }
}

impl Default for Reconciling {
    fn default() -> Self {
        let default = ReconcileSettings::default();
        Self {
            every: default.every,
            again: default.again,
            // truncation is meant: the default is whole
            rate: default.rate as u64,
            page: default.page as u64,
            in_flight: default.in_flight as u64,
            examples: default.examples as u64,
            gone_max: default.gone_max,
        }
    }
}

/// `[status]`: how provisioning statuses are written back.
#[derive(Debug, Clone, Serialize)]
pub struct StatusWriting {
    /// The most write-backs at a time.
    pub max_in_flight: u64,
    /// How long one may take.
    #[serde(serialize_with = "serialize_duration")]
    pub timeout: Duration,
    /// How long write-backs under way may go on after the gateway was told to stop.
    #[serde(serialize_with = "serialize_duration")]
    pub drain: Duration,
    /// When a failed one is tried again.
    #[serde(serialize_with = "as_retry")]
    pub retry: RetrySchedule,
}

impl StatusWriting {
    /// As the writer takes them.
    pub fn settings(&self) -> StatusSettings {
        StatusSettings {
            max_in_flight: usize::try_from(self.max_in_flight).unwrap_or(usize::MAX),
            write_max: self.timeout,
            drain: self.drain,
            retry: self.retry.clone(),
            ..StatusSettings::default()
        }
    }
}

impl Default for StatusWriting {
    fn default() -> Self {
        let default = StatusSettings::default();
        Self {
            max_in_flight: default.max_in_flight as u64,
            timeout: default.write_max,
            drain: default.drain,
            retry: default.retry,
        }
    }
}
