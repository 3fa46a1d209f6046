//! What is particular to calls over JSON: three ways to write one, files, and rows by free criteria.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use portabilling::types::AuthInfoStructure;
use serde_json::{Value, json};
use soapstone_soap::{Fault, Json};

use super::world::World;

/// A call: who, and what with.
pub(super) struct JsonCall {
    pub(super) auth: AuthInfoStructure,
    pub(super) params: Value,
}

impl JsonCall {
    /// Reads a body of JSON, or a form or `multipart/form-data` with JSON in its two fields.
    pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, Fault> {
        let kind =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (auth, params) = if kind.starts_with("application/x-www-form-urlencoded") {
            let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
                .map_err(|error| Fault::new("Client.invalid_form", error.to_string()))?;
            of_fields(fields)?
        } else if let Some(boundary) = kind.strip_prefix("multipart/form-data;").and_then(boundary) {
            of_fields(parts(&String::from_utf8_lossy(body), boundary))?
        } else if body.is_empty() {
            (Value::Null, json!({}))
        } else {
            let mut whole: Value = serde_json::from_slice(body).map_err(unreadable)?;
            (whole["auth_info"].take(), whole["params"].take())
        };
        Ok(Self { auth: serde_json::from_value(auth).map_err(unreadable)?, params })
    }
}

pub(super) fn unreadable(error: serde_json::Error) -> Fault {
    Fault::new("Client.invalid_json", error.to_string())
}

fn of_fields(fields: Vec<(String, String)>) -> Result<(Value, Value), Fault> {
    let (mut auth, mut params) = (Value::Null, json!({}));
    for (name, text) in fields {
        let place = match name.as_str() {
            "auth_info" => &mut auth,
            "params" => &mut params,
            _ => continue,
        };
        if !text.trim().is_empty() {
            *place = serde_json::from_str(&text).map_err(unreadable)?;
        }
    }
    Ok((auth, params))
}

fn boundary(parameters: &str) -> Option<&str> {
    let found = parameters.split(';').find_map(|one| one.trim().strip_prefix("boundary="))?;
    Some(found.trim_matches('"'))
}

/// The parts of a form as browsers and libraries write it (RFC 7578); enough for text.
fn parts(body: &str, boundary: &str) -> Vec<(String, String)> {
    let read = |part: &str| {
        let (head, text) = part.split_once("\r\n\r\n")?;
        let name = head.split("name=\"").nth(1)?.split('"').next()?;
        Some((name.to_owned(), text.strip_suffix("\r\n").unwrap_or(text).to_owned()))
    };
    body.split(&format!("--{boundary}")).filter_map(read).collect()
}

/// A small file that is a PDF as far as anybody looks.
pub(super) fn invoice(i_invoice: i64) -> Response {
    let body = format!("%PDF-1.4\n% invoice {i_invoice}\n%%EOF\n");
    let attached = format!("attachment; filename=\"invoice-{i_invoice}.pdf\"");
    ([(header::CONTENT_TYPE, "application/pdf".to_owned()), (header::CONTENT_DISPOSITION, attached)], body)
        .into_response()
}

/// A page of what a service has, under the name that its own list has.
pub(super) fn extended(world: &World, service: &str, params: &Value) -> Result<Value, Fault> {
    let rows: (&str, Vec<Value>) = match service {
        "Account" => ("account_list", world.accounts.values().map(value).collect()),
        "Customer" => ("customer_list", world.customers.values().map(value).collect()),
        "Product" => ("product_list", world.products.values().map(value).collect()),
        "Invoice" => ("invoice_list", world.invoices.values().map(value).collect()),
        other => {
            return Err(Fault::new("Client.UnknownMethod", format!("{other} has no get_extended_data_list")));
        }
    };
    let number = |name: &str, default| {
        params[name].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
    };
    let (name, rows) = rows;
    let total = rows.len();
    let page: Vec<Value> = rows.into_iter().skip(number("offset", 0)).take(number("limit", 50)).collect();
    Ok(json!({ name: page, "total": total }))
}

fn value<T: soapstone_soap::Structure>(one: &T) -> Value {
    serde_json::to_value(Json(one)).unwrap_or_default()
}
