//! Reading capture files: pcap in all its variants and pcapng, plain or compressed with gzip or zstd, from anything
//! that can be read (a file, standard input).
//!
//! ```no_run
//! use weir::io::capture_file::{CaptureError, Reader};
//!
//! fn count(path: &str) -> Result<u64, CaptureError> {
//!     let mut frames = 0;
//!     let mut reader = Reader::open(std::fs::File::open(path)?)?;
//!     while let Some(frame) = reader.next()? {
//!         assert!(frame.bytes.len() <= weir::io::capture_file::MAX_FRAME);
//!         frames += 1;
//!     }
//!     Ok(frames)
//! }
//! ```
//!
//! Contract: frames are slices of one read buffer of [`BUFFER`] bytes, nothing is copied and nothing is allocated by the
//! frame. All whole frames before damage are given, then one [`CaptureError`] that names the byte, then `None`. Every
//! length is checked against its limit before it is believed.
//!
//! Formats: draft-ietf-opsawg-pcap (magics for micro- and nanoseconds, either byte order), Kuznetzov's modified pcap
//! (`0xa1b2cd34`), pcap before version 2.4 (which swapped the two lengths), draft-ietf-opsawg-pcapng (sections of either
//! byte order, `if_tsresol`, `if_tsoffset`, Enhanced, Simple and the obsolete Packet Block; all other blocks are stepped
//! over without being held). Departures: a pcapng block length that is no multiple of 4 is rounded up, as other readers
//! do, because old writers left the padding out of it.

mod input;
mod pcap;
mod pcapng;

use std::fmt;
use std::io::{self, Read};

use crate::base::{Time, Truncated};

pub use input::BUFFER;
use input::Input;
use pcap::Pcap;
use pcapng::Pcapng;

/// Captured bytes of one frame, at most: what libpcap-based tools write at most for network links.
pub const MAX_FRAME: usize = 256 * 1024;
/// Interfaces of one pcapng section, at most (16 bytes each).
pub const MAX_INTERFACES: usize = 65_536;
/// Nothing at all.
const EMPTY: CaptureError = CaptureError { offset: 0, fault: Fault::Empty };
/// Base-2 logarithm of the largest zstd window: 32 MiB, which covers levels 1 to 20.
const ZSTD_WINDOW_LOG: u32 = 25;

/// One frame of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured. A pcapng Simple Packet Block has no time: it takes that of the frame before.
    pub time: Time,
    /// `LINKTYPE_` number: how `bytes` begin.
    pub link: u32,
    /// Number of the interface within its pcapng section; 0 in pcap.
    pub interface: u32,
    /// Octets the frame had on the wire; `bytes` may be fewer.
    pub wire_len: u32,
    /// The captured bytes.
    pub bytes: &'a [u8],
}

/// Reads frames from a capture, one after the other.
pub struct Reader {
    input: Input,
    format: Format,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
    /// After an error: the frames that follow cannot be found.
    Lost,
}

impl Reader {
    /// Recognises compression and format by their magic numbers.
    ///
    /// # Errors
    /// Where the input cannot be read or is no capture.
    pub fn open(from: impl Read + 'static) -> Result<Self, CaptureError> {
        let mut input = Input::new(Box::new(from));
        // Both magic numbers are also the least that any capture has.
        let Some(first) = input.need_or_end::<4>()? else { return Err(EMPTY) };
        match *first {
            [0x1f, 0x8b, ..] => {
                let packed = input.into_read();
                input = Input::new(Box::new(flate2::read::MultiGzDecoder::new(packed)));
            }
            [0x28, 0xb5, 0x2f, 0xfd] => {
                let mut decoder = zstd::stream::read::Decoder::new(input.into_read())?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                input = Input::new(Box::new(decoder));
            }
            _ => {}
        }
        let Some(&magic) = input.need_or_end::<4>()? else { return Err(EMPTY) };
        let format = if magic == pcapng::SECTION_HEADER.to_be_bytes() {
            Format::Pcapng(Pcapng::default())
        } else {
            Format::Pcap(Pcap::open(magic, &mut input)?)
        };
        Ok(Self { input, format })
    }

    /// The next frame; `None` at the end, and after an error.
    ///
    /// # Errors
    /// Where the capture is cut or damaged, or the input cannot be read. There are no frames after an error.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "the frame borrows the reader, which an Iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.input),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.input),
            Format::Lost => return Ok(None),
        };
        found.inspect_err(|_| self.format = Format::Lost)
    }

    /// The link type of all frames, as the field of the file's header has it; none in pcapng, where interfaces have theirs.
    #[must_use]
    pub fn file_link(&self) -> Option<u32> {
        match &self.format {
            Format::Pcap(pcap) => Some(pcap.link()),
            Format::Pcapng(_) | Format::Lost => None,
        }
    }

    /// Bytes of the (uncompressed) capture read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.input.offset()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("position", &self.position()).finish_non_exhaustive()
    }
}

/// Why a capture cannot be read on.
#[derive(Debug)]
pub struct CaptureError {
    /// Byte of the (uncompressed) capture where the damaged thing begins.
    pub offset: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a capture.
#[derive(Debug)]
pub enum Fault {
    /// The input cannot be read, or its compression is damaged.
    Read(io::Error),
    /// Not a single byte.
    Empty,
    /// Neither pcap nor pcapng: the first four bytes.
    NotACapture([u8; 4]),
    /// A version we do not know: major, minor.
    Version(u16, u16),
    /// The capture ends inside a record.
    Cut {
        /// Bytes the record needs.
        needed: u64,
        /// Bytes that were left.
        left: u64,
    },
    /// A record claims more than we are willing to hold.
    TooLong {
        /// Bytes it claims.
        claimed: u64,
        /// Our limit.
        limit: u64,
    },
    /// A pcapng block whose lengths contradict each other or its contents.
    BlockLength(u32),
    /// A pcapng section header without a byte order.
    ByteOrder(u32),
    /// A pcapng packet of an interface that was not described.
    UnknownInterface(u32),
    /// A pcapng section that describes more than [`MAX_INTERFACES`].
    TooManyInterfaces,
}

impl CaptureError {
    /// Whether the capture merely ends early, as one does whose writer was killed.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        match &self.fault {
            Fault::Cut { .. } => true,
            Fault::Read(error) => error.kind() == io::ErrorKind::UnexpectedEof,
            _ => false,
        }
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(self.fault, Fault::Empty) {
            write!(f, "at byte {}: ", self.offset)?;
        }
        match &self.fault {
            Fault::Read(_) => f.write_str("cannot read"),
            Fault::Empty => f.write_str("it is empty: not even the header of a capture is in it"),
            Fault::NotACapture([a, b, c, d]) => {
                write!(f, "neither pcap nor pcapng (begins with {a:02x} {b:02x} {c:02x} {d:02x})")
            }
            Fault::Version(major, minor) => write!(f, "unknown format version {major}.{minor}"),
            Fault::Cut { needed, left } => write!(f, "the capture is cut: {needed} bytes needed, {left} left"),
            Fault::TooLong { claimed, limit } => write!(f, "a record claims {claimed} bytes, more than {limit}"),
            Fault::BlockLength(len) => write!(f, "block length {len} contradicts the block"),
            Fault::ByteOrder(magic) => write!(f, "section header with unknown byte order {magic:#010x}"),
            Fault::UnknownInterface(id) => write!(f, "packet of interface {id}, which was not described"),
            Fault::TooManyInterfaces => write!(f, "more than {MAX_INTERFACES} interfaces in one section"),
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// What failed before anything was read.
impl From<io::Error> for CaptureError {
    fn from(error: io::Error) -> Self {
        Self { offset: 0, fault: Fault::Read(error) }
    }
}

/// A field past the end of its block: the block's length contradicts its contents.
fn too_short(block: u64, len: u32) -> impl FnOnce(Truncated) -> CaptureError {
    move |cut| CaptureError { offset: block + cut.offset as u64, fault: Fault::BlockLength(len) }
}

/// Byte order of a file or section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    #[inline]
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }
}

/// Reads all of `bytes` as a capture, asserting what every caller relies on; gives the frames found. Fuzzing calls it.
#[doc(hidden)]
pub fn fuzz_capture_file(bytes: &[u8]) -> u64 {
    let Ok(mut reader) = Reader::open(io::Cursor::new(bytes.to_vec())) else { return 0 };
    let mut frames = 0;
    let mut position = reader.position();
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                assert!(frame.bytes.len() <= MAX_FRAME);
                frames += 1;
            }
            Ok(None) => return frames,
            Err(error) => {
                assert!(matches!(reader.next(), Ok(None)), "a reader goes on after {error}");
                return frames;
            }
        }
        assert!(reader.position() > position, "a frame without a header");
        position = reader.position();
    }
}

#[cfg(test)]
mod tests;
