//! PortaBilling.
