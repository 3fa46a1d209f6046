//! TLS on the way to the database: whose certificate is trusted, and that nothing goes without.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;
use crate::store::conformance::{event, to};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

#[tokio::test]
async fn the_database_is_believed_by_its_certificate_and_its_name() {
    let (ours, other) = (authority(), authority());
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".into()]).expect("a name");
    let certificate = params.signed_by(&key, &ours).expect("a certificate");
    let Some(server) = server::with_certificate(&certificate.pem(), &key.serialize_pem()) else { return };
    let way = |name: &str, more: &str, ca_pem: &str| PostgresSettings {
        url: format!("{}{more}", server.url_by(name)).into(),
        ca_pem: ca_pem.as_bytes().to_vec(),
        ..settings(server)
    };
    let settings = way("localhost", "?sslmode=verify-full", &ours.pem());
    let store = open(&settings, at(0)).await;
    store.accept(event(None, 1, at(1)), to("a")).await.expect("accepted");
    let session = store.db.session().await.expect("a session");
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(session.query_one(sql, &[]).await.expect("an answer").get::<_, bool>(0), "it is encrypted");
    drop(session);
    store.close().await;
    for (name, ca) in [("localhost", other.pem()), ("localhost", String::new()), ("127.0.0.1", ours.pem())] {
        let refused = PostgresStore::open(way(name, "?sslmode=require", &ca), at(0)).await;
        let error = refused.expect_err("refused");
        assert!(
            matches!(&error, StoreError::Failed(words) if words.contains("invalid peer certificate")),
            "{name}: {error}"
        );
    }
}
