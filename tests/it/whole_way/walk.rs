//! One event, all ten stops.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::external::Reply;
use super::stage::Stage;

/// The first account of the simulated PortaBilling as the NSPS contract shows it.
fn pb_data(i_account: i64) -> Value {
    json!({
        "account_info": {
            "bill_status": "open", "billing_model": "credit_account", "blocked": false,
            "email": format!("a{i_account}@example.org"), "firstname": "Zoë", "i_account": i_account,
            "i_customer": 1, "i_master_account": null, "i_product": 1, "i_vd_plan": 31,
            "id": "420701000000@msisdn", "lastname": "Nováková", "phone1": "+420701000000",
            "product_name": "Mobile 1 <gold>", "status": null, "time_zone_name": "Europe/Prague", "zip": "01 234",
            "assigned_addons": [{
                "addon_effective_from": "2026-01-01T00:00:00", "addon_effective_to": null, "addon_priority": 10,
                "description": "Data", "i_product": 900, "i_product_group": null, "i_vd_plan": 31, "name": "10 GB",
            }],
            "service_features": [
                {
                    "name": "netaccess_policy", "effective_flag_value": "Y",
                    "attributes": [{ "name": "access_policy", "effective_value": "2" }],
                },
                {
                    "name": "cli", "effective_flag_value": "Y",
                    "attributes": [
                        { "name": "display_number", "effective_value": "4201,4202" },
                        { "name": "centrex", "effective_value": "" },
                    ],
                },
            ],
        },
        "sim_info": {
            "i_account": i_account, "i_sim_card": 500_000, "iccid": "8942001000000500000",
            "imsi": "230010000500000", "msisdn": "420701000000", "status": "used",
        },
        "prev_sim_info": null,
        "access_policy_info": {
            "i_access_policy": 2, "name": "Policy 2",
            "attributes": [
                { "group_name": "LTE", "name": "cs_profile", "value": "default,premium" },
                { "group_name": "LTE", "name": "eps_profile", "value": "lte-1" },
            ],
        },
        "product_info": {
            "name": "Mobile 1 <gold>", "description": "Voice, messages and data", "i_product": 1, "i_vd_plan": 31,
            "addon_priority": 0,
        },
        "full_vd_counter_info": [
            {
                "service_name": "Internet Access", "vdp_name": "10 GB", "dg_name": "DATA",
                "discount_info": "100% till 10 GB", "unit": "GB", "i_vd_plan": 31, "i_dest_group": 7, "i_vd_dg": 70,
                "i_service": 106, "addon_priority": 10, "allocated_amount": 10, "remaining": 7.25,
            },
            {
                "service_name": "Voice Calls", "vdp_name": null, "dg_name": null, "discount_info": null, "unit": null,
                "i_vd_plan": 31, "i_dest_group": null, "i_vd_dg": null, "i_service": null, "addon_priority": null,
                "allocated_amount": null, "remaining": "N/A",
            },
        ],
    })
}

#[tokio::test]
async fn one_event_walks_the_ten_stops() {
    let stage = Stage::set().await;
    let i_account = stage.account(0);
    assert_eq!(i_account, 1_000_000);
    stage.external.answer(|_| Reply::Held);

    // ESPF posts; odd spaces and unknown keys are part of the event
    let body = format!(
        r#"{{ "event_type":"Subscriber/Updated", "variables" : {{"i_event":77,"i_account":"{i_account}","ünknown":[1.0, 1e2]}},"new":null}}"#
    );
    assert_eq!(stage.post(&body).await, 200);

    // what the external system is told
    let request = stage.external.got(1).await.remove(0);
    assert_eq!(request.header("authorization"), "Bearer t0ken");
    assert_eq!(request.header("content-type"), "application/json");
    assert!(request.text.contains(&body), "the event isn't passed on byte for byte: {}", request.text);
    let uuid: Uuid = request.key().parse().unwrap();
    assert_eq!(uuid.get_version_num(), 7);
    assert_eq!(request.handler(), "hss");
    for name in ["created_at", "updated_at"] {
        let time = request.body[name].as_str().unwrap();
        assert!(time.ends_with("+00:00") && time.len() == "2026-11-21T08:00:00.123456+00:00".len(), "{time}");
        let age = Timestamp::now().duration_since(time.parse().unwrap());
        assert!((0..20).contains(&age.as_secs()), "{time}");
    }
    assert_eq!(request.body["pb_data"], pb_data(i_account));

    // what PortaBilling is told: first that it has begun, then how it ended
    stage.until_status(i_account, "IN_PROGRESS").await;
    assert_eq!(stage.detail(77).await["deliveries"][0]["state"], "in_flight");
    stage.external.release();
    assert_eq!(stage.until_status(i_account, "OK").await, None);

    // what the operator sees
    stage.settled().await;
    let event = stage.detail(77).await;
    assert_eq!(event["event_type"], "Subscriber/Updated");
    assert_eq!(event["subject"], json!({ "kind": "account", "id": "1000000" }));
    assert_eq!(request.header("x-b3-traceid"), event["id"].as_str().unwrap().replace('-', ""));
    let deliveries = event["deliveries"].as_array().unwrap();
    let delivery = &deliveries[0];
    assert_eq!(deliveries.len(), 1);
    assert_eq!((&delivery["id"], &delivery["state"]), (&json!(request.key()), &json!("delivered")));
    assert_eq!(delivery["attempts"], 1);
    let attempt = &delivery["attempt_list"][0];
    assert_eq!((&attempt["number"], &attempt["outcome"]), (&json!(1), &json!("delivered")));
    assert!(attempt["response"].as_str().unwrap().starts_with("HTTP 202"));
    let sent = attempt["request"].as_str().unwrap();
    assert!(sent.contains("authorization: ***") && !sent.contains("t0ken"), "{sent}");
    assert!(sent.ends_with(&request.text), "{sent}");

    // what is counted
    let kept = [r#"type="Subscriber/Updated""#, r#"answer="kept""#];
    assert_eq!(stage.metric("soapstone_events_total", &kept).await, 1.0);
    let delivered = [r#"handler="hss""#, r#"outcome="delivered""#];
    assert_eq!(stage.metric("soapstone_deliveries_total", &delivered).await, 1.0);
    assert_eq!(stage.calls("get_account_info").await, 1.0);
    let whole = [r#"stage="whole""#];
    assert_eq!(stage.metric("soapstone_stage_duration_seconds_count", &whole).await, 1.0);
    for value in ["IN_PROGRESS", "OK"] {
        let written = [&format!(r#"value="{value}""#), r#"outcome="written""#];
        assert_eq!(stage.metric("soapstone_status_writes_total", &written).await, 1.0, "{value}");
    }
}

#[tokio::test]
async fn an_event_that_comes_twice_is_delivered_once() {
    let stage = Stage::set().await;
    let sent = stage.change(soapstone::simulator::Change::Update, stage.account(0)).await;
    for _ in 0..3 {
        assert_eq!(stage.post(&sent.body).await, 200);
    }
    stage.settled().await;
    assert_eq!(stage.external.requests().len(), 1);
    assert_eq!(stage.metric("soapstone_events_total", &[r#"answer="duplicate""#]).await, 3.0);
}
