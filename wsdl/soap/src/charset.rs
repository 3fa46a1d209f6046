//! Bytes to text: byte order marks, the prolog's word, the charset of the HTTP header, in that order.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::Limits;
use crate::error::{ReadError, ReadErrorKind};

/// The text of a message.
///
/// A byte order mark decides; without one the prolog's `encoding` does, then `charset` (of `Content-Type`), then
/// UTF-8. Stacks differ where prolog and header contradict each other; most follow the prolog.
///
/// # Errors
/// Bytes that aren't in that encoding, unknown encodings, characters that XML doesn't allow, too long a message.
pub fn decode<'a>(
    bytes: &'a [u8],
    charset: Option<&str>,
    limits: &Limits,
) -> Result<Cow<'a, str>, ReadError> {
    if bytes.len() > limits.message_bytes {
        let kind = ReadErrorKind::Limit { what: "bytes", limit: limits.message_bytes };
        return Err(ReadError::nowhere(kind));
    }
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, &bytes[length..]),
        None => (guess(bytes, charset)?, bytes),
    };
    let invalid = || ReadError::nowhere(ReadErrorKind::Encoding(encoding.name().to_string()));
    let text = if encoding == UTF_8 {
        Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| invalid())?)
    } else {
        encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or_else(invalid)?
    };
    check_characters(&text)?;
    Ok(text)
}

/// The `charset` that a content type names.
///
/// ```
/// assert_eq!(soapstone_soap::charset_of("text/xml; Action=x; CHARSET=\"utf-8\""), Some("utf-8"));
/// assert_eq!(soapstone_soap::charset_of("text/xml"), None);
/// ```
pub fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}

fn guess(bytes: &[u8], charset: Option<&str>) -> Result<&'static Encoding, ReadError> {
    match bytes {
        [b'<', 0, ..] => return Ok(UTF_16LE),
        [0, b'<', ..] => return Ok(UTF_16BE),
        _ => {}
    }
    let Some(label) = prolog_encoding(bytes).or(charset) else { return Ok(UTF_8) };
    match Encoding::for_label(label.as_bytes()) {
        // it would have shown above: some servers name UTF-16 and send UTF-8
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok(UTF_8),
        Some(encoding) => Ok(encoding),
        None => Err(ReadError::nowhere(ReadErrorKind::Encoding(label.chars().take(40).collect()))),
    }
}

/// `encoding="…"` of the XML declaration, which is ASCII in every encoding that gets here.
fn prolog_encoding(bytes: &[u8]) -> Option<&str> {
    let head = &bytes[..bytes.len().min(200)];
    if !head.starts_with(b"<?xml") {
        return None;
    }
    let end = memchr::memmem::find(head, b"?>")?;
    let declaration = std::str::from_utf8(&head[..end]).ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split_once(quote).map(|(label, _)| label)
}

/// XML 1.0 §2.2: no control characters but tab, line feed and carriage return, no U+FFFE, no U+FFFF.
fn check_characters(text: &str) -> Result<(), ReadError> {
    if !text.as_bytes().chunks(256).any(suspicious) {
        return Ok(());
    }
    match text.char_indices().find(|(_, character)| !allowed(*character)) {
        Some((offset, character)) => {
            Err(ReadError::at(ReadErrorKind::Character(u32::from(character)), text, offset))
        }
        None => Ok(()),
    }
}

/// Whether there may be a character among these bytes that isn't allowed. No way out of the loop, so that many bytes
/// are looked at in one step.
fn suspicious(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| {
        let white = (byte == b'\t') | (byte == b'\n') | (byte == b'\r');
        // U+FFFE and U+FFFF begin with 0xEF
        found | ((byte < 0x20) & !white) | (byte == 0xEF)
    })
}

/// Whether XML 1.0 allows the character in a document.
pub(crate) fn allowed(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], charset: Option<&str>) -> Result<String, String> {
        decode(bytes, charset, &Limits::default()).map(Cow::into_owned).map_err(|error| error.to_string())
    }

    #[test]
    fn marks_prologs_and_headers_are_heeded_in_this_order() {
        let utf16: Vec<u8> = "\u{feff}<a>ž</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&utf16, Some("utf-8")).expect("mark"), "<a>ž</a>");
        let bare: Vec<u8> = "<a>ž</a>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text(&bare, None).expect("no mark"), "<a>ž</a>");
        assert_eq!(text(b"\xef\xbb\xbf<a/>", None).expect("mark"), "<a/>");
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>";
        assert!(text(latin, Some("utf-8")).expect("prolog").contains('é'));
        assert_eq!(text(b"<a>\xe9\x80</a>", Some("windows-1252")).expect("header"), "<a>é€</a>");
        assert_eq!(text("<a>ž</a>".as_bytes(), None).expect("default"), "<a>ž</a>");
    }

    #[test]
    fn wrong_bytes_and_unknown_names_are_errors() {
        assert_eq!(text(b"<a>\xe9</a>", None).unwrap_err(), "the text is not valid UTF-8");
        assert_eq!(text(b"<a/>", Some("klingon")).unwrap_err(), "the text is not valid klingon");
        assert_eq!(
            text(b"<a>\n\x01</a>", None).unwrap_err(),
            "the character U+0001 is not allowed in XML (line 2, column 1)"
        );
        assert!(text("<a>\u{ffff}</a>".as_bytes(), None).is_err());
        assert!(text("<a>\u{fffd}ｅ</a>".as_bytes(), None).is_ok());
    }
}
