//! The ESPF API: writing the provisioning status of an account back.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use secrecy::ExposeSecret as _;

use super::settings::{EspfAuth, StatusEncoding};
use super::{Cause, Client, Error};

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

impl Client {
    /// Writes the provisioning status of an account: `POST {espf}/account/i/{i_account}/status`.
    ///
    /// A session that is no longer good is replaced once.
    ///
    /// # Errors
    /// See [`Error`]; ESPF answers an unknown account or group with a 4xx.
    pub async fn set_account_status(&self, status: &AccountStatus<'_>) -> Result<(), Error> {
        const METHOD: &str = "account_status";
        let url = format!("{}/account/i/{}/status", self.settings().espf_base(), status.i_account);
        let (content_type, body) = self.status_body(status);
        let started = std::time::Instant::now();
        let result = self
            .with_session(|session| {
                let (url, body) = (url.clone(), body.clone());
                async move {
                    let mut request = Request::post(url)
                        .header(CONTENT_TYPE, content_type)
                        .body(body)
                        .map_err(|error| Cause::not_sent(error.into()))?;
                    let mut authorization = match self.settings().espf_auth {
                        EspfAuth::Bearer => bearer(session.access_token.expose_secret()),
                        EspfAuth::Basic => self.basic(),
                    }?;
                    authorization.set_sensitive(true);
                    request.headers_mut().insert(AUTHORIZATION, authorization);
                    judge(self.send(request).await?)
                }
            })
            .await;
        let result = result.map_err(|cause| Error { service: "ESPF", method: METHOD, cause });
        self.report("ESPF", METHOD, started, result.as_ref().err());
        result
    }

    fn status_body(&self, status: &AccountStatus<'_>) -> (&'static str, Bytes) {
        let message = status.message.map(cut);
        let mut fields = vec![("status", status.status), ("group", status.group)];
        fields.extend(message.map(|message| ("message", message)));
        match self.settings().status_encoding {
            StatusEncoding::Form => {
                let body = serde_urlencoded::to_string(&fields).unwrap_or_default();
                ("application/x-www-form-urlencoded", Bytes::from(body))
            }
            StatusEncoding::Json => {
                let object: serde_json::Map<String, serde_json::Value> =
                    fields.into_iter().map(|(name, value)| (name.to_string(), value.into())).collect();
                ("application/json", Bytes::from(serde_json::Value::Object(object).to_string()))
            }
        }
    }

    fn basic(&self) -> Result<HeaderValue, Cause> {
        let credentials = &self.settings().credentials;
        let pair = format!("{}:{}", credentials.login, credentials.secret.inner().expose_secret());
        header(&format!("Basic {}", soapstone_soap::Base64(pair.into_bytes())))
    }
}

/// The first [`MESSAGE_LIMIT`] characters.
fn cut(message: &str) -> &str {
    match message.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => &message[..end],
        None => message,
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Cause> {
    header(&format!("Bearer {token}"))
}

fn header(text: &str) -> Result<HeaderValue, Cause> {
    // the value itself must not get into the message
    HeaderValue::from_str(text)
        .map_err(|_| Cause::not_sent("the credentials hold characters that no header can".into()))
}

fn judge(answer: Response<Bytes>) -> Result<(), Cause> {
    if answer.status() == http::StatusCode::OK {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&answer.body()[..answer.body().len().min(500)]).trim().to_string();
    Err(Cause::Espf { status: answer.status().as_u16(), message })
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
}
