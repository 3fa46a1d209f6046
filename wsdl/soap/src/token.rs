//! Markup told from text: the part of XML that messages without a DTD have, and nothing of it copied.
//!
//! quick-xml's reader does this for any source of bytes and for documents that aren't known to be UTF-8; here the
//! whole message is in memory and is text already, which makes half of that work superfluous.

mod attributes;

use std::borrow::Cow;

use memchr::memmem;
use memchr::{memchr, memchr2, memchr3};

pub(crate) use attributes::{Attributes, Entry};

/// What stands next in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A start tag: what is between its brackets, and how long the name is at the beginning of that. An empty element
    /// has no end tag.
    Start { content: &'a str, name: usize, empty: bool },
    /// An end tag, which fits the start tag that is open.
    End,
    /// Text up to the next markup or reference, as it stands.
    Text(&'a str),
    /// What is inside `<![CDATA[` and `]]>`.
    CData(&'a str),
    /// What is between `&` and `;`.
    Reference(&'a str),
    /// A comment, a processing instruction or the XML declaration.
    Nothing,
    /// A document type declaration begins; it isn't read.
    DocType,
    /// The end of the document.
    Eof,
}

/// Walks through a document.
pub(crate) struct Tokenizer<'a> {
    source: &'a str,
    /// Where the next piece begins.
    at: usize,
    /// Names of the elements that are open, outermost first.
    open: Vec<&'a str>,
}

impl<'a> Tokenizer<'a> {
    /// Begins at an offset, as if that were the beginning of the document.
    pub(crate) fn new(source: &'a str, at: usize) -> Self {
        Self { source, at, open: Vec::with_capacity(8) }
    }

    /// Where the next piece begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next piece.
    ///
    /// # Errors
    /// What isn't well-formed; its beginning is then still the position.
    pub(crate) fn next(&mut self) -> Result<Piece<'a>, String> {
        let rest = &self.source.as_bytes()[self.at..];
        match rest.first() {
            Some(b'<') => self.markup(rest),
            Some(b'&') => match memchr3(b';', b'<', b'&', &rest[1..]) {
                Some(end) if rest[end + 1] == b';' => Ok(Piece::Reference(self.take(1, end, 1))),
                _ => Err("an & that begins no reference".into()),
            },
            Some(_) => {
                let end = memchr2(b'<', b'&', rest).unwrap_or(rest.len());
                Ok(Piece::Text(self.take(0, end, 0)))
            }
            None if self.open.is_empty() => Ok(Piece::Eof),
            None => Err("the message ends too early".into()),
        }
    }

    /// The text up to the end tag of the element that is open, where there is nothing but text of at most `most` bytes in
    /// between, and XML's own entities; as if [`Self::next`] had been asked for each, for what nearly every value is.
    pub(crate) fn value(&mut self, most: usize) -> Option<Cow<'a, str>> {
        let rest = &self.source.as_bytes()[self.at..];
        let mut length = memchr2(b'<', b'&', rest)?;
        let references = rest[length] == b'&';
        if references {
            length += memchr(b'<', &rest[length..])?;
        }
        let name = self.open.last()?.as_bytes();
        let after = rest[length..].strip_prefix(b"</")?.strip_prefix(name)?;
        if after.first() != Some(&b'>') || length > most {
            return None;
        }
        let end = name.len() + 3;
        let replaced = match references {
            true => Some(replaced(&self.source[self.at..self.at + length])?),
            false => None,
        };
        self.open.pop();
        let text = self.take(0, length, end);
        Some(replaced.map_or(Cow::Borrowed(text), Cow::Owned))
    }

    /// Goes on behind `before`, `length` and `after` bytes, and gives out the middle ones.
    fn take(&mut self, before: usize, length: usize, after: usize) -> &'a str {
        let start = self.at + before;
        self.at = start + length + after;
        &self.source[start..start + length]
    }

    fn markup(&mut self, rest: &'a [u8]) -> Result<Piece<'a>, String> {
        match rest.get(1) {
            Some(b'/') => self.end(rest),
            Some(b'?') => match rest.get(2) {
                Some(b'?' | b'>' | b' ' | b'\t' | b'\n' | b'\r') => Err("an instruction for nobody".into()),
                _ => self.up_to(rest, "<?", "?>").map(|_| Piece::Nothing),
            },
            Some(b'!') if rest.starts_with(b"<!--") => {
                let (begin, comment) = (self.at, self.up_to(rest, "<!--", "-->")?);
                if memmem::find(comment.as_bytes(), b"--").is_some() || comment.ends_with('-') {
                    self.at = begin;
                    return Err("two hyphens inside a comment".into());
                }
                Ok(Piece::Nothing)
            }
            Some(b'!') if rest.starts_with(b"<![CDATA[") => {
                self.up_to(rest, "<![CDATA[", "]]>").map(Piece::CData)
            }
            Some(b'!') if rest.len() >= 9 && rest[..9].eq_ignore_ascii_case(b"<!DOCTYPE") => {
                Ok(Piece::DocType)
            }
            Some(b'!') => Err("a declaration where none belongs".into()),
            _ => self.start(rest),
        }
    }

    /// What is between two marks; the first is known to be there.
    fn up_to(&mut self, rest: &[u8], open: &str, close: &str) -> Result<&'a str, String> {
        match memmem::find(&rest[open.len()..], close.as_bytes()) {
            Some(length) => Ok(self.take(open.len(), length, close.len())),
            None => Err(format!("{open} without {close}")),
        }
    }

    fn end(&mut self, rest: &'a [u8]) -> Result<Piece<'a>, String> {
        let Some(open) = self.open.pop() else { return Err("an end tag for which nothing is open".into()) };
        // nearly always the name and the bracket, nothing else
        let name = rest.get(2..2 + open.len());
        if name == Some(open.as_bytes()) && rest.get(2 + open.len()) == Some(&b'>') {
            self.at += open.len() + 3;
            return Ok(Piece::End);
        }
        let Some(end) = memchr(b'>', rest) else { return Err("a tag that doesn't end".into()) };
        let found = self.source[self.at + 2..self.at + end].trim_end_matches(WHITE);
        if found != open {
            let found: String = found.chars().take(60).collect();
            let open: String = open.chars().take(60).collect();
            return Err(format!("</{found}> where <{open}> is open"));
        }
        self.at += end + 1;
        Ok(Piece::End)
    }

    fn start(&mut self, rest: &'a [u8]) -> Result<Piece<'a>, String> {
        let mut name = 1;
        while let Some(byte) = rest.get(name) {
            match byte {
                b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r' => break,
                b'<' | b'&' | b'"' | b'\'' | b'=' | b'!' | b'?' => {
                    return Err("a tag without a proper name".into());
                }
                _ => name += 1,
            }
        }
        let end = if rest.get(name) == Some(&b'>') { Some(name) } else { bracket(rest, name) };
        let Some(end) = end else { return Err("a tag that doesn't end".into()) };
        if name == 1 || matches!(rest[1], b'0'..=b'9' | b'-' | b'.') {
            return Err("a tag without a proper name".into());
        }
        let empty = rest[end - 1] == b'/';
        if rest[name] == b'/' && name != end - 1 {
            return Err("a / inside a tag".into());
        }
        let content = self.take(1, end - 1 - usize::from(empty), 1 + usize::from(empty));
        if !empty {
            self.open.push(&content[..name - 1]);
        }
        Ok(Piece::Start { content, name: name - 1, empty })
    }
}

/// XML's own entities (XML 1.0 §4.6).
const ENTITIES: [(&str, char); 5] =
    [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\'')];

/// A text with what its references stand for; `None` where any is of another kind.
fn replaced(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (entity, character) = ENTITIES.iter().find(|(entity, _)| rest[at..].starts_with(entity))?;
        out.push(*character);
        rest = &rest[at + entity.len()..];
    }
    out.push_str(rest);
    Some(out)
}

const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Where the tag's closing bracket is, which may stand inside quotes as something else.
fn bracket(rest: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr3(b'>', b'"', b'\'', &rest[at..])?;
        match rest[at] {
            b'>' => return Some(at),
            quote => at += memchr(quote, &rest[at + 1..])? + 2,
        }
    }
}

#[cfg(test)]
mod tests;
