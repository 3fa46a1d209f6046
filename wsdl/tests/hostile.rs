//! Servers and networks that misbehave, over real sockets: each gets the class of error that says what may have happened,
//! in bounded time and memory, and nothing that may have been carried out is sent again.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use portabilling::account::{GetAccountInfo, GetAccountInfoRequest, UpdateAccount, UpdateAccountRequest};
use portabilling::client::{Cause, Client, Credentials, Error, Settings, Transport};
use soapstone_soap::CallError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a server does once it has the request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    /// Never answers.
    HalfOpen,
    /// Breaks off in the middle of the answer.
    Reset,
    /// Sends a byte now and then, for ever.
    Drip,
    /// Sends half the answer and then nothing.
    Stall,
    /// Sends without end.
    Endless,
    /// What a proxy says.
    BadGateway,
    /// Little that becomes much.
    GzipBomb,
}

const LIMIT: usize = 1 << 20;

struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, Arc::clone(&counted)));
            }
        });
        Self { address, requests }
    }

    fn client(&self, transport: Transport) -> Client {
        // no login, so that each request is the one that is tried
        let mut settings = Settings::new(format!("http://{}", self.address), Credentials::session("s"));
        settings.transport = transport;
        settings.call_timeout = Duration::from_millis(600);
        settings.read_timeout = Duration::from_millis(200);
        settings.retry_pause = Duration::ZERO;
        settings.limits.message_bytes = LIMIT;
        Client::new(settings).unwrap()
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, requests: Arc<AtomicUsize>) {
    let (mut request, mut whole) = (Vec::new(), false);
    while !whole {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        whole = is_whole(&request);
    }
    requests.fetch_add(1, Ordering::SeqCst);
    // the client may go away at any time
    drop(answer(&mut stream, manner).await);
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    request.len() - end - 4 >= length.unwrap_or(0)
}

async fn answer(stream: &mut TcpStream, manner: Manner) -> std::io::Result<()> {
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n{rest}\r\n\r\n");
    match manner {
        Manner::HalfOpen => std::future::pending().await,
        Manner::Reset => {
            stream.write_all(format!("{}<soap:Env", head("Content-Length: 1000")).as_bytes()).await?;
            stream.set_zero_linger()
        }
        Manner::Drip => {
            stream.write_all(head("Content-Length: 1000").as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Manner::Stall => {
            stream.write_all(format!("{}<soap:Env", head("Content-Length: 1000")).as_bytes()).await?;
            std::future::pending().await
        }
        Manner::Endless => {
            stream.write_all(head("Connection: close").as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 65_536]).await?;
            }
        }
        Manner::BadGateway => {
            let page = "<html><body>bad gateway</body></html>";
            let head = format!("HTTP/1.1 502 Bad Gateway\r\nContent-Length: {}\r\n\r\n{page}", page.len());
            stream.write_all(head.as_bytes()).await
        }
        Manner::GzipBomb => {
            let packed = bomb();
            let head = head(&format!("Content-Encoding: gzip\r\nContent-Length: {}", packed.len()));
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(packed).await
        }
    }
}

/// 64 times what is allowed, in some hundred kilobytes.
fn bomb() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        for _ in 0..64 {
            packed.write_all(&vec![b' '; LIMIT]).unwrap();
        }
        packed.finish().unwrap()
    })
}

async fn update(client: &Client) -> Error {
    client.call::<UpdateAccount>(&UpdateAccountRequest::default()).await.unwrap_err()
}

async fn get(client: &Client) -> Error {
    client.call::<GetAccountInfo>(&GetAccountInfoRequest::default()).await.unwrap_err()
}

fn is_unreadable(error: &Error) -> bool {
    match &error.cause {
        Cause::Unreadable { .. } => true,
        Cause::Call(call) => matches!(**call, CallError::Unreadable { .. }),
        _ => false,
    }
}

fn is_maybe_sent(error: &Error) -> bool {
    matches!(&error.cause, Cause::Call(call) if matches!(**call, CallError::MaybeSent(_)))
}

/// The most memory that this process has had so far, in bytes, where the system says it (Linux).
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<usize>().ok().map(|kilobytes| kilobytes << 10)
}

#[tokio::test]
async fn whatever_goes_wrong_after_it_was_sent_it_is_not_sent_again_unless_it_only_reads() {
    bomb();
    let before = peak();
    for transport in [Transport::Soap, Transport::Json] {
        for manner in [
            Manner::HalfOpen,
            Manner::Reset,
            Manner::Drip,
            Manner::Stall,
            Manner::Endless,
            Manner::BadGateway,
            Manner::GzipBomb,
        ] {
            let server = Server::start(manner).await;
            let client = server.client(transport);
            let began = Instant::now();
            let error = update(&client).await;
            assert!(error.may_have_been_carried_out() && error.may_work_later(), "{manner:?}: {error:?}");
            let right =
                if manner == Manner::BadGateway { is_unreadable(&error) } else { is_maybe_sent(&error) };
            assert!(right, "{manner:?}: {error:?}");
            assert_eq!(server.requests.load(Ordering::SeqCst), 1, "{manner:?}");
            assert!(began.elapsed() < Duration::from_secs(20), "{manner:?}: {:?}", began.elapsed());

            get(&client).await;
            let again = if manner == Manner::BadGateway { 1 } else { 2 };
            assert_eq!(server.requests.load(Ordering::SeqCst), 1 + again, "{manner:?}");
        }
    }
    // the bombs hold 64 MiB each, the endless answers anything
    let grown = peak().zip(before).map_or(0, |(after, before)| after - before);
    assert!(grown < 24 * LIMIT, "{grown}");
}

#[tokio::test]
async fn what_could_not_be_sent_is_known_not_to_have_been_carried_out() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server { address: free, requests: Arc::default() };
    let error = update(&server.client(Transport::Soap)).await;
    assert!(!error.may_have_been_carried_out() && error.may_work_later(), "{error:?}");
}
