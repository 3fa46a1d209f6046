//! A module's namespaces, each written once: they are long, and stand everywhere.

use super::structure::quoted;

/// More namespaces than this have no names kept free for them.
pub(super) const MOST: usize = 200;

/// The name of the constant at a position.
pub(super) fn name(position: usize) -> String {
    if position == 0 { "NS".to_owned() } else { format!("NS_{}", position + 1) }
}

/// The name of a namespace's constant.
pub(super) fn constant(namespaces: &mut Vec<String>, namespace: &str) -> String {
    let known = namespaces.iter().position(|known| known == namespace);
    name(known.unwrap_or_else(|| {
        namespaces.push(namespace.to_owned());
        namespaces.len() - 1
    }))
}

/// The constants, as one item.
pub(super) fn declared(namespaces: &[String]) -> Option<String> {
    let line = |(position, namespace): (usize, &String)| {
        format!("const {}: &str = {};\n", name(position), quoted(namespace))
    };
    let lines: String = namespaces.iter().enumerate().map(line).collect();
    Some(lines).filter(|lines| !lines.is_empty())
}

/// Puts constants in the place of namespaces that operations name, where those stand as `namespace: "…"`.
pub(super) fn shorten(items: &mut [String], namespaces: &mut Vec<String>) {
    const BEFORE: &str = "namespace: \"";
    for item in items {
        let mut out = String::new();
        let mut rest = item.as_str();
        while let Some(at) = rest.find(BEFORE) {
            let (before, behind) = rest.split_at(at + BEFORE.len());
            // one with anything to be escaped stays where it is
            let end = behind.find(['"', '\\']).unwrap_or(behind.len());
            if end == 0 || !behind[end..].starts_with('"') || namespaces.len() >= MOST {
                out += before;
                rest = behind;
                continue;
            }
            out += before.trim_end_matches('"');
            out += &constant(namespaces, &behind[..end]);
            rest = &behind[end + 1..];
        }
        out += rest;
        *item = joined(&out);
    }
}

/// Elements on one line each: there are two for every operation, and they are short now.
fn joined(item: &str) -> String {
    const OPEN: &str = "Element {\n";
    let mut out = String::with_capacity(item.len());
    let mut rest = item;
    while let Some(at) = rest.find(OPEN) {
        let (before, behind) = rest.split_at(at + OPEN.len());
        let Some(end) = behind.find('}') else { break };
        let members: Vec<_> = behind[..end].split('\n').map(str::trim).collect();
        out += before.trim_end_matches('\n');
        out.push(' ');
        out += members.join(" ").trim_end().trim_end_matches(',');
        out.push(' ');
        rest = &behind[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_written_once_and_what_only_looks_like_one_stays() {
        let mut items = vec![
            "a { namespace: \"urn:a\", b { namespace: \"\" }, namespace: \"urn:b\" }".to_owned(),
            "namespace: \"urn:a\", namespace: \"urn:\\\"\", doc: \"namespace: none\"".to_owned(),
        ];
        let mut namespaces = vec!["urn:known".to_owned()];
        shorten(&mut items, &mut namespaces);
        assert_eq!(items[0], "a { namespace: NS_2, b { namespace: \"\" }, namespace: NS_3 }");
        assert_eq!(items[1], "namespace: NS_2, namespace: \"urn:\\\"\", doc: \"namespace: none\"");
        assert_eq!(namespaces, ["urn:known", "urn:a", "urn:b"]);
    }
}
