//! Which captures `weir read --data` stored in a data folder, so that none is counted twice unawares.
//!
//! A capture is known by its length and the digest of its first and last MiB ([`PIECE`]): reading a large one as a whole twice
//! would take twice as long. Standard input and pipes cannot be looked at before they are read, so they are noted but never
//! known again. The list is the file [`FILE`] in the data folder: JSON with a version, replaced as a whole. It holds
//! [`MOST`] captures; beyond, the one stored first is forgotten.
//!
//! A capture is noted before its first session is stored and again when all are durable: one whose reading was stopped in
//! between is known as well, because nobody can say which of its sessions are there.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use blake2::{Blake2s256, Digest};
use serde_json::{Value, json};

use crate::base::Time;
use crate::base::disk::{Disk, read_all, replace};

/// The list's name in the data folder.
pub const FILE: &str = "captures.json";
/// Captures remembered.
pub const MOST: usize = 1_024;
/// Bytes at a capture's begin and at its end that are looked at.
const PIECE: usize = 1 << 20;
const VERSION: u64 = 1;

/// What tells one capture from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    bytes: u64,
    digest: String,
}

impl Identity {
    /// That of a file; none of what is no regular file. The file is read from where it was afterwards.
    ///
    /// # Errors
    /// What the file system says.
    pub fn of(file: &File) -> io::Result<Option<Self>> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(None);
        }
        let mut digest = Blake2s256::new();
        let mut piece = vec![0; PIECE];
        for at in [0, meta.len().saturating_sub(PIECE as u64)] {
            let mut read = 0;
            while let Some(room) = piece.get_mut(read..).filter(|room| !room.is_empty()) {
                match file.read_at(room, at + read as u64)? {
                    0 => break,
                    got => read += got,
                }
            }
            digest.update(piece.get(..read).unwrap_or_default());
        }
        let digest = digest.finalize().iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Some(Self { bytes: meta.len(), digest }))
    }
}

/// One capture of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The name it had.
    pub name: String,
    /// None of what came through a pipe.
    pub identity: Option<Identity>,
    /// When it was stored.
    pub stored: Time,
    /// Its first and its last moment; none while its sessions are not all durable.
    pub span: Option<(Time, Time)>,
}

/// How the list is told to the user who stores a capture again.
impl fmt::Display for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span {
            Some(_) => write!(f, "it was stored there at {} (as {})", self.stored, self.name),
            None => write!(
                f,
                "storing it there began at {} (as {}) and was stopped: a part of it may be there",
                self.stored, self.name
            ),
        }
    }
}

/// The captures of a data folder, the one stored first in front.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captures(Vec<Capture>);

impl Captures {
    /// The list of a data folder; empty where there is none.
    ///
    /// # Errors
    /// What the file system says, or that it is no such list.
    pub fn load(disk: &dyn Disk) -> io::Result<Self> {
        let Some(bytes) = read_all(disk, Path::new(FILE))? else { return Ok(Self::default()) };
        let list: Value = serde_json::from_slice(&bytes)?;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "is not a list of captures");
        if list["version"] != VERSION {
            return Err(wrong());
        }
        let captures = list["captures"].as_array().ok_or_else(wrong)?;
        Ok(Self(captures.iter().rev().take(MOST).rev().map(decoded).collect::<Option<_>>().ok_or_else(wrong)?))
    }

    /// Writes the list.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, disk: &dyn Disk) -> io::Result<()> {
        let captures: Vec<Value> = self.0.iter().map(encoded).collect();
        replace(
            disk,
            Path::new(FILE),
            format!("{:#}\n", json!({ "version": VERSION, "captures": captures })).as_bytes(),
        )
    }

    /// The same capture, if it was stored before.
    #[must_use]
    pub fn find(&self, identity: &Identity) -> Option<&Capture> {
        self.0.iter().find(|known| known.identity.as_ref() == Some(identity))
    }

    /// Adds one, and forgets the first where there are too many.
    pub fn add(&mut self, capture: Capture) {
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(capture);
    }

    /// Says of the last `count` that all of them is durable.
    pub fn finish(&mut self, spans: &[(Time, Time)]) {
        for (capture, span) in self.0.iter_mut().rev().zip(spans.iter().rev()) {
            capture.span = Some(*span);
        }
    }

    /// The stretches of time of which something was stored by `weir read`, and not by capturing: all of time where nobody
    /// can say.
    pub fn stretches(&self) -> impl Iterator<Item = (Time, Time)> {
        self.0.iter().map(|capture| capture.span.unwrap_or((Time::ZERO, Time::MAX)))
    }
}

fn encoded(capture: &Capture) -> Value {
    json!({
        "name": capture.name,
        "bytes": capture.identity.as_ref().map(|identity| identity.bytes),
        "digest": capture.identity.as_ref().map(|identity| &identity.digest),
        "stored": capture.stored.micros(),
        "first": capture.span.map(|(first, _)| first.micros()),
        "last": capture.span.map(|(_, last)| last.micros()),
    })
}

fn decoded(value: &Value) -> Option<Capture> {
    let time = |name: &str| value[name].as_u64().map(Time::from_micros);
    let identity = value["bytes"].as_u64().zip(value["digest"].as_str());
    Some(Capture {
        name: value["name"].as_str()?.to_owned(),
        identity: identity.map(|(bytes, digest)| Identity { bytes, digest: digest.to_owned() }),
        stored: time("stored")?,
        span: time("first").zip(time("last")),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::io::disk::OsDisk;

    fn capture(name: &str, bytes: u64) -> Capture {
        let identity = Some(Identity { bytes, digest: "ab".to_owned() });
        Capture { name: name.to_owned(), identity, stored: Time::from_secs(7), span: None }
    }

    #[test]
    fn a_list_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(folder.path()).unwrap();
        assert_eq!(Captures::load(&disk).unwrap(), Captures::default());
        let mut list = Captures::default();
        list.add(capture("a.pcap", 1));
        list.add(Capture { identity: None, ..capture("-", 0) });
        list.add(capture("b.pcap", 2));
        list.finish(&[(Time::from_secs(1), Time::from_secs(2)), (Time::from_secs(3), Time::from_secs(4))]);
        list.save(&disk).unwrap();
        assert_eq!(Captures::load(&disk).unwrap(), list);
        assert_eq!(list.0.iter().map(|c| c.span.is_some()).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(list.find(&Identity { bytes: 2, digest: "ab".to_owned() }).unwrap().name, "b.pcap");
        assert_eq!(list.find(&Identity { bytes: 2, digest: "cd".to_owned() }), None);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(folder.path()).unwrap();
        for text in ["", "[]", "{\"version\":2,\"captures\":[]}", "{\"version\":1}", "{\"version\":1,\"captures\":[1]}"]
        {
            std::fs::write(folder.path().join(FILE), text).unwrap();
            assert!(Captures::load(&disk).is_err(), "{text}");
        }
    }

    #[test]
    fn the_one_stored_first_is_forgotten_beyond_the_ceiling() {
        let mut list = Captures::default();
        for n in 0..=MOST as u64 {
            list.add(capture("a", n));
            assert_eq!(list.0.len(), MOST.min(n as usize + 1));
        }
        let known = |bytes| list.find(&Identity { bytes, digest: "ab".to_owned() }).is_some();
        assert_eq!([known(0), known(1), known(MOST as u64)], [false, true, true]);
    }

    #[test]
    fn where_the_sessions_of_an_unfinished_one_lie_nobody_can_say() {
        let mut list = Captures::default();
        list.add(capture("a", 1));
        assert_eq!(list.stretches().collect::<Vec<_>>(), [(Time::ZERO, Time::MAX)]);
        let span = (Time::from_secs(10), Time::from_secs(20));
        list.finish(&[span]);
        assert_eq!(list.stretches().collect::<Vec<_>>(), [span]);
    }

    #[test]
    fn captures_differ_by_length_begin_and_end() {
        let identity = |begin: u8, length: usize, end: u8| {
            let mut bytes = vec![7; length];
            (bytes[0], bytes[length - 1]) = (begin, end);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            Identity::of(&file).unwrap().unwrap()
        };
        let length = 3 * PIECE;
        let same = identity(1, length, 2);
        assert_eq!(same, identity(1, length, 2));
        for other in [identity(3, length, 2), identity(1, length + 1, 2), identity(1, length, 3), identity(1, 100, 2)] {
            assert_ne!(same, other);
        }
        assert_eq!(Identity::of(&File::open("/dev/null").unwrap()).unwrap(), None);
    }
}
