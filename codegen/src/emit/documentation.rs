//! A definition's words as a doc comment: they are plain text, and rustdoc reads Markdown.

/// The lines of a doc comment, without slashes; none for no documentation.
pub(super) fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let source: Vec<String> = text.lines().map(clean).collect();
    for paragraph in source.split(String::is_empty) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        // code in backticks stays as it is, if they come in pairs
        let backticks: usize = paragraph.iter().map(|line| line.matches('`').count()).sum();
        let fenced = paragraph.iter().any(|line| line.contains("``"));
        let mut escape = Escape { code: (backticks.is_multiple_of(2) && !fenced).then_some(false) };
        let mut in_list = false;
        for line in paragraph {
            let item = ["- ", "* ", "• "].iter().find_map(|mark| line.strip_prefix(mark));
            let start = match item {
                Some(_) => "- ",
                None if in_list => "  ",
                None => "",
            };
            in_list |= item.is_some();
            lines.push(format!("{start}{}", escape.line(item.unwrap_or(line))));
        }
    }
    lines
}

/// One line without control characters, and none that change the direction of text.
fn clean(line: &str) -> String {
    let turns = |character: &char| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept: String = line
        .chars()
        .filter(|character| !turns(character))
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Takes Markdown's meaning from plain text, across the lines of a paragraph.
struct Escape {
    /// Whether the text is between backticks; `None` when backticks are plain characters too.
    code: Option<bool>,
}

impl Escape {
    fn line(&mut self, line: &str) -> String {
        let words = line.split(' ').enumerate().map(|(index, word)| self.word(word, index == 0));
        words.collect::<Vec<_>>().join(" ")
    }

    fn word(&mut self, word: &str, first: bool) -> String {
        let address = word.find("https://").or_else(|| word.find("http://"));
        if let (Some(at), false) = (address, self.code == Some(true) || word.contains('`')) {
            let (before, address) = word.split_at(at);
            let end = address.trim_end_matches(['.', ',', ';', ':', ')', '>', '"', '\'']).len();
            let (address, after) = address.split_at(end);
            return format!("{}<{address}>{}", self.characters(before), self.characters(after));
        }
        let escaped = self.characters(word);
        // what would begin a heading, a quotation, a list or a fence
        let is_rule = escaped.bytes().all(|byte| matches!(byte, b'-' | b'+' | b'='));
        let is_mark = !escaped.is_empty() && is_rule || escaped.starts_with(['#', '>']);
        if first && is_mark {
            return format!("\\{escaped}");
        }
        let number = escaped.trim_end_matches(['.', ')']);
        let numbered = number.len() + 1 == escaped.len() && number.bytes().all(|byte| byte.is_ascii_digit());
        if first && numbered && !number.is_empty() {
            return format!("{number}\\{}", &escaped[number.len()..]);
        }
        escaped
    }

    fn characters(&mut self, text: &str) -> String {
        let mut out = String::new();
        for character in text.chars() {
            match (character, &mut self.code) {
                ('`', Some(code)) => *code = !*code,
                (_, Some(true)) => {}
                ('\\' | '[' | ']' | '<' | '*' | '`' | '~', _) => out.push('\\'),
                _ => {}
            }
            out.push(character);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_what_it_says() {
        for (text, expected) in [
            ("Plain words.", vec!["Plain words."]),
            ("a [b] <c> *d* e`", vec![r"a \[b\] \<c> \*d\* e\`"]),
            ("a `[b]\n<c>` <d>\n\n<e> ```", vec!["a `[b]", r"<c>` \<d>", "", r"\<e> \`\`\`"]),
            ("see https://example.com/a_b.", vec!["see <https://example.com/a_b>."]),
            ("# no heading", vec![r"\# no heading"]),
            ("-1 none\n- item\n---", vec!["-1 none", "- item", r"  \---"]),
            ("1. no list", vec![r"1\. no list"]),
            ("One of:\n- a\nand more\n- b", vec!["One of:", "- a", "  and more", "- b"]),
            ("turned \u{202e} around", vec!["turned around"]),
            ("", vec![]),
        ] {
            assert_eq!(lines(text), expected, "{text}");
        }
    }
}
