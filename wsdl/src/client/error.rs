//! Why PortaBilling has no answer for us, and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use soapstone_soap::{CallError, Fault};

use crate::fault::{Class, FaultCode};

/// A call that failed, with its name.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{service}/{method}")]
pub struct Error {
    /// The service (`Account`), or `ESPF`.
    pub service: &'static str,
    /// The method (`get_account_info`), or what was asked of the ESPF API.
    pub method: &'static str,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// We could not log in, so nothing was asked.
    #[error("can't log in")]
    Login(#[source] Arc<Cause>),
    /// The login was refused a moment ago; not asked again before the pause is over, to keep clear of a lock-out.
    #[error("the login was refused; the next try is in {} s", .0.as_secs())]
    LoginPause(Duration, #[source] Arc<Cause>),
    /// All places for calls were taken for the whole waiting time; nothing was sent.
    #[error("{0} calls were under way all the time; nothing was sent")]
    Queue(usize),
    /// The call itself failed.
    #[error(transparent)]
    Call(Arc<CallError>),
    /// An answer came that is neither an answer nor a fault of the JSON API: a proxy's page, something cut off; the request
    /// may have been carried out.
    #[error("an answer with HTTP status {status} that can't be read: {reason}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        reason: String,
        /// Its beginning.
        raw: String,
        /// How long it asks us to wait, with `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The ESPF API, or the API 2.0, answered with another HTTP status than 200.
    #[error("HTTP status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The beginning of its answer.
        message: String,
        /// How long it asks us to wait, with `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// A file could not be written here, or is longer than allowed.
    #[error("the file can't be kept: {0}")]
    File(String),
}

/// Whose fault it is that a call has failed: where to look first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The request's: it can't be written, or PortaBilling doesn't take it.
    Request,
    /// That of who we are: login, secret, session or permission.
    Credentials,
    /// PortaBilling's.
    PortaBilling,
    /// That of what lies between: the network, TLS, a proxy.
    Between,
    /// Our own: too many calls at once, a file that can't be kept.
    Ours,
}

impl Error {
    /// Whose fault it is.
    pub fn whose(&self) -> Whose {
        self.cause.whose()
    }

    /// The fault, where PortaBilling has answered with one.
    pub fn fault(&self) -> Option<&Fault> {
        self.cause.fault()
    }

    /// What kind of fault it is, where it is one; that of the login, if that was refused.
    pub fn class(&self) -> Option<Class> {
        self.cause.class()
    }

    /// Whether PortaBilling may have carried the request out.
    pub fn may_have_been_carried_out(&self) -> bool {
        self.cause.may_have_been_carried_out()
    }

    /// How long PortaBilling, or a proxy before it, wants to be left alone: what `Retry-After` says beside 429 and 503, or
    /// what is left of the pause after a refused login. Not bounded: whoever heeds it should.
    pub fn retry_after(&self) -> Option<Duration> {
        self.cause.retry_after()
    }

    /// Whether the same call may work later: everything but a refusal of the request itself.
    ///
    /// A refused login counts as passing: it is the gateway's configuration or the user's state that has to change,
    /// not the event.
    pub fn may_work_later(&self) -> bool {
        match &self.cause {
            Cause::Login(_) | Cause::LoginPause(..) | Cause::Queue(_) | Cause::Unreadable { .. } => true,
            Cause::Status { status, .. } => matches!(status, 401 | 403 | 408 | 429) || *status >= 500,
            Cause::File(_) => false,
            Cause::Call(error) => match &**error {
                CallError::Encode(_) => false,
                CallError::Fault(typed) => FaultCode::from(&*typed.fault).class().passes(),
                _ => true,
            },
        }
    }
}

impl Error {
    /// Whether PortaBilling as a whole can't serve now (unreachable, failing, busy, not letting us in), whatever is asked.
    pub fn is_outage(&self) -> bool {
        match &self.cause {
            Cause::Login(_) | Cause::LoginPause(..) | Cause::Queue(_) => true,
            Cause::Unreadable { status, .. } | Cause::Status { status, .. } => is_outage(*status),
            Cause::File(_) => false,
            Cause::Call(error) => match &**error {
                CallError::NotSent(_) | CallError::MaybeSent(_) => true,
                // a proxy's page
                CallError::Unreadable { status, .. } => is_outage(status.as_u16()),
                _ => matches!(self.class(), Some(Class::SiteBusy | Class::SessionEnded)),
            },
        }
    }
}

/// Whether the status alone, without an answer or a fault, says that nobody is served now.
fn is_outage(status: u16) -> bool {
    matches!(status, 401 | 403 | 429) || status >= 500
}

impl Cause {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Cause::Login(cause) => cause.retry_after(),
            Cause::LoginPause(left, cause) => Some(cause.retry_after().unwrap_or_default().max(*left)),
            Cause::Unreadable { retry_after, .. } | Cause::Status { retry_after, .. } => *retry_after,
            Cause::Call(error) => match &**error {
                CallError::Unreadable { retry_after, .. } => *retry_after,
                _ => None,
            },
            Cause::Queue(_) | Cause::File(_) => None,
        }
    }

    pub(crate) fn fault(&self) -> Option<&Fault> {
        match self {
            Cause::Call(error) => error.fault(),
            Cause::Login(cause) | Cause::LoginPause(_, cause) => cause.fault(),
            _ => None,
        }
    }

    fn whose(&self) -> Whose {
        match self {
            Cause::Login(cause) | Cause::LoginPause(_, cause) => cause.whose(),
            Cause::Queue(_) | Cause::File(_) => Whose::Ours,
            Cause::Unreadable { .. } => Whose::Between,
            Cause::Status { status: 401 | 403, .. } => Whose::Credentials,
            Cause::Status { status: 400..500, .. } => Whose::Request,
            Cause::Status { .. } => Whose::PortaBilling,
            Cause::Call(error) => match &**error {
                CallError::Encode(_) => Whose::Request,
                CallError::Fault(typed) => FaultCode::from(&*typed.fault).class().whose(),
                _ => Whose::Between,
            },
        }
    }

    pub(crate) fn class(&self) -> Option<Class> {
        self.fault().map(|fault| FaultCode::from(fault).class())
    }

    pub(crate) fn may_have_been_carried_out(&self) -> bool {
        match self {
            Cause::Call(error) => error.may_have_been_carried_out(),
            Cause::Status { status, .. } => *status >= 500,
            Cause::Unreadable { .. } | Cause::File(_) => true,
            Cause::Login(_) | Cause::LoginPause(..) | Cause::Queue(_) => false,
        }
    }

    /// Whether the session or token is no longer good.
    pub(crate) fn asks_for_login(&self) -> bool {
        match self {
            Cause::Call(_) => self.class() == Some(Class::SessionEnded),
            Cause::Status { status, .. } => *status == 401,
            _ => false,
        }
    }

    /// Whether another site may do what this one can't, for certain without having done it.
    pub(crate) fn asks_for_another_site(&self) -> bool {
        match self {
            Cause::Call(error) => {
                matches!(**error, CallError::NotSent(_)) || self.class() == Some(Class::SiteBusy)
            }
            Cause::Login(cause) => cause.asks_for_another_site(),
            _ => false,
        }
    }

    /// Whether sending it again can do no harm, the method only reading or not.
    pub(crate) fn may_be_sent_again(&self, only_reads: bool) -> bool {
        match self {
            Cause::Call(error) => match **error {
                CallError::NotSent(_) => true,
                CallError::MaybeSent(_) => only_reads,
                _ => false,
            },
            _ => false,
        }
    }

    pub(crate) fn not_sent(error: tower::BoxError) -> Self {
        Cause::Call(Arc::new(CallError::NotSent(error)))
    }
}

impl Class {
    fn whose(self) -> Whose {
        match self {
            Class::Validation | Class::Duplicate | Class::NotFound => Whose::Request,
            Class::SiteBusy | Class::Unknown => Whose::PortaBilling,
            Class::LoginRefused | Class::LockedOut | Class::PasswordExpired => Whose::Credentials,
            Class::SessionEnded | Class::RefreshRefused | Class::Permission => Whose::Credentials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_whose_fault_it_is() {
        let error = |cause| Error { service: "Account", method: "get_account_info", cause };
        let status = |status| Cause::Status { status, message: String::new(), retry_after: None };
        let lost = || Cause::Call(Arc::new(CallError::MaybeSent("reset".into())));
        let page = || Cause::Unreadable {
            status: 502,
            reason: String::new(),
            raw: String::new(),
            retry_after: None,
        };
        for (error, whose) in [
            (with("Server.Session.auth_failed"), Whose::Credentials),
            (with("Server.Account.permission_denied"), Whose::Credentials),
            (with("Client.Account.too_short.account_info.login"), Whose::Request),
            (with("Server.Account.duplicate_id"), Whose::Request),
            (with("standalone_mode"), Whose::PortaBilling),
            (with("Server.Account.internal"), Whose::PortaBilling),
            (error(status(401)), Whose::Credentials),
            (error(status(404)), Whose::Request),
            (error(status(503)), Whose::PortaBilling),
            (error(lost()), Whose::Between),
            (error(page()), Whose::Between),
            (error(Cause::not_sent("refused".into())), Whose::Between),
            (error(Cause::Login(Arc::new(lost()))), Whose::Between),
            (error(Cause::Queue(20)), Whose::Ours),
            (error(Cause::File(String::new())), Whose::Ours),
        ] {
            assert_eq!(error.whose(), whose, "{error:?}");
        }
    }

    fn with(code: &str) -> Error {
        let cause = Cause::Call(Arc::new(CallError::Fault(Fault::new(code, "").into())));
        Error { service: "Account", method: "get_account_info", cause }
    }

    #[test]
    fn faults_are_judged_by_their_code_and_not_by_their_status() {
        for (code, later, login) in [
            ("soap:Server.Session.check_auth.auth_failed", true, true),
            ("Client.check_auth.envelope_missed", true, true),
            ("Client.Session.check_auth.failed_to_process_jwt", true, true),
            ("standalone_mode", true, false),
            ("Server.Account.internal", true, false),
            ("Server.Account.duplicate_id", false, false),
            ("Client.Account.too_short.account_info.login", false, false),
        ] {
            let error = with(code);
            assert_eq!((error.may_work_later(), error.cause.asks_for_login()), (later, login), "{code}");
            assert!(!error.may_have_been_carried_out());
        }
    }
}
