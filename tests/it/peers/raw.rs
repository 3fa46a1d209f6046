//! Raw HTTP messages, as recorded off a socket.

/// A message taken apart.
pub struct Message {
    pub content_type: Option<String>,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

/// Takes a message apart; an interim `100 Continue` before it is passed over.
pub fn parse(raw: &[u8]) -> Message {
    let end = find(raw, b"\r\n\r\n").expect("a blank line after the head");
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let rest = &raw[end + 4..];
    if head.split(' ').nth(1) == Some("100") {
        return parse(rest);
    }
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_string())
        })
    };
    let chunked = header("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
    let body = if chunked { dechunk(rest) } else { rest.to_vec() };
    Message { content_type: header("content-type"), body }
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .expect("a chunk's size");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
