//! TLS over real sockets: who is trusted, what is spoken, and what an operator is told when it doesn't work.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Version;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portabilling::account::{GetAccountInfo, GetAccountInfoRequest};
use portabilling::client::{Cause, Client, Credentials, Error, Settings, SetupError, Tls, Transport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use soapstone_soap::CallError;
use soapstone_soap::transport::TlsError;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion, version};

/// An authority, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
struct Signed {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn sign(&self, name: &str) -> Signed {
        self.sign_until(name, 4000)
    }

    fn sign_until(&self, name: &str, year: i32) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_string()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Signed { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

impl Signed {
    fn itself(name: &str, is_ca: IsCa) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_string()]).unwrap();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    fn with_key(&self) -> Vec<u8> {
        format!("{}{}", self.pem, self.key.serialize_pem()).into_bytes()
    }
}

/// What a server has seen.
#[derive(Debug, Default)]
struct Seen {
    versions: Vec<(Option<ProtocolVersion>, Version)>,
    certificates: usize,
}

struct Server {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

const ALL: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// A server that asks for a certificate of `clients`, if given, and speaks HTTP/2 where it may.
async fn serve(
    own: &Signed,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> Server {
    let key = PrivateKeyDer::Pkcs8(own.key.serialize_der().into());
    let builder = ServerConfig::builder_with_protocol_versions(versions);
    let builder = match clients {
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(authority.roots())).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(vec![own.certificate.clone()], key).unwrap();
    config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config)), Arc::new(Mutex::new(Seen::default())));
    let server = Server { url, seen: Arc::clone(&seen) };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                // whom the handshake doesn't please, goes
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let (tls, certificates) = {
                    let connection = stream.get_ref().1;
                    (connection.protocol_version(), connection.peer_certificates().map_or(0, <[_]>::len))
                };
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let mut seen = seen.lock().unwrap();
                    seen.versions.push((tls, request.version()));
                    seen.certificates += certificates;
                    let body = Full::new(bytes::Bytes::from_static(br#"{"account_info":{"i_account":7}}"#));
                    async move { Ok::<_, Infallible>(http::Response::new(body)) }
                });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                drop(server.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    server
}

impl Server {
    async fn ask(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Error> {
        let mut settings = Settings::new(&self.url, Credentials::access_token("t"));
        settings.transport = Transport::Json;
        settings.retry_pause = Duration::ZERO;
        change(&mut settings);
        let client = Client::new(settings).unwrap();
        let request = GetAccountInfoRequest { i_account: Some(7), ..Default::default() };
        let found = client.call::<GetAccountInfo>(&request).await?.account_info.unwrap();
        assert_eq!(found.i_account, Some(7));
        Ok(())
    }

    /// What is wrong, as an operator is told; nothing was carried out.
    async fn refused(&self, change: impl FnOnce(&mut Settings)) -> String {
        let error = self.ask(change).await.unwrap_err();
        assert!(!error.may_have_been_carried_out() && error.may_work_later(), "{error:?}");
        assert!(matches!(&error.cause, Cause::Call(error) if matches!(**error, CallError::NotSent(_))));
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(tls) = error.downcast_ref::<TlsError>() {
                assert!(tls.source().is_some(), "what the library says is kept");
                return tls.to_string();
            }
            source = error.source();
        }
        panic!("it isn't said: {error:?}");
    }
}

fn trusting(authority: &Authority) -> impl FnOnce(&mut Settings) {
    let pem = authority.pem();
    move |settings| settings.ca_pem.push(pem)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_and_http_2_is_spoken_where_the_server_can() {
    let authority = Authority::new("ours");
    let server = serve(&authority.sign("127.0.0.1"), ALL, None).await;
    server.ask(trusting(&authority)).await.unwrap();
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.versions, [(Some(ProtocolVersion::TLSv1_3), Version::HTTP_2)]);
}

#[tokio::test]
async fn a_certificate_that_has_signed_itself_is_trusted_by_itself_whatever_its_name() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        for name in ["127.0.0.1", "localhost.localdomain"] {
            let (own, other) = (Signed::itself(name, is_ca), Signed::itself(name, is_ca));
            let server = serve(&own, ALL, None).await;
            server.ask(|settings| settings.ca_pem.push(own.pem.clone().into_bytes())).await.unwrap();
            let said = server.refused(|settings| settings.ca_pem.push(other.pem.into_bytes())).await;
            assert!(said.contains("trust"), "{said}");
        }
    }
}

#[tokio::test]
async fn any_certificate_is_taken_by_those_who_ask_for_it_loudly() {
    let server = serve(&Authority::new("theirs").sign("billing.example.net"), ALL, None).await;
    server.ask(|settings| settings.danger_accept_invalid_certs = true).await.unwrap();
}

#[tokio::test]
async fn the_oldest_and_the_newest_tls_are_settings() {
    let authority = Authority::new("ours");
    let server = serve(&authority.sign("127.0.0.1"), ALL, None).await;
    for (min, max) in [(Tls::V1_2, Tls::V1_2), (Tls::V1_3, Tls::V1_3)] {
        let asked = server.ask(|settings| {
            trusting(&authority)(settings);
            (settings.min_tls, settings.max_tls) = (min, max);
        });
        asked.await.unwrap();
    }
    let seen: Vec<_> = server.seen.lock().unwrap().versions.iter().map(|(tls, _)| *tls).collect();
    assert_eq!(seen, [Some(ProtocolVersion::TLSv1_2), Some(ProtocolVersion::TLSv1_3)]);
    for (theirs, min, max) in
        [(&version::TLS12, Tls::V1_3, Tls::V1_3), (&version::TLS13, Tls::V1_2, Tls::V1_2)]
    {
        let server = serve(&authority.sign("127.0.0.1"), &[theirs], None).await;
        let refused = server.refused(|settings| {
            trusting(&authority)(settings);
            (settings.min_tls, settings.max_tls) = (min, max);
        });
        let said = refused.await;
        assert!(said.starts_with("no version of TLS that both sides allow"), "{said}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_its_lack_or_refusal_is_said() {
    let (authority, strangers) = (Authority::new("ours"), Authority::new("theirs"));
    for versions in [&[&version::TLS12], &[&version::TLS13]] {
        let server = serve(&authority.sign("127.0.0.1"), versions, Some(&authority)).await;
        let with = |own: Option<Signed>| {
            let trusting = trusting(&authority);
            move |settings: &mut Settings| {
                trusting(settings);
                settings.client_pem = own.map(|own| own.with_key().into());
            }
        };
        server.ask(with(Some(authority.sign("soapstone")))).await.unwrap();
        assert_eq!(server.seen.lock().unwrap().certificates, 1);
        let said = server.refused(with(None)).await;
        assert!(said.starts_with("the server wants a client certificate"), "{said}");
        let said = server.refused(with(Some(strangers.sign("soapstone")))).await;
        assert!(said.starts_with("the server doesn't accept our client certificate"), "{said}");
        assert_eq!(server.seen.lock().unwrap().versions.len(), 1, "nobody else was heard");
    }
}

#[tokio::test]
async fn an_unknown_authority_a_wrong_name_an_old_certificate_and_no_tls_are_told_apart() {
    let authority = Authority::new("ours");
    let server = serve(&authority.sign("127.0.0.1"), ALL, None).await;
    let said = server.refused(|_| {}).await;
    assert!(said.starts_with("nobody whom we trust has signed"), "{said}");
    let server = serve(&authority.sign("billing.example.net"), ALL, None).await;
    let said = server.refused(trusting(&authority)).await;
    assert!(said.starts_with("the server's certificate is for another name; correct the URL"), "{said}");
    let server = serve(&authority.sign_until("127.0.0.1", 2020), ALL, None).await;
    let said = server.refused(trusting(&authority)).await;
    assert!(said.starts_with("the server's certificate has expired"), "{said}");
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", plain.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let said = Server { url, seen: Arc::default() }.refused(|_| {}).await;
    assert!(said.starts_with("what answers there doesn't speak TLS"), "{said}");
}

#[test]
fn settings_that_no_client_can_be_made_of_are_told() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = Settings::new("https://127.0.0.1", Credentials::access_token("t"));
        change(&mut settings);
        Client::new(settings).map(drop).unwrap_err()
    };
    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nnonsense";
    let error = with(|settings| settings.ca_pem.push(BROKEN.into()));
    assert!(matches!(error, SetupError::Authorities(_)), "{error:?}");
    let error = with(|settings| settings.client_pem = Some(b"nothing".to_vec().into()));
    assert!(matches!(error, SetupError::Identity(_)), "{error:?}");
    let error = with(|settings| {
        let (one, other) = (Signed::itself("a", IsCa::NoCa), Signed::itself("b", IsCa::NoCa));
        let mixed = format!("{}{}", one.pem, other.key.serialize_pem());
        settings.client_pem = Some(mixed.into_bytes().into());
    });
    assert!(matches!(error, SetupError::Unusable(_)), "{error:?}");
    let error = with(|settings| (settings.min_tls, settings.max_tls) = (Tls::V1_3, Tls::V1_2));
    assert!(matches!(error, SetupError::Versions), "{error:?}");
}
