//! What the examples share: where PortaBilling is, from the command line, with the simulator as the default.

use portabilling::client::{Client, Credentials, Settings, Transport};

/// The result of an example.
pub(crate) type Done = Result<(), Box<dyn std::error::Error>>;

/// A client of `[URL [LOGIN [API-TOKEN]]]`, as given on the command line; `--json` calls over JSON instead of SOAP.
///
/// `soapstone simulate` is what runs at the default.
pub(crate) fn client() -> Result<Client, Box<dyn std::error::Error>> {
    let (switches, plain): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let word = |index: usize, default: &str| plain.get(index).cloned().unwrap_or_else(|| default.to_string());
    let credentials = Credentials::token(word(1, "demo"), word(2, "api-token"));
    let mut settings = Settings::new(word(0, "http://127.0.0.1:8090"), credentials);
    if switches.iter().any(|switch| switch == "--json") {
        settings.transport = Transport::Json;
    }
    Ok(Client::new(settings)?)
}
