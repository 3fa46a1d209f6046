//! `[[handler]]`: who gets which events.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::effective::{ORDERS, ORDERS_BY};
use super::super::reader::{Section, Value};
use super::{HOUR, name, reconcile, reference, tables};
use crate::delivery::Failure;
use crate::handler::{Fetch, Handler, Order, OrderBy, Retries, RetrySchedule};

/// ESPF: a service group's name has at most 64 characters.
const GROUP_LENGTH: usize = 64;
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn all(root: &Section<'_>, connectors: &[&str]) -> Vec<Handler> {
    let mut names = Vec::new();
    let sections = tables(root, "handler");
    sections.into_iter().filter_map(|mut section| one(&mut section, &mut names, connectors)).collect()
}

fn one(section: &mut Section<'_>, names: &mut Vec<String>, connectors: &[&str]) -> Option<Handler> {
    let name = name(section, names, "\"sim\"");
    let events = events(section);
    let fetch = fetch(section);
    let connector = section
        .need("connector", "\"NAME\", the name of a section [connector.NAME]")
        .and_then(|value| reference(section, "connector", value, connectors));
    let service_group = service_group(section);
    let order = section.choice("order", Order::Skip, &ORDERS);
    let order_by = section.choice("order_by", OrderBy::EventTime, &ORDERS_BY);
    let retry = retries(section);
    let reconcile = reconcile::of_handler(section, &events, &fetch);
    section.finish();
    Some(Handler {
        name: name?,
        events,
        fetch,
        connector: connector?,
        service_group,
        order,
        order_by,
        retry,
        reconcile,
    })
}

fn events(section: &Section<'_>) -> Vec<String> {
    let Some(value) = section.need("events", "[\"SIM/*\"]") else { return Vec::new() };
    let list = section.list_of("events", value);
    if value.value.is_array() && list.is_empty() {
        let what = format!("`events` in {} is empty, so it would never get one", section.name);
        section.problem(value.at, what, "name event types, or write [\"*\"] for all");
    }
    list.into_iter().filter_map(|value| section.text_of("events", value)).map(str::to_owned).collect()
}

fn fetch(section: &Section<'_>) -> Vec<Fetch> {
    let Some(value) = section.get("fetch") else { return Vec::new() };
    let words = Fetch::ALL.map(|fetch| (fetch.as_str(), fetch));
    let mut fetch = Vec::new();
    for value in section.list_of("fetch", value) {
        match section.choice_of("fetch", value, &words) {
            Some(word) if fetch.contains(&word) => {
                let what = format!("`fetch` in {} names {} twice", section.name, word.as_str());
                section.problem(value.at, what, "remove one");
            }
            Some(word) => fetch.push(word),
            None => {}
        }
    }
    fetch
}

fn service_group(section: &Section<'_>) -> Option<String> {
    let value = section.get("service_group")?;
    let group = section.text_of("service_group", value)?;
    if group.chars().count() > GROUP_LENGTH {
        let what = format!("`service_group` in {} is longer than {GROUP_LENGTH} characters", section.name);
        section.problem(value.at, what, "write its name as PortaBilling has it");
    }
    Some(group.to_owned())
}

/// `retry` of a handler, with sections of their own for kinds of failures: what such a section doesn't say is as for all.
fn retries(handler: &Section<'_>) -> Retries {
    let Some(section) = handler.section("retry") else { return Retries::default() };
    let default = schedule(&section, RetrySchedule::default());
    let mut by_failure = BTreeMap::new();
    for failure in Failure::ALL {
        if let Some(own) = section.section(failure.as_str()) {
            by_failure.insert(failure, schedule(&own, default.clone()));
            own.finish();
        }
    }
    section.finish();
    Retries { schedule: default, by_failure }
}

/// `retry` of a section; what it doesn't say is as in `default`.
pub(super) fn retry(owner: &Section<'_>, default: RetrySchedule) -> RetrySchedule {
    let Some(section) = owner.section("retry") else { return default };
    let retry = schedule(&section, default);
    section.finish();
    retry
}

fn schedule(section: &Section<'_>, default: RetrySchedule) -> RetrySchedule {
    let first = section.duration("first", default.first, Duration::from_millis(10)..=24 * HOUR);
    let longest = section.duration("longest", default.longest, Duration::from_millis(10)..=24 * HOUR);
    let tries = section.count("tries", default.tries.into(), 0..=1_000_000);
    let then = then(section, default.then);
    let horizon = section.duration("horizon", default.horizon, SECOND..=365 * 24 * HOUR);
    if longest < first {
        let what = format!("`longest` in {} is shorter than `first`", section.name);
        section.problem(section.at, what, "pauses grow from `first` to `longest`: swap them");
    }
    RetrySchedule { first, longest, tries: u32::try_from(tries).unwrap_or(u32::MAX), then, horizon }
}

fn then(section: &Section<'_>, default: Vec<Duration>) -> Vec<Duration> {
    let Some(value) = section.get("then") else { return default };
    let pause = |value: Value<'_>| section.duration_of("then", value, SECOND..=31 * 24 * HOUR);
    section.list_of("then", value).into_iter().filter_map(pause).collect()
}
