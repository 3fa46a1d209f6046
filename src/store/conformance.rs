//! What every store promises, verb by verb: the same tests for each; [`model`] tests their order against a model.

pub(crate) mod callbacks;
pub(crate) mod control;
pub(crate) mod model;
pub(crate) mod moves;
pub(crate) mod order;
pub(crate) mod statuses;
pub(crate) mod walks;
pub(crate) mod way;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::*;
use crate::delivery::Outcome;
use crate::event::{Subject, SubjectKind};
use crate::handler::Order;

/// A store to test.
#[async_trait]
pub(crate) trait Bench: Send + Sync {
    fn store(&self) -> &dyn Control;

    /// The gateway dies, and another begins at `now`.
    async fn reopen(&mut self, now: Timestamp);
}

/// A store that things go wrong with.
#[async_trait]
pub(crate) trait Frail: Bench {
    /// How many cases of the model share one.
    const CASES: u32;
    /// Whether what waits behind one that was just recorded may come a little later than it is due.
    const TAKES_ITS_TIME: bool;

    /// Something goes wrong soon, during what is asked of the store next or after it; answers what.
    async fn strike(&mut self, trouble: Trouble) -> &'static str;

    /// It has passed, at `now`, and the store can be used again. Answers whether it went wrong while something was asked, and
    /// what became of what was in flight.
    async fn pass(&mut self, now: Timestamp) -> (bool, Flights);

    /// It isn't used any more.
    async fn close(&self);
}

/// What became of deliveries in flight when something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flights {
    /// They still are.
    GoOn,
    /// They were interrupted, with that attempt on record.
    Interrupted,
    /// The same, but some of the claims made last may be as if they hadn't been made.
    PerhapsForgotten,
}

/// What goes wrong, and when: the store says what the numbers mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    pub(crate) what: u32,
    /// After how much of whatever it does.
    pub(crate) after: u32,
    /// For what is left to chance.
    pub(crate) seed: u64,
}

/// A test for each promise; `$bench` makes a store, or says that it can't here. `$frail` makes one for the model.
macro_rules! conformance {
    ($bench:path, $frail:path) => {
        $crate::store::conformance::promises! {
            $bench:
            way::the_same_event_is_kept_once_even_if_it_comes_twice_at_the_same_moment,
            way::an_event_is_the_same_only_if_all_that_names_it_is,
            way::an_event_that_nobody_handles_is_kept_word_for_word,
            way::a_long_event_is_kept_all_the_same,
            way::texts_of_any_length_are_told_apart,
            way::what_is_not_due_or_not_asked_for_is_not_claimed,
            way::an_attempt_is_kept_once_however_often_it_is_recorded,
            way::what_was_delivered_last_comes_with_the_next_claim_of_that_subject,
            way::what_was_in_flight_is_pending_after_a_crash_and_the_attempt_counts,
            way::an_operator_finds_events_by_what_they_are_about,
            way::only_the_last_claim_of_a_delivery_may_record,
            order::a_parked_delivery_lets_the_next_pass_unless_the_order_is_strict,
            order::what_happened_first_goes_first_whenever_it_came,
            order::where_the_order_is_latest_a_newer_one_supersedes_those_that_wait,
            order::where_the_order_is_latest_one_that_fails_gives_way_to_a_newer,
            order::where_the_order_is_latest_one_that_waits_again_supersedes_an_older,
            order::a_released_delivery_waits_and_has_not_been_tried,
            callbacks::a_delivery_awaits_its_callback_and_holds_its_lane,
            callbacks::a_callback_counts_once,
            callbacks::without_a_callback_the_deadline_passes,
            callbacks::a_delivery_still_awaits_its_callback_after_a_crash,
            statuses::what_was_told_last_replaces_what_was_not_sent_yet_whatever_the_clocks_say,
            statuses::a_status_is_announced_for_as_long_as_the_delivery_is_in_hand,
            statuses::while_a_status_is_being_written_a_newer_one_waits_and_then_goes,
            statuses::a_status_that_could_not_be_written_comes_again_or_is_given_up,
            statuses::an_attempt_and_its_status_are_kept_together,
            statuses::what_was_begun_and_is_cancelled_has_failed_for_portabilling,
            statuses::an_operator_sees_how_far_statuses_are,
            statuses::what_was_given_up_is_found_and_can_be_written_again,
            statuses::samples_are_found_newest_first,
            control::nothing_is_claimed_of_what_is_paused,
            control::a_subject_that_is_paused_is_paused_for_what_comes_later_too,
            control::a_replay_delivers_again_from_the_beginning,
            control::what_is_replayed_at_a_rate_keeps_nothing_waiting_that_has_just_come,
            control::what_waits_for_its_next_try_is_tried_now_when_it_is_replayed,
            control::a_replay_of_what_waits_leaves_its_place_in_the_lane,
            control::a_replayed_delivery_takes_its_place_by_rank,
            control::what_is_cancelled_holds_nothing_up,
            control::a_handler_that_came_later_gets_events,
            control::deliveries_are_found_by_what_they_are,
            control::a_breaker_is_kept_by_whoever_is_first,
            control::notes_are_kept,
            control::what_is_old_is_forgotten_unless_it_is_needed,
            control::what_was_delivered_last_goes_with_its_subject,
            control::what_comes_back_keeps_what_was_delivered_last,
            control::what_comes_from_the_future_keeps_nothing_from_being_forgotten,
            walks::a_note_is_swapped_by_whoever_is_first,
            walks::what_was_delivered_is_found_page_by_page,
            moves::everything_moves_to_another_store_and_back,
            moves::everything_moves_in,
            moves::a_store_is_empty_until_something_is_in_it,
            moves::how_far_pruning_is_stays_behind,
            moves::how_far_pruning_was_elsewhere_is_not_taken_in,
            moves::a_store_that_is_being_loaded_says_so_until_it_is_whole,
        }

        #[test]
        fn nothing_overtakes_and_nothing_is_lost() {
            $crate::store::conformance::model::nothing_overtakes_and_nothing_is_lost($frail);
        }
    };
}

macro_rules! promises {
    ($bench:path: $($module:ident :: $promise:ident),+ $(,)?) => { $(
        #[tokio::test]
        async fn $promise() {
            if let Some(bench) = $bench().await {
                $crate::store::conformance::$module::$promise(bench).await;
            }
        }
    )+ };
}

pub(crate) use {conformance, promises};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

pub(crate) fn event(i_event: Option<i64>, account: u32, now: Timestamp) -> Event {
    Event {
        id: EventId::at(now),
        source: "main".into(),
        i_env: None,
        i_event,
        event_type: "Subscriber/Updated".into(),
        subject: subject(account),
        event_time: Some(now),
        received_at: now,
        body: "{ }".into(),
    }
}

pub(crate) fn subject(account: u32) -> Subject {
    Subject { kind: SubjectKind::Account, id: account.to_string() }
}

/// Without anything that PortaBilling is told.
pub(crate) fn no_more(seconds: i64, reason: &str) -> Cancellation {
    Cancellation { at: at(seconds), reason: reason.into(), groups: BTreeMap::new() }
}

/// One handler, with its order and a rank.
pub(crate) fn with(handler: &str, order: Order, rank: i64) -> Vec<Subscription> {
    vec![Subscription { handler: handler.into(), order, rank: at(rank) }]
}

pub(crate) fn to(handler: &str) -> Vec<Subscription> {
    with(handler, Order::Skip, 0)
}

pub(crate) fn want(handler: &str, limit: usize) -> Vec<Want> {
    vec![Want { handler: handler.into(), connector: "c".into(), limit }]
}

pub(crate) fn attempt(number: u32, outcome: Outcome) -> Attempt {
    Attempt {
        number,
        started_at: at(1),
        ended_at: at(2),
        outcome,
        request: Some("POST /x".into()),
        response: Some("HTTP 202".into()),
        settled: None,
    }
}

pub(crate) fn delivered(claimed: &Claimed) -> Record {
    let Claimed { delivery, claim, .. } = claimed;
    Record {
        delivery: delivery.id,
        claim: *claim,
        tries: delivery.tries + 1,
        attempt: attempt(delivery.attempts + 1, Outcome::Delivered),
        state: State::Delivered { at: at(2) },
        status: None,
        last: None,
    }
}

pub(crate) fn parked(claimed: &Claimed) -> Record {
    let reason = "no".to_owned();
    Record {
        attempt: attempt(claimed.delivery.attempts + 1, Outcome::Refused { reason: reason.clone() }),
        state: State::Parked { at: at(2), reason },
        ..delivered(claimed)
    }
}

pub(crate) fn failed(claimed: &Claimed, due: i64) -> Record {
    let class = crate::delivery::Failure::Busy;
    let outcome = Outcome::Retry { class, reason: "busy".into(), after: None };
    Record {
        attempt: attempt(claimed.delivery.attempts + 1, outcome),
        state: State::Pending { due: at(due) },
        ..delivered(claimed)
    }
}

/// The external system has taken it on.
pub(crate) fn accepted(claimed: &Claimed, deadline: i64) -> Record {
    let within = std::time::Duration::from_secs(60);
    Record {
        attempt: attempt(claimed.delivery.attempts + 1, Outcome::Accepted { within }),
        state: State::Awaiting { deadline: at(deadline) },
        ..delivered(claimed)
    }
}

/// Has a status told as it is told in life: with the attempt of a delivery.
pub(crate) async fn tell(store: &dyn Store, status: Status) {
    let account = u32::try_from(status.i_account).expect("small");
    let claimed = in_hand(store, account, status.at).await;
    store.record(Record { status: Some(status), ..delivered(&claimed) }).await.expect("recorded");
}

/// A delivery of this account's that is in flight, of a handler that nobody else has.
pub(crate) async fn in_hand(store: &dyn Store, account: u32, now: Timestamp) -> Claimed {
    store.accept(event(None, account, now), to("tells")).await.expect("accepted");
    store.claim(now, want("tells", 1)).await.expect("claimed").remove(0)
}

pub(crate) fn status(value: StatusValue, seconds: i64) -> Status {
    Status {
        i_account: 7,
        group: "HSS".into(),
        value,
        message: Some(format!("at {seconds}")),
        at: at(seconds),
    }
}

/// What is due by then, of this handler.
pub(crate) async fn claim(bench: &impl Bench, handler: &str, now: i64) -> Vec<Claimed> {
    bench.store().claim(at(now), want(handler, 99)).await.expect("claimed")
}

/// The only one that is due.
pub(crate) async fn claim_one(bench: &impl Bench, handler: &str, now: i64) -> Claimed {
    let mut claimed = claim(bench, handler, now).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.remove(0)
}

/// Where the only delivery of an event stands.
pub(crate) async fn delivery_of(bench: &impl Bench, event: EventId) -> (Delivery, Vec<Attempt>) {
    let detail = bench.store().event(event).await.expect("an answer").expect("the event");
    assert_eq!(detail.deliveries.len(), 1);
    detail.deliveries.into_iter().next().expect("one")
}
