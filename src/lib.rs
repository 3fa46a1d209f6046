//! Soapstone: a SOAP-first integration gateway for PortaBilling.
pub mod chain;
pub mod cli;
pub mod config;
pub mod connector;
pub mod delivery;
pub mod demo;
pub mod dispatch;
pub mod enrich;
pub mod event;
pub mod gateway;
pub mod handler;
pub mod http;
pub mod simulator;
pub mod status;
pub mod store;
pub mod telemetry;
