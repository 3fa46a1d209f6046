//! Our client against foreign servers, live: all of PortaBilling's manners that are known.
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use soapstone_soap::{CallError, Client, Limits, transport};

use super::installed;
use super::lab::{Manner, translated};
use super::scenario::{SCENARIO, Step, blurs};

/// Those that speak document/literal.
const DOC_SERVERS: [&str; 4] = ["soaplite", "php", "node-soap", "strong-soap"];

const SERVERS: [&str; 7] = [
    "soaplite",
    "soaplite-defaultns",
    "soaplite-auto",
    "soaplite-starman",
    "php",
    "node-soap",
    "strong-soap",
];

/// A server that runs until it is dropped.
pub struct Server {
    process: Child,
    open: Option<ChildStdin>,
    pub url: String,
}

impl Server {
    fn start(name: &str, manner: Manner) -> Self {
        Self::with(name, manner, &[])
    }

    /// The same, with something in its environment.
    pub fn with(name: &str, manner: Manner, environment: &[(&str, &str)]) -> Self {
        let mut command = installed::script("serve");
        command.envs(environment.iter().copied());
        let command = command.args([name, manner.name()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("python3 runs");
        let mut url = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut url).expect("its URL");
        let url = url.trim().to_string();
        assert!(url.starts_with("http://"), "{name} did not start");
        Self { open: process.stdin.take(), process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.open.take());
        let _ = self.process.wait();
    }
}

async fn play(server: &str, manner: Manner) -> Vec<String> {
    let running = Server::start(server, manner);
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().expect("a client");
    let client = Client::new(transport::over(http, Limits::default().message_bytes), Limits::default());
    let mut wrong = Vec::new();
    for (number, step) in SCENARIO.into_iter().enumerate() {
        let operation = manner.operation(step.operation());
        let header = step.header().map(|header| translated(&header, operation.headers[0].empty));
        let request = translated(&*step.request(), operation.input.empty);
        let mut response = (operation.output.empty)();
        let outcome =
            match client.call(operation, &running.url, header.as_deref(), &*request, &mut *response).await {
                Ok(()) => Ok(response),
                Err(CallError::Fault(typed)) => Err(*typed.fault),
                // it has no other way of answering a fault than a stack trace
                Err(CallError::Unreadable { status, raw, .. })
                    if server == "strong-soap" && matches!(step, Step::NotFound | Step::NoAuth) =>
                {
                    assert_eq!(status, 500);
                    assert!(raw.starts_with("TypeError"), "{raw}");
                    continue;
                }
                Err(error) => {
                    wrong
                        .push(format!("{number} {step:?}: {error}: {:?}", std::error::Error::source(&error)));
                    continue;
                }
            };
        let judged = step.judge(&outcome, blurs(server));
        wrong.extend(judged.into_iter().map(|difference| format!("{number} {step:?}: {difference}")));
    }
    wrong
}

#[tokio::test]
async fn our_client_gets_what_it_asks_every_foreign_server_for() {
    let mut wrong = Vec::new();
    for server in SERVERS.into_iter().filter(|server| installed::has(server)) {
        let found = play(server, Manner::Rpc).await;
        wrong.extend(found.into_iter().map(|difference| format!("{server}: {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn our_client_gets_what_it_asks_every_foreign_server_for_in_document_style() {
    let mut wrong = Vec::new();
    for server in DOC_SERVERS.into_iter().filter(|server| installed::has(server)) {
        let found = play(server, Manner::Doc).await;
        wrong.extend(found.into_iter().map(|difference| format!("{server}: {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn our_client_gets_what_it_asks_a_foreign_server_for_in_soap_1_2() {
    if installed::has("php") {
        assert_eq!(play("php", Manner::Doc12).await, [""; 0]);
    }
}
