//! Markup told from text: the part of XML that messages without a DTD have, and nothing of it copied.
//!
//! quick-xml's reader does this for any source of bytes and for documents that aren't known to be UTF-8; here the
//! whole message is in memory and is text already, which makes half of that work superfluous.

use std::borrow::Cow;

use memchr::memmem;
use memchr::{memchr, memchr2, memchr3};

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

/// The attributes of a start tag, as they stand: key and value.
#[derive(Clone)]
pub(crate) struct Attributes<'a> {
    rest: &'a str,
}

impl<'a> Attributes<'a> {
    /// Those of a tag, behind its name.
    pub(crate) fn new(content: &'a str, name: usize) -> Self {
        Self { rest: &content[name..] }
    }
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// With its prefix.
    pub(crate) key: &'a str,
    /// How long the prefix is; 0 for none.
    prefix: usize,
    pub(crate) value: &'a str,
    /// There is nothing in the value that stands for something else: no reference, no white space but spaces.
    pub(crate) plain: bool,
}

impl<'a> Entry<'a> {
    /// The value of one without a prefix, where it is as it stands; none of a declaration.
    pub(crate) fn unprefixed(&self) -> Option<&'a str> {
        (self.prefix == 0 && self.plain && self.key != "xmlns").then_some(self.value)
    }

    /// The prefix, empty where there is none, and the rest of the key.
    pub(crate) fn split(&self) -> (&'a str, &'a str) {
        match self.prefix {
            0 => ("", self.key),
            prefix => (&self.key[..prefix], &self.key[prefix + 1..]),
        }
    }
}

// values are short, so that a loop is quicker than a search that has to be set up first
impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Entry<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest;
        let bytes = rest.as_bytes();
        let white = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let start = bytes.iter().position(|byte| !white(byte))?;
        // whatever is wrong ends it
        self.rest = "";
        if start == 0 {
            return Some(Err("no space before an attribute"));
        }
        let (mut at, mut prefix) = (start, 0);
        loop {
            match bytes.get(at) {
                Some(b'=' | b' ' | b'\t' | b'\n' | b'\r') | None => break,
                Some(b'<' | b'>' | b'&' | b'"' | b'\'' | b'/') => {
                    return Some(Err("an attribute without a proper name"));
                }
                Some(b':') if prefix == 0 => prefix = at - start,
                Some(_) => {}
            }
            at += 1;
        }
        let key = &rest[start..at];
        let skip = |at: &mut usize| *at += bytes[*at..].iter().take_while(|byte| white(byte)).count();
        skip(&mut at);
        if bytes.get(at) != Some(&b'=') || key.is_empty() {
            return Some(Err("an attribute without a value"));
        }
        at += 1;
        skip(&mut at);
        let Some(quote @ (b'"' | b'\'')) = bytes.get(at) else { return Some(Err("a value without quotes")) };
        let first = at + 1;
        let mut plain = true;
        for (length, byte) in bytes[first..].iter().enumerate() {
            if byte == quote {
                self.rest = &rest[first + length + 1..];
                return Some(Ok(Entry { key, prefix, value: &rest[first..first + length], plain }));
            }
            plain &= !matches!(byte, b'&' | b'<' | b'\t' | b'\n' | b'\r');
        }
        Some(Err("a value without its second quote"))
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
mod tests {
    use super::*;

    fn pieces(source: &str) -> Result<Vec<Piece<'_>>, String> {
        let mut tokenizer = Tokenizer::new(source, 0);
        let mut pieces = Vec::new();
        loop {
            match tokenizer.next().map_err(|error| format!("{error} at {}", tokenizer.position()))? {
                Piece::Eof => return Ok(pieces),
                piece => pieces.push(piece),
            }
        }
    }

    #[test]
    fn a_document_comes_apart_into_its_pieces() {
        let source = "<?xml version='1.0'?><a b='>' c=\"'/>\"><!-- - --><b/>x&amp;é<![CDATA[<]>]]></a\n>";
        assert_eq!(
            pieces(source).expect("well-formed"),
            [
                Piece::Nothing,
                Piece::Start { content: "a b='>' c=\"'/>\"", name: 1, empty: false },
                Piece::Nothing,
                Piece::Start { content: "b", name: 1, empty: true },
                Piece::Text("x"),
                Piece::Reference("amp"),
                Piece::Text("é"),
                Piece::CData("<]>"),
                Piece::End,
            ]
        );
        assert_eq!(
            pieces("<a  /><b c='/' />").expect("well-formed"),
            [
                Piece::Start { content: "a  ", name: 1, empty: true },
                Piece::Start { content: "b c='/' ", name: 1, empty: true },
            ]
        );
        assert_eq!(Tokenizer::new("<!doctype a>", 0).next(), Ok(Piece::DocType));
    }

    #[test]
    fn a_value_is_taken_in_one_step_with_xmls_own_entities_and_left_alone_with_anything_else() {
        for (text, value) in [
            ("", Some("")),
            ("a b", Some("a b")),
            ("&amp;", Some("&")),
            ("a &lt;&gt;é&quot;b&apos;&amp;amp;", Some("a <>é\"b'&amp;")),
            ("&#65;", None),
            ("a&amp", None),
            ("a & b", None),
            ("&nbsp;", None),
            ("<c/>", None),
            ("a&amp;<c/>", None),
        ] {
            let source = format!("<a>{text}</a>");
            let mut tokenizer = Tokenizer::new(&source, 0);
            tokenizer.next().expect("a tag");
            assert_eq!(tokenizer.value(60).as_deref(), value, "{text}");
            let next = if value.is_some() { source.len() } else { 3 };
            assert_eq!(tokenizer.position(), next, "{text}");
        }
        let mut tokenizer = Tokenizer::new("<a>&amp;123</a>", 0);
        tokenizer.next().expect("a tag");
        assert_eq!((tokenizer.value(7), tokenizer.position()), (None, 3));
    }

    #[test]
    fn attributes_are_keys_and_values_in_quotes_with_space_before_them() {
        let of = |content: &'static str| {
            let entries = Attributes::new(content, 1).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, &str>(entries.iter().map(|it| (it.split(), it.value, it.plain)).collect::<Vec<_>>())
        };
        assert_eq!(of("a"), Ok(vec![]));
        let two = vec![(("", "b"), "1&lt;", false), (("c", "d"), ">\"", true)];
        assert_eq!(of("a b=\"1&lt;\" \n c:d = '>\"'\t"), Ok(two));
        for content in [
            "a b",
            "a b=1",
            "a b=\"1",
            "a b=\"1\"c=\"2\"",
            "a =\"1\"",
            "a b \"1\"",
            "a <=\"1\"",
            "a b=\"1\" c",
        ] {
            assert!(of(content).is_err(), "{content}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_an_error_where_it_begins() {
        for (source, expected) in [
            ("<a>", "the message ends too early at 3"),
            ("x</a>", "an end tag for which nothing is open at 1"),
            ("<a></b>", "</b> where <a> is open at 3"),
            ("<a></aa>", "</aa> where <a> is open at 3"),
            ("<a", "a tag that doesn't end at 0"),
            ("<a b='>", "a tag that doesn't end at 0"),
            ("<a></a", "a tag that doesn't end at 3"),
            ("< a>", "a tag without a proper name at 0"),
            ("<>", "a tag without a proper name at 0"),
            ("<1>", "a tag without a proper name at 0"),
            ("<a<b>", "a tag without a proper name at 0"),
            ("<a/b>", "a / inside a tag at 0"),
            ("<!-- a -- b -->", "two hyphens inside a comment at 0"),
            ("<!-- a --->", "two hyphens inside a comment at 0"),
            ("<!-- a", "<!-- without --> at 0"),
            ("<![CDATA[ a", "<![CDATA[ without ]]> at 0"),
            ("<?a", "<? without ?> at 0"),
            ("<!ENTITY a 'b'>", "a declaration where none belongs at 0"),
            ("a & b", "an & that begins no reference at 2"),
            ("a &b", "an & that begins no reference at 2"),
            ("a &b<c/>;", "an & that begins no reference at 2"),
        ] {
            assert_eq!(pieces(source).expect_err(source), expected, "{source}");
        }
    }

    /// The same document through quick-xml's reader.
    fn theirs(source: &str) -> Option<Vec<(&'static str, String)>> {
        let mut reader = quick_xml::Reader::from_str(source);
        reader.config_mut().check_comments = true;
        let mut pieces = Vec::new();
        loop {
            use quick_xml::events::Event;
            pieces.push(match reader.read_event().ok()? {
                Event::Start(start) => ("start", start.to_string()),
                Event::Empty(start) => ("empty", start.to_string()),
                Event::End(_) => ("end", String::new()),
                Event::Text(text) => ("text", text.to_string()),
                Event::CData(text) => ("cdata", text.to_string()),
                Event::GeneralRef(name) => ("reference", name.to_string()),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => continue,
                Event::DocType(_) => return None,
                Event::Eof => return Some(pieces),
            });
        }
    }

    fn ours(source: &str) -> Option<Vec<(&'static str, String)>> {
        let pieces = pieces(source).ok()?;
        let named = pieces.into_iter().filter_map(|piece| {
            Some(match piece {
                Piece::Start { content, empty, .. } => {
                    (if empty { "empty" } else { "start" }, content.to_string())
                }
                Piece::End => ("end", String::new()),
                Piece::Text(text) => ("text", text.to_string()),
                Piece::CData(text) => ("cdata", text.to_string()),
                Piece::Reference(name) => ("reference", name.to_string()),
                Piece::Nothing | Piece::DocType | Piece::Eof => return None,
            })
        });
        Some(named.collect())
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]
        /// Whatever we take, quick-xml takes too, and as the same.
        #[test]
        fn nothing_is_taken_otherwise_than_quick_xml_takes_it(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "<", ">", "/", "</", "/>", "a", "b", " ", "\n", "=", "\"", "'", "&", ";", "&amp;", "é", "x:", "-",
                    "--", "<!--", "-->", "<![CDATA[", "]]>", "]", "<?", "?>", "<!", "<a>", "</a>", "<b c='d'>", "</b>", "<b/>",
                ]),
                0..16,
            )
        ) {
            let source = parts.concat();
            if let Some(ours) = ours(&source) {
                proptest::prop_assert_eq!(Some(ours), theirs(&source), "{}", source);
            }
        }
    }
}
