//! `soapstone serve`: runs the gateway until it is told to stop.

use super::{CliError, ConfigArg};

/// Arguments of `soapstone serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let _config = args.config.load()?;
    Err(CliError::Failed("serve isn't built in yet".into()))
}
