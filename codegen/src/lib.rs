//! Generates Rust from WSDL 1.1: plain structures, a table for each, and every operation as a type.
//!
//! In a build script:
//!
//! ```no_run
//! # fn main() -> Result<(), soapstone_codegen::Error> {
//! soapstone_codegen::Config::new()
//!     .definition("definitions/SessionAdminService.wsdl")
//!     .definition("definitions/AccountAdminService.wsdl")
//!     .file_name("portabilling.rs")
//!     .compile()?;
//! # Ok(())
//! # }
//! ```
//!
//! and in the library, which depends on `soapstone-soap`, the one crate that generated code names:
//!
//! ```text
//! include!(concat!(env!("OUT_DIR"), "/portabilling.rs"));
//! ```
//!
//! What comes out: `mod types` with the structures of all definitions (one that several of them define alike is
//! one type), a module for each service with its operations, and `SERVICES`.
//!
//! # The way through
//!
//! load (files and what they import, as trees) → parse (as written) → resolve (as meant) → emit (as Rust). Each
//! stage has a model of its own and knows only the one before it. None of them touches the network, looks at the
//! clock or depends on the order of a hash: the same definitions give the same bytes.
//!
//! # What is wrong with a definition
//!
//! is told as [`Diagnostic`]s: file, line, column, what, and what to do. A stage finds all it can before the run
//! ends. What can't be served (a binding, an operation, a construct) is a warning that names it, and is left out;
//! the rest is generated, unless [`Config::strict`] says that nothing may be left out.
//!
//! # What can be served
//!
//! SOAP 1.1 and 1.2 over HTTP in rpc/encoded, rpc/literal and document/literal, wrapped or bare; headers, faults with
//! their typed detail, operations without an answer. Types: everything of XML Schema 1.0 that says what a message
//! holds; facets are documented, and checked by the runtime where [`Config::facets`] asks for it. The text of mixed
//! content is kept in one piece, without its places between the members.

mod config;
mod contents;
mod describe;
mod diagnostic;
mod emit;
mod error;
mod load;
mod names;
mod namespace;
mod parse;
mod resolve;
mod settings;
mod xml;

pub use config::{Config, DEFAULT_FILE_NAME, DEFAULT_SECRETS, DEFAULT_SUFFIXES, Report};
pub use contents::Contents;
pub use describe::{
    OperationDescription, ParameterDescription, ServiceDescription, description_json, description_table,
};
pub use diagnostic::{Diagnostic, Position, Severity};
pub use error::Error;
