//! The configuration: what an operator may set, read so that one run names every mistake with its line.
//!
//! [`Config::load`] reads a file, [`Config::parse`] a text. Unknown keys are mistakes. Secrets come from the environment
//! or from files of their own ([`Secret`]), never from the configuration itself. Defaults stand in [`defaults`], and in
//! [`EXAMPLE`], which explains every key. Relative paths count from the folder of the configuration file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

mod connector;
pub mod defaults;
mod effective;
mod intake;
mod listen;
mod portabilling;
mod problem;
mod read;
mod reader;
mod secret;
mod store;
mod units;
mod work;

pub use self::connector::{CallbackSettings, ConnectorSettings, HeaderText, HttpConnectorSettings};
pub use self::intake::{BasicCredential, CustomCredential, IntakeAuth, IntakeSettings, SignatureCredential};
pub use self::listen::{Listen, Operating};
pub use self::portabilling::{Credential, PortaBillingSettings};
pub use self::problem::{ConfigError, Problem, Problems};
pub use self::store::{PostgresPlace, StoreSettings};
pub use self::work::{CallbackListening, Dispatch, Reconciling, Retention, StatusWriting};
pub use ::portabilling::client::{AuthInfo, EspfAuth, SoapPath, StatusEncoding, Tls, Transport};
pub use secret::Secret;

use crate::handler::Handler;
use effective::as_handlers;

/// A configuration that explains itself: every key with its default.
pub const EXAMPLE: &str = include_str!("config/example.toml");

/// The whole configuration, checked.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// Where the gateway listens, and the limits of that.
    pub listen: Listen,
    /// Who may ask the operator's side.
    pub operator: Operating,
    /// Where events are kept.
    pub store: StoreSettings,
    /// How deliveries are made.
    pub dispatch: Dispatch,
    /// How provisioning statuses are written back.
    pub status: StatusWriting,
    /// How external systems that finish later call back; none: they can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackListening>,
    /// How long what has happened is kept.
    pub retention: Retention,
    /// How what was delivered is compared with PortaBilling beside the events.
    pub reconcile: Reconciling,
    /// The PortaBilling that is asked what is true, and told what came of it.
    pub portabilling: PortaBillingSettings,
    /// Where ESPF's events come in; at least one, each with its own path.
    #[serde(rename = "intake")]
    pub intakes: Vec<IntakeSettings>,
    /// External systems by name.
    #[serde(rename = "connector")]
    pub connectors: BTreeMap<String, ConnectorSettings>,
    /// Who gets which events.
    #[serde(rename = "handler", serialize_with = "as_handlers")]
    pub handlers: Vec<Handler>,
}

impl Config {
    /// Reads a file, with secrets from the process's environment.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        load(file, read::config)
    }

    /// Of a file only `[listen]`: whoever only asks the gateway needs none of its secrets.
    ///
    /// # Errors
    /// As [`Self::load`], but for mistakes elsewhere in the file.
    pub fn load_listen(file: &Path) -> Result<Listen, ConfigError> {
        load(file, read::only_listen)
    }

    /// Of a file only `[store]`, with its secret if it has one.
    ///
    /// # Errors
    /// As [`Self::load`], but for mistakes elsewhere in the file.
    pub fn load_store(file: &Path) -> Result<StoreSettings, ConfigError> {
        load(file, read::only_store)
    }

    /// Of a file only `[portabilling]`, with its secrets.
    ///
    /// # Errors
    /// As [`Self::load`], but for mistakes elsewhere in the file.
    pub fn load_portabilling(file: &Path) -> Result<PortaBillingSettings, ConfigError> {
        load(file, read::only_portabilling)
    }

    /// Reads a text. `file` names it in errors, relative paths count from `folder`, secrets come from `env` or files.
    pub fn parse(
        file: &str,
        text: &str,
        folder: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        read::config(text, folder, env)
            .map_err(|problems| ConfigError::Wrong(Problems { file: file.to_owned(), problems }))
    }
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads a file, or a part of it.
fn load<T>(
    file: &Path,
    read: impl FnOnce(&str, &Path, Env<'_>) -> Result<T, Vec<Problem>>,
) -> Result<T, ConfigError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|source| ConfigError::Unreadable { file: name.clone(), source })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    read(&text, folder, &|name| std::env::var(name).ok())
        .map_err(|problems| ConfigError::Wrong(Problems { file: name, problems }))
}

#[cfg(test)]
mod tests;
