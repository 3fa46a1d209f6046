//! The transport over reqwest: bodies are read up to a limit, and a refused connection is told from a lost answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{Request, Response, Uri};
use reqwest::Url;
use tower::BoxError;
use tower::util::BoxCloneSyncService;

use crate::client::{NotSent, Transport};
pub use crate::tls::{TlsError, Trouble};

/// An answer that is longer than allowed.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {0} bytes")]
pub struct TooLong(pub usize);

/// A transport over a reqwest client, which brings pooling, TLS and time-outs.
///
/// `limit` bounds an answer in bytes, counted after decompression.
pub fn over(client: reqwest::Client, limit: usize) -> Transport {
    let urls = Urls::default();
    BoxCloneSyncService::new(tower::service_fn(move |request| {
        exchange(client.clone(), urls.request(request), limit)
    }))
}

/// Where requests went, as reqwest has it: to read a URL anew costs more than to write the request.
#[derive(Clone, Default)]
struct Urls(Arc<Mutex<HashMap<Uri, Url>>>);

/// How many are remembered; a service has fewer. When there are more, all are forgotten.
const URLS: usize = 256;

impl Urls {
    fn request(&self, request: Request<Bytes>) -> Result<reqwest::Request, BoxError> {
        let (parts, body) = request.into_parts();
        let mut request = reqwest::Request::new(parts.method, self.url(parts.uri)?);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    fn url(&self, uri: Uri) -> Result<Url, BoxError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(url) = known.get(&uri) {
            return Ok(url.clone());
        }
        let url = Url::parse(&uri.to_string())?;
        if known.len() >= URLS {
            known.clear();
        }
        known.insert(uri, url.clone());
        Ok(url)
    }
}

async fn exchange(
    client: reqwest::Client,
    request: Result<reqwest::Request, BoxError>,
    limit: usize,
) -> Result<Response<Bytes>, BoxError> {
    let request = request.map_err(NotSent)?;
    let mut answer = client.execute(request).await.map_err(failure)?;
    let (status, version) = (answer.status(), answer.version());
    let headers = std::mem::take(answer.headers_mut());
    let body = read(answer, limit).await?;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    Ok(response)
}

/// What a request that failed means: a [`NotSent`] where it is certain that it was not carried out, with a [`TlsError`] inside
/// where that was TLS's doing.
pub fn failure(error: reqwest::Error) -> BoxError {
    let connecting = error.is_connect() || error.is_builder();
    // the address has its place in the log line of the call, and may hold a secret
    let error = error.without_url();
    match Trouble::of(&error) {
        Some(trouble) if connecting || trouble.comes_late() => {
            NotSent(TlsError { trouble, source: error.into() }.into()).into()
        }
        _ if connecting => NotSent(error.into()).into(),
        _ => error.into(),
    }
}

/// Reads the body of an answer, at most `limit` bytes.
///
/// # Errors
/// A connection that breaks, and [`TooLong`].
pub async fn read(answer: reqwest::Response, limit: usize) -> Result<Bytes, BoxError> {
    // most answers come in one piece, which needs no copy
    let (mut first, mut body) = (Bytes::new(), BytesMut::new());
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(reqwest::Error::without_url)?;
        if first.len() + body.len() + chunk.len() > limit {
            return Err(TooLong(limit).into());
        }
        if first.is_empty() && body.is_empty() {
            first = chunk;
            continue;
        }
        body.extend_from_slice(&std::mem::take(&mut first));
        body.extend_from_slice(&chunk);
    }
    Ok(if first.is_empty() { body.freeze() } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_once_and_only_so_many_are_kept() {
        let urls = Urls::default();
        for index in (0..=URLS).chain([0, 0]) {
            let uri = format!("http://pb.test/soap/{index}?a=b");
            assert_eq!(urls.url(uri.parse().expect("a URI")).expect("a URL").as_str(), uri);
        }
        assert_eq!(urls.0.lock().expect("nobody has it").len(), 2);
        assert!(urls.request(Request::new(Bytes::new())).is_err(), "without a host");
    }
}
