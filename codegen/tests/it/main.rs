//! The generator from outside: what comes out of definitions, good and bad.

mod compiles;
mod corpus;
mod facets;
mod fuzz;
mod golden;
mod hostile;
mod literal;
mod round_trip;
mod undefined;
mod writing;
