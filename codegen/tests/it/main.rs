//! The generator from outside: what comes out of definitions, good and bad.

mod compiles;
mod golden;
mod hostile;
mod writing;
