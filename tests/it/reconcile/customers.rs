//! Customers are walked through as accounts are.

use super::*;

const CRM: &str = r#"
[[handler]]
name = "hss"
events = ["Customer/*"]
fetch = ["customer_info"]
connector = "hss"
retry = { first = "10ms", longest = "20ms", tries = 100000, then = ["1m"], horizon = "1h" }
reconcile = {}
"#;

fn plan_of(handlers: &str) -> Plan {
    Plan::handlers(&format!("[reconcile]\nrate = 1000\npage = 7\n{handlers}"))
}

/// A stage with twelve customers, all of which have been delivered once.
async fn with_customers(handlers: &str) -> Stage {
    let stage = Stage::with(plan_of(handlers)).await;
    let ids = stage.simulator.world(|world| {
        for _ in 0..10 {
            world.add_customer();
        }
        world.customer_ids()
    });
    assert_eq!(ids, (1..=12).collect::<Vec<_>>());
    for i_customer in ids {
        stage.event("Customer/Updated", json!({ "i_customer": i_customer })).await;
    }
    stage.settled().await;
    stage
}

/// What the external system was told from the request number `from` on: the type and the customer, in their order.
fn told(stage: &Stage, from: usize) -> Vec<(String, i64)> {
    let what = |request: &crate::whole_way::external::Request| {
        let i_customer = request.body["data"]["variables"]["i_customer"].as_i64().unwrap();
        (request.event_type().to_owned(), i_customer)
    };
    let mut told: Vec<_> = stage.external.requests()[from..].iter().map(what).collect();
    told.sort();
    told
}

fn one(event_type: &str, i_customer: i64) -> (String, i64) {
    (event_type.to_owned(), i_customer)
}

#[tokio::test]
async fn a_customer_is_delivered_as_portabilling_has_it() {
    let stage = with_customers(CRM).await;
    let requests = stage.external.requests();
    let of_seven =
        requests.iter().find(|request| request.body["data"]["variables"]["i_customer"] == 7).unwrap();
    let info = &of_seven.body["pb_data"]["customer_info"];
    assert_eq!(
        (&info["i_customer"], &info["bill_status"], &info["blocked"]),
        (&json!(7), &json!("open"), &json!(false))
    );
    assert_eq!(info["name"], "Zákazník 7 & synové");
    assert_eq!(stage.calls("get_account_info").await, 0.0);
}

#[tokio::test]
async fn an_accounts_event_can_have_its_customer_with_it() {
    let handlers = HSS.replace(r#"fetch = ["account_info","#, r#"fetch = ["customer_info","#);
    let stage = Stage::with(Plan::handlers(&handlers)).await;
    let i_account = stage.account(3);
    stage.change(Change::Update, i_account).await;
    stage.settled().await;
    let i_customer = stage.simulator.world(|world| world.account(i_account).unwrap().i_customer);
    let data = &stage.external.requests()[0].body["pb_data"];
    assert_eq!(data["customer_info"]["i_customer"], json!(i_customer));
    assert_eq!(data.get("account_info"), None);
}

#[tokio::test]
async fn customers_that_differ_are_new_or_gone_are_delivered_and_then_nothing_is() {
    let stage = with_customers(CRM).await;
    let created = stage.simulator.world(|world| {
        world.rename_customer(3, "Acme");
        world.rename_customer(8, "Acme & Sons");
        // closed, and gone altogether
        assert!(world.terminate_customer(5));
        world.remove_customer(6);
        world.add_customer()
    });
    let walk = reconcile(&stage).await;
    let expected = [
        one("Customer/Deleted", 5),
        one("Customer/Deleted", 6),
        one("Customer/Updated", 3),
        one("Customer/Updated", 8),
        one("Customer/Updated", created),
    ];
    assert_eq!(told(&stage, 12), expected);
    for (name, count) in
        [("seen", 13), ("same", 8), ("differing", 3), ("gone", 2), ("untold", 2), ("enqueued", 5)]
    {
        assert_eq!(walk[name], count, "{name} in {walk}");
    }
    assert_eq!((&walk["listed"], &walk["total"]), (&json!({ "customers": 11 }), &json!(13)), "{walk}");
    let requests = stage.external.requests();
    let gone = requests.iter().rfind(|request| request.body["data"]["variables"]["i_customer"] == 6).unwrap();
    assert_eq!(gone.body["pb_data"]["customer_info"]["name"], "Zákazník 6 & synové", "what is left of it");
    assert_eq!(stage.calls("get_account_list").await, 0.0, "accounts are none of its business");

    let again = reconcile(&stage).await;
    assert_eq!(
        (&again["seen"], &again["same"], &again["enqueued"]),
        (&json!(13), &json!(11), &json!(0)),
        "{again}"
    );
    let found =
        stage.metric("soapstone_reconciled_total", &[r#"kind="customer""#, r#"finding="ended""#]).await;
    assert_eq!(found, 2.0);
}

#[tokio::test]
async fn a_handler_of_both_is_walked_through_both_and_goes_on_after_a_restart() {
    let both = CRM
        .replace(r#"["Customer/*"]"#, r#"["Customer/*", "Subscriber/*"]"#)
        .replace(r#"["customer_info"]"#, r#"["account_info", "customer_info"]"#);
    let mut stage = with_customers(&both).await;
    for i_account in stage.simulator.world(|world| world.account_ids()) {
        stage.event("Subscriber/Updated", json!({ "i_account": i_account })).await;
    }
    stage.settled().await;
    // every customer has changed: that is told once, and not of each of its accounts
    stage
        .simulator
        .world(|world| world.customer_ids().into_iter().for_each(|id| world.rename_customer(id, "Acme")));
    let accounts = dropped(&stage, Change::Update, 0..10);
    let created = stage.simulator.world(|world| world.add_customer());
    start(&stage, json!({ "rate": 60.0 })).await;
    for seen in [5, 18] {
        until(&stage, "it is in the middle", |walk| walk["seen"].as_u64() >= Some(seen)).await;
        stage.stop_gateway().await;
        stage.start_gateway().await;
    }
    let walk = done(&stage).await;
    stage.settled().await;
    for (name, count) in [("seen", 33), ("total", 33), ("differing", 23), ("enqueued", 23)] {
        assert_eq!(walk[name], count, "{name} in {walk}");
    }
    assert_eq!(walk["listed"], json!({ "accounts": 20, "customers": 13 }));
    let variables = |request: &crate::whole_way::external::Request| request.body["data"]["variables"].clone();
    let sent: Vec<Value> = stage.external.requests()[32..].iter().map(variables).collect();
    let ids =
        |name: &str| sent.iter().filter_map(|variables| variables[name].as_i64()).collect::<BTreeSet<_>>();
    assert_eq!((sent.len(), ids("i_account"), ids("i_customer")), (23, accounts, (1..=created).collect()));
}
