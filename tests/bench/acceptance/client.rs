//! HTTP/1.1 by hand, so that the client takes as little as possible of the machine that both sides share.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A connection that stays open.
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), answer: Vec::with_capacity(1024) })
    }

    /// Posts an event and waits for its 200, which has no body.
    pub(super) async fn post(&mut self, body: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.request.clear();
        write!(
            self.request,
            "POST /espf HTTP/1.1\r\nHost: gateway\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\n\
             Content-Type: application/json\r\nAuthorization: Basic ZXNwZjpzZWNyZXQ=\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        while !self.answer.ends_with(END_OF_HEAD) {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the connection was closed".into());
            }
        }
        if self.answer.starts_with(b"HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&self.answer).into())
    }
}
