//! Eleven exchanges that every peer can have: what is asked, and what a right answer is.
use serde_json::Value as Json;
use soapstone_soap::{Call, Decimal, Fault, Nillable, Operation, Structure};

use super::lab;
use super::lab::all::*;

/// One exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Login,
    Ping,
    Info,
    List(i32),
    Update,
    NotFound,
    NoAuth,
    Refresh,
    Logout,
}

/// In the order in which the peers' clients have them, and in which recordings are numbered.
pub const SCENARIO: [Step; 11] = [
    Step::Login,
    Step::Ping,
    Step::Info,
    Step::List(3),
    Step::List(1),
    Step::List(0),
    Step::Update,
    Step::NotFound,
    Step::NoAuth,
    Step::Refresh,
    Step::Logout,
];

impl Step {
    pub fn operation(self) -> &'static Operation {
        match self {
            Step::Login => Login::operation(),
            Step::Ping => Ping::operation(),
            Step::Info | Step::NotFound | Step::NoAuth => GetAccountInfo::operation(),
            Step::List(_) => GetAccountList::operation(),
            Step::Update => UpdateAccount::operation(),
            Step::Refresh => RefreshAccessToken::operation(),
            Step::Logout => Logout::operation(),
        }
    }

    /// The session, where the step bears one.
    pub fn header(self) -> Option<AuthInfo> {
        let bears = !matches!(self, Step::Login | Step::Refresh | Step::NoAuth);
        bears.then(|| AuthInfo { session_id: session(), ..AuthInfo::default() })
    }

    pub fn request(self) -> Box<dyn Structure> {
        let info =
            |i_account: i32| GetAccountInfoRequest { i_account: i_account.into(), ..Default::default() };
        match self {
            Step::Login => Box::new(LoginRequest {
                login: "demo".to_string().into(),
                password: lab::PASSWORD.to_string().into(),
                token: Nillable::Absent,
            }),
            Step::Ping => Box::new(PingRequest { session_id: session() }),
            Step::Info | Step::NoAuth => Box::new(info(1001)),
            Step::NotFound => Box::new(info(404)),
            Step::List(limit) => Box::new(GetAccountListRequest {
                offset: 0.into(),
                limit: limit.into(),
                i_customer: Nillable::Absent,
            }),
            Step::Update => Box::new(UpdateAccountRequest { account_info: update().into() }),
            Step::Refresh => {
                Box::new(RefreshAccessTokenRequest { refresh_token: "r-demo".to_string().into() })
            }
            Step::Logout => Box::new(LogoutRequest { session_id: session() }),
        }
    }

    /// What a right peer answers: what our own endpoint does.
    pub fn expected(self) -> Result<Box<dyn Structure>, Fault> {
        lab::carry_out(self.operation(), self.header(), self.request())
    }

    /// Where an answer isn't the expected one; nothing when all is well. `blurred` says that a peer on the way can't
    /// tell nil from empty.
    pub fn judge(self, found: &Result<Box<dyn Structure>, Fault>, blurred: bool) -> Vec<String> {
        match (self.expected(), found) {
            (Ok(expected), Ok(found)) => differences(&*expected, &**found, blurred),
            (Err(expected), Err(found)) => {
                let mut wrong = Vec::new();
                if expected.code() != found.code() {
                    wrong.push(format!("code {:?}", found.raw_code));
                }
                if expected.message != found.message {
                    wrong.push(format!("message {:?}", found.message));
                }
                if found.detail.is_none() {
                    wrong.push("no detail".into());
                }
                wrong
            }
            (Ok(_), Err(fault)) => vec![format!("fault {fault}")],
            (Err(expected), Ok(_)) => vec![format!("no fault, but {expected} was due")],
        }
    }
}

/// Whether a stack takes nil for empty or empty for nil, or adds to dates: the JavaScript ones do.
pub fn blurs(peer: &str) -> bool {
    matches!(peer, "node-soap" | "strong-soap")
}

fn session() -> Nillable<String> {
    "s-demo".to_string().into()
}

/// The update that the scenario sends: text of every kind, one member cleared, one empty, lists inside lists.
fn update() -> AccountInfo {
    let text = |text: &str| Nillable::Value(text.to_string());
    let attribute = |name: &str, values: &[&str]| AttributeInfo {
        name: text(name),
        values: values.iter().map(|value| (*value).to_string()).collect(),
    };
    AccountInfo {
        i_account: 1001.into(),
        lastname: lab::account(1001).lastname,
        midinit: text(""),
        cont1: Nillable::Nil,
        credit_limit: Decimal::new(125, 1).into(),
        blocked: text("Y"),
        is_debit: true.into(),
        service_features: vec![ServiceFeatureInfo {
            name: text("cli"),
            flag_value: text("Y"),
            attributes: vec![attribute("display_number", &["4201", "4202"]), attribute("empty", &[])],
        }],
        ..AccountInfo::default()
    }
}

/// The members in which two structures differ. Nil, absent and an empty list are alike here, since some peers can't
/// say which one they mean; with `blurred` the empty text is like them in the two members that are there to show it.
pub fn differences(expected: &dyn Structure, found: &dyn Structure, blurred: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut found = json(found);
    if blurred {
        blur(&mut found);
    }
    compare("", &json(expected), &found, &mut wrong);
    wrong
}

fn blur(found: &mut Json) {
    match found {
        Json::Array(items) => items.iter_mut().for_each(blur),
        Json::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value.as_str()) {
                    ("cont1", Some("")) => *value = Json::Null,
                    // strong-soap gives every date a zone
                    ("activation_date", Some(date)) => *value = date.trim_end_matches('Z').into(),
                    ("seen", Some(seen)) => {
                        *value =
                            seen.replace("|midinit=~|", "|midinit=|").replace("|cont1=|", "|cont1=~|").into();
                    }
                    _ => blur(value),
                }
            }
        }
        _ => {}
    }
}

fn json(structure: &dyn Structure) -> Json {
    serde_json::to_value(soapstone_soap::Json(structure)).expect("structures are JSON")
}

fn compare(path: &str, expected: &Json, found: &Json, wrong: &mut Vec<String>) {
    match (expected, found) {
        (Json::Object(expected), Json::Object(found)) => {
            for (name, value) in expected {
                compare(&format!("{path}.{name}"), value, found.get(name).unwrap_or(&Json::Null), wrong);
            }
            for (name, value) in found.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                compare(&format!("{path}.{name}"), &Json::Null, value, wrong);
            }
        }
        (Json::Array(expected), Json::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path}[{index}]"), expected, found, wrong);
            }
        }
        (Json::Null, Json::Array(list)) | (Json::Array(list), Json::Null) if list.is_empty() => {}
        _ if expected == found => {}
        _ => wrong.push(format!("{path}: {found} instead of {expected}")),
    }
}
