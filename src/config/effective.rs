//! The configuration as it counts, written as TOML: with every default, and secrets named by their origin only.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use serde::{Serialize, Serializer};

use super::Config;
use super::units::{format_duration, serialize_duration};
use crate::breaker::BreakerSettings;
use crate::delivery::Failure;
use crate::handler::{Handler, NeverDelivered, Order, OrderBy, Reconcile, Retries, RetrySchedule, Walked};

impl Config {
    /// The whole configuration as TOML, which reads as the same configuration again. No secret is in it: it says where
    /// each comes from.
    pub fn effective(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

pub(super) const ORDERS: [(&str, Order); 3] =
    [("skip", Order::Skip), ("strict", Order::Strict), ("latest", Order::Latest)];
pub(super) const ORDERS_BY: [(&str, OrderBy); 2] =
    [("event_time", OrderBy::EventTime), ("arrival", OrderBy::Arrival)];

pub(super) const NEVER_DELIVERED: [(&str, NeverDelivered); 2] =
    [("enqueue", NeverDelivered::Enqueue), ("leave", NeverDelivered::Leave)];

pub(super) fn as_url<S: Serializer>(url: &Url, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(url.as_str())
}

pub(super) fn as_urls<S: Serializer>(urls: &[Url], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(urls.iter().map(Url::as_str))
}

pub(super) fn as_optional_url<S: Serializer>(url: &Option<Url>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(url.as_ref().map(Url::as_str).unwrap_or_default())
}

// serde hands over a reference.
#[allow(clippy::ref_option)]
pub(super) fn as_optional_duration<S: Serializer>(
    every: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(&every.map(format_duration).unwrap_or_default())
}

pub(super) fn as_handlers<S: Serializer>(handlers: &[Handler], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(handlers.iter().map(HandlerView::from))
}

/// `Handler` knows nothing of TOML; this is how it is written there.
#[derive(Serialize)]
struct HandlerView<'a> {
    name: &'a str,
    events: &'a [String],
    fetch: Vec<&'static str>,
    connector: &'a str,
    service_group: Option<&'a str>,
    order: &'static str,
    order_by: &'static str,
    retry: RetriesView,
    reconcile: Option<ReconcileView<'a>>,
}

#[derive(Serialize)]
struct ReconcileView<'a> {
    event_type: Vec<&'a str>,
    gone_type: Vec<&'a str>,
    ignore: &'a [String],
    never_delivered: &'static str,
}

pub(super) fn as_retry<S: Serializer>(retry: &RetrySchedule, to: S) -> Result<S::Ok, S::Error> {
    RetryView::from(retry).serialize(to)
}

/// The schedule, and in it those for kinds of failures.
#[derive(Serialize)]
struct RetriesView {
    #[serde(flatten)]
    schedule: RetryView,
    #[serde(flatten)]
    by_failure: BTreeMap<&'static str, RetryView>,
}

#[derive(Serialize)]
struct RetryView {
    #[serde(serialize_with = "serialize_duration")]
    first: Duration,
    #[serde(serialize_with = "serialize_duration")]
    longest: Duration,
    tries: u32,
    then: Vec<String>,
    #[serde(serialize_with = "serialize_duration")]
    horizon: Duration,
}

impl<'a> From<&'a Handler> for HandlerView<'a> {
    fn from(handler: &'a Handler) -> Self {
        Self {
            name: &handler.name,
            events: &handler.events,
            fetch: handler.fetch.iter().map(|fetch| fetch.as_str()).collect(),
            connector: &handler.connector,
            service_group: handler.service_group.as_deref(),
            order: word(&ORDERS, &handler.order),
            order_by: word(&ORDERS_BY, &handler.order_by),
            retry: RetriesView::from(&handler.retry),
            reconcile: handler.reconcile.as_ref().map(ReconcileView::from),
        }
    }
}

impl<'a> From<&'a Reconcile> for ReconcileView<'a> {
    fn from(reconcile: &'a Reconcile) -> Self {
        let made = || Walked::ALL.into_iter().filter_map(|walked| reconcile.made(walked));
        Self {
            event_type: made().map(|made| made.changed.as_str()).collect(),
            gone_type: made().filter_map(|made| made.gone.as_deref()).collect(),
            ignore: &reconcile.ignore,
            never_delivered: word(&NEVER_DELIVERED, &reconcile.never_delivered),
        }
    }
}

impl From<&Retries> for RetriesView {
    fn from(retries: &Retries) -> Self {
        let of =
            |(failure, schedule): (&Failure, &RetrySchedule)| (failure.as_str(), RetryView::from(schedule));
        Self {
            schedule: RetryView::from(&retries.schedule),
            by_failure: retries.by_failure.iter().map(of).collect(),
        }
    }
}

impl From<&RetrySchedule> for RetryView {
    fn from(retry: &RetrySchedule) -> Self {
        Self {
            first: retry.first,
            longest: retry.longest,
            tries: retry.tries,
            then: retry.then.iter().copied().map(format_duration).collect(),
            horizon: retry.horizon,
        }
    }
}

pub(super) fn as_breaker<S: Serializer>(breaker: &BreakerSettings, to: S) -> Result<S::Ok, S::Error> {
    let BreakerSettings { failures, first, longest, probe, slow_start } = *breaker;
    BreakerView { failures, first, longest, probe, slow_start }.serialize(to)
}

#[derive(Serialize)]
struct BreakerView {
    failures: u32,
    #[serde(serialize_with = "serialize_duration")]
    first: Duration,
    #[serde(serialize_with = "serialize_duration")]
    longest: Duration,
    #[serde(serialize_with = "serialize_duration")]
    probe: Duration,
    #[serde(serialize_with = "serialize_duration")]
    slow_start: Duration,
}

fn word<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> &'static str {
    words.iter().find(|(_, candidate)| candidate == meaning).map_or("", |(word, _)| word)
}
