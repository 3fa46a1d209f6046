//! Events on their whole way: a simulated PortaBilling posts, is asked and is told; an external system is brought into line.

mod cable;
mod data;
pub(crate) mod external;
mod failures;
mod operating;
mod order;
mod portabilling;
mod restart;
pub(crate) mod stage;
mod statuses;
mod walk;
