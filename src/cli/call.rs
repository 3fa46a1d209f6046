//! `soapstone call`: one SOAP call to PortaBilling, typed by the registry.

use super::{CliError, ConfigArg};

/// Arguments of `soapstone call`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The method: Account/get_account_info.
    #[arg(value_name = "SERVICE/METHOD")]
    method: String,
    /// Its parameters as JSON: '{"i_account": 1}'.
    #[arg(value_name = "JSON", default_value = "{}")]
    parameters: String,
    /// Show both envelopes, with secrets masked.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let _config = args.config.load()?;
    let Args { method: _, parameters: _, raw: _, config: _ } = args;
    Err(CliError::Failed("call isn't built in yet".into()))
}
