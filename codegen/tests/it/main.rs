//! The generator from outside: what comes out of definitions, good and bad.

mod both_ends;
mod compiles;
mod corpus;
mod figures;
mod golden;
mod habits;
mod hostile;
mod library;
#[path = "../messages/mod.rs"]
mod messages;
mod protocol;
mod round_trip;
mod validation;
mod writing;
