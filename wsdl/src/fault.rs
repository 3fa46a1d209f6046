//! What PortaBilling's fault codes say: whose mistake, where, and what kind of thing is wrong.
//!
//! The grammar is PortaBilling's (`Server.<Service>.<reason>`, `Server.<Service>.<method>.<reason>`,
//! `Client.<Service>.<check>.<path of the field>`), seen in JSON and SOAP alike; the states of a site come without any dot.

use std::fmt;

use soapstone_soap::Fault;

/// A fault code, taken apart.
///
/// ```
/// use portabilling::fault::{Class, FaultCode, Side};
///
/// let code = FaultCode::parse("soap:Client.Account.too_short.account_info.login");
/// assert_eq!((code.side, code.service.as_deref()), (Some(Side::Client), Some("Account")));
/// assert_eq!((code.reason.as_str(), code.field.as_deref()), ("too_short", Some("account_info.login")));
/// assert_eq!(code.class(), Class::Validation);
///
/// let code = FaultCode::parse("Server.Session.check_auth.auth_failed");
/// assert_eq!((code.method.as_deref(), code.class()), (Some("check_auth"), Class::SessionEnded));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultCode {
    /// Whose mistake PortaBilling says it is; none in the codes of a site's state.
    pub side: Option<Side>,
    /// The service (`Account`).
    pub service: Option<String>,
    /// The method or check (`ping`, `check_auth`), where the code names one.
    pub method: Option<String>,
    /// What is wrong (`duplicate_id`).
    pub reason: String,
    /// The path of the field that is wrong (`account_info.login`).
    pub field: Option<String>,
}

/// Whose mistake it is, as the first word of a code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The request's.
    Client,
    /// The server's; but many a refusal of a request bears it too (`Server.Account.duplicate_id`).
    Server,
}

/// The kinds of faults that a program treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Login, password or token are wrong.
    LoginRefused,
    /// Too many wrong logins: further ones make it worse. It passes.
    LockedOut,
    /// The password has to be changed by its owner; it doesn't pass by itself.
    PasswordExpired,
    /// The session or token is no longer good: log in again.
    SessionEnded,
    /// The refresh token is no longer good: log in again.
    RefreshRefused,
    /// The user may not do that.
    Permission,
    /// The request itself; [`FaultCode::field`] says which field where the code does.
    Validation,
    /// Something with that id, login or number is there already.
    Duplicate,
    /// What it is about isn't there. Most methods answer without the member instead.
    NotFound,
    /// The site is read-only, secondary, or on its own: another one, or this one later, will do it.
    SiteBusy,
    /// Anything else.
    Unknown,
}

/// The codes that mean [`Class::SiteBusy`]; the first three have no dot.
const SITE_BUSY: [&str; 4] =
    ["standalone_mode", "secondary_site", "read_only_mode", "pb_delta.connection_failed"];

/// Words of the reason that name a check of a field: what follows them is the field's path.
const CHECKS: [&str; 12] = [
    "too_short",
    "too_long",
    "too_small",
    "too_big",
    "invalid",
    "invalid_value",
    "wrong_format",
    "mandatory",
    "missed",
    "required",
    "not_allowed",
    "empty",
];

impl FaultCode {
    /// Takes a code apart; one of another grammar is all reason.
    pub fn parse(code: &str) -> Self {
        let code = code.rsplit_once(':').map_or(code, |(_, code)| code).trim();
        let whole = || Self { side: None, service: None, method: None, reason: code.into(), field: None };
        let mut words = code.split('.');
        let side = match words.next() {
            Some("Client") => Side::Client,
            Some("Server") => Side::Server,
            _ => return whole(),
        };
        let mut words: Vec<&str> = words.collect();
        if words.is_empty() {
            return whole();
        }
        // `Client.check_auth.envelope_missed` has no service: those are written with a capital
        let service = words[0].starts_with(|first: char| first.is_ascii_uppercase() && words.len() > 1);
        let service = service.then(|| words.remove(0).to_string());
        let (method, reason, field) = match words.as_slice() {
            [check, field @ ..] if CHECKS.contains(check) && !field.is_empty() => {
                (None, *check, Some(field.join(".")))
            }
            [method, check, field @ ..] if CHECKS.contains(check) && !field.is_empty() => {
                (Some(*method), *check, Some(field.join(".")))
            }
            [reason] => (None, *reason, None),
            [method, reason] => (Some(*method), *reason, None),
            // a check that isn't known, with the path of its field
            [reason, field @ ..] => (None, *reason, Some(field.join("."))),
            [] => return whole(),
        };
        Self {
            side: Some(side),
            service,
            method: method.map(str::to_string),
            reason: reason.to_string(),
            field,
        }
    }

    /// What kind of fault it is.
    pub fn class(&self) -> Class {
        let session = self.service.as_deref().is_none_or(|service| service == "Session");
        let reason = self.reason.as_str();
        match reason {
            "auth_failed" if self.method.as_deref() == Some("check_auth") => Class::SessionEnded,
            "failed_to_process_access_token" | "failed_to_process_jwt" | "envelope_missed" => {
                Class::SessionEnded
            }
            "auth_failed" if session => Class::LoginRefused,
            "cannot_login_brute_force_activity" => Class::LockedOut,
            "alert_You_must_change_password" => Class::PasswordExpired,
            "refresh_failed" => Class::RefreshRefused,
            _ if SITE_BUSY.contains(&reason) => Class::SiteBusy,
            _ if ["permission", "access_denied", "not_permitted", "forbidden"]
                .iter()
                .any(|word| reason.contains(word)) =>
            {
                Class::Permission
            }
            _ if reason.starts_with("duplicate") || reason.ends_with("already_in_use") => Class::Duplicate,
            _ if reason.ends_with("not_found") => Class::NotFound,
            _ if self.field.is_some() || self.side == Some(Side::Client) => Class::Validation,
            _ => Class::Unknown,
        }
    }
}

impl From<&Fault> for FaultCode {
    fn from(fault: &Fault) -> Self {
        Self::parse(fault.code())
    }
}

impl Class {
    /// Whether the same request may be carried out later: nothing is wrong with the request itself.
    pub fn passes(self) -> bool {
        match self {
            Class::Permission | Class::Validation | Class::Duplicate | Class::NotFound => false,
            // of these it is the user that must be looked after, not the request
            Class::LoginRefused | Class::LockedOut | Class::PasswordExpired => true,
            Class::SessionEnded | Class::RefreshRefused | Class::SiteBusy | Class::Unknown => true,
        }
    }

    /// Whether it is a login that was refused.
    pub fn refuses_login(self) -> bool {
        matches!(self, Class::LoginRefused | Class::LockedOut | Class::PasswordExpired)
    }

    /// What a person would do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Class::LoginRefused => "correct the login, password or API token",
            Class::LockedOut => "wait until the lock-out has passed, and see who else uses this login",
            Class::PasswordExpired => {
                "change the password in PortaBilling, or use an API token, which doesn't expire"
            }
            Class::SessionEnded | Class::RefreshRefused => "log in again",
            Class::Permission => "give the user the permission in PortaBilling",
            Class::Validation => "correct the request",
            Class::Duplicate => "use another id, or update what is there",
            Class::NotFound => "check the id",
            Class::SiteBusy => "use the main site, or try again later",
            Class::Unknown => "see the message",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Class::LoginRefused => "login refused",
            Class::LockedOut => "locked out",
            Class::PasswordExpired => "password expired",
            Class::SessionEnded => "session ended",
            Class::RefreshRefused => "refresh refused",
            Class::Permission => "not permitted",
            Class::Validation => "invalid request",
            Class::Duplicate => "duplicate",
            Class::NotFound => "not found",
            Class::SiteBusy => "site busy",
            Class::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_is_known_has_its_class() {
        for (code, class) in [
            ("Server.Session.check_auth.auth_failed", Class::SessionEnded),
            ("Client.Session.check_auth.failed_to_process_access_token", Class::SessionEnded),
            ("Client.Session.check_auth.failed_to_process_jwt", Class::SessionEnded),
            ("Client.Session.ping.failed_to_process_access_token", Class::SessionEnded),
            ("Client.check_auth.envelope_missed", Class::SessionEnded),
            ("SOAP-ENV:Server.Session.auth_failed", Class::LoginRefused),
            ("Server.Session.cannot_login_brute_force_activity", Class::LockedOut),
            ("Server.Session.alert_You_must_change_password", Class::PasswordExpired),
            ("Server.Session.refresh_access_token.refresh_failed", Class::RefreshRefused),
            ("Server.Account.duplicate_id", Class::Duplicate),
            ("Client.Customer.duplicate_id", Class::Duplicate),
            ("Client.Customer.Ext_HG_number_already_in_use", Class::Duplicate),
            ("Client.Customer.too_short.customer_info.login", Class::Validation),
            ("Server.CDR.xdr_not_found", Class::NotFound),
            ("standalone_mode", Class::SiteBusy),
            ("pb_delta.connection_failed", Class::SiteBusy),
            ("Server.Account.unified_messaging_disabled", Class::Unknown),
            ("Server.CallControl.sip.disabled_api_notifications", Class::Unknown),
            ("Server.Account.permission_denied", Class::Permission),
            ("", Class::Unknown),
            ("Server", Class::Unknown),
            ("Client..", Class::Validation),
        ] {
            assert_eq!(FaultCode::parse(code).class(), class, "{code}");
        }
    }

    #[test]
    fn the_parts_of_a_code_are_told_apart() {
        let parsed = |code| {
            let FaultCode { service, method, reason, field, .. } = FaultCode::parse(code);
            [service.unwrap_or_default(), method.unwrap_or_default(), reason, field.unwrap_or_default()]
        };
        for (code, parts) in [
            ("Server.Account.duplicate_id", ["Account", "", "duplicate_id", ""]),
            ("Server.Session.ping.x", ["Session", "ping", "x", ""]),
            ("Client.Account.add_account.too_long.a.b", ["Account", "add_account", "too_long", "a.b"]),
            ("Client.Account.strange_check.a.b", ["Account", "", "strange_check", "a.b"]),
            ("Client.check_auth.envelope_missed", ["", "check_auth", "envelope_missed", ""]),
            ("read_only_mode", ["", "", "read_only_mode", ""]),
        ] {
            assert_eq!(parsed(code), parts, "{code}");
        }
    }
}
