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
mod binary;
mod calendar;
mod charset;
#[cfg(feature = "check")]
mod check;
mod cursor;
mod date;
mod duration;
mod enumeration;
mod envelope;
mod error;
mod facet;
mod fault;
mod limits;
mod operation;
mod read;
mod scalar;
mod server;
mod shape;
mod token;
mod value;
mod wellformed;
pub mod write;
mod xsd;

pub use any::{Any, Raw};
pub use binary::{Base64, Hex};
pub use calendar::{GDay, GMonth, GMonthDay, GYear, GYearMonth, Time};
pub use charset::{charset_of, decode};
pub use date::{Date, DateTime};
pub use duration::Duration;
pub use envelope::{Block, Envelope, SOAP_1_1, SOAP_1_2, Version};
pub use error::{ReadError, ReadErrorKind};
pub use facet::Facet;
pub use fault::Fault;
pub use limits::Limits;
pub use operation::{Call, Element, Header, Operation, Part, Service, Style};
pub use rust_decimal::Decimal;
pub use scalar::{Invalid, JsonScalar, Scalar};
pub use server::{Answer, Invocation, Server};
pub use shape::{Items, Member, Place, Preset, Shape, Type};
pub use show::show;
pub use value::{List, NOTHING, Nillable, Nothing, Slot, Structure, Value, View};
#[doc(hidden)]
pub use value::{no_member, not_chosen};
pub use xsd::Xsd;

#[cfg(feature = "check")]
pub use check::{Violation, check};

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

/// What generated code says for each port type: a client with a method for each operation. Empty without feature
/// `client`.
#[doc(hidden)]
#[cfg(feature = "client")]
#[macro_export]
macro_rules! port_client {
    ($(#[$attribute:meta])* pub struct $name:ident { $($(#[$inner:meta])* $method:ident $call:ident,)* }) => {
        $(#[$attribute])*
        pub struct $name {
            client: $crate::Client,
            url: ::std::string::String,
            headers: ::std::vec::Vec<::std::boxed::Box<dyn $crate::Structure>>,
        }
        impl $name {
            /// A client of the service at `url`.
            pub fn new(client: $crate::Client, url: impl ::core::convert::Into<::std::string::String>) -> Self {
                Self { client, url: url.into(), headers: ::std::vec::Vec::new() }
            }
            /// The same with a header block in every request whose operation declares one of its type.
            pub fn header(mut self, block: impl $crate::Structure) -> Self {
                self.headers.push(::std::boxed::Box::new(block));
                self
            }
            $(
                $(#[$inner])*
                ///
                /// # Errors
                /// Whether the request may have been carried out, and a fault with its detail.
                pub async fn $method(
                    &self,
                    request: &<$call as $crate::Call>::Request,
                ) -> ::core::result::Result<<$call as $crate::Call>::Response, $crate::CallError> {
                    let declared = <$call as $crate::Call>::operation().headers;
                    let headers: ::std::vec::Vec<&dyn $crate::Structure> = self
                        .headers
                        .iter()
                        .map(|block| &**block)
                        .filter(|block| declared.iter().any(|it| ::core::ptr::eq(it.shape, block.shape())))
                        .collect();
                    self.client.call_typed::<$call>(&self.url, &headers, request).await
                }
            )*
        }
    };
}

/// What generated code says for each port type; empty without feature `client`.
#[doc(hidden)]
#[cfg(not(feature = "client"))]
#[macro_export]
macro_rules! port_client {
    ($($tokens:tt)*) => {};
}
