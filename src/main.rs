//! The command; all of it is in [`soapstone::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    soapstone::cli::main(std::env::args_os())
}
