//! What the gateway counts and measures, as one value that is handed to whoever counts.
//!
//! Labels are bounded: an event type or a fault code comes from outside, so beyond the first [`MAX_VALUES`] different ones
//! they count as `other`.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::breaker::{Breaker, BreakerState};
use crate::delivery::Outcome;
use crate::event::SubjectKind;
use crate::reconcile::Finding;
use crate::store::{Backlog, StatusValue};

/// How many different event types, and how many fault codes, are counted apart.
pub const MAX_VALUES: usize = 200;

/// The part of an event's way that a duration belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From the request's headers to the answer.
    Accept,
    /// From acceptance, or from when it was due, to being claimed.
    Wait,
    /// Asking PortaBilling.
    Enrich,
    /// The external system.
    Connect,
    /// Recording the attempt.
    Record,
    /// From acceptance to delivery.
    Whole,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Wait => "wait",
            Self::Enrich => "enrich",
            Self::Connect => "connect",
            Self::Record => "record",
            Self::Whole => "whole",
        }
    }
}

/// Counters, gauges and histograms, and the registry that renders them.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    events: Family<EventLabels, Counter>,
    event_types: Bounded,
    deliveries: Family<DeliveryLabels, Counter>,
    stages: Family<StageLabels, Histogram, fn() -> Histogram>,
    backlog: Family<BacklogLabels, Gauge>,
    oldest: Family<HandlerLabels, Gauge>,
    calls: Family<CallLabels, Counter>,
    faults: Family<FaultLabels, Counter>,
    fault_codes: Bounded,
    statuses: Family<StatusLabels, Counter>,
    connections: Family<ListenerLabels, Gauge>,
    breakers: Family<BreakerLabels, Gauge>,
    reconciled: Family<ReconcileLabels, Counter>,
    store_errors: Counter,
    /// The backlog's gauges are made anew each time, one reader after the other.
    rendering: Mutex<()>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    source: String,
    r#type: String,
    answer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    handler: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BacklogLabels {
    handler: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandlerLabels {
    handler: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    service: String,
    method: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    value: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabels {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    handler: String,
    kind: &'static str,
    finding: &'static str,
}

/// 50 µs to about 7 minutes.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 24))
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut telemetry = Self {
            registry: Registry::with_prefix("soapstone"),
            events: Family::default(),
            event_types: Bounded::default(),
            deliveries: Family::default(),
            stages: Family::new_with_constructor(durations),
            backlog: Family::default(),
            oldest: Family::default(),
            calls: Family::default(),
            faults: Family::default(),
            fault_codes: Bounded::default(),
            statuses: Family::default(),
            connections: Family::default(),
            breakers: Family::default(),
            reconciled: Family::default(),
            store_errors: Counter::default(),
            rendering: Mutex::default(),
        };
        telemetry.register();
        telemetry
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "events",
            "Requests to the intake by source, event type and answer",
            self.events.clone(),
        );
        let help = "Attempts to deliver by handler and outcome; those that are overtaken count for nothing";
        registry.register("deliveries", help, self.deliveries.clone());
        let help = "How long each stage of an event's way took";
        registry.register("stage_duration_seconds", help, self.stages.clone());
        let help = "Deliveries in the store by handler and state";
        registry.register("backlog_deliveries", help, self.backlog.clone());
        let help = "Age of the oldest delivery that waits, by handler";
        registry.register("backlog_oldest_age_seconds", help, self.oldest.clone());
        let help = "Calls to PortaBilling by service, method and outcome";
        registry.register("portabilling_calls", help, self.calls.clone());
        registry.register("portabilling_faults", "Faults of PortaBilling by code", self.faults.clone());
        let help = "Provisioning statuses written back by value and outcome";
        registry.register("status_writes", help, self.statuses.clone());
        let help = "Circuit breakers by name: 0 closed, 1 half open, 2 open";
        registry.register("breaker", help, self.breakers.clone());
        let help = "Accounts and customers that were compared with what was delivered last, by handler, kind and finding";
        registry.register("reconciled", help, self.reconciled.clone());
        registry.register("connections", "Open connections by listener", self.connections.clone());
        let help = "Times that the store couldn't take or give what was asked";
        registry.register("store_errors", help, self.store_errors.clone());
    }

    /// Counts a request to the intake; `event_type` where it came to be known.
    pub fn event(&self, source: &str, event_type: Option<&str>, answer: &'static str) {
        let event_type = event_type.map_or_else(String::new, |name| self.event_types.admit(name));
        let labels = EventLabels { source: source.to_owned(), r#type: event_type, answer };
        self.events.get_or_create(&labels).inc();
    }

    /// Counts an attempt.
    pub fn delivery(&self, handler: &str, outcome: &Outcome) {
        let outcome = outcome.word();
        self.deliveries.get_or_create(&DeliveryLabels { handler: handler.to_owned(), outcome }).inc();
    }

    /// Counts an attempt whose outcome doesn't count, as `overtaken`: another gateway has its delivery.
    pub fn overtaken(&self, handler: &str) {
        let labels = DeliveryLabels { handler: handler.to_owned(), outcome: "overtaken" };
        self.deliveries.get_or_create(&labels).inc();
    }

    /// Measures a stage.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stages.get_or_create(&StageLabels { stage: stage.as_str() }).observe(took.as_secs_f64());
    }

    /// Counts a call to PortaBilling; `outcome` is `ok`, `fault`, `timeout` or the like. Service and method come from the
    /// definitions, so they are few.
    pub fn portabilling_call(&self, service: &str, method: &str, outcome: &'static str) {
        let labels = CallLabels { service: service.to_owned(), method: method.to_owned(), outcome };
        self.calls.get_or_create(&labels).inc();
    }

    /// Counts a fault of PortaBilling by its code.
    pub fn portabilling_fault(&self, code: &str) {
        self.faults.get_or_create(&FaultLabels { code: self.fault_codes.admit(code) }).inc();
    }

    /// Counts a try to write a provisioning status back; `outcome` is `written`, `retry` or `given_up`.
    pub fn status(&self, value: StatusValue, outcome: &'static str) {
        let value = value.as_str();
        self.statuses.get_or_create(&StatusLabels { value, outcome }).inc();
    }

    /// Counts a failure of the store.
    pub fn store_error(&self) {
        self.store_errors.inc();
    }

    /// The gauge of a listener's open connections.
    pub fn connections(&self, listener: &'static str) -> Gauge {
        self.connections.get_or_create_owned(&ListenerLabels { listener })
    }

    /// How a breaker stands.
    pub fn breaker(&self, breaker: &Breaker) {
        let value = match breaker.state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen { .. } => 1,
            BreakerState::Open { .. } => 2,
        };
        self.breakers.get_or_create(&BreakerLabels { name: breaker.name.clone() }).set(value);
    }

    /// Counts an account or customer that was compared with what was delivered last.
    pub fn reconciled(&self, handler: &str, kind: SubjectKind, finding: Finding) {
        let (kind, finding) = (kind.as_str(), finding.word());
        let labels = ReconcileLabels { handler: handler.to_owned(), kind, finding };
        self.reconciled.get_or_create(&labels).inc();
    }

    /// Everything as text, in the format of OpenMetrics. The backlog is what the store says now.
    pub fn render(&self, backlog: &[Backlog], now: Timestamp) -> Result<String, fmt::Error> {
        let _one_at_a_time = self.rendering.lock().unwrap_or_else(PoisonError::into_inner);
        self.backlog.clear();
        self.oldest.clear();
        for Backlog { handler, pending, in_flight, awaiting, parked, oldest_pending, .. } in backlog {
            for (state, count) in
                [("pending", pending), ("in_flight", in_flight), ("awaiting", awaiting), ("parked", parked)]
            {
                let labels = BacklogLabels { handler: handler.clone(), state };
                self.backlog.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
            }
            let age = oldest_pending.map_or(0, |since| now.duration_since(since).as_secs().max(0));
            self.oldest.get_or_create(&HandlerLabels { handler: handler.clone() }).set(age);
        }
        let mut rendered = String::new();
        text::encode(&mut rendered, &self.registry)?;
        Ok(rendered)
    }
}

/// Names from outside, of which only so many are told apart.
#[derive(Debug, Default)]
struct Bounded {
    seen: Mutex<HashSet<String>>,
}

impl Bounded {
    /// The name itself, or `other` if there are too many already, or if it is too long for a label.
    fn admit(&self, name: &str) -> String {
        const LONGEST: usize = 128;
        // Names are only added, so what a panic may have left behind is whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(name) {
            return name.to_owned();
        }
        if seen.len() >= MAX_VALUES || name.len() > LONGEST {
            return "other".to_owned();
        }
        seen.insert(name.to_owned());
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_beyond_the_bound_count_as_other() {
        let telemetry = Telemetry::new();
        for number in 0..=MAX_VALUES {
            telemetry.event("default", Some(&format!("Custom/{number}")), "kept");
        }
        telemetry.event("default", Some("Custom/0"), "kept");
        let text = telemetry.render(&[], Timestamp::UNIX_EPOCH).unwrap();
        assert!(
            text.contains(r#"soapstone_events_total{source="default",type="other",answer="kept"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"soapstone_events_total{source="default",type="Custom/0",answer="kept"} 2"#),
            "{text}"
        );
        assert!(!text.contains("Custom/200"), "{text}");
    }

    #[test]
    fn the_backlog_is_what_the_store_says_now() {
        let telemetry = Telemetry::new();
        let now = Timestamp::from_second(1_000).unwrap();
        let backlog = Backlog {
            handler: "sim".to_owned(),
            pending: 3,
            in_flight: 1,
            parked: 2,
            awaiting: 4,
            superseded: 0,
            cancelled: 0,
            delivered: 7,
            oldest_pending: Timestamp::from_second(940).ok(),
        };
        let text = telemetry.render(&[backlog], now).unwrap();
        assert!(text.contains(r#"soapstone_backlog_deliveries{handler="sim",state="pending"} 3"#), "{text}");
        assert!(text.contains(r#"soapstone_backlog_oldest_age_seconds{handler="sim"} 60"#), "{text}");
        assert!(!telemetry.render(&[], now).unwrap().contains(r#"handler="sim""#));
    }
}
