//! The command: generates, checks and describes without a build script.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use soapstone_codegen::Config;

/// Generates Rust from WSDL 1.1 definitions.
#[derive(Parser)]
#[command(name = "soapstone-codegen", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes Rust.
    Generate {
        #[command(flatten)]
        definitions: Definitions,
        /// Serde's traits for each structure.
        #[arg(long)]
        json: bool,
        /// The file to write; standard output by default.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Says what is wrong with definitions, and writes nothing.
    Check {
        #[command(flatten)]
        definitions: Definitions,
    },
    /// Lists services, operations and what goes in and comes out.
    Describe {
        #[command(flatten)]
        definitions: Definitions,
        /// As JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct Definitions {
    /// WSDL 1.1 files, or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Make warnings errors, so that nothing is left out unnoticed.
    #[arg(long)]
    strict: bool,
    /// Only this service; may be given several times.
    #[arg(long)]
    service: Vec<String>,
    /// Only this operation; may be given several times.
    #[arg(long)]
    operation: Vec<String>,
    /// Where the file is that an import calls LOCATION; may be given several times.
    #[arg(long, value_name = "LOCATION=PATH", value_parser = location)]
    location: Vec<(String, PathBuf)>,
    /// 64 bits for every integer.
    #[arg(long)]
    wide_integers: bool,
    /// 128 bits for the integers without an end (`xs:integer` and its relatives).
    #[arg(long)]
    big_integers: bool,
    /// Decimals instead of floating-point numbers.
    #[arg(long)]
    exact_floats: bool,
    /// The definitions' texts as well, for a server that answers `?wsdl`.
    #[arg(long)]
    embed_definitions: bool,
}

impl Definitions {
    fn config(&self) -> Config {
        let mut config = Config::new();
        for path in &self.paths {
            if path.is_dir() {
                config.definitions(path)
            } else {
                config.definition(path)
            };
        }
        config.strict(self.strict).wide_integers(self.wide_integers).exact_floats(self.exact_floats);
        config.big_integers(self.big_integers).embed_definitions(self.embed_definitions);
        for (location, path) in &self.location {
            config.location(location, path);
        }
        for service in &self.service {
            config.only_service(service);
        }
        for operation in &self.operation {
            config.only_operation(operation);
        }
        config
    }
}

/// A location may have `=` in it (`?xsd=xsd0`), a path seldom has.
fn location(text: &str) -> Result<(String, PathBuf), String> {
    let (location, path) = text.rsplit_once('=').ok_or("`=` is missing: LOCATION=PATH")?;
    Ok((location.to_owned(), path.into()))
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)]
fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Generate { definitions, json, output } => {
            let (text, report) = definitions.config().json(json).generate()?;
            report.warnings.iter().for_each(|warning| eprintln!("{warning}"));
            match output {
                Some(path) => std::fs::write(&path, text)
                    .map_err(|error| format!("{} can't be written: {error}", path.display()))?,
                None => print!("{text}"),
            }
        }
        Command::Check { definitions } => {
            let (_, report) = definitions.config().generate()?;
            report.warnings.iter().for_each(|warning| eprintln!("{warning}"));
            println!(
                "{} services, {} operations, {} structures, {} enumerations, {} warnings",
                report.services,
                report.operations,
                report.structures,
                report.enumerations,
                report.warnings.len()
            );
        }
        Command::Describe { definitions, json } => {
            let (services, warnings) = definitions.config().describe()?;
            warnings.iter().for_each(|warning| eprintln!("{warning}"));
            let text = if json {
                soapstone_codegen::description_json(&services)
            } else {
                soapstone_codegen::description_table(&services)
            };
            print!("{text}");
        }
    }
    Ok(())
}
