//! What became of every event of the demo.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::DemoError;
use super::external::{External, Seen};
use crate::gateway::Gateway;
use crate::simulator::{Sender, Simulator, World};
use crate::store::Page;

/// What became of every event; the names are part of `demo --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Events that the gateway acknowledged for the first time.
    pub accepted: u64,
    /// Repetitions that it acknowledged without doing anything again.
    pub duplicates: u64,
    /// Deliveries that the external system has.
    pub delivered: u64,
    /// Attempts beyond the first of a delivery.
    pub retried: u64,
    /// Deliveries that still wait.
    pub pending: u64,
    /// Deliveries that were given up.
    pub parked: u64,
    /// Acknowledged events that a handler wanted and that are nowhere. Must be 0.
    pub lost: u64,
    /// Events that overtook an earlier one of their subject. Must be 0.
    pub out_of_order: u64,
    /// Events that the sender dropped after a 4xx. Must be 0.
    pub dropped: u64,
    /// Accounts whose state in the external system isn't PortaBilling's. Must be 0.
    pub differing: u64,
    /// Acceptance: from the request to the 200, in milliseconds.
    pub accept_p50_ms: f64,
    /// The same, 99 of 100 were quicker.
    pub accept_p99_ms: f64,
    /// The whole way: from acceptance to the external system having it, in milliseconds; the outages are in it.
    pub way_p50_ms: f64,
    /// The same, 99 of 100 were quicker.
    pub way_p99_ms: f64,
    /// Provisioning statuses in PortaBilling, by word.
    pub statuses: BTreeMap<String, u64>,
}

impl Report {
    /// Nothing is lost, out of order, left over or wrong.
    pub fn is_good(&self) -> bool {
        [self.lost, self.out_of_order, self.dropped, self.differing, self.pending]
            .iter()
            .all(|count| *count == 0)
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let statuses: Vec<String> =
            self.statuses.iter().map(|(word, count)| format!("{word} {count}")).collect();
        let rows = [
            ("accepted", self.accepted.to_string(), "events answered with 200, after the commit"),
            ("duplicates", self.duplicates.to_string(), "repetitions recognised"),
            ("delivered", self.delivered.to_string(), "deliveries that the external system has"),
            ("retried", self.retried.to_string(), "attempts beyond the first, mostly in the outages"),
            ("pending", self.pending.to_string(), ""),
            ("parked", self.parked.to_string(), "given up, for an operator"),
            ("lost", self.lost.to_string(), ""),
            ("out of order", self.out_of_order.to_string(), ""),
            ("differing", self.differing.to_string(), "accounts whose external state isn't PortaBilling's"),
            ("acceptance", format!("{:.1} / {:.1} ms", self.accept_p50_ms, self.accept_p99_ms), "p50 / p99"),
            (
                "whole way",
                format!("{:.1} / {:.1} ms", self.way_p50_ms, self.way_p99_ms),
                "p50 / p99, outages included",
            ),
            ("statuses", statuses.join(", "), "provisioning statuses in PortaBilling"),
        ];
        let width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
        rows.iter().fold(String::new(), |mut table, (name, value, note)| {
            let line = format!("{name:<13} {value:<width$}  {note}");
            let _ = writeln!(table, "{}", line.trim_end());
            table
        })
    }
}

/// Adds everything up.
pub(super) async fn make(
    simulator: &Simulator,
    external: &External,
    gateway: &Gateway,
    sender: &Sender,
) -> Result<Report, DemoError> {
    let stats = sender.stats();
    let store = gateway.store();
    let backlog = store.backlog().await?;
    let sum = |of: fn(&crate::store::Backlog) -> u64| backlog.iter().map(of).sum::<u64>();
    let kept = everything_kept(&*store).await?;
    let seen = external.seen();
    let mut way: Vec<f64> = kept
        .iter()
        .filter_map(|kept| {
            let applied = seen.applied.get(&(kept.handler.clone()?, kept.i_event))?;
            Some(applied.duration_since(kept.received_at).as_secs_f64() * 1000.0)
        })
        .collect();
    let mut accept: Vec<f64> = stats.answered_in.iter().map(|seconds| seconds * 1000.0).collect();
    Ok(Report {
        accepted: stats.acknowledged,
        duplicates: stats.duplicates,
        delivered: sum(|handler| handler.delivered),
        retried: kept.iter().map(|kept| kept.retries).sum(),
        pending: sum(|handler| handler.pending + handler.in_flight),
        parked: sum(|handler| handler.parked),
        lost: lost(&stats.acknowledged_ids, &kept, &seen),
        out_of_order: seen.out_of_order,
        dropped: stats.dropped,
        differing: simulator.world(|world| differing(world, &seen)),
        accept_p50_ms: percentile(&mut accept, 50),
        accept_p99_ms: percentile(&mut accept, 99),
        way_p50_ms: percentile(&mut way, 50),
        way_p99_ms: percentile(&mut way, 99),
        statuses: simulator.world(|world| statuses(world)),
    })
}

/// One delivery, or an event without any, as the store has it.
struct Kept {
    i_event: i64,
    received_at: jiff::Timestamp,
    handler: Option<String>,
    delivered: bool,
    retries: u64,
}

async fn everything_kept(store: &dyn crate::store::Store) -> Result<Vec<Kept>, DemoError> {
    let mut kept = Vec::new();
    let mut page = Page { limit: 500, ..Page::default() };
    loop {
        let events = store.events(page.clone()).await?;
        let Some(last) = events.last() else { return Ok(kept) };
        page.before = Some(last.event.id);
        for summary in &events {
            let (i_event, received_at) =
                (summary.event.i_event.unwrap_or_default(), summary.event.received_at);
            if summary.deliveries.is_empty() {
                kept.push(Kept { i_event, received_at, handler: None, delivered: true, retries: 0 });
            }
            kept.extend(summary.deliveries.iter().map(|delivery| Kept {
                i_event,
                received_at,
                handler: Some(delivery.handler.clone()),
                delivered: matches!(delivery.state, crate::delivery::State::Delivered { .. }),
                retries: u64::from(delivery.attempts.saturating_sub(1)),
            }));
        }
    }
}

/// Acknowledged events that aren't in the store, and delivered ones that the external system doesn't have.
fn lost(acknowledged: &[i64], kept: &[Kept], seen: &Seen) -> u64 {
    let in_store: std::collections::HashSet<i64> = kept.iter().map(|kept| kept.i_event).collect();
    let vanished = acknowledged.iter().filter(|id| !in_store.contains(id)).count();
    let never_applied = kept
        .iter()
        .filter(|kept| kept.delivered)
        .filter_map(|kept| Some((kept.handler.clone()?, kept.i_event)))
        .filter(|key| !seen.applied.contains_key(key))
        .count();
    (vanished + never_applied) as u64
}

/// Compares what the external system was told last with what is true in PortaBilling now.
fn differing(world: &World, seen: &Seen) -> u64 {
    let wrong = |(i_account, told): (&i64, &Value)| {
        let Some(account) = world.account(*i_account) else { return false };
        let blocked = account.blocked.as_deref() == Some("Y");
        let iccid = world.card_of(*i_account).and_then(|card| card.iccid.clone());
        told["account_info"]["blocked"] != blocked
            || told["account_info"]["lastname"].as_str() != account.lastname.as_deref()
            || told["sim_info"]["iccid"].as_str() != iccid.as_deref()
    };
    seen.accounts.iter().filter(|entry| wrong(*entry)).count() as u64
}

fn statuses(world: &World) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for written in world.statuses().values() {
        *counts.entry(written.status.clone()).or_insert(0) += 1;
    }
    counts
}

/// The value that `percent` of a hundred don't exceed; 0 of nothing.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(index).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!((percentile(&mut values, 50), percentile(&mut values, 99)), (100.0, 198.0));
        assert_eq!(percentile(&mut [], 99), 0.0);
        assert_eq!(percentile(&mut [7.0], 50), 7.0);
    }
}
