//! Header blocks that say more about two of SOAP's own faults (SOAP 1.2 part 1 §5.4.7, §5.4.8): which blocks weren't
//! understood, and which envelopes are.

use crate::{Block, Fault, Raw, SOAP_1_1, SOAP_1_2, Version, write};

/// A fault, and the blocks that go with it.
pub(super) type Refusal = (Box<Fault>, Vec<Raw>);

/// `NotUnderstood` for each block.
pub(super) fn not_understood(blocks: &[&Block]) -> Vec<Raw> {
    let notice = |block: &&Block| {
        let mut out = format!("<n:NotUnderstood xmlns:n=\"{SOAP_1_2}\" qname=\"");
        if block.namespace.is_empty() {
            out.push_str(&block.name);
        } else {
            out.push_str("b:");
            out.push_str(&block.name);
            out.push_str("\" xmlns:b=\"");
            write::escape(&mut out, &block.namespace);
        }
        out.push_str("\"/>");
        Raw::of_message(out)
    };
    blocks.iter().map(notice).collect()
}

/// `Upgrade`, in either envelope: whoever knows SOAP 1.1 alone passes over it (SOAP 1.2 part 1, appendix A).
pub(super) fn upgrade(spoken: &[Version]) -> Vec<Raw> {
    let mut out = format!("<n:Upgrade xmlns:n=\"{SOAP_1_2}\">");
    for version in spoken {
        let namespace = if *version == Version::Soap12 { SOAP_1_2 } else { SOAP_1_1 };
        out += &format!("<n:SupportedEnvelope qname=\"e:Envelope\" xmlns:e=\"{namespace}\"/>");
    }
    out.push_str("</n:Upgrade>");
    vec![Raw::of_message(out)]
}
