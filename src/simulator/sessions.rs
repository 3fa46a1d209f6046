//! Logins, sessions and RS256 tokens as PortaBilling makes them.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use portabilling::types::{AuthInfoStructure, LoginRequest};
use serde_json::json;
use soapstone_soap::Fault;
use uuid::Uuid;

/// Who may log in, and how long a login is good.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The one user.
    pub login: String,
    /// Its password.
    pub password: String,
    /// Its API token.
    pub token: String,
    /// How long an access token and its session are good. Two days, PortaBilling's default.
    pub lifetime: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            login: "demo".into(),
            password: "p&ss<w>\"ö".into(),
            token: "api-token".into(),
            lifetime: Duration::from_secs(172_800),
        }
    }
}

/// The sessions that are open.
pub(crate) struct Sessions {
    settings: SessionSettings,
    key: RsaKeyPair,
    /// Session id to access token, refresh token and end.
    open: HashMap<String, Open>,
    /// How often somebody has logged in.
    pub(crate) logins: u64,
    /// How often a token was renewed.
    pub(crate) renewals: u64,
}

struct Open {
    access_token: String,
    refresh_token: String,
    ends: Timestamp,
}

/// What a login or a refresh gives.
pub(crate) struct Issued {
    pub(crate) session_id: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) expires_at: String,
    pub(crate) expires_in: i64,
}

/// PortaBilling's id of the demo user.
pub(crate) const I_USER: i64 = 440;

impl Sessions {
    /// With a key of its own, made now.
    pub(crate) fn new(settings: SessionSettings) -> Result<Self, String> {
        let key =
            RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| "no RSA key could be made".to_string())?;
        Ok(Self { settings, key, open: HashMap::new(), logins: 0, renewals: 0 })
    }

    /// The public key that tokens can be verified with, PEM.
    pub(crate) fn public_key(&self) -> String {
        use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
        let der: PublicKeyX509Der<'_> = match self.key.public_key().as_der() {
            Ok(der) => der,
            Err(_) => return String::new(),
        };
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            (0..text.len()).step_by(64).map(|at| &text[at..(at + 64).min(text.len())]).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    pub(crate) fn log_in(&mut self, request: &LoginRequest, now: Timestamp) -> Result<Issued, Fault> {
        let known = request.login.as_deref() == Some(self.settings.login.as_str());
        let proved = request.password.as_deref() == Some(self.settings.password.as_str())
            || request.token.as_deref() == Some(self.settings.token.as_str());
        if !(known && proved) {
            return Err(Fault::new("Server.Session.auth_failed", "Invalid login or password <&>"));
        }
        self.logins += 1;
        self.issue(now)
    }

    /// An administrator becomes somebody else, without a password.
    pub(crate) fn become_other(&mut self, login: Option<&str>, now: Timestamp) -> Result<Issued, Fault> {
        match login {
            Some(login) if !login.is_empty() => self.issue(now),
            _ => Err(Fault::new("Client.Session.login_to_realm.missed.login", "login is missed")),
        }
    }

    fn issue(&mut self, now: Timestamp) -> Result<Issued, Fault> {
        self.open.retain(|_, open| open.ends > now);
        let session_id = Uuid::new_v4().simple().to_string();
        let refresh_token = Uuid::new_v4().simple().to_string();
        let seconds = i64::try_from(self.settings.lifetime.as_secs()).unwrap_or(i64::MAX / 2);
        let ends = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        let access_token = self.token(&session_id, now, ends)?;
        let open = Open { access_token: access_token.clone(), refresh_token: refresh_token.clone(), ends };
        self.open.insert(session_id.clone(), open);
        let expires_at = ends.strftime("%Y-%m-%d %H:%M:%S").to_string();
        Ok(Issued { session_id, access_token, refresh_token, expires_at, expires_in: seconds })
    }

    /// A token with PortaBilling's claims: header `{"alg":"RS256"}` alone, `scopes`, no issuer.
    fn token(&self, session_id: &str, now: Timestamp, ends: Timestamp) -> Result<String, Fault> {
        let claims = json!({
            "exp": ends.as_second(), "iat": now.as_second(), "i_user": I_USER, "i_env": 3,
            "login": self.settings.login, "scopes": "espf.api:write espf.handlers:write", "jti": session_id,
            "realm": "admin", "aud": ["portabilling-api", "portasip-api", "espf-api"], "is_super_user": 0,
        });
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Fault::new("Server.Session.internal", "the token can't be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    pub(crate) fn refresh(&mut self, refresh_token: Option<&str>, now: Timestamp) -> Result<Issued, Fault> {
        let session = self
            .open
            .iter()
            .find(|(_, open)| Some(open.refresh_token.as_str()) == refresh_token)
            .map(|(id, _)| id.clone());
        match session {
            Some(id) => {
                self.open.remove(&id);
                self.renewals += 1;
                self.issue(now)
            }
            None => Err(Fault::new("Server.Session.refresh_access_token.refresh_failed", "Refresh failed")),
        }
    }

    /// Whether a session id or access token is good.
    pub(crate) fn is_open(
        &self,
        session_id: Option<&str>,
        access_token: Option<&str>,
        now: Timestamp,
    ) -> bool {
        let good = |open: &Open| open.ends > now;
        let by_id = session_id.and_then(|id| self.open.get(id)).is_some_and(good);
        by_id
            || access_token.is_some_and(|token| {
                self.open.values().any(|open| open.access_token == token && open.ends > now)
            })
    }

    /// Ends a session, by id or token.
    pub(crate) fn log_out(&mut self, session_id: Option<&str>, access_token: Option<&str>) {
        self.open.retain(|id, open| {
            Some(id.as_str()) != session_id && Some(open.access_token.as_str()) != access_token
        });
    }

    /// Ends all sessions, as an idle site does.
    pub(crate) fn drop_all(&mut self) {
        self.open.clear();
    }

    /// Whether a call may go on, told by `auth_info` or a bearer token.
    pub(crate) fn check(
        &self,
        auth: &AuthInfoStructure,
        bearer: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        if let (Some(login), Some(password)) = (&auth.login, auth.password.as_ref().or(auth.token.as_ref())) {
            let good = *login == self.settings.login
                && (*password == self.settings.password || *password == self.settings.token);
            let fault = || Fault::new("Server.Session.auth_failed", "Invalid login or password");
            return if good { Ok(()) } else { Err(fault()) };
        }
        let token = auth.access_token.as_deref().or(bearer);
        if self.is_open(auth.session_id.as_deref(), token, now) {
            return Ok(());
        }
        Err(match (&auth.session_id, token) {
            (Some(_), _) => Fault::new("Server.Session.check_auth.auth_failed", "Authentification failed"),
            (None, Some(_)) => Fault::new(
                "Client.Session.check_auth.failed_to_process_access_token",
                "Failed to process access token",
            ),
            (None, None) => Fault::new("Client.check_auth.envelope_missed", "auth_info is missed"),
        })
    }

    /// HTTP Basic, which the ESPF API takes as well.
    pub(crate) fn is_user(&self, login: &str, secret: &str) -> bool {
        login == self.settings.login && (secret == self.settings.password || secret == self.settings.token)
    }
}
