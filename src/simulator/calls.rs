//! The methods that the simulator knows, each a function from a typed request to a typed answer.

use std::any::Any;
use std::collections::BTreeMap;

use jiff::Timestamp;
use portabilling::types::*;
use portabilling::{
    access_policy, account, customer, did, env, generic, invoice, product, session, sim_card,
};
use soapstone_soap::{Call, Fault, Operation, Structure};

use super::sessions::{I_USER, Issued, Sessions};
use super::world::World;

/// What a method works on.
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) sessions: Sessions,
}

type Method =
    Box<dyn Fn(&mut State, Box<dyn Structure>, Timestamp) -> Result<Box<dyn Structure>, Fault> + Send + Sync>;

/// The methods by service and name.
pub(crate) struct Methods(BTreeMap<(&'static str, &'static str), Method>);

impl Methods {
    /// Answers a call; methods of the definitions that aren't simulated say so with a fault.
    pub(crate) fn answer(
        &self,
        state: &mut State,
        operation: &Operation,
        request: Box<dyn Structure>,
        now: Timestamp,
    ) -> Result<Box<dyn Structure>, Fault> {
        match self.0.get(&(operation.service, operation.name)) {
            Some(method) => method(state, request, now),
            None => Err(Fault::new(
                format!("Server.{}.{}.not_simulated", operation.service, operation.name),
                "the simulator doesn't know this method",
            )),
        }
    }

    fn add<C: Call>(
        &mut self,
        method: impl Fn(&mut State, C::Request, Timestamp) -> Result<C::Response, Fault> + Send + Sync + 'static,
    ) {
        let operation = C::operation();
        let method: Method = Box::new(move |state, request, now| {
            let request: Box<dyn Any> = request;
            let request = request
                .downcast::<C::Request>()
                .map_err(|_| Fault::new("Server.internal", "the request is of another operation"))?;
            Ok(Box::new(method(state, *request, now)?))
        });
        self.0.insert((operation.service, operation.name), method);
    }

    /// All that are simulated.
    pub(crate) fn new() -> Self {
        let mut methods = Methods(BTreeMap::new());
        methods.sessions();
        methods.accounts();
        methods.the_rest();
        methods
    }

    fn sessions(&mut self) {
        self.add::<session::Login>(|state, request, now| {
            let issued = state.sessions.log_in(&request, now)?;
            Ok(LoginResponse {
                session_id: Some(issued.session_id),
                access_token: Some(issued.access_token),
                refresh_token: Some(issued.refresh_token),
                expires_at: Some(issued.expires_at),
                expires_in: Some(issued.expires_in),
            })
        });
        self.add::<session::RefreshAccessToken>(|state, request, now| {
            let Issued { access_token, refresh_token, expires_at, expires_in, .. } =
                state.sessions.refresh(request.refresh_token.as_deref(), now)?;
            Ok(RefreshAccessTokenResponse {
                access_token: Some(access_token),
                refresh_token: Some(refresh_token),
                expires_at: Some(expires_at),
                expires_in: Some(expires_in),
            })
        });
        self.add::<session::Ping>(|state, request, now| {
            let open =
                state.sessions.is_open(request.session_id.as_deref(), request.access_token.as_deref(), now);
            Ok(PingResponse { user_id: Some(if open { I_USER } else { 0 }) })
        });
        self.add::<session::Logout>(|state, request, _| {
            state.sessions.log_out(request.session_id.as_deref(), request.access_token.as_deref());
            Ok(LogoutResponse { success: Some(1) })
        });
        self.add::<generic::GetVersion>(|_, _, _| Ok(GetVersionResponse { version: Some("MR128".into()) }));
        self.add::<env::GetEnvInfo>(|_, _, _| {
            Ok(GetEnvInfoResponse { env_info: Some(EnvInfo { email: Some("noc@example.org".into()) }) })
        });
    }

    fn accounts(&mut self) {
        self.add::<account::GetAccountInfo>(|state, request, _| {
            let accounts = &state.world.accounts;
            let by_member =
                |matches: &dyn Fn(&AccountInfo) -> bool| accounts.values().find(|account| matches(account));
            let found = match (request.i_account, &request.id, &request.login) {
                (Some(i_account), ..) => accounts.get(&i_account),
                (None, Some(id), _) => by_member(&|account| account.id.as_ref() == Some(id)),
                (None, None, Some(login)) => by_member(&|account| account.login.as_ref() == Some(login)),
                (None, None, None) => None,
            };
            let mut info = found.cloned();
            if let (Some(info), Some(1)) = (&mut info, request.without_service_features) {
                info.service_features.clear();
            }
            Ok(GetAccountInfoResponse { account_info: info })
        });
        self.add::<account::GetAccountList>(|state, request, _| {
            let page = Page {
                limit: request.limit,
                offset: request.offset,
                cap: 1000,
                get_total: request.get_total,
            };
            let (account_list, total) = page.of(state.world.accounts.values(), |account| {
                same(request.i_customer, account.i_customer)
                    && same(request.i_product, account.i_product)
                    && same(request.bill_status.as_ref(), account.bill_status.as_ref())
                    && like(request.id.as_deref(), account.id.as_deref())
            });
            Ok(GetAccountListResponse { account_list, total })
        });
        self.add::<account::AddAccount>(|state, request, _| {
            let info = request.account_info.unwrap_or_default();
            if state.world.accounts.values().any(|account| account.id.is_some() && account.id == info.id) {
                return Err(Fault::new("Server.Account.duplicate_id", "Failed to add Account: duplicate id"));
            }
            let i_account = state.world.add_account();
            change(state, i_account, &info);
            Ok(AddUpdateAccountResponse { i_account: Some(i_account) })
        });
        self.add::<account::UpdateAccount>(|state, request, _| {
            let info = request.account_info.unwrap_or_default();
            let i_account = info.i_account.unwrap_or_default();
            if !change(state, i_account, &info) {
                return Err(Fault::new(
                    "Server.Account.update_account.not_found",
                    format!("Account {i_account} not found"),
                ));
            }
            Ok(AddUpdateAccountResponse { i_account: Some(i_account) })
        });
        self.add::<account::TerminateAccount>(|state, request, _| {
            let ended = state.world.terminate(request.i_account.unwrap_or_default());
            Ok(TerminateAccountResponse { success: Some(i64::from(ended)) })
        });
        self.add::<account::GetFullVdCounterInfo>(|state, request, _| {
            let full_vd_counter_info = state.world.counters(request.i_account.unwrap_or_default());
            Ok(GetFullVDCounterInfoResponse { full_vd_counter_info })
        });
    }

    fn the_rest(&mut self) {
        self.add::<customer::GetCustomerInfo>(|state, request, _| {
            let customers = &state.world.customers;
            let customer_info = match (request.i_customer, &request.name) {
                (Some(i_customer), _) => customers.get(&i_customer).cloned(),
                (None, name) => {
                    customers.values().find(|customer| name.is_some() && customer.name == *name).cloned()
                }
            };
            Ok(GetCustomerInfoResponse { customer_info })
        });
        self.add::<customer::GetCustomerList>(|state, request, _| {
            let page = Page {
                limit: request.limit,
                offset: request.offset,
                cap: 1000,
                get_total: request.get_total,
            };
            let (customer_list, total) = page.of(state.world.customers.values(), |customer| {
                like(request.name.as_deref(), customer.name.as_deref())
            });
            Ok(GetCustomerListResponse { customer_list, total })
        });
        self.add::<product::GetProductInfo>(|state, request, _| {
            let product_info = state.world.products.get(&request.i_product.into_id()).cloned();
            Ok(GetProductInfoResponse { product_info })
        });
        self.add::<product::GetProductList>(|state, request, _| {
            let page = Page {
                limit: request.limit,
                offset: request.offset,
                cap: 1000,
                get_total: request.get_total,
            };
            let (product_list, total) = page.of(state.world.products.values(), |_| true);
            Ok(GetProductListResponse { product_list, total })
        });
        self.add::<sim_card::GetCardInfo>(|state, request, _| {
            let card_info = state.world.cards.values().find(|card| {
                let asked = request.i_sim_card.is_some()
                    || request.i_account.is_some()
                    || request.iccid.is_some()
                    || request.imsi.is_some()
                    || request.msisdn.is_some();
                asked
                    && same(request.i_sim_card, card.i_sim_card)
                    && same(request.i_account, card.i_account)
                    && same(request.iccid.as_ref(), card.iccid.as_ref())
                    && same(request.imsi.as_ref(), card.imsi.as_ref())
                    && same(request.msisdn.as_ref(), card.msisdn.as_ref())
            });
            Ok(GetCardInfoResponse { card_info: card_info.cloned() })
        });
        self.add::<sim_card::GetCardList>(|state, request, _| {
            let page = Page {
                limit: request.limit,
                offset: request.offset,
                cap: 1000,
                get_total: request.get_total,
            };
            let (card_list, total) = page.of(state.world.cards.values(), |card| {
                same(request.i_account, card.i_account) && same(request.status.as_ref(), card.status.as_ref())
            });
            Ok(GetCardListResponse { card_list, total })
        });
        self.add::<access_policy::GetAccessPolicyInfo>(|state, request, _| {
            let policy = state.world.policies.get(&request.i_access_policy.unwrap_or_default());
            Ok(GetAccessPolicyInfoResponse { access_policy_info: policy.cloned() })
        });
        self.add::<access_policy::GetAccessPolicyList>(|state, request, _| {
            let page = Page {
                limit: request.limit,
                offset: request.offset,
                cap: 1000,
                get_total: request.get_total,
            };
            let (access_policy_list, total) = page.of(state.world.policies.values(), |_| true);
            Ok(GetAccessPolicyListResponse { access_policy_list, total })
        });
        self.add::<did::GetNumberList>(|state, request, _| {
            // more than 100 at once are an error in the field
            if request.limit.is_some_and(|limit| limit > 100) {
                return Err(Fault::new("Client.DID.get_number_list.limit", "limit is too large"));
            }
            let page = Page { limit: request.limit, offset: request.offset, cap: 100, get_total: Some(1) };
            let (number_list, total) = page.of(state.world.numbers.values(), |did| {
                same(request.i_customer, did.i_customer)
                    && like(request.number.as_deref(), did.number.as_deref())
            });
            Ok(GetDIDNumberListResponse { number_list, total })
        });
        self.add::<invoice::GetInvoiceInfo>(|state, request, _| {
            let invoice = state.world.invoices.get(&request.i_invoice.unwrap_or_default());
            Ok(GetInvoiceInfoResponse { invoice_info: invoice.cloned() })
        });
        self.add::<invoice::GetInvoiceList>(|state, request, _| {
            if request.limit.is_some_and(|limit| limit > 3000) {
                return Err(Fault::new("Client.Invoice.get_invoice_list.limit", "limit is too large"));
            }
            let page = Page { limit: request.limit, offset: request.offset, cap: 3000, get_total: Some(1) };
            let (invoice_list, total) = page
                .of(state.world.invoices.values(), |invoice| same(request.i_customer, invoice.i_customer));
            Ok(GetInvoiceListResponse { invoice_list, total })
        });
    }
}

/// Applies an update: absent members stay, nil clears, a value sets.
fn change(state: &mut State, i_account: i64, info: &AccountInfo) -> bool {
    let Some(account) = state.world.accounts.get_mut(&i_account) else { return false };
    let Ok(patch) = serde_json::to_value(info) else { return false };
    let changed = soapstone_soap::fill_json(account, patch).is_ok();
    account.i_account = Some(i_account);
    changed
}

/// A criterion that isn't given, or is met.
fn same<T: PartialEq>(wanted: Option<T>, there: Option<T>) -> bool {
    wanted.is_none() || wanted == there
}

/// PortaBilling's pattern: `%` at either end stands for anything.
fn like(pattern: Option<&str>, text: Option<&str>) -> bool {
    let Some(pattern) = pattern else { return true };
    let text = text.unwrap_or_default();
    let bare = pattern.trim_matches('%');
    match (pattern.starts_with('%'), pattern.ends_with('%')) {
        (true, true) => text.contains(bare),
        (true, false) => text.ends_with(bare),
        (false, true) => text.starts_with(bare),
        (false, false) => text == pattern,
    }
}

/// A page of a list, as `limit`, `offset` and `get_total` ask for it.
struct Page {
    limit: Option<i64>,
    offset: Option<i64>,
    /// The most that one call gives.
    cap: usize,
    get_total: Option<i64>,
}

impl Page {
    fn of<'a, T: Clone + 'a>(
        &self,
        all: impl Iterator<Item = &'a T>,
        matches: impl Fn(&T) -> bool,
    ) -> (Vec<T>, Option<i64>) {
        let found: Vec<&T> = all.filter(|item| matches(item)).collect();
        let offset = usize::try_from(self.offset.unwrap_or(0)).unwrap_or(0);
        // no limit, or none worth the name: 50
        let limit = match self.limit {
            Some(limit) if limit > 0 => usize::try_from(limit).unwrap_or(self.cap),
            _ => 50,
        };
        let page = found.iter().skip(offset).take(limit.min(self.cap)).map(|item| (*item).clone()).collect();
        let total = (self.get_total == Some(1)).then(|| i64::try_from(found.len()).unwrap_or(i64::MAX));
        (page, total)
    }
}

/// An id that may be absent or nil.
trait IntoId {
    fn into_id(self) -> i64;
}

impl IntoId for Option<i64> {
    fn into_id(self) -> i64 {
        self.unwrap_or_default()
    }
}
