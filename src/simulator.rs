//! A PortaBilling to develop and test against: its SOAP and JSON calls, its ESPF API, and the sender of events.
//!
//! It answers as the public facts say PortaBilling does: RS256 tokens that expire, dotted fault codes with HTTP 500,
//! a missing entity as success without its member, lists cut at the known caps. Where a fact is inferred it does
//! the inferred thing.

mod calls;
mod espf;
mod http;
mod page;
mod rest;
mod sender;
mod sessions;
mod world;

pub use http::{Disturbance, Simulator, SimulatorSettings};
pub use sender::{Sender, SenderSettings, SenderStats};
pub use sessions::SessionSettings;
pub use world::{Change, Sent, World, WrittenStatus};
