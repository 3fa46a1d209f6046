//! `soapstone breaker`: what an operator does with circuit breakers of a gateway that runs, by its operator's API.

use clap::{Args, Subcommand};
use serde_json::json;

use super::operate::Where;
use super::{CliError, print};

/// What to do with a breaker.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Close one that is open, though no probe has worked: the backlog resumes gently.
    Close(Close),
}

/// Arguments of `soapstone breaker close`.
#[derive(Debug, Args)]
pub(super) struct Close {
    #[command(flatten)]
    at: Where,
    /// Its name, as `soapstone state` shows it: connector:NAME, portabilling, or espf.
    name: String,
}

pub(super) async fn run(verb: Verb) -> Result<(), CliError> {
    let Verb::Close(Close { at, name }) = verb;
    let answer = at.api()?.post("/api/v1/breakers/close", &json!({ "name": name })).await?;
    print(match answer["was"] == "closed" {
        true => "that is closed already\n",
        false => {
            "closed; the backlog resumes gently once the gateways have looked, within `tick` of [dispatch]\n"
        }
    })
}
