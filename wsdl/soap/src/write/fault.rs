//! Faults: an envelope that always gets through.

use super::Writer;
use crate::envelope::Version;
use crate::{Any, Fault, Structure};

/// The envelope of a fault in SOAP 1.1.
///
/// Characters that XML can't hold are replaced, so that a fault always gets through.
pub fn fault(fault: &Fault) -> String {
    fault_in(Version::Soap11, fault, None)
}

/// The envelope of a fault, with a detail as the operation declares it ([`Operation::faults`](crate::Operation::faults)) where one is given.
///
/// Characters that XML can't hold are replaced, so that a fault always gets through; a detail that can't be written
/// is left out.
pub fn fault_in(version: Version, fault: &Fault, detail: Option<&dyn Structure>) -> String {
    let mut out = Writer::plain(version);
    out.text.push_str(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soap:Body><soap:Fault>");
    let names = match version {
        Version::Soap11 => {
            out.text.push_str("<faultcode>");
            out.lossy(&qualified(&fault.raw_code));
            out.text.push_str("</faultcode><faultstring>");
            out.lossy(&fault.message);
            out.text.push_str("</faultstring>");
            ("faultactor", "detail")
        }
        Version::Soap12 => {
            let (code, subcode) = code_12(&fault.raw_code);
            out.text.push_str("<soap:Code><soap:Value>");
            out.text.push_str(code);
            out.text.push_str("</soap:Value>");
            if let Some(subcode) = subcode {
                out.text.push_str("<soap:Subcode><soap:Value>");
                out.lossy(&subcode);
                out.text.push_str("</soap:Value></soap:Subcode>");
            }
            out.text.push_str("</soap:Code><soap:Reason><soap:Text xml:lang=\"en\">");
            out.lossy(&fault.message);
            out.text.push_str("</soap:Text></soap:Reason>");
            ("soap:Role", "soap:Detail")
        }
    };
    if let Some(actor) = &fault.actor {
        out.start(names.0);
        out.text.push('>');
        out.lossy(actor);
        out.end(names.0);
    }
    let before = out.text.len();
    if let Some(detail) = detail {
        out.start(names.1);
        out.text.push('>');
        match out.members(detail) {
            Ok(()) => out.end(names.1),
            Err(_) => out.text.truncate(before),
        }
    } else if let Some(detail) = &fault.detail {
        out.detail(names.1, detail);
    }
    out.text.push_str("</soap:Fault></soap:Body></soap:Envelope>");
    out.text
}

/// SOAP 1.2 §5.4.6: one of its own codes, and what was meant as a code below it.
fn code_12(code: &str) -> (&'static str, Option<String>) {
    let local = code.rsplit(':').next().unwrap_or_default();
    let (first, rest) = local.split_once('.').unwrap_or((local, ""));
    let own = match first {
        "Client" | "Sender" => "soap:Sender",
        "VersionMismatch" => "soap:VersionMismatch",
        "MustUnderstand" => "soap:MustUnderstand",
        "Server" | "Receiver" => "soap:Receiver",
        _ => return ("soap:Receiver", Some(local.to_owned()).filter(|code| !code.is_empty())),
    };
    (own, Some(rest.to_owned()).filter(|rest| !rest.is_empty()))
}

/// SOAP 1.1 §4.4.1: its own codes, dotted or not, are names in the envelope's namespace; others stay as they are.
fn qualified(code: &str) -> String {
    let own = ["Client", "Server", "VersionMismatch", "MustUnderstand"];
    match code.split('.').next() {
        Some(first) if own.contains(&first) => format!("soap:{code}"),
        _ => code.to_string(),
    }
}

impl Writer<'_> {
    /// A fault's detail: literal, so without types.
    fn detail(&mut self, name: &str, any: &Any) {
        self.start(name);
        self.text.push('>');
        match any {
            Any::Nil => {}
            Any::Text(text) => self.lossy(text),
            Any::Structure(members) => members.iter().for_each(|(member, value)| self.detail(member, value)),
            Any::List(items) => items.iter().for_each(|item| self.detail("item", item)),
        }
        self.end(name);
    }
}
