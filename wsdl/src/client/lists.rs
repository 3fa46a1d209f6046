//! Lists page by page: `limit`, `offset` and `total`, within the caps that PortaBilling has.

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use soapstone_soap::Call;

use super::{Client, Error};
use crate::types;

/// An operation that lists, a page at a time.
pub trait Paged: Call {
    /// What it lists.
    type Item: Send;
    /// The most that PortaBilling gives at once; more is an error there, or is cut.
    const CAP: i64;
    /// Asks for a page, and for how many there are in all.
    fn ask(request: &mut Self::Request, limit: i64, offset: i64);
    /// What is on a page.
    fn read(response: Self::Response) -> Portion<Self::Item>;
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// How many there are in all, where the answer says so.
    pub total: Option<i64>,
}

struct Walk<C: Paged> {
    client: Client,
    request: Option<C::Request>,
    limit: i64,
    offset: i64,
}

impl Client {
    /// Everything that a list has, fetched page by page as it is read; `page` items at a time, at most [`Paged::CAP`].
    ///
    /// The list ends with an empty page, or where its total says so: a page may be shorter than was asked for, since
    /// PortaBilling caps some lists without saying so. What is added or removed meanwhile may be missed or seen twice.
    ///
    /// ```no_run
    /// use futures::TryStreamExt as _;
    /// use portabilling::account::{GetAccountList, GetAccountListRequest};
    /// # async fn example(client: portabilling::client::Client) -> Result<(), portabilling::client::Error> {
    /// let request = GetAccountListRequest { i_customer: Some(34), ..Default::default() };
    /// let mut accounts = std::pin::pin!(client.list::<GetAccountList>(request, 500));
    /// while let Some(account) = accounts.try_next().await? {
    ///     println!("{:?}", account.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list<C: Paged>(
        &self,
        request: C::Request,
        page: usize,
    ) -> impl Stream<Item = Result<C::Item, Error>> + Send + use<C>
    where
        C::Request: Clone + Send + Sync,
        C::Response: Send,
    {
        let limit = i64::try_from(page).unwrap_or(i64::MAX).clamp(1, C::CAP);
        let walk = Walk::<C> { client: self.clone(), request: Some(request), limit, offset: 0 };
        stream::try_unfold(walk, step).map_ok(|items| stream::iter(items).map(Ok)).try_flatten()
    }
}

async fn step<C: Paged>(mut walk: Walk<C>) -> Result<Option<(Vec<C::Item>, Walk<C>)>, Error>
where
    C::Request: Clone,
{
    let Some(mut request) = walk.request.clone() else { return Ok(None) };
    C::ask(&mut request, walk.limit, walk.offset);
    let Portion { items, total } = C::read(walk.client.call::<C>(&request).await?);
    let received = i64::try_from(items.len()).unwrap_or(i64::MAX);
    walk.offset = walk.offset.saturating_add(received);
    // a total of 0 beside items is no total
    if received == 0 || total.is_some_and(|total| total > 0 && walk.offset >= total) {
        walk.request = None;
    }
    Ok(Some((items, walk)))
}

/// What most lists have in common.
const USUAL: i64 = 1000;
/// Of DID numbers and vendor batches: more is an error (users' reports).
const NUMBERS: i64 = 100;
/// Of invoices and call records: more is an error (users' reports).
const RECORDS: i64 = 3000;

macro_rules! paged {
    ($($module:ident::$operation:ident, $item:ty, $list:ident, $cap:ident, $asked:tt $total:tt;)*) => {$(
        impl Paged for crate::$module::$operation {
            type Item = $item;
            const CAP: i64 = $cap;
            fn ask(request: &mut Self::Request, limit: i64, offset: i64) {
                request.limit = Some(limit);
                request.offset = Some(offset);
                paged!(@asked $asked request);
            }
            fn read(response: Self::Response) -> Portion<Self::Item> {
                Portion { total: paged!(@total $total response), items: response.$list }
            }
        }
    )*};
    (@asked get_total $request:ident) => { $request.get_total = Some(1); };
    (@asked - $request:ident) => {};
    (@total total $response:ident) => { $response.total };
    (@total - $response:ident) => { None };
}

paged! {
    access_policy::GetAccessPolicyList, types::AccessPolicyInfo, access_policy_list, USUAL, get_total total;
    account::GetAccountList, types::AccountInfo, account_list, USUAL, get_total total;
    account::GetXdrList, types::XDRInfo, xdr_list, RECORDS, get_total total;
    account::GetPhonebookList, types::PhonebookRecInfo, phonebook_rec_list, USUAL, get_total -;
    billing_session::GetActiveSessionsList, types::ActiveSessionInfo, active_session_list, USUAL, get_total total;
    customer::GetCustomerList, types::CustomerInfo, customer_list, USUAL, get_total total;
    customer::GetCustomerXdrs, types::XDRInfo, xdr_list, RECORDS, get_total total;
    customer::GetHuntgroupList, crate::Any, huntgroup_list, USUAL, get_total total;
    did::GetNumberList, types::DIDNumberInfo, number_list, NUMBERS, - total;
    did::GetVendorBatchList, crate::Any, vendor_batch_list, NUMBERS, - -;
    discount_plan::GetDiscountPlanList, crate::Any, discount_plan_list, USUAL, - -;
    invoice::GetInvoiceList, types::InvoiceInfo, invoice_list, RECORDS, - total;
    product::GetProductList, types::ProductInfo, product_list, USUAL, get_total total;
    service::GetServiceList, crate::Any, service_list, USUAL, - -;
    sim_card::GetCardList, types::CardInfo, card_list, USUAL, get_total total;
    subscription::GetSubscriptionList, crate::Any, subscription_list, USUAL, get_total total;
    web_log::GetWebLogList, crate::Any, web_log_list, USUAL, - total;
}
