//! Our client against foreign servers, live: all of PortaBilling's manners that are known.
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use soapstone_soap::{CallError, Client, Limits, Structure, transport};

use super::installed;
use super::scenario::{SCENARIO, Step, blurs};

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
struct Server {
    process: Child,
    open: Option<ChildStdin>,
    url: String,
}

impl Server {
    fn start(name: &str) -> Self {
        let mut command = installed::script("serve");
        let command = command.args([name, "rpc"]).stdin(Stdio::piped()).stdout(Stdio::piped());
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

async fn play(server: &str) -> Vec<String> {
    let running = Server::start(server);
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().expect("a client");
    let client = Client::new(transport::over(http, Limits::default().message_bytes), Limits::default());
    let mut wrong = Vec::new();
    for (number, step) in SCENARIO.into_iter().enumerate() {
        let (header, request) = (step.header(), step.request());
        let header = header.as_ref().map(|header| -> &dyn Structure { header });
        let mut response = (step.operation().output.empty)();
        let outcome =
            match client.call(step.operation(), &running.url, header, &*request, &mut *response).await {
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
        wrong.extend(play(server).await.into_iter().map(|difference| format!("{server}: {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
