//! One login or renewal for all callers: whoever needs a session while it is being made waits for the same one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;

use super::Settings;
use super::error::Cause;
use crate::fault::Class;

/// What a login or a renewal has given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    pub(crate) session_id: SecretString,
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: SecretString,
    /// `name=value; …`, as the login has set them.
    pub(crate) cookies: SecretString,
    /// When it is to be renewed, and when it ends: by our own clock from when we asked for it, so that it doesn't matter if
    /// PortaBilling's differs.
    pub(crate) life: Option<Life>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) renew: Instant,
    pub(crate) end: Instant,
}

impl Life {
    /// Renewed when four fifths are over, whatever the length: a fixed time before the end would be a loop where tokens
    /// live shorter than that.
    pub(crate) fn new(from: Instant, lifetime: Duration) -> Option<Self> {
        Some(Self { renew: from.checked_add(lifetime.mul_f32(0.8))?, end: from.checked_add(lifetime)? })
    }
}

impl Session {
    pub(crate) fn has_ended(&self, now: Instant) -> bool {
        self.life.is_some_and(|life| life.end <= now)
    }

    fn is_to_be_renewed(&self, now: Instant) -> bool {
        !self.refresh_token.expose_secret().is_empty() && self.life.is_some_and(|life| life.renew <= now)
    }
}

/// The sessions of one site: the one in use, or the login that is under way or was refused.
pub(crate) struct Sessions {
    current: Mutex<Arc<Login>>,
    /// What became of login and secret that a call bears itself, if they were refused.
    inline: Mutex<Option<Refusal>>,
    /// How long a login isn't repeated after a refusal, and after one that has to do with a lock-out.
    pause: Duration,
    lockout_pause: Duration,
}

/// One login or renewal, made once however many wait for it.
#[derive(Default)]
pub(crate) struct Login {
    /// The session that is to be renewed.
    before: Option<Session>,
    result: OnceCell<Result<Arc<Session>, Refusal>>,
}

#[derive(Debug, Clone)]
struct Refusal {
    cause: Arc<Cause>,
    at: Instant,
}

impl Sessions {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (pause, lockout_pause) = (settings.login_pause, settings.lockout_pause);
        Self { current: Mutex::default(), inline: Mutex::default(), pause, lockout_pause }
    }

    /// The session in use, made by `make` where there is none or it is to be renewed (`make` is then given the old one);
    /// with it the login that it came from, for [`Sessions::discard`].
    pub(crate) async fn session<F>(
        &self,
        make: impl FnOnce(Option<Session>) -> F,
    ) -> Result<(Arc<Session>, Arc<Login>), Cause>
    where
        F: Future<Output = Result<Session, Cause>>,
    {
        let login = self.usable(Instant::now())?;
        let made = login.result.get_or_init(|| async {
            let made = make(login.before.clone()).await;
            made.map(Arc::new).map_err(|cause| Refusal { cause: Arc::new(cause), at: Instant::now() })
        });
        match made.await {
            Ok(session) => Ok((Arc::clone(session), Arc::clone(&login))),
            Err(refusal) => Err(Cause::Login(Arc::clone(&refusal.cause))),
        }
    }

    /// The current login, or a fresh one where that has ended. A refused one stays for its pause.
    fn usable(&self, now: Instant) -> Result<Arc<Login>, Cause> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match current.result.get() {
            None => return Ok(Arc::clone(&current)),
            Some(Ok(session)) if session.is_to_be_renewed(now) => Some(Session::clone(session)),
            Some(Ok(session)) if session.has_ended(now) => None,
            Some(Ok(_)) => return Ok(Arc::clone(&current)),
            Some(Err(refusal)) => {
                self.heed(refusal, now)?;
                None
            }
        };
        *current = Arc::new(Login { before, result: OnceCell::new() });
        Ok(Arc::clone(&current))
    }

    /// Whether login and secret may go out with a call: not for a while after they were refused, which counts as a login.
    pub(crate) fn may_go_inline(&self, now: Instant) -> Result<(), Cause> {
        let refused = self.inline.lock().unwrap_or_else(PoisonError::into_inner).clone();
        refused.map_or(Ok(()), |refusal| self.heed(&refusal, now))
    }

    /// A call that bore login and secret has failed.
    pub(crate) fn failed_inline(&self, cause: &Cause) {
        if cause.asks_for_login() || cause.class().is_some_and(Class::refuses_login) {
            let refusal = Refusal { cause: Arc::new(cause.clone()), at: Instant::now() };
            *self.inline.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        }
    }

    fn heed(&self, refusal: &Refusal, now: Instant) -> Result<(), Cause> {
        match self.left(refusal, now) {
            Some(left) => Err(Cause::LoginPause(left, Arc::clone(&refusal.cause))),
            None => Ok(()),
        }
    }

    /// A login that wasn't answered may be tried again at once; one that was refused, not.
    fn left(&self, refusal: &Refusal, now: Instant) -> Option<Duration> {
        let pause = match refusal.cause.class() {
            Some(Class::LockedOut | Class::PasswordExpired) => self.lockout_pause,
            Some(Class::LoginRefused) => self.pause,
            _ if refusal.cause.asks_for_login() => self.pause,
            _ => self.pause.min(Duration::from_secs(1)),
        };
        let left = pause.checked_sub(now.saturating_duration_since(refusal.at));
        left.filter(|left| !left.is_zero())
    }

    /// Drops a session that turned out to be no longer good, unless somebody else has already.
    pub(crate) fn discard(&self, login: &Arc<Login>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, login) {
            *current = Arc::default();
        }
    }

    /// Takes the session out of use, to end it.
    pub(crate) fn take(&self) -> Option<Arc<Session>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let session = current.result.get()?.as_ref().ok()?.clone();
        *current = Arc::default();
        Some(session)
    }
}
