//! Downloads the newest invoice as a PDF, straight to a file.
//!
//! `cargo run -p portabilling --features client --example invoice -- [URL [LOGIN [API-TOKEN]]]`
#![allow(clippy::print_stdout)]

mod common;

use portabilling::invoice::{GetInvoiceInfo, GetInvoiceInfoRequest, GetInvoiceList, GetInvoiceListRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> common::Done {
    let client = common::client()?;
    let request = GetInvoiceListRequest { limit: Some(100), ..GetInvoiceListRequest::default() };
    let invoices = client.call::<GetInvoiceList>(&request).await?.invoice_list;
    let newest =
        invoices.iter().max_by_key(|invoice| invoice.issue_date.clone()).ok_or("there are no invoices")?;

    let request = GetInvoiceInfoRequest {
        i_invoice: newest.i_invoice,
        get_pdf: Some(1),
        ..GetInvoiceInfoRequest::default()
    };
    let download = client.download::<GetInvoiceInfo>(&request).await?;
    // what the file is called there is a proposal: it has no folder in it, but may be anything
    let name = download.name.clone().unwrap_or_else(|| "invoice.pdf".into());
    let path = std::env::temp_dir().join(name);
    let bytes = download.save(&path).await?;
    println!("{} has {bytes} bytes", path.display());
    client.log_out().await;
    Ok(())
}
