//! Where the file is that an import names: definitions name places on the network, and the copies stand elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the files are that imports name, as [`crate::Config::location`] says; by what stands in the import.
pub(crate) type Locations = BTreeMap<String, PathBuf>;

/// The file that `location` stands for in the file at `from`; `None` for one on the network of which there is no copy.
///
/// What `locations` says counts. Without it that is the path as written, if a file is there, or a file beside `from`
/// with the name that a copy has: `http://host/types/Orders.xsd` is `Orders.xsd`, and `Orders.svc?xsd=xsd0`, as WCF
/// writes it, is `xsd0.xsd`.
pub(crate) fn file(location: &str, from: &Path, locations: &Locations) -> Option<PathBuf> {
    if let Some(told) = locations.get(location) {
        return Some(told.clone());
    }
    let folder = from.parent().unwrap_or(Path::new(""));
    let path = location.strip_prefix("file://").unwrap_or(location);
    let local = (!path.contains("://")).then(|| folder.join(path));
    if local.as_ref().is_some_and(|local| local.is_file()) {
        return local;
    }
    let beside = copies(location).into_iter().map(|name| folder.join(name)).find(|beside| beside.is_file());
    beside.or(local)
}

/// The names that a copy of what is at `location` may have.
fn copies(location: &str) -> Vec<String> {
    let location = location.split('#').next().unwrap_or_default();
    let (path, query) = location.split_once('?').unwrap_or((location, ""));
    let last = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let mut names = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = key.to_ascii_lowercase();
        if matches!(key.as_str(), "xsd" | "wsdl") {
            let name = last(if value.is_empty() { path } else { value });
            names.push(format!("{name}.{key}"));
            names.push(name);
        }
    }
    names.push(last(path));
    names.retain(|name| !name.trim_matches('.').is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_name_that_the_location_ends_with_or_asks_for() {
        for (location, names) in [
            ("http://example.com/types/Orders.xsd", "Orders.xsd"),
            ("http://example.com/Orders.svc?xsd=xsd0", "xsd0.xsd xsd0 Orders.svc"),
            ("Orders.svc?wsdl=wsdl0", "wsdl0.wsdl wsdl0 Orders.svc"),
            ("http://example.com/Orders?WSDL", "Orders.wsdl Orders Orders"),
            ("http://example.com/Orders?xsd=../schema/a.xsd#top", "a.xsd.xsd a.xsd Orders"),
            ("http://example.com/", ""),
            ("..", ""),
        ] {
            assert_eq!(copies(location).join(" "), names, "{location}");
        }
    }

    #[test]
    fn a_location_is_the_file_it_was_said_to_be_then_the_path_then_a_copy_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        let from = folder.path().join("main.wsdl");
        let write = |name: &str| std::fs::write(folder.path().join(name), "").expect("written");
        let found = |location: &str| {
            let told = [("http://h/told.xsd".to_owned(), PathBuf::from("elsewhere/told.xsd"))].into();
            let found = file(location, &from, &told)?;
            Some(found.strip_prefix(folder.path()).unwrap_or(&found).display().to_string())
        };
        assert_eq!(found("http://h/told.xsd").as_deref(), Some("elsewhere/told.xsd"));
        assert_eq!(found("http://h/a.xsd"), None);
        assert_eq!(found("far/a.xsd").as_deref(), Some("far/a.xsd"));
        write("a.xsd");
        assert_eq!(found("http://h/a.xsd").as_deref(), Some("a.xsd"));
        assert_eq!(found("far/a.xsd").as_deref(), Some("a.xsd"));
        write("told.xsd");
        assert_eq!(found("http://h/told.xsd").as_deref(), Some("elsewhere/told.xsd"));
    }
}
