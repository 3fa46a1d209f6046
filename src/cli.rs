//! The command line: what an operator types, and what the process's exit code says.
//!
//! 0: it went well; 1: it failed; 64: wrong usage or a wrong configuration.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod breaker;
mod call;
mod check;
mod demo;
mod moves;
mod operate;
mod progress;
mod reconcile;
mod serve;
mod show;
mod simulate;
mod statuses;

use crate::chain::chain;
use crate::config::{Config, ConfigError, StoreSettings};

const FAILED: u8 = 1;
/// `EX_USAGE` of sysexits.
const WRONG_USAGE: u8 = 64;

/// Takes provisioning events from PortaBilling, brings external systems into line, and writes the outcome back.
#[derive(Debug, Parser)]
#[command(name = "soapstone", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(serve::Args),
    /// Check a configuration: one line for each mistake.
    Check(check::Args),
    /// Show a configuration: the one in effect, or an example that explains itself.
    Config(show::Args),
    /// Call a method of PortaBilling over SOAP; the answer is printed as JSON.
    Call(call::Args),
    /// List deliveries of a gateway that runs, or show one with all its attempts; dead letters are those with --state parked.
    Deliveries(operate::Deliveries),
    /// Have deliveries made again, or those that wait for their next try made now: some by their ids, or all that options choose,
    /// at a rate.
    Replay(operate::Replay),
    /// Have no more attempts made for deliveries.
    Cancel(operate::Cancel),
    /// Have events delivered to a handler that came later.
    Subscribe(operate::Subscribe),
    /// Deliver nothing of a handler, a connector, a subject or everything until `resume`.
    Pause(operate::Scope),
    /// End a pause.
    Resume(operate::Scope),
    /// List statuses and how far their write-back is; have those written again that were given up.
    Statuses(statuses::Statuses),
    /// List what was posted and couldn't be read as an event, each as JSON.
    Samples(statuses::Samples),
    /// Show what waits, what is paused, and how the circuit breakers stand.
    State(operate::State),
    /// Close a circuit breaker by hand.
    #[command(subcommand)]
    Breaker(breaker::Verb),
    /// Show what a newer program changes in the store's tables, or apply it.
    Migrate(moves::Migrate),
    /// Write all that is in the store to a file; the gateway must be stopped.
    Export(moves::Export),
    /// Fill an empty store, of whatever kind, from such a file.
    Import(moves::Import),
    /// Compare all accounts with what was delivered last, and have those delivered that differ: events may have been dropped.
    Reconcile(reconcile::Args),
    /// Run a PortaBilling to develop against.
    Simulate(simulate::Args),
    /// Show the whole way of events, with a simulated PortaBilling and external system.
    Demo(demo::Args),
}

/// Why a command ended without having done its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The operator's to mend; exit code 64.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operator's to mend; exit code 64.
    #[error("{0}")]
    Usage(String),
    /// Anything else; exit code 1.
    #[error(transparent)]
    Failed(#[from] Box<dyn Error + Send + Sync>),
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) => WRONG_USAGE,
            Self::Failed(_) => FAILED,
        }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs the command that `args` ask for, the program's name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come as errors, too, and go to standard output.
            let code = if error.use_stderr() { WRONG_USAGE } else { 0 };
            return if error.print().is_ok() { code.into() } else { FAILED.into() };
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is gone there is nobody to tell.
            let _ = writeln!(io::stderr().lock(), "{}", chain(&error));
            error.exit_code().into()
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Check(args) => check::run(&args),
        Command::Config(args) => show::run(&args),
        Command::Serve(args) => with_runtime("info", serve::run(args)),
        Command::Call(args) => with_runtime("warn", call::run(args)),
        Command::Deliveries(args) => with_runtime("warn", operate::deliveries(args)),
        Command::Replay(args) => with_runtime("warn", operate::replay(args)),
        Command::Cancel(args) => with_runtime("warn", operate::cancel(args)),
        Command::Subscribe(args) => with_runtime("warn", operate::subscribe(args)),
        Command::Pause(args) => with_runtime("warn", operate::pause(args)),
        Command::Resume(args) => with_runtime("warn", operate::resume(args)),
        Command::Statuses(args) => with_runtime("warn", statuses::statuses(args)),
        Command::Samples(args) => with_runtime("warn", statuses::samples(args)),
        Command::State(args) => with_runtime("warn", operate::state(args)),
        Command::Breaker(verb) => with_runtime("warn", breaker::run(verb)),
        Command::Migrate(args) => with_runtime("warn", moves::migrate(args)),
        Command::Export(args) => with_runtime("warn", moves::export(args)),
        Command::Import(args) => with_runtime("warn", moves::import(args)),
        Command::Reconcile(args) => with_runtime("warn", reconcile::run(args)),
        Command::Simulate(args) => with_runtime("info", simulate::run(args)),
        // the demo's outages are on purpose, and its figures say what they did
        Command::Demo(args) => with_runtime("off", demo::run(args)),
    }
}

fn with_runtime(level: &str, work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    start_logs(level);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Logs go to standard error: for people on a terminal, else as JSON. `RUST_LOG` chooses, else `level`.
fn start_logs(level: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // An error means that logs have been started already, as in tests.
    let _ = match io::stderr().is_terminal() {
        true => logs.try_init(),
        false => logs.json().flatten_event(true).try_init(),
    };
}

/// Waits until somebody wants the process to end: ctrl-c, or the service's own SIGTERM.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// `--config`, the same wherever a command needs it.
#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// The configuration file (TOML); `soapstone config --example` prints one.
    #[arg(long, value_name = "FILE", env = "SOAPSTONE_CONFIG")]
    config: PathBuf,
}

impl ConfigArg {
    fn load(&self) -> Result<Config, CliError> {
        Ok(Config::load(&self.config)?)
    }

    /// Where the store is, without whatever else the configuration says, and its secrets.
    fn load_store(&self) -> Result<StoreSettings, CliError> {
        Ok(Config::load_store(&self.config)?)
    }
}

/// Prints to standard output; a reader that has gone away (`| head`) isn't a failure.
fn print(text: &str) -> Result<(), CliError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
