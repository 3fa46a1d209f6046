//! The gateway from outside: real sockets, the real store, the real binary, and peers that we didn't write.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

mod call;
mod cli;
mod config;
mod connector;
mod consumer;
mod crash;
mod harness;
mod intake;
mod moves;
mod operator;
mod patience;
mod peers;
mod portabilling;
mod reconcile;
mod server;
mod simulator;
mod tls;
mod whole_way;
