//! One server for all clients: it answers with bytes that SOAP::Lite has written, and does as little as it can.

use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Serves until it is ended; its port is printed.
pub(crate) fn serve(account: &Path, list: &Path) {
    let answers: [Bytes; 2] = [account, list].map(|path| std::fs::read(path).unwrap().into());
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let answers = answers.clone();
            let service = service_fn(move |request| answer(request, answers.clone()));
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // whoever leaves, leaves
            tokio::spawn(async move { drop(connection.await) });
        }
    });
}

async fn answer(
    request: Request<Incoming>,
    [account, list]: [Bytes; 2],
) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let lists = asked.windows(16).any(|window| window == b"get_account_list");
    let mut response = Response::new(Full::new(if lists { list } else { account }));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/xml; charset=utf-8"));
    Ok(response)
}
