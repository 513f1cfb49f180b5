//! The users' file: `users.json`, small, replaced atomically. Users, roles of one's own, access control list, partitions.
//!
//! Format 2; format 1, which knew administrators alone, is read too. What the file says and this program does not
//! understand makes it unreadable as a whole: half of a list of rights would be another list.

use crate::base::SmallMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::issued::Issued;
use super::privileges::{self, NO_ACCESS, Privileges, built_in};
use super::rights::{Grants, Rights};
use super::trial::Trial;
use crate::base::disk::{Disk, read_all};
use crate::base::{self, Time};
use crate::filter::Filter;

/// The file, relative to the data folder.
pub const FILE: &str = "users.json";

/// The format we write, and the newest we read.
const FORMAT: u64 = 2;

/// Most users.
pub const MOST_USERS: usize = 256;
/// Most roles of one's own.
pub const MOST_ROLES: usize = 64;
/// Most entries of the access control list.
pub const MOST_ENTRIES: usize = 1_024;
/// Most partitions besides 0.
pub const MOST_PARTITIONS: usize = 64;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// A UUID, for systems that name users by one.
    pub id: String,
    /// Argon2id, PHC string form; empty where no password opens the account.
    pub hash: String,
    /// Whether they may come in.
    pub enabled: bool,
    /// From when on they may not come in; never where it is [`Time::ZERO`].
    pub expire: Time,
    /// Only flows that match are seen; empty for all.
    pub filter: String,
    /// The partition (CID); 0 is all of them.
    pub partition: u32,
    /// What people say about them: comment, email, first and last name.
    pub about: About,
    /// When the user was made.
    pub created: Time,
    /// When the user last changed.
    pub changed: Time,
    /// Signed credentials from before count for nothing.
    pub valid_from: Time,
    /// When they last proved who they are by their password; written with the next change, or within an hour.
    pub last_login: Time,
    /// Counts changes in this run, from 1; a login that began before a change does not end after it.
    pub generation: u64,
}

/// What people say about a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct About {
    pub comment: String,
    pub email: String,
    pub firstname: String,
    pub lastname: String,
}

impl User {
    /// Whether they may come in at that time.
    #[must_use]
    pub fn is_welcome(&self, now: Time) -> bool {
        self.enabled && (self.expire == Time::ZERO || now < self.expire)
    }
}

/// One entry of the access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// A normal path.
    pub path: String,
    /// The user.
    pub user: String,
    /// A token of the user, where the entry is not the user's own.
    pub token: Option<String>,
    /// The role that is given.
    pub role: String,
    /// Whether it counts below the path too.
    pub propagate: bool,
}

/// A partition: a box within the box, with users and flows of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// Which flows it holds; where empty, those whose CID is its number.
    pub filter: String,
    /// The netblocks that `INT` means.
    pub internal: Vec<String>,
    /// Addresses and netblocks of the exporters whose flows are its own.
    pub exporters: Vec<String>,
}

/// All users and what they may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// The users by name.
    pub by_name: SmallMap<String, User>,
    /// Roles of one's own.
    pub roles: SmallMap<String, Privileges>,
    /// The access control list.
    pub acl: Vec<Entry>,
    /// The partitions by CID; 0 is always there and not listed.
    pub partitions: SmallMap<u32, Partition>,
    /// What users were given to come in with and keep for long.
    pub issued: Issued,
    /// A change that is in force and not in the file yet.
    pub(super) trial: Option<Box<Trial>>,
    /// The last one that was not confirmed, in one line.
    pub(super) rolled_back: Option<String>,
    /// How many there were.
    pub(super) changes: u64,
}

impl Users {
    /// Reads the file; no file is no users.
    ///
    /// # Errors
    /// What is wrong with it. It must not be taken for an empty list: that would let a stranger set the box up anew.
    pub fn load(disk: &dyn Disk) -> Result<Self, String> {
        match read_all(disk, Path::new(FILE)) {
            Ok(None) => Ok(Self::default()),
            Ok(Some(bytes)) => Self::parse(&bytes).map_err(|why| format!("{FILE}: {why}")),
            Err(error) => Err(format!("{FILE}: {error}")),
        }
    }

    /// The user of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&User> {
        self.by_name.get(name)
    }

    /// The privileges of a role.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Privileges> {
        built_in(name).or_else(|| self.roles.get(name).copied())
    }

    /// What the entries of a user, or of one of their tokens, grant.
    #[must_use]
    pub fn grants(&self, user: &str, token: Option<&str>) -> Grants {
        let of = |entry: &&Entry| entry.user == user && entry.token.as_deref() == token;
        let mut grants = Grants::default();
        let entries = || self.acl.iter().filter(of);
        // What forbids comes last: nothing else at its level counts beside it.
        for entry in entries().filter(|e| e.role != NO_ACCESS).chain(entries().filter(|e| e.role == NO_ACCESS)) {
            let privileges = self.role(&entry.role).unwrap_or_default();
            grants.add(&entry.path, privileges, entry.propagate, entry.role == NO_ACCESS);
        }
        grants
    }

    /// What a user may do and see, within one more filter where that is not empty.
    #[must_use]
    pub fn rights(&self, name: &str, also: &str) -> Rights {
        let Some(user) = self.find(name) else { return Rights::default() };
        let limits = [&self.partition_filter(user.partition), &user.filter, also];
        let has_own_filter = !user.filter.is_empty() || !also.is_empty();
        Rights::new(self.grants(name, None), joined(&limits), user.partition).with_own_filter(has_own_filter)
    }

    /// What a user may do and see by one of their tokens.
    #[must_use]
    pub fn token_rights(&self, name: &str, id: &str) -> Rights {
        let Some(token) = self.issued.token(name, id) else { return Rights::default() };
        let rights = self.rights(name, &token.filter);
        if token.privsep { rights.within(self.grants(name, Some(id))) } else { rights }
    }

    /// Removes a user and all that is theirs.
    pub fn remove(&mut self, name: &str) -> Option<User> {
        self.acl.retain(|entry| entry.user != name);
        self.issued.forget_user(name);
        self.by_name.remove(name)
    }

    /// Takes in when users last logged in where others know of later logins.
    pub(super) fn take_logins(&mut self, others: &Self) {
        for (name, user) in self.by_name.iter_mut() {
            if let Some(other) = others.find(name).filter(|other| other.id == user.id) {
                user.last_login = user.last_login.max(other.last_login);
            }
        }
    }

    /// Ends all tickets of a user.
    pub fn end_tickets(&mut self, name: &str, now: Time) {
        if let Some(user) = self.by_name.get_mut(name) {
            // Never the same again, whatever the clock does: it is part of what is signed.
            user.valid_from = now.max(user.valid_from + Duration::from_micros(1));
        }
    }

    /// Ends what was signed for a user: tickets, and logins by OAuth clients.
    pub fn end_signed(&mut self, name: &str, now: Time) {
        self.issued.end_logins(name);
        self.end_tickets(name, now);
    }

    /// Which flows a partition holds; empty for all.
    fn partition_filter(&self, cid: u32) -> String {
        match self.partitions.get(&cid) {
            Some(partition) if !partition.filter.is_empty() => partition.filter.clone(),
            _ if cid == 0 => String::new(),
            _ => format!("CID == {cid}"),
        }
    }

    /// The roles that a user has everywhere.
    pub fn roles_of(&self, name: &str) -> impl Iterator<Item = &str> {
        let everywhere = move |entry: &&Entry| entry.user == name && entry.token.is_none() && entry.path == "/";
        self.acl.iter().filter(everywhere).map(|entry| entry.role.as_str())
    }

    /// Whether a user may do everything, and comes in whenever they like.
    #[must_use]
    pub fn is_administrator(&self, name: &str) -> bool {
        let lasting = |user: &User| user.enabled && user.expire == Time::ZERO && !user.hash.is_empty();
        let grants = self.grants(name, None);
        // What puts everything right again must not be taken away further down.
        let everywhere = ["/", "/access/users", "/access/acl", "/access/roles"];
        self.find(name).is_some_and(lasting) && everywhere.iter().all(|path| grants.at(path).administers())
    }

    /// Whether someone may do everything.
    #[must_use]
    pub fn has_administrator(&self) -> bool {
        self.by_name.keys().any(|name| self.is_administrator(name))
    }

    /// A user to change, marked as changed.
    pub fn edit(&mut self, name: &str, now: Time) -> Option<&mut User> {
        self.changes += 1;
        let user = self.by_name.get_mut(name)?;
        (user.changed, user.generation) = (now, self.changes);
        Some(user)
    }

    /// Makes a user, or finds them to change.
    ///
    /// # Errors
    /// That the operating system gives no random numbers.
    pub fn add(&mut self, name: &str, now: Time) -> std::io::Result<&mut User> {
        self.changes += 1;
        let id = uuid(random()?);
        let generation = self.changes;
        let user = self.by_name.entry(name.to_owned()).or_insert_with(|| User {
            id,
            enabled: true,
            created: now,
            ..User::default()
        });
        (user.changed, user.generation) = (now, generation);
        Ok(user)
    }

    /// Gives a user a role everywhere.
    pub fn grant(&mut self, name: &str, role: &str) {
        let (user, role) = (name.to_owned(), role.to_owned());
        let entry = Entry { path: "/".to_owned(), user, token: None, role, propagate: true };
        if !self.acl.contains(&entry) {
            self.acl.push(entry);
        }
    }

    /// Makes a user administrator with that password, whatever was said about them before.
    ///
    /// # Errors
    /// That the operating system gives no random numbers.
    pub fn rescue(&mut self, name: &str, hash: String, now: Time) -> std::io::Result<()> {
        let user = self.add(name, now)?;
        (user.hash, user.enabled, user.expire) = (hash, true, Time::ZERO);
        self.end_signed(name, now);
        self.acl.retain(|entry| entry.user != name || entry.token.is_some());
        self.grant(name, privileges::ADMINISTRATOR);
        // Whoever is here has lost their way already: nothing of this may go back.
        self.trial = None;
        Ok(())
    }

    /// The file's content: without what is tried out, but for a note of it.
    #[must_use]
    pub fn to_text(&self) -> String {
        if let Some(trial) = &self.trial {
            return self.without_trial().to_text_with(Some(&trial.to_string()));
        }
        self.to_text_with(None)
    }

    fn to_text_with(&self, tried: Option<&str>) -> String {
        let users = self.by_name.iter().map(|(name, user)| (name.clone(), user.to_json()));
        let roles = self.roles.iter().map(|(name, p)| (name.clone(), json!(p.names().collect::<Vec<_>>())));
        let partitions = self.partitions.iter().map(|(cid, partition)| {
            let Partition { name, filter, internal, exporters } = partition;
            let entry = json!({ "name": name, "filter": filter, "internal": internal, "exporters": exporters });
            (cid.to_string(), entry)
        });
        let mut file = json!({
            "format": FORMAT,
            "users": users.collect::<Map<_, _>>(),
            "roles": roles.collect::<Map<_, _>>(),
            "acl": self.acl.iter().map(Entry::to_json).collect::<Vec<_>>(),
            "partitions": partitions.collect::<Map<_, _>>(),
        });
        if let Value::Object(file) = &mut file {
            file.extend(self.issued.to_json());
            file.extend(tried.map(|what| ("tried".to_owned(), json!(what))));
        }
        format!("{file:#}\n")
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let mut users = Self { changes: 1, ..Self::default() };
        match file["format"].as_u64().ok_or("has no format number")? {
            1 => users.read_first_format(&file)?,
            FORMAT => users.read(&file)?,
            format => return Err(format!("has format {format}, newer than this program's {FORMAT}")),
        }
        let tried = file["tried"].as_str();
        users.rolled_back = tried
            .map(|what| format!("{what} was rolled back: weir ended before somebody showed that they get in still"));
        Ok(users)
    }

    fn read_first_format(&mut self, file: &Value) -> Result<(), String> {
        for (name, user) in file["users"].as_object().ok_or("has no users")? {
            let text = |key: &str| user[key].as_str().ok_or(format!("user '{name}' has no {key}"));
            let role = text("role")?;
            if role != "administrator" {
                return Err(format!("user '{name}' has a role that is not known: '{role}'"));
            }
            let (hash, changed) = (text("hash")?.to_owned(), time(&user["changed"]));
            // There was no id; one that is the same at each start until the file is written anew.
            let mut octets = [0; 16];
            octets.copy_from_slice(&super::digest::plain(name.as_bytes())[..16]);
            let id = uuid(octets);
            let made = User { id, hash, enabled: true, changed, created: changed, generation: 1, ..User::default() };
            self.by_name.insert(name.clone(), made);
            self.grant(name, privileges::ADMINISTRATOR);
        }
        Ok(())
    }

    fn read(&mut self, file: &Value) -> Result<(), String> {
        for (name, role) in file["roles"].as_object().ok_or("has no roles")? {
            let names = role.as_array().ok_or(format!("role '{name}' has no privileges"))?;
            let names = names.iter().map(|name| name.as_str().unwrap_or_default());
            let privileges = Privileges::of(names).ok_or(format!("role '{name}' has a privilege that is not known"))?;
            self.roles.insert(name.clone(), privileges);
        }
        for (cid, partition) in file["partitions"].as_object().ok_or("has no partitions")? {
            let number: u32 = cid.parse().map_err(|_| format!("partition '{cid}' is no number"))?;
            let (name, filter) = (text(partition, "name"), text(partition, "filter"));
            let blocks = |key: &str| {
                let all = partition[key].as_array().map_or(&[][..], Vec::as_slice);
                all.iter().filter_map(|block| Some(block.as_str()?.to_owned())).collect()
            };
            let (internal, exporters) = (blocks("internal"), blocks("exporters"));
            check_filter(&filter).map_err(|why| format!("partition {cid}: {why}"))?;
            self.partitions.insert(number, Partition { name, filter, internal, exporters });
        }
        for (name, user) in file["users"].as_object().ok_or("has no users")? {
            self.by_name.insert(name.clone(), User::parse(user).map_err(|why| format!("user '{name}' {why}"))?);
        }
        for entry in file["acl"].as_array().ok_or("has no access control list")? {
            let entry = Entry::parse(entry).ok_or("has an entry of the access control list that is not whole")?;
            if self.role(&entry.role).is_none() {
                return Err(format!("gives a role that is not known: '{}'", entry.role));
            }
            self.acl.push(entry);
        }
        self.issued = Issued::parse(file)?;
        Ok(())
    }
}

impl User {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "hash": self.hash, "enabled": self.enabled, "expire": self.expire.secs(),
            "filter": self.filter, "partition": self.partition, "comment": self.about.comment,
            "email": self.about.email, "firstname": self.about.firstname, "lastname": self.about.lastname,
            "created": self.created.to_string(), "changed": self.changed.to_string(),
            "valid_from": self.valid_from.to_string(), "last_login": self.last_login.to_string(),
        })
    }

    fn parse(user: &Value) -> Result<Self, &'static str> {
        let filter = text(user, "filter");
        check_filter(&filter).map_err(|_| "has a filter that is none")?;
        let about = About {
            comment: text(user, "comment"),
            email: text(user, "email"),
            firstname: text(user, "firstname"),
            lastname: text(user, "lastname"),
        };
        Ok(Self {
            id: user["id"].as_str().ok_or("has no id")?.to_owned(),
            hash: user["hash"].as_str().ok_or("has no hash")?.to_owned(),
            enabled: user["enabled"].as_bool().ok_or("is neither enabled nor disabled")?,
            expire: Time::from_secs(user["expire"].as_u64().unwrap_or(0)),
            filter,
            partition: user["partition"].as_u64().and_then(|cid| cid.try_into().ok()).ok_or("has no partition")?,
            about,
            created: time(&user["created"]),
            changed: time(&user["changed"]),
            valid_from: time(&user["valid_from"]),
            last_login: time(&user["last_login"]),
            generation: 1,
        })
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        json!({
            "path": self.path, "user": self.user, "token": self.token, "role": self.role, "propagate": self.propagate,
        })
    }

    fn parse(entry: &Value) -> Option<Self> {
        Some(Self {
            path: super::rights::normal_path(entry["path"].as_str()?).ok()?,
            user: entry["user"].as_str()?.to_owned(),
            token: entry["token"].as_str().map(str::to_owned),
            role: entry["role"].as_str()?.to_owned(),
            propagate: entry["propagate"].as_bool()?,
        })
    }
}

/// Whether a text is a filter; nothing is one.
///
/// # Errors
/// What is wrong, for the one who wrote it.
pub fn check_filter(filter: &str) -> Result<(), String> {
    Filter::parse(filter).map(drop).map_err(|error| error.message)
}

/// All of some filters; none where all are empty.
fn joined(filters: &[&str]) -> Option<Filter> {
    let parts: Vec<String> = filters.iter().filter(|f| !f.trim().is_empty()).map(|f| format!("({f})")).collect();
    if parts.is_empty() {
        return None;
    }
    // Each was a filter when it was stored. Where together they are too long for one, nothing is seen rather than too much.
    let parsed = Filter::parse(&parts.join(" && "));
    Some(parsed.unwrap_or_else(|_| Filter::nothing()))
}

pub(super) fn text(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}

pub(super) fn time(value: &Value) -> Time {
    value.as_str().and_then(crate::schema::format::moment).unwrap_or(Time::ZERO)
}

/// Sixteen random octets.
pub(super) fn random() -> std::io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A UUID of version 4 (RFC 9562, section 5.4) made of sixteen octets.
pub(super) fn uuid(bytes: [u8; 16]) -> String {
    base::uuid(bytes, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_right_says_why() {
        let cases = [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{}", "has no format number"),
            (r#"{"format":3}"#, "has format 3, newer than this program's 2"),
            (r#"{"format":1}"#, "has no users"),
            (r#"{"format":1,"users":{"a":{}}}"#, "user 'a' has no role"),
            (r#"{"format":1,"users":{"a":{"role":"king"}}}"#, "user 'a' has a role that is not known: 'king'"),
            (r#"{"format":1,"users":{"a":{"role":"administrator"}}}"#, "user 'a' has no hash"),
            (r#"{"format":2,"roles":{"a":["Sys.Nothing"]}}"#, "role 'a' has a privilege that is not known"),
            (r#"{"format":2,"roles":{},"partitions":{"x":{}}}"#, "partition 'x' is no number"),
            (r#"{"format":2,"roles":{},"partitions":{},"users":{"a":{}}}"#, "user 'a' has no id"),
            (
                r#"{"format":2,"roles":{},"partitions":{},"users":{"a":{"filter":"=="}}}"#,
                "user 'a' has a filter that is none",
            ),
            (
                r#"{"format":2,"roles":{},"partitions":{},"users":{},"acl":[{}]}"#,
                "has an entry of the access control list that is not whole",
            ),
            (
                r#"{"format":2,"roles":{},"partitions":{},"users":{},
                   "acl":[{"path":"/","user":"a","role":"king","propagate":true}]}"#,
                "gives a role that is not known: 'king'",
            ),
        ];
        for (file, why) in cases {
            assert_eq!(Users::parse(file.as_bytes()), Err(why.to_owned()), "{file}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut users = Users { changes: 1, ..Users::default() };
        users.roles.insert("reader".to_owned(), Privileges::of(["Flows.Read"]).unwrap());
        users.partitions.insert(
            7,
            Partition {
                name: "guests".to_owned(),
                filter: "ADDR == 10.0.0.0/8".to_owned(),
                internal: vec!["10.0.0.0/8".to_owned()],
                exporters: vec!["192.0.2.1".to_owned()],
            },
        );
        users.grant("alice", "reader");
        let made = Time::from_secs(1_700_000_000);
        let alice = User {
            id: uuid([7; 16]),
            hash: "h".to_owned(),
            expire: Time::from_secs(1_800_000_000),
            filter: "SRVPORT == 443".to_owned(),
            partition: 7,
            about: About { comment: "c".to_owned(), email: "e".to_owned(), ..About::default() },
            created: made,
            changed: made,
            generation: 1,
            ..User::default()
        };
        users.by_name.insert("alice".to_owned(), alice);
        assert_eq!(Users::parse(users.to_text().as_bytes()), Ok(users));
    }

    #[test]
    fn the_administrator_of_format_1_is_one_still() {
        let file =
            r#"{"format":1,"users":{"admin":{"role":"administrator","hash":"h","changed":"2026-01-01T00:00:00Z"}}}"#;
        let users = Users::parse(file.as_bytes()).unwrap();
        assert!(users.is_administrator("admin") && users.has_administrator());
        assert_eq!(users.roles_of("admin").collect::<Vec<_>>(), ["Administrator"]);
        assert_eq!(users.find("admin").unwrap().id, Users::parse(file.as_bytes()).unwrap().find("admin").unwrap().id);
    }

    #[test]
    fn an_administrator_is_one_who_comes_in_and_is_let_everywhere() {
        let mut users = Users::default();
        users.add("a", Time::ZERO).unwrap().hash = "h".to_owned();
        assert!(!users.has_administrator());
        users.grant("a", "Administrator");
        assert!(users.has_administrator());
        for spoil in [
            |user: &mut User| user.enabled = false,
            |user: &mut User| user.hash.clear(),
            |user: &mut User| user.expire = Time::from_secs(9_999_999_999),
        ] {
            let mut users = users.clone();
            spoil(users.edit("a", Time::ZERO).unwrap());
            assert!(!users.has_administrator());
        }
        let mut entry = users.acl[0].clone();
        (entry.path, entry.role) = ("/access".to_owned(), "NoAccess".to_owned());
        users.acl.push(entry);
        assert!(!users.has_administrator());
    }

    #[test]
    fn a_user_sees_what_all_filters_let_through() {
        let mut users = Users::default();
        users.add("a", Time::ZERO).unwrap();
        assert_eq!(users.rights("a", "").filter(), None);
        users.edit("a", Time::ZERO).unwrap().partition = 7;
        let filter = |users: &Users| users.rights("a", "").filter().unwrap().to_string();
        assert_eq!(filter(&users), Filter::parse("CID == 7").unwrap().to_string());
        users.edit("a", Time::ZERO).unwrap().filter = "SRVPORT == 1 || SRVPORT == 2".to_owned();
        users.partitions.insert(7, Partition { filter: "CLNPORT == 3".to_owned(), ..Partition::default() });
        let both = Filter::parse("CLNPORT == 3 && (SRVPORT == 1 || SRVPORT == 2)").unwrap();
        assert_eq!(users.rights("a", "").filter(), Some(&both));
        users.edit("a", Time::ZERO).unwrap().filter = format!("SRVPORT == 1{}", " ".repeat(16_370));
        assert_eq!(filter(&users), "PROTO < 0", "too long together");
    }
}
