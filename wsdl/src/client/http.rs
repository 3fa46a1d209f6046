//! The one HTTP stack: pooled connections, HTTP/1.1 and 2, TLS as the settings say, gzip.

use soapstone_soap::transport;

use super::settings::{Settings, Tls};

/// What carries requests; `http` where files can be streamed.
#[derive(Clone)]
pub(crate) struct Carrier {
    pub(crate) transport: soapstone_soap::Transport,
    pub(crate) http: Option<reqwest::Client>,
}

impl Carrier {
    pub(crate) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        // a small container has no certificates of its own: plain HTTP works all the same, and HTTPS with `ca_pem`
        let http = build(settings, true).or_else(|_| build(settings, false))?;
        let transport = transport::over(http.clone(), settings.limits.message_bytes);
        Ok(Self { transport, http: Some(http) })
    }
}

fn build(settings: &Settings, with_system: bool) -> Result<reqwest::Client, reqwest::Error> {
    use secrecy::ExposeSecret as _;
    let mut own = Vec::new();
    for pem in &settings.ca_pem {
        own.extend(reqwest::Certificate::from_pem_bundle(pem)?);
    }
    let min_tls = match settings.min_tls {
        Tls::V1_2 => reqwest::tls::Version::TLS_1_2,
        Tls::V1_3 => reqwest::tls::Version::TLS_1_3,
    };
    let mut builder = reqwest::Client::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .timeout(settings.call_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_max_idle_per_host(settings.max_in_flight)
        .tls_version_min(min_tls)
        .user_agent(concat!("soapstone/", env!("CARGO_PKG_VERSION")));
    if !settings.proxy_from_env {
        builder = builder.no_proxy();
    }
    if let Some(pem) = &settings.client_pem {
        builder = builder.identity(reqwest::Identity::from_pem(pem.expose_secret())?);
    }
    if settings.danger_accept_invalid_certs {
        tracing::warn!(
            url = settings.url,
            "certificates are not verified: anybody in between can read and change everything"
        );
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder = if with_system { builder.tls_certs_merge(own) } else { builder.tls_certs_only(own) };
    builder.build()
}
