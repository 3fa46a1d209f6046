//! The ESPF API: provisioning statuses of accounts, service groups, events of one's own.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::attempts::{Needs, Turn};
use super::settings::{EspfAuth, StatusEncoding};
use super::{Cause, Client, Error};
use crate::loose::{flag, number};

/// The longest message of a status, in characters (ESPF: service-group guide).
pub const MESSAGE_LIMIT: usize = 4000;

/// The provisioning status of an account in a service group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStatus<'a> {
    /// The account.
    pub i_account: i64,
    /// `OK`, `IN_PROGRESS`, `RETRY` or `FAILED`.
    pub status: &'a str,
    /// The service group's name; PortaBilling must know it.
    pub group: &'a str,
    /// For people; cut at [`MESSAGE_LIMIT`] characters.
    pub message: Option<&'a str>,
}

/// A service group that statuses are kept for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServiceGroup {
    /// Its number; it comes as a number or as a string.
    #[serde(default, deserialize_with = "number")]
    pub i_group: Option<i64>,
    /// Its name (`HSS`), 64 characters at most.
    #[serde(default)]
    pub name: String,
    /// Whether an operator has made it; documented as a string, seen as a boolean.
    #[serde(default, deserialize_with = "flag")]
    pub is_custom: bool,
}

/// An event of one's own, for ESPF's queue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent<'a> {
    /// Its type, of ESPF's or of one's own.
    pub event_type: &'a str,
    /// Its variables.
    pub variables: Map<String, Value>,
    /// When it is to be sent, `YYYY-MM-DD HH:MM:SS` in UTC; at once where it isn't said.
    pub start_time: Option<&'a str>,
}

impl Client {
    /// Writes the provisioning status of an account: `POST {espf}/account/i/{i_account}/status`.
    ///
    /// A session that is no longer good is replaced once.
    ///
    /// # Errors
    /// See [`Error`]; ESPF answers an unknown account or group with a 4xx.
    pub async fn set_account_status(&self, status: &AccountStatus<'_>) -> Result<(), Error> {
        let path = self.settings().espf.status.replace("{i_account}", &status.i_account.to_string());
        let body = self.status_body(status);
        self.espf("account_status", Method::POST, path, Some(body)).await.map(drop)
    }

    /// The same by the account's id, a telephone number as a rule; `i_account` of the status isn't looked at.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set_account_status_by_id(&self, id: &str, status: &AccountStatus<'_>) -> Result<(), Error> {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        let path = self.settings().espf.status_by_id.replace("{id}", &id);
        let body = self.status_body(status);
        self.espf("account_status", Method::POST, path, Some(body)).await.map(drop)
    }

    /// The service groups that ESPF knows. A status for another one is refused, so a program does well to look when it starts.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn service_groups(&self) -> Result<Vec<ServiceGroup>, Error> {
        #[derive(Deserialize)]
        struct Groups {
            #[serde(default)]
            group_list: Vec<ServiceGroup>,
        }
        const METHOD: &str = "get_group_list";
        let path = self.settings().espf.groups.clone();
        let answer = self.espf(METHOD, Method::GET, path, None).await?;
        let groups: Result<Groups, _> = serde_json::from_slice(answer.body());
        groups.map(|groups| groups.group_list).map_err(|error| strange(METHOD, &answer, &error))
    }

    /// Makes a service group; its name has 64 characters at most.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_service_group(&self, name: &str) -> Result<ServiceGroup, Error> {
        const METHOD: &str = "create_group";
        let path = self.settings().espf.create_group.clone();
        let body = self.espf_body(vec![("name", name)]);
        let answer = self.espf(METHOD, Method::POST, path, Some(body)).await?;
        serde_json::from_slice(answer.body()).map_err(|error| strange(METHOD, &answer, &error))
    }

    /// Puts an event into ESPF's queue, now or for later. Path and fields aren't documented publicly: see
    /// [`super::EspfPaths`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn insert_event(&self, event: &NewEvent<'_>) -> Result<Value, Error> {
        const METHOD: &str = "insert_event";
        let mut body = json!({ "event_type": event.event_type, "variables": event.variables });
        if let Some(start_time) = event.start_time {
            body["start_time"] = start_time.into();
        }
        let path = self.settings().espf.events.clone();
        let body = ("application/json", Bytes::from(body.to_string()));
        let answer = self.espf(METHOD, Method::POST, path, Some(body)).await?;
        if answer.body().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(answer.body()).map_err(|error| strange(METHOD, &answer, &error))
    }

    async fn espf(
        &self,
        method: &'static str,
        verb: Method,
        path: String,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Response<Bytes>, Error> {
        let needs = match self.settings().espf_auth {
            EspfAuth::Bearer => Needs::Token,
            EspfAuth::Basic => Needs::Secret,
        };
        // writing the same status twice does no harm; inserting an event twice does
        let (verb, path, body) = (&verb, path.as_str(), body.as_ref());
        let asked = self.attempt(needs, verb == Method::GET, |turn| async move {
            let request = self.espf_request(&turn, verb.clone(), path, body)?;
            judge(self.send(request).await?)
        });
        self.reported("ESPF", method, asked).await
    }

    fn espf_request(
        &self,
        turn: &Turn,
        verb: Method,
        path: &str,
        body: Option<&(&'static str, Bytes)>,
    ) -> Result<Request<Bytes>, Cause> {
        let url = format!("{}{path}", self.settings().espf_base(&turn.site.url));
        let mut request = Request::builder().method(verb).uri(url);
        if let Some((content_type, _)) = body {
            request = request.header(CONTENT_TYPE, *content_type);
        }
        let body = body.map(|(_, body)| body.clone()).unwrap_or_default();
        let mut request = request.body(body).map_err(|error| Cause::not_sent(error.into()))?;
        let authorization = match &turn.session {
            Some(session) => Self::bearer(session),
            None => self.basic(),
        }?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        Ok(request)
    }

    fn status_body(&self, status: &AccountStatus<'_>) -> (&'static str, Bytes) {
        let message = status.message.map(cut);
        let mut fields = vec![("status", status.status), ("group", status.group)];
        fields.extend(message.map(|message| ("message", message)));
        self.espf_body(fields)
    }

    fn espf_body(&self, fields: Vec<(&str, &str)>) -> (&'static str, Bytes) {
        match self.settings().status_encoding {
            StatusEncoding::Form => {
                let body = serde_urlencoded::to_string(&fields).unwrap_or_default();
                ("application/x-www-form-urlencoded", Bytes::from(body))
            }
            StatusEncoding::Json => {
                let object: Map<String, Value> =
                    fields.into_iter().map(|(name, value)| (name.to_string(), value.into())).collect();
                ("application/json", Bytes::from(Value::Object(object).to_string()))
            }
        }
    }
}

/// The first [`MESSAGE_LIMIT`] characters.
fn cut(message: &str) -> &str {
    match message.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => &message[..end],
        None => message,
    }
}

/// Neither ESPF nor the API 2.0 has bodies of faults: the status is the answer.
pub(crate) fn judge(answer: Response<Bytes>) -> Result<Response<Bytes>, Cause> {
    if answer.status() == http::StatusCode::OK {
        return Ok(answer);
    }
    let message = String::from_utf8_lossy(&answer.body()[..answer.body().len().min(500)]).trim().to_string();
    let retry_after = super::exchange::asked(&answer);
    Err(Cause::Status { status: answer.status().as_u16(), message, retry_after })
}

fn strange(method: &'static str, answer: &Response<Bytes>, error: &serde_json::Error) -> Error {
    Error { service: "ESPF", method, cause: super::exchange::unreadable(answer, &error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        let long = "é".repeat(MESSAGE_LIMIT + 1);
        assert_eq!(cut(&long).chars().count(), MESSAGE_LIMIT);
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&long[..MESSAGE_LIMIT * 2]).len(), MESSAGE_LIMIT * 2);
    }

    #[test]
    fn groups_are_read_in_both_spellings() {
        let text = r#"[{"i_group":"1","name":"VoIP","is_custom":false},{"i_group":1001,"name":"IOT","is_custom":"Y"},{}]"#;
        let groups: Vec<ServiceGroup> = serde_json::from_str(text).expect("groups");
        let read: Vec<_> = groups.iter().map(|one| (one.i_group, one.name.as_str(), one.is_custom)).collect();
        assert_eq!(read, [(Some(1), "VoIP", false), (Some(1001), "IOT", true), (None, "", false)]);
    }
}
