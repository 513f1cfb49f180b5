//! The documentation, made from the table of operations: a page that searches it and tries it out (`/doc`), the table itself
//! (`/doc/contract.json`), and the same as OpenAPI (`/openapi.json`).
//!
//! Decision: all of it is open without a login, as Proxmox's viewer is. What the box can do is no secret, it is in the sources; what
//! it knows is, and needs a login. The page works offline: everything it uses comes from here. It keeps the credentials
//! that are typed into it in the page's memory and sends them with each call that is tried, never as a cookie.
//!
//! Both documents are made piece by piece as they are sent: they cost no memory, whoever asks and however often.

use serde_json::json;
use tiny_http::Method;

use super::{Chunk, Chunks, Reply, Request, reply};
use crate::base::Time;
use crate::schema::{openapi, registry, tree};

/// Answers a request for the documentation; none for anything else.
pub(super) fn serve(now: Time, request: &Request) -> Option<Reply> {
    if request.method != Method::Get {
        return None;
    }
    Some(match request.path.as_str() {
        "/doc" | "/doc/" => reply::page_with_scripts(include_str!("doc/page.html")),
        "/doc/page.js" => reply::asset("text/javascript; charset=utf-8", include_str!("doc/page.js")),
        "/doc/page.css" => reply::asset("text/css; charset=utf-8", include_str!("doc/page.css")),
        "/doc/contract.json" => reply::stream(now, Box::new(Pieces(contract()))),
        "/openapi.json" => reply::stream(now, Box::new(Pieces(openapi::document()))),
        _ => return None,
    })
}

/// Texts that make a document when put together.
struct Pieces<I>(I);

impl<I: Iterator<Item = String>> Chunks for Pieces<I> {
    fn next_chunk(&mut self, _now: Time) -> Chunk {
        match self.0.next() {
            Some(piece) => Chunk::Data(piece.into_bytes()),
            None => Chunk::End,
        }
    }
}

/// `{"version": .., "operations": [..]}`, each operation with its area, and with the property by which its answer names what is
/// below it.
fn contract() -> impl Iterator<Item = String> {
    let head = format!("{{\"version\":{},\"operations\":[", json!(env!("CARGO_PKG_VERSION")));
    let all = registry::areas().iter().flat_map(|(area, operations)| operations.iter().map(move |one| (*area, one)));
    let operations = all.enumerate().map(|(at, (area, operation))| {
        let mut described = operation.to_json();
        described["area"] = json!(area);
        if let Some(name) = tree::link(operation) {
            described["links"] = json!([{ "rel": "child", "href": format!("{{{name}}}") }]);
        }
        format!("{}{described}", if at == 0 { "" } else { "," })
    });
    std::iter::once(head).chain(operations).chain(std::iter::once("]}".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_contract_has_every_operation() {
        let whole: Value = serde_json::from_str(&contract().collect::<String>()).expect("the pieces make JSON");
        let names: Vec<&str> =
            whole["operations"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names, registry::operations().map(|one| one.name).collect::<Vec<_>>());
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_has_no_script_in_it() {
        let page = include_str!("doc/page.html");
        let assets = [include_str!("doc/page.js"), include_str!("doc/page.css")].concat();
        assert!(!page.contains("://") && !assets.contains("://"));
        assert!(!page.contains(" on") && !page.contains("style="), "what the policy would not let run");
        assert!(page.contains("src=\"/doc/page.js\"") && page.contains("href=\"/doc/page.css\""));
        assert!(!assets.contains("innerHTML"), "texts of the contract and of answers are texts");
    }
}
