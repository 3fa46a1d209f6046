//! Soapstone: a SOAP-first integration gateway for PortaBilling.
//!
//! When an administrator changes a customer, an account, a SIM card or an invoice, PortaBilling's *External System
//! Provisioning Framework* (ESPF) posts a small event over HTTP: a type and an id. Soapstone takes the event and never loses
//! it, asks PortaBilling over SOAP what is true now, brings an external system into line, and writes the provisioning status
//! back. It is one binary with an embedded store; several of them share the work on one PostgreSQL database. This page is its
//! architecture.
//!
//! # The map
//!
//! | package | what it is |
//! |---|---|
//! | `soapstone` (here) | the gateway: this library and one binary |
//! | [`portabilling`] | PortaBilling's structures and operations, generated from the definitions beside it, and a client |
//! | [`soapstone_soap`] | SOAP on the wire, by hand: envelopes, faults, one engine that follows a table for each structure |
//! | `soapstone-codegen` | WSDL in, Rust out; runs at build time only, no binary links it |
//!
//! From the ground up:
//!
//! | module | what lives there |
//! |---|---|
//! | [`event`] | what ESPF said: verbatim, never changed; and what it is about |
//! | [`handler`] | a subscription: which events, what to fetch, which connector, when to try again |
//! | [`delivery`] | one event for one handler, and the pure [`State::next`](delivery::State::next): the only judge |
//! | [`breaker`] | the pure circuit breaker: whether a system that is asked is worth asking now |
//! | [`callback`] | the tokens by which a system that finishes later says so, once |
//! | [`store`] | what must survive, as a handful of verbs: [`Store`](store::Store) is the way of an event, [`Control`](store::Control) what operators and housekeeping do; [`store::sqlite`] is the embedded one, [`store::postgres`] the one for several gateways; one suite of tests says what both promise |
//! | [`enrich`] | required data in, `pb_data` out: which calls to PortaBilling, mapped how |
//! | [`connector`] | the way to an external system; [`connector::http`] speaks the NSPS connector contract |
//! | [`dispatch`] | the worker: claim what is due, enrich, connect, judge, record; the only place that retries |
//! | [`status`] | writes provisioning statuses back, as jobs of their own |
//! | [`reconcile`] | walks through all accounts, or customers, and makes events for those that differ from what was delivered last, or are gone |
//! | [`http`] | the accept loop and its limits, ESPF's intake, the operator's side |
//! | [`gateway`] | the parts put together |
//! | [`simulator`] | a PortaBilling to develop against: SOAP, JSON, ESPF API, an ESPF that sends |
//! | [`demo`] | gateway, simulator and a stand-in for an external system, with an account of every event |
//! | [`config`], [`telemetry`], [`chain`](mod@chain), [`cli`] | leaves |
//!
//! # One event, ten stops
//!
//! 1. [`http::server`] accepts the connection under its limits.
//! 2. [`http::intake`] authenticates it, before it reads the body, and reads an [`Event`](event::Event).
//! 3. [`Store::accept`](store::Store::accept) keeps the event with the handlers that want it, whose deliveries are there as
//!    soon as anybody asks for them; or finds that it has it already.
//! 4. Only after that is on the disk does ESPF get its `200`: from now on it forgets the event.
//! 5. [`dispatch`], nudged or at the time when something becomes due, claims what may go: one in flight per handler and
//!    subject, in the order of when things happened as far as the events say, else of acceptance; as many as the gates of
//!    connector and PortaBilling let through. Each claim has a number, and only the last one counts.
//! 6. [`enrich`] asks PortaBilling over SOAP what is true now; an answer older than the event doesn't count.
//! 7. The [`connector`] applies it, with the delivery's id as idempotency key, the same at every attempt.
//! 8. [`State::next`](delivery::State::next) turns the outcome into delivered, pending again at a later time, awaiting a
//!    callback, or parked.
//! 9. [`Store::record`](store::Store::record) keeps the attempt, the state and the status to write back, in one transaction;
//!    [`status`] writes it.
//! 10. The operator sees it ([`http::operator`]), and may have it delivered again: we are at 5.
//!
//! The event is a hint; PortaBilling is the truth. That holds for provisioned state. It doesn't for a subject that is gone
//! (`*/Deleted`): there the handler works from the event itself and from what was delivered last.
//!
//! # Invariants
//!
//! * No `200` before the event is on the disk. No 4xx for anything that could be our own fault or could pass: ESPF drops the event for
//!   good; the answer is 503.
//! * No event, delivery or attempt is lost or silently changed by a crash at any instant; if the power fails, an attempt that was
//!   begun and not recorded may be (the next one bears the same key). Delivery is at least once, never exactly once.
//! * What came first in a store is told by numbers that are written with it, never by clocks: these differ and are set back.
//! * Nothing outside [`dispatch`] and [`status`] retries ([`reconcile`] repeats questions, which change nothing); nothing outside
//!   [`delivery`] decides a delivery's state; nothing outside [`store`] writes to disk; `now` is an argument.
//! * No two deliveries of one handler and subject are in flight together, with several gateways on one database neither. No
//!   delivery overtakes another of its subject. What a gateway says that was frozen past its lease doesn't count.
//! * No secret in a log, an error, a metric or a `Debug`. Secrets come from the environment or from files, not from the
//!   command line and not from the configuration itself.
//! * No input without a limit: size, depth, length of a value, number of elements, time, connections. No DTD, no external
//!   entity.
//! * No unbounded queue in memory: the backlog is in the store, and memory stays flat while it grows.
//! * Generated types don't appear in [`connector`]; `portabilling` and `soapstone-soap` never name the gateway.
//!
//! # One WSDL, six stops
//!
//! `build.rs` names it; *load* gathers it and what it imports, from files only; *parse* keeps it as written, with positions;
//! *resolve* makes the model as meant, or an error with file and line; *emit* prints types, tables, operations and a
//! registry by name; `cargo doc` shows it with the definition's own words. A generated type is one plain structure with
//! three faces: Rust fields, XML on the wire, JSON. The simulator, `soapstone call` and the client all work from the same
//! tables.

pub mod breaker;
pub mod callback;
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
pub mod reconcile;
pub mod simulator;
pub mod status;
pub mod store;
pub mod telemetry;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
