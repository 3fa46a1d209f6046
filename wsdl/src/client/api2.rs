//! The API 2.0: resources instead of methods, with the fields that the caller chooses.
//!
//! Of it `/products` and its kin, and the choice of fields, are documented publicly; where it is and how fields are asked
//! for can be corrected in [`super::Api2Paths`].

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::attempts::Needs;
use super::espf::judge;
use super::{Client, Error};

/// The API 2.0 of a [`Client`], with its session.
#[derive(Clone)]
pub struct Api2 {
    client: Client,
}

impl Client {
    /// The API 2.0 beside the other, with the same sessions.
    pub fn api2(&self) -> Api2 {
        Api2 { client: self.clone() }
    }
}

impl Api2 {
    /// A list (`products`) with some fields of each, or all; `query` is sent as it is (`limit`, `offset`, filters).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(
        &self,
        resource: &str,
        fields: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, Error> {
        self.get(&format!("/{}", resource.trim_matches('/')), fields, query).await
    }

    /// One of a list (`products`, `7`).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn one(&self, resource: &str, id: &str, fields: &[&str]) -> Result<Value, Error> {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
        self.get(&format!("/{}/{id}", resource.trim_matches('/')), fields, &[]).await
    }

    async fn get(&self, path: &str, fields: &[&str], query: &[(&str, &str)]) -> Result<Value, Error> {
        const METHOD: &str = "get";
        let client = &self.client;
        let path = self.path(path, fields, query);
        let path = path.as_str();
        let asked = client.attempt(Needs::Token, true, |turn| async move {
            let mut request = Request::get(format!("{}{path}", turn.site.url))
                .header(ACCEPT, "application/json")
                .body(Bytes::new())
                .map_err(|error| super::Cause::not_sent(error.into()))?;
            if let Some(session) = &turn.session {
                request.headers_mut().insert(AUTHORIZATION, Client::bearer(session)?);
            }
            let answer = judge(client.send(request).await?)?;
            serde_json::from_slice(answer.body())
                .map_err(|error| super::exchange::unreadable(&answer, &error.to_string()))
        });
        client.reported("API2", METHOD, asked).await
    }

    fn path(&self, path: &str, fields: &[&str], query: &[(&str, &str)]) -> String {
        let paths = &self.client.settings().api2;
        let mut pairs = query.to_vec();
        let fields = fields.join(",");
        if !fields.is_empty() {
            pairs.push((&paths.fields, &fields));
        }
        let query = serde_urlencoded::to_string(&pairs).unwrap_or_default();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", paths.base.trim_end_matches('/'))
    }
}
