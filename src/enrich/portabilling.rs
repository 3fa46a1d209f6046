//! Asks PortaBilling over SOAP for what a handler wants to know.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use portabilling::access_policy::{GetAccessPolicyInfo, GetAccessPolicyInfoRequest};
use portabilling::account::{
    GetAccountInfo, GetAccountInfoRequest, GetFullVDCounterInfoRequest, GetFullVdCounterInfo,
};
use portabilling::client::{Client, Error};
use portabilling::customer::{GetCustomerInfo, GetCustomerInfoRequest};
use portabilling::fault::Class;
use portabilling::product::{GetProductInfo, GetProductInfoRequest};
use portabilling::sim_card::{GetCardInfo, GetCardInfoRequest};
use portabilling::types::{
    AccessPolicyInfo, AccountInfo, CardInfo, CustomerInfo, FullVDCounterInfo, ProductInfo,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fresh::Fresh;
use super::{Enrich, EnrichError, mapping};
use crate::chain::chain;
use crate::event::{Event, SubjectKind};
use crate::handler::Fetch;

/// How many answers each cache keeps.
const CACHE_ENTRIES: u64 = 10_000;

/// PortaBilling as the source of `pb_data`.
pub struct PortaBilling {
    client: Client,
    accounts: Fresh<AccountInfo>,
    cards: Fresh<CardInfo>,
    policies: Fresh<AccessPolicyInfo>,
    products: Fresh<ProductInfo>,
    counters: Fresh<Vec<FullVDCounterInfo>>,
    customers: Fresh<CustomerInfo>,
}

/// One event's questions: nothing older than `since` is an answer.
#[derive(Clone, Copy)]
struct Question {
    since: Timestamp,
    now: Timestamp,
}

type Answer<T> = Result<Option<Arc<T>>, Arc<Error>>;

impl PortaBilling {
    /// Asks through `client`; an answer serves others for `keep` (5 s in NSPS).
    pub fn new(client: Client, keep: Duration) -> Self {
        Self {
            client,
            accounts: Fresh::new(CACHE_ENTRIES, keep),
            cards: Fresh::new(CACHE_ENTRIES, keep),
            policies: Fresh::new(CACHE_ENTRIES, keep),
            products: Fresh::new(CACHE_ENTRIES, keep),
            counters: Fresh::new(CACHE_ENTRIES, keep),
            customers: Fresh::new(CACHE_ENTRIES, keep),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    async fn account(&self, question: Question, i_account: i64) -> Answer<AccountInfo> {
        let ask = || async move {
            let request = GetAccountInfoRequest {
                i_account: Some(i_account),
                detailed_info: Some(1),
                get_service_features: Some(1),
                ..GetAccountInfoRequest::default()
            };
            Ok(self.client.call::<GetAccountInfo>(&request).await?.account_info)
        };
        self.accounts.get(i_account, question.since, question.now, ask).await
    }

    async fn card_of(&self, question: Question, i_account: i64) -> Answer<CardInfo> {
        let ask = || async move {
            let request = GetCardInfoRequest { i_account: Some(i_account), ..GetCardInfoRequest::default() };
            Ok(self.client.call::<GetCardInfo>(&request).await?.card_info)
        };
        self.cards.get(i_account, question.since, question.now, ask).await
    }

    /// A card by what the event says of it; not cached, as such events are rare.
    async fn card(&self, request: GetCardInfoRequest) -> Answer<CardInfo> {
        let answer = self.client.call::<GetCardInfo>(&request).await.map_err(Arc::new)?;
        Ok(answer.card_info.map(Arc::new))
    }

    async fn policy(&self, question: Question, account: Option<&AccountInfo>) -> Answer<AccessPolicyInfo> {
        let Some(i_access_policy) = account.and_then(mapping::access_policy_of) else { return Ok(None) };
        let ask = || async move {
            let request = GetAccessPolicyInfoRequest { i_access_policy: Some(i_access_policy) };
            Ok(self.client.call::<GetAccessPolicyInfo>(&request).await?.access_policy_info)
        };
        self.policies.get(i_access_policy, question.since, question.now, ask).await
    }

    async fn product(&self, question: Question, i_product: Option<i64>) -> Answer<ProductInfo> {
        let Some(i_product) = i_product else { return Ok(None) };
        let ask = || async move {
            let request =
                GetProductInfoRequest { i_product: Some(i_product), ..GetProductInfoRequest::default() };
            Ok(self.client.call::<GetProductInfo>(&request).await?.product_info)
        };
        self.products.get(i_product, question.since, question.now, ask).await
    }

    async fn counters(&self, question: Question, i_account: i64) -> Answer<Vec<FullVDCounterInfo>> {
        let ask = || async move {
            let request = GetFullVDCounterInfoRequest { i_account: Some(i_account) };
            Ok(Some(self.client.call::<GetFullVdCounterInfo>(&request).await?.full_vd_counter_info))
        };
        self.counters.get(i_account, question.since, question.now, ask).await
    }

    async fn customer(&self, question: Question, i_customer: Option<i64>) -> Answer<CustomerInfo> {
        let Some(i_customer) = i_customer else { return Ok(None) };
        let ask = || async move {
            let request = GetCustomerInfoRequest {
                i_customer: Some(i_customer),
                detailed_info: Some(1),
                ..GetCustomerInfoRequest::default()
            };
            Ok(self.client.call::<GetCustomerInfo>(&request).await?.customer_info)
        };
        self.customers.get(i_customer, question.since, question.now, ask).await
    }

    /// Asks for what `fetch` names and nothing else; members in the contract's order.
    async fn ask(
        &self,
        event: &Event,
        fetch: &[Fetch],
        question: Question,
    ) -> Result<Map<String, Value>, Arc<Error>> {
        let wants = |wanted: &[Fetch]| wanted.iter().any(|one| fetch.contains(one));
        let named = Named::of(event);
        let card = match named.card() {
            Some(request) if wants(&[Fetch::SimInfo, Fetch::PrevSimInfo]) => self.card(request).await?,
            _ => None,
        };
        let i_account = named.i_account.or_else(|| card.as_ref()?.i_account);
        // the account leads to its customer, where the event itself doesn't
        let leads = wants(&[Fetch::CustomerInfo]) && named.i_customer.is_none();
        let account = match i_account {
            Some(id)
                if leads || wants(&[Fetch::AccountInfo, Fetch::AccessPolicyInfo, Fetch::ProductInfo]) =>
            {
                self.account(question, id).await?
            }
            _ => None,
        };
        let i_customer = account.as_ref().and_then(|account| account.i_customer).or(named.i_customer);
        let i_product = account.as_ref().and_then(|account| account.i_product).or(named.i_product);
        // the rest depends on nothing but these, so it is asked for at once
        let (card, policy, product, counters, customer) = tokio::try_join!(
            async {
                match (card, i_account) {
                    (None, Some(id)) if wants(&[Fetch::SimInfo, Fetch::PrevSimInfo]) => {
                        self.card_of(question, id).await
                    }
                    (card, _) => Ok(card),
                }
            },
            async {
                if wants(&[Fetch::AccessPolicyInfo]) {
                    self.policy(question, account.as_deref()).await
                } else {
                    Ok(None)
                }
            },
            async {
                if wants(&[Fetch::ProductInfo]) { self.product(question, i_product).await } else { Ok(None) }
            },
            async {
                match i_account {
                    Some(id) if wants(&[Fetch::FullVdCounterInfo]) => self.counters(question, id).await,
                    _ => Ok(None),
                }
            },
            async {
                if wants(&[Fetch::CustomerInfo]) {
                    self.customer(question, i_customer).await
                } else {
                    Ok(None)
                }
            },
        )?;
        let mut members = Map::new();
        let mut put = |wanted: &[Fetch], name: &str, value: Option<Value>| {
            if wants(wanted) {
                members.insert(name.into(), value.unwrap_or_default());
            }
        };
        put(&[Fetch::AccountInfo], "account_info", account.as_deref().map(mapping::account));
        // without the card that is there now, the next event couldn't tell which one was there before
        put(&[Fetch::SimInfo, Fetch::PrevSimInfo], "sim_info", card.as_deref().map(mapping::card));
        put(&[Fetch::AccessPolicyInfo], "access_policy_info", policy.as_deref().map(mapping::access_policy));
        put(&[Fetch::ProductInfo], "product_info", product.as_deref().map(mapping::product));
        let counters = counters.map(|list| Value::Array(list.iter().map(mapping::counter).collect()));
        put(&[Fetch::FullVdCounterInfo], "full_vd_counter_info", counters);
        put(&[Fetch::CustomerInfo], "customer_info", customer.as_deref().map(mapping::customer));
        Ok(members)
    }
}

#[async_trait]
impl Enrich for PortaBilling {
    async fn pb_data(
        &self,
        event: &Event,
        fetch: &[Fetch],
        last: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Box<RawValue>>, EnrichError> {
        if fetch.is_empty() {
            return Ok(None);
        }
        let question = Question { since: event.received_at, now };
        let mut members = self.ask(event, fetch, question).await.map_err(|error| unserved(&error))?;
        let last: Map<String, Value> =
            last.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if fetch.contains(&Fetch::PrevSimInfo) {
            let previous = previous_card(&members, &last).unwrap_or_default();
            members.insert("prev_sim_info".into(), previous);
        }
        if event.is_an_end() {
            remember(&mut members, &last);
        }
        let unwritable = |error: serde_json::Error| EnrichError {
            reason: error.to_string(),
            retryable: false,
            outage: false,
            after: None,
        };
        serde_json::value::to_raw_value(&members).map(Some).map_err(unwritable)
    }
}

/// The subject of `*/Deleted` may be gone, so what was delivered last stands for it: fills in what PortaBilling no longer has
/// from what was delivered last.
fn remember(members: &mut Map<String, Value>, last: &Map<String, Value>) {
    for (name, value) in members.iter_mut() {
        if value.is_null()
            && let Some(known) = last.get(name)
        {
            *value = known.clone();
        }
    }
}

/// The card that was delivered last, where it is another one than now.
fn previous_card(members: &Map<String, Value>, last: &Map<String, Value>) -> Option<Value> {
    let before = last.get("sim_info").filter(|card| card.is_object())?;
    let now = members.get("sim_info")?;
    (before.get("i_sim_card") != now.get("i_sim_card")).then(|| before.clone())
}

/// The ids that an event names.
#[derive(Default)]
struct Named {
    i_account: Option<i64>,
    i_customer: Option<i64>,
    i_product: Option<i64>,
    i_sim_card: Option<i64>,
    iccid: Option<String>,
    imsi: Option<String>,
}

impl Named {
    fn of(event: &Event) -> Self {
        let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
        let variables = &body["variables"];
        let number = |name: &str| match &variables[name] {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let text = |name: &str| match &variables[name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let subject =
            |kind: SubjectKind| (event.subject.kind == kind).then(|| event.subject.id.parse().ok()).flatten();
        Self {
            i_account: subject(SubjectKind::Account).or_else(|| number("i_account")),
            i_customer: subject(SubjectKind::Customer).or_else(|| number("i_customer")),
            i_product: subject(SubjectKind::Product).or_else(|| number("i_product")),
            i_sim_card: number("i_sim_card"),
            iccid: text("iccid"),
            imsi: text("imsi"),
        }
    }

    /// How to ask for the card, where no account leads to it.
    fn card(&self) -> Option<GetCardInfoRequest> {
        let named = self.i_sim_card.is_some() || self.iccid.is_some() || self.imsi.is_some();
        (self.i_account.is_none() && named).then(|| GetCardInfoRequest {
            i_sim_card: self.i_sim_card,
            iccid: self.iccid.clone(),
            imsi: self.imsi.clone(),
            ..GetCardInfoRequest::default()
        })
    }
}

/// What a failed question of a delivery means.
///
/// A right that is lacking is the API user's, whatever was asked: what may be seen of objects depends on the realm, and one
/// that may not be seen is left out of the answer. So nobody is served until somebody gives the right, and that is an outage.
fn unserved(error: &Error) -> EnrichError {
    let failed = failed(error);
    let lacks_right = error.class() == Some(Class::Permission);
    EnrichError { retryable: failed.retryable || lacks_right, outage: failed.outage || lacks_right, ..failed }
}

/// What a failed question means. Here a right that is lacking is the asker's own concern: a list that a walk may not have
/// must not hold up deliveries, which ask for nothing of it.
pub(super) fn failed(error: &Error) -> EnrichError {
    let advice = match error.class() {
        Some(Class::Permission) => {
            let (service, method) = (error.service, error.method);
            format!("; the API user lacks the right to {service}/{method}: give it in PortaBilling")
        }
        _ => String::new(),
    };
    EnrichError {
        reason: format!("PortaBilling: {}{advice}", chain(error)),
        retryable: error.may_work_later(),
        outage: error.is_outage(),
        after: error.retry_after(),
    }
}
