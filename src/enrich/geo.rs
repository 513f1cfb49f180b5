//! Country, AS and netblock of an address, from files in MaxMind's format that the user gives.
//!
//! Any file in the format serves for what it holds, whatever its name: countries (`country.iso_code`, else
//! `registered_country.iso_code`) and AS numbers (`autonomous_system_number`); the first file that knows decides. The netblock is
//! that of the AS entry, because a country file joins neighbouring netblocks. Without a file all stays unknown.
//!
//! Memory: the files as they are, in RAM (a country and an AS file of MaxMind's are about 10 MB each), and a cache of at most
//! [`CACHED_ADDRESSES`] answers (about 80 bytes each), the least recently used leaving first.
//!
//! The reader checks lengths and offsets of a file before it follows them, so a damaged one gives errors, not panics; an
//! address whose entry is damaged counts as unknown.

use std::fmt;
use std::net::IpAddr;

use maxminddb::{MaxMindDbError, PathElement, Reader};

use crate::base::lru::HashKey;
use crate::base::{Ip, Lru, Time};
use crate::flow::Side;

/// How many addresses' answers are remembered.
pub const CACHED_ADDRESSES: usize = 4_096;

const COUNTRY: [&[PathElement<'_>]; 2] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("registered_country"), PathElement::Key("iso_code")],
];
const AS_NUMBER: &[PathElement<'_>] = &[PathElement::Key("autonomous_system_number")];

/// Lookups of addresses in the user's files.
#[derive(Debug)]
pub struct Geo {
    files: Vec<GeoFile>,
    cache: Lru<Ip, Side>,
    key: HashKey,
}

/// One file in use.
#[derive(Debug)]
pub struct GeoFile {
    name: String,
    reader: Reader<Vec<u8>>,
}

/// A file that cannot be used.
#[derive(Debug)]
pub struct BadGeoFile {
    /// Its name as given.
    pub name: String,
    /// What is wrong with it.
    pub reason: MaxMindDbError,
}

impl Geo {
    /// No files; `key` is the cache's.
    #[must_use]
    pub fn new(key: HashKey) -> Self {
        Self { files: Vec::new(), cache: Lru::new(CACHED_ADDRESSES, key), key }
    }

    /// Replaces all files by these (name, content) and forgets all answers. Gives back those that cannot be used.
    pub fn load(&mut self, files: Vec<(String, Vec<u8>)>) -> Vec<BadGeoFile> {
        self.cache = Lru::new(CACHED_ADDRESSES, self.key);
        self.files.clear();
        let mut bad = Vec::new();
        for (name, bytes) in files {
            match Reader::from_source(bytes) {
                Ok(reader) => self.files.push(GeoFile { name, reader }),
                Err(reason) => bad.push(BadGeoFile { name, reason }),
            }
        }
        bad
    }

    /// The files in use.
    #[must_use]
    pub fn files(&self) -> &[GeoFile] {
        &self.files
    }

    /// Country, AS number and netblock of an address, as far as the files know them.
    pub fn side(&mut self, ip: Ip) -> Side {
        if self.files.is_empty() {
            return Side::default();
        }
        if let Some(side) = self.cache.get(&ip) {
            return *side;
        }
        let mut side = Side::default();
        for file in &self.files {
            file.look_up(ip.into(), &mut side);
        }
        self.cache.insert(ip, side);
        side
    }
}

impl GeoFile {
    /// The file's name as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the file says that it is, such as `GeoLite2-ASN`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// When its content was made.
    #[must_use]
    pub fn built(&self) -> Time {
        Time::from_secs(self.reader.metadata().build_epoch)
    }

    /// Fills what `side` does not know yet.
    fn look_up(&self, ip: IpAddr, side: &mut Side) {
        let Ok(entry) = self.reader.lookup(ip) else { return };
        if !entry.has_data() {
            return;
        }
        if side.country == [0; 2] {
            let code = COUNTRY.iter().find_map(|path| entry.decode_path::<&str>(path).ok().flatten());
            let code = code.and_then(|code| <[u8; 2]>::try_from(code.as_bytes()).ok());
            if let Some(code) = code.filter(|code| code.iter().all(u8::is_ascii_alphabetic)) {
                side.country = code.map(|letter| letter.to_ascii_uppercase());
            }
        }
        if side.asn == 0
            && let Ok(Some(asn)) = entry.decode_path::<u32>(AS_NUMBER)
        {
            side.asn = asn;
            side.mask = match entry.network() {
                Ok(network) if network.is_ipv4() == ip.is_ipv4() => network.prefix(),
                _ => 0,
            };
        }
    }
}

impl fmt::Display for BadGeoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

impl std::error::Error for BadGeoFile {}

/// Whatever the bytes are: loading and looking up neither panics nor answers for a file that was refused.
#[doc(hidden)]
pub fn fuzz_geo(bytes: &[u8]) {
    let mut geo = Geo::new(HashKey(1, 2));
    let bad = geo.load(vec![("fuzz".to_owned(), bytes.to_vec())]);
    for ip in [[0; 16], [0xff; 16], Ip::v4([192, 0, 2, 1]).octets(), Ip::v4([255; 4]).octets()].map(Ip::v6) {
        let side = geo.side(ip);
        assert!(bad.is_empty() || side == Side::default(), "an answer from a refused file");
        assert!(side.mask <= 128, "no netblock is longer than its address");
    }
}

#[cfg(test)]
mod tests;
