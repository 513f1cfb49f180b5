//! Whether a request was forged by a foreign web page: the rule for ambient credentials.
//!
//! A browser adds cookies and remembered Basic credentials to every request for our address, also to one that another
//! site's page causes. So such a credential counts for nothing on a call that changes something, or on a WebSocket
//! upgrade, when the browser says that a foreign page asks. A client that sends neither `Origin` nor `Sec-Fetch-Site` is no
//! browser and is left alone. Tokens that a script must add by hand (`ftsessionkey`, `Bearer`) are not ambient.
//!
//! Decisions: `http` asks [`is_forged`] for every method but GET, HEAD and OPTIONS and for every upgrade, whatever
//! is behind the path; a dialect that lets a GET change something asks it for those calls itself.

use super::Request;

/// True where the request carries an ambient credential and a foreign page caused it.
#[must_use]
pub fn is_forged(request: &Request) -> bool {
    carries_ambient_credential(request) && comes_from_foreign_page(request)
}

/// True with a cookie or Basic credentials.
#[must_use]
pub fn carries_ambient_credential(request: &Request) -> bool {
    let basic = |value: &str| value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic "));
    request.header("Cookie").is_some() || request.values("Authorization").any(basic)
}

/// True where `Sec-Fetch-Site` is anything but `same-origin` or `none`, or `Origin` is not ours.
pub(super) fn comes_from_foreign_page(request: &Request) -> bool {
    let fetched_elsewhere = request.values("Sec-Fetch-Site").any(|site| site != "same-origin" && site != "none");
    let host = request.header("Host").unwrap_or_default();
    fetched_elsewhere || request.values("Origin").any(|origin| !is_same_origin(origin, host, request.peer.is_tls()))
}

/// Compares `https://name:port` with the `Host` that was asked; the scheme's default port may be left out of either.
fn is_same_origin(origin: &str, host: &str, tls: bool) -> bool {
    let (scheme, default_port) = if tls { ("https://", ":443") } else { ("http://", ":80") };
    let Some(authority) = origin.strip_prefix(scheme) else { return false };
    let bare = |authority: &'_ str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    !host.is_empty() && bare(authority) == bare(host)
}

#[cfg(test)]
mod tests {
    use tiny_http::Method;

    use super::*;
    use crate::base::Connection;
    use crate::dialect::Peer;
    use crate::dialect::message::header;

    fn request(fields: &[(&str, &str)]) -> Request {
        let (remote, local) = ("192.0.2.1:5000".parse().unwrap(), "192.0.2.2:8443".parse().unwrap());
        Request {
            method: Method::Post,
            path: "/".into(),
            query: String::new(),
            headers: fields.iter().map(|(name, value)| header(name, value).unwrap()).collect(),
            body: Vec::new(),
            peer: Peer::Tcp { remote, local, tls: true },
            connection: Connection::default(),
        }
    }

    const HOST: (&str, &str) = ("Host", "box:8443");
    const COOKIE: (&str, &str) = ("Cookie", "a=b");

    #[test]
    fn a_client_that_is_no_browser_is_left_alone() {
        assert!(!is_forged(&request(&[HOST, COOKIE])));
        assert!(!is_forged(&request(&[HOST, ("Authorization", "Basic YTpi")])));
    }

    #[test]
    fn a_foreign_origin_with_an_ambient_credential_is_forged() {
        for origin in
            ["https://evil.example", "null", "", "http://box:8443", "https://box", "https://box:8443.evil.example"]
        {
            assert!(is_forged(&request(&[HOST, COOKIE, ("Origin", origin)])), "{origin}");
            assert!(is_forged(&request(&[HOST, ("Authorization", "bAsIc YTpi"), ("Origin", origin)])), "{origin}");
        }
        assert!(is_forged(&request(&[
            HOST,
            COOKIE,
            ("Origin", "https://box:8443"),
            ("Origin", "https://evil.example")
        ])));
    }

    #[test]
    fn our_own_pages_are_served() {
        assert!(!is_forged(&request(&[
            HOST,
            COOKIE,
            ("Origin", "https://BOX:8443"),
            ("Sec-Fetch-Site", "same-origin")
        ])));
        assert!(!is_forged(&request(&[("Host", "box"), COOKIE, ("Origin", "https://box:443")])));
        assert!(!is_forged(&request(&[HOST, COOKIE, ("Sec-Fetch-Site", "none")])));
    }

    #[test]
    fn every_other_fetch_site_is_foreign() {
        for site in ["cross-site", "same-site", "", "Same-Origin", "new-word"] {
            assert!(is_forged(&request(&[HOST, COOKIE, ("Sec-Fetch-Site", site)])), "{site}");
        }
    }

    #[test]
    fn a_token_that_scripts_add_by_hand_is_not_ambient() {
        let origin = ("Origin", "https://evil.example");
        assert!(!is_forged(&request(&[HOST, ("ftsessionkey", "k"), origin])));
        assert!(!is_forged(&request(&[HOST, ("Authorization", "Bearer t"), origin])));
    }
}
