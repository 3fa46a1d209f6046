//! A PortaBilling behind TLS that wants to see a certificate: the gateway's configuration says all that it takes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use portabilling::account::{GetAccountInfo, GetAccountInfoRequest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use soapstone::chain::chain;
use soapstone::config::Config;
use soapstone::gateway;
use soapstone::simulator::{SessionSettings, Simulator, SimulatorSettings};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn signed(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::new(vec![name.to_string()]).unwrap().signed_by(&key, authority).unwrap(), key)
}

/// TLS in front of a server; who has no certificate of the authority doesn't get through. Answers its URL.
async fn in_front_of(server: SocketAddr, authority: &Authority) -> String {
    let (certificate, key) = signed(authority, "127.0.0.1");
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((outside, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = acceptor.accept(outside).await?;
                let mut inside = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    url
}

fn config(url: &str, folder: &Path, tls: &str) -> Config {
    let SessionSettings { login, password, .. } = SessionSettings::default();
    let text = format!(
        r#"
        [portabilling]
        url = "{url}"
        login = "{login}"
        password = {{ env = "PASSWORD" }}
        {tls}
        [[intake]]
        name = "default"
        auth = {{ basic = [{{ user = "espf", password = {{ env = "PASSWORD" }} }}] }}
        "#
    );
    Config::parse("t", &text, folder, &|_| Some(password.clone())).unwrap_or_else(|error| panic!("{error}"))
}

/// What came of asking for an account.
async fn ask(config: &Config) -> Result<(), String> {
    let client = gateway::portabilling(&config.portabilling).map_err(|error| chain(&error))?;
    let request = GetAccountInfoRequest { i_account: Some(1_000_001), ..Default::default() };
    let answer = client.call::<GetAccountInfo>(&request).await.map_err(|error| chain(&error))?;
    answer.account_info.map(drop).ok_or_else(|| "no account".into())
}

#[tokio::test]
async fn portabilling_behind_tls_of_its_own_is_reached_as_the_configuration_says() {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = SimulatorSettings { accounts: 3, ..SimulatorSettings::default() };
    let simulator = Simulator::start(local, settings).await.unwrap();
    let authority = authority();
    let address = simulator.url().trim_start_matches("http://").parse().unwrap();
    let url = in_front_of(address, &authority).await;
    let (own, key) = signed(&authority, "soapstone");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("ca.pem", authority.pem());
    write("client.pem", own.pem());
    write("client.key", key.serialize_pem());
    write("other.key", KeyPair::generate().unwrap().serialize_pem());

    const CA: &str = "ca_file = \"ca.pem\"\n";
    const OWN: &str =
        "client_certificate = \"client.pem\"\nclient_key = { file = \"client.key\" }\nmin_tls = \"1.3\"\n";
    let with = async |tls: &str| ask(&config(&url, folder.path(), tls)).await;
    with(&format!("{CA}{OWN}")).await.unwrap();
    for (tls, says) in [
        (OWN, "nobody whom we trust has signed the server's certificate"),
        (CA, "the server wants a client certificate; give one that it accepts"),
        (
            "client_certificate = \"client.pem\"\nclient_key = { file = \"other.key\" }",
            "our own certificate can't be used; give its own private key with it",
        ),
    ] {
        let said = with(tls).await.unwrap_err();
        assert!(said.contains(says), "{said}");
    }
    let said = warnings(|| {
        let tls = format!("{OWN}danger_accept_invalid_certs = true");
        gateway::portabilling(&config(&url, folder.path(), &tls).portabilling).map(drop).unwrap();
    });
    assert!(said.contains("WARN") && said.contains("certificates are not verified"), "{said}");
    with(&format!("{OWN}danger_accept_invalid_certs = true")).await.unwrap();
}

/// What is logged meanwhile.
fn warnings(run: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<String>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            write!(self.0.lock().unwrap(), "{}", String::from_utf8_lossy(bytes)).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, run);
    lines.0.lock().unwrap().clone()
}
