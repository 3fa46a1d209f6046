//! Faults: an envelope that always gets through.

use super::Writer;
use crate::envelope::Version;
use crate::{Any, Fault, Header, Raw, Structure};

/// The envelope of a fault in SOAP 1.1.
///
/// Characters that XML can't hold are replaced, so that a fault always gets through.
pub fn fault(fault: &Fault) -> String {
    fault_in(Version::Soap11, fault, None)
}

/// The envelope of a fault, with a detail as the operation declares it ([`crate::Operation::faults`]) where one is given.
///
/// Characters that XML can't hold are replaced, so that a fault always gets through; a detail that can't be written
/// is left out.
pub fn fault_in(version: Version, fault: &Fault, detail: Option<&dyn Structure>) -> String {
    fault_with(version, &[], fault, detail)
}

/// The same with header blocks as they stand.
pub(crate) fn fault_noticed(version: Version, blocks: &[Raw], fault: &Fault) -> String {
    let mut header = String::new();
    if !blocks.is_empty() {
        header.push_str("<soap:Header>");
        header.extend(blocks.iter().map(Raw::as_str));
        header.push_str("</soap:Header>");
    }
    finished(begun(version, &header), version, fault, None)
}

/// The same with header blocks ([`crate::Operation::fault_headers`]); one that can't be written is left out like a
/// detail.
pub(crate) fn fault_with(
    version: Version,
    blocks: &[(&'static Header, &dyn Structure)],
    fault: &Fault,
    detail: Option<&dyn Structure>,
) -> String {
    let mut out = begun(version, "");
    let before = out.text.len();
    if out.header(blocks).is_err() {
        out.text.truncate(before);
    }
    finished(out, version, fault, detail)
}

fn begun(version: Version, header: &str) -> Writer<'static> {
    let mut out = Writer::plain(version);
    out.text.push_str(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">");
    out.text.push_str(header);
    out
}

fn finished(mut out: Writer<'_>, version: Version, fault: &Fault, detail: Option<&dyn Structure>) -> String {
    out.text.push_str("<soap:Body><soap:Fault>");
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

/// Whether SOAP 1.2 takes the fault for the sender's.
pub(crate) fn is_senders(fault: &Fault) -> bool {
    code_12(&fault.raw_code).0 == "soap:Sender"
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

/// SOAP 1.1 §4.4.1: its own codes, dotted or not, are names in the envelope's namespace; SOAP 1.2's names for them are
/// understood, others stay as they are.
fn qualified(code: &str) -> String {
    let (first, rest) = code.split_at(code.find('.').unwrap_or(code.len()));
    let own = match first {
        "Client" | "Sender" => "Client",
        "Server" | "Receiver" => "Server",
        "VersionMismatch" | "MustUnderstand" => first,
        _ => return code.to_string(),
    };
    format!("soap:{own}{rest}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_said_in_the_words_of_its_version() {
        for (code, old, new) in [
            ("Client.a", "soap:Client.a", ("soap:Sender", Some("a"))),
            ("Sender", "soap:Client", ("soap:Sender", None)),
            ("Receiver.b.c", "soap:Server.b.c", ("soap:Receiver", Some("b.c"))),
            ("MustUnderstand", "soap:MustUnderstand", ("soap:MustUnderstand", None)),
            ("own", "own", ("soap:Receiver", Some("own"))),
            ("Clients", "Clients", ("soap:Receiver", Some("Clients"))),
        ] {
            assert_eq!(qualified(code), old);
            let (value, subcode) = code_12(code);
            assert_eq!((value, subcode.as_deref()), new, "{code}");
        }
    }
}
