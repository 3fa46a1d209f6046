//! The gateway from outside: real sockets, the real store, the real binary.
#![allow(clippy::unwrap_used)]

mod call;
mod cli;
mod config;
mod connector;
mod crash;
mod harness;
mod intake;
mod operator;
mod server;
mod simulator;
mod whole_way;
