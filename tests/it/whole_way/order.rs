//! Who gets which events, and in which order.

use std::collections::HashMap;

use serde_json::json;
use soapstone::simulator::Change;

use super::external::{Reply, Request};
use super::stage::{HSS, Plan, Stage};

/// Handlers with these names, for these patterns.
fn handlers(wanted: &[(&str, &str)]) -> String {
    let handler = |(name, events): &(&str, &str)| {
        format!(
            r#"
[[handler]]
name = "{name}"
events = {events}
connector = "hss"
fetch = []
retry = {{ first = "10ms", longest = "20ms", tries = 100000, then = ["1m"], horizon = "1h" }}
"#
        )
    };
    wanted.iter().map(handler).collect()
}

fn i_account(request: &Request) -> i64 {
    request.body["data"]["variables"]["i_account"].to_string().trim_matches('"').parse().unwrap()
}

#[tokio::test]
async fn each_account_keeps_its_order_through_failures() {
    let stage = Stage::set().await;
    // every request fails at first, and every third of them twice
    let mut tries: HashMap<String, u32> = HashMap::new();
    stage.external.answer(move |request| {
        let tries = tries.entry(request.key().to_owned()).or_default();
        *tries += 1;
        let failures = 1 + u32::from(request.i_event() % 3 == 0);
        if *tries <= failures { Reply::Code(500, "not yet") } else { Reply::Done }
    });
    for number in 0..60 {
        let change = if number % 4 == 0 { Change::Block } else { Change::Update };
        stage.change(change, stage.account(number % 5)).await;
    }
    stage.settled().await;
    let mut seen: HashMap<i64, Vec<i64>> = HashMap::new();
    for request in stage.external.requests() {
        seen.entry(i_account(&request)).or_default().push(request.i_event());
    }
    assert_eq!(seen.len(), 5);
    for (i_account, events) in seen {
        assert!(events.is_sorted(), "account {i_account}: {events:?}");
        let mut each = events;
        each.dedup();
        assert_eq!(each.len(), 12, "account {i_account}: {each:?}");
    }
}

#[tokio::test]
async fn one_account_that_hangs_holds_nobody_else_up() {
    let stage = Stage::set().await;
    let stuck = stage.account(0);
    stage.external.answer(move |request| if i_account(request) == stuck { Reply::Held } else { Reply::Done });
    stage.change(Change::Update, stuck).await;
    stage.change(Change::Update, stuck).await;
    for index in 1..20 {
        stage.change(Change::Update, stage.account(index)).await;
    }
    for index in 1..20 {
        stage.until_status(stage.account(index), "OK").await;
    }
    let of_stuck = stage.external.requests().iter().filter(|request| i_account(request) == stuck).count();
    assert_eq!(of_stuck, 1, "the second event overtook the first");
    stage.external.release();
    stage.settled().await;
    assert_eq!(stage.external.requests().len(), 21);
}

#[tokio::test]
async fn accounts_are_served_side_by_side() {
    let stage = Stage::set().await;
    stage.external.answer(|_| Reply::Held);
    for index in 0..10 {
        stage.change(Change::Update, stage.account(index)).await;
    }
    // all of them are there while not one has been answered
    stage.external.got(10).await;
    stage.external.release();
    stage.settled().await;
}

#[tokio::test]
async fn two_handlers_get_an_event_each_for_itself() {
    let stage = Stage::with(Plan::handlers(&handlers(&[
        ("failing", r#"["Subscriber/*"]"#),
        ("working", r#"["subscriber/UPDATED"]"#),
    ])))
    .await;
    let mut failures = 3;
    stage.external.answer(move |request| {
        if request.handler() == "failing" && failures > 0 {
            failures -= 1;
            return Reply::Code(500, "not this one");
        }
        Reply::Done
    });
    let sent = stage.change(Change::Update, stage.account(0)).await;
    stage.settled().await;
    let event = stage.detail(sent.i_event).await;
    let deliveries = event["deliveries"].as_array().unwrap();
    let attempts: HashMap<_, _> = deliveries
        .iter()
        .map(|delivery| (delivery["handler"].as_str().unwrap(), delivery["attempts"].as_u64().unwrap()))
        .collect();
    assert_eq!(attempts, HashMap::from([("failing", 4), ("working", 1)]));
    assert_ne!(deliveries[0]["id"], deliveries[1]["id"], "two handlers share a key");
    let traces: Vec<_> =
        stage.external.requests().iter().map(|r| r.header("x-b3-traceid").to_owned()).collect();
    assert!(traces.iter().all(|trace| *trace == traces[0]), "{traces:?}");
}

#[tokio::test]
async fn patterns_say_who_gets_what() {
    let stage = Stage::with(Plan::handlers(&handlers(&[
        ("exact", r#"["SIM/Updated"]"#),
        ("deletions", r#"["*/Deleted"]"#),
        ("quota", r#"["Account/*/QuotaExceeded"]"#),
        ("all", r#"["*"]"#),
    ])))
    .await;
    let types = [
        "SIM/Updated",
        "sim/updated",
        "SIM/UpdatedLater",
        "DID/Deleted",
        "Account/Service/Netaccess/QuotaExceeded",
        "Custom/Jasper/CapReached",
    ];
    for event_type in types {
        stage.event(event_type, json!({ "i_account": stage.account(0) })).await;
    }
    stage.settled().await;
    let requests = stage.external.requests();
    let got = |handler: &str| -> Vec<&str> {
        requests.iter().filter(|request| request.handler() == handler).map(Request::event_type).collect()
    };
    assert_eq!(got("exact"), ["SIM/Updated", "sim/updated"]);
    assert_eq!(got("deletions"), ["DID/Deleted"]);
    assert_eq!(got("quota"), ["Account/Service/Netaccess/QuotaExceeded"]);
    assert_eq!(got("all"), types);
}

#[tokio::test]
async fn what_nobody_handles_is_kept_and_counted() {
    let stage = Stage::with(Plan::handlers(HSS)).await;
    let sent = stage.event("Invoice/Created", json!({ "i_invoice": 5, "i_customer": 1 })).await;
    let event = stage.detail(sent.i_event).await;
    assert_eq!(event["deliveries"], json!([]));
    assert_eq!(event["subject"], json!({ "kind": "invoice", "id": "5" }));
    assert_eq!(event["body"]["event_type"], "Invoice/Created");
    let counted = [r#"type="Invoice/Created""#, r#"answer="unhandled""#];
    assert_eq!(stage.metric("soapstone_events_total", &counted).await, 1.0);
    assert!(stage.external.requests().is_empty());
}
