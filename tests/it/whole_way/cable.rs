//! A cable between two parties: it can be cut, and it can hold what comes back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::harness::{free_port, soon};

/// A relay of bytes on a port of its own.
pub(crate) struct Cable {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct State {
    cut: watch::Sender<bool>,
    holding: watch::Sender<bool>,
    held: watch::Sender<usize>,
    refused: watch::Sender<usize>,
    far: watch::Sender<Option<SocketAddr>>,
}

impl Cable {
    /// A cable to `far`, whole.
    pub(crate) async fn to(far: SocketAddr) -> Self {
        let state = Arc::new(State::default());
        state.far.send_replace(Some(far));
        let (listener, address) = free_port().await;
        let accepting = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((near, _)) = listener.accept().await {
                    near.set_zero_linger().unwrap();
                    if *state.cut.borrow() {
                        // dropped, and so reset
                        state.refused.send_modify(|count| *count += 1);
                        continue;
                    }
                    tokio::spawn(relay(near, Arc::clone(&state)));
                }
            }
        });
        Self { address, state, accepting: accepting.abort_handle() }
    }

    /// Connections that come from now on end there.
    pub(crate) fn lead_to(&self, far: SocketAddr) {
        self.state.far.send_replace(Some(far));
    }

    /// Resets every connection, and each that comes.
    pub(crate) fn cut(&self) {
        self.state.cut.send_replace(true);
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.state.cut.send_replace(false);
    }

    /// Keeps what the far side says until [`Cable::release`].
    pub(crate) fn hold(&self) {
        self.state.holding.send_replace(true);
    }

    /// Gives out what was kept.
    pub(crate) fn release(&self) {
        self.state.holding.send_replace(false);
    }

    /// Waits until so many pieces of what the far side said are being kept.
    pub(crate) async fn held(&self, count: usize) {
        let mut held = self.state.held.subscribe();
        soon(held.wait_for(|held| *held >= count)).await.unwrap();
    }

    /// Waits until so many connections have found it cut.
    pub(crate) async fn refused(&self, count: usize) {
        let mut refused = self.state.refused.subscribe();
        soon(refused.wait_for(|refused| *refused >= count)).await.unwrap();
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(near: TcpStream, state: Arc<State>) {
    let Some(far) = *state.far.borrow() else { return };
    let Ok(far) = TcpStream::connect(far).await else { return };
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let mut cut = state.cut.subscribe();
    tokio::select! {
        () = there(near_read, far_write) => {}
        () = back(far_read, near_write, &state) => {}
        _ = cut.wait_for(|cut| *cut) => {}
    }
}

async fn there(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // either side may go away at any time
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) {
    let mut holding = state.holding.subscribe();
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if *holding.borrow() {
            state.held.send_modify(|held| *held += 1);
            let _ = holding.wait_for(|holding| !holding).await;
            state.held.send_modify(|held| *held -= 1);
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
