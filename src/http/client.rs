//! Outgoing HTTP: one pooled client for each upstream, all made in the same way.

use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};

/// What a client is like.
#[derive(Debug, Clone)]
pub struct ClientSettings<'a> {
    /// Names the upstream in warnings.
    pub upstream: &'a str,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a request may take in all, its answer included.
    pub timeout: Duration,
    /// Certificates to trust besides the system's (PEM).
    pub ca_file: Option<&'a Path>,
    /// Whether any certificate will do.
    pub danger_accept_invalid_certs: bool,
}

/// Why there is no client: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of certificates can't be read.
    #[error("{file}: the certificates can't be read; correct `ca_file`")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file of certificates holds none.
    #[error("{file}: not certificates in PEM format; correct `ca_file`")]
    NotCertificates {
        /// The file.
        file: String,
        /// Why.
        source: Option<reqwest::Error>,
    },
    /// The TLS library doesn't start.
    #[error(
        "no HTTP client can be made; install the system's certificates (ca-certificates), or correct `ca_file`"
    )]
    Unusable(#[source] reqwest::Error),
}

/// A pooled client. It follows no redirect: a POST that becomes a GET elsewhere would be taken for success. It takes no proxy
/// from the environment: where a request goes is the configuration's to say.
///
/// Small containers have no certificates of their own. Without them, plain HTTP works all the same, and HTTPS with `ca_file`.
pub fn client(settings: &ClientSettings<'_>) -> Result<Client, ClientError> {
    let own = settings.ca_file.map(pem).transpose()?;
    let own = own.map(|pem| Certificate::from_pem_bundle(&pem)).transpose().map_err(ClientError::Unusable)?;
    let own = own.unwrap_or_default();
    if settings.danger_accept_invalid_certs {
        tracing::warn!(
            upstream = settings.upstream,
            "any certificate is trusted: whoever stands between can read and change everything; use `ca_file` instead"
        );
    }
    let with_system = builder(settings).tls_certs_merge(own.clone()).build();
    with_system.or_else(|error| {
        tracing::warn!(
            upstream = settings.upstream,
            error = crate::chain::chain(&error),
            "the system's certificates can't be used; HTTPS trusts those of `ca_file` alone"
        );
        builder(settings).tls_certs_only(own).build().map_err(ClientError::Unusable)
    })
}

fn builder(settings: &ClientSettings<'_>) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("soapstone/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .tcp_nodelay(true)
        .redirect(Policy::none())
        .no_proxy()
        .tls_danger_accept_invalid_certs(settings.danger_accept_invalid_certs)
}

/// What a file of certificates holds, once it is known to hold some.
pub(crate) fn pem(path: &Path) -> Result<Vec<u8>, ClientError> {
    let file = path.display().to_string();
    let pem = std::fs::read(path).map_err(|source| ClientError::Unreadable { file: file.clone(), source })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(pem),
        Ok(_) => Err(ClientError::NotCertificates { file, source: None }),
        Err(source) => Err(ClientError::NotCertificates { file, source: Some(source) }),
    }
}
