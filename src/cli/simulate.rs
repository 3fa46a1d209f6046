//! `soapstone simulate`: a PortaBilling to develop against.

use std::net::SocketAddr;

use reqwest::Url;

use super::CliError;

/// Arguments of `soapstone simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// How many accounts to make up.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    accounts: u64,
    /// Where to post events to; none are sent without it.
    #[arg(long, value_name = "URL")]
    espf_url: Option<Url>,
    /// `user:password` for HTTP Basic at the URL of events.
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "SOAPSTONE_SIMULATE_ESPF_LOGIN",
        requires = "espf_url",
        hide_env_values = true
    )]
    espf_login: Option<String>,
    /// How many events to send in a second.
    #[arg(long, value_name = "R", default_value_t = 10, requires = "espf_url", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let Args { listen: _, accounts: _, espf_url: _, espf_login: _, rate: _ } = args;
    Err(CliError::Failed("simulate isn't built in yet".into()))
}
