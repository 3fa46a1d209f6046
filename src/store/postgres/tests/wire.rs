//! A wire to the server that can be cut: before, in the middle of, and after a commit, and anywhere else.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

/// Where it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The commit doesn't reach the server.
    BeforeCommit,
    /// A part of it does.
    InCommit,
    /// It is carried out, and the answer gets lost.
    AfterCommit,
    /// The client hears no more, and the server carries it out when [`Wire::let_on`] says so.
    Late,
    /// In the middle of what is sent after so many packets.
    After(u32),
}

#[derive(Debug, Default)]
pub(super) struct Wire {
    next: Mutex<Option<(Cut, u32)>>,
    /// How often it was cut.
    cuts: AtomicUsize,
    late: Notify,
    /// Sessions of the server that have yet to notice.
    ending: AtomicUsize,
}

fn says(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, Option<(Cut, u32)>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is cut there, so many times.
    pub(super) fn arm(&self, cut: Cut, times: u32) {
        *self.lock() = Some((cut, times)).filter(|_| times > 0);
    }

    pub(super) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }

    /// What is late reaches the server.
    pub(super) fn let_on(&self) {
        self.late.notify_one();
    }

    /// It isn't cut any more; waits until the server has noticed all cuts.
    pub(super) async fn disarm(&self) {
        *self.lock() = None;
        while self.ending.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Between the store and the server, on a socket in this folder.
    pub(super) fn serve(self: Arc<Self>, folder: &Path, server: PathBuf) {
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("a socket");
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // a server that is down doesn't answer
                if let Ok(server) = UnixStream::connect(&server).await {
                    tokio::spawn(Arc::clone(&self).pass(client, server));
                }
            }
        });
    }

    /// Whether it is cut at this packet.
    fn is_cut(&self, asked: &[u8]) -> Option<Cut> {
        let mut next = self.lock();
        let (cut, times) = next.as_mut()?;
        match cut {
            Cut::After(0) => {}
            Cut::After(packets) => {
                *packets -= 1;
                return None;
            }
            _ if !says(asked, b"COMMIT\0") => return None,
            _ => {}
        }
        let cut = *cut;
        *times -= 1;
        if *times == 0 {
            *next = None;
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        Some(cut)
    }

    async fn pass(self: Arc<Self>, mut client: UnixStream, mut server: UnixStream) {
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(length @ 1..) = read else { return };
                    let asked = &asked[..length];
                    if let Some(cut) = self.is_cut(asked) {
                        return self.end(cut, asked, client, server).await;
                    }
                    if server.write_all(asked).await.is_err() {
                        return;
                    }
                }
                read = server.read(&mut answered) => {
                    let Ok(length @ 1..) = read else { return };
                    if client.write_all(&answered[..length]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// The client hears no more; the server gets so much of what was asked, and then nothing.
    async fn end(&self, cut: Cut, asked: &[u8], client: UnixStream, mut server: UnixStream) {
        let sent = match cut {
            Cut::BeforeCommit => 0,
            Cut::InCommit | Cut::After(_) => asked.len() / 2,
            Cut::AfterCommit | Cut::Late => asked.len(),
        };
        self.ending.fetch_add(1, Ordering::SeqCst);
        let client = Some(client).filter(|_| cut != Cut::Late);
        if client.is_none() {
            self.late.notified().await;
        }
        let mut answered = Vec::new();
        if server.write_all(&asked[..sent]).await.is_ok() {
            // the answer shows that it is carried out, or that there was nothing to carry out
            while matches!(cut, Cut::AfterCommit | Cut::Late)
                && !says(&answered, b"COMMIT\0")
                && !says(&answered, b"ROLLBACK\0")
            {
                let Ok(1..) = server.read_buf(&mut answered).await else { break };
            }
        }
        drop(client);
        // an error means the same
        let _ = server.shutdown().await;
        let _ = server.read_to_end(&mut answered).await;
        self.ending.fetch_sub(1, Ordering::SeqCst);
    }
}
