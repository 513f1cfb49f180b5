//! What users were given to come in with and keep for long: API tokens, API keys, OAuth clients and their logins. Kept in
//! the users' file; of secrets, which are random, digests alone.

use crate::base::SmallMap;

use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

use super::digest;
use super::users::{check_filter, text, time};
use crate::base::Time;

/// Most API tokens of one user.
pub const MOST_TOKENS: usize = 32;
/// Most API keys.
pub const MOST_KEYS: usize = 256;
/// Most API keys of one user.
pub const MOST_KEYS_OF_ONE: usize = 32;
/// Most OAuth clients.
pub const MOST_CLIENTS: usize = 64;
/// Most redirect URIs of a client.
pub const MOST_REDIRECTS: usize = 8;
/// Most logins by OAuth clients; one more, and of the user who has most of them the one used longest ago ends.
pub const MOST_LOGINS: usize = 256;
/// Most tickets that were ended before their time; one more ends all tickets of its user.
pub const MOST_REVOKED: usize = 256;

/// What a random secret is kept as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Of that secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(digest::hexadecimal(&digest::plain(secret.as_bytes())))
    }

    /// Whether it is that secret's. Takes as long for any.
    #[must_use]
    pub fn is(&self, secret: &str) -> bool {
        !self.0.is_empty() && Self::of(secret).0.as_bytes().ct_eq(self.0.as_bytes()).into()
    }

    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A Proxmox API token of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Token {
    /// What opens it.
    pub secret: Secret,
    /// Whether it has rights of its own, within the user's; otherwise it has the user's.
    pub privsep: bool,
    /// From when on it is no good; never where it is [`Time::ZERO`].
    pub expire: Time,
    /// What people say about it.
    pub comment: String,
    /// Only flows that match are seen, of those that the user sees; empty for all of them.
    pub filter: String,
    /// When it was made.
    pub created: Time,
}

/// A PVX API key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiKey {
    /// Whose it is.
    pub user: String,
    /// What it is called.
    pub name: String,
    /// What opens it.
    pub secret: Secret,
    /// Only flows that match are seen, of those that the user sees; empty for all of them.
    pub filter: String,
    /// When it was made.
    pub created: Time,
}

/// An OAuth client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// What it is called.
    pub name: String,
    /// What it proves itself with; empty where it cannot keep a secret.
    pub secret: Secret,
    /// How it may come to tokens: words of [`GRANTS`].
    pub grants: Vec<String>,
    /// Where codes may be sent, letter by letter.
    pub redirects: Vec<String>,
    /// Who it is when it calls for itself; empty where it never does.
    pub user: String,
    /// When it was made.
    pub created: Time,
}

/// How clients may come to tokens (RFC 6749).
pub const GRANTS: &[&str] = &["authorization_code", "refresh_token", "password", "client_credentials"];

/// A login by an OAuth client: its refresh token is good once, and each use makes the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Login {
    /// The client's id.
    pub client: String,
    /// Whose it is.
    pub user: String,
    /// Which refresh token is the next to be used; those with smaller numbers were.
    pub turn: u64,
    /// When it was made.
    pub created: Time,
    /// When a token was last given.
    pub used: Time,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Issued {
    /// Tokens by user and id.
    pub tokens: SmallMap<(String, String), Token>,
    /// Keys by id.
    pub keys: SmallMap<String, ApiKey>,
    /// Clients by id.
    pub clients: SmallMap<String, Client>,
    /// Logins by id.
    pub logins: SmallMap<String, Login>,
    /// Tickets that were ended before their time, by digest, and until when that matters.
    pub revoked: SmallMap<String, Time>,
}

impl Issued {
    /// The tokens of a user by id.
    pub fn tokens_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = (&'a str, &'a Token)> {
        self.tokens.iter().filter(move |((owner, _), _)| owner == user).map(|((_, id), token)| (id.as_str(), token))
    }

    /// The token of a user.
    #[must_use]
    pub fn token(&self, user: &str, id: &str) -> Option<&Token> {
        self.tokens.get(&(user.to_owned(), id.to_owned()))
    }

    /// Ends everything of a user who is no more. A client that stood for them stands for nobody, or whoever gets the name next
    /// would find it speaking for them; where it came to tokens in no other way, it goes.
    pub fn forget_user(&mut self, user: &str) {
        self.tokens.retain(|(owner, _), _| owner != user);
        self.keys.retain(|_, key| key.user != user);
        self.clients.retain(|_, client| {
            if client.user == user {
                client.user.clear();
                client.grants.retain(|grant| grant != "client_credentials");
            }
            !client.grants.is_empty()
        });
        self.logins.retain(|_, login| self.clients.contains_key(&login.client));
        self.end_logins(user);
    }

    /// Ends the logins of a user.
    pub fn end_logins(&mut self, user: &str) {
        self.logins.retain(|_, login| login.user != user);
    }

    /// Adds a login; where there are too many, of the user who has most of them the one used longest ago ends: nobody ends
    /// the logins of others by logging in.
    pub fn add_login(&mut self, id: String, login: Login) {
        if self.logins.len() >= MOST_LOGINS {
            let most = most_frequent(self.logins.values().map(|login| login.user.as_str())).map(str::to_owned);
            let theirs = self.logins.iter().filter(|(_, login)| most.as_ref() == Some(&login.user));
            let oldest = theirs.min_by_key(|(_, login)| login.used).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.logins.remove(&id));
        }
        self.logins.insert(id, login);
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
        let tokens = self.tokens.iter().map(|((user, id), token)| {
            let Token { secret, privsep, expire, comment, filter, created } = token;
            json!({
                "user": user, "id": id, "digest": secret.0, "privsep": privsep, "expire": expire.secs(),
                "comment": comment, "filter": filter, "created": created.to_string(),
            })
        });
        let keys = self.keys.iter().map(|(id, key)| {
            let ApiKey { user, name, secret, filter, created } = key;
            json!({
                "id": id, "user": user, "name": name, "digest": secret.0, "filter": filter, "created": created.to_string(),
            })
        });
        let clients = self.clients.iter().map(|(id, client)| {
            let Client { name, secret, grants, redirects, user, created } = client;
            json!({
                "id": id, "name": name, "digest": secret.0, "grants": grants, "redirects": redirects, "user": user,
                "created": created.to_string(),
            })
        });
        let logins = self.logins.iter().map(|(id, login)| {
            let Login { client, user, turn, created, used } = login;
            json!({
                "id": id, "client": client, "user": user, "turn": turn, "created": created.to_string(),
                "used": used.to_string(),
            })
        });
        let revoked = self.revoked.iter().map(|(digest, until)| (digest.clone(), json!(until.secs())));
        let mut out = Map::new();
        out.insert("tokens".into(), tokens.collect());
        out.insert("keys".into(), keys.collect());
        out.insert("clients".into(), clients.collect());
        out.insert("logins".into(), logins.collect());
        out.insert("revoked".into(), Value::Object(revoked.collect()));
        out
    }

    /// Reads what [`Issued::to_json`] made; what is absent is empty.
    pub(super) fn parse(file: &Value) -> Result<Self, String> {
        let mut issued = Self::default();
        for token in list(file, "tokens") {
            let made = Token {
                secret: Secret(text(token, "digest")),
                privsep: token["privsep"].as_bool().ok_or("has a token that is not whole")?,
                expire: Time::from_secs(token["expire"].as_u64().unwrap_or(0)),
                comment: text(token, "comment"),
                filter: filter(token)?,
                created: time(&token["created"]),
            };
            issued.tokens.insert((text(token, "user"), text(token, "id")), made);
        }
        for key in list(file, "keys") {
            let made = ApiKey {
                user: text(key, "user"),
                name: text(key, "name"),
                secret: Secret(text(key, "digest")),
                filter: filter(key)?,
                created: time(&key["created"]),
            };
            issued.keys.insert(text(key, "id"), made);
        }
        for client in list(file, "clients") {
            let made = Client {
                name: text(client, "name"),
                secret: Secret(text(client, "digest")),
                grants: texts(client, "grants"),
                redirects: texts(client, "redirects"),
                user: text(client, "user"),
                created: time(&client["created"]),
            };
            issued.clients.insert(text(client, "id"), made);
        }
        for login in list(file, "logins") {
            let made = Login {
                client: text(login, "client"),
                user: text(login, "user"),
                turn: login["turn"].as_u64().ok_or("has a login that is not whole")?,
                created: time(&login["created"]),
                used: time(&login["used"]),
            };
            issued.logins.insert(text(login, "id"), made);
        }
        for (digest, until) in file["revoked"].as_object().into_iter().flatten() {
            issued.revoked.insert(digest.clone(), Time::from_secs(until.as_u64().unwrap_or(0)));
        }
        Ok(issued)
    }
}

fn list<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    file[name].as_array().map_or(&[], Vec::as_slice)
}

fn texts(of: &Value, name: &str) -> Vec<String> {
    list(of, name).iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn filter(of: &Value) -> Result<String, String> {
    let filter = text(of, "filter");
    check_filter(&filter).map_err(|_| "has a token or key with a filter that is none".to_owned())?;
    Ok(filter)
}

/// What comes most often.
pub(super) fn most_frequent<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut counts: SmallMap<&str, usize> = SmallMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_and_not_shown() {
        let secret = Secret::of("abc");
        assert!(secret.is("abc") && !secret.is("abd") && !secret.is(""));
        assert!(!secret.as_str().contains("abc"));
        assert!(!Secret::default().is(""), "where there is none nothing opens it");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let made = Time::from_secs(1_700_000_000);
        let mut issued = Issued::default();
        let token = Token { secret: Secret::of("s"), privsep: true, created: made, ..Token::default() };
        issued.tokens.insert(("a".into(), "t".into()), token);
        let key = ApiKey { user: "a".into(), secret: Secret::of("k"), created: made, ..ApiKey::default() };
        issued.keys.insert("k1".into(), key);
        let client = Client {
            grants: vec!["password".into()],
            redirects: vec!["https://a/".into()],
            created: made,
            ..Client::default()
        };
        issued.clients.insert("c".into(), client);
        issued.add_login("l".into(), Login { turn: 3, created: made, used: made, ..Login::default() });
        issued.revoked.insert("d".into(), made);
        assert_eq!(Issued::parse(&Value::Object(issued.to_json())), Ok(issued));
    }

    #[test]
    fn a_client_stands_for_nobody_whose_user_is_gone() {
        let mut issued = Issued::default();
        let client = |user: &str, grants: &[&str]| Client {
            user: user.into(),
            grants: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            ..Client::default()
        };
        issued.clients.insert("both".into(), client("alice", &["client_credentials", "password"]));
        issued.clients.insert("alone".into(), client("alice", &["client_credentials"]));
        issued.clients.insert("bob's".into(), client("bob", &["client_credentials"]));
        issued.add_login("l".into(), Login { client: "alone".into(), user: "bob".into(), ..Login::default() });
        issued.add_login("m".into(), Login { client: "both".into(), user: "bob".into(), ..Login::default() });
        issued.forget_user("alice");
        assert_eq!(issued.clients.keys().collect::<Vec<_>>(), ["bob's", "both"]);
        assert_eq!(issued.clients["both"], client("", &["password"]));
        assert_eq!(issued.logins.keys().collect::<Vec<_>>(), ["m"]);
    }

    #[test]
    fn at_the_ceiling_nobody_ends_the_logins_of_others() {
        let mut issued = Issued::default();
        let login = |user: &str, used| Login { user: user.into(), used: Time::from_secs(used), ..Login::default() };
        issued.add_login("bob's".into(), login("bob", 0));
        for n in 1..=MOST_LOGINS as u64 {
            issued.add_login(n.to_string(), login("alice", n));
        }
        assert_eq!(issued.logins.len(), MOST_LOGINS);
        assert!(issued.logins.contains_key("bob's") && !issued.logins.contains_key("1"));
    }

    #[test]
    fn at_the_ceiling_the_login_used_longest_ago_ends() {
        let mut issued = Issued::default();
        for n in 0..=MOST_LOGINS as u64 {
            issued.add_login(n.to_string(), Login { used: Time::from_secs(1_000 - n), ..Login::default() });
        }
        assert_eq!(issued.logins.len(), MOST_LOGINS);
        assert!(!issued.logins.contains_key(&(MOST_LOGINS - 1).to_string()), "the last but one had the earliest use");
    }
}
