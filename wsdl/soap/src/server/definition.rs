//! What `?wsdl` answers: the definition with this server's address in it, and the files it imports within reach.

use std::borrow::Cow;

use quick_xml::escape::unescape;
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::{Reader, Writer};

/// A definition's text and those of the files that it imports, to be served to clients that ask for it.
///
/// Every `location` of an address is replaced by the address that was asked. Files are served one by one: a
/// `location` or `schemaLocation` that leads to another of them becomes `ADDRESS?file=NAME`; one that leads elsewhere
/// stays.
///
/// ```
/// use soapstone_soap::Definition;
/// let wsdl = "<definitions><import location='parts/a.xsd'/><address location='http://old/'/></definitions>";
/// let definition = Definition::new(&[("a.wsdl", wsdl), ("parts/a.xsd", "<schema/>")]);
/// assert_eq!(
///     definition.file("", "http://new/soap").unwrap(),
///     "<definitions><import location=\"http://new/soap?file=parts/a.xsd\"/>\
///      <address location=\"http://new/soap\"/></definitions>"
/// );
/// ```
#[derive(Debug, Clone)]
pub struct Definition {
    files: Vec<(String, String)>,
}

impl Definition {
    /// Of files' names and texts: first the definition, then what it imports and includes, named as seen from the
    /// definition's folder (`parts/a.xsd`). Generated code has such a list (`Config::embed_definitions`).
    pub fn new(files: &[(&str, &str)]) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(owned).collect() }
    }

    /// The file that a query asks for: empty for the definition itself, `None` for a query that is about none.
    pub(super) fn wanted(query: &str) -> Option<&str> {
        let mut parameters =
            query.split('&').map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
        let (key, value) = parameters.find(|(key, _)| key.eq_ignore_ascii_case("wsdl") || *key == "file")?;
        Some(if key == "file" { value } else { "" })
    }

    /// The text of the file called `name` as a query has it, of the definition itself for an empty one, for a server at
    /// `address`.
    ///
    /// `None` where there is no such file. A text that isn't XML is given as it is.
    pub fn file(&self, name: &str, address: &str) -> Option<String> {
        let known = |(own, _): &&(String, String)| own == name || encoded(own) == name;
        let (name, text) = match name {
            "" => self.files.first()?,
            _ => self.files.iter().find(known)?,
        };
        Some(self.rewritten(name, text, address).unwrap_or_else(|| text.clone()))
    }

    fn rewritten(&self, name: &str, text: &str, address: &str) -> Option<String> {
        let mut reader = Reader::from_str(text);
        let mut writer = Writer::new(Vec::with_capacity(text.len() + 1024));
        loop {
            let event = match reader.read_event().ok()? {
                Event::Eof => break,
                Event::Start(tag) => Event::Start(self.tag(name, tag, address)?),
                Event::Empty(tag) => Event::Empty(self.tag(name, tag, address)?),
                // the text is in UTF-8 by now, whatever it was in as a file
                Event::Decl(_) => Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)),
                event => event,
            };
            writer.write_event(event).ok()?;
        }
        String::from_utf8(writer.into_inner()).ok()
    }

    /// An element with its location changed, where it has one that leads here.
    fn tag<'t>(&self, file: &str, tag: BytesStart<'t>, address: &str) -> Option<BytesStart<'t>> {
        let local = tag.local_name();
        let key = match local.as_ref() {
            "address" => "location",
            "import" | "include" | "redefine" => {
                if tag.try_get_attribute("schemaLocation").ok()?.is_some() {
                    "schemaLocation"
                } else {
                    "location"
                }
            }
            _ => return Some(tag),
        };
        let mut changed = BytesStart::new(tag.name().as_ref().to_owned());
        for attribute in tag.attributes() {
            let attribute = attribute.ok()?;
            if attribute.key.as_ref() == key {
                let value = unescape(&attribute.value).ok()?.into_owned();
                let value = match local.as_ref() {
                    "address" => Cow::Borrowed(address),
                    _ => self.location(file, &value, address).map_or(Cow::Owned(value), Cow::Owned),
                };
                changed.push_attribute((key, &*value));
            } else {
                changed.push_attribute(attribute);
            }
        }
        Some(changed)
    }

    /// Where a file that `from` names as `location` can be had.
    fn location(&self, from: &str, location: &str, address: &str) -> Option<String> {
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = joined(folder, location);
        let (name, _) = self.files.iter().find(|(own, _)| *own == name)?;
        Some(format!("{address}?file={}", encoded(name)))
    }
}

/// `location` as seen from where `folder` is.
fn joined(folder: &str, location: &str) -> String {
    let mut path: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in location.split('/') {
        match step {
            "" | "." => {}
            ".." if path.last().is_some_and(|last| *last != "..") => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.join("/")
}

/// A name as it stands in a query.
fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte))
            }
            other => out += &format!("%{other:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_lead_to_this_server_whichever_folder_names_them() {
        let wsdl = r#"<?xml version="1.0" encoding="ISO-8859-1"?><d xmlns:x="urn:x"><!-- as it was --><x:import schemaLocation="p/a b.xsd" namespace="urn:a&amp;b"/></d>"#;
        let inner = r#"<schema><include schemaLocation="../q/c.xsd"/><import namespace="urn:none"/><import schemaLocation="http://elsewhere/d.xsd"/></schema>"#;
        let definition = Definition::new(&[("a.wsdl", wsdl), ("p/a b.xsd", inner), ("q/c.xsd", "<schema/>")]);
        assert_eq!(
            definition.file("", "http://h/s").unwrap(),
            r#"<?xml version="1.0" encoding="UTF-8"?><d xmlns:x="urn:x"><!-- as it was --><x:import schemaLocation="http://h/s?file=p/a%20b.xsd" namespace="urn:a&amp;b"/></d>"#
        );
        assert_eq!(
            definition.file("p/a%20b.xsd", "http://h/s").unwrap(),
            r#"<schema><include schemaLocation="http://h/s?file=q/c.xsd"/><import namespace="urn:none"/><import schemaLocation="http://elsewhere/d.xsd"/></schema>"#
        );
        assert_eq!(definition.file("d.xsd", "http://h/s"), None);
    }

    #[test]
    fn an_address_is_escaped_and_queries_are_told_apart() {
        let definition = Definition::new(&[("a.wsdl", "<d><soap:address location='x'></soap:address></d>")]);
        assert_eq!(
            definition.file("", "http://h/?a&b").unwrap(),
            "<d><soap:address location=\"http://h/?a&amp;b\"></soap:address></d>"
        );
        for (query, wanted) in
            [("wsdl", Some("")), ("WSDL", Some("")), ("file=a.xsd", Some("a.xsd")), ("xsd", None), ("", None)]
        {
            assert_eq!(Definition::wanted(query), wanted, "{query}");
        }
    }
}
