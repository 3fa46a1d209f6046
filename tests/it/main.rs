//! The whole from outside: what the gateway does with peers that we didn't write.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

mod peers;
