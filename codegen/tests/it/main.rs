//! The generator from outside: what comes out of definitions, good and bad.

mod both_ends;
mod command;
mod compiles;
mod corpus;
mod facets;
mod far;
mod figures;
mod fuzz;
mod golden;
mod habits;
mod hostile;
mod library;
mod literal;
#[path = "../messages/mod.rs"]
mod messages;
mod numbers;
mod protocol;
mod round_trip;
mod undefined;
mod validation;
mod writing;
