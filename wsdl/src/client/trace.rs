//! Marks that let an operator find a call again in the logs of whatever stands between: W3C Trace Context and B3.

use http::HeaderMap;
use http::header::HeaderValue;

/// Adds `traceparent` and `b3` with a new trace, unless the request has one.
pub(crate) fn mark(headers: &mut HeaderMap) {
    if headers.contains_key("traceparent") {
        return;
    }
    let (mut trace, mut span) = (uuid::Uuid::encode_buffer(), uuid::Uuid::encode_buffer());
    let trace = uuid::Uuid::new_v4().simple().encode_lower(&mut trace);
    let span = &uuid::Uuid::new_v4().simple().encode_lower(&mut span)[16..];
    for (name, value) in
        [("traceparent", format!("00-{trace}-{span}-01")), ("b3", format!("{trace}-{span}-1"))]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    tracing::Span::current().record("trace", &*trace);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_marked_once() {
        let mut headers = HeaderMap::new();
        mark(&mut headers);
        let first = headers["traceparent"].clone();
        mark(&mut headers);
        assert_eq!(headers["traceparent"], first);
        assert_eq!(first.len(), 55);
        assert_eq!(headers["b3"].to_str().expect("text")[..49], first.to_str().expect("text")[3..52]);
    }
}
