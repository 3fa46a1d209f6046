//! The attributes of a start tag, taken apart.

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
