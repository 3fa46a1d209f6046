//! What counts as differing: `pb_data` as it is now beside what was delivered last, by their digests. Pure.
//!
//! Nothing promises that PortaBilling lists service features or counters in the same order each time, and to no connector
//! does their order mean anything; so the order of an array doesn't count, nor does that of an object's members.

use aws_lc_rs::digest::{Digest, SHA256, digest};
use serde_json::{Map, Value};

use super::account::Difference;
use crate::handler::{Fetch, Reconcile, Walked};

/// At most so many members are named of one that differs.
const NAMED: usize = 20;

/// What has to be fetched to compare: what the handler fetches and what counts. The previous SIM card is no state of its own
/// (it is there once, after a change), the present one stands for it. Of an account, the customer's data don't count where
/// customers are walked through, too: their events tell of them.
pub fn compared(fetch: &[Fetch], reconcile: &Reconcile, walked: Walked) -> Vec<Fetch> {
    let mut compared = Vec::new();
    for fetch in fetch {
        let fetch = if *fetch == Fetch::PrevSimInfo { Fetch::SimInfo } else { *fetch };
        let about = match walked {
            Walked::Accounts => fetch != Fetch::CustomerInfo || reconcile.customers.is_none(),
            Walked::Customers => fetch == Fetch::CustomerInfo,
        };
        let counts = !reconcile.ignore.iter().any(|path| path == fetch.as_str());
        if about && counts && !compared.contains(&fetch) {
            compared.push(fetch);
        }
    }
    compared
}

/// Whether the account or customer itself was asked for and isn't there any more, or is closed for good.
pub(super) fn is_gone(members: &Map<String, Value>, walked: Walked) -> bool {
    members.get(walked.itself().as_str()).is_some_and(|itself| {
        itself.is_null() || itself.get("bill_status").is_some_and(|status| status == "terminated")
    })
}

/// What is there now, and what was delivered last, without what doesn't count.
#[derive(Debug)]
pub(super) struct Now(Map<String, Value>);

impl Now {
    /// `pb_data` as it was fetched.
    pub(super) fn new(mut pb_data: Map<String, Value>, ignore: &[String]) -> Self {
        strip_all(&mut pb_data, ignore);
        Self(pb_data)
    }

    /// How `last`, which was delivered then, differs; none: it doesn't. What wasn't asked for now doesn't count.
    pub(super) fn beside(&self, last: Option<&str>, ignore: &[String]) -> Option<Difference> {
        let Some(mut last) = last.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok())
        else {
            return (!self.0.values().all(Value::is_null)).then_some(Difference::NeverDelivered);
        };
        last.retain(|name, _| self.0.contains_key(name));
        strip_all(&mut last, ignore);
        let (now, last) = (Value::Object(self.0.clone()), Value::Object(last));
        if fingerprint(&now).as_ref() == fingerprint(&last).as_ref() {
            return None;
        }
        let mut members = Vec::new();
        name_differing("", &now, &last, &mut members);
        members.truncate(NAMED);
        Some(Difference::Members(members))
    }
}

fn strip_all(members: &mut Map<String, Value>, ignore: &[String]) {
    for path in ignore {
        let segments: Vec<&str> = path.split('.').collect();
        strip(members, &segments);
    }
}

/// Takes the member at the path away; through an array it leads to each of its elements.
fn strip(members: &mut Map<String, Value>, path: &[&str]) {
    match path {
        [] => {}
        [name] => drop(members.shift_remove(*name)),
        [name, rest @ ..] => match members.get_mut(*name) {
            Some(Value::Object(inner)) => strip(inner, rest),
            Some(Value::Array(elements)) => {
                elements.iter_mut().filter_map(Value::as_object_mut).for_each(|inner| strip(inner, rest));
            }
            _ => {}
        },
    }
}

/// SHA-256 over the canonical text.
fn fingerprint(value: &Value) -> Digest {
    digest(&SHA256, canonical(value).as_bytes())
}

/// JSON with members by their names and elements by their text.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members = members.into_iter();
            let texts =
                members.map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)));
            format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
        }
        Value::Array(elements) => {
            let mut texts: Vec<_> = elements.iter().map(canonical).collect();
            texts.sort_unstable();
            format!("[{}]", texts.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// The paths of what differs, as deep as they lead. Elements of arrays go by their `name`; where they have none, or the same,
/// the array is named as a whole.
fn name_differing(path: &str, now: &Value, last: &Value, members: &mut Vec<String>) {
    if canonical(now) == canonical(last) {
        return;
    }
    match (now, last) {
        (Value::Object(now), Value::Object(last)) => {
            let missing = last.keys().filter(|name| !now.contains_key(*name));
            for name in now.keys().chain(missing) {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let of = |members: &Map<String, Value>| members.get(name).cloned().unwrap_or_default();
                match (now.contains_key(name), last.contains_key(name)) {
                    (true, true) => name_differing(&inner, &of(now), &of(last), members),
                    _ => members.push(inner),
                }
            }
        }
        (Value::Array(now), Value::Array(last)) => match (by_name(now), by_name(last)) {
            (Some(now), Some(last)) => {
                let missing = last.keys().filter(|name| !now.contains_key(*name));
                for name in now.keys().chain(missing) {
                    let inner = format!("{path}[{name}]");
                    match (now.get(name), last.get(name)) {
                        (Some(now), Some(last)) => name_differing(&inner, now, last, members),
                        _ => members.push(inner),
                    }
                }
            }
            _ => members.push(format!("{path}[]")),
        },
        _ => members.push(path.to_owned()),
    }
}

fn by_name(elements: &[Value]) -> Option<Map<String, Value>> {
    let named = |element: &Value| Some((element.get("name")?.as_str()?.to_owned(), element.clone()));
    let named: Map<String, Value> = elements.iter().map(named).collect::<Option<_>>()?;
    (named.len() == elements.len()).then_some(named)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::handler::{Made, NeverDelivered};

    fn now(value: Value) -> Now {
        Now::new(value.as_object().expect("an object").clone(), &[])
    }

    fn members(now_: Value, last: Value) -> Vec<String> {
        match now(now_).beside(Some(&last.to_string()), &[]) {
            None => Vec::new(),
            Some(Difference::Members(members)) => members,
            Some(other) => panic!("it was delivered: {other:?}"),
        }
    }

    fn features(order: [&str; 2], policy: &str) -> Value {
        let feature = |name: &str| match name {
            "cli" => json!({ "name": "cli", "effective_flag_value": "Y", "attributes": [] }),
            _ => {
                json!({ "attributes": [{ "name": "access_policy", "effective_value": policy }], "name": name })
            }
        };
        json!({ "account_info": { "id": "a", "service_features": order.map(feature) } })
    }

    #[test]
    fn order_does_not_count() {
        let (one, other) = (features(["cli", "net"], "1"), features(["net", "cli"], "1"));
        assert_eq!(members(one, other), Vec::<String>::new());
        assert_eq!(
            members(json!({ "a": 1, "b": [1, 2, 2] }), json!({ "b": [2, 1, 2], "a": 1 })),
            Vec::<String>::new()
        );
        assert_eq!(members(json!({ "b": [1, 2] }), json!({ "b": [1, 2, 2] })), ["b[]"]);
    }

    #[test]
    fn what_differs_is_named_as_deep_as_it_lies_and_without_values() {
        let named = members(features(["cli", "net"], "1"), features(["net", "cli"], "2"));
        assert_eq!(named, ["account_info.service_features[net].attributes[access_policy].effective_value"]);
        let gone = json!({ "sim_info": null, "product_info": { "name": "x", "new": 1 } });
        let last = json!({ "sim_info": { "imsi": "secret" }, "product_info": { "name": "x", "old": 1 } });
        assert_eq!(members(gone, last), ["sim_info", "product_info.new", "product_info.old"]);
        let (one, two) =
            (json!({ "a": [{ "name": "x" }] }), json!({ "a": [{ "name": "x" }, { "name": "y" }] }));
        assert_eq!(members(one, two), ["a[y]"]);
    }

    #[test]
    fn what_was_not_asked_for_now_does_not_count_and_what_was_not_delivered_does() {
        let last = json!({ "sim_info": 1, "prev_sim_info": { "imsi": "1" }, "full_vd_counter_info": [] });
        assert_eq!(members(json!({ "sim_info": 1 }), last), Vec::<String>::new());
        assert_eq!(
            members(json!({ "sim_info": 1, "product_info": 2 }), json!({ "sim_info": 1 })),
            ["product_info"]
        );
    }

    #[test]
    fn ignored_members_do_not_count_even_in_arrays() {
        let ignore = ["account_info.status".to_owned(), "full_vd_counter_info.remaining".to_owned()];
        let data = |status, remaining: u32, unit| json!({ "account_info": { "id": 1, "status": status }, "full_vd_counter_info": [{ "remaining": remaining, "unit": unit }] });
        let beside = |one: Value, other: Value| {
            let one = Now::new(one.as_object().expect("an object").clone(), &ignore);
            one.beside(Some(&other.to_string()), &ignore)
        };
        assert_eq!(beside(data(json!(null), 1, "GB"), data(json!("overdraft"), 2, "GB")), None);
        assert!(beside(data(json!(null), 1, "GB"), data(json!(null), 1, "MB")).is_some());
    }

    #[test]
    fn nothing_delivered_and_nothing_there_is_the_same() {
        assert_eq!(now(json!({ "sim_info": null })).beside(None, &[]), None);
        assert_eq!(now(json!({ "sim_info": 1 })).beside(None, &[]), Some(Difference::NeverDelivered));
    }

    #[test]
    fn whoever_is_closed_is_gone_unless_nobody_asked() {
        let gone = |walked, members: Value| is_gone(members.as_object().expect("an object"), walked);
        for (walked, name) in [(Walked::Accounts, "account_info"), (Walked::Customers, "customer_info")] {
            assert!(gone(walked, json!({ name: null })));
            assert!(gone(walked, json!({ name: { "bill_status": "terminated" } })));
            assert!(!gone(walked, json!({ name: { "bill_status": "open" }, "sim_info": null })));
            assert!(!gone(walked, json!({ "sim_info": null })));
        }
        assert!(!gone(Walked::Customers, json!({ "account_info": null })));
    }

    #[test]
    fn what_is_compared_is_what_counts_of_whom_it_is_about() {
        let made = Made { changed: "x".into(), gone: None };
        let mut reconcile = Reconcile {
            accounts: Some(made.clone()),
            customers: None,
            ignore: vec!["full_vd_counter_info".to_owned(), "account_info.status".to_owned()],
            never_delivered: NeverDelivered::default(),
        };
        // the present card stands for the previous one, and what is ignored isn't asked for
        assert_eq!(compared(&[Fetch::PrevSimInfo], &reconcile, Walked::Accounts), [Fetch::SimInfo]);
        assert_eq!(compared(&[Fetch::FullVdCounterInfo], &reconcile, Walked::Accounts), []);
        let all = [Fetch::AccountInfo, Fetch::SimInfo, Fetch::AccessPolicyInfo, Fetch::ProductInfo];
        let with_customer = [&all[..], &[Fetch::CustomerInfo]].concat();
        assert_eq!(compared(&Fetch::ALL, &reconcile, Walked::Accounts), with_customer);
        reconcile.customers = Some(made);
        assert_eq!(compared(&Fetch::ALL, &reconcile, Walked::Accounts), all);
        assert_eq!(compared(&Fetch::ALL, &reconcile, Walked::Customers), [Fetch::CustomerInfo]);
        assert_eq!(compared(&all, &reconcile, Walked::Customers), []);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..4_i64).prop_map(Value::from),
            "[a-c\"]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let named = ("[ab]", inner.clone()).prop_map(|(name, value)| json!({ "name": name, "v": value }));
            prop_oneof![
                prop::collection::vec(prop_oneof![inner.clone(), named], 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-d]", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn shuffled(value: &Value, turn: usize) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> =
                    members.iter().map(|(name, value)| (name.clone(), shuffled(value, turn))).collect();
                let by = turn % members.len().max(1);
                members.rotate_left(by);
                Value::Object(members.into_iter().collect())
            }
            Value::Array(elements) => {
                let mut elements: Vec<_> = elements.iter().map(|value| shuffled(value, turn)).collect();
                let by = turn % elements.len().max(1);
                elements.rotate_left(by);
                Value::Array(elements)
            }
            scalar => scalar.clone(),
        }
    }

    proptest! {
        #[test]
        fn digests_agree_with_what_is_named(one in json_value(), other in json_value(), turn in 0..5_usize) {
            let (one, other) = (json!({ "m": one }), json!({ "m": other }));
            prop_assert_eq!(members(one.clone(), shuffled(&one, turn)), Vec::<String>::new());
            let named = members(one.clone(), other.clone());
            prop_assert_eq!(named.is_empty(), members(other, one).is_empty());
        }
    }
}
