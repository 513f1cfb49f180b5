//! OAuth 2.0 (RFC 6749, PKCE by RFC 7636) under `/auth/api/v1`.
//!
//! | path | what |
//! |---|---|
//! | `GET oauth/authorize` | a client sends a browser here: 307, the request's token in the query of `Location` |
//! | `POST login` | name, password and that token: `{code, state, redirect_uri}` |
//! | `POST oauth/token` | tokens for a code, a password, a refresh token, or a client itself |
//! | `POST oauth/clientcredentials/DOMAIN/token` | the same for a client itself |
//! | `POST logout` | ends the login of the access token shown |
//! | `GET oauth/keys` | the public keys that access tokens are signed with (ours) |
//!
//! A client shows its secret by HTTP Basic, or as `client_id` and `client_secret` in the body.

use std::rc::Rc;

use serde_json::{Map, Value, json};
use tiny_http::{Method, StatusCode};

use super::failure::{Error, Fault};
use crate::api::{Api, Failure, Outcome};
use crate::auth::Credential;
use crate::base::Time;
use crate::dialect::message::header;
use crate::dialect::router::drive;
use crate::dialect::{Answer, Request, carriers, parameters, reply};
use crate::schema::{Operation, registry};

/// Where a browser logs in for a client.
const LOGIN_PAGE: &str = "/auth/login";

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Authorize,
    Login,
    Token,
    ClientToken,
    Logout,
    Keys,
}

impl Endpoint {
    /// The endpoint of a path below the service and version.
    pub(super) fn find(service: &str, rest: &str) -> Option<Self> {
        if service != "auth" {
            return None;
        }
        let of_domain = rest.strip_prefix("oauth/clientcredentials/").and_then(|rest| rest.strip_suffix("/token"));
        match rest {
            "oauth/authorize" => Some(Self::Authorize),
            "login" => Some(Self::Login),
            "oauth/token" => Some(Self::Token),
            "logout" => Some(Self::Logout),
            "oauth/keys" => Some(Self::Keys),
            _ => of_domain.filter(|domain| !domain.is_empty() && !domain.contains('/')).map(|_| Self::ClientToken),
        }
    }

    /// The operation behind it.
    pub(super) fn operation(self, method: &Method) -> Result<&'static Operation, Error> {
        let (takes, name) = match self {
            Self::Authorize => (Method::Get, "oauth.authorize"),
            Self::Login => (Method::Post, "oauth.login"),
            Self::Token | Self::ClientToken => (Method::Post, "oauth.token"),
            Self::Logout => (Method::Post, "logout"),
            Self::Keys => (Method::Get, "oauth.keys"),
        };
        if *method != takes {
            return Err(Error::Method);
        }
        registry::find(name).ok_or(Error::NotFound)
    }

    /// Answers a request.
    pub(super) fn call(self, api: &Rc<Api>, now: Time, request: &Request) -> Result<Answer, Error> {
        let operation = self.operation(&request.method)?;
        let mut found = Map::new();
        let bad = |why: String| Error::Invalid(vec![Fault::invalid("", &why)]);
        match request.method {
            Method::Get => parameters::add_text(operation, parameters::pairs(&request.query), &mut found),
            _ => parameters::add_body(operation, &request.body, &mut found).map_err(bad)?,
        }
        if matches!(self, Self::Authorize | Self::Token | Self::ClientToken) {
            // RFC 6749, sections 3.1 and 3.2: what is not recognised is ignored.
            found.retain(|name, _| operation.parameters.properties().iter().any(|property| property.name == name));
        }
        let mut caller = carriers::caller(request, None);
        if matches!(self, Self::Token | Self::ClientToken)
            && let Credential::Password { user, password } = caller.credential
        {
            found.insert("client_id".into(), json!(user));
            found.insert("client_secret".into(), json!(password));
            caller.credential = Credential::None;
        }
        if self == Self::ClientToken {
            found.entry("grant_type").or_insert_with(|| json!("client_credentials"));
        }
        let outcome = api.call(now, caller, operation, found);
        Ok(drive(now, outcome, move |_, outcome| Answer::Reply(self.reply(outcome))))
    }

    fn reply(self, outcome: Outcome) -> crate::dialect::Reply {
        match outcome {
            // RFC 6749, section 5.2.
            Outcome::Failed(failure @ Failure::Parameters(_)) if matches!(self, Self::Token | Self::ClientToken) => {
                let why = failure.to_string();
                reply::json(400, &json!({ "error": "invalid_request", "error_description": why }))
            }
            Outcome::Failed(failure) => Error::Call(failure).reply(),
            outcome => match outcome.result() {
                Some(result) if self == Self::Authorize => {
                    let token = result["token"].as_str().unwrap_or_default();
                    let mut reply = reply::json(307, result);
                    reply.status = StatusCode(307);
                    reply.headers.extend(header("Location", &format!("{LOGIN_PAGE}?token={token}")).ok());
                    reply
                }
                Some(result) if matches!(self, Self::Token | Self::ClientToken) => {
                    let mut reply = reply::json(200, result);
                    reply.headers.extend(header("Pragma", "no-cache").ok());
                    reply
                }
                Some(Value::Null) => reply::json(200, &json!({})),
                Some(result) => reply::json(200, result),
                None => Error::NotFound.reply(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_endpoints() {
        assert_eq!(Endpoint::find("auth", "oauth/token"), Some(Endpoint::Token));
        assert_eq!(Endpoint::find("auth", "oauth/clientcredentials/privx-service/token"), Some(Endpoint::ClientToken));
        for (service, rest) in
            [("role-store", "oauth/token"), ("auth", "oauth/clientcredentials//token"), ("auth", "x")]
        {
            assert_eq!(Endpoint::find(service, rest), None);
        }
    }

    #[test]
    fn every_endpoint_has_an_operation() {
        use Endpoint::{Authorize, ClientToken, Keys, Login, Logout, Token};
        for (endpoint, method) in [
            (Authorize, Method::Get),
            (Login, Method::Post),
            (Token, Method::Post),
            (ClientToken, Method::Post),
            (Logout, Method::Post),
            (Keys, Method::Get),
        ] {
            assert!(endpoint.operation(&method).is_ok(), "{endpoint:?}");
            assert_eq!(endpoint.operation(&Method::Put).err(), Some(Error::Method));
        }
    }
}
