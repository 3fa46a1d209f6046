//! The lab's contract in document/literal: types of its own with the same members, so each call goes through the
//! contract by its JSON face.
use serde_json::Value as Json;
use soapstone_soap::{Call, Context, Fault, Port, Structure, TypedFault};

use super::lab::{self, all as rpc};

use generated::all::*;

/// Made from `tests/peers/wsdl/doc/AllAdminService.wsdl`, see the test of the lab.
mod generated {
    include!("generated_doc.rs");
}

struct Lab;

type Answer<T> = Result<T, TypedFault>;

impl AllServer for Lab {
    async fn login_call(&self, request: Login, context: &mut Context) -> Answer<LoginResponse> {
        through::<rpc::Login, _, _>(&request, context)
    }

    async fn logout_call(&self, request: Logout, context: &mut Context) -> Answer<LogoutResponse> {
        through::<rpc::Logout, _, _>(&request, context)
    }

    async fn ping_call(&self, request: Ping, context: &mut Context) -> Answer<PingResponse> {
        through::<rpc::Ping, _, _>(&request, context)
    }

    async fn refresh_access_token_call(
        &self,
        request: RefreshAccessToken,
        context: &mut Context,
    ) -> Answer<RefreshAccessTokenResponse> {
        through::<rpc::RefreshAccessToken, _, _>(&request, context)
    }

    async fn get_account_info_call(
        &self,
        request: GetAccountInfo,
        context: &mut Context,
    ) -> Answer<GetAccountInfoResponse> {
        through::<rpc::GetAccountInfo, _, _>(&request, context)
    }

    async fn get_account_list_call(
        &self,
        request: GetAccountList,
        context: &mut Context,
    ) -> Answer<GetAccountListResponse> {
        through::<rpc::GetAccountList, _, _>(&request, context)
    }

    async fn update_account_call(
        &self,
        request: UpdateAccount,
        context: &mut Context,
    ) -> Answer<UpdateAccountResponse> {
        through::<rpc::UpdateAccount, _, _>(&request, context)
    }
}

pub fn port() -> Port {
    Lab.port()
}

fn through<C: Call, Q: Structure, A: Structure + Default>(request: &Q, context: &Context) -> Answer<A> {
    let mut parameter = C::Request::default();
    copy(request, &mut parameter)?;
    let header = match context.header::<AuthInfo>() {
        Some(header) => {
            let mut same = rpc::AuthInfo::default();
            copy(header, &mut same)?;
            Some(same)
        }
        None => None,
    };
    let mut answer = A::default();
    copy(&*lab::carry_out(C::operation(), header, Box::new(parameter))?, &mut answer)?;
    Ok(answer)
}

fn copy(from: &dyn Structure, to: &mut dyn Structure) -> Result<(), Fault> {
    let json: Json = serde_json::to_value(soapstone_soap::Json(from)).expect("structures are JSON");
    soapstone_soap::fill_json(to, json).map_err(|error| Fault::new("Server", error.to_string()))
}
