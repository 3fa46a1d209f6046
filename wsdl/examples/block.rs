//! Blocks the accounts of the customers that owe more than they may, and says what it would do without `--really`.
//!
//! `cargo run -p portabilling --features client --example block -- [URL [LOGIN [API-TOKEN]]] [--json] [--really]`
#![allow(clippy::print_stdout)]

mod common;

use futures::TryStreamExt as _;
use portabilling::account::{
    AccountInfo, GetAccountList, GetAccountListRequest, UpdateAccount, UpdateAccountRequest,
};
use portabilling::client::Client;
use portabilling::customer::{CustomerInfo, GetCustomerList, GetCustomerListRequest};
use portabilling::fault::Class;

#[tokio::main(flavor = "current_thread")]
async fn main() -> common::Done {
    let client = common::client()?;
    let really = std::env::args().any(|arg| arg == "--really");
    let customers: Vec<CustomerInfo> =
        client.list::<GetCustomerList>(GetCustomerListRequest::default(), 200).try_collect().await?;
    let mut debtors = 0;
    for customer in customers.iter().filter(|customer| owes_too_much(customer)) {
        debtors += 1;
        let Some(i_customer) = customer.i_customer else { continue };
        println!(
            "customer {i_customer} owes {}",
            customer.balance.map(|it| it.to_string()).unwrap_or_default()
        );
        let request =
            GetAccountListRequest { i_customer: Some(i_customer), ..GetAccountListRequest::default() };
        let accounts: Vec<AccountInfo> = client.list::<GetAccountList>(request, 200).try_collect().await?;
        for account in accounts.iter().filter(|account| account.blocked.as_deref() != Some("Y")) {
            if really {
                block(&client, account).await?;
            }
            let would = if really { "blocked" } else { "would be blocked" };
            println!("  account {} {would}", account.id.as_deref().unwrap_or("-"));
        }
    }
    println!("{debtors} of {} customers owe too much", customers.len());
    client.log_out().await;
    Ok(())
}

/// A balance is what the customer owes.
fn owes_too_much(customer: &CustomerInfo) -> bool {
    match (&customer.balance, customer.credit_limit.value()) {
        (Some(balance), Some(limit)) => balance > limit,
        _ => false,
    }
}

async fn block(client: &Client, account: &AccountInfo) -> common::Done {
    let change =
        AccountInfo { i_account: account.i_account, blocked: Some("Y".into()), ..AccountInfo::default() };
    match client.call::<UpdateAccount>(&UpdateAccountRequest { account_info: Some(change) }).await {
        // it was deleted meanwhile
        Err(error) if error.class() == Some(Class::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
