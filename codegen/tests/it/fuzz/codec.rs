//! Messages and JSON that were changed, read by every operation's table: a value or an error. What is read can be
//! written, and comes back the same.

use std::path::Path;
use std::time::Duration;

use soapstone_soap::{Envelope, Json, Limits, Operation, Service, Structure, decode, fill_json, write};

use super::{Run, files, mutate::mutate};
use crate::compiles::COMPILED;
use crate::round_trip::round_trip;

/// The lab's service, which foreign stacks were recorded with.
mod lab {
    include!("../../../../tests/it/peers/generated.rs");
}

struct Sample {
    bytes: Vec<u8>,
    operation: &'static Operation,
}

/// What our own tables write, and what was recorded of others.
fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (_, services) in COMPILED.iter().filter(|(case, _)| *case != "names") {
        for operation in services.iter().flat_map(|service| service.operations) {
            for written in round_trip(operation, 1) {
                samples.push(Sample { bytes: written.into_bytes(), operation });
            }
        }
    }
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers");
    for file in ["traces", "nasty"].iter().flat_map(|folder| files(&traces.join(folder))) {
        let bytes = std::fs::read(&file).expect("readable");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let body = bytes[end + 4..].to_vec();
        let text = String::from_utf8_lossy(&body).into_owned();
        let names =
            |service: &'static Service| service.operations.iter().copied().find(|it| text.contains(it.name));
        if let Some(operation) = lab::SERVICES.iter().find_map(|service| names(service)) {
            samples.push(Sample { bytes: body, operation });
        }
    }
    assert!(samples.len() > 100, "{}", samples.len());
    samples
}

/// Reads a message as request, answer and fault; whether it was a request.
fn read(bytes: &[u8], charset: Option<&str>, operation: &'static Operation) -> bool {
    let limits = Limits::default();
    let Ok(text) = decode(bytes, charset, &limits) else { return false };
    let open = || Envelope::open(&text, &limits);
    let Ok(envelope) = open() else { return false };
    for header in operation.headers {
        let _ = envelope.header(header.name, &mut *(header.empty)());
    }
    let mut request = (operation.input.empty)();
    let is_request = envelope.request(operation, &mut *request).is_ok();
    if is_request {
        comes_back(operation, &*request);
    }
    let mut answer = (operation.output.empty)();
    let _ = open().map(|envelope| envelope.answer(operation, &mut *answer));
    if let Ok(Ok(fault)) = open().map(Envelope::into_fault) {
        let text = write::fault(&fault);
        assert!(Envelope::open(&text, &limits).is_ok_and(|again| again.is_fault()), "{text}");
    }
    is_request
}

/// What was read can be written, unless it has what XML can't hold; and what is written is read as what was written.
fn comes_back(operation: &'static Operation, request: &dyn Structure) {
    let limits = Limits::default();
    let Ok(first) = write::request(operation, None, request) else { return };
    let mut again = (operation.input.empty)();
    let read = Envelope::open(&first, &limits).and_then(|it| it.request(operation, &mut *again));
    assert_eq!(read, Ok(()), "{first}");
    let second = write::request(operation, None, &*again).expect("can be written");
    assert_eq!(undeclared(&first), undeclared(&second));
    let json = serde_json::to_string(&Json(request)).expect("JSON");
    let mut from_json = (operation.input.empty)();
    let filled = fill_json(&mut *from_json, &mut serde_json::Deserializer::from_str(&json));
    assert!(filled.is_ok(), "{filled:?}\n{json}");
}

/// The same without declarations of prefixes: one that nothing uses is no part of a value.
fn undeclared(text: &str) -> String {
    let mut pieces = text.split(" xmlns:");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(piece.splitn(3, '"').nth(2).unwrap_or_default());
    }
    out
}

#[test]
fn a_message_with_anything_changed_is_read_or_refused_and_what_is_read_can_be_written() {
    let samples = samples();
    let mut run = Run::new("codec", 2000);
    while run.goes_on() {
        let Sample { bytes, operation } = &samples[run.numbers.below(samples.len())];
        let other = &samples[run.numbers.below(samples.len())];
        let changed = mutate(bytes, &other.bytes, &mut run.numbers);
        let charsets = [None, None, None, Some("utf-8"), Some("iso-8859-1"), Some("utf-16"), Some("no-such")];
        let charset = charsets[run.numbers.below(charsets.len())];
        run.round(&changed, Duration::from_secs(10), || read(&changed, charset, operation));
    }
    run.report();
}

#[test]
fn json_with_anything_changed_is_read_or_refused() {
    let samples = samples();
    let limits = Limits::default();
    let mut run = Run::new("json", 2000);
    while run.goes_on() {
        let Sample { bytes, operation } = &samples[run.numbers.below(samples.len())];
        let mut request = (operation.input.empty)();
        let text = String::from_utf8_lossy(bytes);
        let _ = Envelope::open(&text, &limits).and_then(|it| it.request(operation, &mut *request));
        let json = serde_json::to_vec(&Json(&*request)).expect("JSON");
        let changed = mutate(&json, &json, &mut run.numbers);
        run.round(&changed, Duration::from_secs(10), || {
            let mut again = (operation.input.empty)();
            let filled = fill_json(&mut *again, &mut serde_json::Deserializer::from_slice(&changed)).is_ok();
            if filled {
                comes_back(operation, &*again);
            }
            filled
        });
    }
    run.report();
}
