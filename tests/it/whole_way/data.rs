//! What the external system is given to know: never older than the event, and what is left once the account is gone.

use serde_json::{Value, json};
use soapstone::simulator::Change;

use super::external::{External, Reply, Request};
use super::stage::{HSS, Plan, Stage};

/// `pb_data` of the last request.
fn last(external: &External) -> Value {
    external.requests().last().unwrap().body["pb_data"].clone()
}

fn lastname(request: &Request) -> &str {
    request.body["pb_data"]["account_info"]["lastname"].as_str().unwrap()
}

#[tokio::test]
async fn a_deletion_is_delivered_with_what_was_delivered_last() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    stage.change(Change::Update, i_account).await;
    stage.until_status(i_account, "OK").await;
    let before = last(&stage.external);

    stage.change(Change::Delete, i_account).await;
    stage.external.got(2).await;
    let after = last(&stage.external);
    assert_eq!(stage.external.requests()[1].event_type(), "Subscriber/Deleted");
    assert_eq!(after["account_info"], before["account_info"]);
    assert_eq!(after["sim_info"], before["sim_info"]);
    assert_eq!(after["access_policy_info"], before["access_policy_info"]);
    stage.until_status(i_account, "OK").await;
}

#[tokio::test]
async fn a_deletion_of_what_was_never_delivered_goes_out_all_the_same() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    stage.change(Change::Delete, i_account).await;
    stage.until_status(i_account, "OK").await;
    let data = last(&stage.external);
    assert_eq!((&data["account_info"], &data["sim_info"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_missing_account_is_null_and_not_an_older_one() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    stage.change(Change::Update, i_account).await;
    stage.external.got(1).await;
    stage.simulator.world(|world| world.change(Change::Delete, i_account, ""));
    stage.event("Subscriber/Updated", json!({ "i_account": i_account })).await;
    stage.external.got(2).await;
    let data = last(&stage.external);
    assert!(data.as_object().unwrap().contains_key("account_info"));
    assert_eq!((&data["account_info"], &data["sim_info"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_new_sim_card_comes_with_the_one_before() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    stage.change(Change::Update, i_account).await;
    stage.external.got(1).await;
    let before = last(&stage.external);
    assert_eq!(before["prev_sim_info"], Value::Null);

    // the swap fails twice at first: the one before stays the one that was delivered
    let mut failures = 2;
    stage.external.answer(move |_| {
        failures -= 1;
        if failures >= 0 { Reply::Code(500, "not now") } else { Reply::Done }
    });
    stage.change(Change::SwapSim, i_account).await;
    stage.external.got(4).await;
    let swapped = last(&stage.external);
    assert_eq!(swapped["prev_sim_info"], before["sim_info"]);
    assert_ne!(swapped["sim_info"]["i_sim_card"], before["sim_info"]["i_sim_card"]);
    assert_eq!(swapped["sim_info"]["i_account"], i_account);

    // and the next event finds nothing changed
    stage.change(Change::Update, i_account).await;
    stage.external.got(5).await;
    assert_eq!(last(&stage.external)["prev_sim_info"], Value::Null);
}

#[tokio::test]
async fn only_what_the_handler_asks_for_is_asked_for() {
    let stage = Stage::with(Plan::handlers(&HSS.replace(
        r#"["account_info", "sim_info", "prev_sim_info", "access_policy_info", "product_info", "full_vd_counter_info"]"#,
        r#"["sim_info"]"#,
    )))
    .await;
    stage.change(Change::Update, stage.account(0)).await;
    stage.settled().await;
    let data = last(&stage.external);
    assert_eq!(data.as_object().unwrap().keys().collect::<Vec<_>>(), ["sim_info"]);
    assert_eq!(stage.calls("get_account_info").await, 0.0);
    assert_eq!(stage.calls("get_card_info").await, 1.0);
}

/// Fifty handlers that all want the same of one event.
fn many(count: usize) -> String {
    let handler = |number: usize| HSS.replace(r#"name = "hss""#, &format!(r#"name = "hss{number}""#));
    (0..count).map(handler).collect()
}

#[tokio::test]
async fn fifty_at_once_about_one_account_cost_one_call_of_each_kind() {
    let stage = Stage::with(Plan::handlers(&many(50))).await;
    stage.change(Change::Update, stage.account(0)).await;
    stage.external.got(50).await;
    stage.settled().await;
    for method in ["get_account_info", "get_card_info", "get_access_policy_info", "get_product_info"] {
        assert_eq!(stage.calls(method).await, 1.0, "{method}");
    }
}

#[tokio::test]
async fn fifty_events_about_one_account_cost_few_calls() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    // they wait behind the first, which the external system holds
    stage.external.answer(|_| Reply::Held);
    stage.change(Change::Update, i_account).await;
    stage.external.got(1).await;
    for _ in 1..50 {
        stage.change(Change::Update, i_account).await;
    }
    stage.external.release();
    stage.external.got(50).await;
    stage.settled().await;
    // one for the first, and one for the forty-nine that had all been accepted by then
    assert_eq!(stage.calls("get_account_info").await, 2.0);
    assert_eq!(stage.calls("get_card_info").await, 2.0);
}

#[tokio::test]
async fn no_event_is_served_with_an_answer_older_than_itself() {
    let stage = Stage::with(Plan { portabilling: r#"cache_ttl = "1h""#, ..Plan::default() }).await;
    let i_account = stage.account(0);
    for number in 1..=20 {
        stage.change(Change::Update, i_account).await;
        let requests = stage.external.got(number).await;
        let now = stage.simulator.world(|world| world.account(i_account).unwrap().lastname.clone());
        assert_eq!(Some(lastname(&requests[number - 1])), now.as_deref(), "event {number}");
    }
}

#[tokio::test]
async fn an_answer_under_way_is_not_for_events_that_came_after_the_question() {
    let handlers = HSS.replace(r#"["Subscriber/*", "SIM/*", "Account/*"]"#, r#"["Subscriber/*"]"#)
        + &HSS
            .replace(r#"["Subscriber/*", "SIM/*", "Account/*"]"#, r#"["Account/*"]"#)
            .replace(r#"name = "hss""#, r#"name = "late""#);
    let stage = Stage::with(Plan { handlers, portabilling: r#"cache_ttl = "1h""#, ..Plan::default() }).await;
    // so that it has logged in
    stage.change(Change::Update, stage.account(1)).await;
    stage.external.got(1).await;

    let i_account = stage.account(0);
    stage.soap.hold();
    stage.change(Change::Update, i_account).await;
    // the answer has been given, and is on its way
    stage.soap.held(1).await;
    stage.change(Change::Block, i_account).await;
    super::stage::eventually("the second event is under way", async || {
        let backlog = stage.gateway().store().backlog().await.unwrap();
        (backlog.iter().map(|handler| handler.in_flight).sum::<u64>() == 2).then_some(())
    })
    .await;
    stage.soap.release();
    let requests = stage.external.got(3).await;
    let of = |handler: &str| requests[1..].iter().find(|request| request.handler() == handler).unwrap();
    assert_eq!(of("hss").body["pb_data"]["account_info"]["blocked"], false);
    assert_eq!(of("late").body["pb_data"]["account_info"]["blocked"], true);
}
