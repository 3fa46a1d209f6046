//! `[reconcile]`, and `reconcile` of a `[[handler]]`: what is compared with PortaBilling beside the events.

use std::time::Duration;

use super::super::effective::NEVER_DELIVERED;
use super::super::reader::Section;
use super::super::{Reconciling, defaults};
use super::MINUTE;
use crate::handler::{self, Fetch, NeverDelivered, Reconcile};
use crate::reconcile::compared;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn all(section: &Section<'_>) -> Reconciling {
    let default = Reconciling::default();
    let every =
        section.get("every").and_then(|value| section.duration_of("every", value, MINUTE..=366 * DAY));
    let settings = Reconciling {
        every,
        rate: section.count("rate", default.rate, 1..=10_000),
        page: section.count("page", default.page, 1..=1000),
        in_flight: section.count("in_flight", default.in_flight, 1..=1000),
        examples: section.count("examples", default.examples, 0..=1000),
    };
    section.finish();
    settings
}

/// What a handler says of itself; it has to want the events that are made for it, and to fetch something to compare.
pub(super) fn of_handler(handler: &Section<'_>, events: &[String], fetch: &[Fetch]) -> Option<Reconcile> {
    let section = handler.section("reconcile")?;
    let event_type = section.get("event_type").map_or_else(
        || Some(defaults::RECONCILE_EVENT_TYPE.to_owned()),
        |value| section.text_of("event_type", value).map(str::to_owned),
    );
    let ignore = ignore(&section);
    let never_delivered = section.choice("never_delivered", NeverDelivered::default(), &NEVER_DELIVERED);
    section.finish();
    let reconcile = Reconcile { event_type: event_type?, ignore, never_delivered };
    let deletion = reconcile.event_type.to_ascii_lowercase().ends_with("/deleted");
    if !events.iter().any(|pattern| handler::matches(pattern, &reconcile.event_type)) {
        let what = format!("{} gets no events of type \"{}\"", section.name, reconcile.event_type);
        section.problem(section.at, what, "give `event_type` that its `events` name");
    } else if deletion {
        let what = format!("`event_type` in {} says that accounts are gone", section.name);
        section.problem(section.at, what, "name the type of an update");
    } else if compared(fetch, &reconcile).is_empty() {
        let what = format!("{} has nothing to compare", section.name);
        section.problem(section.at, what, "name in `fetch` what isn't in `ignore`");
    }
    Some(reconcile)
}

fn ignore(section: &Section<'_>) -> Vec<String> {
    let Some(value) = section.get("ignore") else {
        return defaults::RECONCILE_IGNORE.map(str::to_owned).to_vec();
    };
    let mut paths = Vec::new();
    for value in section.list_of("ignore", value) {
        let Some(path) = section.text_of("ignore", value) else { continue };
        let member = path.split('.').next().unwrap_or_default();
        if Fetch::ALL.iter().any(|fetch| fetch.as_str() == member) {
            paths.push(path.to_owned());
        } else {
            let what = format!("`ignore` in {} names no member of pb_data: \"{path}\"", section.name);
            section.problem(value.at, what, "write one like \"account_info.status\"");
        }
    }
    paths
}
