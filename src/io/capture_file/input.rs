//! The read buffer of a capture: a window that slides over the input.

use std::io::{Cursor, ErrorKind, Read};

use super::{CaptureError, Fault, MAX_FRAME};

/// Bytes of the read buffer: the largest record and one read beside it. Pages that are never needed are never touched.
pub const BUFFER: usize = MAX_RECORD + CHUNK;
/// Bytes of one read at most: small enough that what the kernel copied is still in the cache when we parse it.
const CHUNK: usize = 256 * 1024;
/// Bytes of a record that must be held whole: a frame with its header, and room for a pcapng block's options.
const MAX_RECORD: usize = MAX_FRAME + 128 * 1024;

/// A window over the input: what was read and not yet consumed.
pub(super) struct Input {
    from: Box<dyn Read>,
    buffer: Box<[u8]>,
    /// The window is `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Offset in the input of `buffer[0]`.
    base: u64,
}

impl Input {
    pub(super) fn new(from: Box<dyn Read>) -> Self {
        Self { from, buffer: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0, base: 0 }
    }

    /// Offset in the input of the window's first byte.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The input from the window on.
    pub(super) fn into_read(self) -> Box<dyn Read> {
        let held = self.buffer.get(self.start..self.end).unwrap_or_default().to_vec();
        Box::new(Cursor::new(held).chain(self.from))
    }

    /// The next `N` bytes, not consumed; `None` where there is nothing left at all.
    #[inline]
    pub(super) fn need_or_end<const N: usize>(&mut self) -> Result<Option<&[u8; N]>, CaptureError> {
        self.hold(N)?;
        if self.start == self.end { Ok(None) } else { self.need().map(Some) }
    }

    /// The next `N` bytes, not consumed.
    #[inline]
    pub(super) fn need<const N: usize>(&mut self) -> Result<&[u8; N], CaptureError> {
        self.hold(N)?;
        let offset = self.offset();
        let window = self.held();
        window.first_chunk().ok_or_else(|| cut(offset, N as u64, window.len() as u64))
    }

    /// The next `n` bytes, not consumed.
    #[inline]
    pub(super) fn need_slice(&mut self, n: usize) -> Result<&[u8], CaptureError> {
        self.hold(n)?;
        let offset = self.offset();
        let window = self.held();
        window.get(..n).ok_or_else(|| cut(offset, n as u64, window.len() as u64))
    }

    /// Consumes `n` bytes and gives them.
    #[inline]
    pub(super) fn take(&mut self, n: usize) -> Result<&[u8], CaptureError> {
        self.need_slice(n)?;
        Ok(self.take_held(n))
    }

    /// What is in the window.
    #[inline]
    pub(super) fn held(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Consumes `n` bytes of the window, which has as many, and gives them.
    #[inline]
    pub(super) fn take_held(&mut self, n: usize) -> &[u8] {
        let start = self.start;
        self.start = self.end.min(start + n);
        self.buffer.get(start..self.start).unwrap_or_default()
    }

    /// Consumes `n` bytes without holding them.
    pub(super) fn skip(&mut self, n: u64) -> Result<(), CaptureError> {
        let mut left = n;
        loop {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(self.end - self.start);
            self.start += step;
            left -= step as u64;
            if left == 0 {
                return Ok(());
            }
            self.fill(1)?;
            if self.start == self.end {
                return Err(cut(self.offset(), left, 0));
            }
        }
    }

    #[inline]
    fn hold(&mut self, n: usize) -> Result<(), CaptureError> {
        if n <= self.end - self.start { Ok(()) } else { self.fill(n) }
    }

    /// Reads until `n` bytes are in the window or the input ends.
    #[cold]
    fn fill(&mut self, n: usize) -> Result<(), CaptureError> {
        if n > MAX_RECORD {
            let fault = Fault::TooLong { claimed: n as u64, limit: MAX_RECORD as u64 };
            return Err(CaptureError { offset: self.offset(), fault });
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        while self.end < n {
            let room = self.buffer.len().min(self.end + CHUNK);
            match self.from.read(self.buffer.get_mut(self.end..room).unwrap_or_default()) {
                Ok(0) => break,
                Ok(got) => self.end += got,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(CaptureError { offset: self.base + self.end as u64, fault: Fault::Read(error) });
                }
            }
        }
        Ok(())
    }
}

fn cut(offset: u64, needed: u64, left: u64) -> CaptureError {
    CaptureError { offset, fault: Fault::Cut { needed, left } }
}
