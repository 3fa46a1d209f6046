//! Where ESPF posts its events: authenticate, read, keep, and only then answer 200.
//!
//! What each answer means to ESPF decides everything here: 200 removes the event from its queue, any 4xx removes it too and
//! so loses it for good, anything else makes it send again. So whatever could be our own fault, or could pass, is a 503;
//! never 408, never 429.

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use http::header::{ALLOW, DATE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::auth::{Authenticator, Verdict};
use crate::config::{IntakeSettings, Listen};
use crate::event::Event;
use crate::handler::Handler;
use crate::store::{Accepted, Sample, Store, StoreError};
use crate::telemetry::{Stage, Telemetry};

/// How many times the longest body is read and thrown away, so that a client that is still sending gets its answer.
const DISCARD: usize = 16;

/// The intake: what it needs to answer a request.
pub struct Intake {
    sources: HashMap<String, Source>,
    handlers: Vec<Handler>,
    store: Arc<dyn Store>,
    telemetry: Arc<Telemetry>,
    accepted: Arc<Notify>,
    shutdown: CancellationToken,
    limits: Limits,
}

struct Source {
    name: String,
    authenticator: Authenticator,
    unauthorized: StatusCode,
}

#[derive(Debug, Clone)]
struct Limits {
    body: usize,
    body_timeout: Duration,
    answer_timeout: Duration,
    retry_after: HeaderValue,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The event is committed, and somebody handles it.
    Kept,
    /// The event is committed, and nobody handles it.
    Unhandled,
    /// The event was committed before.
    Duplicate,
    /// The body isn't an event; a sample of it is committed.
    NotAnEvent,
    /// The body is too long; the beginning of it is committed.
    TooLong,
    /// Wrong credentials, with the code that the source answers then.
    Unauthorized(StatusCode),
    /// The signature is right, the time isn't.
    ClockOff,
    /// A path of ours, and not a POST.
    WrongMethod,
    /// A POST to a path that isn't ours: it may be meant for us.
    UnknownPath,
    /// Anything else to a path that isn't ours.
    NotFound,
    /// The body didn't come in time.
    SlowBody,
    /// The body broke off; nobody is there to be answered, as a rule.
    BrokenBody,
    /// The store couldn't take it.
    StoreFailed,
    /// It took too long to answer.
    TooSlow,
    /// The gateway is being stopped.
    ShuttingDown,
    /// A mistake of ours.
    Panicked,
}

impl Answer {
    fn status(self) -> StatusCode {
        match self {
            Self::Kept | Self::Unhandled | Self::Duplicate => StatusCode::OK,
            Self::NotAnEvent => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthorized(status) => status,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::ClockOff
            | Self::UnknownPath
            | Self::SlowBody
            | Self::BrokenBody
            | Self::StoreFailed
            | Self::TooSlow
            | Self::ShuttingDown
            | Self::Panicked => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word for it in metrics and logs.
    fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Unhandled => "unhandled",
            Self::Duplicate => "duplicate",
            Self::NotAnEvent => "not_an_event",
            Self::TooLong => "too_long",
            Self::Unauthorized(_) => "unauthorized",
            Self::ClockOff => "clock_off",
            Self::WrongMethod => "wrong_method",
            Self::UnknownPath => "unknown_path",
            Self::NotFound => "not_found",
            Self::SlowBody => "slow_body",
            Self::BrokenBody => "broken_body",
            Self::StoreFailed => "store_failed",
            Self::TooSlow => "too_slow",
            Self::ShuttingDown => "shutting_down",
            Self::Panicked => "panicked",
        }
    }
}

/// What is known of a request when it is counted.
#[derive(Default)]
struct Known {
    source: String,
    event_type: Option<String>,
}

impl Intake {
    /// An intake for the sources of a configuration. `accepted` is notified of each new event, `shutdown` says when no more
    /// are taken.
    pub fn new(
        listen: &Listen,
        intakes: &[IntakeSettings],
        handlers: Vec<Handler>,
        store: Arc<dyn Store>,
        telemetry: Arc<Telemetry>,
        accepted: Arc<Notify>,
        shutdown: CancellationToken,
    ) -> Self {
        let source = |intake: &IntakeSettings| Source {
            name: intake.name.clone(),
            authenticator: Authenticator::new(&intake.auth),
            unauthorized: match intake.unauthorized {
                401 => StatusCode::UNAUTHORIZED,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            },
        };
        let limits = Limits {
            body: usize::try_from(listen.body_limit).unwrap_or(usize::MAX),
            body_timeout: listen.body_timeout,
            answer_timeout: listen.answer_timeout,
            retry_after: HeaderValue::from(listen.retry_after.as_secs()),
        };
        let sources = intakes.iter().map(|intake| (intake.path.clone(), source(intake))).collect();
        Self { sources, handlers, store, telemetry, accepted, shutdown, limits }
    }

    /// Answers one request. It is never an error: what goes wrong is an answer, too.
    pub async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let began = Instant::now();
        let mut known = Known::default();
        let decided = AssertUnwindSafe(self.decide(request, &mut known)).catch_unwind();
        let answer = match tokio::time::timeout(self.limits.answer_timeout, decided).await {
            Ok(Ok(Ok(answer) | Err(answer))) => answer,
            Ok(Err(_)) => Answer::Panicked,
            Err(_) => Answer::TooSlow,
        };
        self.account(answer, &known, began.elapsed());
        Ok(self.response(answer))
    }

    /// The way of a request, from top to bottom; whatever ends it early is the answer, too.
    async fn decide(&self, request: Request<Incoming>, known: &mut Known) -> Result<Answer, Answer> {
        let source = self.route(request.method(), request.uri().path())?;
        known.source.clone_from(&source.name);
        self.refuse_while_shutting_down()?;
        let now = Timestamp::now();
        authenticate(source, &request, now)?;
        let date = request.headers().get(DATE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = self.read_body(source, request.into_body(), now).await?;
        let event = self.read_event(source, &body, date.as_deref(), now).await?;
        known.event_type = Some(event.event_type.clone());
        self.keep(event).await
    }

    /// A POST to a path that isn't ours may well be an event, sent wrongly by a slip in our configuration or in ESPF's: it
    /// mustn't be dropped.
    fn route(&self, method: &Method, path: &str) -> Result<&Source, Answer> {
        let trimmed = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        match self.sources.get(trimmed) {
            Some(source) if method == Method::POST => Ok(source),
            Some(_) => Err(Answer::WrongMethod),
            None if method == Method::POST => {
                tracing::error!(
                    path = %path.escape_debug(),
                    "somebody posts to a path that no [[intake]] has; if it is ESPF, add one, or correct its URL"
                );
                Err(Answer::UnknownPath)
            }
            None => Err(Answer::NotFound),
        }
    }

    fn refuse_while_shutting_down(&self) -> Result<(), Answer> {
        if self.shutdown.is_cancelled() { Err(Answer::ShuttingDown) } else { Ok(()) }
    }

    /// The whole body. One that is too long is lost for good, so its beginning is kept, and an operator called.
    async fn read_body(&self, source: &Source, body: Incoming, now: Timestamp) -> Result<Vec<u8>, Answer> {
        let read = read_limited(body, self.limits.body);
        match tokio::time::timeout(self.limits.body_timeout, read).await {
            Ok(Ok(Limited { bytes, excess: 0 })) => Ok(bytes),
            Ok(Ok(Limited { bytes, excess })) => {
                let length = bytes.len() + excess;
                tracing::error!(
                    source = source.name,
                    length,
                    limit = self.limits.body,
                    "an event is too long: ESPF drops it for good; raise `body_limit` in [listen]"
                );
                let reason = format!("longer than {} bytes", self.limits.body);
                self.keep_sample(source, &bytes, reason, now).await?;
                Err(Answer::TooLong)
            }
            Ok(Err(error)) => {
                tracing::warn!(source = source.name, %error, "the body of a request broke off");
                Err(Answer::BrokenBody)
            }
            Err(_) => {
                tracing::warn!(source = source.name, "the body of a request didn't come in time");
                Err(Answer::SlowBody)
            }
        }
    }

    /// Sending it again won't make an event of it, so 400 is right; but only once a sample is kept, since it might be our
    /// reading that is wrong.
    async fn read_event(
        &self,
        source: &Source,
        body: &[u8],
        date: Option<&str>,
        now: Timestamp,
    ) -> Result<Event, Answer> {
        match Event::read(&source.name, body, date, now) {
            Ok(event) => Ok(event),
            Err(unreadable) => {
                tracing::error!(
                    source = source.name,
                    reason = unreadable.reason,
                    "what was posted isn't an event: ESPF drops it for good; a sample is kept"
                );
                self.keep_sample(source, body, unreadable.reason, now).await?;
                Err(Answer::NotAnEvent)
            }
        }
    }

    async fn keep_sample(
        &self,
        source: &Source,
        body: &[u8],
        reason: String,
        received_at: Timestamp,
    ) -> Result<(), Answer> {
        let sample = Sample { source: source.name.clone(), received_at, reason, body: body.to_vec() };
        self.store.keep_sample(sample).await.map_err(|error| self.store_failed(&error))
    }

    /// The commit. After it, and not before, ESPF may forget the event.
    async fn keep(&self, event: Event) -> Result<Answer, Answer> {
        let wants = |handler: &&Handler| handler.wants(&event.event_type);
        let subscription = |handler: &Handler| handler.subscription(&event);
        let subscriptions: Vec<_> = self.handlers.iter().filter(wants).map(subscription).collect();
        let handled = !subscriptions.is_empty();
        match self.store.accept(event, subscriptions).await {
            Ok(Accepted::Duplicate(_)) => Ok(Answer::Duplicate),
            Ok(Accepted::New(_)) if handled => {
                self.accepted.notify_one();
                Ok(Answer::Kept)
            }
            Ok(Accepted::New(_)) => Ok(Answer::Unhandled),
            Err(error) => Err(self.store_failed(&error)),
        }
    }

    fn store_failed(&self, error: &StoreError) -> Answer {
        self.telemetry.store_error();
        tracing::error!(%error, "the store took nothing; ESPF is told to send again");
        Answer::StoreFailed
    }

    fn account(&self, answer: Answer, known: &Known, took: Duration) {
        if answer == Answer::Panicked || answer == Answer::TooSlow {
            tracing::error!(
                source = known.source,
                answer = answer.word(),
                "a request wasn't answered as it should"
            );
        }
        tracing::debug!(
            source = known.source,
            event_type = known.event_type,
            answer = answer.word(),
            ?took,
            "answered"
        );
        self.telemetry.event(&known.source, known.event_type.as_deref(), answer.word());
        self.telemetry.stage(Stage::Accept, took);
    }

    fn response(&self, answer: Answer) -> Response<Empty<Bytes>> {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = answer.status();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, self.limits.retry_after.clone());
        }
        if answer == Answer::WrongMethod {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Before the body is read: who isn't known costs us nothing but headers.
fn authenticate<B>(source: &Source, request: &Request<B>, now: Timestamp) -> Result<(), Answer> {
    match source.authenticator.judge(request.headers(), now) {
        Verdict::Allowed => Ok(()),
        Verdict::Denied(reason) => {
            tracing::warn!(
                source = source.name,
                reason,
                "a request was turned away; compare the credentials with ESPF's"
            );
            Err(Answer::Unauthorized(source.unauthorized))
        }
        Verdict::ClockOff => {
            tracing::error!(
                source = source.name,
                "a signed request is of another time; set this machine's clock, or ESPF's"
            );
            Err(Answer::ClockOff)
        }
    }
}

struct Limited {
    bytes: Vec<u8>,
    /// How many bytes more there were, as far as it was read.
    excess: usize,
}

/// Reads up to `limit` bytes, and throws away some more: a client that finds the connection closed while it is still sending
/// doesn't see the answer.
async fn read_limited(mut body: Incoming, limit: usize) -> Result<Limited, hyper::Error> {
    let hint = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut read = Limited { bytes: Vec::with_capacity(hint.min(limit)), excess: 0 };
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = data.len().min(limit - read.bytes.len());
        read.bytes.extend_from_slice(&data[..room]);
        read.excess += data.len() - room;
        if read.excess > limit.saturating_mul(DISCARD) {
            break;
        }
    }
    Ok(read)
}
