//! The generator from outside: what comes out of definitions, good and bad.

mod both_ends;
mod compiles;
mod corpus;
mod golden;
mod hostile;
mod library;
mod protocol;
mod round_trip;
mod writing;
