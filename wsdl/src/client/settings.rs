//! Where PortaBilling is, who we are there, and how long we wait: every setting of the client with its default.

use std::time::Duration;

use secrecy::SecretString;
use soapstone_soap::Limits;

/// The settings of a [`crate::client::Client`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme, host and port of the web server (`https://billing.example.net`), without a path.
    pub url: String,
    /// Where SOAP calls go.
    pub soap_path: SoapPath,
    /// Who we are.
    pub credentials: Credentials,
    /// What of a login goes into `auth_info`.
    pub auth_info: AuthInfo,
    /// Base of the ESPF API; none: `{url}/espf/v1`.
    pub espf_url: Option<String>,
    /// How the body of a status is written; PortaOne's guides show both.
    pub status_encoding: StatusEncoding,
    /// How the ESPF API is told who we are.
    pub espf_auth: EspfAuth,
    /// Time to connect. 5 s.
    pub connect_timeout: Duration,
    /// Time for one call, from the first byte sent to the last received. 30 s.
    pub call_timeout: Duration,
    /// Time that a call waits for its turn when `max_in_flight` calls are under way. 30 s.
    pub queue_timeout: Duration,
    /// Calls under way at once. 20: users report that more don't help.
    pub max_in_flight: usize,
    /// Pause after a login that was refused, before the next is tried: brute-force lock-outs are real. 30 s.
    pub login_pause: Duration,
    /// Limits of an answer.
    pub limits: Limits,
    /// PEM files with certificates that are trusted besides the system's; self-signed ones are normal here.
    pub ca_pem: Vec<Vec<u8>>,
    /// Takes any certificate: whoever sits in between can read and change everything. For a laboratory.
    pub danger_accept_invalid_certs: bool,
}

/// Where SOAP calls go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SoapPath {
    /// `/soap/{Service}/{method}`, in the documentation of current releases.
    #[default]
    Modern,
    /// `/Porta/SOAP/{Service}`, of older ones.
    Classic,
}

/// Who we are.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The login of a user made for the gateway.
    pub login: String,
    /// Its password or API token.
    pub secret: Secret,
}

/// What proves it.
#[derive(Debug, Clone)]
pub enum Secret {
    /// The user's password.
    Password(SecretString),
    /// The user's API token, which doesn't expire with the password.
    Token(SecretString),
}

/// What of a login goes into `auth_info`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuthInfo {
    /// The session's id: every release takes it.
    #[default]
    SessionId,
    /// The access token: current releases take it.
    AccessToken,
}

/// How the body of a status is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StatusEncoding {
    /// `application/x-www-form-urlencoded`, as the developer guide has it.
    #[default]
    Form,
    /// `application/json`, as the administrator's guide of a later release has it.
    Json,
}

/// How the ESPF API is told who we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EspfAuth {
    /// `Bearer` with the access token of the login.
    #[default]
    Bearer,
    /// `Basic` with login and secret.
    Basic,
}

impl Settings {
    /// Settings with every default.
    pub fn new(url: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            url: url.into().trim_end_matches('/').to_string(),
            soap_path: SoapPath::default(),
            credentials,
            auth_info: AuthInfo::default(),
            espf_url: None,
            status_encoding: StatusEncoding::default(),
            espf_auth: EspfAuth::default(),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            queue_timeout: Duration::from_secs(30),
            max_in_flight: 20,
            login_pause: Duration::from_secs(30),
            limits: Limits::default(),
            ca_pem: Vec::new(),
            danger_accept_invalid_certs: false,
        }
    }

    /// The URL of an operation.
    pub fn soap_url(&self, service: &str, method: &str) -> String {
        match self.soap_path {
            SoapPath::Modern => format!("{}/soap/{service}/{method}", self.url),
            SoapPath::Classic => format!("{}/Porta/SOAP/{service}", self.url),
        }
    }

    /// Base of the ESPF API.
    pub fn espf_base(&self) -> String {
        match &self.espf_url {
            Some(url) => url.trim_end_matches('/').to_string(),
            None => format!("{}/espf/v1", self.url),
        }
    }
}

impl Credentials {
    /// Login with a password.
    pub fn password(login: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self { login: login.into(), secret: Secret::Password(password.into()) }
    }

    /// Login with an API token.
    pub fn token(login: impl Into<String>, token: impl Into<SecretString>) -> Self {
        Self { login: login.into(), secret: Secret::Token(token.into()) }
    }
}

impl Secret {
    /// The secret itself, whichever it is.
    pub(crate) fn inner(&self) -> &SecretString {
        match self {
            Secret::Password(secret) | Secret::Token(secret) => secret,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_made_for_both_ages() {
        let mut settings = Settings::new("https://b.example/", Credentials::password("u", "p"));
        assert_eq!(
            settings.soap_url("Account", "get_account_info"),
            "https://b.example/soap/Account/get_account_info"
        );
        assert_eq!(settings.espf_base(), "https://b.example/espf/v1");
        settings.soap_path = SoapPath::Classic;
        assert_eq!(settings.soap_url("Account", "get_account_info"), "https://b.example/Porta/SOAP/Account");
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = Settings::new("https://b.example/", Credentials::token("u", "t0ken"));
        assert!(!format!("{settings:?}").contains("t0ken"));
    }
}
