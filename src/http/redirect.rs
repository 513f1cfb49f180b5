//! Port 80: sends every request to HTTPS and serves nothing else.

use std::cell::Cell;
use std::rc::Rc;

use tiny_http::{Method, StatusCode};

use super::reply::plain;
use crate::base::Time;
use crate::dialect::message::header;
use crate::dialect::{Answer, Body, Reply, Request, Service};

/// Answers 308 with the same path at `https://`. The host is the one that was asked for.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The HTTPS port; 443 is left out of the address. Can change.
    pub port: Rc<Cell<u16>>,
}

impl Redirect {
    fn location(&self, request: &Request) -> Option<String> {
        let host = name_of(request.header("Host")?);
        let port = if self.port.get() == 443 { String::new() } else { format!(":{}", self.port.get()) };
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        Some(format!("https://{host}{port}{}{query}", request.path))
    }
}

impl Service for Redirect {
    fn body_limit(&self, _: &Method, _: &str) -> usize {
        0
    }

    fn call(&self, _: Time, request: Request) -> Answer {
        let field = self.location(&request).and_then(|location| header("Location", &location).ok());
        Answer::Reply(match field {
            Some(field) => Reply { status: StatusCode(308), reason: None, headers: vec![field], body: Body::Empty },
            None => plain(400, "no Host header field"),
        })
    }
}

/// The host without its port: `name:port`, `[address]:port`.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Connection;
    use crate::dialect::Peer;

    fn location(port: u16, host: &str, path: &str, query: &str) -> Option<String> {
        let headers = vec![header("Host", host).unwrap()];
        let (path, query) = (path.to_owned(), query.to_owned());
        let (body, peer, connection) = (Vec::new(), Peer::Local { uid: 0 }, Connection::default());
        let request = Request { method: Method::Get, path, query, headers, body, peer, connection };
        Redirect { port: Rc::new(Cell::new(port)) }.location(&request)
    }

    #[test]
    fn the_same_path_is_named_at_https() {
        assert_eq!(location(443, "box", "/a", "b=c").as_deref(), Some("https://box/a?b=c"));
        assert_eq!(location(8443, "box:80", "/", "").as_deref(), Some("https://box:8443/"));
        assert_eq!(location(443, "[::1]:80", "/", "").as_deref(), Some("https://[::1]/"));
        assert_eq!(location(443, "[::1]", "/", "").as_deref(), Some("https://[::1]/"));
    }
}
