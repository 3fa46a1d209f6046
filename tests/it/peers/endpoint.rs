//! Endpoints that serve the lab's contract through generated servers: what the peers' clients are pointed at.
use axum::Router;
use soapstone_soap::{Endpoint, Port};

use super::{lab, lab_doc};

/// The URL of an endpoint in rpc/encoded; it runs as long as the runtime.
pub async fn start() -> String {
    serve(lab::port()).await
}

/// The same in document/literal.
pub async fn start_doc() -> String {
    serve(lab_doc::port()).await
}

async fn serve(port: Port) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/soap/", listener.local_addr().expect("an address"));
    let router = Router::new().route_service("/soap/", Endpoint::default().port(port));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
