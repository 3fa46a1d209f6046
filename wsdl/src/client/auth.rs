//! How we come to a session, renew and end it, and how a call says who we are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use soapstone_soap::{Base64, Call, Structure};

use super::exchange::read_answer;
use super::session::{Life, Session};
use super::settings::{AuthInfo, Realm, Secret};
use super::site::Site;
use super::{Cause, Client, Credentials, Error, Settings};
use crate::session::{Login, LoginToRealm, Logout, RefreshAccessToken};
use crate::types::{
    AuthInfoStructure, LoginRequest, LoginToRealmRequest, LogoutRequest, RefreshAccessTokenRequest,
};

/// What a call bears to say who we are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proof {
    pub(crate) auth_info: Option<AuthInfoStructure>,
    pub(crate) headers: HeaderMap,
}

/// What a login, a renewal and a login to a realm answer alike.
struct Given {
    session_id: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
    expires_at: Option<String>,
}

impl Client {
    /// Becomes another user, without a password: an administrator's right. The new client has that session, at the realm's
    /// port (`login_to_realm`).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn login_to_realm(&self, login: &str, realm: Realm) -> Result<Client, Error> {
        let request =
            LoginToRealmRequest { login: Some(login.to_string()), realm: Some(realm.name().to_string()) };
        let given = self.call::<LoginToRealm>(&request).await?;
        let credentials = match (given.access_token, given.session_id) {
            (Some(token), _) if self.settings().auth_info != AuthInfo::SessionId => {
                Credentials::access_token(token)
            }
            (_, Some(id)) => Credentials::session(id),
            (token, None) => Credentials::access_token(token.unwrap_or_default()),
        };
        let settings = Settings { credentials, ..self.settings().clone() };
        Ok(Self::with(settings.realm(realm), self.inner.carrier.clone(), self.inner.observer.clone()))
    }

    /// Ends the sessions, as a program should when it ends. PortaBilling's answer isn't relied on: what is left ends by
    /// itself.
    pub async fn log_out(&self) {
        if !self.settings().credentials.secret.can_log_in() {
            return;
        }
        for site in self.inner.sites.iter() {
            let Some(session) = site.sessions.take() else { continue };
            let id = session.session_id.expose_secret();
            let request = match id.is_empty() {
                false => LogoutRequest { session_id: Some(id.to_string()), ..LogoutRequest::default() },
                true => LogoutRequest {
                    access_token: Some(session.access_token.expose_secret().to_string()),
                    ..LogoutRequest::default()
                },
            };
            let ended = self.ask::<Logout>(site, &self.proof(&session), &request).await;
            if let Err(error) = ended {
                tracing::debug!(site = site.url, %error, "logging out");
            }
        }
    }

    /// The session at a site, with a login or a renewal where one is needed.
    pub(crate) async fn session(
        &self,
        site: &Site,
    ) -> Result<(Arc<Session>, Arc<super::session::Login>), Cause> {
        site.sessions.session(|before| self.make_session(site, before)).await
    }

    async fn make_session(&self, site: &Site, before: Option<Session>) -> Result<Session, Cause> {
        let Some(before) = before.filter(|_| self.settings().refresh) else { return self.log_in(site).await };
        match self.renew(site, &before).await {
            Ok(session) => Ok(session),
            Err(cause) if cause.fault().is_some() => {
                tracing::info!(site = site.url, %cause, "the token wasn't renewed; logging in again");
                self.log_in(site).await
            }
            // not answered: the old one is good for a while yet
            Err(cause) if !before.has_ended(Instant::now()) => {
                tracing::warn!(site = site.url, %cause, "the token couldn't be renewed yet");
                Ok(postponed(before))
            }
            Err(_) => self.log_in(site).await,
        }
    }

    async fn renew(&self, site: &Site, before: &Session) -> Result<Session, Cause> {
        let token = before.refresh_token.expose_secret().to_string();
        let request = RefreshAccessTokenRequest { refresh_token: Some(token) };
        let began = Instant::now();
        let (given, _) = self.ask_whole::<RefreshAccessToken>(site, &self.proof(before), &request).await?;
        tracing::debug!(site = site.url, "renewed the token");
        let given = Given {
            session_id: None,
            access_token: given.access_token,
            refresh_token: given.refresh_token,
            expires_in: given.expires_in,
            expires_at: given.expires_at,
        };
        let mut session = made(given, began);
        // it says no new id, but the token names one
        let claims = crate::token::Claims::decode(session.access_token.expose_secret()).ok();
        session.session_id = match claims.and_then(|claims| claims.session_id) {
            Some(id) => id.into(),
            None => before.session_id.clone(),
        };
        session.cookies = before.cookies.clone();
        self.ask_lifetime(site, &mut session, began).await;
        Ok(session)
    }

    async fn log_in(&self, site: &Site) -> Result<Session, Cause> {
        let credentials = &self.settings().credentials;
        let mut request = LoginRequest { login: Some(credentials.login.clone()), ..LoginRequest::default() };
        match &credentials.secret {
            Secret::Password(password) => request.password = Some(password.expose_secret().to_string()),
            Secret::Token(token) => request.token = Some(token.expose_secret().to_string()),
            Secret::Session(id) => return Ok(Session { session_id: id.clone(), ..Session::default() }),
            Secret::AccessToken(token) => {
                return Ok(Session { access_token: token.clone(), ..Session::default() });
            }
        }
        let began = Instant::now();
        let (given, headers) = self.ask_whole::<Login>(site, &Proof::default(), &request).await?;
        tracing::info!(login = credentials.login, site = site.url, "logged in to PortaBilling");
        let given = Given {
            session_id: given.session_id,
            access_token: given.access_token,
            refresh_token: given.refresh_token,
            expires_in: given.expires_in,
            expires_at: given.expires_at,
        };
        let mut session = made(given, began);
        session.cookies = cookies(&headers);
        self.ask_lifetime(site, &mut session, began).await;
        Ok(session)
    }

    /// Lets PortaBilling say how long the session's token lives, where the settings want that.
    async fn ask_lifetime(&self, site: &Site, session: &mut Session, began: Instant) {
        const METHOD: &str = "get_access_token_lifetime";
        if !self.settings().ask_lifetime {
            return;
        }
        let answer = self.json(site, "Session", METHOD, &self.proof(session), "{}").await;
        let said = answer.and_then(|answer| read_answer(&answer, |body| serde_json::from_slice(body)));
        match said.map(|said: Value| seconds(&said)) {
            Ok(Some(seconds)) => {
                let asked = Life::new(began, Duration::from_secs(seconds));
                session.life = session.life.into_iter().chain(asked).min_by_key(|life| life.end);
            }
            Ok(None) => tracing::debug!(site = site.url, "{METHOD} names no seconds"),
            Err(error) => tracing::debug!(site = site.url, %error, "{METHOD} isn't answered"),
        }
    }

    async fn ask<C: Call>(
        &self,
        site: &Site,
        proof: &Proof,
        request: &C::Request,
    ) -> Result<C::Response, Cause> {
        Ok(self.ask_whole::<C>(site, proof, request).await?.0)
    }

    /// One of the session's own calls: without a place, since whoever has one may wait for it.
    async fn ask_whole<C: Call>(
        &self,
        site: &Site,
        proof: &Proof,
        request: &C::Request,
    ) -> Result<(C::Response, HeaderMap), Cause> {
        let (operation, began) = (C::operation(), Instant::now());
        let mut response = C::Response::default();
        let sent = self.exchange(site, operation, proof, request as &dyn Structure, &mut response).await;
        let error = sent.as_ref().err().map(|cause| Error {
            service: operation.service,
            method: operation.name,
            cause: cause.clone(),
        });
        self.report(operation.service, operation.name, began, error.as_ref());
        Ok((response, sent?))
    }

    /// How a call says who we are.
    pub(crate) fn proof(&self, session: &Session) -> Proof {
        let credentials = &self.settings().credentials;
        let (id, token) = (session.session_id.expose_secret(), session.access_token.expose_secret());
        let with_id = || AuthInfoStructure { session_id: Some(id.to_string()), ..Default::default() };
        let with_token = || AuthInfoStructure { access_token: Some(token.to_string()), ..Default::default() };
        let mut proof = Proof::default();
        match self.settings().auth_info {
            AuthInfo::SessionId if !id.is_empty() => proof.auth_info = Some(with_id()),
            AuthInfo::AccessToken if token.is_empty() => proof.auth_info = Some(with_id()),
            AuthInfo::Bearer => set(&mut proof.headers, AUTHORIZATION, &format!("Bearer {token}")),
            AuthInfo::Cookie => set(&mut proof.headers, COOKIE, session.cookies.expose_secret()),
            AuthInfo::Inline => {
                let mut inline =
                    AuthInfoStructure { login: Some(credentials.login.clone()), ..Default::default() };
                let secret = Some(credentials.secret.inner().expose_secret().to_string());
                match credentials.secret {
                    Secret::Token(_) => inline.token = secret,
                    _ => inline.password = secret,
                }
                proof.auth_info = Some(inline);
            }
            AuthInfo::SessionId | AuthInfo::AccessToken => proof.auth_info = Some(with_token()),
        }
        proof
    }

    /// `Basic` with login and secret, for the ESPF API.
    pub(crate) fn basic(&self) -> Result<HeaderValue, Cause> {
        let credentials = &self.settings().credentials;
        let pair = format!("{}:{}", credentials.login, credentials.secret.inner().expose_secret());
        secret_header(&format!("Basic {}", Base64(pair.into_bytes())))
    }

    /// `Bearer` with the access token.
    pub(crate) fn bearer(session: &Session) -> Result<HeaderValue, Cause> {
        secret_header(&format!("Bearer {}", session.access_token.expose_secret()))
    }
}

fn set(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    // one that no header can hold is left out, and PortaBilling says that it misses it
    if let Ok(value) = secret_header(value) {
        headers.insert(name, value);
    }
}

fn secret_header(text: &str) -> Result<HeaderValue, Cause> {
    // the value itself must not get into the message
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Cause::not_sent("the credentials hold characters that no header can".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn made(given: Given, began: Instant) -> Session {
    let access_token = given.access_token.unwrap_or_default();
    let lifetime = lifetime(given.expires_in, &access_token, given.expires_at.as_deref());
    Session {
        session_id: SecretString::from(given.session_id.unwrap_or_default()),
        access_token: SecretString::from(access_token),
        refresh_token: SecretString::from(given.refresh_token.unwrap_or_default()),
        cookies: SecretString::default(),
        life: lifetime.and_then(|lifetime| Life::new(began, lifetime)),
    }
}

/// The first two go by PortaBilling's clock alone; the last needs ours to be right.
fn lifetime(expires_in: Option<i64>, access_token: &str, expires_at: Option<&str>) -> Option<Duration> {
    let said = expires_in.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let claimed = || crate::token::Claims::decode(access_token).ok()?.lifetime();
    let until = || {
        let end = expires_at?.trim().parse::<soapstone_soap::DateTime>().ok()?.timestamp()?;
        Duration::try_from(end.duration_since(jiff::Timestamp::now())).ok()
    };
    said.or_else(claimed).or_else(until)
}

/// The seconds in an answer whose form isn't known: itself, a member that is called so, or the only one.
fn seconds(answer: &Value) -> Option<u64> {
    let number = match answer {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Object(members) => {
            let named = |name: &String| name.contains("lifetime") || name == "expires_in";
            let named = members.iter().find(|(name, _)| named(name)).map(|(_, value)| value);
            seconds(named.or_else(|| members.values().next().filter(|_| members.len() == 1))?)
        }
        _ => None,
    };
    number.filter(|seconds| *seconds > 0)
}

/// The old session, to be renewed a little later.
fn postponed(session: Session) -> Session {
    let life = session.life.map(|life| {
        let left = life.end.saturating_duration_since(Instant::now());
        Life { renew: life.end - left / 2, ..life }
    });
    Session { life, ..session }
}

fn cookies(headers: &HeaderMap) -> SecretString {
    let pairs = headers.get_all(SET_COOKIE).iter().filter_map(|value| {
        let pair = value.to_str().ok()?.split(';').next()?.trim();
        pair.contains('=').then_some(pair)
    });
    SecretString::from(pairs.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cookies_are_sent_back_without_their_attributes() {
        let mut headers = HeaderMap::new();
        for cookie in ["session_id=abc; Path=/; HttpOnly", "access_token=d.e.f; Secure", "nonsense"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        assert_eq!(cookies(&headers).expose_secret(), "session_id=abc; access_token=d.e.f");
    }

    #[test]
    fn seconds_are_found_in_an_answer_of_any_form() {
        for (answer, found) in [
            (json!({ "success": 1, "access_token_lifetime": "900" }), Some(900)),
            (json!({ "success": 1, "expires_in": 900 }), Some(900)),
            (json!({ "value": { "lifetime": 900 } }), Some(900)),
            (json!(" 900 "), Some(900)),
            (json!({ "success": 1, "other": 900 }), None),
            (json!({ "lifetime": 0 }), None),
            (json!({ "lifetime": -1 }), None),
            (json!([900]), None),
            (json!({}), None),
        ] {
            assert_eq!(seconds(&answer), found, "{answer}");
        }
    }

    #[test]
    fn a_lifetime_is_taken_from_whatever_says_it() {
        assert_eq!(lifetime(Some(900), "", None), Some(Duration::from_secs(900)));
        let token = include_str!("../token/valid.jwt");
        assert_eq!(lifetime(None, token, None), Some(Duration::from_secs(1900)));
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(100);
        let text = soon.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let found = lifetime(Some(-1), "", Some(&text)).expect("a lifetime");
        assert!((98..=100).contains(&found.as_secs()), "{found:?}");
        assert_eq!(lifetime(None, "", Some("2001-01-01 00:00:00")), None);
    }
}
