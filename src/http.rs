//! Everything that listens: the accept loop with its limits, ESPF's intake, the operator's side.

pub mod auth;
pub mod callback;
pub mod client;
pub mod intake;
pub mod operator;
pub mod server;
