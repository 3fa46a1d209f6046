//! PortaBilling's structures as connectors see them: `pb_data` of the NSPS connector contract.

use portabilling::types::{
    AccessPolicyInfo, AccountInfo, AddonProductInfo, CardInfo, CustomerInfo, FullVDCounterInfo, ProductInfo,
    ServiceFeatureInfo,
};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::{Value, json};
use soapstone_soap::DateTime;

/// `account_info`.
pub(super) fn account(account: &AccountInfo) -> Value {
    json!({
        "bill_status": account.bill_status.as_deref().map(bill_status),
        "billing_model": account.billing_model.map(billing_model),
        "blocked": account.blocked.as_deref().and_then(flag),
        "email": account.email,
        "firstname": account.firstname,
        "i_account": account.i_account,
        "i_customer": account.i_customer,
        "i_master_account": account.i_master_account.value(),
        "i_product": account.i_product,
        "i_vd_plan": account.i_vd_plan.value(),
        "id": account.id,
        "lastname": account.lastname,
        "phone1": account.phone1,
        "product_name": account.product_name,
        "status": account.status,
        "time_zone_name": account.time_zone_name,
        "zip": account.zip,
        "assigned_addons": account.assigned_addons.iter().map(addon).collect::<Vec<_>>(),
        "service_features": account.service_features.iter().map(feature).collect::<Vec<_>>(),
    })
}

fn addon(addon: &AddonProductInfo) -> Value {
    json!({
        "addon_effective_from": addon.addon_effective_from.map(time),
        "addon_effective_to": addon.addon_effective_to.map(time),
        "addon_priority": addon.addon_priority,
        "description": addon.description,
        "i_product": addon.i_product,
        "i_product_group": addon.i_product_group.value(),
        "i_vd_plan": addon.i_vd_plan,
        "name": addon.name,
    })
}

fn feature(feature: &ServiceFeatureInfo) -> Value {
    let attributes: Vec<Value> = feature
        .attributes
        .iter()
        .map(|attribute| {
            // what holds is the effective value; a server that doesn't give it has nothing else that holds
            let values = if attribute.effective_values.is_empty() {
                &attribute.values
            } else {
                &attribute.effective_values
            };
            json!({ "name": attribute.name, "effective_value": values.join(",") })
        })
        .collect();
    json!({
        "name": feature.name,
        "effective_flag_value": feature.effective_flag_value.as_ref().or(feature.flag_value.as_ref()),
        "attributes": attributes,
    })
}

/// The access policy that an account's `netaccess_policy` feature names.
pub(super) fn access_policy_of(account: &AccountInfo) -> Option<i64> {
    let feature = account
        .service_features
        .iter()
        .find(|feature| feature.name.as_deref() == Some("netaccess_policy"))?;
    let attribute =
        feature.attributes.iter().find(|attribute| attribute.name.as_deref() == Some("access_policy"))?;
    attribute.effective_values.first().or_else(|| attribute.values.first())?.trim().parse().ok()
}

/// `sim_info` and `prev_sim_info`.
pub(super) fn card(card: &CardInfo) -> Value {
    json!({
        "i_account": card.i_account,
        "i_sim_card": card.i_sim_card,
        "iccid": card.iccid,
        "imsi": card.imsi,
        "msisdn": card.msisdn,
        "status": card.status,
    })
}

/// `customer_info`: not in the contract; names and values are as in `account_info`, amounts that change with every call left out.
pub(super) fn customer(customer: &CustomerInfo) -> Value {
    json!({
        "bill_status": customer.bill_status.as_deref().map(bill_status),
        "blocked": customer.blocked.as_deref().and_then(flag),
        "companyname": customer.companyname,
        "credit_limit": customer.credit_limit.value().copied().map(number),
        "email": customer.email,
        "firstname": customer.firstname,
        "i_customer": customer.i_customer,
        "i_customer_class": customer.i_customer_class,
        "i_customer_type": customer.i_customer_type,
        "i_main_office": customer.i_main_office,
        "i_parent": customer.i_parent,
        "iso_4217": customer.iso_4217,
        "lastname": customer.lastname,
        "name": customer.name,
        "phone1": customer.phone1,
        "refnum": customer.refnum,
        "status": customer.status,
        "zip": customer.zip,
        "service_features": customer.service_features.iter().map(feature).collect::<Vec<_>>(),
    })
}

/// `access_policy_info`.
pub(super) fn access_policy(policy: &AccessPolicyInfo) -> Value {
    let attributes: Vec<Value> = policy
        .attributes
        .iter()
        .map(|attribute| json!({ "group_name": attribute.group_name, "name": attribute.name, "value": attribute.value }))
        .collect();
    json!({ "i_access_policy": policy.i_access_policy, "name": policy.name, "attributes": attributes })
}

/// `product_info`.
pub(super) fn product(product: &ProductInfo) -> Value {
    json!({
        "name": product.name,
        "description": product.description,
        "i_product": product.i_product.value(),
        "i_vd_plan": product.i_vd_plan,
        "addon_priority": product.addon_priority,
    })
}

/// One item of `full_vd_counter_info`.
pub(super) fn counter(counter: &FullVDCounterInfo) -> Value {
    json!({
        "service_name": counter.service_name,
        "vdp_name": counter.vdp_name,
        "dg_name": counter.dg_name,
        "discount_info": counter.discount_info,
        "unit": counter.unit,
        "i_vd_plan": counter.i_vd_plan,
        "i_dest_group": counter.i_dest_group,
        "i_vd_dg": counter.i_vd_dg,
        "i_service": counter.i_service,
        "addon_priority": counter.addon_priority,
        "allocated_amount": counter.allocated_amount.map(number),
        "remaining": counter.remaining.as_deref().map(remaining),
    })
}

/// A number where it is one; `N/A` stays text.
fn remaining(text: &str) -> Value {
    text.trim().parse::<Decimal>().map_or_else(|_| Value::from(text), number)
}

fn number(decimal: Decimal) -> Value {
    match decimal.is_integer().then(|| decimal.to_i64()).flatten() {
        Some(whole) => Value::from(whole),
        None => decimal.to_string().parse::<f64>().map_or(Value::Null, Value::from),
    }
}

fn bill_status(code: &str) -> &str {
    match code {
        "O" => "open",
        "S" => "suspended",
        "I" => "inactive",
        "C" => "terminated",
        other => other,
    }
}

fn billing_model(code: i64) -> Value {
    Value::from(match code {
        -1 => "debit_account",
        0 => "recharge_voucher",
        1 => "credit_account",
        2 => "alias",
        4 => "beneficiary",
        other => return Value::from(other.to_string()),
    })
}

/// `Y` is true: the contract's own table says the reverse, its samples and code say this.
fn flag(code: &str) -> Option<bool> {
    match code {
        "Y" => Some(true),
        "N" => Some(false),
        _ => None,
    }
}

/// `YYYY-MM-DDTHH:MM:SS`, without a zone.
fn time(time: DateTime) -> String {
    let civil = DateTime { offset: None, ..time };
    civil.to_string()
}

#[cfg(test)]
mod tests {
    use portabilling::types::ServiceAttributeInfo;

    use super::*;

    #[test]
    fn an_account_is_mapped_value_by_value() {
        let account_info = AccountInfo {
            i_account: Some(7),
            bill_status: Some("S".into()),
            billing_model: Some(-1),
            blocked: Some("Y".into()),
            assigned_addons: vec![AddonProductInfo {
                addon_effective_from: "2026-01-01 10:00:00".parse().ok(),
                addon_priority: Some(30),
                ..AddonProductInfo::default()
            }],
            service_features: vec![ServiceFeatureInfo {
                name: Some("netaccess_policy".into()),
                flag_value: Some("~".into()),
                effective_flag_value: Some("Y".into()),
                attributes: vec![ServiceAttributeInfo {
                    name: Some("access_policy".into()),
                    values: vec!["9".into()],
                    effective_values: vec!["12".into(), "13".into()],
                }],
                ..ServiceFeatureInfo::default()
            }],
            ..AccountInfo::default()
        };
        let mapped = account(&account_info);
        assert_eq!(mapped["bill_status"], "suspended");
        assert_eq!(mapped["billing_model"], "debit_account");
        assert_eq!(mapped["blocked"], true);
        assert_eq!(mapped["assigned_addons"][0]["addon_effective_from"], "2026-01-01T10:00:00");
        assert_eq!(mapped["assigned_addons"][0]["addon_priority"], 30);
        assert_eq!(mapped["service_features"][0]["effective_flag_value"], "Y");
        assert_eq!(mapped["service_features"][0]["attributes"][0]["effective_value"], "12,13");
        assert_eq!(mapped["email"], Value::Null);
        assert_eq!(access_policy_of(&account_info), Some(12));
        assert_eq!(access_policy_of(&AccountInfo::default()), None);
    }

    #[test]
    fn a_customer_is_mapped_as_an_account_is() {
        let mapped = customer(&CustomerInfo {
            i_customer: Some(7),
            name: Some("Acme".into()),
            bill_status: Some("C".into()),
            blocked: Some("N".into()),
            balance: Some(Decimal::TEN),
            credit_limit: soapstone_soap::Nillable::Value(Decimal::new(1250, 1)),
            ..CustomerInfo::default()
        });
        assert_eq!((&mapped["i_customer"], &mapped["name"]), (&json!(7), &json!("Acme")));
        assert_eq!((&mapped["bill_status"], &mapped["blocked"]), (&json!("terminated"), &json!(false)));
        assert_eq!((&mapped["credit_limit"], &mapped["email"]), (&json!(125), &Value::Null));
        assert_eq!(mapped.get("balance"), None);
    }

    #[test]
    fn codes_that_nobody_knows_are_passed_on() {
        assert_eq!(bill_status("X"), "X");
        assert_eq!(billing_model(3), "3");
        assert_eq!(flag("maybe"), None);
    }

    #[test]
    fn counters_keep_numbers_and_words() {
        assert_eq!(remaining("7.25"), 7.25);
        assert_eq!(remaining("7.00"), 7);
        assert_eq!(remaining("N/A"), "N/A");
    }
}
