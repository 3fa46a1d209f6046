//! Soapstone.
