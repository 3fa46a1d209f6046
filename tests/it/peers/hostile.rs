//! Answers that are awkward or hostile, byte by byte off a socket, to the real client: what can be read is read, what
//! can't be is a clear error, at once and without memory.
use std::fs;
use std::time::{Duration, Instant};

use soapstone_soap::{CallError, Client, Limits, transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::lab::{self, Manner, all::GetAccountInfoResponse, translated};
use super::scenario::Step;

/// How long any of these answers may take to be judged; a time-out would take longer.
const PROMPT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);

/// Serves one answer to whoever asks first, in pieces of `piece` bytes, and hangs up. Returns the URL.
async fn serve(raw: Vec<u8>, piece: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/soap/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        socket.set_nodelay(true).expect("an option");
        let mut request = [0; 4096];
        let mut length = 0;
        while !request[..length].ends_with(b"</soap:Envelope>") {
            length += socket.read(&mut request[length..]).await.expect("a request");
        }
        for piece in raw.chunks(piece) {
            // the client hangs up as soon as it has seen enough
            if socket.write_all(piece).await.is_err() {
                break;
            }
        }
    });
    url
}

async fn ask(url: &str, limits: Limits) -> Result<GetAccountInfoResponse, CallError> {
    ask_in(Manner::Rpc, url, limits).await
}

async fn ask_in(manner: Manner, url: &str, limits: Limits) -> Result<GetAccountInfoResponse, CallError> {
    let http = reqwest::Client::builder().timeout(TIMEOUT).build().expect("a client");
    let client = Client::new(transport::over(http, limits.message_bytes), limits);
    let operation = manner.operation(Step::Info.operation());
    let header = Step::Info.header().map(|header| translated(&header, operation.headers[0].empty));
    let request = translated(&*Step::Info.request(), operation.input.empty);
    let mut response = (operation.output.empty)();
    client.call(operation, url, header.as_deref(), &*request, &mut *response).await?;
    let response = translated(&*response, || Box::<GetAccountInfoResponse>::default());
    let response: Box<dyn std::any::Any> = response;
    Ok(*response.downcast().expect("what it was made as"))
}

/// What came of it in the words of `EXPECT.tsv`, and more of it for people.
fn verdict(outcome: &Result<GetAccountInfoResponse, CallError>) -> (&'static str, String) {
    match outcome {
        Ok(response) => {
            let id = response.account_info.value().and_then(|account| account.id.value());
            (
                if id.map(String::as_str) == Some("16045551001") { "ok" } else { "wrong" },
                format!("{response:?}"),
            )
        }
        Err(CallError::Fault(fault)) => ("fault", fault.to_string()),
        Err(error) => {
            ("reject", format!("{error}: {:?}", std::error::Error::source(error).map(ToString::to_string)))
        }
    }
}

#[tokio::test]
async fn awkward_answers_are_read_and_hostile_ones_refused_at_once() {
    judge_all(Manner::Rpc, 32).await;
}

#[tokio::test]
async fn awkward_answers_in_document_style_are_read_and_hostile_ones_refused_at_once() {
    judge_all(Manner::Doc, 24).await;
}

async fn judge_all(manner: Manner, cases: usize) {
    let nasty = lab::folder().join("nasty");
    let expected = fs::read_to_string(nasty.join("EXPECT.tsv")).expect("EXPECT.tsv");
    let (mut count, mut wrong) = (0, Vec::new());
    for line in expected.lines() {
        let [kind, style, case, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        if (kind, style) != ("responses", manner.name()) {
            continue;
        }
        count += 1;
        let raw = fs::read(nasty.join(format!("responses/{style}/{case}.res"))).expect("an answer");
        let started = Instant::now();
        let outcome = ask_in(manner, &serve(raw, 1).await, Limits::default()).await;
        let (found, more) = verdict(&outcome);
        let prompt = started.elapsed() < PROMPT;
        if !prompt || found == "wrong" || (expected != "any" && found != expected) {
            wrong
                .push(format!("{case}: {found} instead of {expected} after {:?}: {more}", started.elapsed()));
        }
    }
    assert_eq!(count, cases, "cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An HTTP answer with this envelope's body.
fn answer(charset: &str, prolog: &str, body: &str) -> Vec<u8> {
    let envelope = format!(
        "{prolog}<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:n=\"http://schemas.portaone.com/soap\"><e:Body><n:get_account_infoResponse><r><account_info>{body}\
         </account_info></r></n:get_account_infoResponse></e:Body></e:Envelope>"
    );
    let mut raw = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset={charset}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        envelope.len()
    )
    .into_bytes();
    raw.extend_from_slice(envelope.as_bytes());
    raw
}

/// What attackers and broken servers send, with a piece of what must be said about it.
fn attacks() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let id = "<id>16045551001</id>";
    let bomb: String = (1..10)
        .map(|level| format!("<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10)))
        .collect();
    let bomb = format!("<!DOCTYPE e:Envelope [<!ENTITY l0 \"lol\">{bomb}]>");
    let external = "<!DOCTYPE e:Envelope [<!ENTITY x SYSTEM \"file:///etc/hostname\">]>";
    let deep = format!("{id}{}{}", "<d>".repeat(100_000), "</d>".repeat(100_000));
    let attributes: String = (0..100_000).map(|index| format!(" a{index}=\"\"")).collect();
    let empty = format!("<service_features>{}</service_features>", "<i/>".repeat(1_000_000));
    let sparse = "<service_features><i c:position=\"[99999999]\"/></service_features>"
        .replace("<i ", "<i xmlns:c=\"http://schemas.xmlsoap.org/soap/encoding/\" ");
    let many = |id: &str| format!("<i href=\"#{id}\"/>").repeat(1_000);
    let references = format!(
        "<service_features>{}</service_features></account_info></r><m id=\"f\"><attributes>{}</attributes></m>\
         <m id=\"a\"><values>{}</values></m><m id=\"v\">text</m><r><account_info>",
        many("f"),
        many("a"),
        many("v"),
    );
    let mut binary = answer("utf-8", "", "<id>X</id>");
    if let Some(last) = binary.iter().rposition(|byte| *byte == b'X') {
        binary[last] = 0xff;
    }
    let mut half = answer("utf-8", "", id);
    half.truncate(half.len() - 10);
    vec![
        ("a bomb of entities", answer("utf-8", &bomb, "<id>&l9;</id>"), "DTD"),
        ("an external entity", answer("utf-8", external, "<id>&x;</id>"), "DTD"),
        ("an entity out of nowhere", answer("utf-8", "", "<id>&x;</id>"), "&x;"),
        ("100 000 elements inside each other", answer("utf-8", "", &deep), "64 levels"),
        ("100 000 attributes", answer("utf-8", "", &format!("<id{attributes}/>")), "64 attributes"),
        ("references that multiply", answer("utf-8", "", &references), "through references"),
        ("a million items of nothing", answer("utf-8", "", &empty), "bytes in lists"),
        ("an item at position 99 999 999", answer("utf-8", "", &sparse), "sparse"),
        (
            "a number of a million digits",
            answer("utf-8", "", &format!("<i_acl>{}</i_acl>", "9".repeat(1_000_000))),
            "not a valid",
        ),
        ("bytes that are no UTF-8", binary, "not valid UTF-8"),
        ("an unknown charset", answer("klingon", "", id), "not valid klingon"),
        ("a control character", answer("utf-8", "", "<id>\u{1}</id>"), "U+0001"),
        ("an answer that breaks off", half, "carried out"),
    ]
}

/// Forgets what the most was until now, so that each attack has a peak of its own.
fn forget_peak() -> usize {
    fs::write("/proc/self/clear_refs", "5").expect("Linux");
    peak()
}

/// The most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kilobytes: usize = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kilobytes * 1024
}

/// How much memory an answer of about a megabyte may take to be refused, itself included.
const FLAT: usize = 16 << 20;
/// Set in the process of its own in which memory is measured, where nothing else takes any.
const ALONE: &str = "SOAPSTONE_TEST_ALONE";

#[test]
fn attacks_are_refused_with_a_clear_error_and_without_memory() {
    if std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Runtime::new().expect("a runtime").block_on(attack());
    }
    let this = "peers::hostile::attacks_are_refused_with_a_clear_error_and_without_memory";
    let mut alone = std::process::Command::new(std::env::current_exe().expect("this program"));
    let output = alone.args([this, "--exact", "--nocapture"]).env(ALONE, "1").output().expect("it runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn attack() {
    let limits = Limits { message_bytes: 8 << 20, list_bytes: 4 << 20, ..Limits::default() };
    let ordinary = ask(&serve(answer("utf-8", "", "<id>16045551001</id>"), 1024).await, limits).await;
    assert_eq!(verdict(&ordinary).0, "ok", "{ordinary:?}");

    for (name, raw, expected) in attacks() {
        let (before, started) = (forget_peak(), Instant::now());
        let outcome = ask(&serve(raw, 64 << 10).await, limits).await;
        let (found, more) = verdict(&outcome);
        let grown = peak().saturating_sub(before);
        println!("{name}: {more} ({:?}, {} KiB)", started.elapsed(), grown >> 10);
        assert!(found == "reject" && more.contains(expected), "{name}: {found}: {more}");
        assert!(started.elapsed() < PROMPT, "{name}: {:?}", started.elapsed());
        assert!(grown < FLAT, "{name}: {} KiB", grown >> 10);
    }

    // longer than the limit, as it stands or once decompressed
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..128 {
        std::io::Write::write_all(&mut zipped, &[b' '; 1 << 20]).expect("compressing");
    }
    let zipped = zipped.finish().expect("compressing");
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n";
    let before = forget_peak();
    let started = Instant::now();
    let outcome = ask(&serve([head.as_bytes(), &zipped].concat(), 4096).await, limits).await;
    assert!(verdict(&outcome).1.contains("longer than 8388608 bytes"), "{outcome:?}");
    let grown = peak().saturating_sub(before);
    assert!(grown < FLAT, "128 MiB of blanks: {} KiB", grown >> 10);
    assert!(started.elapsed() < PROMPT, "128 MiB of blanks: {:?}", started.elapsed());

    // and to show that the gauge works: what is allowed to be big is big
    let before = forget_peak();
    let big = answer("utf-8", "", &format!("<id>16045551001</id><note>{}</note>", "x".repeat(60 << 20)));
    let outcome =
        ask(&serve(big, 1 << 20).await, Limits { value_bytes: 64 << 20, ..Limits::default() }).await;
    assert_eq!(verdict(&outcome).0, "ok");
    let grown = peak().saturating_sub(before);
    println!("the gauge: {} KiB", grown >> 10);
    assert!(grown > 60 << 20, "the gauge shows {} KiB", grown >> 10);
}
