//! `soapstone call`: one SOAP call to PortaBilling, typed by the registry.

use portabilling::SERVICES;
use serde_json::Value;
use soapstone_soap::{Items, Json, Operation, Shape, Type, fill_json};

use super::{CliError, ConfigArg, print};
use crate::config::Config;
use crate::gateway::portabilling;

/// Arguments of `soapstone call`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The method: Account/get_account_info.
    #[arg(value_name = "SERVICE/METHOD")]
    method: String,
    /// Its parameters as JSON: '{"i_account": 1}'.
    #[arg(value_name = "JSON", default_value = "{}")]
    parameters: String,
    /// Show both envelopes, with secrets masked.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let operation = operation(&args.method)?;
    let parameters: Value = serde_json::from_str(&args.parameters)
        .map_err(|error| wrong(format!("the parameters are no JSON: {error}")))?;
    check(&parameters, operation.input.shape, "")?;
    let mut request = (operation.input.empty)();
    fill_json(&mut *request, parameters)
        .map_err(|error| wrong(format!("the parameters don't fit: {error}")))?;
    let client = portabilling(&Config::load_portabilling(&args.config.config)?).map_err(failed)?;
    let mut response = (operation.output.empty)();
    let result = if args.raw {
        let (exchange, result) = client.call_raw(operation, &*request, &mut *response).await;
        if let Some(exchange) = exchange {
            print(&format!(
                "{}\n\nHTTP {}\n{}\n\n",
                mask(&exchange.request),
                exchange.status,
                mask(&exchange.response)
            ))?;
        }
        result
    } else {
        client.call_operation(operation, &*request, &mut *response).await
    };
    result.map_err(failed)?;
    let text = serde_json::to_string_pretty(&Json(&*response)).map_err(failed)?;
    print(&format!("{text}\n"))
}

/// The operation that `SERVICE/METHOD` names, or what there is instead.
fn operation(name: &str) -> Result<&'static Operation, CliError> {
    let (service, method) = name
        .split_once('/')
        .ok_or_else(|| wrong(format!("{name:?} is not SERVICE/METHOD, such as Account/get_account_info")))?;
    let known = SERVICES.iter().find(|known| known.name.eq_ignore_ascii_case(service)).ok_or_else(|| {
        let names = SERVICES.iter().map(|service| service.name);
        wrong(format!("there is no service {service:?}{}", nearest(service, names)))
    })?;
    known.operation(method).ok_or_else(|| {
        let names = known.operations.iter().map(|operation| operation.name);
        wrong(format!("{} has no method {method:?}{}", known.name, nearest(method, names)))
    })
}

/// A server ignores members that it doesn't know, and so a slip would go unseen.
fn check(value: &Value, shape: &Shape, path: &str) -> Result<(), CliError> {
    let Value::Object(members) = value else { return Ok(()) };
    for (name, value) in members {
        let member = shape.member(name).ok_or_else(|| {
            let names = shape.members.iter().map(|member| member.name);
            wrong(format!("{} has no member \"{path}{name}\"{}", shape.name, nearest(name, names)))
        })?;
        match (member.ty, value) {
            (Type::Structure(inner), _) => check(value, inner, &format!("{path}{name}."))?,
            (
                Type::Array(Type::Structure(inner))
                | Type::Repeated(Type::Structure(inner))
                | Type::NamedArray(Items { ty: Type::Structure(inner), .. }),
                Value::Array(items),
            ) => {
                items.iter().try_for_each(|item| check(item, inner, &format!("{path}{name}[].")))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let close = |known: &&str| strsim::jaro_winkler(name, known) > 0.8;
    match known
        .filter(close)
        .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)))
    {
        Some(name) => format!("; did you mean {name:?}?"),
        None => String::new(),
    }
}

/// The text with the content of secret elements replaced, whatever their prefix.
fn mask(envelope: &str) -> String {
    let secrets = secret_names();
    let mut out = String::with_capacity(envelope.len());
    let mut rest = envelope;
    while let Some(open) = rest.find('<') {
        let Some(close) = rest[open..].find('>').map(|close| open + close + 1) else { break };
        let tag = &rest[open + 1..close - 1];
        out.push_str(&rest[..close]);
        rest = &rest[close..];
        let name = tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
        let local = name.rsplit(':').next().unwrap_or_default();
        if !tag.ends_with('/') && secrets.contains(&local) {
            let end = rest.find("</").unwrap_or(rest.len());
            if end > 0 {
                out.push_str("***");
            }
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

/// The names of all members that the definitions' tables hold secret.
fn secret_names() -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut seen: Vec<&'static str> = Vec::new();
    let mut shapes: Vec<&'static Shape> = Vec::new();
    for operation in SERVICES.iter().flat_map(|service| service.operations) {
        shapes.extend([operation.input.shape, operation.output.shape]);
        shapes.extend(operation.headers.iter().map(|header| header.shape));
    }
    while let Some(shape) = shapes.pop() {
        if seen.contains(&shape.name) {
            continue;
        }
        seen.push(shape.name);
        for member in shape.members {
            if member.secret {
                names.push(member.name);
            }
            let mut ty = member.ty;
            loop {
                ty = match ty {
                    Type::Array(inner) | Type::Repeated(inner) => *inner,
                    Type::Items(items) | Type::NamedArray(items) => items.ty,
                    _ => break,
                };
            }
            if let Type::Structure(inner) = ty {
                shapes.push(inner);
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn wrong(what: String) -> CliError {
    CliError::Usage(what)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    CliError::Failed(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_answered_with_the_nearest_name() {
        let text = |result: Result<&Operation, CliError>| result.expect_err("a slip").to_string();
        assert_eq!(text(operation("Acount/x")), "there is no service \"Acount\"; did you mean \"Account\"?");
        assert!(text(operation("account/get_acount_info")).ends_with("did you mean \"get_account_info\"?"));
        let operation = operation("account/get_account_info").expect("there");
        let slip = serde_json::json!({ "i_acount": 1 });
        assert!(check(&slip, operation.input.shape, "").is_err());
    }

    #[test]
    fn secrets_are_masked_in_any_spelling() {
        let text = r#"<a:session_id xsi:type="xsd:string">abc</a:session_id><password/><login>me</login><h323_password>&lt;x</h323_password>"#;
        let masked = r#"<a:session_id xsi:type="xsd:string">***</a:session_id><password/><login>me</login><h323_password>***</h323_password>"#;
        assert_eq!(mask(text), masked);
        assert_eq!(mask("no < xml"), "no < xml");
    }
}
