//! An endpoint that serves the lab's contract through our wire: what the peers' clients are pointed at.
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use soapstone_soap::{Answer, Limits, Server};

use super::lab::Manner;

/// The endpoint's URL; it runs as long as the runtime.
pub async fn start(manner: Manner) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/soap/", listener.local_addr().expect("an address"));
    let server = Server::new(manner.services(), Limits::default());
    let router = Router::new().route("/soap/", post(serve)).with_state((manner, server));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn serve(
    State((manner, server)): State<(Manner, Server)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let answer = server.answer(content_type, &body, |call| manner.carry_out(call));
    let status = StatusCode::from_u16(answer.status).expect("a status");
    (status, [(CONTENT_TYPE, Answer::CONTENT_TYPE)], answer.body).into_response()
}
