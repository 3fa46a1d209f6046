//! `soapstone check`: is the configuration right?

use super::{CliError, ConfigArg, print};

/// Arguments of `soapstone check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let config = args.config.load()?;
    let (intakes, handlers, connectors) =
        (config.intakes.len(), config.handlers.len(), config.connectors.len());
    let file = args.config.config.display();
    print(&format!("{file}: right (intakes: {intakes}, handlers: {handlers}, connectors: {connectors})\n"))
}
