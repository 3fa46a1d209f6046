//! One login for all callers: whoever needs a session while it is being made waits for the same one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::OnceCell;

use super::error::Cause;

/// What a login has given.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) session_id: SecretString,
    pub(crate) access_token: SecretString,
    /// When it ends by itself (`expires_at`), where the login said so.
    pub(crate) expires_at: Option<jiff::Timestamp>,
}

/// The current login: under way, done or refused.
pub(crate) struct Sessions {
    current: Mutex<Arc<Login>>,
    /// How long a refused login is not repeated.
    pause: Duration,
}

/// One login, made once however many wait for it.
#[derive(Default)]
pub(crate) struct Login {
    result: OnceCell<Result<Session, Refusal>>,
}

#[derive(Debug, Clone)]
struct Refusal {
    cause: Arc<Cause>,
    at: Instant,
}

impl Sessions {
    pub(crate) fn new(pause: Duration) -> Self {
        Self { current: Mutex::default(), pause }
    }

    /// The session in use, made by `log_in` where there is none; with it the login that it came from, for
    /// [`Sessions::discard`].
    pub(crate) async fn session<F>(
        &self,
        now: jiff::Timestamp,
        log_in: impl FnOnce() -> F,
    ) -> Result<(Session, Arc<Login>), Cause>
    where
        F: Future<Output = Result<Session, Cause>>,
    {
        let login = self.usable(now)?;
        let result = login
            .result
            .get_or_init(|| async {
                log_in().await.map_err(|cause| Refusal { cause: Arc::new(cause), at: Instant::now() })
            })
            .await;
        match result {
            Ok(session) => Ok((session.clone(), Arc::clone(&login))),
            Err(refusal) => Err(Cause::Login(Arc::clone(&refusal.cause))),
        }
    }

    /// The current login, or a fresh one where that has ended. A refused one stays for its pause.
    fn usable(&self, now: jiff::Timestamp) -> Result<Arc<Login>, Cause> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = match current.result.get() {
            None => false,
            Some(Ok(session)) => session.expires_at.is_some_and(|end| end <= now),
            Some(Err(refusal)) => match self.left(refusal) {
                Some(left) => return Err(Cause::LoginPause(left)),
                None => true,
            },
        };
        if ended {
            *current = Arc::default();
        }
        Ok(Arc::clone(&current))
    }

    /// A login that wasn't answered may be tried again at once; one that was refused, not.
    fn left(&self, refusal: &Refusal) -> Option<Duration> {
        let pause =
            if refusal.cause.refuses_login() { self.pause } else { self.pause.min(Duration::from_secs(1)) };
        pause.checked_sub(refusal.at.elapsed()).filter(|left| !left.is_zero())
    }

    /// Drops a session that turned out to be no longer good, unless somebody else has already.
    pub(crate) fn discard(&self, login: &Arc<Login>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, login) {
            *current = Arc::default();
        }
    }
}
