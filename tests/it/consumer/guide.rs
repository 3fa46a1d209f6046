//! "Your own WSDL in ten minutes" (`codegen/README.md`), done as it says.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use super::{Consumer, root, target};

const ANSWER: &str = "<?xml version='1.0'?><e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>\
                      <a:GetPriceResponse xmlns:a='urn:example:stock'><a:price>12.10</a:price>\
                      <a:currency>CZK</a:currency></a:GetPriceResponse></e:Body></e:Envelope>";

/// The files that the guide prints: a line with nothing but a name, then a block.
fn files(guide: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = guide;
    while let Some((before, after)) = rest.split_once("`:\n\n```") {
        let name = before.rsplit_once('`').map_or(before, |(_, name)| name);
        let (text, after) =
            after.split_once('\n').expect("a language").1.split_once("\n```").expect("an end");
        found.push((name, text));
        rest = after;
    }
    found
}

/// Its commands, as far as they run something.
fn commands(guide: &str) -> Vec<Vec<&str>> {
    let runs = guide.lines().filter_map(|line| line.strip_prefix("cargo run"));
    runs.map(|line| ["run", "--quiet"].into_iter().chain(line.split_whitespace()).collect()).collect()
}

/// The crate, beside a folder `soapstone` that is this repository.
fn made(guide: &str) -> Consumer {
    let folder = target().join("guide/stock");
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let files = files(guide);
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["Cargo.toml", "stock.wsdl", "build.rs", "src/main.rs"]);
    for (name, text) in files {
        // here it stands inside of another workspace, and has to say that it is no part of it
        let own = if name == "Cargo.toml" { "\n[workspace]\n" } else { "" };
        fs::write(folder.join(name), format!("{text}\n{own}")).expect("a file");
    }
    beside(&folder);
    Consumer::at(folder)
}

fn beside(folder: &Path) {
    let link = folder.with_file_name("soapstone");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(root(), link).expect("a link");
}

/// Serves the one answer to whoever asks, closing the connection each time.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/stock", listener.local_addr().expect("an address"));
    thread::spawn(move || listener.incoming().flatten().try_for_each(answer));
    url
}

fn answer(mut socket: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.ends_with(b"</soap:Envelope>") {
        let length = socket.read(&mut piece)?;
        request.extend_from_slice(&piece[..length]);
    }
    let length = ANSWER.len();
    write!(
        socket,
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{ANSWER}"
    )
}

#[test]
fn the_guide_to_ones_own_wsdl_works_as_printed() {
    let guide = fs::read_to_string(root().join("codegen/README.md")).expect("the guide");
    let consumer = made(&guide);
    let commands = commands(&guide);
    let [describe, alone, call] = &commands[..] else { panic!("three commands, not {commands:?}") };

    let said = consumer.cargo(describe);
    assert!(said.contains("GetPrice") && said.contains("symbol"), "{said}");

    let said = consumer.cargo(alone);
    let body = "<GetPriceRequest xmlns=\"urn:example:stock\"><symbol>ACME</symbol><on>2026-11-20</on></GetPriceRequest>";
    assert!(said.contains(body), "{said}");

    let url = serve();
    let call: Vec<&str> = call.iter().map(|it| if it.starts_with("http:") { &url } else { *it }).collect();
    assert_eq!(consumer.cargo(&call).trim(), r#"Some(12.10) Some(Other("CZK"))"#);
    // nobody listens there
    let said = consumer.cargo(&["run", "--quiet", "--", "http://127.0.0.1:1/stock"]);
    assert_eq!(said.trim(), "nothing happened: the server can't be reached");
}
