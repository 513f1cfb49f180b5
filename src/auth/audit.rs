//! The audit log: who, from where, by what, what, before and after; every refusal and every change; never a secret.
//!
//! One JSON object a line. Changes go to `audit.jsonl`; logins and refusals, which everybody can make as many of as they like,
//! to `logins.jsonl`, so that they cannot wash out who changed what. A full file becomes `audit.1.jsonl` or `logins.1.jsonl` in
//! place of the one before, so that there are at most four of [`FULL`] octets. The same lines go to the log, target `audit`. Of
//! refusals at most 20 a second are written; how many were left out is said. A line that a power cut tore is left out when
//! it is read. Lines are written without waiting for the device; changes are synced about once a second.

use std::cmp::Reverse;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::From;
use crate::base::Time;
use crate::base::disk::{Disk, File, read_whole};
use crate::schema::format::moment;

/// Refusals a second.
const CEILING: u32 = 20;

/// The files that are written to, relative to the data folder: of changes, and of logins and refusals.
pub(super) const FILES: [&str; 2] = ["audit.jsonl", "logins.jsonl"];

/// What they become when they are full.
const FULL_FILES: [&str; 2] = ["audit.1.jsonl", "logins.1.jsonl"];

/// The operations that log in; every use of them is a change, but none that somebody looks for after months.
const LOGINS: &[&str] = &["sessionkey", "ticket", "oauth.login", "oauth.token"];

/// Octets of a full file.
const FULL: u64 = 256 * 1024;

/// The longest line, in octets: of what is longer, before and after are left out.
const LONGEST: usize = 16 * 1024;

/// A change that someone made.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Who.
    pub user: &'a str,
    /// By what means they came in.
    pub means: &'a str,
    /// From where.
    pub from: From,
    /// The operation's name.
    pub operation: &'a str,
    /// What was changed.
    pub target: &'a str,
    /// As it was; `null` where there was nothing.
    pub before: &'a Value,
    /// As it is; `null` where there is nothing any more.
    pub after: &'a Value,
}

/// Which lines are wanted.
#[derive(Debug, Clone)]
pub struct Search {
    /// From then on.
    pub from: Time,
    /// Until then.
    pub to: Time,
    /// Of this user alone.
    pub user: Option<String>,
    /// So many, the latest.
    pub limit: usize,
}

/// The log.
#[derive(Debug)]
pub(super) struct Audit {
    changes: Lines,
    logins: Lines,
    second: u64,
    written: u32,
    left_out: u64,
}

/// Lines of one kind: a file, and the full one before it.
#[derive(Debug)]
struct Lines {
    disk: Arc<dyn Disk>,
    name: &'static str,
    full_name: &'static str,
    /// None where it cannot be written to.
    file: Option<Arc<dyn File>>,
    length: u64,
    is_unsynced: bool,
}

impl Audit {
    /// Goes on with the files.
    pub(super) fn open(disk: &Arc<dyn Disk>) -> Self {
        let [changes, logins] = [0, 1].map(|kind| Lines::open(Arc::clone(disk), FILES[kind], FULL_FILES[kind]));
        Self { changes, logins, second: 0, written: 0, left_out: 0 }
    }

    /// Writes that someone was not let in, or may not do something; or counts that the line was left out.
    pub(super) fn refused(&mut self, now: Time, from: From, user: &str, operation: &str, why: &dyn fmt::Debug) {
        if !self.admits(now) {
            return;
        }
        let user = shortened(user);
        let what = if operation.is_empty() { String::new() } else { format!(": may not {operation}") };
        log::info!(target: "audit", "refused: user {user:?} from {from}: {why:?}{what}");
        self.logins.write(&json!({
            "time": now.to_string(), "user": user, "means": "", "from": from.to_string(), "operation": operation,
            "target": "", "outcome": format!("refused: {why:?}"), "before": null, "after": null,
        }));
    }

    /// Writes that something was changed; what is secret is masked.
    pub(super) fn change(&mut self, now: Time, change: &Change<'_>) {
        let Change { user, means, from, operation, target, before, after } = change;
        let (before, after) = (masked(before), masked(after));
        log::info!(
            target: "audit",
            "changed: user {user:?} by {means} from {from}: {operation} {target}: {before} -> {after}"
        );
        let mut line = json!({
            "time": now.to_string(), "user": user, "means": means, "from": from.to_string(), "operation": operation,
            "target": target, "outcome": "done", "before": before, "after": after,
        });
        if line.to_string().len() > LONGEST {
            (line["before"], line["after"]) = (Value::from("too long"), Value::from("too long"));
        }
        if LOGINS.contains(operation) {
            self.logins.write(&line);
        } else {
            self.changes.write(&line);
        }
    }

    /// What to sync so that the changes so far survive a power cut. Logins and refusals are left to the system: a stranger could
    /// wear out the flash.
    pub(super) fn take_sync(&mut self) -> Option<Arc<dyn File>> {
        std::mem::take(&mut self.changes.is_unsynced).then(|| self.changes.file.clone()).flatten()
    }

    /// Begins a search: what is there now is what is searched. The work reads up to a megabyte, which is not for the thread that
    /// captures; it gives the latest lines that are wanted, the latest first.
    pub(super) fn search(
        &self,
        search: Search,
    ) -> io::Result<impl FnOnce() -> io::Result<Vec<Value>> + Send + 'static + use<>> {
        let kinds = [self.changes.files()?, self.logins.files()?];
        Ok(move || {
            let mut found = Vec::new();
            for files in &kinds {
                found.extend(find(files, &search)?);
            }
            found.sort_by_key(|(time, _)| Reverse(*time));
            Ok(found.into_iter().take(search.limit).map(|(_, line)| line).collect())
        })
    }

    fn admits(&mut self, now: Time) -> bool {
        if now.secs() != self.second {
            if self.left_out > 0 {
                log::warn!(target: "audit", "{} lines left out: more than {CEILING} in a second", self.left_out);
                self.logins.write(&json!({
                    "time": now.to_string(), "user": "-", "means": "", "from": "", "operation": "", "target": "",
                    "outcome": format!("{} refusals left out", self.left_out), "before": null, "after": null,
                }));
            }
            (self.second, self.written, self.left_out) = (now.secs(), 0, 0);
        }
        if self.written == CEILING {
            self.left_out += 1;
            return false;
        }
        self.written += 1;
        true
    }
}

impl Lines {
    fn open(disk: Arc<dyn Disk>, name: &'static str, full_name: &'static str) -> Self {
        let mut lines = Self { disk, name, full_name, file: None, length: 0, is_unsynced: false };
        lines.open_file();
        lines
    }

    fn open_file(&mut self) {
        let opened = self.disk.open(Path::new(self.name), true).and_then(|file| {
            let length = file.len()?;
            // A power cut may have torn the last line: what comes next begins one of its own.
            if length > 0 {
                file.write_at(b"\n", length)?;
            }
            Ok((if length > 0 { length + 1 } else { 0 }, file))
        });
        match opened {
            Ok((length, file)) => (self.length, self.file) = (length, Some(file)),
            Err(error) => {
                log::error!("audit: {}: {error}; lines go to the log alone", self.name);
                self.file = None;
            }
        }
    }

    fn write(&mut self, line: &Value) {
        let line = format!("{line}\n");
        if self.length > 0 && self.length + line.len() as u64 > FULL {
            if let Err(error) = self.disk.rename(Path::new(self.name), Path::new(self.full_name)) {
                log::error!("audit: the full file cannot be put aside: {error}");
                return;
            }
            self.open_file();
        }
        let Some(file) = &self.file else { return };
        match file.write_at(line.as_bytes(), self.length) {
            Ok(()) => (self.length, self.is_unsynced) = (self.length + line.len() as u64, true),
            Err(error) => log::error!("audit: a line cannot be written: {error}"),
        }
    }

    /// The files that there are, the newer first.
    fn files(&self) -> io::Result<Vec<Arc<dyn File>>> {
        let mut files = Vec::new();
        for name in [self.name, self.full_name] {
            match self.disk.open(Path::new(name), false) {
                Ok(file) => files.push(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }
}

/// The latest lines of one kind that are wanted with their times, the latest first.
fn find(files: &[Arc<dyn File>], search: &Search) -> io::Result<Vec<(Time, Value)>> {
    let mut found = Vec::new();
    // Parsing is what takes time: most lines are of others.
    let name = search.user.as_ref().map(|user| Value::from(user.as_str()).to_string());
    for file in files {
        let bytes = read_whole(&**file)?;
        for line in bytes.split(|b| *b == b'\n').rev() {
            if found.len() >= search.limit {
                return Ok(found);
            }
            let Ok(line) = str::from_utf8(line) else { continue };
            if name.as_ref().is_some_and(|name| !line.contains(name.as_str())) {
                continue;
            }
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let time = line["time"].as_str().and_then(moment).unwrap_or(Time::ZERO);
            let is_theirs = search.user.as_ref().is_none_or(|user| line["user"] == user.as_str());
            if is_theirs && (search.from..search.to).contains(&time) {
                found.push((time, line));
            }
        }
    }
    Ok(found)
}

/// A name as a stranger sent it, cut to what a line bears.
fn shortened(user: &str) -> &str {
    user.char_indices().nth(64).map_or(user, |(at, _)| &user[..at])
}

/// Words in the names of properties whose values are secret.
const SECRET: &[&str] = &["password", "secret", "private"];
/// Words at the end of such names: a `tokenid` is none, nor is what `keys` counts.
const SECRET_AT_END: &[&str] = &["key", "hash", "token", "csrf", "digest"];

/// A value with what is secret replaced by stars.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(properties) => {
            let mask = |(name, value): (&String, &Value)| {
                let hide = is_secret(name) && !matches!(value, Value::Null | Value::Bool(_));
                (name.clone(), if hide { Value::from("***") } else { masked(value) })
            };
            Value::Object(properties.iter().map(mask).collect())
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        other => other.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word)) || SECRET_AT_END.iter().any(|word| name.ends_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::disk::sim::SimDisk;

    fn audit() -> (Audit, Arc<dyn Disk>) {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        (Audit::open(&disk), disk)
    }

    fn change<'a>(user: &'a str, target: &'a str, after: &'a Value) -> Change<'a> {
        let (means, from) = ("password", From::Local(0));
        Change { user, means, from, operation: "users.set", target, before: &Value::Null, after }
    }

    const ALL: Search = Search { from: Time::ZERO, to: Time::MAX, user: None, limit: usize::MAX };

    fn found(audit: &Audit, search: Search) -> Vec<Value> {
        audit.search(search).unwrap()().unwrap()
    }

    #[test]
    fn a_search_finds_what_was_there_when_it_began_whatever_is_written_meanwhile() {
        let (mut audit, _) = audit();
        audit.change(Time::ZERO, &change("a", "first", &Value::Null));
        let search = audit.search(ALL).unwrap();
        let long = Value::from("x".repeat(LONGEST - 1_024));
        for n in 1..=20 {
            audit.change(Time::from_secs(n), &change("a", "meanwhile", &long));
        }
        let lines = std::thread::scope(|scope| scope.spawn(search).join()).unwrap().unwrap();
        assert_eq!(lines.last().unwrap()["target"], "first", "also where the file became the full one");
        assert!(lines.len() < 21);
    }

    #[test]
    fn the_ceiling_of_refusals_holds_within_a_second_and_lifts_with_the_next() {
        let (mut audit, _) = audit();
        for _ in 0..25 {
            audit.refused(Time::from_secs(1), From::Local(7), "x", "", &"Wrong");
        }
        audit.change(Time::from_secs(1), &change("a", "t", &Value::Null));
        audit.refused(Time::from_secs(2), From::Local(7), "x", "", &"Wrong");
        let lines = found(&audit, ALL);
        assert_eq!(lines.len(), 20 + 1 + 1 + 1, "changes are never left out");
        assert_eq!(lines[1]["outcome"], "5 refusals left out");
    }

    #[test]
    fn what_is_secret_is_masked_at_any_depth() {
        let value = json!({ "name": "a", "Password": "p", "list": [{ "client_secret": "s", "n": 1 }], "keys": 3 });
        let stars = json!({ "name": "a", "Password": "***", "list": [{ "client_secret": "***", "n": 1 }], "keys": 3 });
        assert_eq!(masked(&value), stars);
        let names =
            json!({ "tokenid": "t1", "full-tokenid": "a@weir!t1", "keys": "a list", "passwords": ["p"], "key": 7 });
        let stars =
            json!({ "tokenid": "t1", "full-tokenid": "a@weir!t1", "keys": "a list", "passwords": "***", "key": "***" });
        assert_eq!(masked(&names), stars, "a name is no secret, and a secret may be no text");
    }

    #[test]
    fn lines_are_found_by_time_and_user_the_latest_first() {
        let (mut audit, disk) = audit();
        for n in 0..10 {
            audit.change(Time::from_secs(n), &change(if n % 2 == 0 { "a" } else { "b" }, &n.to_string(), &Value::Null));
        }
        let targets = |audit: &Audit, search: Search| -> Vec<String> {
            found(audit, search).iter().map(|line| line["target"].as_str().unwrap().to_owned()).collect()
        };
        let (from, to) = (Time::from_secs(3), Time::from_secs(8));
        assert_eq!(targets(&audit, Search { from, to, ..ALL }), ["7", "6", "5", "4", "3"]);
        assert_eq!(targets(&audit, Search { user: Some("b".into()), limit: 2, ..ALL }), ["9", "7"]);
        let again = Audit::open(&disk);
        assert_eq!(targets(&again, Search { limit: 1, ..ALL }), ["9"], "after a restart");
    }

    #[test]
    fn there_are_at_most_two_files_and_the_oldest_lines_go() {
        let (mut audit, disk) = audit();
        let long = Value::from("x".repeat(LONGEST - 1_024));
        for n in 0..100 {
            audit.change(Time::from_secs(n), &change("a", &n.to_string(), &long));
        }
        let files = disk.list(Path::new("")).unwrap();
        assert_eq!(files.len(), 3, "of changes two");
        assert!(files.iter().all(|(_, length)| *length <= FULL), "{files:?}");
        let lines = found(&audit, ALL);
        assert_eq!(lines[0]["target"], "99");
        assert!((17..34).contains(&lines.len()), "{}", lines.len());
    }

    #[test]
    fn no_number_of_logins_and_refusals_washes_out_who_changed_what() {
        let (mut audit, disk) = audit();
        audit.change(Time::ZERO, &change("admin", "user alice", &Value::Null));
        let login = Change { operation: "sessionkey", ..change("alice", "session key", &Value::Null) };
        for second in 1..5_000 {
            audit.refused(Time::from_secs(second), From::Local(7), "x", "", &"Wrong");
            audit.change(Time::from_secs(second), &login);
        }
        assert!(audit.take_sync().is_some() && audit.take_sync().is_none(), "once for what was written");
        let of_admin = found(&audit, Search { user: Some("admin".into()), ..ALL });
        assert_eq!(of_admin.len(), 1);
        let all = found(&audit, Search { limit: 2, ..ALL });
        assert_eq!((&all[0]["user"], &all[1]["user"]), (&json!("alice"), &json!("x")), "the latest first");
        assert!(disk.list(Path::new("")).unwrap().iter().all(|(_, length)| *length <= FULL));
    }

    #[test]
    fn what_does_not_fit_in_a_line_is_left_out_of_it() {
        let (mut audit, _) = audit();
        audit.change(Time::ZERO, &change("a", "t", &Value::from("x".repeat(LONGEST))));
        assert_eq!(found(&audit, ALL)[0]["after"], "too long");
    }

    #[test]
    fn a_torn_line_is_left_out() {
        let (mut audit, disk) = audit();
        audit.change(Time::ZERO, &change("a", "1", &Value::Null));
        let file = disk.open(Path::new(FILES[0]), false).unwrap();
        file.truncate(file.len().unwrap() - 5).unwrap();
        let mut audit = Audit::open(&disk);
        audit.change(Time::ZERO, &change("a", "2", &Value::Null));
        let lines = found(&audit, ALL);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["target"], "2");
    }
}
