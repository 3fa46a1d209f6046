//! What comes apart, what doesn't, and that quick-xml sees it the same way.

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
    for content in
        ["a b", "a b=1", "a b=\"1", "a b=\"1\"c=\"2\"", "a =\"1\"", "a b \"1\"", "a <=\"1\"", "a b=\"1\" c"]
    {
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
