//! Whom we trust, who we are, and which TLS is spoken.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, version,
};
use secrecy::ExposeSecret as _;

use super::settings::{Settings, Tls};

/// Settings that no client can be made of; the caller's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// [`Settings::ca_pem`] isn't certificates.
    #[error("the certificates to be trusted can't be read; give them in PEM format")]
    Authorities(#[source] pem::Error),
    /// [`Settings::client_pem`] isn't a certificate with its key.
    #[error(
        "our own certificate can't be read; give it in PEM format, with its private key and without a password"
    )]
    Identity(#[source] pem::Error),
    /// The certificate in [`Settings::client_pem`] can't be used.
    #[error("our own certificate can't be used; give its own private key with it")]
    Unusable(#[source] rustls::Error),
    /// [`Settings::min_tls`] is above [`Settings::max_tls`].
    #[error("the oldest TLS that is allowed is newer than the newest; correct one of them")]
    Versions,
    /// The HTTP client doesn't start.
    #[error("no HTTP client can be made")]
    Http(#[from] reqwest::Error),
}

/// TLS as the settings say.
pub(crate) fn config(settings: &Settings) -> Result<ClientConfig, SetupError> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let mut given = Vec::new();
    for pem in &settings.ca_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            given.push(certificate.map_err(SetupError::Authorities)?);
        }
    }
    let trust = Trust::new(given, settings.danger_accept_invalid_certs, provider.clone());
    let versions: Vec<_> = [(Tls::V1_2, &version::TLS12), (Tls::V1_3, &version::TLS13)]
        .into_iter()
        .filter(|(version, _)| (settings.min_tls..=settings.max_tls).contains(version))
        .map(|(_, version)| version)
        .collect();
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions);
    let builder = builder.map_err(|_| SetupError::Versions)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(trust));
    let mut config = match &settings.client_pem {
        Some(pem) => {
            let (chain, key) = identity(pem.expose_secret())?;
            builder.with_client_auth_cert(chain, key).map_err(SetupError::Unusable)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn identity(pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), SetupError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(SetupError::Identity)?;
    if chain.is_empty() {
        return Err(SetupError::Identity(pem::Error::NoItemsFound));
    }
    Ok((chain, PrivateKeyDer::from_pem_slice(pem).map_err(SetupError::Identity)?))
}

/// Which certificates of servers are good.
struct Trust {
    /// Trusted as authorities, and where a server shows one of them itself: then whatever its name and dates, and though it may
    /// be an authority's, since servers that have signed their own are common and most of those certificates are such.
    given: Vec<CertificateDer<'static>>,
    /// Judges all others; none where there is no authority at all, as in a small container.
    others: Option<Arc<dyn ServerCertVerifier>>,
    anybody: bool,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    fn new(given: Vec<CertificateDer<'static>>, anybody: bool, provider: Arc<CryptoProvider>) -> Self {
        let system =
            rustls_platform_verifier::Verifier::new_with_extra_roots(given.clone(), provider.clone());
        let others = match system {
            Ok(system) => Some(Arc::new(system) as Arc<dyn ServerCertVerifier>),
            Err(error) => {
                tracing::debug!(%error, "the system's certificates can't be used");
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(given.clone());
                let own =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
                own.ok().map(|own| own as Arc<dyn ServerCertVerifier>)
            }
        };
        Self { given, others, anybody, provider }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trust")
            .field("given", &self.given.len())
            .field("anybody", &self.anybody)
            .finish()
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.anybody || self.given.iter().any(|given| given == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.others {
            Some(others) => {
                others.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
