//! The generator from outside: what comes out of definitions, good and bad.

mod compiles;
mod corpus;
mod figures;
mod golden;
mod habits;
mod hostile;
#[path = "../messages/mod.rs"]
mod messages;
mod round_trip;
mod validation;
mod writing;
