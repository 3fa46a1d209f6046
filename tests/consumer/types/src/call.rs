//! The client against a PortaBilling of a few lines, over a socket.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use portabilling::account::{AccountInfo, GetAccountInfo, GetAccountInfoRequest, GetAccountInfoResponse};
use portabilling::client::{Client, Credentials, Settings};
use portabilling::session::LoginResponse;
use portabilling::soap::{Fault, Invocation, Limits, Server};
use portabilling::{SERVICES, Structure};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || listener.incoming().flatten().try_for_each(serve));

    let client = Client::new(Settings::new(url, Credentials::password("demo", "p&ss")))?;
    let request = GetAccountInfoRequest { i_account: Some(7), ..Default::default() };
    let account = client.call::<GetAccountInfo>(&request).await?.account_info.ok_or("no account")?;
    assert_eq!(account.i_account, Some(7));
    println!("a call: logged in and got account {:?}", account.i_account);
    Ok(())
}

/// One request, one answer, and the connection is closed.
fn serve(mut socket: std::net::TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.ends_with(b"</soap:Envelope>") {
        let length = socket.read(&mut piece)?;
        request.extend_from_slice(&piece[..length]);
    }
    let start = request.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |end| end + 4);
    let server = Server::new(SERVICES, Limits::default());
    let answer = server.answer(Some("text/xml; charset=utf-8"), &request[start..], carry_out);
    let length = answer.body.len();
    write!(
        socket,
        "HTTP/1.1 {} .\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{}",
        answer.status, answer.body
    )
}

fn carry_out(call: &Invocation) -> Result<Box<dyn Structure>, Fault> {
    match call.parameter::<GetAccountInfoRequest>() {
        Some(request) => {
            let account_info = AccountInfo { i_account: request.i_account, ..Default::default() };
            Ok(Box::new(GetAccountInfoResponse { account_info: Some(account_info) }))
        }
        None => Ok(Box::new(LoginResponse { session_id: Some("s-1".into()), ..Default::default() })),
    }
}
