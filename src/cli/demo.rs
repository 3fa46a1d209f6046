//! `soapstone demo`: the whole way of events, shown on one machine.

use std::io::Write as _;

use super::{CliError, print};
use crate::demo::{Demo, DemoSettings};

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
    let demo = Demo::start(DemoSettings::new(args.events, args.rate)).await.map_err(failed)?;
    let report = demo.run().await.map_err(failed)?;
    if args.json {
        let text = serde_json::to_string(&report).map_err(failed)?;
        print(&format!("{text}\n"))?;
    } else {
        print(&report.table())?;
    }
    if args.keep {
        for (name, url) in demo.urls() {
            writeln!(std::io::stderr().lock(), "{name}: {url}")?;
        }
        writeln!(std::io::stderr().lock(), "end it with ctrl-c")?;
        super::stop_signal().await;
    }
    demo.stop().await;
    if report.is_good() {
        return Ok(());
    }
    Err(CliError::Failed(
        "events were lost, overtaken, left over or wrongly applied; see the figures above".into(),
    ))
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    CliError::Failed(error.into())
}
