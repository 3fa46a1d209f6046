//! A value of every message of a definition, made from the tables; written, read back, compared; kept in files for
//! whoever else wants to look at them.
//!
//! Stands apart because it is compiled twice: into the tests, for our own cases, and into a program that is made of
//! what published definitions give.

mod fill;
mod same;

use std::fs;
use std::path::Path;

use soapstone_soap::{Envelope, Fault, Header, Limits, Operation, Part, Service, Structure, write};

pub(crate) use fill::Fill;

/// The fills that every message is tried with: everything there is, in several turns of the alternatives, and nothing
/// that may be left out.
pub(crate) const FILLS: [Fill; 5] =
    [Fill::everything(0), Fill::everything(1), Fill::everything(2), Fill::everything(3), Fill::LEAST];

/// What came of the messages of a definition.
#[derive(Default)]
pub(crate) struct Outcome {
    /// How many messages there were.
    pub(crate) messages: usize,
    /// What is wrong with any of them.
    pub(crate) wrong: Vec<String>,
}

/// Makes, writes, reads back and compares every message of `services`; each is a file of `folder`.
pub(crate) fn exchange(services: &[&Service], folder: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    for service in services {
        for (number, operation) in service.operations.iter().enumerate() {
            for fill in FILLS {
                let name = format!("{}-{number}-{}-{}", service.name, operation.name, fill.name());
                let name: String =
                    name.chars().map(|it| if it.is_alphanumeric() { it } else { '-' }).collect();
                let messages = [
                    ("request", Some(request(operation, fill))),
                    ("response", (!operation.one_way).then(|| response(operation, fill))),
                    ("fault", operation.faults.as_ref().map(|part| fault(operation, part, fill))),
                ];
                for (kind, made) in messages {
                    let Some((text, result)) = made else { continue };
                    outcome.messages += 1;
                    fs::write(folder.join(format!("{name}-{kind}.xml")), &text).expect("written");
                    outcome.wrong.extend(result.err().map(|why| format!("{name} {kind}: {why}\n  {text}")));
                }
            }
        }
    }
    outcome
}

type Made = (String, Result<(), String>);

fn request(operation: &'static Operation, fill: Fill) -> Made {
    let request = filled(&operation.input, fill);
    let headers = blocks(operation.headers, fill);
    let borrowed: Vec<&dyn Structure> = headers.iter().map(|block| &**block).collect();
    let text = match write::request_with(operation, &borrowed, &*request) {
        Ok(text) => text,
        Err(error) => return (String::new(), Err(error.to_string())),
    };
    let read = || {
        let limits = Limits::default();
        let envelope = Envelope::open(&text, &limits).map_err(|error| error.to_string())?;
        same_blocks(operation.headers, &headers, &envelope)?;
        let mut again = (operation.input.empty)();
        envelope.request(operation, &mut *again).map_err(|error| error.to_string())?;
        same::structures(&*request, &*again)
    };
    let result = read();
    (text, result)
}

fn response(operation: &'static Operation, fill: Fill) -> Made {
    let response = filled(&operation.output, fill);
    let headers = blocks(operation.output_headers, fill);
    let borrowed: Vec<&dyn Structure> = headers.iter().map(|block| &**block).collect();
    let text = match write::response_with(operation, &borrowed, &*response) {
        Ok(text) => text,
        Err(error) => return (String::new(), Err(error.to_string())),
    };
    let read = || {
        let limits = Limits::default();
        let envelope = Envelope::open(&text, &limits).map_err(|error| error.to_string())?;
        same_blocks(operation.output_headers, &headers, &envelope)?;
        let mut again = (operation.output.empty)();
        let answer = envelope.answer(operation, &mut *again).map_err(|error| error.to_string())?;
        answer.map_err(|fault| format!("read as the fault {fault}"))?;
        same::structures(&*response, &*again)
    };
    let result = read();
    (text, result)
}

fn fault(operation: &'static Operation, part: &Part, fill: Fill) -> Made {
    let detail = filled(part, fill);
    let text =
        write::fault_in(operation.version(), &Fault::new("Client.No", "not like that"), Some(&*detail));
    let read = || {
        let limits = Limits::default();
        let envelope = Envelope::open(&text, &limits).map_err(|error| error.to_string())?;
        let fault = envelope.into_fault().map_err(|error| error.to_string())?;
        let mut again = (part.empty)();
        if !fault.read_detail(&mut *again).map_err(|error| error.to_string())? {
            return Err("its detail isn't recognised".to_owned());
        }
        same::structures(&*detail, &*again)
    };
    let result = read();
    (text, result)
}

fn filled(part: &Part, fill: Fill) -> Box<dyn Structure> {
    let mut structure = (part.empty)();
    fill.structure(&mut *structure);
    structure
}

fn blocks(declared: &[Header], fill: Fill) -> Vec<Box<dyn Structure>> {
    let filled = |header: &Header| {
        let mut block = (header.empty)();
        fill.structure(&mut *block);
        block
    };
    declared.iter().map(filled).collect()
}

fn same_blocks(
    declared: &[Header],
    blocks: &[Box<dyn Structure>],
    envelope: &Envelope<'_>,
) -> Result<(), String> {
    for (header, block) in declared.iter().zip(blocks) {
        let mut again = (header.empty)();
        if !envelope.header(header.name, &mut *again).map_err(|error| error.to_string())? {
            return Err(format!("no header {}", header.name));
        }
        same::structures(&**block, &*again).map_err(|why| format!("header {}: {why}", header.name))?;
    }
    Ok(())
}
