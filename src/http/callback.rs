//! Where external systems call back that they have finished: `POST /callback/{token}`.
//!
//! | Answer | Meaning |
//! |---|---|
//! | 200 | it is kept |
//! | 400 | the body doesn't say whether it worked; nothing has changed, call back again |
//! | 404 | no such address: the token isn't one of ours, or what it was for is forgotten |
//! | 405 | only POST |
//! | 410 | too late, or for the second time; nothing has changed |
//! | 413 | the body is too long |
//! | 503 | it couldn't be kept now; call back again |
//!
//! The token is looked at before the body is read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::callback::{Said, Token};
use crate::dispatch::{Callbacks, Settled, Settler};
use crate::store::Control;

/// The path before the token.
pub const PATH: &str = "/callback/";
/// How long to wait before it is looked again whether the attempt has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What it needs to answer a request.
pub struct CallbackIntake {
    /// Knows the tokens.
    pub callbacks: Arc<Callbacks>,
    /// Ends the waits.
    pub settler: Settler,
    /// Where deliveries are looked up.
    pub store: Arc<dyn Control>,
    /// The longest body, in bytes.
    pub body_limit: usize,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// How long to wait for the attempt that a callback belongs to.
    pub patience: Duration,
}

type Answer = (StatusCode, &'static str);

impl CallbackIntake {
    /// Answers a request whose path begins with [`PATH`].
    pub async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let token = self.token(request.uri().path());
        let (status, said) = match self.settle(request, token).await {
            Ok(answer) | Err(answer) => answer,
        };
        // never the token itself: whoever reads it could call back
        let (delivery, claim) = token.map(|token| (token.delivery.to_string(), token.claim)).unzip();
        tracing::info!(%status, said, delivery, claim, "a callback");
        let mut response = Response::new(Full::new(Bytes::from(format!("{{\"message\":\"{said}\"}}"))));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }

    fn token(&self, path: &str) -> Option<Token> {
        path.strip_prefix(PATH).and_then(|token| self.callbacks.tokens.read(token))
    }

    async fn settle(&self, request: Request<Incoming>, token: Option<Token>) -> Result<Answer, Answer> {
        let token = token.ok_or((StatusCode::NOT_FOUND, "no such callback address"))?;
        if request.method() != Method::POST {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "only POST is answered here"));
        }
        let body = self.body(request.into_body()).await?;
        let said: Said = serde_json::from_slice(&body)
            .map_err(|_| (StatusCode::BAD_REQUEST, "the body is not JSON like {'success': true}"))?;
        let unclear = "the body does not say whether it worked: give it a member success, true or false";
        let outcome = said.outcome().ok_or((StatusCode::BAD_REQUEST, unclear))?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let until = Instant::now() + self.patience;
        loop {
            let settled = self.call_back(token, outcome.clone(), body.clone()).await?;
            match settled {
                Settled::Done(_) => return Ok((StatusCode::OK, "kept")),
                Settled::Over => return Err((StatusCode::GONE, "too late, or for the second time")),
                Settled::Unknown => return Err((StatusCode::NOT_FOUND, "no such callback address")),
                Settled::TooEarly if Instant::now() < until => tokio::time::sleep(LOOK_AGAIN).await,
                Settled::TooEarly => {
                    return Err((StatusCode::SERVICE_UNAVAILABLE, "the request has not been answered yet"));
                }
            }
        }
    }

    async fn call_back(
        &self,
        token: Token,
        outcome: crate::delivery::Outcome,
        body: String,
    ) -> Result<Settled, Answer> {
        self.settler.call_back(&*self.store, token, outcome, Some(body)).await.map_err(|error| {
            tracing::error!(%error, "a callback can't be kept");
            (StatusCode::SERVICE_UNAVAILABLE, "it can't be kept now")
        })
    }

    async fn body(&self, body: Incoming) -> Result<Bytes, Answer> {
        let collected =
            tokio::time::timeout(self.body_timeout, Limited::new(body, self.body_limit).collect());
        match collected.await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"))
            }
            Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body broke off")),
            Err(_) => Err((StatusCode::SERVICE_UNAVAILABLE, "the body did not come in time")),
        }
    }
}
