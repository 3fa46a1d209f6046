//! Soapstone: a SOAP-first integration gateway for PortaBilling.
pub mod connector;
pub mod delivery;
pub mod dispatch;
pub mod enrich;
pub mod event;
pub mod handler;
pub mod simulator;
pub mod status;
pub mod store;
