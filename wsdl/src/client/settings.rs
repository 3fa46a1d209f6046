//! Where PortaBilling is, who we are there, and how long we wait: every setting of the client with its default.

use std::time::Duration;

use secrecy::{SecretSlice, SecretString};
use serde::Serialize;
use soapstone_soap::Limits;

/// The settings of a [`crate::client::Client`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme, host and port of the web server (`https://billing.example.net`), without a path.
    pub url: String,
    /// The same of further sites, asked in this order when those before can't be reached or can't serve. A session is good
    /// on its own site only, so each has its own.
    pub other_urls: Vec<String>,
    /// How long a site that couldn't be reached, or couldn't serve, isn't asked. 60 s.
    pub site_pause: Duration,
    /// How calls are written.
    pub transport: Transport,
    /// Where SOAP calls go.
    pub soap_path: SoapPath,
    /// How the body of a JSON call is written.
    pub json_body: JsonBody,
    /// Who we are.
    pub credentials: Credentials,
    /// How a call says so.
    pub auth_info: AuthInfo,
    /// Whether a token is renewed with its refresh token before it ends; otherwise there is a new login. On.
    pub refresh: bool,
    /// Whether `get_access_token_lifetime` is asked, over JSON, for how long a token lives, and the shorter time counts: its answer
    /// isn't documented publicly, so any that names seconds is taken and any other passed over. Off: a login says it too.
    pub ask_lifetime: bool,
    /// The ESPF API.
    pub espf: EspfPaths,
    /// How the body of a status is written; PortaOne's guides show both.
    pub status_encoding: StatusEncoding,
    /// How the ESPF API is told who we are.
    pub espf_auth: EspfAuth,
    /// The API 2.0.
    pub api2: Api2Paths,
    /// Time to connect. 5 s.
    pub connect_timeout: Duration,
    /// Time without a byte of the answer, once it has begun. 30 s.
    pub read_timeout: Duration,
    /// Time for one call, from the first byte sent to the last received; downloads have their own. 30 s.
    pub call_timeout: Duration,
    /// Time that a call waits for its turn when `max_in_flight` calls are under way. 30 s.
    pub queue_timeout: Duration,
    /// Calls under way at once. 20: users report that more don't help.
    pub max_in_flight: usize,
    /// Calls begun per second, on average; none: no limit.
    pub calls_per_second: Option<f64>,
    /// How often a call is sent again after a failure that leaves no doubt: it wasn't sent, or its method only reads. 1.
    pub retries: usize,
    /// How long to wait before that. 200 ms.
    pub retry_pause: Duration,
    /// Pause after a login that was refused, before the next is tried: brute-force lock-outs are real. 30 s.
    pub login_pause: Duration,
    /// The same after one that was refused because of a lock-out, or of an expired password. 10 min.
    pub lockout_pause: Duration,
    /// Limits of an answer.
    pub limits: Limits,
    /// The longest file that is downloaded, in bytes. 1 GiB.
    pub download_bytes: u64,
    /// Time for a whole download. 1 h.
    pub download_timeout: Duration,
    /// Whether calls bear `traceparent` (W3C) and `b3` headers. On.
    pub trace_headers: bool,
    /// PEM files with certificates that are trusted besides the system's, as authorities; and where a server shows one of them
    /// itself, then by whatever name it is called, since self-signed ones are normal here and seldom bear the right one.
    pub ca_pem: Vec<Vec<u8>>,
    /// A PEM file with our own certificate and its private key.
    pub client_pem: Option<SecretSlice<u8>>,
    /// The oldest TLS that is spoken. 1.2.
    pub min_tls: Tls,
    /// The newest TLS that is spoken. 1.3.
    pub max_tls: Tls,
    /// Whether `HTTPS_PROXY` and its kin in the environment are heeded. Off: where a call goes is the settings' to say.
    pub proxy_from_env: bool,
    /// Takes any certificate: whoever sits in between can read and change everything. For a laboratory.
    pub danger_accept_invalid_certs: bool,
}

/// How calls are written; the structures are the same, and so are the answers and faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// XML envelopes, `/soap/{Service}/{method}`.
    #[default]
    Soap,
    /// JSON, `/rest/{Service}/{method}`.
    Json,
}

/// How the body of a JSON call is written; PortaBilling takes all three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JsonBody {
    /// One object with `auth_info` and `params`.
    #[default]
    Json,
    /// A form with the fields `auth_info` and `params`, each JSON.
    Form,
    /// The same as `multipart/form-data`.
    Multipart,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Tls {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// The realms of PortaBilling's web server. Each has a port of its own; what is visible there depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Realm {
    Admin,
    Reseller,
    Customer,
    Account,
}

impl Realm {
    /// The port that it has as a rule.
    pub fn port(self) -> u16 {
        match self {
            Realm::Admin => 443,
            Realm::Reseller => 8442,
            Realm::Customer => 8444,
            Realm::Account => 8445,
        }
    }

    /// Its name in `login_to_realm`. Only `accounts` is documented; the others follow it (inferred).
    pub fn name(self) -> &'static str {
        match self {
            Realm::Admin => "admin",
            Realm::Reseller => "resellers",
            Realm::Customer => "customers",
            Realm::Account => "accounts",
        }
    }
}

/// Where the ESPF API is. What isn't documented publicly can be corrected here; `https://HOST/doc/api` of an installation
/// shows its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EspfPaths {
    /// Its base; none: `{url}/espf/v1`.
    pub base: Option<String>,
    /// The status of an account by `{i_account}`.
    pub status: String,
    /// The status of an account by its `{id}`.
    pub status_by_id: String,
    /// The list of service groups.
    pub groups: String,
    /// A new service group.
    pub create_group: String,
    /// A new event, now or later (inferred).
    pub events: String,
}

impl Default for EspfPaths {
    fn default() -> Self {
        Self {
            base: None,
            status: "/account/i/{i_account}/status".into(),
            status_by_id: "/account/{id}/status".into(),
            groups: "/groups".into(),
            create_group: "/group/create".into(),
            events: "/event".into(),
        }
    }
}

/// Where the API 2.0 is, of which only `/products` and the choice of fields are documented publicly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api2Paths {
    /// Its base, without the host (inferred).
    pub base: String,
    /// The parameter that names the fields, with commas between (inferred).
    pub fields: String,
}

impl Default for Api2Paths {
    fn default() -> Self {
        Self { base: "/api/v2".into(), fields: "fields".into() }
    }
}

/// Where SOAP calls go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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
    /// The id of a session that somebody else has made; when it ends, nothing can be done.
    Session(SecretString),
    /// An access token that somebody else has got; when it ends, nothing can be done.
    AccessToken(SecretString),
}

/// How a call says who we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthInfo {
    /// `auth_info` with the session's id: every release takes it.
    #[default]
    SessionId,
    /// `auth_info` with the access token: current releases take it.
    AccessToken,
    /// `auth_info` with login and password (or API token), without any session.
    Inline,
    /// `Authorization: Bearer` with the access token.
    Bearer,
    /// The cookies that the login has set.
    Cookie,
}

/// How the body of a status is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusEncoding {
    /// `application/x-www-form-urlencoded`, as the developer guide has it.
    #[default]
    Form,
    /// `application/json`, as the administrator's guide of a later release has it.
    Json,
}

/// How the ESPF API is told who we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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
            other_urls: Vec::new(),
            site_pause: Duration::from_secs(60),
            transport: Transport::default(),
            soap_path: SoapPath::default(),
            json_body: JsonBody::default(),
            credentials,
            auth_info: AuthInfo::default(),
            refresh: true,
            ask_lifetime: false,
            espf: EspfPaths::default(),
            status_encoding: StatusEncoding::default(),
            espf_auth: EspfAuth::default(),
            api2: Api2Paths::default(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            queue_timeout: Duration::from_secs(30),
            max_in_flight: 20,
            calls_per_second: None,
            retries: 1,
            retry_pause: Duration::from_millis(200),
            login_pause: Duration::from_secs(30),
            lockout_pause: Duration::from_secs(600),
            limits: Limits::default(),
            download_bytes: 1 << 30,
            download_timeout: Duration::from_secs(3600),
            trace_headers: true,
            ca_pem: Vec::new(),
            client_pem: None,
            min_tls: Tls::V1_2,
            max_tls: Tls::V1_3,
            proxy_from_env: false,
            danger_accept_invalid_certs: false,
        }
    }

    /// The same on the port that a realm has as a rule.
    ///
    /// ```
    /// use portabilling::client::{Credentials, Realm, Settings};
    ///
    /// let settings = Settings::new("https://billing.example.net", Credentials::password("u", "p"));
    /// assert_eq!(settings.realm(Realm::Account).url, "https://billing.example.net:8445");
    /// ```
    pub fn realm(mut self, realm: Realm) -> Self {
        let with_port = |url: &String| {
            let host = url.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
            // a colon inside the brackets of an IPv6 address is none before a port
            let end = match url[host..].rfind(':') {
                Some(colon) if !url[host + colon..].contains(']') => host + colon,
                _ => url.len(),
            };
            format!("{}:{}", &url[..end], realm.port())
        };
        self.other_urls = self.other_urls.iter().map(with_port).collect();
        self.url = with_port(&self.url);
        self
    }

    /// The URL of a SOAP call at a site.
    pub fn soap_url(&self, site: &str, service: &str, method: &str) -> String {
        match self.soap_path {
            SoapPath::Modern => format!("{site}/soap/{service}/{method}"),
            SoapPath::Classic => format!("{site}/Porta/SOAP/{service}"),
        }
    }

    /// Base of the ESPF API at a site.
    pub fn espf_base(&self, site: &str) -> String {
        match &self.espf.base {
            Some(url) => url.trim_end_matches('/').to_string(),
            None => format!("{site}/espf/v1"),
        }
    }
}

impl Credentials {
    /// Login with a password.
    pub fn password(login: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self { login: login.into(), secret: Secret::Password(password.into()) }
    }

    /// A session that is there already.
    pub fn session(id: impl Into<SecretString>) -> Self {
        Self { login: String::new(), secret: Secret::Session(id.into()) }
    }

    /// An access token that is there already.
    pub fn access_token(token: impl Into<SecretString>) -> Self {
        Self { login: String::new(), secret: Secret::AccessToken(token.into()) }
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
            Secret::Password(secret)
            | Secret::Token(secret)
            | Secret::Session(secret)
            | Secret::AccessToken(secret) => secret,
        }
    }

    /// Whether a new session can be had with it.
    pub(crate) fn can_log_in(&self) -> bool {
        matches!(self, Secret::Password(_) | Secret::Token(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_made_for_both_ages() {
        let mut settings = Settings::new("https://b.example/", Credentials::password("u", "p"));
        let url = |settings: &Settings| settings.soap_url(&settings.url, "Account", "get_account_info");
        assert_eq!(url(&settings), "https://b.example/soap/Account/get_account_info");
        assert_eq!(settings.espf_base(&settings.url), "https://b.example/espf/v1");
        settings.soap_path = SoapPath::Classic;
        assert_eq!(url(&settings), "https://b.example/Porta/SOAP/Account");
    }

    #[test]
    fn a_realm_has_its_port_whatever_was_there() {
        for (url, expected) in [
            ("https://b.example", "https://b.example:8444"),
            ("https://b.example:443", "https://b.example:8444"),
            ("https://[::1]", "https://[::1]:8444"),
            ("https://[::1]:8442", "https://[::1]:8444"),
        ] {
            let settings = Settings::new(url, Credentials::password("u", "p"));
            assert_eq!(settings.realm(Realm::Customer).url, expected);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = Settings::new("https://b.example/", Credentials::token("u", "t0ken"));
        assert!(!format!("{settings:?}").contains("t0ken"));
    }
}
