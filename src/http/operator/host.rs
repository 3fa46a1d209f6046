//! By which names the operator's side may be asked.
//!
//! A page in somebody's browser may have its own name lead to an address of this machine (DNS rebinding); then the browser takes
//! the operator's side for that page's own, and lets it send and read what it wants. But it says the page's name in `Host`.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::Response;

use super::{Operator, error_response};

pub(super) async fn check(State(operator): State<Arc<Operator>>, request: Request, next: Next) -> Response {
    // HTTP/2 has it with the address
    let said = request.uri().authority().map(|authority| authority.as_str());
    let said = said.or_else(|| request.headers().get(HOST).and_then(|host| host.to_str().ok()));
    if said.is_some_and(|said| is_known(said, &operator.hosts)) {
        return next.run(request).await;
    }
    let what = "this isn't asked by that name (Host); ask by IP address or localhost, or add the name to `hosts` in [operator]";
    error_response(StatusCode::MISDIRECTED_REQUEST, what)
}

/// Whether this is an IP address, `localhost` or one of these names, with or without a port.
fn is_known(host: &str, hosts: &[String]) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.split_once(']').filter(|(_, rest)| is_port(rest));
        return address.is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    }
    let end = host.find(':').unwrap_or(host.len());
    let (name, port) = host.split_at(end);
    let name = name.strip_suffix('.').unwrap_or(name);
    let known = |known: &str| known.eq_ignore_ascii_case(name);
    is_port(port)
        && (name.parse::<IpAddr>().is_ok() || known("localhost") || hosts.iter().any(|name| known(name)))
}

/// Nothing, or a port with its colon.
fn is_port(port: &str) -> bool {
    port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_with_and_without_port_and_nothing_else_is() {
        let hosts = ["gateway.example.com".to_owned()];
        for host in [
            "127.0.0.1",
            "127.0.0.1:8081",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:8081",
            "localhost",
            "LocalHost:8081",
            "localhost.",
            "Gateway.example.com:8081",
        ] {
            assert!(is_known(host, &hosts), "{host}");
        }
        for host in [
            "",
            ":8081",
            "evil.example.com",
            "localhost.evil.example.com",
            "127.0.0.1.evil.example.com",
            "evil.example.com:127",
            "localhost:8081:1",
            "localhost:x",
            "[evil.example.com]",
            "[::1]x",
            "[::1",
            "::1",
            "user@localhost",
        ] {
            assert!(!is_known(host, &hosts), "{host}");
        }
    }
}
