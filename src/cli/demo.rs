//! `soapstone demo`: the whole way of events, shown on one machine.

use super::CliError;

/// Arguments of `soapstone demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many events to send.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    events: u64,
    /// How many events to send in a second.
    #[arg(long, value_name = "R", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// Print the outcome as one JSON object.
    #[arg(long)]
    json: bool,
    /// Stay up at the end, and print the URLs.
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let Args { events: _, rate: _, json: _, keep: _ } = args;
    Err(CliError::Failed("demo isn't built in yet".into()))
}
