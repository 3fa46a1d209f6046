//! PortaBilling from Rust: typed SOAP calls that log in by themselves, and the ESPF API.
//!
//! ```no_run
//! use portabilling::account::{GetAccountInfo, GetAccountInfoRequest};
//! use portabilling::client::{Client, Credentials, Settings};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Settings::new("https://billing.example.net", Credentials::password("soap", "…")))?;
//! let request = GetAccountInfoRequest { i_account: Some(1000889), ..Default::default() };
//! // a missing account is an answer without `account_info`, not an error
//! if let Some(account) = client.call::<GetAccountInfo>(&request).await?.account_info {
//!     println!("{account:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod error;
mod espf;
mod session;
mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use secrecy::{ExposeSecret as _, SecretString};
use soapstone_soap::{Call, CallError, Exchange, NotSent, Operation, Structure, Transport, transport};
use tokio::sync::Semaphore;
use tower::{BoxError, ServiceExt as _};

pub use error::{Cause, Error, LOGIN_AGAIN};
pub use espf::{AccountStatus, MESSAGE_LIMIT};
use session::{Session, Sessions};
pub use settings::{AuthInfo, Credentials, EspfAuth, Secret, Settings, SoapPath, StatusEncoding};

use crate::session::{Login, LoginRequest};
use crate::types::AuthInfoStructure;

/// A client of one PortaBilling; cheap to clone, all clones share the session and the pool of connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    soap: soapstone_soap::Client,
    transport: Transport,
    sessions: Sessions,
    places: Semaphore,
    observer: Option<Observer>,
}

/// Told of every call when it has ended; must be quick.
pub type Observer = Arc<dyn Fn(&CallReport<'_>) + Send + Sync>;

/// A call that has ended.
#[derive(Debug, Clone, Copy)]
pub struct CallReport<'a> {
    /// The service (`Account`), or `ESPF`.
    pub service: &'static str,
    /// The method.
    pub method: &'static str,
    /// From the wish to the answer, waiting for a place and a login included.
    pub elapsed: Duration,
    /// Why it failed, if it did.
    pub error: Option<&'a Error>,
}

impl Client {
    /// A client over HTTP; nothing is sent before the first call.
    ///
    /// # Errors
    /// Certificates that can't be read.
    pub fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        // a small container has no certificates of its own: plain HTTP works all the same, and HTTPS with `ca_pem`
        let http = Self::http(&settings, true).or_else(|_| Self::http(&settings, false))?;
        let transport = transport::over(http, settings.limits.message_bytes);
        Ok(Self::over(settings, transport, None))
    }

    fn http(settings: &Settings, with_system: bool) -> Result<reqwest::Client, reqwest::Error> {
        let mut own = Vec::new();
        for pem in &settings.ca_pem {
            own.extend(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.call_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(settings.max_in_flight)
            .user_agent(concat!("soapstone/", env!("CARGO_PKG_VERSION")));
        if settings.danger_accept_invalid_certs {
            tracing::warn!(
                url = settings.url,
                "certificates are not verified: anybody in between can read and change everything"
            );
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder = if with_system { builder.tls_certs_merge(own) } else { builder.tls_certs_only(own) };
        builder.build()
    }

    /// A client over any transport.
    pub fn over(settings: Settings, transport: Transport, observer: Option<Observer>) -> Self {
        let inner = Inner {
            soap: soapstone_soap::Client::new(transport.clone(), settings.limits),
            sessions: Sessions::new(settings.login_pause),
            places: Semaphore::new(settings.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            transport,
            settings,
            observer,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same client, with somebody who is told of every call; it has a session of its own.
    pub fn observed(&self, observer: Observer) -> Self {
        Self::over(self.inner.settings.clone(), self.inner.transport.clone(), Some(observer))
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Calls an operation.
    ///
    /// Logs in where needed, and once more where the session turns out to be no longer good. Nothing else is
    /// repeated.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call<C: Call>(&self, request: &C::Request) -> Result<C::Response, Error> {
        let mut response = C::Response::default();
        self.call_operation(C::operation(), request, &mut response).await?;
        Ok(response)
    }

    /// The same for an operation that is known by name only (see [`crate::SERVICES`]).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call_operation(
        &self,
        operation: &'static Operation,
        request: &dyn Structure,
        response: &mut dyn Structure,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let result = self.attempt(operation, request, response).await;
        let result =
            result.map_err(|cause| Error { service: operation.service, method: operation.name, cause });
        self.report(operation.service, operation.name, started, result.as_ref().err());
        result
    }

    /// The same, keeping what went over the wire, secrets and all.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call_raw(
        &self,
        operation: &'static Operation,
        request: &dyn Structure,
        response: &mut dyn Structure,
    ) -> (Option<Exchange>, Result<(), Error>) {
        let name = |cause| Error { service: operation.service, method: operation.name, cause };
        let header = match operation.header() {
            None => None,
            Some(_) => match self.session().await {
                Ok((session, _)) => Some(self.auth_info(&session)),
                Err(cause) => return (None, Err(name(cause))),
            },
        };
        let url = self.settings().soap_url(operation.service, operation.name);
        let header = header.as_ref().map(|header| header as &dyn Structure);
        let (exchange, result) = self.inner.soap.call_raw(operation, &url, header, request, response).await;
        (exchange, result.map_err(|error| name(Cause::Call(Arc::new(error)))))
    }

    async fn attempt(
        &self,
        operation: &'static Operation,
        request: &dyn Structure,
        response: &mut dyn Structure,
    ) -> Result<(), Cause> {
        if operation.header().is_none() {
            return self.exchange(operation, None, request, response).await;
        }
        let (session, login) = self.session().await?;
        let first = self.exchange(operation, Some(&self.auth_info(&session)), request, response).await;
        match first {
            Err(cause) if cause.asks_for_login() => {
                tracing::debug!(service = operation.service, method = operation.name, %cause, "logging in again");
                self.inner.sessions.discard(&login);
                let (session, _) = self.session().await?;
                self.exchange(operation, Some(&self.auth_info(&session)), request, response).await
            }
            other => other,
        }
    }

    /// Does something with a session, and once more with a new one where it turns out to be no longer good.
    async fn with_session<F>(&self, act: impl Fn(Session) -> F) -> Result<(), Cause>
    where
        F: Future<Output = Result<(), Cause>>,
    {
        let (session, login) = self.session().await?;
        match act(session).await {
            Err(cause) if cause.asks_for_login() => {
                self.inner.sessions.discard(&login);
                let (session, _) = self.session().await?;
                act(session).await
            }
            other => other,
        }
    }

    async fn session(&self) -> Result<(Session, Arc<session::Login>), Cause> {
        self.inner.sessions.session(jiff::Timestamp::now(), || self.log_in()).await
    }

    async fn log_in(&self) -> Result<Session, Cause> {
        let credentials = &self.settings().credentials;
        let mut request = LoginRequest { login: Some(credentials.login.clone()), ..LoginRequest::default() };
        match &credentials.secret {
            Secret::Password(password) => request.password = Some(password.expose_secret().to_string()),
            Secret::Token(token) => request.token = Some(token.expose_secret().to_string()),
        }
        let mut response = <Login as Call>::Response::default();
        let (operation, started) = (Login::operation(), Instant::now());
        let result = self.exchange(operation, None, &request, &mut response).await;
        let error = result.as_ref().err().map(|cause| Error {
            service: operation.service,
            method: operation.name,
            cause: cause.clone(),
        });
        self.report(operation.service, operation.name, started, error.as_ref());
        result?;
        tracing::info!(login = credentials.login, "logged in to PortaBilling");
        Ok(Session {
            session_id: SecretString::from(response.session_id.unwrap_or_default()),
            access_token: SecretString::from(response.access_token.unwrap_or_default()),
            expires_at: response
                .expires_at
                .and_then(|text| text.trim().parse::<soapstone_soap::DateTime>().ok()?.timestamp()),
        })
    }

    fn auth_info(&self, session: &Session) -> AuthInfoStructure {
        let (id, token) = (session.session_id.expose_secret(), session.access_token.expose_secret());
        match self.settings().auth_info {
            AuthInfo::SessionId if !id.is_empty() => {
                AuthInfoStructure { session_id: Some(id.to_string()), ..AuthInfoStructure::default() }
            }
            _ => AuthInfoStructure { access_token: Some(token.to_string()), ..AuthInfoStructure::default() },
        }
    }

    async fn exchange(
        &self,
        operation: &Operation,
        header: Option<&AuthInfoStructure>,
        request: &dyn Structure,
        response: &mut dyn Structure,
    ) -> Result<(), Cause> {
        let _place = self.place().await?;
        let url = self.settings().soap_url(operation.service, operation.name);
        let header = header.map(|header| header as &dyn Structure);
        let called = self.inner.soap.call(operation, &url, header, request, response).await;
        called.map_err(|error| Cause::Call(Arc::new(error)))
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Cause> {
        let _place = self.place().await?;
        let sent = self.inner.transport.clone().oneshot(request).await;
        sent.map_err(|error| match error.downcast::<NotSent>() {
            Ok(not_sent) => Cause::not_sent(not_sent.0),
            Err(error) => Cause::Call(Arc::new(CallError::MaybeSent(error))),
        })
    }

    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Cause> {
        let full = || Cause::Queue(self.settings().max_in_flight);
        let waited = tokio::time::timeout(self.settings().queue_timeout, self.inner.places.acquire()).await;
        waited.map_err(|_| full())?.map_err(|_| full())
    }

    fn report(&self, service: &'static str, method: &'static str, started: Instant, error: Option<&Error>) {
        if let Some(observer) = &self.inner.observer {
            observer(&CallReport { service, method, elapsed: started.elapsed(), error });
        }
    }
}

impl Cause {
    fn not_sent(error: BoxError) -> Self {
        Cause::Call(Arc::new(CallError::NotSent(error)))
    }
}
