//! `[reconcile]`, and `reconcile` of a `[[handler]]`: what is compared with PortaBilling beside the events.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::effective::NEVER_DELIVERED;
use super::super::reader::Section;
use super::super::{Reconciling, defaults};
use super::{MILLISECOND, MINUTE};
use crate::handler::{self, Fetch, Made, NeverDelivered, Reconcile, Walked};
use crate::reconcile::compared;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn all(section: &Section<'_>) -> Reconciling {
    let default = Reconciling::default();
    let every =
        section.get("every").and_then(|value| section.duration_of("every", value, MINUTE..=366 * DAY));
    let settings = Reconciling {
        every,
        again: section.duration("again", default.again, MILLISECOND..=366 * DAY),
        rate: section.count("rate", default.rate, 1..=10_000),
        page: section.count("page", default.page, 1..=1000),
        in_flight: section.count("in_flight", default.in_flight, 1..=1000),
        examples: section.count("examples", default.examples, 0..=1000),
        gone_max: section.count("gone_max", default.gone_max, 0..=1_000_000_000),
    };
    section.finish();
    settings
}

/// What a handler says of itself; it has to want the events that are made for it, and to fetch something to compare.
pub(super) fn of_handler(handler: &Section<'_>, events: &[String], fetch: &[Fetch]) -> Option<Reconcile> {
    let section = handler.section("reconcile")?;
    let wants = |event_type: &str| events.iter().any(|pattern| handler::matches(pattern, event_type));
    let (changed, gone) = (types(&section, CHANGED, &wants), types(&section, GONE, &wants));
    let made = |walked: Walked| {
        let changed = match &changed {
            Some(said) => said.get(&walked)?.clone(),
            None => Some(walked.changed()).filter(|usual| wants(usual))?.to_owned(),
        };
        let gone = match &gone {
            Some(said) => said.get(&walked).cloned(),
            None => walked.ends().into_iter().find(|usual| wants(usual)).map(str::to_owned),
        };
        Some(Made { changed, gone })
    };
    let mut reconcile = Reconcile {
        accounts: made(Walked::Accounts),
        customers: made(Walked::Customers),
        ignore: ignore(&section),
        never_delivered: section.choice("never_delivered", NeverDelivered::default(), &NEVER_DELIVERED),
    };
    section.finish();
    for walked in [Walked::Customers, Walked::Accounts] {
        if reconcile.made(walked).is_none() || !compared(fetch, &reconcile, walked).is_empty() {
            continue;
        }
        match walked {
            Walked::Accounts => reconcile.accounts = None,
            Walked::Customers => reconcile.customers = None,
        }
        // what nobody has named is left out as long as there is something else
        if changed.is_some() || reconcile.accounts.is_none() && reconcile.customers.is_none() {
            let what = format!("{} has nothing to compare", section.name);
            section.problem(section.at, what, "name in `fetch` what isn't in `ignore`");
            return Some(reconcile);
        }
    }
    if changed.is_none() && reconcile.accounts.is_none() && reconcile.customers.is_none() {
        let what = format!("{} gets no events of type \"{}\"", section.name, Walked::Accounts.changed());
        section.problem(section.at, what, "give `event_type` that its `events` name");
    }
    Some(reconcile)
}

const CHANGED: &str = "event_type";
const GONE: &str = "gone_type";

/// Types of events, one for accounts and one for customers; a single one needs no list. None: nothing is said.
fn types(
    section: &Section<'_>,
    key: &'static str,
    wants: &dyn Fn(&str) -> bool,
) -> Option<BTreeMap<Walked, String>> {
    let value = section.get(key)?;
    let values = if value.value.is_array() { section.list_of(key, value) } else { vec![value] };
    let mut types = BTreeMap::new();
    for value in values {
        let Some(event_type) = section.text_of(key, value) else { continue };
        let problem = |what: &str, remedy: &str| {
            section.problem(value.at, format!("{} {what} \"{event_type}\"", section.name), remedy);
        };
        let Some(walked) = Walked::told_by(event_type) else {
            problem("can't be reconciled by events of type", "name a type of accounts or customers");
            continue;
        };
        match (walked.kind().is_ended_by(event_type), key) {
            _ if !wants(event_type) => {
                problem("gets no events of type", "give a type that its `events` name");
            }
            (true, CHANGED) => problem("says that accounts are gone with", "name the type of an update"),
            (false, GONE) => {
                problem("doesn't say that accounts are gone with", "name one like \"Subscriber/Deleted\"")
            }
            _ if types.insert(walked, event_type.to_owned()).is_some() => {
                problem("names two types for the same, the second being", "remove one");
            }
            _ => {}
        }
    }
    Some(types)
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
