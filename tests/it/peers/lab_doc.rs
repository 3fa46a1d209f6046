//! The lab's contract in document/literal: types of its own with the same members, so each call goes through the
//! contract by its JSON face.
use std::any::Any as StdAny;

use soapstone_soap::{Call, Context, Port, Structure, TypedFault};

use super::lab::generated_doc::all::*;
use super::lab::{self, all as rpc, translated};

struct Lab;

type Answer<T> = Result<T, TypedFault>;

impl AllServer for Lab {
    async fn login(&self, request: Login, context: &mut Context) -> Answer<LoginResponse> {
        through::<rpc::Login, _, _>(&request, context)
    }

    async fn logout(&self, request: Logout, context: &mut Context) -> Answer<LogoutResponse> {
        through::<rpc::Logout, _, _>(&request, context)
    }

    async fn ping(&self, request: Ping, context: &mut Context) -> Answer<PingResponse> {
        through::<rpc::Ping, _, _>(&request, context)
    }

    async fn refresh_access_token(
        &self,
        request: RefreshAccessToken,
        context: &mut Context,
    ) -> Answer<RefreshAccessTokenResponse> {
        through::<rpc::RefreshAccessToken, _, _>(&request, context)
    }

    async fn get_account_info(
        &self,
        request: GetAccountInfo,
        context: &mut Context,
    ) -> Answer<GetAccountInfoResponse> {
        through::<rpc::GetAccountInfo, _, _>(&request, context)
    }

    async fn get_account_list(
        &self,
        request: GetAccountList,
        context: &mut Context,
    ) -> Answer<GetAccountListResponse> {
        through::<rpc::GetAccountList, _, _>(&request, context)
    }

    async fn update_account(
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

fn through<C: Call, Q: Structure, A: Structure>(request: &Q, context: &Context) -> Answer<A> {
    let same =
        context.header::<AuthInfo>().map(|header| translated(header, || Box::<rpc::AuthInfo>::default()));
    let header = same.as_deref().and_then(|header| (header as &dyn StdAny).downcast_ref::<rpc::AuthInfo>());
    let rpc = C::operation();
    let answer = lab::carry_out(rpc, header.cloned(), translated(request, rpc.input.empty))?;
    let answer: Box<dyn StdAny> = translated(&*answer, context.operation().output.empty);
    Ok(*answer.downcast().expect("the operation's own answer"))
}
