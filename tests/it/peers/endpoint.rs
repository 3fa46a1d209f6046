//! An endpoint that serves the lab's contract through a generated server: what the peers' clients are pointed at.
use axum::Router;
use soapstone_soap::Endpoint;

use super::lab::Manner;

/// The endpoint's URL; it runs as long as the runtime.
pub async fn start(manner: Manner) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/soap/", listener.local_addr().expect("an address"));
    let router = Router::new().route_service("/soap/", Endpoint::default().port(manner.port()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
