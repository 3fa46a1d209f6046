//! Generates Rust from WSDL.
