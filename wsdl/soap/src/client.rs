//! A call over any transport: one request out, one answer or fault in, and for every failure who is to blame.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt};

use crate::{
    Call, Envelope, Fault, Headers, Limits, Nothing, Operation, ReadError, Structure, TypedFault, Version,
    charset_of, decode, write,
};

/// What carries requests: anything that is a tower service, boxed, so that a stub needs no socket.
///
/// An error of it should be a [`NotSent`] where it is certain that nothing has reached the server; any other error
/// is taken to mean that the request may have been carried out.
pub type Transport = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, BoxError>;

/// A transport's word for "the server has not seen it": trying again is safe.
#[derive(Debug)]
pub struct NotSent(pub BoxError);

impl fmt::Display for NotSent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the request was not sent")
    }
}

impl std::error::Error for NotSent {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// Calls operations of a service.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    limits: Limits,
    version: Option<Version>,
}

/// Why a call has no answer; `D` is what the detail of a fault may hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<D = Nothing> {
    /// The request can't be written; the caller's fault, nothing was sent.
    #[error("the request can't be written")]
    Encode(#[source] write::WriteError),
    /// The server can't be reached; nothing was carried out, trying again is safe.
    #[error("the server can't be reached")]
    NotSent(#[source] BoxError),
    /// It was sent, and the answer didn't come; it may have been carried out.
    #[error("no answer; the request may have been carried out")]
    MaybeSent(#[source] BoxError),
    /// An answer came that is none: a proxy's page, something cut off; it may have been carried out.
    #[error("an answer with HTTP status {status} that can't be read")]
    Unreadable {
        /// The HTTP status.
        status: StatusCode,
        /// What is wrong with it.
        #[source]
        error: ReadError,
        /// The beginning of the answer, for the operator; at most [`RAW_LIMIT`] bytes.
        raw: Box<str>,
        /// How long the server, or a proxy before it, asks to be left alone: see [`retry_after`].
        retry_after: Option<Duration>,
    },
    /// The server has answered with a fault.
    #[error("fault {0}")]
    Fault(TypedFault<D>),
}

/// An answer with the header blocks that came with it.
#[derive(Debug)]
pub struct Reply<T> {
    /// The answer.
    pub answer: T,
    /// Those of the declared header blocks that it has.
    pub headers: Headers,
}

/// How long a server asks to be left alone, in seconds or until a date: what `Retry-After` says beside 429 and 503
/// (RFC 9110 §10.2.3, RFC 6585 §4). Not bounded: whoever heeds it should.
///
/// ```
/// use std::time::Duration;
///
/// use http::{HeaderMap, StatusCode};
/// use soapstone_soap::retry_after;
///
/// let now = "2026-01-02T03:04:05Z".parse().expect("a time");
/// let mut headers = HeaderMap::new();
/// headers.insert("retry-after", "Fri, 02 Jan 2026 03:05:00 GMT".parse().expect("a value"));
/// let asked = |status| retry_after(status, &headers, now);
/// assert_eq!(asked(StatusCode::SERVICE_UNAVAILABLE), Some(Duration::from_secs(55)));
/// assert_eq!(asked(StatusCode::INTERNAL_SERVER_ERROR), None);
/// ```
pub fn retry_after(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = PARSER.parse_timestamp(text).ok()?;
            Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
        }
    }
}

/// How much of an unreadable answer an error keeps, in bytes.
pub const RAW_LIMIT: usize = 2048;

impl<D> CallError<D> {
    /// Whether the request may have been carried out; when not, trying again is safe for any operation.
    pub fn may_have_been_carried_out(&self) -> bool {
        matches!(self, CallError::MaybeSent(_) | CallError::Unreadable { .. })
    }

    /// The fault, where it is one.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            CallError::Fault(typed) => Some(&typed.fault),
            _ => None,
        }
    }

    /// The detail of the fault, where it is a fault with one that the definition declares.
    pub fn detail(&self) -> Option<&D> {
        match self {
            CallError::Fault(typed) => typed.detail.as_deref(),
            _ => None,
        }
    }
}

/// The bytes of one exchange, for people.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The request envelope.
    pub request: String,
    /// The answer, as text as far as it is text.
    pub response: String,
    /// The HTTP status.
    pub status: StatusCode,
}

impl Client {
    /// A client over a transport.
    pub fn new(transport: Transport, limits: Limits) -> Self {
        Self { transport, limits, version: None }
    }

    /// The same speaking `version` where an operation's bindings have it; otherwise, and for the other operations, it is
    /// the first that they have ([`Operation::versions`]).
    pub fn speaking(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    fn version(&self, operation: &Operation) -> Version {
        let wanted = self.version.filter(|version| operation.versions.contains(version));
        wanted.unwrap_or_else(|| operation.version())
    }

    /// Calls `operation` at `url` and reads its answer into `response`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(
        &self,
        operation: &Operation,
        url: &str,
        header: Option<&dyn Structure>,
        request: &dyn Structure,
        response: &mut dyn Structure,
    ) -> Result<(), CallError> {
        let written = write::request_in(self.version(operation), operation, header.as_slice(), request);
        let text = written.map_err(CallError::Encode)?;
        let answer = self.send(operation, url, text).await?;
        self.read(operation, &answer, response)
    }

    /// The same, keeping what went over the wire.
    ///
    /// # Errors
    /// See [`CallError`]; the exchange is there as soon as there was an answer.
    pub async fn call_raw(
        &self,
        operation: &Operation,
        url: &str,
        header: Option<&dyn Structure>,
        request: &dyn Structure,
        response: &mut dyn Structure,
    ) -> (Option<Exchange>, Result<(), CallError>) {
        let written = write::request_in(self.version(operation), operation, header.as_slice(), request);
        let text = match written {
            Ok(text) => text,
            Err(error) => return (None, Err(CallError::Encode(error))),
        };
        match self.send(operation, url, text.clone()).await {
            Ok(answer) => {
                let exchange = Exchange {
                    request: text,
                    response: String::from_utf8_lossy(answer.body()).into_owned(),
                    status: answer.status(),
                };
                let result = self.read(operation, &answer, response);
                (Some(exchange), result)
            }
            Err(error) => (None, Err(error)),
        }
    }

    /// Calls the operation that `C` is, with as many header blocks as it takes.
    ///
    /// # Errors
    /// See [`CallError`]; a fault has the detail that the operation declares.
    pub async fn call_typed<C: Call>(
        &self,
        url: &str,
        headers: &[&dyn Structure],
        request: &C::Request,
    ) -> Result<Reply<C::Response>, CallError<C::Fault>> {
        let operation = C::operation();
        // nothing that isn't `Send` may be held across the wait
        let written = write::request_in(self.version(operation), operation, headers, request);
        let text = written.map_err(CallError::Encode)?;
        let answer = self.send(operation, url, text).await?;
        let mut response = C::Response::default();
        match self.open(operation, &answer, &mut response)? {
            Ok(headers) => Ok(Reply { answer: response, headers }),
            Err((fault, headers)) => {
                // a detail that can't be read as what is declared is there as it came
                let detail = fault.typed::<C>().ok().flatten().map(Box::new);
                Err(CallError::Fault(TypedFault {
                    fault: Box::new(fault),
                    detail,
                    headers: Box::new(headers),
                }))
            }
        }
    }

    async fn send<D>(
        &self,
        operation: &Operation,
        url: &str,
        text: String,
    ) -> Result<Response<Bytes>, CallError<D>> {
        let request = match self.version(operation) {
            Version::Soap11 => Request::post(url)
                .header(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"))
                .header("SOAPAction", format!("\"{}\"", operation.action)),
            // SOAP 1.2 part 2 §6.5.3: the action is a parameter of the content type
            Version::Soap12 => Request::post(url).header(
                CONTENT_TYPE,
                format!("application/soap+xml; charset=utf-8; action=\"{}\"", operation.action),
            ),
        };
        let request = request.body(Bytes::from(text)).map_err(|error| CallError::NotSent(error.into()))?;
        self.transport.clone().oneshot(request).await.map_err(|error| match error.downcast::<NotSent>() {
            Ok(not_sent) => CallError::NotSent(not_sent.0),
            Err(error) => CallError::MaybeSent(error),
        })
    }

    fn read(
        &self,
        operation: &Operation,
        answer: &Response<Bytes>,
        response: &mut dyn Structure,
    ) -> Result<(), CallError> {
        match self.open(operation, answer, response)? {
            Ok(_) => Ok(()),
            Err((fault, headers)) => {
                Err(CallError::Fault(TypedFault { headers: Box::new(headers), ..fault.into() }))
            }
        }
    }

    /// Reads an answer or a fault, and the header blocks of either.
    ///
    /// Faults come with any status, and so do answers: the envelope decides, not the status.
    fn open<D>(
        &self,
        operation: &Operation,
        answer: &Response<Bytes>,
        response: &mut dyn Structure,
    ) -> Result<Result<Headers, (Fault, Headers)>, CallError<D>> {
        if operation.one_way && answer.status().is_success() && answer.body().is_empty() {
            return Ok(Ok(Headers::default()));
        }
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let read = decode(answer.body(), content_type.and_then(charset_of), &self.limits).and_then(|text| {
            let envelope = Envelope::open(&text, &self.limits)?;
            let fault = envelope.is_fault();
            let declared = if fault { operation.fault_headers } else { operation.output_headers };
            let headers = Headers::read(declared, &envelope)?;
            Ok(match envelope.answer(operation, response)? {
                Ok(()) => Ok(headers),
                Err(fault) => Err((fault, headers)),
            })
        });
        read.map_err(|error| {
            let kept = &answer.body()[..answer.body().len().min(RAW_LIMIT)];
            let raw = String::from_utf8_lossy(kept).into();
            let (status, now) = (answer.status(), Timestamp::now());
            let retry_after = retry_after(status, answer.headers(), now);
            CallError::Unreadable { status, error, raw, retry_after }
        })
    }
}
