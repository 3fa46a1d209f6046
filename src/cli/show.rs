//! `soapstone config`: what counts, or an example.

use std::path::PathBuf;

use super::{CliError, print};
use crate::config::{Config, EXAMPLE};

/// Arguments of `soapstone config`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the configuration in effect, with every default; secrets are masked.
    #[arg(long, required_unless_present = "example", requires = "config")]
    effective: bool,
    /// Print an example that explains every key.
    #[arg(long, conflicts_with = "effective")]
    example: bool,
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "SOAPSTONE_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    match &args.config {
        Some(file) if args.effective => print(&effective(&Config::load(file)?)?),
        _ => print(EXAMPLE),
    }
}

fn effective(config: &Config) -> Result<String, CliError> {
    config.effective().map_err(|error| CliError::Failed(error.into()))
}
