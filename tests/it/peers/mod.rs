//! Against SOAP software that we didn't write: SOAP::Lite, PHP, zeep, node-soap and strong-soap, live and recorded.
//!
//! `tests/peers/setup.sh` installs them into `target/peers`. Where one is missing a test says what it skips; with
//! `SOAPSTONE_REQUIRE_PEERS=1`, as in `tests/run`, it fails.

mod clients;
mod endpoint;
mod hostile;
mod installed;
mod lab;
mod lab_doc;
mod library;
mod portabilling;
mod raw;
mod recorded;
mod scenario;
#[allow(dead_code)] // shared with the generator's own tests
#[path = "../../../codegen/tests/it/library.rs"]
mod served;
mod servers;
mod soaplite;
