//! Gives an account another SIM card: releases the one it has, assigns a free one.
//!
//! `cargo run -p portabilling --features client --example swap_sim -- [URL [LOGIN [API-TOKEN]]] [--json]`
#![allow(clippy::print_stdout)]

mod common;

use portabilling::sim_card::{
    AssignSIMCardRequest, AssignSimCard, CardInfo, GetCardList, GetCardListRequest, ReleaseSIMCardRequest,
    ReleaseSimCard,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> common::Done {
    let client = common::client()?;
    let request = GetCardListRequest { limit: Some(500), ..GetCardListRequest::default() };
    let cards = client.call::<GetCardList>(&request).await?.card_list;
    let used = cards.iter().find(|card| card.i_account.is_some()).ok_or("no account has a card")?;
    let free = cards.iter().find(|card| is_free(card)).ok_or("no card is free")?;
    let (Some(i_account), Some(old), Some(new)) = (used.i_account, used.i_sim_card, free.i_sim_card) else {
        return Err("a card without a number".into());
    };
    println!("account {i_account}: {} goes, {} comes", name(used), name(free));

    let release = ReleaseSIMCardRequest { i_sim_card: Some(old) };
    client.call::<ReleaseSimCard>(&release).await?;
    let assign = AssignSIMCardRequest { i_sim_card: Some(new), i_account: Some(i_account) };
    if let Err(error) = client.call::<AssignSimCard>(&assign).await {
        // the account must not be left without any; whoever is told may look which of the two it has
        let again = AssignSIMCardRequest { i_sim_card: Some(old), ..assign };
        client.call::<AssignSimCard>(&again).await?;
        return Err(error.into());
    }
    println!("done");
    client.log_out().await;
    Ok(())
}

fn is_free(card: &CardInfo) -> bool {
    card.i_account.is_none() && card.status.as_deref() == Some("available")
}

fn name(card: &CardInfo) -> &str {
    card.iccid.as_deref().or(card.imsi.as_deref()).unwrap_or("a card")
}
