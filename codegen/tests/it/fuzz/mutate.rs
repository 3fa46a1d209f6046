//! Changes to bytes: some that anything may suffer, some that know what XML and SOAP mean something by.

use super::Numbers;

const WORDS: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "\"",
    "'",
    "&",
    "&amp;",
    "&#0;",
    "&#x10FFFF;",
    "&nope;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?x ?>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    " xmlns=\"\"",
    " xmlns:xsd=\"urn:other\"",
    " xsi:nil=\"true\"",
    " xsi:type=\"xsd:base64Binary\"",
    " xsi:type=\"apachesoap:Map\"",
    " id=\"1\"",
    " href=\"#1\"",
    " soapenc:arrayType=\"xsd:int[3]\"",
    " soapenc:position=\"[7]\"",
    " soapenc:offset=\"[999999999999]\"",
    " soap:mustUnderstand=\"1\"",
    " base=\"xsd:string\"",
    " name=\"\"",
    " minOccurs=\"0\"",
    " maxOccurs=\"unbounded\"",
    " nillable=\"true\"",
    " abstract=\"true\"",
    " mixed=\"true\"",
    " substitutionGroup=\"tns:Request\"",
    " use=\"prohibited\"",
    " fixed=\"x\"",
    "xsd:anyType",
    "xsd:choice",
    "xsd:sequence",
    "xsd:redefine",
    "-1",
    "99999999999999999999",
    "1e999",
    "NaN",
    "INF",
    "2024-02-29T24:00:00Z",
    "\0",
    "\u{feff}",
    "\u{ffff}",
    "é",
    "😀",
    "\r\n",
    "null",
    "[]",
    "{}",
    ",",
    ":",
];

/// Changes `bytes` in one to six ways, mostly in few: what is changed too much is refused at the first byte; `other` is something
/// that pieces may be taken from.
pub(super) fn mutate(bytes: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let most = numbers.below(6);
    for _ in 0..=numbers.below(most) {
        once(&mut changed, other, numbers);
    }
    changed
}

fn once(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len());
    match numbers.below(12) {
        0..3 if !bytes.is_empty() => bytes[at] ^= 1 << numbers.below(8),
        3 if !bytes.is_empty() => bytes[at] = numbers.below(256) as u8,
        4 => drop(bytes.drain(at..(at + 1 + numbers.below(40)).min(bytes.len()))),
        5 if numbers.below(8) == 0 => bytes.truncate(at),
        // what a text says, not where it ends
        5 => letter(bytes, at, numbers),
        6 | 7 => drop(bytes.splice(at..at, numbers.one_of(WORDS).bytes())),
        8 => {
            let piece = piece(bytes, numbers).to_vec();
            drop(bytes.splice(at..at, piece));
        }
        9 => {
            let place = element(bytes, numbers).0;
            let piece = piece(other, numbers).to_vec();
            drop(bytes.splice(place..place, piece));
        }
        10 => {
            let (from, to) = element(bytes, numbers);
            drop(bytes.drain(from..to));
        }
        _ => swap_values(bytes, numbers),
    }
}

/// A letter or digit becomes another.
fn letter(bytes: &mut [u8], at: usize, numbers: &mut Numbers) {
    if let Some(byte) = bytes.iter_mut().skip(at).find(|byte| byte.is_ascii_alphanumeric()) {
        *byte = b"019-.: aZ"[numbers.below(9)];
    }
}

/// From one tag to a later one.
fn piece<'b>(bytes: &'b [u8], numbers: &mut Numbers) -> &'b [u8] {
    let (from, to) = element(bytes, numbers);
    &bytes[from..to]
}

fn element(bytes: &[u8], numbers: &mut Numbers) -> (usize, usize) {
    let next = |from: usize| {
        bytes[from..].iter().position(|byte| *byte == b'<').map_or(bytes.len(), |found| from + found)
    };
    let from = next(numbers.below(bytes.len()));
    let mut to = from;
    for _ in 0..=numbers.below(6) {
        to = next((to + 1).min(bytes.len()));
    }
    (from, to)
}

/// Two attributes exchange what they say.
fn swap_values(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    let quotes: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'"').collect();
    if quotes.len() < 4 {
        return;
    }
    let value = |numbers: &mut Numbers| {
        let first = numbers.below(quotes.len() / 2) * 2;
        (quotes[first] + 1, quotes[first + 1])
    };
    let (one, another) = (value(numbers), value(numbers));
    let ((from, to), (later_from, later_to)) = (one.min(another), one.max(another));
    if to <= later_from {
        let early = bytes[from..to].to_vec();
        let late = bytes[later_from..later_to].to_vec();
        bytes.splice(later_from..later_to, early);
        bytes.splice(from..to, late);
    }
}
