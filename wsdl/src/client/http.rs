//! The one HTTP stack: pooled connections, HTTP/1.1 and 2, TLS as the settings say, gzip.

use soapstone_soap::transport;

use super::settings::Settings;
use super::tls::{self, SetupError};

/// What carries requests; `http` where files can be streamed.
#[derive(Clone)]
pub(crate) struct Carrier {
    pub(crate) transport: soapstone_soap::Transport,
    pub(crate) http: Option<reqwest::Client>,
}

impl Carrier {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SetupError> {
        let http = build(settings)?;
        let transport = transport::over(http.clone(), settings.limits.message_bytes);
        Ok(Self { transport, http: Some(http) })
    }
}

fn build(settings: &Settings) -> Result<reqwest::Client, SetupError> {
    if settings.danger_accept_invalid_certs {
        tracing::warn!(
            url = settings.url,
            "certificates are not verified: anybody in between can read and change everything"
        );
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .timeout(settings.call_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_max_idle_per_host(settings.max_in_flight)
        .tls_backend_preconfigured(tls::config(settings)?)
        .user_agent(concat!("soapstone/", env!("CARGO_PKG_VERSION")));
    if !settings.proxy_from_env {
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}
