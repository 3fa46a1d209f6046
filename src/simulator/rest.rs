//! What is particular to calls over JSON: three ways to write one, files, and rows by free criteria.

use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::header;
use axum::http::request::Parts;
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
    pub(super) async fn read(request: Request, limit: usize) -> Result<(Self, Parts), Fault> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        let (auth, params) = if kind.starts_with("multipart/form-data") {
            of_fields(fields(Request::from_parts(parts.clone(), body)).await?)?
        } else {
            let body = axum::body::to_bytes(body, limit).await;
            of_body(&kind, &body.map_err(|error| Fault::new("Client.invalid_json", error.to_string()))?)?
        };
        Ok((Self { auth: serde_json::from_value(auth).map_err(unreadable)?, params }, parts))
    }
}

fn of_body(kind: &str, body: &[u8]) -> Result<(Value, Value), Fault> {
    if kind.starts_with("application/x-www-form-urlencoded") {
        return of_fields(serde_urlencoded::from_bytes(body).map_err(invalid_form)?);
    }
    if body.is_empty() {
        return Ok((Value::Null, json!({})));
    }
    let mut whole: Value = serde_json::from_slice(body).map_err(unreadable)?;
    Ok((whole["auth_info"].take(), whole["params"].take()))
}

fn invalid_form(error: impl std::fmt::Display) -> Fault {
    Fault::new("Client.invalid_form", error.to_string())
}

async fn fields(request: Request) -> Result<Vec<(String, String)>, Fault> {
    let mut form = Multipart::from_request(request, &()).await.map_err(invalid_form)?;
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.map_err(invalid_form)? {
        let name = field.name().unwrap_or_default().to_owned();
        fields.push((name, field.text().await.map_err(invalid_form)?));
    }
    Ok(fields)
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
