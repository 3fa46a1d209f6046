//! The accept loop: HTTP/1.1 and HTTP/2 (without TLS) under limits, and an end that lets requests finish.
//!
//! Used by the intake, the operator's side and the simulator. A connection over the limit waits in the system's queue: a
//! reset would look like an outage. Nothing is answered 408 or 429 here, since ESPF drops an event for good at a 4xx: a
//! client that is too slow with its headers is cut off, and sends again. Hyper answers a head that isn't HTTP with 400, and
//! one that is too long with 431.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt, service_fn};

use crate::config::Listen;

/// How long to wait after `accept` has failed, for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The most headers that hyper takes by itself.
const HYPER_MAX_HEADERS: usize = 100;
/// The most requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// What clients may do to a listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long the headers of a request may take; also how long an idle connection stays open.
    pub header_timeout: Duration,
    /// The longest request line with headers, in bytes.
    pub head_limit: usize,
    /// The most headers of a request.
    pub max_headers: usize,
    /// The most connections at a time.
    pub max_connections: usize,
    /// How long requests in progress may go on after the end was asked for.
    pub shutdown_grace: Duration,
}

impl From<&Listen> for Limits {
    fn from(listen: &Listen) -> Self {
        Self {
            header_timeout: listen.header_timeout,
            head_limit: size(listen.head_limit),
            max_headers: size(listen.max_headers),
            max_connections: size(listen.max_connections).min(Semaphore::MAX_PERMITS),
            shutdown_grace: listen.shutdown_grace,
        }
    }
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Serves until `shutdown` is cancelled and the last connection is closed, at the latest after the time of grace.
/// `open` counts the connections.
pub async fn serve<S, B>(
    listener: TcpListener,
    limits: Limits,
    service: S,
    open: Gauge,
    shutdown: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let cut_off = CancellationToken::new();
    while let Some((stream, permit)) = accept(&listener, &permits, &shutdown).await {
        let ends = Ends { shutdown: shutdown.clone(), cut_off: cut_off.clone() };
        let (limits, service, open) = (limits.clone(), service.clone(), open.clone());
        connections.spawn(async move {
            let _counted = Counted::new(open);
            connection(stream, &limits, service, ends).await;
            drop(permit);
        });
    }
    // From here on nobody can connect.
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.shutdown_grace, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "the time of grace is over: connections are cut off");
        cut_off.cancel();
        connections.wait().await;
    }
}

/// The next connection, once there is room for it; none when the end was asked for.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let next = async {
        let permit = permits.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted; raise the limit of open files");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        next = next => next,
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One open connection, counted for as long as it lives, however it ends.
struct Counted(Gauge);

impl Counted {
    fn new(open: Gauge) -> Self {
        open.inc();
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The two ways in which a connection is told to end.
struct Ends {
    /// After the request in progress.
    shutdown: CancellationToken,
    /// At once.
    cut_off: CancellationToken,
}

async fn connection<S, B>(stream: TcpStream, limits: &Limits, service: S, ends: Ends)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Answers are small and clients wait for them. A failure means that the client has gone, which shows below.
    let _ = stream.set_nodelay(true);
    let began = Arc::new(AtomicBool::new(false));
    let seen = began.clone();
    let service = service_fn(move |request| {
        seen.store(true, Ordering::Relaxed);
        service.clone().oneshot(request)
    });
    let service = hyper_util::service::TowerToHyperService::new(service);
    let builder = builder(limits);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let first_request = tokio::time::sleep(limits.header_timeout);
    tokio::pin!(first_request);
    let (mut waiting, mut ending) = (true, false);
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(error, "a connection ended early");
                }
                return;
            }
            () = ends.shutdown.cancelled(), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            // Hyper's own time-out starts when it knows which HTTP is spoken; before that, this one holds.
            () = first_request.as_mut(), if waiting => {
                waiting = false;
                if !began.load(Ordering::Relaxed) {
                    return;
                }
            }
            () = ends.cut_off.cancelled() => return,
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.head_limit);
    // Any other number costs an allocation for each request.
    if limits.max_headers != HYPER_MAX_HEADERS {
        builder.http1().max_headers(limits.max_headers);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.header_timeout)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(limits.head_limit).unwrap_or(u32::MAX));
    builder
}
