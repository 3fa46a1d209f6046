//! `[[handler]]`: who gets which events.

use std::time::Duration;

use super::super::effective::ORDERS;
use super::super::reader::{Section, Value};
use super::{HOUR, name, reference, tables};
use crate::handler::{Fetch, Handler, Order, RetrySchedule};

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
    let retry = retry(section, RetrySchedule::default());
    section.finish();
    Some(Handler { name: name?, events, fetch, connector: connector?, service_group, order, retry })
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

/// `retry` of a section; what it doesn't say is as in `default`.
pub(super) fn retry(handler: &Section<'_>, default: RetrySchedule) -> RetrySchedule {
    let name = format!("{} retry", handler.name);
    let section =
        handler.section("retry").unwrap_or_else(|| Section::new(handler.reading, &name, None, handler.at));
    let first = section.duration("first", default.first, Duration::from_millis(10)..=24 * HOUR);
    let longest = section.duration("longest", default.longest, Duration::from_millis(10)..=24 * HOUR);
    let tries = section.count("tries", default.tries.into(), 0..=1_000_000);
    let then = then(&section, default.then);
    let horizon = section.duration("horizon", default.horizon, SECOND..=365 * 24 * HOUR);
    section.finish();
    if longest < first {
        let what = format!("`longest` in {name} is shorter than `first`");
        handler.problem(section.at, what, "pauses grow from `first` to `longest`: swap them");
    }
    RetrySchedule { first, longest, tries: u32::try_from(tries).unwrap_or(u32::MAX), then, horizon }
}

fn then(section: &Section<'_>, default: Vec<Duration>) -> Vec<Duration> {
    let Some(value) = section.get("then") else { return default };
    let pause = |value: Value<'_>| section.duration_of("then", value, SECOND..=31 * 24 * HOUR);
    section.list_of("then", value).into_iter().filter_map(pause).collect()
}
