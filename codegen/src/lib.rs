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
//! `codegen/README.md` walks from an empty crate to the first call.
//!
//! What comes out: `mod types` with the structures of all definitions (one that several of them define alike is
//! one type), a module for each service with its operations, and `SERVICES`.
//!
//! # Both ends of a service
//!
//! For each port type there is a client (`AccountClient`, with feature `client` of `soapstone-soap`) and a server trait
//! (`AccountServer`, with feature `server`), each with an async method for every operation:
//!
//! ```
//! # mod library { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/both_ends/expected.rs")); }
//! use library::sums::{DEFINITION, DivideFault, DivideIn, DivideOut, DivisionByZero, SumsClient, SumsServer};
//! use soapstone_soap::{Client, Context, Definition, Endpoint, Limits, TypedFault, transport};
//!
//! struct Sums;
//!
//! impl SumsServer for Sums {
//!     async fn divide(
//!         &self,
//!         DivideIn { dividend, divisor }: DivideIn,
//!         _: &mut Context,
//!     ) -> Result<DivideOut, TypedFault<DivideFault>> {
//!         match dividend.checked_div(divisor) {
//!             Some(quotient) => Ok(DivideOut { quotient, remainder: dividend % divisor }),
//!             None => {
//!                 let detail = DivideFault::DivisionByZero(DivisionByZero { dividend });
//!                 Err(TypedFault::new("Client", "by zero", detail))
//!             }
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // the server is a tower service; hyper serves it, as any framework on hyper does
//! let endpoint = Endpoint::default().port(Sums.port()).definition(Definition::new(DEFINITION));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}/sums", listener.local_addr()?);
//! tokio::spawn(async move {
//!     let (stream, _) = listener.accept().await?;
//!     let service = hyper_util::service::TowerToHyperService::new(endpoint);
//!     let stream = hyper_util::rt::TokioIo::new(stream);
//!     hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await?;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! });
//!
//! let limits = Limits::default();
//! let http = transport::over(reqwest::Client::new(), limits.message_bytes);
//! let sums = SumsClient::new(Client::new(http, limits), url);
//! let answer = sums.divide(&DivideIn { dividend: 17, divisor: 5 }).await?;
//! assert_eq!((answer.quotient, answer.remainder), (3, 2));
//! let error = sums.divide(&DivideIn { dividend: 17, divisor: 0 }).await.unwrap_err();
//! assert_eq!(error.detail(), Some(&DivideFault::DivisionByZero(DivisionByZero { dividend: 17 })));
//! # Ok(())
//! # }
//! ```
//!
//! A method that an implementation leaves out answers with a fault. [`Config::embed_definitions`] puts the definition
//! into the generated code, for `?wsdl`. The parts of an rpc message stand in the message's order whatever
//! `parameterOrder` says, which is about procedures' signatures (WS-I Basic Profile R2301, R2302).
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

mod bundled;
mod config;
mod contents;
mod describe;
mod diagnostic;
mod embed;
mod emit;
mod error;
mod load;
mod names;
mod namespace;
mod parse;
mod place;
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
