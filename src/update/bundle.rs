//! One bundle: its head, who signed it, and the system in it.

use std::fmt;
use std::io::{self, Read, Write};

use ring::digest::{self, SHA256};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;

use super::Version;
use crate::base::Cursor;
use crate::schema::registry::LARGEST_BUNDLE as LARGEST;

const MAGIC: &[u8] = b"WEIRUP1\n";
/// Longest manifest, in octets.
pub const LONGEST_MANIFEST: usize = 4 << 10;
/// What must be read of a bundle to have its head, at most.
pub const LONGEST_HEAD: usize = MAGIC.len() + 4 + LONGEST_MANIFEST + SIGNATURE;
const SIGNATURE: usize = 64;
/// Octets moved at a time.
const PIECE: usize = 64 << 10;
/// The unpacker remembers at most so many octets (2 to the power of it): zstd's levels up to 19 need no more.
const WINDOW: u32 = 23;

/// Why a bundle is not taken.
#[derive(Debug)]
pub enum Refusal {
    /// It does not begin as bundles do; what is wrong.
    Malformed(&'static str),
    /// None of the box's keys signed it.
    Signature,
    /// It is for another board.
    Board {
        /// For which one.
        wanted: String,
    },
    /// It is not newer than what runs.
    NotNewer {
        /// Its version.
        offered: Version,
        /// What runs.
        running: Version,
    },
    /// What is in it is not what was signed.
    Altered,
    /// It could not be read, or what is in it not be written.
    Io(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "this is no update bundle: {why}"),
            Self::Signature => f.write_str("the bundle is not signed with a key that this box takes updates of"),
            Self::Board { wanted } => write!(f, "the bundle is for the board {wanted}"),
            Self::NotNewer { offered, running } => {
                write!(f, "version {offered} is not newer than {running}, which runs (the console can go back)")
            }
            Self::Altered => f.write_str("the bundle's content is not what was signed: it is cut off or altered"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Public keys whose bundles a box takes.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// One key a line, 64 hexadecimal digits each; other lines are left out. At most 8.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(|line| hexadecimal(line.trim())).take(8).collect())
    }

    /// Whether one of them signed this.
    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.iter().any(|key| UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok())
    }
}

/// Size and hash of some content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digest {
    size: u64,
    sha256: [u8; 32],
}

/// What a bundle says of itself, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// For which kind of board.
    pub board: String,
    /// Which version of weir it holds.
    pub version: Version,
    /// Octets of the head: there the packed system begins.
    pub head: u64,
    system: Digest,
    packed: Digest,
}

impl Bundle {
    /// Reads the head: the first [`LONGEST_HEAD`] octets of a bundle, or all of a shorter one.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::Signature`]
    pub fn open(bytes: &[u8], keys: &Keys) -> Result<Self, Refusal> {
        let cut = |_| Refusal::Malformed("its head is cut off");
        let mut cursor = Cursor::new(bytes);
        if cursor.take(MAGIC.len()).map_err(cut)? != MAGIC {
            return Err(Refusal::Malformed("it begins otherwise"));
        }
        let length = u32::from_le_bytes(cursor.array().map_err(cut)?) as usize;
        if length > LONGEST_MANIFEST {
            return Err(Refusal::Malformed("its manifest is too long"));
        }
        let manifest = cursor.take(length).map_err(cut)?;
        let signature = cursor.take(SIGNATURE).map_err(cut)?;
        // Before the manifest is looked into.
        if !keys.signed(manifest, signature) {
            return Err(Refusal::Signature);
        }
        let said: Value =
            serde_json::from_slice(manifest).map_err(|_| Refusal::Malformed("its manifest is no JSON"))?;
        let lacking = || Refusal::Malformed("its manifest lacks something");
        Ok(Self {
            board: said["board"].as_str().ok_or_else(lacking)?.to_owned(),
            version: said["version"].as_str().and_then(|text| text.parse().ok()).ok_or_else(lacking)?,
            head: cursor.offset() as u64,
            system: Digest::of(&said).ok_or_else(lacking)?,
            packed: Digest::of(&said["packed"]).ok_or_else(lacking)?,
        })
    }

    /// Octets of the whole bundle.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.head + self.packed.size
    }

    /// Never: there is a head.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Octets of the system when it is unpacked.
    #[must_use]
    pub const fn system_size(&self) -> u64 {
        self.system.size
    }

    /// Whether it is for this box: its board, and newer than what runs.
    ///
    /// # Errors
    /// [`Refusal::Board`] or [`Refusal::NotNewer`]
    pub fn suits(&self, board: &str, running: Version) -> Result<(), Refusal> {
        if self.board != board {
            return Err(Refusal::Board { wanted: self.board.clone() });
        }
        if self.version <= running {
            return Err(Refusal::NotNewer { offered: self.version, running });
        }
        Ok(())
    }

    /// Checks all that follows the head. Nothing is written; `progress` hears the octets done.
    ///
    /// # Errors
    /// [`Refusal::Altered`], or what reading says.
    pub fn check(&self, packed: &mut impl Read, mut progress: impl FnMut(u64)) -> Result<(), Refusal> {
        let mut reading = Hashed::new(packed.take(self.packed.size + 1));
        copy(&mut reading, &mut io::sink(), &mut progress)?;
        reading.verify(self.packed)
    }

    /// Unpacks the system; call [`Bundle::check`] before. What was written must not be booted where this fails.
    ///
    /// # Errors
    /// [`Refusal::Altered`], or what reading and writing say.
    pub fn unpack(
        &self,
        packed: &mut impl Read,
        to: &mut impl Write,
        mut progress: impl FnMut(u64),
    ) -> Result<(), Refusal> {
        let mut decoder = zstd::stream::read::Decoder::new(packed.take(self.packed.size))?;
        decoder.window_log_max(WINDOW)?;
        let mut reading = Hashed::new(decoder.take(self.system.size + 1));
        copy(&mut reading, to, &mut progress)?;
        reading.verify(self.system)
    }
}

impl Digest {
    fn of(said: &Value) -> Option<Self> {
        let size = said["size"].as_u64().filter(|size| (1..=LARGEST).contains(size))?;
        Some(Self { size, sha256: hexadecimal(said["sha256"].as_str()?)? })
    }
}

/// A reader that hashes what passes.
struct Hashed<R> {
    inner: R,
    digest: digest::Context,
    octets: u64,
}

impl<R: Read> Hashed<R> {
    fn new(inner: R) -> Self {
        Self { inner, digest: digest::Context::new(&SHA256), octets: 0 }
    }

    fn verify(self, expected: Digest) -> Result<(), Refusal> {
        let right = self.octets == expected.size && self.digest.finish().as_ref() == expected.sha256;
        if right { Ok(()) } else { Err(Refusal::Altered) }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.inner.read(buffer)?;
        self.digest.update(buffer.get(..octets).unwrap_or_default());
        self.octets += octets as u64;
        Ok(octets)
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write, progress: &mut impl FnMut(u64)) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        let octets = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(piece.get(..octets).unwrap_or_default())?;
        done += octets as u64;
        progress(done);
    }
}

/// 32 octets of 64 hexadecimal digits.
fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut octets = [0; 32];
    for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
        *octet = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(octets)
}

/// Fuzz body: whatever is sent as a bundle's head, nothing unsigned is taken.
#[doc(hidden)]
pub fn fuzz_bundle(bytes: &[u8]) {
    let keys = Keys::parse(&"07".repeat(32));
    assert!(Bundle::open(bytes, &keys).is_err(), "nobody has that key's other half");
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
