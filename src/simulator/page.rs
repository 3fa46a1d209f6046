//! Lists as PortaBilling gives them: by patterns, and a page at a time.

/// A criterion that isn't given, or is met.
pub(super) fn same<T: PartialEq>(wanted: Option<T>, there: Option<T>) -> bool {
    wanted.is_none() || wanted == there
}

/// PortaBilling's pattern: `%` at either end stands for anything.
pub(super) fn like(pattern: Option<&str>, text: Option<&str>) -> bool {
    let Some(pattern) = pattern else { return true };
    let text = text.unwrap_or_default();
    let bare = pattern.trim_matches('%');
    match (pattern.starts_with('%'), pattern.ends_with('%')) {
        (true, true) => text.contains(bare),
        (true, false) => text.ends_with(bare),
        (false, true) => text.starts_with(bare),
        (false, false) => text == pattern,
    }
}

/// A page of a list, as `limit`, `offset` and `get_total` ask for it.
pub(super) struct Page {
    pub(super) limit: Option<i64>,
    pub(super) offset: Option<i64>,
    /// The most that one call gives.
    pub(super) cap: usize,
    pub(super) get_total: Option<i64>,
}

impl Page {
    pub(super) fn of<'a, T: Clone + 'a>(
        &self,
        all: impl Iterator<Item = &'a T>,
        matches: impl Fn(&T) -> bool,
    ) -> (Vec<T>, Option<i64>) {
        let found: Vec<&T> = all.filter(|item| matches(item)).collect();
        let offset = usize::try_from(self.offset.unwrap_or(0)).unwrap_or(0);
        // no limit, or none worth the name: 50
        let limit = match self.limit {
            Some(limit) if limit > 0 => usize::try_from(limit).unwrap_or(self.cap),
            _ => 50,
        };
        let page = found.iter().skip(offset).take(limit.min(self.cap)).map(|item| (*item).clone()).collect();
        let total = (self.get_total == Some(1)).then(|| i64::try_from(found.len()).unwrap_or(i64::MAX));
        (page, total)
    }
}
