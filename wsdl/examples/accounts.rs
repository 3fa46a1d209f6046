//! Lists accounts page by page, and clears the credit limit of the first: absent, nil and value are three things.
//!
//! `cargo run -p portabilling --features client --example accounts -- [URL [LOGIN [API-TOKEN]]] [--json]`
#![allow(clippy::print_stdout)]

mod common;

use futures::TryStreamExt as _;
use portabilling::Nillable::Nil;
use portabilling::account::{
    AccountInfo, GetAccountInfo, GetAccountInfoRequest, GetAccountList, GetAccountListRequest, UpdateAccount,
    UpdateAccountRequest,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> common::Done {
    let client = common::client()?;
    let mut first = None;
    let mut count = 0;
    {
        let mut accounts =
            std::pin::pin!(client.list::<GetAccountList>(GetAccountListRequest::default(), 200));
        while let Some(account) = accounts.try_next().await? {
            count += 1;
            if count <= 5 {
                println!(
                    "{:>8}  {}",
                    account.i_account.unwrap_or_default(),
                    account.id.as_deref().unwrap_or("-")
                );
            }
            first = first.or(account.i_account);
        }
    }
    println!("{count} accounts");

    let Some(i_account) = first else { return Ok(()) };
    // all other members are absent, and stay as they are
    let change = AccountInfo { i_account: Some(i_account), credit_limit: Nil, ..AccountInfo::default() };
    client.call::<UpdateAccount>(&UpdateAccountRequest { account_info: Some(change) }).await?;
    let request = GetAccountInfoRequest { i_account: Some(i_account), ..GetAccountInfoRequest::default() };
    let account = client.call::<GetAccountInfo>(&request).await?.account_info.ok_or("it is gone")?;
    println!("account {i_account} has no credit limit now: {:?}", account.credit_limit);
    client.log_out().await;
    Ok(())
}
