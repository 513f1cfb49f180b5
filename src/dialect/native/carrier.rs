//! Where Proxmox's clients carry their credentials.
//!
//! - `Authorization: PVEAPIToken=USER@REALM!ID=SECRET`;
//! - a ticket in the cookie `PVEAuthCookie` (or `__Host-PVEAuthCookie`), percent-encoded, or in `Authorization`, bare or as
//!   `PVEAuthCookie=TICKET`; with the token of the header field `CSRFPreventionToken` for all but GET;
//! - HTTP Basic, `Bearer`, and the local socket, as everywhere.
//!
//! `Authorization` goes before a cookie: who sends it means it.

use tiny_http::Method;

use crate::api::Caller;
use crate::auth::Credential;
use crate::dialect::{Request, carriers, parameters};

/// A longer ticket is nobody's.
const LONGEST: usize = 4_096;

/// Names of the cookie, the one that browsers guard better first.
const COOKIES: [&str; 2] = ["__Host-PVEAuthCookie", "PVEAuthCookie"];

/// Who calls.
pub(super) fn caller(request: &Request) -> Caller {
    let authorization = request.header("Authorization").map(str::trim).filter(|value| value.len() <= LONGEST);
    let of_header = authorization.and_then(|value| of_authorization(request, value));
    let of_cookie = || match request.header("Authorization") {
        None => cookie(request).map(|ticket| with_csrf(request, ticket)),
        Some(_) => None,
    };
    let caller = carriers::caller(request, None);
    match of_header.or_else(of_cookie) {
        Some(credential) => Caller { credential, ..caller },
        None => caller,
    }
}

fn of_authorization(request: &Request, value: &str) -> Option<Credential> {
    if let Some(token) = value.strip_prefix("PVEAPIToken=") {
        return Some(Credential::Token(token.to_owned()));
    }
    if let Some(token) = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")).and(value.get(7..)) {
        return Some(Credential::Bearer(token.trim().to_owned()));
    }
    let ticket = value.strip_prefix("PVEAuthCookie=").or_else(|| value.starts_with("PVE:").then_some(value))?;
    Some(with_csrf(request, parameters::decode(ticket, false)))
}

/// A ticket and what came against forged requests. Proxmox asks for that with every method but GET, so none is a wrong one.
fn with_csrf(request: &Request, ticket: String) -> Credential {
    let csrf = || request.header("CSRFPreventionToken").unwrap_or_default().to_owned();
    Credential::Ticket { ticket, csrf: (request.method != Method::Get).then(csrf) }
}

fn cookie(request: &Request) -> Option<String> {
    let find = |name: &str| {
        let cookies = request.values("Cookie").flat_map(|line| line.split(';'));
        let mut named = cookies.filter_map(|pair| pair.trim().split_once('=')).filter(|(known, _)| *known == name);
        named.next().map(|(_, value)| value.trim_matches('"'))
    };
    let value = COOKIES.into_iter().find_map(find).filter(|value| !value.is_empty() && value.len() <= LONGEST)?;
    Some(parameters::decode(value, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Connection;
    use crate::dialect::Peer;
    use crate::dialect::message::header;

    fn shown(fields: &[(&str, &str)]) -> Credential {
        let request = Request {
            method: Method::Post,
            path: "/".into(),
            query: String::new(),
            headers: fields.iter().map(|(name, value)| header(name, value).unwrap()).collect(),
            body: Vec::new(),
            peer: Peer::Local { uid: 0 },
            connection: Connection::default(),
        };
        caller(&request).credential
    }

    fn ticket(ticket: &str, csrf: &str) -> Credential {
        Credential::Ticket { ticket: ticket.into(), csrf: Some(csrf.into()) }
    }

    #[test]
    fn each_carrier_is_read() {
        let token = "a@weir!b=c";
        assert_eq!(shown(&[("Authorization", &format!("PVEAPIToken={token}"))]), Credential::Token(token.into()));
        assert_eq!(shown(&[("Authorization", "bearer x.y.z")]), Credential::Bearer("x.y.z".into()));
        let basic = Credential::Password { user: "admin".into(), password: "a:b:c".into() };
        assert_eq!(shown(&[("Authorization", "Basic YWRtaW46YTpiOmM=")]), basic);
        assert_eq!(shown(&[]), Credential::None);
        for value in ["PVE:a@weir:1::s", "PVEAuthCookie=PVE:a@weir:1::s", "PVEAuthCookie=PVE%3Aa%40weir%3A1%3A%3As"] {
            assert_eq!(shown(&[("Authorization", value)]), ticket("PVE:a@weir:1::s", ""), "{value}");
        }
    }

    #[test]
    fn a_ticket_in_a_cookie_comes_with_its_csrf_token() {
        let csrf = ("CSRFPreventionToken", "4EEC61E2:x");
        for cookies in [
            "PVEAuthCookie=PVE%3Aa%40weir%3A1%3A%3As%2B",
            "other=1; PVEAuthCookie=PVE:a@weir:1::s+",
            "PVEAuthCookie=old; __Host-PVEAuthCookie=\"PVE:a@weir:1::s+\"",
        ] {
            assert_eq!(shown(&[("Cookie", cookies), csrf]), ticket("PVE:a@weir:1::s+", "4EEC61E2:x"), "{cookies}");
        }
        assert_eq!(shown(&[("Cookie", "PVEAuthCookie=")]), Credential::None, "logged out");
        assert_eq!(shown(&[("Cookie", "PVEAuthCookie2=x")]), Credential::None);
        assert_eq!(shown(&[("Cookie", &format!("PVEAuthCookie={}", "x".repeat(LONGEST + 1)))]), Credential::None);
    }

    #[test]
    fn a_read_needs_no_csrf_token() {
        let headers = vec![header("Cookie", "PVEAuthCookie=PVE:a@weir:1::s").unwrap()];
        let request = Request {
            method: Method::Get,
            path: "/".into(),
            query: String::new(),
            headers,
            body: Vec::new(),
            peer: Peer::Local { uid: 0 },
            connection: Connection::default(),
        };
        let read = Credential::Ticket { ticket: "PVE:a@weir:1::s".into(), csrf: None };
        assert_eq!(caller(&request).credential, read);
    }

    #[test]
    fn authorization_goes_before_a_cookie_also_where_it_is_wrong() {
        let cookie = ("Cookie", "PVEAuthCookie=PVE:a@weir:1::s");
        assert_eq!(shown(&[cookie, ("Authorization", "PVEAPIToken=t")]), Credential::Token("t".into()));
        assert_eq!(shown(&[cookie, ("Authorization", "nonsense")]), Credential::Key(String::new()));
    }
}
