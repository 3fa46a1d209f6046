//! PortaBilling from Rust: typed calls over SOAP or JSON that log in by themselves, lists, files, the ESPF API.
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
//!
//! # What happens by itself
//!
//! * The first call logs in, with password or API token, once however many callers there are; tokens are renewed before they
//!   end. A session that PortaBilling no longer knows is replaced, and the call made once more.
//! * A call that was certainly not sent, or whose method only reads, is sent again ([`Settings::retries`]). One that may
//!   have been carried out never is: its [`Error`] says so.
//! * A site that can't be reached, or is on its own or read-only, is left for the next ([`Settings::other_urls`]).
//! * Calls wait for each other beyond [`Settings::max_in_flight`] and [`Settings::calls_per_second`].
//!
//! A refused login is not repeated before a pause: PortaBilling locks users out.

mod api2;
mod attempts;
mod auth;
mod error;
mod espf;
mod exchange;
mod extended;
mod files;
mod http;
mod lists;
mod pace;
mod session;
mod settings;
mod site;
mod tls;
mod trace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use soapstone_soap::{Call, Exchange, Operation, Structure};
use tracing::Instrument as _;

pub use api2::Api2;
pub use error::{Cause, Error, Whose};
pub use espf::{AccountStatus, MESSAGE_LIMIT, NewEvent, ServiceGroup};
pub use extended::{Criteria, Rows};
pub use files::Download;
pub use lists::{Paged, Portion};
pub use settings::{
    Api2Paths, AuthInfo, Credentials, EspfAuth, EspfPaths, JsonBody, Realm, Secret, Settings, SoapPath,
    StatusEncoding, Tls, Transport,
};

pub use tls::SetupError;

use self::attempts::{Attempts, Needs};
use self::http::Carrier;
use self::pace::Pace;
use self::site::Sites;

/// A client of one PortaBilling; cheap to clone, all clones share the sessions and the pool of connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    carrier: Carrier,
    sites: Sites,
    pace: Pace,
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
    /// Certificates that can't be read, and other settings of TLS that don't go together.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let carrier = Carrier::new(&settings)?;
        Ok(Self::with(settings, carrier, None))
    }

    /// A client over any transport; files are then held in memory while they are downloaded.
    pub fn over(
        settings: Settings,
        transport: soapstone_soap::Transport,
        observer: Option<Observer>,
    ) -> Self {
        Self::with(settings, Carrier { transport, http: None }, observer)
    }

    fn with(settings: Settings, carrier: Carrier, observer: Option<Observer>) -> Self {
        let (sites, pace) = (Sites::new(&settings), Pace::new(&settings));
        Self { inner: Arc::new(Inner { settings, carrier, sites, pace, observer }) }
    }

    /// The same client, with somebody who is told of every call; it has sessions of its own.
    pub fn observed(&self, observer: Observer) -> Self {
        Self::with(self.inner.settings.clone(), self.inner.carrier.clone(), Some(observer))
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Calls an operation.
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
        let (service, method) = (operation.service, operation.name);
        let needs = if operation.header().is_some() { Needs::Proof } else { Needs::Nothing };
        // the others go through `attempt`; what is filled from outside can't
        let called = async {
            let mut attempts = Attempts::new(self, needs, only_reads(method));
            loop {
                let turn = attempts.next().await?;
                match self.exchange(&turn.site, operation, &turn.proof, request, response).await {
                    Ok(_) => return Ok(()),
                    Err(cause) => attempts.after(&turn, cause).await?,
                }
            }
        };
        self.reported(service, method, called).await
    }

    /// The same over SOAP, keeping what went over the wire, secrets and all. Nothing is repeated.
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
        let needs = if operation.header().is_some() { Needs::Proof } else { Needs::Nothing };
        let turn = match Attempts::new(self, needs, false).next().await {
            Ok(turn) => turn,
            Err(cause) => return (None, Err(name(cause))),
        };
        let (site, proof) = (turn.site, turn.proof);
        let url = self.settings().soap_url(&site.url, operation.service, operation.name);
        let header = proof.auth_info.as_ref().map(|header| header as &dyn Structure);
        let transport = self.bearing(proof.headers.clone(), Arc::default());
        let soap = soapstone_soap::Client::new(transport, self.settings().limits);
        let (exchange, result) = soap.call_raw(operation, &url, header, request, response).await;
        (exchange, result.map_err(|error| name(Cause::Call(Arc::new(error)))))
    }

    /// Does what a call does, in a span of its own, and reports how it ended.
    async fn reported<T>(
        &self,
        service: &'static str,
        method: &'static str,
        called: impl Future<Output = Result<T, Cause>>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let span = tracing::debug_span!("portabilling", service, method, trace = tracing::field::Empty);
        let result = called.instrument(span).await.map_err(|cause| Error { service, method, cause });
        self.report(service, method, began, result.as_ref().err());
        result
    }

    fn report(&self, service: &'static str, method: &'static str, began: Instant, error: Option<&Error>) {
        if let Some(observer) = &self.inner.observer {
            observer(&CallReport { service, method, elapsed: began.elapsed(), error });
        }
    }
}

/// Whether a method changes nothing, as far as its name says: PortaBilling's are named consistently.
fn only_reads(method: &str) -> bool {
    ["get_", "list_", "ping", "validate_"].iter().any(|prefix| method.starts_with(prefix))
}
