//! SOAP on the wire, written once by hand so that generated code can stay a table.
//!
//! A definition (WSDL) becomes plain structures and a [`Shape`] for each: the members' names in wire order and
//! what kind each is. Everything that happens to such a structure (reading it from an envelope, writing it,
//! showing it in a log without its secrets, its JSON face) is one small engine here that follows the table, so
//! a hundred structures cost no more code than one.
//!
//! # Both ends
//!
//! For each port type the generator also writes what calls it and what serves it:
//!
//! * with feature `client` a struct with an async method for each operation, over any tower service that carries
//!   requests; `transport` has one over reqwest. Its error says what became of the call:
//!   can't be written, not sent, maybe sent, unreadable (with the raw answer), or a fault with its typed detail.
//! * with feature `server` a trait with an async method for each operation. Its `port()` goes into an `Endpoint`, a
//!   tower service for hyper or axum: see there for an example.
//!
//! Without these features there is no HTTP, no runtime, and nothing of the kind is compiled.
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
mod far;
mod fault;
mod headers;
mod limits;
mod operation;
mod qname;
mod read;
mod scalar;
mod script;
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
#[doc(hidden)]
pub use enumeration::Enumeration;
pub use envelope::{Block, Envelope, SOAP_1_1, SOAP_1_2, Version};
pub use error::{ReadError, ReadErrorKind};
pub use facet::Facet;
pub use far::Far;
pub use fault::{Fault, TypedFault};
pub use headers::{Headers, Undeclared};
pub use limits::Limits;
#[doc(hidden)]
pub use operation::empty;
pub use operation::{Call, Element, Header, Operation, Part, Service, Style};
pub use qname::QName;
pub use rust_decimal::Decimal;
pub use scalar::{Invalid, JsonScalar, Scalar};
pub use server::{Answer, Invocation, Refused, Server};
#[cfg(feature = "server")]
pub use server::{Context, Definition, Endpoint, Method, Outcome, Port, Work};
pub use shape::{Items, Member, Place, Preset, Shape, Table, Type};
pub use show::show;
pub use value::{List, NOTHING, Nillable, Nothing, Slot, Structure, Value, View};
#[doc(hidden)]
pub use value::{cloned, copy_value, equal, equal_values, no_member, not_chosen};
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
mod caller;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod tls;
#[cfg(feature = "client")]
pub mod transport;
#[cfg(feature = "client")]
#[doc(hidden)]
pub use caller::Caller;
#[cfg(feature = "client")]
pub use client::{CallError, Client, Exchange, NotSent, RAW_LIMIT, Reply, Transport, retry_after};

/// What generated code says for each port type: a client and a server trait with a method for each operation.
///
/// Each is empty without its feature, `client` and `server`.
#[doc(hidden)]
#[macro_export]
macro_rules! port {
    (
        $(#[$of_client:meta])* client $client:ident;
        $(#[$of_server:meta])* server $server:ident;
        $operations:tt
    ) => {
        $crate::port_client! { $(#[$of_client])* $client $operations }
        $crate::port_server! { $(#[$of_server])* $server $operations }
    };
}

/// The client of a port type. The answer of an operation that declares headers for it comes with them.
#[doc(hidden)]
#[cfg(feature = "client")]
#[macro_export]
macro_rules! port_client {
    ($(#[$of_client:meta])* $name:ident {
        $($(#[$inner:meta])* $method:ident $call:ident $(with $headers:ident)?,)*
    }) => {
        $(#[$of_client])*
        pub struct $name {
            caller: $crate::Caller,
        }
        impl $name {
            /// A client of the service at `url`.
            pub fn new(client: $crate::Client, url: impl ::core::convert::Into<::std::string::String>) -> Self {
                Self { caller: $crate::Caller::new(client, url.into()) }
            }
            /// The same with a header block in every request whose operation declares one of its type.
            pub fn header(mut self, block: impl $crate::Structure) -> Self {
                self.caller.header(::std::boxed::Box::new(block));
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
                ) -> ::core::result::Result<
                    $crate::port_answer!($call $($headers)?),
                    $crate::CallError<<$call as $crate::Call>::Fault>,
                > {
                    $crate::port_answer!(self.caller, $call, request $($headers)?).await
                }
            )*
        }
    };
}

/// What a client's method gives: its type, and who gets it.
#[doc(hidden)]
#[cfg(feature = "client")]
#[macro_export]
macro_rules! port_answer {
    ($call:ident) => { <$call as $crate::Call>::Response };
    ($call:ident headers) => { $crate::Reply<<$call as $crate::Call>::Response> };
    ($caller:expr, $call:ident, $request:ident) => { $caller.call::<$call>($request) };
    ($caller:expr, $call:ident, $request:ident headers) => { $caller.call_with_headers::<$call>($request) };
}

/// Empty without feature `client`.
#[doc(hidden)]
#[cfg(not(feature = "client"))]
#[macro_export]
macro_rules! port_client {
    ($($tokens:tt)*) => {};
}

/// The server trait of a port type.
#[doc(hidden)]
#[cfg(feature = "server")]
#[macro_export]
macro_rules! port_server {
    ($(#[$of_server:meta])* $name:ident {
        $($(#[$inner:meta])* $method:ident $call:ident $(with $headers:ident)?,)*
    }) => {
        $(#[$of_server])*
        ///
        /// A method that an implementation leaves out answers with the fault that [`Self::not_implemented`] makes, so
        /// that an implementation can grow, and a definition too. [`Self::port`] makes of it what an
        /// [`Endpoint`](::soapstone_soap::Endpoint) serves.
        pub trait $name: ::core::marker::Sized + ::core::marker::Send + ::core::marker::Sync + 'static {
            $(
                $(#[$inner])*
                ///
                /// # Errors
                /// The fault to answer with; unless implemented that of [`Self::not_implemented`].
                fn $method(
                    &self,
                    request: <$call as $crate::Call>::Request,
                    context: &mut $crate::Context,
                ) -> impl ::core::future::Future<
                    Output = ::core::result::Result<
                        <$call as $crate::Call>::Response,
                        $crate::TypedFault<<$call as $crate::Call>::Fault>,
                    >,
                > + ::core::marker::Send {
                    let _ = request;
                    let fault = self.not_implemented(context.operation());
                    async move { ::core::result::Result::Err(::core::convert::From::from(fault)) }
                }
            )*
            /// The fault for an operation that isn't implemented.
            fn not_implemented(&self, operation: &'static $crate::Operation) -> $crate::Fault {
                $crate::Fault::not_implemented(operation)
            }
            /// The service with this behind it.
            fn port(self) -> $crate::Port {
                let server = ::std::sync::Arc::new(self);
                let port = $crate::Port::new(&SERVICE);
                $(
                    let port = port.with::<$call>({
                        let server = ::std::sync::Arc::clone(&server);
                        move |request, mut context| {
                            let server = ::std::sync::Arc::clone(&server);
                            ::std::boxed::Box::pin(async move {
                                let outcome = server.$method(request, &mut context).await;
                                (outcome, context)
                            })
                        }
                    });
                )*
                port
            }
        }
    };
}

/// Empty without feature `server`.
#[doc(hidden)]
#[cfg(not(feature = "server"))]
#[macro_export]
macro_rules! port_server {
    ($($tokens:tt)*) => {};
}
