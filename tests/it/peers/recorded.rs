//! What peers have said to each other, recorded byte for byte: we understand both sides of it.
use std::fs;

use soapstone_soap::{Envelope, Fault, Limits, Operation, ReadError, Server, Structure, charset_of, decode};

use super::lab::{self, Manner, all::AuthInfo, translated};
use super::raw::{Message, parse};
use super::scenario::{SCENARIO, Step, blurs, differences};

struct Recording {
    manner: Manner,
    /// `client__server/file`.
    name: String,
    client: String,
    server: String,
    step: Step,
    message: Message,
}

impl Recording {
    /// zeep doesn't find the session in an answer whose accessors have a namespace, so it went on without one.
    fn without_session(&self) -> bool {
        (self.client.as_str(), self.server.as_str()) == ("zeep", "soaplite-defaultns")
    }
}

/// What each file of a pair is, by its number. strong-soap lost every other exchange with SOAP::Lite's daemon, which
/// had closed the connection that it wanted to use again.
fn steps(client: &str, server: &str) -> &'static [Step] {
    const HALF: [Step; 6] =
        [Step::Login, Step::Info, Step::List(1), Step::Update, Step::NoAuth, Step::Logout];
    match (client, server) {
        ("strong-soap", "soaplite" | "soaplite-auto" | "soaplite-defaultns") => &HALF,
        _ => &SCENARIO,
    }
}

/// Every recording with this extension.
fn recordings(manner: Manner, extension: &str) -> Vec<Recording> {
    let mut found = Vec::new();
    let folder = lab::folder().join("traces").join(manner.name());
    for pair in fs::read_dir(folder).expect("the recordings") {
        let pair = pair.expect("a pair").path();
        let names = pair.file_name().and_then(|name| name.to_str()).expect("a name").to_string();
        let (client, server) = names.split_once("__").expect("client__server");
        for file in fs::read_dir(&pair).expect("a pair's recordings") {
            let file = file.expect("a recording").path();
            if file.extension().is_none_or(|found| found != extension) {
                continue;
            }
            let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
            let number: usize = name[..3].parse().expect("a number");
            found.push(Recording {
                manner,
                name: format!("{names}/{name}"),
                client: client.to_string(),
                server: server.to_string(),
                step: steps(client, server)[number - 1],
                message: parse(&fs::read(&file).expect("a recording")),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn judge_request(recording: &Recording) -> Vec<String> {
    let (step, message) = (recording.step, &recording.message);
    let server = Server::new(recording.manner.services(), Limits::default());
    let call = match server.accept(message.content_type.as_deref(), &message.body) {
        Ok(call) => call,
        Err(fault) => return vec![fault.to_string()],
    };
    let mut wrong = differences(&*step.request(), &*call.parameter, blurs(&recording.client));
    let header = call.headers.iter().next().map(|header| translated(header, || Box::<AuthInfo>::default()));
    let header = header.as_deref().and_then(|header| (header as &dyn std::any::Any).downcast_ref());
    if call.operation.name != step.operation().name {
        wrong.push(format!("it is {}", call.operation.name));
    }
    let session = |header: Option<&AuthInfo>| header.and_then(|header| header.session_id.value()).cloned();
    let mut expected = session(step.header().as_ref());
    if recording.without_session() {
        expected = None;
        wrong.retain(|difference| !difference.starts_with(".session_id: null"));
    }
    if session(header) != expected {
        wrong.push(format!("session {:?}", session(header)));
    }
    wrong
}

fn judge_answer(recording: &Recording) -> Vec<String> {
    let step = match recording.step {
        step if recording.without_session() && step.header().is_some() => Step::NoAuth,
        step => step,
    };
    match answer(recording.manner.operation(step.operation()), &recording.message) {
        Ok(outcome) => step.judge(&outcome, blurs(&recording.client) || blurs(&recording.server)),
        Err(error) => vec![error.to_string()],
    }
}

fn answer(operation: &Operation, message: &Message) -> Result<Result<Box<dyn Structure>, Fault>, ReadError> {
    let limits = Limits::default();
    let text = decode(&message.body, message.content_type.as_deref().and_then(charset_of), &limits)?;
    let mut response = (operation.output.empty)();
    let outcome = Envelope::open(&text, &limits)?.answer(operation, &mut *response)?;
    Ok(outcome.map(|()| response))
}

fn all(manner: Manner, extension: &str, count: usize, judge: fn(&Recording) -> Vec<String>) {
    let recordings = recordings(manner, extension);
    assert_eq!(recordings.len(), count, "recordings");
    let complain = |recording: &Recording| {
        let wrong = judge(recording);
        (!wrong.is_empty()).then(|| format!("{}: {}", recording.name, wrong.join("; ")))
    };
    let wrong: Vec<_> = recordings.iter().filter_map(complain).collect();
    assert!(wrong.is_empty(), "{} of {count} recordings\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_recorded_request_is_read_as_its_client_meant_it() {
    all(Manner::Rpc, "req", 370, judge_request);
}

#[test]
fn every_recorded_answer_is_read_as_its_server_meant_it() {
    // ten fewer: strong-soap's server answers a fault with a stack trace, which isn't kept
    all(Manner::Rpc, "res", 360, judge_answer);
}

#[test]
fn every_recorded_request_in_document_style_is_read_as_its_client_meant_it() {
    all(Manner::Doc, "req", 215, judge_request);
}

#[test]
fn every_recorded_answer_in_document_style_is_read_as_its_server_meant_it() {
    all(Manner::Doc, "res", 215, judge_answer);
}
