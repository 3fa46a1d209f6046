//! A small report: how many accounts each product has, and what their balances add up to, by `get_extended_data_list`.
//!
//! `cargo run -p portabilling --features client --example report -- [URL [LOGIN [API-TOKEN]]]`
#![allow(clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;

use portabilling::Decimal;
use portabilling::account::AccountInfo;
use serde_json::json;

const PAGE: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> common::Done {
    let client = common::client()?;
    let mut products: BTreeMap<i64, (usize, Decimal)> = BTreeMap::new();
    let mut offset = 0;
    loop {
        // the criteria are PortaBilling's own; `/doc/api` of an installation shows which it knows
        let criteria = json!({ "limit": PAGE, "offset": offset, "get_total": 1 });
        let criteria = criteria.as_object().cloned().unwrap_or_default();
        let rows = client.extended_data_list("Account", &criteria).await?;
        for account in rows.typed::<AccountInfo>()? {
            let (count, sum) = products.entry(account.i_product.unwrap_or_default()).or_default();
            *count += 1;
            *sum += account.balance.unwrap_or_default();
        }
        offset += rows.rows.len();
        if rows.rows.is_empty() || rows.total.is_some_and(|total| offset as i64 >= total) {
            break;
        }
    }
    println!("{:>8}{:>10}{:>14}", "product", "accounts", "balance");
    for (product, (count, sum)) in products {
        println!("{product:>8}{count:>10}{sum:>14}");
    }
    client.log_out().await;
    Ok(())
}
