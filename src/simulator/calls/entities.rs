//! The methods that give what belongs to accounts: customers, products, SIM cards, policies, numbers, invoices.

use portabilling::types::*;
use portabilling::{access_policy, customer, did, invoice, product, sim_card};
use soapstone_soap::{Context, Fault, Operation};

use super::super::page::{Page, like, same};
use super::{Answer, Billing, State, not_simulated};

impl customer::CustomerServer for Billing {
    async fn get_customer_info(
        &self,
        request: GetCustomerInfoRequest,
        _: &mut Context,
    ) -> Answer<GetCustomerInfoResponse> {
        let state = &mut *self.state();
        let customers = &state.world.customers;
        let customer_info = match (request.i_customer, &request.name) {
            (Some(i_customer), _) => customers.get(&i_customer).cloned(),
            (None, name) => {
                customers.values().find(|customer| name.is_some() && customer.name == *name).cloned()
            }
        };
        Ok(GetCustomerInfoResponse { customer_info })
    }

    async fn get_customer_list(
        &self,
        request: GetCustomerListRequest,
        _: &mut Context,
    ) -> Answer<GetCustomerListResponse> {
        let state = &mut *self.state();
        let page =
            Page { limit: request.limit, offset: request.offset, cap: 1000, get_total: request.get_total };
        let (customer_list, total) = page.of(state.world.customers.values(), |customer| {
            let closed = customer.bill_status.as_deref() == Some("C");
            (!closed || request.with_terminated == Some(1))
                && same(request.i_parent, customer.i_parent)
                && same(request.i_customer_type, customer.i_customer_type)
                && same(request.bill_status.as_ref(), customer.bill_status.as_ref())
                && like(request.name.as_deref(), customer.name.as_deref())
        });
        Ok(GetCustomerListResponse { customer_list, total })
    }

    async fn add_customer(
        &self,
        request: AddCustomerRequest,
        _: &mut Context,
    ) -> Answer<AddUpdateCustomerResponse> {
        let state = &mut *self.state();
        let info = request.customer_info.unwrap_or_default();
        if state
            .world
            .customers
            .values()
            .any(|customer| customer.name.is_some() && customer.name == info.name)
        {
            return Err(Fault::new("Server.Customer.duplicate_name", "there is one of that name").into());
        }
        let i_customer = state.world.add_customer();
        change(state, i_customer, &info);
        Ok(AddUpdateCustomerResponse { i_customer: Some(i_customer) })
    }

    async fn update_customer(
        &self,
        request: UpdateCustomerRequest,
        _: &mut Context,
    ) -> Answer<AddUpdateCustomerResponse> {
        let state = &mut *self.state();
        let info = request.customer_info.unwrap_or_default();
        let i_customer = info.i_customer.unwrap_or_default();
        if !change(state, i_customer, &info) {
            let text = format!("Customer {i_customer} not found");
            return Err(Fault::new("Server.Customer.update_customer.not_found", text).into());
        }
        Ok(AddUpdateCustomerResponse { i_customer: Some(i_customer) })
    }

    async fn terminate_customer(
        &self,
        request: TerminateCustomerRequest,
        _: &mut Context,
    ) -> Answer<TerminateCustomerResponse> {
        let state = &mut *self.state();
        let ended = state.world.terminate_customer(request.i_customer.unwrap_or_default());
        Ok(TerminateCustomerResponse { success: Some(i64::from(ended)) })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}

/// Applies an update: absent members stay, nil clears, a value sets.
fn change(state: &mut State, i_customer: i64, info: &CustomerInfo) -> bool {
    let Some(customer) = state.world.customers.get_mut(&i_customer) else { return false };
    let Ok(patch) = serde_json::to_value(info) else { return false };
    let changed = soapstone_soap::fill_json(customer, patch).is_ok();
    customer.i_customer = Some(i_customer);
    changed
}

impl product::ProductServer for Billing {
    async fn get_product_info(
        &self,
        request: GetProductInfoRequest,
        _: &mut Context,
    ) -> Answer<GetProductInfoResponse> {
        let state = &mut *self.state();
        let product_info = state.world.products.get(&request.i_product.unwrap_or_default()).cloned();
        Ok(GetProductInfoResponse { product_info })
    }

    async fn get_product_list(
        &self,
        request: GetProductListRequest,
        _: &mut Context,
    ) -> Answer<GetProductListResponse> {
        let state = &mut *self.state();
        let page =
            Page { limit: request.limit, offset: request.offset, cap: 1000, get_total: request.get_total };
        let (product_list, total) = page.of(state.world.products.values(), |_| true);
        Ok(GetProductListResponse { product_list, total })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}

impl sim_card::SIMCardServer for Billing {
    async fn get_card_info(
        &self,
        request: GetCardInfoRequest,
        _: &mut Context,
    ) -> Answer<GetCardInfoResponse> {
        let state = &mut *self.state();
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
    }

    async fn get_card_list(
        &self,
        request: GetCardListRequest,
        _: &mut Context,
    ) -> Answer<GetCardListResponse> {
        let state = &mut *self.state();
        let page =
            Page { limit: request.limit, offset: request.offset, cap: 1000, get_total: request.get_total };
        let (card_list, total) = page.of(state.world.cards.values(), |card| {
            same(request.i_account, card.i_account) && same(request.status.as_ref(), card.status.as_ref())
        });
        Ok(GetCardListResponse { card_list, total })
    }

    async fn assign_sim_card(
        &self,
        request: AssignSIMCardRequest,
        _: &mut Context,
    ) -> Answer<AssignSIMCardResponse> {
        let world = &mut self.state().world;
        let i_account = request.i_account.filter(|i_account| world.accounts.contains_key(i_account));
        let (Some(i_account), Some(card)) =
            (i_account, world.cards.get_mut(&request.i_sim_card.unwrap_or_default()))
        else {
            return Err(Fault::new("Server.SIMCard.not_found", "there is no such card or account").into());
        };
        if card.i_account.is_some_and(|other| other != i_account) {
            return Err(Fault::new("Server.SIMCard.already_in_use", "another account has the card").into());
        }
        card.i_account = Some(i_account);
        card.status = Some("used".into());
        Ok(AssignSIMCardResponse { success: Some(1) })
    }

    async fn release_sim_card(
        &self,
        request: ReleaseSIMCardRequest,
        _: &mut Context,
    ) -> Answer<ReleaseSIMCardResponse> {
        let world = &mut self.state().world;
        let Some(card) = world.cards.get_mut(&request.i_sim_card.unwrap_or_default()) else {
            return Err(Fault::new("Server.SIMCard.not_found", "there is no such card").into());
        };
        card.i_account = None;
        card.status = Some("available".into());
        Ok(ReleaseSIMCardResponse { success: Some(1) })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}

impl access_policy::AccessPolicyServer for Billing {
    async fn get_access_policy_info(
        &self,
        request: GetAccessPolicyInfoRequest,
        _: &mut Context,
    ) -> Answer<GetAccessPolicyInfoResponse> {
        let state = &mut *self.state();
        let policy = state.world.policies.get(&request.i_access_policy.unwrap_or_default());
        Ok(GetAccessPolicyInfoResponse { access_policy_info: policy.cloned() })
    }

    async fn get_access_policy_list(
        &self,
        request: GetAccessPolicyListRequest,
        _: &mut Context,
    ) -> Answer<GetAccessPolicyListResponse> {
        let state = &mut *self.state();
        let page =
            Page { limit: request.limit, offset: request.offset, cap: 1000, get_total: request.get_total };
        let (access_policy_list, total) = page.of(state.world.policies.values(), |_| true);
        Ok(GetAccessPolicyListResponse { access_policy_list, total })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}

impl did::DIDServer for Billing {
    async fn get_number_list(
        &self,
        request: GetDIDNumberListRequest,
        _: &mut Context,
    ) -> Answer<GetDIDNumberListResponse> {
        let state = &mut *self.state();
        // more than 100 at once are an error in the field
        if request.limit.is_some_and(|limit| limit > 100) {
            return Err(Fault::new("Client.DID.get_number_list.limit", "limit is too large").into());
        }
        let page = Page { limit: request.limit, offset: request.offset, cap: 100, get_total: Some(1) };
        let (number_list, total) = page.of(state.world.numbers.values(), |did| {
            same(request.i_customer, did.i_customer) && like(request.number.as_deref(), did.number.as_deref())
        });
        Ok(GetDIDNumberListResponse { number_list, total })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}

impl invoice::InvoiceServer for Billing {
    async fn get_invoice_info(
        &self,
        request: GetInvoiceInfoRequest,
        _: &mut Context,
    ) -> Answer<GetInvoiceInfoResponse> {
        let state = &mut *self.state();
        let invoice = state.world.invoices.get(&request.i_invoice.unwrap_or_default());
        Ok(GetInvoiceInfoResponse { invoice_info: invoice.cloned() })
    }

    async fn get_invoice_list(
        &self,
        request: GetInvoiceListRequest,
        _: &mut Context,
    ) -> Answer<GetInvoiceListResponse> {
        let state = &mut *self.state();
        if request.limit.is_some_and(|limit| limit > 3000) {
            return Err(Fault::new("Client.Invoice.get_invoice_list.limit", "limit is too large").into());
        }
        let page = Page { limit: request.limit, offset: request.offset, cap: 3000, get_total: Some(1) };
        let (invoice_list, total) =
            page.of(state.world.invoices.values(), |invoice| same(request.i_customer, invoice.i_customer));
        Ok(GetInvoiceListResponse { invoice_list, total })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
    }
}
