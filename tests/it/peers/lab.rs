//! The lab's definition as Rust, and what its contract promises (`tests/peers/README.md`).
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use futures::FutureExt as _;
use serde_json::Value as Json;
use soapstone_soap::{
    Context, Fault, Headers, Nillable, Operation, Part, Port, Service, Structure, TypedFault, Version,
};

pub use generated::all;

use super::lab_doc;
use all::*;

/// Made from `tests/peers/wsdl/rpc/AllAdminService.wsdl`, see the test below.
mod generated {
    include!("generated.rs");
}

/// The same in document/literal, made from `tests/peers/wsdl/doc/AllAdminService.wsdl`.
pub mod generated_doc {
    include!("generated_doc.rs");
}

/// How the lab is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Rpc,
    Doc,
    /// The second in SOAP 1.2.
    Doc12,
}

impl Manner {
    /// As the peers' scripts call it.
    pub fn name(self) -> &'static str {
        match self {
            Manner::Rpc => "rpc",
            Manner::Doc => "doc",
            Manner::Doc12 => "doc12",
        }
    }

    pub fn services(self) -> &'static [&'static Service] {
        match self {
            Manner::Rpc => generated::SERVICES,
            Manner::Doc => generated_doc::SERVICES,
            Manner::Doc12 => soap_1_2(),
        }
    }

    /// The same operation in this manner.
    pub fn operation(self, operation: &Operation) -> &'static Operation {
        self.services()[0].operation(operation.name).expect("the same operations")
    }

    /// The contract, in this manner.
    pub fn port(self) -> Port {
        match self {
            Manner::Rpc => port(),
            Manner::Doc | Manner::Doc12 => lab_doc::port(),
        }
    }
}

/// The services of document/literal bound to SOAP 1.2; nothing else about them differs.
fn soap_1_2() -> &'static [&'static Service] {
    static SERVICES: OnceLock<Vec<&'static Service>> = OnceLock::new();
    SERVICES.get_or_init(|| {
        let of = |part: &Part| Part { name: part.name, shape: part.shape, empty: part.empty };
        let operation = |known: &&'static Operation| -> &'static Operation {
            Box::leak(Box::new(Operation {
                versions: &[Version::Soap12],
                input: of(&known.input),
                output: of(&known.output),
                faults: known.faults.as_ref().map(of),
                ..**known
            }))
        };
        let service = |known: &&'static Service| -> &'static Service {
            let operations: Vec<_> = known.operations.iter().map(operation).collect();
            Box::leak(Box::new(Service { operations: operations.leak(), ..**known }))
        };
        generated_doc::SERVICES.iter().map(service).collect()
    })
}

/// A structure's members in another one that has the same.
pub fn translated(from: &dyn Structure, empty: fn() -> Box<dyn Structure>) -> Box<dyn Structure> {
    let json = serde_json::to_value(soapstone_soap::Json(from)).expect("structures are JSON");
    let mut to = empty();
    soapstone_soap::fill_json(&mut *to, json).expect("the same members");
    to
}

/// The folder of the peers' scripts and recordings.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

pub const PASSWORD: &str = "p&ss<w>\"ö";
/// How many accounts the lab says that it has.
const TOTAL: i32 = 3000;

/// Account `i_account`, as every endpoint of the lab has it.
pub fn account(i_account: i32) -> AccountInfo {
    let data = fs::read(folder().join("wsdl/data.json")).expect("data.json");
    let data: Json = serde_json::from_slice(&data).expect("data.json");
    let mut sample = AccountInfo::default();
    soapstone_soap::fill_json(&mut sample, data["account"].clone()).expect("the sample account");
    AccountInfo { i_account: i_account.into(), id: format!("1604555{i_account:04}").into(), ..sample }
}

/// Accounts as they stand in a list: without what is long or secret.
pub fn accounts(offset: i32, limit: i32) -> Vec<AccountInfo> {
    let short = |i_account| AccountInfo {
        service_features: Vec::new(),
        note: Nillable::Absent,
        h323_password: Nillable::Absent,
        ..account(i_account)
    };
    (1..=limit).map(|index| short(1000 + offset + index)).collect()
}

/// The contract, over the generated server.
#[derive(Clone, Copy)]
pub struct Lab;

type Answer<T> = Result<T, TypedFault>;

impl AllServer for Lab {
    async fn login(&self, request: LoginRequest, _: &mut Context) -> Answer<LoginResponse> {
        Ok(login(&request)?)
    }

    async fn logout(&self, _: LogoutRequest, _: &mut Context) -> Answer<LogoutResponse> {
        Ok(LogoutResponse { success: 1.into() })
    }

    async fn ping(&self, _: PingRequest, _: &mut Context) -> Answer<PingResponse> {
        Ok(PingResponse { user_id: 42.into() })
    }

    async fn refresh_access_token(
        &self,
        request: RefreshAccessTokenRequest,
        _: &mut Context,
    ) -> Answer<RefreshAccessTokenResponse> {
        Ok(refresh(&request)?)
    }

    async fn get_account_info(
        &self,
        request: GetAccountInfoRequest,
        _: &mut Context,
    ) -> Answer<GetAccountInfoResponse> {
        Ok(info(&request)?)
    }

    async fn get_account_list(
        &self,
        GetAccountListRequest { offset, limit, .. }: GetAccountListRequest,
        _: &mut Context,
    ) -> Answer<GetAccountListResponse> {
        let account_list = accounts(*offset.value().unwrap_or(&0), *limit.value().unwrap_or(&10));
        Ok(GetAccountListResponse { account_list, total: TOTAL.into() })
    }

    async fn update_account(
        &self,
        request: UpdateAccountRequest,
        _: &mut Context,
    ) -> Answer<UpdateAccountResponse> {
        let account = request.account_info.value().cloned().unwrap_or_default();
        Ok(UpdateAccountResponse { i_account: account.i_account, seen: seen(&account).into() })
    }
}

/// The contract as a service, with the question who asks in front.
pub fn port() -> Port {
    Lab.port().guard(|context| match context.operation().name {
        "login" | "refresh_access_token" => Ok(()),
        _ => authenticate(context.header()),
    })
}

/// What the contract makes of a call.
pub fn carry_out(
    operation: &'static Operation,
    header: Option<AuthInfo>,
    request: Box<dyn Structure>,
) -> Result<Box<dyn Structure>, Fault> {
    let mut headers = Headers::default();
    header.into_iter().for_each(|header| headers.set(header));
    let (parts, ()) = http::Request::new(()).into_parts();
    let context = Context::new(operation, headers, parts);
    let outcome = port().call(request, context).now_or_never().expect("nothing to wait for");
    outcome.result.map_err(|typed| *typed.fault)
}

fn authenticate(header: Option<&AuthInfo>) -> Result<(), Fault> {
    let named = header.and_then(|header| header.session_id.value().or(header.access_token.value()));
    match named {
        Some(session) if session.starts_with("s-") || session.starts_with("a-") => Ok(()),
        _ => Err(no_auth()),
    }
}

fn login(request: &LoginRequest) -> Result<LoginResponse, Fault> {
    let (login, password) = (request.login.value(), request.password.value());
    if login.map(String::as_str) != Some("demo") || password.map(String::as_str) != Some(PASSWORD) {
        return Err(Fault::new("Server.Session.auth_failed", "Invalid login or password <&>"));
    }
    Ok(LoginResponse {
        session_id: "s-demo".to_string().into(),
        access_token: "a-demo".to_string().into(),
        refresh_token: "r-demo".to_string().into(),
        expires_at: "2026-11-23 00:00:00".to_string().into(),
    })
}

fn refresh(request: &RefreshAccessTokenRequest) -> Result<RefreshAccessTokenResponse, Fault> {
    if !request.refresh_token.value().is_some_and(|token| token.starts_with("r-")) {
        return Err(Fault::new("Server.Session.refresh_access_token.bad_token", "bad refresh token"));
    }
    Ok(RefreshAccessTokenResponse {
        access_token: "a-new".to_string().into(),
        refresh_token: "r-new".to_string().into(),
        expires_at: "2026-11-23 00:00:00".to_string().into(),
    })
}

fn info(request: &GetAccountInfoRequest) -> Result<GetAccountInfoResponse, Fault> {
    match *request.i_account.value().unwrap_or(&0) {
        404 => Err(not_found()),
        i_account => Ok(GetAccountInfoResponse { account_info: account(i_account).into() }),
    }
}

pub fn not_found() -> Fault {
    let detail = [("code", "not_found"), ("i_account", "404")];
    Fault::new("Server.Account.get_account_info.not_found", "Account 404 not found")
        .with_detail(error_info(&detail))
}

pub fn no_auth() -> Fault {
    Fault::new("Client.Session.check_auth.auth_failed", "Authentication failed: no valid auth_info")
        .with_detail(error_info(&[("code", "auth_failed")]))
}

fn error_info(members: &[(&str, &str)]) -> soapstone_soap::Any {
    use soapstone_soap::Any::{Structure, Text};
    let members = members.iter().map(|(name, text)| ((*name).to_string(), Text((*text).to_string())));
    Structure(vec![("error_info".to_string(), Structure(members.collect()))])
}

/// What an update has understood, in one line: `~` where nothing came, so that absent, nil and empty show.
pub fn seen(account: &AccountInfo) -> String {
    let text = |value: &Nillable<String>| value.value().cloned().unwrap_or("~".into());
    let limit = account.credit_limit.value().map_or("~".into(), |limit| format!("{limit:.2}"));
    let debit = account.is_debit.value().map_or("~".into(), |debit| u8::from(*debit).to_string());
    let attribute =
        |attribute: &AttributeInfo| format!("{}={}", text(&attribute.name), attribute.values.join(","));
    let feature = |feature: &ServiceFeatureInfo| {
        let attributes: Vec<_> = feature.attributes.iter().map(attribute).collect();
        format!("{}:{}:{}", text(&feature.name), text(&feature.flag_value), attributes.join(";"))
    };
    let features: Vec<_> = account.service_features.iter().map(feature).collect();
    format!(
        "lastname={}|midinit={}|cont1={}|credit_limit={limit}|blocked={}|is_debit={debit}|vals={}",
        text(&account.lastname),
        text(&account.midinit),
        text(&account.cont1),
        text(&account.blocked),
        features.join("|"),
    )
}

fn generate(manner: Manner) -> String {
    let (text, report) = soapstone_codegen::Config::new()
        .definition(folder().join("wsdl").join(manner.name()).join("AllAdminService.wsdl"))
        .exact_floats(true)
        .generate()
        .expect("the lab's definition");
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    text
}

#[test]
fn the_labs_types_are_what_the_generator_makes_of_its_definition() {
    for (manner, name) in [(Manner::Rpc, "generated.rs"), (Manner::Doc, "generated_doc.rs")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/peers").join(name);
        let text = generate(manner);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &text).expect("writing the generated types");
        }
        assert_eq!(
            fs::read_to_string(&path).expect("the generated types"),
            text,
            "UPDATE=1 writes what comes out"
        );
    }
}
