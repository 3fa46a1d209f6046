//! Those that PortaBilling doesn't have any more, and whose end nobody told of.

use super::*;

/// The handler listens for these only.
fn listening(events: &str, reconcile: &str) -> Plan {
    let plan = plan_with("rate = 1000\npage = 7", reconcile);
    let handlers = plan.handlers.replace(r#"["Subscriber/*", "SIM/*", "Account/*"]"#, events);
    Plan { handlers, ..plan }
}

/// What the external system was told of this account, in its order.
fn types(stage: &Stage, i_account: i64) -> Vec<String> {
    let requests = stage.external.requests();
    let of = requests.iter().filter(|request| request.body["data"]["variables"]["i_account"] == i_account);
    of.map(|request| request.event_type().to_owned()).collect()
}

#[tokio::test]
async fn an_end_that_was_dropped_is_told_once_with_what_was_delivered_last() {
    let stage = delivered(plan()).await;
    let gone = dropped(&stage, Change::Delete, [2, 7, 19]);
    let told = stage.account(0);
    stage.change(Change::Delete, told).await;
    stage.settled().await;
    let requests = stage.external.requests().len();

    let walk = reconcile(&stage).await;
    assert_eq!(told_once(&stage, requests), gone);
    for (name, count) in
        [("seen", 20), ("total", 20), ("same", 16), ("gone", 4), ("untold", 3), ("enqueued", 3)]
    {
        assert_eq!(walk[name], count, "{name} in {walk}");
    }
    for i_account in gone {
        assert_eq!(types(&stage, i_account), ["Subscriber/Updated", "Subscriber/Deleted"]);
        let requests = stage.external.requests();
        let of = |request: &&crate::whole_way::external::Request| {
            request.body["data"]["variables"]["i_account"].to_string().trim_matches('"')
                == i_account.to_string()
        };
        let last = requests.iter().rfind(of).unwrap();
        assert_eq!(last.body["pb_data"]["account_info"]["i_account"], i_account, "what is left of it");
        assert!(last.body["pb_data"]["sim_info"]["imsi"].is_string());
    }
    // nobody is told twice
    let again = reconcile(&stage).await;
    assert_eq!(
        (&again["gone"], &again["untold"], &again["enqueued"]),
        (&json!(4), &json!(0), &json!(0)),
        "{again}"
    );
    assert_eq!(stage.external.requests().len(), requests + 3);
}

#[tokio::test]
async fn a_dry_run_names_those_that_are_gone_and_tells_nobody() {
    let stage = delivered(plan()).await;
    let gone = dropped(&stage, Change::Delete, [4]).pop_first().unwrap();
    start(&stage, json!({ "dry_run": true })).await;
    let walk = done(&stage).await;
    assert_eq!(
        (&walk["gone"], &walk["untold"], &walk["enqueued"]),
        (&json!(1), &json!(1), &json!(0)),
        "{walk}"
    );
    let subject = json!({ "kind": "account", "id": gone.to_string() });
    assert_eq!(walk["examples"], json!([{ "subject": subject, "difference": "gone", "members": [] }]));
    stage.settled().await;
    assert_eq!(stage.external.requests().len(), 20);
}

#[tokio::test]
async fn where_no_end_is_listened_for_nothing_is_made_and_it_is_said() {
    for (events, reconcile) in
        [(r#"["Subscriber/Updated", "SIM/*"]"#, ""), (r#"["Subscriber/*"]"#, "gone_type = []")]
    {
        let stage = delivered(listening(events, reconcile)).await;
        dropped(&stage, Change::Delete, [4, 5]);
        let walk = super::reconcile(&stage).await;
        assert_eq!(
            (&walk["gone"], &walk["unheard"], &walk["enqueued"]),
            (&json!(2), &json!(2), &json!(0)),
            "{walk}"
        );
        assert_eq!(walk["examples"][0]["difference"], "unheard");
        assert_eq!(stage.external.requests().len(), 20);
    }
}

#[tokio::test]
async fn the_native_vocabulary_has_an_end_of_its_own() {
    let stage = delivered(listening(r#"["Subscriber/Updated", "Account/*"]"#, "")).await;
    let gone = dropped(&stage, Change::Delete, [4]).pop_first().unwrap();
    for walks in 1..=2 {
        let walk = reconcile(&stage).await;
        assert_eq!(walk["gone"], 1, "{walks}: {walk}");
        assert_eq!(types(&stage, gone), ["Subscriber/Updated", "Account/Status/Closed"]);
    }
    let last = stage.external.requests().pop().unwrap();
    assert_eq!(last.body["pb_data"]["account_info"]["i_account"], gone, "what is left of it");
}

#[tokio::test]
async fn a_handler_that_does_not_fetch_the_account_learns_of_its_end_all_the_same() {
    let plan = plan();
    let fetch = r#""account_info", "sim_info", "prev_sim_info", "access_policy_info", "product_info", "full_vd_counter_info""#;
    let handlers = plan.handlers.replace(fetch, r#""sim_info""#);
    let stage = delivered(Plan { handlers, ..plan }).await;
    let gone = dropped(&stage, Change::Delete, [4]).pop_first().unwrap();
    let walk = reconcile(&stage).await;
    assert_eq!((&walk["same"], &walk["enqueued"]), (&json!(19), &json!(1)), "{walk}");
    let last = stage.external.requests().pop().unwrap();
    assert_eq!(
        (last.event_type(), &last.body["data"]["variables"]["i_account"]),
        ("Subscriber/Deleted", &json!(gone))
    );
    assert_eq!(last.body["pb_data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["sim_info"]);
}

#[tokio::test]
async fn an_end_that_is_on_its_way_is_left_to_it() {
    let stage = delivered(plan()).await;
    stage.external.answer(|_| Reply::Held);
    stage.change(Change::Delete, stage.account(5)).await;
    stage.external.got(21).await;
    start(&stage, json!({})).await;
    let walk = done(&stage).await;
    assert_eq!(
        (&walk["on_its_way"], &walk["gone"], &walk["enqueued"]),
        (&json!(1), &json!(0), &json!(0)),
        "{walk}"
    );
    stage.external.release();
    stage.settled().await;
    assert_eq!(stage.external.requests().len(), 21);
}

#[tokio::test]
async fn when_too_many_seem_to_be_gone_the_walk_asks_first() {
    let stage = delivered(plan_with("rate = 1000\npage = 7\ngone_max = 3", "")).await;
    let gone = dropped(&stage, Change::Delete, 0..8);
    start(&stage, json!({})).await;
    for tells in [3, 6] {
        let walk = until(&stage, "it has broken off", |walk| walk["state"] == "failed").await;
        assert!(walk["reason"].as_str().unwrap().contains("gone_max"), "{walk}");
        assert_eq!((&walk["untold"], &walk["enqueued"]), (&json!(tells), &json!(tells)), "{walk}");
        stage.settled().await;
        assert_eq!(stage.external.requests().len(), 20 + tells);
        start(&stage, json!({ "resume": true })).await;
    }
    let walk = done(&stage).await;
    stage.settled().await;
    assert_eq!(told_once(&stage, 20), gone);
    assert_eq!((&walk["seen"], &walk["untold"]), (&json!(20), &json!(8)), "{walk}");
}

/// Twenty events about a customer that has the number of this account.
async fn busy_customer(stage: &Stage, number: i64) {
    for _ in 0..20 {
        stage.event("Customer/Updated", json!({ "i_customer": number })).await;
    }
}

#[tokio::test]
async fn a_customer_of_the_same_number_hides_nothing_that_an_account_was_told() {
    let stage = delivered(plan()).await;
    let told = stage.account(0);
    stage.change(Change::Delete, told).await;
    stage.settled().await;
    busy_customer(&stage, told).await;
    let walk = reconcile(&stage).await;
    assert_eq!(
        (&walk["gone"], &walk["untold"], &walk["enqueued"]),
        (&json!(1), &json!(0), &json!(0)),
        "{walk}"
    );

    // nor what is about to be delivered to it
    stage.external.answer(|_| Reply::Held);
    let waits = stage.account(5);
    let requests = stage.external.requests().len();
    stage.change(Change::Update, waits).await;
    stage.external.got(requests + 1).await;
    busy_customer(&stage, waits).await;
    start(&stage, json!({})).await;
    let walk = until(&stage, "the next has ended", |walk| walk["on_its_way"] == 1).await;
    assert_eq!(walk["enqueued"], 0, "{walk}");
    stage.external.release();
    stage.settled().await;
}

#[tokio::test]
async fn events_that_are_for_others_hide_nothing_that_the_handler_was_told() {
    let stage = delivered(listening(r#"["Subscriber/*"]"#, "")).await;
    let told = stage.account(0);
    stage.change(Change::Delete, told).await;
    stage.settled().await;
    for _ in 0..20 {
        stage.event("Account/Updated", json!({ "i_account": told })).await;
    }
    let walk = reconcile(&stage).await;
    assert_eq!(
        (&walk["gone"], &walk["untold"], &walk["enqueued"]),
        (&json!(1), &json!(0), &json!(0)),
        "{walk}"
    );
}

#[tokio::test]
async fn the_end_of_a_card_is_not_the_end_of_its_account() {
    let stage = delivered(plan()).await;
    stage.event("SIM/Deleted", json!({ "i_account": stage.account(4), "i_sim_card": 1 })).await;
    stage.settled().await;
    let requests = stage.external.requests().len();
    let gone = dropped(&stage, Change::Delete, [4]);
    let walk = reconcile(&stage).await;
    assert_eq!(told_once(&stage, requests), gone);
    assert_eq!((&walk["untold"], &walk["enqueued"]), (&json!(1), &json!(1)), "{walk}");
}
