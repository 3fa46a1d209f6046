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
        if !special(text) {
            self.text.push_str(text);
            return Ok(());
        }
        match text.chars().find(|character| !allowed(*character)) {
            Some(character) => Err(character),
            None => {
                escape(&mut self.text, text);
                Ok(())
            }
        }
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
/// Eight bytes in one step, without a way out in between.
pub(super) fn special(text: &str) -> bool {
    let (chunks, rest) = text.as_bytes().as_chunks::<8>();
    let any = |bytes: &[u8]| bytes.iter().fold(false, |found, byte| found | special_byte(*byte));
    chunks.iter().any(|chunk| any(chunk)) || any(rest)
}

fn special_byte(byte: u8) -> bool {
    let control = (byte < 0x20) & (byte != b'\t') & (byte != b'\n');
    control | (byte == b'<') | (byte == b'>') | (byte == b'&') | (byte == b'"') | (byte == 0xEF)
}

/// Escapes text for content and for attributes in double quotes. A carriage return is written as a reference,
/// since a reader turns a bare one into a line feed (XML 1.0 §2.11).
pub(crate) fn escape(out: &mut String, text: &str) {
    if !special(text) {
        return out.push_str(text);
    }
    let mut rest = text;
    let escaped = |byte: &u8| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\r');
    while let Some(index) = rest.as_bytes().iter().position(escaped) {
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
