//! Text: what has to be escaped, and what XML can't hold.

use super::{Problem, WriteError, Writer};
use crate::charset::allowed;
use crate::{List, View};

impl Writer<'_> {
    pub(super) fn start(&mut self, name: &str) {
        self.text.push('<');
        self.text.push_str(name);
    }

    pub(super) fn end(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    pub(super) fn escaped(&mut self, text: &str) -> Result<(), char> {
        if untouched(text) {
            self.text.push_str(text);
            return Ok(());
        }
        // no other byte begins what XML doesn't allow, and looking at characters one by one takes its time
        let suspect = |byte: u8| (byte < 0x20) & !matches!(byte, b'\t' | b'\n' | b'\r') | (byte == 0xEF);
        let suspect = text.bytes().fold(false, |found, byte| found | suspect(byte));
        if suspect && let Some(character) = text.chars().find(|character| !allowed(*character)) {
            return Err(character);
        }
        replace(&mut self.text, text);
        Ok(())
    }

    pub(super) fn lossy(&mut self, text: &str) {
        let text: String =
            text.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
        escape(&mut self.text, &text);
    }
}

/// The items of a list in one text (`xsd:list`).
pub(super) fn words(list: &dyn List) -> Result<String, WriteError> {
    let mut text = String::new();
    for index in 0..list.len() {
        if index > 0 {
            text.push(' ');
        }
        let start = text.len();
        if let View::Scalar(scalar) = list.item(index).view() {
            scalar.write(&mut text);
        }
        let item = &text[start..];
        if item.is_empty() || item.contains([' ', '\t', '\n', '\r']) {
            let error = WriteError { path: String::new(), problem: Problem::Item };
            return Err(error.inside(&format!("[{index}]")));
        }
    }
    Ok(text)
}

/// Whether text has bytes that can't stay just like that: to be escaped, or the beginning of what XML doesn't allow.
///
/// Values are short: eight bytes in one step, and the last eight once more rather than each of the rest.
#[inline]
pub(super) fn special(text: &str) -> bool {
    !untouched(text) && text.bytes().any(special_byte)
}

/// Whether there is nothing special in text, and no tab or line feed either.
#[inline]
pub(super) fn untouched(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk::<8>() else {
        return !bytes.iter().any(|byte| *byte < 0x20 || special_byte(*byte));
    };
    let (chunks, _) = bytes.as_chunks::<8>();
    chunks.iter().fold(suspicious(*last), |found, chunk| found | suspicious(*chunk)) == 0
}

/// Not 0 if one of eight bytes may be special; see "Determine if a word has a byte equal to n" and "less than n" in Sean
/// Anderson's "Bit Twiddling Hacks".
fn suspicious(bytes: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(bytes);
    let less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word;
    // < and > differ in one bit, and so do & and "
    let brackets = less((word | (ONES * 0x02)) ^ (ONES * 0x3E), 1);
    let quotes = less((word | (ONES * 0x04)) ^ (ONES * 0x26), 1);
    let noncharacter = less(word ^ (ONES * 0xEF), 1);
    (less(word, 0x20) | brackets | quotes | noncharacter) & (ONES * 0x80)
}

fn special_byte(byte: u8) -> bool {
    let control = (byte < 0x20) & (byte != b'\t') & (byte != b'\n');
    control | (byte == b'<') | (byte == b'>') | (byte == b'&') | (byte == b'"') | (byte == 0xEF)
}

/// Escapes text for content and for attributes in double quotes. A carriage return is written as a reference,
/// since a reader turns a bare one into a line feed (XML 1.0 §2.11).
pub(crate) fn escape(out: &mut String, text: &str) {
    if untouched(text) {
        out.push_str(text);
    } else {
        replace(out, text);
    }
}

/// The same of a text that may need it.
fn replace(out: &mut String, text: &str) {
    let mut rest = text;
    let escaped = |byte: &u8| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\r');
    loop {
        // eight bytes in one step as long as there is nothing in them
        let (chunks, _) = rest.as_bytes().as_chunks::<8>();
        let clean = 8 * chunks.iter().take_while(|chunk| suspicious(**chunk) == 0).count();
        let Some(index) = rest.as_bytes()[clean..].iter().position(escaped) else { break };
        let index = clean + index;
        out.push_str(&rest[..index]);
        out.push_str(match rest.as_bytes()[index] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'"' => "&quot;",
            _ => "&#13;",
        });
        rest = &rest[index + 1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_byte_is_found_wherever_it_stands() {
        for length in 1..20 {
            for at in 0..length {
                for character in '\0'..='\u{7f}' {
                    let mut text = "a".repeat(length);
                    text.replace_range(at..=at, &character.to_string());
                    let expected = text.bytes().any(special_byte);
                    assert_eq!(special(&text), expected, "{text:?}");
                    assert_eq!(untouched(&text), !expected && !matches!(character, '\t' | '\n'), "{text:?}");
                }
            }
            assert!(special(&("é".repeat(length) + "\u{ffff}")));
            assert!(!special(&"é\u{7ff}\u{10000}".repeat(length)));
        }
    }
}
