//! PortaBilling's types in a program elsewhere: a value becomes XML and comes back; with features JSON, and calls.

#[cfg(feature = "client")]
mod call;

use std::error::Error;

use portabilling::account::{AccountInfo, UpdateAccount, UpdateAccountRequest};
use portabilling::soap::{Envelope, Limits, write};
use portabilling::{Call as _, Nillable};

fn main() -> Result<(), Box<dyn Error>> {
    let account = AccountInfo {
        i_account: Some(1_000_889),
        id: Some("16045551001".into()),
        credit_limit: Nillable::Nil,
        ..Default::default()
    };
    let request = UpdateAccountRequest { account_info: Some(account) };
    xml(&request)?;
    #[cfg(feature = "json")]
    json(&request)?;
    #[cfg(feature = "client")]
    call::main()?;
    Ok(())
}

fn xml(request: &UpdateAccountRequest) -> Result<(), Box<dyn Error>> {
    let operation = UpdateAccount::operation();
    let text = write::request(operation, None, request)?;
    assert!(text.contains("<id xsi:type=\"xsd:string\">16045551001</id>"), "{text}");
    let mut again = UpdateAccountRequest::default();
    Envelope::open(&text, &Limits::default())?.request(operation, &mut again)?;
    assert_eq!(&again, request);
    println!("XML: {} bytes there and back", text.len());
    Ok(())
}

#[cfg(feature = "json")]
fn json(request: &UpdateAccountRequest) -> Result<(), Box<dyn Error>> {
    let text = serde_json::to_string(request)?;
    assert_eq!(text, r#"{"account_info":{"i_account":1000889,"id":"16045551001","credit_limit":null}}"#);
    assert_eq!(&serde_json::from_str::<UpdateAccountRequest>(&text)?, request);
    println!("JSON: {text}");
    Ok(())
}
