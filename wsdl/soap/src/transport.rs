//! The transport over reqwest: bodies are read up to a limit, and a refused connection is told from a lost answer.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{Request, Response};
use tower::BoxError;
use tower::util::BoxCloneSyncService;

use crate::client::{NotSent, Transport};

/// An answer that is longer than allowed.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {0} bytes")]
pub struct TooLong(pub usize);

/// A transport over a reqwest client, which brings pooling, TLS and time-outs.
///
/// `limit` bounds an answer in bytes, counted after decompression.
pub fn over(client: reqwest::Client, limit: usize) -> Transport {
    BoxCloneSyncService::new(tower::service_fn(move |request| exchange(client.clone(), limit, request)))
}

async fn exchange(
    client: reqwest::Client,
    limit: usize,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, BoxError> {
    let request =
        reqwest::Request::try_from(request).map_err(|error| BoxError::from(NotSent(error.into())))?;
    let answer = client.execute(request).await.map_err(|error| {
        let not_sent = error.is_connect() || error.is_builder();
        // the address has its place in the log line of the call, and may hold a secret
        let error = BoxError::from(error.without_url());
        if not_sent { NotSent(error).into() } else { error }
    })?;
    let (status, version, headers) = (answer.status(), answer.version(), answer.headers().clone());
    let body = read(answer, limit).await?;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Reads the body of an answer, at most `limit` bytes.
///
/// # Errors
/// A connection that breaks, and [`TooLong`].
pub async fn read(answer: reqwest::Response, limit: usize) -> Result<Bytes, BoxError> {
    let mut body = BytesMut::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(reqwest::Error::without_url)?;
        if body.len() + chunk.len() > limit {
            return Err(TooLong(limit).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
