//! PortaBilling's API as Rust types: every service, method and structure of the definitions in `definitions/`.
//!
//! The definitions are the source; everything here is generated from them when the crate is built. To speak to a
//! PortaBilling that defines more, put its own WSDL there instead and build again.
//!
//! # What there is
//!
//! * [`types`]: the structures. Members that may be left out are `Option`, lists are `Vec`, and a member that an
//!   update may also *clear* is a [`Nillable`]: absent leaves it as it is, nil clears it, a value sets it. Money is
//!   a [`Decimal`] and keeps its digits; integers are wide, because real servers exceed what definitions promise.
//! * a module for each service ([`account`], [`session`], …) with the structures that it uses and a type for each
//!   of its operations, which says what goes in and what comes out ([`Call`]).
//! * [`SERVICES`]: the same as data, by name, with the documentation: what lists, describes and calls by name.
//!
//! # The types only
//!
//! Without features the crate is plain data and brings no HTTP, no async runtime and no serde:
//!
//! ```
//! use portabilling::Nillable;
//! use portabilling::account::{AccountInfo, SERVICE, UpdateAccountRequest};
//!
//! let account = AccountInfo {
//!     i_account: Some(2001),
//!     h323_password: Some("s3cret".into()),
//!     credit_limit: Nillable::Nil, // no limit any more
//!     ..Default::default()
//! };
//! let request = UpdateAccountRequest { account_info: Some(account) };
//! assert!(!format!("{request:?}").contains("s3cret"), "secrets stay out of logs");
//! assert!(SERVICE.operation("update_account").is_some());
//! ```
//!
//! [`fault`] says what PortaBilling's fault codes mean. Feature `json` adds serde's traits: PortaBilling's JSON API has the
//! same structures. Feature `token` adds [`token`]: access tokens read and verified. Feature `client` adds [`client`]:
//! sessions, calls over SOAP and JSON, files, the ESPF API.
//! Feature `server` adds a trait for each service (`AccountServer`), whose implementation a `soapstone_soap::Endpoint` serves.
#[cfg(feature = "client")]
pub mod client;
pub mod fault;
#[cfg(feature = "token")]
mod loose;
#[cfg(feature = "token")]
pub mod token;

/// The wire underneath: envelopes, reading and writing, so that a program that has these types needs no other crate.
#[doc(no_inline)]
pub use soapstone_soap as soap;
pub use soapstone_soap::{
    Any, Base64, Call, Date, DateTime, Decimal, Nillable, Operation, Service, Structure,
};

include!(concat!(env!("OUT_DIR"), "/portabilling.rs"));

/// The definitions themselves: file name and text.
///
/// A program that doesn't name this doesn't carry the texts.
pub static DEFINITIONS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/definitions.rs"));
