//! `soapstone serve`: runs the gateway until it is told to stop.

use super::{CliError, ConfigArg};
use crate::gateway::Gateway;

/// Arguments of `soapstone serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let gateway =
        Gateway::start(args.config.load()?).await.map_err(|error| CliError::Failed(error.into()))?;
    super::stop_signal().await;
    gateway.stop().await;
    Ok(())
}
