//! A module's namespaces, each written once: they are long, and stand everywhere.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

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

/// A namespace where an operation names it: its constant, or itself where no name is kept free for one more.
pub(super) fn named(namespaces: &mut Vec<String>, namespace: &str) -> TokenStream {
    let known = namespaces.iter().any(|known| known == namespace);
    if namespace.is_empty() || !known && namespaces.len() >= MOST {
        return quote! { #namespace };
    }
    let constant = format_ident!("{}", constant(namespaces, namespace));
    quote! { #constant }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_written_once_while_there_are_names_for_it() {
        let mut namespaces = vec!["urn:known".to_owned()];
        let mut written = |namespace: &str| named(&mut namespaces, namespace).to_string();
        assert_eq!(
            [written("urn:a"), written(""), written("urn:known"), written("urn:a")],
            ["NS_2", "\"\"", "NS", "NS_2"]
        );
        for number in 2..MOST {
            written(&format!("urn:{number}"));
        }
        assert_eq!([written("urn:one\"more"), written("urn:a")], ["\"urn:one\\\"more\"", "NS_2"]);
        assert_eq!(namespaces.len(), MOST);
    }
}
