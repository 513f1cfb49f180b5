//! Where requests carry credentials.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Peer, Request};
use crate::api::Caller;
use crate::auth::{Credential, From};

/// A longer `Authorization` is nobody's password.
const LONGEST: usize = 4_096;

/// Who calls, by the header field of a session key (where the dialect has one), an access token (`Bearer`), HTTP Basic
/// (RFC 7617, UTF-8), or the local socket. A key goes before Basic; what cannot be read as Basic is a wrong credential, not none.
pub(super) fn caller(request: &Request, key_field: Option<&str>) -> Caller {
    Caller { from: from(request), credential: credential(request, key_field), connection: request.connection }
}

/// Where a request comes from.
pub(super) fn from(request: &Request) -> From {
    match request.peer {
        Peer::Tcp { remote, .. } => From::Address(remote.ip().into()),
        Peer::Local { uid } => From::Local(uid),
    }
}

fn credential(request: &Request, key_field: Option<&str>) -> Credential {
    if let Some(key) = key_field.and_then(|field| request.header(field)) {
        return Credential::Key(key.trim().to_owned());
    }
    match request.header("Authorization") {
        Some(value) => bearer(value).or_else(|| basic(value)).unwrap_or(Credential::Key(String::new())),
        None => Credential::None,
    }
}

/// RFC 6750, section 2.1.
fn bearer(value: &str) -> Option<Credential> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let good = scheme.eq_ignore_ascii_case("bearer") && token.len() <= LONGEST;
    good.then(|| Credential::Bearer(token.trim().to_owned()))
}

fn basic(value: &str) -> Option<Credential> {
    let (scheme, token) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || token.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credential::Password { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_takes_what_rfc_7617_allows() {
        let password =
            |user: &str, password: &str| Some(Credential::Password { user: user.into(), password: password.into() });
        assert_eq!(basic("Basic YWRtaW46YTpiOmM="), password("admin", "a:b:c"), "a password may have colons");
        assert_eq!(basic("bAsIc  YWRtaW46"), password("admin", ""));
        assert_eq!(basic("Basic w6Q6w7Y="), password("ä", "ö"));
        for bad in ["", "Basic", "Basic ???", "Basic YWRtaW4=", "Bearer YWRtaW46YQ==", "Basic /zo="] {
            assert_eq!(basic(bad), None, "{bad}");
        }
        assert_eq!(basic(&format!("Basic {}", "A".repeat(LONGEST + 4))), None);
    }
}
