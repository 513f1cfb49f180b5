//! The chunked coding (RFC 9112, section 7.1): a decoder for requests and the frame around a reply's pieces.
//!
//! Extensions are skipped, up to 128 bytes a chunk; trailers are checked like header fields, bounded and dropped.

use super::head::{Refusal, bad};
use crate::dialect::message::is_token_byte;

const MAX_EXTENSION: usize = 128;
/// Hexadecimal digits of a chunk's size: 4 GiB is more than any body may be.
const MAX_DIGITS: u8 = 8;

/// Decodes a chunked body that arrives in any pieces; what it says does not depend on the pieces.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Bytes that the body may have.
    limit: usize,
    /// Bytes that the trailers may still have.
    trailer_left: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In a chunk's size, so many digits into it.
    Size { size: usize, digits: u8 },
    /// In what follows the size up to the line's end.
    Extension { size: usize, length: usize },
    /// After the CR of the size line.
    SizeEnd { size: usize },
    /// In the data, so many bytes to go.
    Data { left: usize },
    /// After the data.
    DataEnd,
    /// After the CR after the data.
    DataEndLf,
    /// At the beginning of a trailer line.
    Trailer,
    /// In the name of a trailer field.
    TrailerName,
    /// In its value.
    TrailerValue,
    /// After the CR of a trailer line.
    TrailerEnd,
    /// After the CR of the last, empty line.
    LastLf,
    /// Past the end.
    Done,
}

impl Decoder {
    /// A decoder for a body of at most `limit` bytes and trailers of at most `trailer_bytes`.
    #[must_use]
    pub const fn new(limit: usize, trailer_bytes: usize) -> Self {
        Self { state: State::Size { size: 0, digits: 0 }, limit, trailer_left: trailer_bytes }
    }

    /// Decodes from `input` into `body`. Gives how many bytes of `input` it took: all, or up to the end of the body.
    ///
    /// # Errors
    /// 400 for bytes that are not this coding, 413 for a body over the limit, 431 for trailers over theirs.
    pub fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut taken = 0;
        while let Some(&byte) = input.get(taken) {
            match self.state {
                State::Done => break,
                State::Data { left } => {
                    let rest = input.get(taken..).unwrap_or_default();
                    let data = rest.get(..left).unwrap_or(rest);
                    body.extend_from_slice(data);
                    taken += data.len();
                    self.state =
                        if data.len() == left { State::DataEnd } else { State::Data { left: left - data.len() } };
                }
                _ => {
                    self.state = self.after(byte, body.len())?;
                    taken += 1;
                }
            }
        }
        Ok(taken)
    }

    /// Whether the body's end was seen.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn after(&mut self, byte: u8, so_far: usize) -> Result<State, Refusal> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16).map_or(0, |d| d as usize);
                State::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (State::Size { size, digits: 1.. }, b'\r') => State::SizeEnd { size },
            (State::Size { size, digits: 1.. }, b';') => State::Extension { size, length: 0 },
            (State::Size { .. }, _) => return Err(bad("a chunk size that is no hexadecimal number")),
            (State::Extension { size, .. }, b'\r') => State::SizeEnd { size },
            (State::Extension { size, length }, b'\t' | 0x20..=0x7e) if length < MAX_EXTENSION => {
                State::Extension { size, length: length + 1 }
            }
            (State::Extension { .. }, _) => return Err(bad("a chunk extension that is too long or no text")),
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailer,
            (State::SizeEnd { size }, b'\n') if size > self.limit.saturating_sub(so_far) => {
                return Err(Refusal { status: 413, why: "the body is too long for this call" });
            }
            (State::SizeEnd { size }, b'\n') => State::Data { left: size },
            (State::DataEnd, b'\r') => State::DataEndLf,
            (State::DataEndLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::Trailer, b'\r') => State::LastLf,
            (State::LastLf, b'\n') => State::Done,
            (State::Trailer | State::TrailerName | State::TrailerValue | State::TrailerEnd, _) => {
                self.trailer_left = self
                    .trailer_left
                    .checked_sub(1)
                    .ok_or(Refusal { status: 431, why: "the trailers are too long" })?;
                Self::after_in_trailer(self.state, byte)?
            }
            _ => return Err(bad("a chunk that does not end with CR LF")),
        })
    }

    fn after_in_trailer(state: State, byte: u8) -> Result<State, Refusal> {
        match (state, byte) {
            (State::Trailer | State::TrailerName, _) if is_token_byte(byte) => Ok(State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\t' | 0x20..=0x7e) => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerEnd, b'\n') => Ok(State::Trailer),
            _ => Err(bad("a trailer that is no header field")),
        }
    }
}

/// The line before a piece of so many bytes; after the piece comes CR LF. A piece of no bytes would be the end.
#[must_use]
pub fn size_line(bytes: usize) -> String {
    format!("{bytes:x}\r\n")
}

/// What ends a chunked body.
pub const END: &[u8] = b"0\r\n\r\n";

/// Whatever bytes arrive: no panic, no body over its limit, and the pieces they arrive in change nothing. And what is framed
/// for sending decodes to itself.
#[doc(hidden)]
pub fn fuzz_chunked(bytes: &[u8]) {
    const LIMIT: usize = 300;
    let decode = |input: &[u8], piece: usize| {
        let (mut decoder, mut body) = (Decoder::new(LIMIT, 64), Vec::new());
        let mut taken = 0;
        for piece in input.chunks(piece) {
            match decoder.decode(piece, &mut body) {
                Ok(bytes) => taken += bytes,
                Err(refusal) => return Err(refusal),
            }
        }
        assert!(body.len() <= LIMIT && (decoder.is_done() || taken == input.len()));
        Ok((body, taken, decoder.is_done()))
    };
    let whole = decode(bytes, bytes.len().max(1));
    for piece in [1, 3, 16] {
        assert_eq!(decode(bytes, piece), whole, "in pieces of {piece}");
    }
    let body = bytes.get(..LIMIT).unwrap_or(bytes);
    let mut framed = Vec::new();
    for piece in body.chunks(7) {
        framed.extend_from_slice(size_line(piece.len()).as_bytes());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(END);
    assert_eq!(decode(&framed, 5), Ok((body.to_vec(), framed.len(), true)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_survive_whatever_is_done_to_them() {
        let seed = b"5;name=value\r\nhello\r\n00f\r\n0123456789abcde\r\n0\r\nX-Sum: 1\r\n\r\nGET /";
        fuzz_chunked(seed);
        for at in 0..seed.len() {
            for byte in *b"\r\n\0 ;:0fZ\xff" {
                let mut bytes = seed.to_vec();
                bytes[at] = byte;
                fuzz_chunked(&bytes);
                bytes.insert(at, byte);
                fuzz_chunked(&bytes);
                bytes.truncate(at);
                fuzz_chunked(&bytes);
            }
        }
    }
}
