//! OAuth 2.0 (RFC 6749) as PrivX's clients speak it: codes, access tokens and refresh tokens for clients that the
//! administrator registered.
//!
//! A code is good once, for a minute, for the client and the redirect URI it was made for, and needs its PKCE verifier (RFC
//! 7636, S256 alone). A code that is shown twice ends the login that came of it. A refresh token is good once; one that was
//! used before ends its login, because somebody has a copy. Both tokens are signed, so that nothing secret is kept; of a
//! login there is kept who it is, by which client, and which refresh token is next.
//!
//! Access tokens live 300 s and end with their login at once.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::digest::plain;
use super::issued::{Client, Login};
use super::sessions::{Session, SessionKind};
use super::users::{Users, random, text, uuid};
use super::{Auth, From, Identity, Means, Refusal};
use crate::base::lru::HashKey;
use crate::base::{Lru, Time};

/// How long an access token is good.
pub const ACCESS_AGE: Duration = Duration::from_secs(300);
/// How long a code is good.
const CODE_AGE: Duration = Duration::from_secs(60);
/// How long one may take to log in after a client asked.
const REQUEST_AGE: u64 = 600;
/// Most codes at once.
const MOST_CODES: usize = 64;
/// Who says so, in access tokens.
const ISSUER: &str = "weir";

/// Why a client gets no token, in the words of RFC 6749, section 5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantError {
    /// The code.
    pub error: &'static str,
    /// For people.
    pub description: String,
}

impl GrantError {
    /// An error.
    #[must_use]
    pub fn new(error: &'static str, description: &str) -> Self {
        Self { error, description: description.to_owned() }
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl std::error::Error for GrantError {}

impl std::convert::From<Refusal> for GrantError {
    fn from(refusal: Refusal) -> Self {
        let error = match refusal {
            Refusal::Busy | Refusal::NotStored => "temporarily_unavailable",
            _ => "invalid_grant",
        };
        Self { error, description: refusal.to_string() }
    }
}

/// Codes that were given and not yet forgotten.
#[derive(Debug)]
pub(super) struct Codes(Lru<[u8; 32], Code>);

/// A code.
#[derive(Debug, Clone)]
struct Code {
    client: String,
    user: String,
    redirect: String,
    challenge: String,
    given: Time,
    /// The login that came of it.
    login: Option<String>,
}

impl Default for Codes {
    fn default() -> Self {
        Self(Lru::new(MOST_CODES, HashKey::random()))
    }
}

impl Codes {
    pub(super) fn forget_user(&mut self, user: &str) {
        self.0.retain(|_, code| code.user != user);
    }
}

/// What a client asks of a user's browser.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "RFC 6749 and RFC 7636 say it")]
pub struct AuthorizeRequest<'a> {
    pub client: &'a str,
    pub redirect: &'a str,
    pub state: &'a str,
    pub challenge: &'a str,
}

/// What a client is given when someone logged in for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized {
    /// The code.
    pub code: String,
    /// The client's own words, back.
    pub state: String,
    /// Where both go.
    pub redirect: String,
}

/// What a code or a refresh token turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Good: a login of that user is to be made, by that code.
    New {
        /// The user.
        user: String,
        /// What names the code.
        code: [u8; 32],
    },
    /// Good: the login goes on.
    Next {
        /// The login.
        login: String,
    },
    /// Used before: the login must end.
    Reused {
        /// The login.
        login: String,
    },
}

impl Auth {
    /// The client of that id, where it is registered, proves itself, and may come to tokens that way.
    ///
    /// # Errors
    /// In the client's words.
    pub fn client(&self, id: &str, secret: Option<&str>, grant: &str) -> Result<Client, GrantError> {
        let unknown = || GrantError::new("invalid_client", "The client is not known, or its secret is wrong");
        let client = self.users().ok().and_then(|users| users.issued.clients.get(id)).ok_or_else(unknown)?;
        let is_public = client.secret.as_str().is_empty();
        let proven = if is_public { secret.is_none_or(str::is_empty) } else { client.secret.is(secret.unwrap_or("")) };
        if !proven {
            return Err(unknown());
        }
        let allowed = client.grants.iter().any(|allowed| allowed == grant);
        if !allowed || (is_public && matches!(grant, "password" | "client_credentials")) {
            return Err(GrantError::new("unauthorized_client", "This client may not get tokens that way"));
        }
        Ok(client.clone())
    }

    /// Begins a login in a user's browser: a sealed token that says what the client asked. No memory is needed for it.
    ///
    /// # Errors
    /// In the client's words. Nothing may be sent to the redirect URI then.
    pub fn authorize(&self, now: Time, request: &AuthorizeRequest<'_>) -> Result<String, GrantError> {
        let AuthorizeRequest { client: id, redirect, state, challenge } = *request;
        let client = self.users().ok().and_then(|users| users.issued.clients.get(id));
        let client = client.ok_or_else(|| GrantError::new("invalid_client", "The client is not known"))?;
        if !client.grants.iter().any(|grant| grant == "authorization_code") {
            return Err(GrantError::new("unauthorized_client", "This client may not get tokens that way"));
        }
        if !client.redirects.iter().any(|registered| registered == redirect) {
            return Err(GrantError::new("invalid_request", "The redirect URI is not registered for this client"));
        }
        // The digest of a verifier: 43 letters of base64url.
        if challenge.len() != 43 || URL_SAFE_NO_PAD.decode(challenge).is_err() {
            return Err(GrantError::new("invalid_request", "A PKCE code challenge by S256 is needed"));
        }
        let until = now.secs().saturating_add(REQUEST_AGE);
        let request = json!({ "c": id, "r": redirect, "s": state, "k": challenge, "x": until });
        Ok(self.signer.seal("authorize", &request.to_string()))
    }

    /// Ends a login in a user's browser: a code for the client.
    ///
    /// # Errors
    /// In the client's words.
    pub fn create_code(&mut self, now: Time, identity: &Identity, token: &str) -> Result<Authorized, GrantError> {
        let broken =
            || GrantError::new("invalid_request", "The login was begun too long ago, or not here: begin again");
        let request = self.signer.unseal("authorize", token).ok_or_else(broken)?;
        let request: Value = serde_json::from_str(&request).map_err(|_| broken())?;
        if request["x"].as_u64().is_none_or(|until| now.secs() >= until) {
            return Err(broken());
        }
        let code = random_text().map_err(|_| GrantError::new("server_error", "No random numbers"))?;
        let made = Code {
            client: text(&request, "c"),
            user: identity.user.to_string(),
            redirect: text(&request, "r"),
            challenge: text(&request, "k"),
            given: self.steady(now),
            login: None,
        };
        self.codes.0.insert(plain(code.as_bytes()), made);
        Ok(Authorized { code, state: text(&request, "s"), redirect: text(&request, "r") })
    }

    /// What a code is worth that a client shows.
    ///
    /// # Errors
    /// In the client's words.
    pub fn use_code(
        &mut self,
        now: Time,
        client: &str,
        code: &str,
        redirect: &str,
        verifier: &str,
    ) -> Result<Turn, GrantError> {
        let wrong = || GrantError::new("invalid_grant", "The code is wrong, was used or has expired");
        let name = plain(code.as_bytes());
        let now = self.steady(now);
        let found = self.codes.0.get(&name).ok_or_else(wrong)?;
        if let Some(login) = &found.login {
            return Ok(Turn::Reused { login: login.clone() });
        }
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let proven: bool = challenge.as_bytes().ct_eq(found.challenge.as_bytes()).into();
        let is_fresh = now.since(found.given) < CODE_AGE && now >= found.given;
        let is_good = is_fresh && proven && found.client == client && found.redirect == redirect;
        let user = found.user.clone();
        if !is_good {
            // One try: a code that was shown wrongly is no secret any more.
            self.codes.0.remove(&name);
            return Err(wrong());
        }
        // From now on it was used, also while the login is being written.
        found.login = Some(String::new());
        Ok(Turn::New { user, code: name })
    }

    /// Which login came of a code, so that the code shown again ends it.
    pub fn code_used(&mut self, code: &[u8; 32], login: &str) {
        if let Some(code) = self.codes.0.get(code) {
            code.login = Some(login.to_owned());
        }
    }

    /// What a refresh token is worth that a client shows.
    ///
    /// # Errors
    /// In the client's words.
    pub fn use_refresh(&self, client: &str, token: &str) -> Result<Turn, GrantError> {
        let wrong = || GrantError::new("invalid_grant", "The refresh token is wrong or has ended");
        let sealed = self.signer.unseal("refresh", token).ok_or_else(wrong)?;
        let (login, turn) = sealed.split_once(' ').ok_or_else(wrong)?;
        let turn: u64 = turn.parse().map_err(|_| wrong())?;
        // What is being written counts: two uses at once are two uses.
        let users = self.pending.as_ref().map_or_else(|| self.users(), Ok).map_err(|_| wrong())?;
        let found = users.issued.logins.get(login).filter(|found| found.client == client).ok_or_else(wrong)?;
        let login = login.to_owned();
        Ok(if turn == found.turn { Turn::Next { login } } else { Turn::Reused { login } })
    }

    /// The tokens of a login that is in force, as RFC 6749, section 5.1 has them.
    ///
    /// # Errors
    /// In the client's words.
    pub fn tokens(&mut self, now: Time, login: &str) -> Result<Value, GrantError> {
        let ended = || GrantError::new("invalid_grant", "The login has ended");
        let found = self.users().ok().and_then(|users| users.issued.logins.get(login)).cloned().ok_or_else(ended)?;
        let identity = self.identity(now, &found.user, Means::Bearer(login.into())).ok_or_else(ended)?;
        let mut reply = self.access_token(now, &identity, &found.client, login);
        reply["refresh_token"] = Value::from(self.signer.seal("refresh", &format!("{login} {}", found.turn)));
        Ok(reply)
    }

    /// The access token of a client that calls for itself.
    ///
    /// # Errors
    /// In the client's words.
    pub fn machine_token(&mut self, now: Time, from: From, id: &str, client: &Client) -> Result<Value, GrantError> {
        let session = random().map(uuid).map_err(|_| GrantError::new("server_error", "No random numbers"))?;
        let identity = self.identity(now, &client.user, Means::Machine(session.as_str().into()));
        let identity = identity.ok_or_else(|| {
            GrantError::new("unauthorized_client", "The user that this client stands for may not come in")
        })?;
        let steady = self.steady(now);
        let (user, kind) = (Rc::clone(&identity.user), SessionKind::Bearer);
        let made = Session { user, kind, from, created: steady, used: steady };
        self.machines.insert(steady, plain(session.as_bytes()), made);
        Ok(self.access_token(now, &identity, id, &session))
    }

    fn access_token(&self, now: Time, identity: &Identity, client: &str, session: &str) -> Value {
        let issued = now.secs();
        let id = self.users().ok().and_then(|users| users.find(&identity.user)).map_or("", |user| user.id.as_str());
        let permissions: Vec<&str> = identity.rights().at("/").names().collect();
        let token = self.signer.jwt(&json!({
            "iss": ISSUER, "aud": client, "domain": "privx-external", "sub": &*identity.user, "userid": id,
            "sessionid": session, "permissions": permissions, "iat": issued, "exp": issued + ACCESS_AGE.as_secs(),
        }));
        json!({ "access_token": token, "token_type": "bearer", "expires_in": ACCESS_AGE.as_secs(), "scope": "" })
    }

    /// Who calls with an access token.
    pub(super) fn by_bearer(&mut self, now: Time, token: &str) -> Option<Identity> {
        let name = plain(token.as_bytes());
        let claims = match self.bearers.get(&name) {
            Some(claims) => claims.clone(),
            None => {
                let claims = Claims::read(&self.signer.claims(token)?)?;
                self.bearers.insert(name, claims.clone());
                claims
            }
        };
        // Made by a clock that was ahead: it counts from then on, not before.
        if now.secs() >= claims.until || claims.issued > now.secs().saturating_add(ACCESS_AGE.as_secs()) {
            return None;
        }
        let login = self.users().ok()?.issued.logins.get(&*claims.session).map(|login| login.user.clone());
        let (user, means) = match login {
            Some(user) => (user, Means::Bearer(Rc::clone(&claims.session))),
            None => {
                let client = self.users().ok()?.issued.clients.get(&*claims.client)?;
                if client.user != *claims.user || !client.grants.iter().any(|grant| grant == "client_credentials") {
                    return None;
                }
                let machine = self.machines.find(self.steady(now), &plain(claims.session.as_bytes()))?;
                (machine.user.to_string(), Means::Machine(Rc::clone(&claims.session)))
            }
        };
        if user != *claims.user {
            return None;
        }
        self.identity(now, &user, means)
    }

    /// The key that verifies access tokens, as a set of JSON Web Keys.
    #[must_use]
    pub fn public_keys(&self) -> Value {
        self.signer.public_keys()
    }
}

/// What an access token says, of which we made sure that we signed it.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    user: Rc<str>,
    client: Rc<str>,
    session: Rc<str>,
    issued: u64,
    until: u64,
}

impl Claims {
    fn read(claims: &Value) -> Option<Self> {
        Some(Self {
            user: claims["sub"].as_str()?.into(),
            client: claims["aud"].as_str()?.into(),
            session: claims["sessionid"].as_str()?.into(),
            issued: claims["iat"].as_u64()?,
            until: claims["exp"].as_u64()?,
        })
    }
}

/// Most access tokens whose signature is remembered as ours.
pub(super) const MOST_BEARERS: usize = 128;

/// Makes a login; its id.
///
/// # Errors
/// That the operating system gives no random numbers.
pub fn begin_login(users: &mut Users, now: Time, client: &str, user: &str) -> std::io::Result<String> {
    let id = random().map(uuid)?;
    let login = Login { client: client.to_owned(), user: user.to_owned(), turn: 1, created: now, used: now };
    users.issued.add_login(id.clone(), login);
    Ok(id)
}

/// Goes on with a login: the refresh token that was shown is used up. Whether there is one still.
pub fn next_turn(users: &mut Users, now: Time, id: &str) -> bool {
    let login = users.issued.logins.get_mut(id);
    login.map(|login| (login.turn, login.used) = (login.turn + 1, now)).is_some()
}

/// Random text of 256 bits: a secret or a code.
///
/// # Errors
/// That the operating system gives no random numbers.
pub fn random_text() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
