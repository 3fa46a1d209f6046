//! The methods of the service Account.

use portabilling::account;
use portabilling::types::*;
use soapstone_soap::{Context, Fault, Operation};

use super::super::page::{Page, like, same};
use super::{Answer, Billing, State, not_simulated};

impl account::AccountServer for Billing {
    async fn get_account_info(
        &self,
        request: GetAccountInfoRequest,
        _: &mut Context,
    ) -> Answer<GetAccountInfoResponse> {
        let state = &mut *self.state();
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
    }

    async fn get_account_list(
        &self,
        request: GetAccountListRequest,
        _: &mut Context,
    ) -> Answer<GetAccountListResponse> {
        let state = &mut *self.state();
        let page =
            Page { limit: request.limit, offset: request.offset, cap: 1000, get_total: request.get_total };
        let (account_list, total) = page.of(state.world.accounts.values(), |account| {
            same(request.i_customer, account.i_customer)
                && same(request.i_product, account.i_product)
                && same(request.bill_status.as_ref(), account.bill_status.as_ref())
                && like(request.id.as_deref(), account.id.as_deref())
        });
        Ok(GetAccountListResponse { account_list, total })
    }

    async fn add_account(
        &self,
        request: AddAccountRequest,
        _: &mut Context,
    ) -> Answer<AddUpdateAccountResponse> {
        let state = &mut *self.state();
        let info = request.account_info.unwrap_or_default();
        if state.world.accounts.values().any(|account| account.id.is_some() && account.id == info.id) {
            return Err(
                Fault::new("Server.Account.duplicate_id", "Failed to add Account: duplicate id").into()
            );
        }
        let i_account = state.world.add_account();
        change(state, i_account, &info);
        Ok(AddUpdateAccountResponse { i_account: Some(i_account) })
    }

    async fn update_account(
        &self,
        request: UpdateAccountRequest,
        _: &mut Context,
    ) -> Answer<AddUpdateAccountResponse> {
        let state = &mut *self.state();
        let info = request.account_info.unwrap_or_default();
        let i_account = info.i_account.unwrap_or_default();
        if !change(state, i_account, &info) {
            return Err(Fault::new(
                "Server.Account.update_account.not_found",
                format!("Account {i_account} not found"),
            )
            .into());
        }
        Ok(AddUpdateAccountResponse { i_account: Some(i_account) })
    }

    async fn terminate_account(
        &self,
        request: TerminateAccountRequest,
        _: &mut Context,
    ) -> Answer<TerminateAccountResponse> {
        let state = &mut *self.state();
        let ended = state.world.terminate(request.i_account.unwrap_or_default());
        Ok(TerminateAccountResponse { success: Some(i64::from(ended)) })
    }

    async fn get_full_vd_counter_info(
        &self,
        request: GetFullVDCounterInfoRequest,
        _: &mut Context,
    ) -> Answer<GetFullVDCounterInfoResponse> {
        let state = &mut *self.state();
        let full_vd_counter_info = state.world.counters(request.i_account.unwrap_or_default());
        Ok(GetFullVDCounterInfoResponse { full_vd_counter_info })
    }

    fn not_implemented(&self, operation: &'static Operation) -> Fault {
        not_simulated(operation)
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
