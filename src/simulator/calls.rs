//! What the simulated methods do, from typed request to typed answer: the generated server traits, implemented.

mod account;
mod entities;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use portabilling::types::*;
use portabilling::{
    SERVICES, access_policy, account as accounts, customer, did, env, generic, invoice, product, session,
    sim_card,
};
use soapstone_soap::{Context, Fault, Operation, Port, Service, TypedFault};

use super::http::Disturbance;
use super::sessions::{I_USER, Issued, Sessions};
use super::world::World;

/// What a method works on.
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) sessions: Sessions,
}

/// The services of the simulated PortaBilling.
#[derive(Clone)]
pub(crate) struct Billing {
    state: Arc<Mutex<State>>,
    disturbance: Arc<Mutex<Disturbance>>,
}

/// The access token of an HTTP header, where the request may have it there: an extension of the HTTP request.
#[derive(Clone)]
pub(crate) struct Bearer(pub(crate) String);

/// What a login sets: an extension of the HTTP request that goes into the head of its answer.
#[derive(Clone, Default)]
pub(crate) struct Cookies(pub(crate) Arc<Mutex<Vec<String>>>);

type Answer<T> = Result<T, TypedFault>;

impl Billing {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), disturbance: Arc::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn disturbance(&self) -> MutexGuard<'_, Disturbance> {
        self.disturbance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every service of the definitions, in their order; methods that aren't simulated say so with a fault.
    pub(crate) fn ports(&self) -> Vec<Port> {
        let simulated = [
            session::SessionServer::port(self.clone()),
            generic::GenericServer::port(self.clone()),
            env::EnvServer::port(self.clone()),
            accounts::AccountServer::port(self.clone()),
            customer::CustomerServer::port(self.clone()),
            product::ProductServer::port(self.clone()),
            sim_card::SIMCardServer::port(self.clone()),
            access_policy::AccessPolicyServer::port(self.clone()),
            did::DIDServer::port(self.clone()),
            invoice::InvoiceServer::port(self.clone()),
        ];
        let port = |service: &'static Service| {
            let found = simulated.iter().find(|port| std::ptr::eq(port.service(), service)).cloned();
            let billing = self.clone();
            found
                .unwrap_or_else(|| Port::new(service).otherwise(not_simulated))
                .guard(move |context| billing.admit(context))
        };
        SERVICES.iter().copied().map(port).collect()
    }

    /// Whether a call has a session that is open, and isn't disturbed.
    ///
    /// `ping` and `logout` take the session as a parameter; of a dead one, `ping` says so without a fault.
    fn admit(&self, context: &Context) -> Result<(), Fault> {
        let operation = context.operation();
        if operation.header().is_none()
            || operation.service == "Session" && operation.name != "login_to_realm"
        {
            return Ok(());
        }
        let none = AuthInfoStructure::default();
        let auth = context.header::<AuthInfoStructure>().unwrap_or(&none);
        let bearer = context.request().extensions.get::<Bearer>().map(|bearer| bearer.0.as_str());
        self.state().sessions.check(auth, bearer, Timestamp::now())?;
        match self.disturbance().fault {
            Some(code) => Err(Fault::new(code, "disturbed on purpose")),
            None => Ok(()),
        }
    }
}

fn not_simulated(operation: &Operation) -> Fault {
    Fault::new(
        format!("Server.{}.{}.not_simulated", operation.service, operation.name),
        "the simulator doesn't know this method",
    )
}

impl session::SessionServer for Billing {
    async fn login(&self, request: LoginRequest, context: &mut Context) -> Answer<LoginResponse> {
        let issued = self.state().sessions.log_in(&request, Timestamp::now())?;
        if let Some(Cookies(cookies)) = context.request().extensions.get() {
            let set = [("session_id", &issued.session_id), ("access_token", &issued.access_token)];
            let set = set.map(|(name, value)| format!("{name}={value}; Path=/; HttpOnly"));
            cookies.lock().unwrap_or_else(PoisonError::into_inner).extend(set);
        }
        Ok(LoginResponse {
            session_id: Some(issued.session_id),
            access_token: Some(issued.access_token),
            refresh_token: Some(issued.refresh_token),
            expires_at: Some(issued.expires_at),
            expires_in: Some(issued.expires_in),
        })
    }

    async fn refresh_access_token(
        &self,
        request: RefreshAccessTokenRequest,
        _: &mut Context,
    ) -> Answer<RefreshAccessTokenResponse> {
        let state = &mut *self.state();
        let now = Timestamp::now();
        let Issued { access_token, refresh_token, expires_at, expires_in, .. } =
            state.sessions.refresh(request.refresh_token.as_deref(), now)?;
        Ok(RefreshAccessTokenResponse {
            access_token: Some(access_token),
            refresh_token: Some(refresh_token),
            expires_at: Some(expires_at),
            expires_in: Some(expires_in),
        })
    }

    async fn login_to_realm(
        &self,
        request: LoginToRealmRequest,
        _: &mut Context,
    ) -> Answer<LoginToRealmResponse> {
        let issued = self.state().sessions.become_other(request.login.as_deref(), Timestamp::now())?;
        Ok(LoginToRealmResponse {
            session_id: Some(issued.session_id),
            access_token: Some(issued.access_token),
            refresh_token: Some(issued.refresh_token),
            expires_at: Some(issued.expires_at),
        })
    }

    async fn ping(&self, request: PingRequest, _: &mut Context) -> Answer<PingResponse> {
        let state = &mut *self.state();
        let now = Timestamp::now();
        let open =
            state.sessions.is_open(request.session_id.as_deref(), request.access_token.as_deref(), now);
        Ok(PingResponse { user_id: Some(if open { I_USER } else { 0 }) })
    }

    async fn logout(&self, request: LogoutRequest, _: &mut Context) -> Answer<LogoutResponse> {
        let state = &mut *self.state();
        state.sessions.log_out(request.session_id.as_deref(), request.access_token.as_deref());
        Ok(LogoutResponse { success: Some(1) })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}

impl generic::GenericServer for Billing {
    async fn get_version(&self, _: GetVersionRequest, _: &mut Context) -> Answer<GetVersionResponse> {
        Ok(GetVersionResponse { version: Some("MR128".into()) })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}

impl env::EnvServer for Billing {
    async fn get_env_info(&self, _: GetEnvInfoRequest, _: &mut Context) -> Answer<GetEnvInfoResponse> {
        Ok(GetEnvInfoResponse { env_info: Some(EnvInfo { email: Some("noc@example.org".into()) }) })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}
