//! The tokenizer with its guards: quick-xml's events with limits, without DTDs, and with the few attributes that
//! SOAP's encoding uses already looked at.

mod attributes;
mod tag;

use std::borrow::Cow;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::BytesRef;
use quick_xml::name::{Namespace, NamespaceResolver, PrefixDeclaration, QName, ResolveResult};

use crate::Limits;
use crate::charset::allowed;
use crate::error::{ReadError, ReadErrorKind};
use crate::token::{Entry, Piece, Tokenizer};

pub(crate) use tag::{Kind, Marks, Tag};

/// A position in a document, and what is open there.
pub(crate) struct Cursor<'a> {
    tokens: Tokenizer<'a>,
    /// The last tag was an empty element's, whose end comes next.
    closing: bool,
    /// The whole document, for places in messages.
    source: &'a str,
    /// There are carriage returns, which XML 1.0 §2.11 has a reader turn into line feeds.
    returns: bool,
    limits: &'a Limits,
    budget: Budget,
    depth: usize,
    names: NamespaceResolver,
    /// The declarations of the element that ended last are still in `names`: its value may be a qualified name.
    ended: bool,
    /// Depths at which elements with namespace declarations are open.
    declared: Vec<usize>,
    /// The attributes of the tag at `entries_at`, taken apart already.
    entries: Vec<Entry<'a>>,
    entries_at: usize,
}

/// What may still be used up, by a cursor and its forks together.
#[derive(Clone, Copy)]
struct Budget {
    elements: usize,
    /// What `elements` began with, for the message when it has come to its end.
    of: (&'static str, usize),
    list_bytes: usize,
    sparse: usize,
}

/// What comes next.
pub(crate) enum Token<'a> {
    Start(Tag<'a>),
    End,
    Text(Cow<'a, str>),
    Eof,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(source: &'a str, limits: &'a Limits) -> Self {
        let budget = Budget {
            elements: limits.elements,
            of: ("elements", limits.elements),
            list_bytes: limits.list_bytes,
            sparse: limits.sparse,
        };
        let returns = memchr::memchr(b'\r', source.as_bytes()).is_some();
        Self::open(source, 0, returns, limits, budget, 0, NamespaceResolver::default())
    }

    fn open(
        source: &'a str,
        at: usize,
        returns: bool,
        limits: &'a Limits,
        budget: Budget,
        depth: usize,
        names: NamespaceResolver,
    ) -> Self {
        Self {
            tokens: Tokenizer::new(source, at),
            closing: false,
            source,
            returns,
            limits,
            budget,
            depth,
            names,
            ended: false,
            declared: Vec::new(),
            entries: Vec::new(),
            entries_at: usize::MAX,
        }
    }

    /// Another cursor, at an element elsewhere in the document; it shares the budget until [`Cursor::rejoin`].
    pub(crate) fn fork(&self, offset: usize) -> Cursor<'a> {
        Self::open(
            self.source,
            offset,
            self.returns,
            self.limits,
            self.budget,
            self.depth,
            self.names.clone(),
        )
    }

    /// Takes back what a fork has used up.
    pub(crate) fn rejoin(&mut self, fork: Cursor<'a>) {
        self.budget = fork.budget;
    }

    /// From now on at most `elements`, because the message has references.
    pub(crate) fn restrict(&mut self, elements: usize) {
        if elements < self.budget.elements {
            self.budget.elements = elements;
            self.budget.of = ("elements read through references", elements);
        }
    }

    /// Accounts for items that are put into a list.
    pub(crate) fn spend_list(&mut self, bytes: usize) -> Result<(), ReadError> {
        match self.budget.list_bytes.checked_sub(bytes) {
            Some(left) => self.budget.list_bytes = left,
            None => return Err(self.limit("bytes in lists", self.limits.list_bytes)),
        }
        Ok(())
    }

    /// Accounts for items that a sparse array leaves out.
    pub(crate) fn spend_sparse(&mut self, items: usize) -> Result<(), ReadError> {
        match self.budget.sparse.checked_sub(items) {
            Some(left) => self.budget.sparse = left,
            None => return Err(self.limit("items left out of sparse arrays", self.limits.sparse)),
        }
        Ok(())
    }

    /// Refuses a value of more bytes than one may have.
    pub(crate) fn limit_value(&self, bytes: usize) -> Result<(), ReadError> {
        match bytes > self.limits.value_bytes {
            true => Err(self.limit("bytes in a value", self.limits.value_bytes)),
            false => Ok(()),
        }
    }

    pub(crate) fn source(&self) -> &'a str {
        self.source
    }

    pub(crate) fn limits(&self) -> &'a Limits {
        self.limits
    }

    pub(crate) fn error(&self, kind: ReadErrorKind) -> ReadError {
        ReadError::at(kind, self.source, self.tokens.position())
    }

    /// The next token that matters: comments and processing instructions are passed over.
    pub(crate) fn next(&mut self) -> Result<Token<'a>, ReadError> {
        if self.closing {
            self.closing = false;
            return Ok(self.end());
        }
        loop {
            let offset = self.tokens.position();
            match self.tokens.next() {
                Ok(Piece::Start { content, name, empty }) => {
                    self.closing = empty;
                    return self.start(content, name, offset).map(Token::Start);
                }
                Ok(Piece::End) => return Ok(self.end()),
                Ok(Piece::Text(text) | Piece::CData(text)) => return Ok(Token::Text(self.line_ends(text))),
                Ok(Piece::Reference(name)) => return self.reference(name),
                Ok(Piece::Nothing) => {}
                Ok(Piece::DocType) => return Err(self.error(ReadErrorKind::Dtd)),
                Ok(Piece::Eof) => return Ok(Token::Eof),
                Err(why) => return Err(self.error(ReadErrorKind::Malformed(why))),
            }
        }
    }

    /// A character reference, or one of XML's own five entities; there are no others without a DTD.
    fn reference(&self, name: &'a str) -> Result<Token<'a>, ReadError> {
        let reference = BytesRef::new(name);
        if let Some(character) = reference.resolve_char_ref().map_err(|error| self.malformed(&error))? {
            if !allowed(character) {
                return Err(self.error(ReadErrorKind::Character(u32::from(character))));
            }
            return Ok(Token::Text(Cow::Owned(character.to_string())));
        }
        match resolve_predefined_entity(name) {
            Some(text) => Ok(Token::Text(Cow::Borrowed(text))),
            None => Err(self.error(ReadErrorKind::Entity(name.chars().take(40).collect()))),
        }
    }

    fn end(&mut self) -> Token<'a> {
        if self.ended {
            self.leave();
        }
        if self.declared.last() == Some(&self.depth) {
            self.declared.pop();
            self.ended = true;
        }
        self.depth = self.depth.saturating_sub(1);
        Token::End
    }

    fn leave(&mut self) {
        self.ended = false;
        self.names.pop();
    }

    /// `{namespace}local` of a qualified name: one that is in an attribute, or in the text that was taken just now.
    pub(crate) fn qualified(&self, name: &str) -> Option<String> {
        match self.names.resolve_element(QName(name)).0 {
            ResolveResult::Bound(Namespace(namespace)) => {
                let local = name.rsplit(':').next().unwrap_or_default();
                Some(format!("{{{}}}{local}", plain(namespace)))
            }
            ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
        }
    }

    fn line_ends(&self, raw: &'a str) -> Cow<'a, str> {
        if self.returns && raw.contains('\r') {
            Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
        } else {
            Cow::Borrowed(raw)
        }
    }

    fn malformed(&self, error: &dyn std::fmt::Display) -> ReadError {
        self.error(ReadErrorKind::Malformed(error.to_string()))
    }

    fn start(&mut self, content: &'a str, name: usize, offset: usize) -> Result<Tag<'a>, ReadError> {
        if self.ended {
            self.leave();
        }
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(self.limit("levels of elements", self.limits.depth));
        }
        match self.budget.elements.checked_sub(1) {
            Some(left) => self.budget.elements = left,
            None => return Err(self.limit(self.budget.of.0, self.budget.of.1)),
        }
        let name = &content[..name];
        let local = name.bytes().position(|byte| byte == b':').map_or(name, |colon| &name[colon + 1..]);
        let mut tag = Tag { content, name, local, marks: Marks::default(), offset };
        if name.len() < content.len() {
            tag.marks = self.marks(&tag)?;
        }
        Ok(tag)
    }

    fn limit(&self, what: &'static str, limit: usize) -> ReadError {
        self.error(ReadErrorKind::Limit { what, limit })
    }

    /// The namespace of an element; empty where it has none or its prefix is declared nowhere.
    pub(crate) fn namespace(&self, tag: &Tag<'_>) -> &str {
        match self.names.resolve_element(QName(tag.name)).0 {
            ResolveResult::Bound(Namespace(namespace)) => namespace,
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
        }
    }

    /// The element whose start tag was taken just now, as it stands, and with the prefixes that it has from around it.
    pub(crate) fn raw(&mut self, tag: &Tag<'a>) -> Result<String, ReadError> {
        let declared: Vec<(String, String)> = self
            .names
            .bindings()
            .map(|(prefix, Namespace(namespace))| {
                let prefix = match prefix {
                    PrefixDeclaration::Default => String::new(),
                    PrefixDeclaration::Named(prefix) => prefix.to_owned(),
                };
                (prefix, plain(namespace).into_owned())
            })
            .collect();
        self.skip()?;
        let text = &self.source[tag.offset..self.tokens.position()];
        if text.len() > self.limits.value_bytes {
            return Err(self.limit("bytes in a value", self.limits.value_bytes));
        }
        let after_name = 1 + tag.name.len();
        let mut out = String::with_capacity(text.len() + 64);
        out.push_str(&text[..after_name]);
        let own = |key: &str| tag.attributes().flatten().any(|entry| entry.key == key);
        for (prefix, namespace) in declared {
            let (key, used) = if prefix.is_empty() {
                ("xmlns".to_owned(), !namespace.is_empty())
            } else {
                (format!("xmlns:{prefix}"), text.contains(&format!("{prefix}:")))
            };
            if used && !own(&key) {
                out.push(' ');
                out.push_str(&key);
                out.push_str("=\"");
                crate::write::escape(&mut out, &namespace);
                out.push('"');
            }
        }
        out.push_str(&text[after_name..]);
        Ok(out)
    }

    /// The text up to the end of the current element.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, ReadError> {
        if !self.closing
            && !self.returns
            && let Some(text) = self.tokens.value(self.limits.value_bytes)
        {
            self.end();
            return Ok(text);
        }
        let mut whole: Cow<'a, str> = Cow::Borrowed("");
        loop {
            match self.next()? {
                Token::Text(part) if whole.is_empty() => whole = part,
                Token::Text(part) => append(&mut whole, &part),
                Token::End => return Ok(whole),
                Token::Start(_) => return Err(self.error(ReadErrorKind::NotSimple)),
                Token::Eof => return Err(self.cut_off()),
            }
            if whole.len() > self.limits.value_bytes {
                return Err(self.limit("bytes in a value", self.limits.value_bytes));
            }
        }
    }

    /// Passes over everything up to the end of the current element.
    pub(crate) fn skip(&mut self) -> Result<(), ReadError> {
        let mut open = 1_usize;
        while open > 0 {
            match self.next()? {
                Token::Start(_) => open += 1,
                Token::End => open -= 1,
                Token::Text(_) => {}
                Token::Eof => return Err(self.cut_off()),
            }
        }
        Ok(())
    }

    pub(crate) fn cut_off(&self) -> ReadError {
        self.error(ReadErrorKind::Malformed("the message ends too early".into()))
    }
}

/// A namespace as it is meant: the tokenizer's are as they stand between the quotes.
fn plain(namespace: &str) -> Cow<'_, str> {
    quick_xml::escape::unescape(namespace).unwrap_or(Cow::Borrowed(namespace))
}

/// Appends to a text that comes in pieces, since more pieces are to follow with room for them.
fn append(whole: &mut Cow<'_, str>, part: &str) {
    if let Cow::Borrowed(first) = *whole {
        let mut owned = String::with_capacity(2 * (first.len() + part.len()) + 16);
        owned.push_str(first);
        *whole = Cow::Owned(owned);
    }
    whole.to_mut().push_str(part);
}

/// Where the elements with an `id` begin, for references, and how many elements there are in all; one pass over the
/// document, made when first asked for.
pub(crate) fn ids(source: &str, limits: &Limits) -> Result<(Vec<(String, usize)>, usize), ReadError> {
    let mut cursor = Cursor::new(source, limits);
    let mut ids = Vec::new();
    loop {
        match cursor.next()? {
            Token::Start(tag) => {
                if let Some(id) = tag.attributes().flatten().find(|entry| entry.key == "id") {
                    ids.push((id.value.to_owned(), tag.offset));
                }
            }
            Token::Eof => {
                ids.sort();
                return Ok((ids, limits.elements - cursor.budget.elements));
            }
            Token::End | Token::Text(_) => {}
        }
    }
}
