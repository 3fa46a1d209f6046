//! SOAP on the wire, written once by hand so that generated code can stay a table.
//!
//! A definition (WSDL) becomes plain structures and a [`Shape`] for each: the members' names in wire order and
//! what kind each is. Everything that happens to such a structure (reading it from an envelope, writing it,
//! showing it in a log without its secrets, its JSON face) is one small engine here that follows the table, so
//! a hundred structures cost no more code than one.
//!
//! Reading is tolerant, because what comes was written by SOAP::Lite, PHP, Axis and others, each with habits of
//! its own. Writing is strict: what goes out is what all of them understand.
mod any;
mod charset;
mod cursor;
mod date;
mod envelope;
mod error;
mod fault;
mod limits;
mod operation;
mod read;
mod scalar;
mod server;
mod shape;
mod token;
mod value;
pub mod write;

pub use any::{Any, Raw};
pub use charset::{charset_of, decode};
pub use date::{Date, DateTime};
pub use envelope::{Block, Envelope, SOAP_1_1, SOAP_1_2, Version};
pub use error::{ReadError, ReadErrorKind};
pub use fault::Fault;
pub use limits::Limits;
pub use operation::{Call, Element, Header, Operation, Part, Service, Style};
pub use rust_decimal::Decimal;
pub use scalar::{Base64, JsonScalar};
pub use scalar::{Invalid, Scalar};
pub use server::{Answer, Invocation, Server};
pub use shape::{Items, Member, Place, Preset, Shape, Type, Xsd};
pub use show::show;
pub use value::{List, NOTHING, Nillable, Nothing, Slot, Structure, Value, View};
#[doc(hidden)]
pub use value::{no_member, not_chosen};

#[cfg(feature = "json")]
mod json;
mod show;
#[cfg(feature = "json")]
pub use json::{Json, fill_json, from_json};
#[cfg(feature = "json")]
#[doc(hidden)]
pub use serde;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
pub mod transport;
#[cfg(feature = "client")]
pub use client::{CallError, Client, Exchange, NotSent, RAW_LIMIT, Transport};
