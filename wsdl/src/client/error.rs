//! Why PortaBilling has no answer for us, and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use soapstone_soap::{CallError, Fault};

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
    LoginPause(Duration),
    /// All places for calls were taken for the whole waiting time; nothing was sent.
    #[error("{0} calls were under way all the time; nothing was sent")]
    Queue(usize),
    /// The call itself failed.
    #[error(transparent)]
    Call(Arc<CallError>),
    /// The ESPF API answered with another status than 200.
    #[error("HTTP status {status}: {message}")]
    Espf {
        /// The HTTP status.
        status: u16,
        /// The beginning of its answer.
        message: String,
    },
}

/// Fault codes that mean: log in again (the session or token is no longer good).
pub const LOGIN_AGAIN: [&str; 4] = [
    "Server.Session.check_auth.auth_failed",
    "Client.Session.check_auth.failed_to_process_access_token",
    "Client.Session.check_auth.failed_to_process_jwt",
    "Client.check_auth.envelope_missed",
];

/// Fault codes of a login that is refused until somebody changes something.
const LOGIN_REFUSED: [&str; 3] = [
    "Server.Session.auth_failed",
    "Server.Session.cannot_login_brute_force_activity",
    "Server.Session.alert_You_must_change_password",
];

/// Fault codes of a site that can't serve now: standalone, secondary or read-only.
const SITE_BUSY: [&str; 4] =
    ["standalone_mode", "secondary_site", "read_only_mode", "pb_delta.connection_failed"];

impl Error {
    /// The fault, where PortaBilling has answered with one.
    pub fn fault(&self) -> Option<&Fault> {
        self.cause.fault()
    }

    /// Whether PortaBilling may have carried the request out.
    pub fn may_have_been_carried_out(&self) -> bool {
        match &self.cause {
            Cause::Call(error) => error.may_have_been_carried_out(),
            Cause::Espf { status, .. } => *status >= 500,
            Cause::Login(_) | Cause::LoginPause(_) | Cause::Queue(_) => false,
        }
    }

    /// Whether the same call may work later: everything but a refusal of the request itself.
    ///
    /// A refused login counts as passing: it is the gateway's configuration or the user's state that has to change,
    /// not the event.
    pub fn may_work_later(&self) -> bool {
        match &self.cause {
            Cause::Login(_) | Cause::LoginPause(_) | Cause::Queue(_) => true,
            Cause::Espf { status, .. } => matches!(status, 401 | 403 | 408 | 429) || *status >= 500,
            Cause::Call(error) => match &**error {
                CallError::Encode(_) => false,
                CallError::Fault(typed) => passing(&typed.fault),
                _ => true,
            },
        }
    }
}

impl Cause {
    pub(crate) fn fault(&self) -> Option<&Fault> {
        match self {
            Cause::Call(error) => error.fault(),
            Cause::Login(cause) => cause.fault(),
            _ => None,
        }
    }

    /// Whether the session or token is no longer good.
    pub(crate) fn asks_for_login(&self) -> bool {
        match self {
            Cause::Call(error) => error.fault().is_some_and(|fault| LOGIN_AGAIN.contains(&fault.code())),
            Cause::Espf { status, .. } => *status == 401,
            _ => false,
        }
    }

    /// Whether a login was refused, rather than not answered.
    pub(crate) fn refuses_login(&self) -> bool {
        self.fault().is_some_and(|fault| LOGIN_REFUSED.contains(&fault.code()))
    }
}

/// Whether a fault speaks of a passing state. A code that begins with `Client` is about the request; `Server` may be
/// about anything, so it is tried again except where it names what is wrong with the request.
fn passing(fault: &Fault) -> bool {
    let code = fault.code();
    if SITE_BUSY.contains(&code) || LOGIN_AGAIN.contains(&code) {
        return true;
    }
    let final_reasons = ["duplicate_id", "duplicate_login", "Ext_HG_number_already_in_use", "not_found"];
    !(code.starts_with("Client") || final_reasons.iter().any(|reason| code.ends_with(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
