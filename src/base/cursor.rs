//! Reading untrusted bytes without panics: a slice, a position, and errors that say where.

use std::fmt;

/// A reader over bytes from outside. A length claim on the wire becomes a smaller cursor ([`Cursor::sub`]), so that
/// nothing inside it can read past what it claimed.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the outermost buffer.
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Where the next read begins, counted from the outermost buffer.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, without reading it.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads `n` bytes.
    ///
    /// # Errors
    /// [`Truncated`] where fewer are left; nothing is consumed then.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Truncated> {
        match self.rest.split_at_checked(n) {
            Some((head, rest)) => {
                self.rest = rest;
                self.offset += n;
                Ok(head)
            }
            None => Err(Truncated { offset: self.offset, needed: n, left: self.rest.len() }),
        }
    }

    /// Reads `n` bytes as a cursor of their own, which remembers their offset.
    ///
    /// # Errors
    /// [`Truncated`] where fewer are left.
    pub fn sub(&mut self, n: usize) -> Result<Self, Truncated> {
        let offset = self.offset;
        self.take(n).map(|rest| Self { rest, offset })
    }

    /// Steps over `n` bytes.
    ///
    /// # Errors
    /// [`Truncated`] where fewer are left.
    pub fn skip(&mut self, n: usize) -> Result<(), Truncated> {
        self.take(n).map(|_| ())
    }

    /// Reads `N` bytes as an array.
    ///
    /// # Errors
    /// [`Truncated`] where fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                self.offset += N;
                Ok(*head)
            }
            None => Err(Truncated { offset: self.offset, needed: N, left: self.rest.len() }),
        }
    }

    /// Reads one octet.
    ///
    /// # Errors
    /// [`Truncated`] at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array::<1>().map(|[b]| b)
    }

    /// Reads a 16-bit number in network order.
    ///
    /// # Errors
    /// [`Truncated`] where fewer bytes are left.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a 32-bit number in network order.
    ///
    /// # Errors
    /// [`Truncated`] where fewer bytes are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a 64-bit number in network order.
    ///
    /// # Errors
    /// [`Truncated`] where fewer bytes are left.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads an unsigned LEB128 number of at most 64 bits (our stored formats use it).
    ///
    /// # Errors
    /// [`Truncated`] at the end of the bytes, or at a tenth byte that does not fit.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Truncated> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            self.offset += 1;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Truncated> {
        let mut value = 0u64;
        for (&byte, at) in self.rest.iter().zip(0..10) {
            if at == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.skip(at + 1)?;
                return Ok(value);
            }
        }
        Err(Truncated { offset: self.offset, needed: 11, left: self.rest.len() })
    }
}

/// Appends `value` as unsigned LEB128: what [`Cursor::varint`] reads.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps a signed number to an unsigned one with small absolute values first, for [`put_varint`].
#[must_use]
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
#[must_use]
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// A read past the end of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated {
    /// Offset of the read in the outermost buffer.
    pub offset: usize,
    /// Bytes asked for.
    pub needed: usize,
    /// Bytes that were left.
    pub left: usize,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes needed at offset {}, {} left", self.needed, self.offset, self.left)
    }
}

impl std::error::Error for Truncated {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_read_consumes_nothing_and_says_where() {
        let mut c = Cursor::new(&[1, 2, 3]);
        assert_eq!(c.u8(), Ok(1));
        assert_eq!(c.u32(), Err(Truncated { offset: 1, needed: 4, left: 2 }));
        assert_eq!(c.u16(), Ok(0x0203));
        assert!(c.is_empty());
    }

    #[test]
    fn a_sub_cursor_cannot_leave_its_claim() {
        let mut c = Cursor::new(&[0, 1, 2, 3]);
        let mut inner = c.sub(2).unwrap();
        assert_eq!(inner.u16(), Ok(1));
        assert_eq!(inner.u8().unwrap_err().offset, 2);
        assert_eq!(c.rest(), [2, 3]);
    }

    #[test]
    fn varints_round_trip_at_their_limits() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(Cursor::new(&out).varint(), Ok(value));
            assert!(Cursor::new(&out[..out.len() - 1]).varint().is_err());
        }
        assert!(Cursor::new(&[0xff; 10]).varint().is_err());
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
