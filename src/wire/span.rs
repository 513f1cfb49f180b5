//! The bytes of one layer: those captured, and how many more the layer above claims.

/// A part of a frame, from here to the end that the header above claimed. What the snap length cut off is `missing`.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// Octets claimed beyond those.
    pub missing: u32,
}

impl<'a> Span<'a> {
    /// A whole frame.
    #[inline]
    pub fn of_frame(bytes: &'a [u8], wire_len: u32) -> Self {
        Self { bytes, missing: wire_len.saturating_sub(length(bytes)) }
    }

    /// Octets by the claim.
    #[inline]
    pub fn claimed(self) -> u32 {
        length(self.bytes).saturating_add(self.missing)
    }

    /// Reads a header of `N` octets; `None` where they were not captured.
    #[inline]
    pub fn header<const N: usize>(self) -> Option<(&'a [u8; N], Self)> {
        self.bytes.split_first_chunk().map(|(head, bytes)| (head, Self { bytes, missing: self.missing }))
    }

    /// The first octets as an array, without stepping over them.
    #[inline]
    pub fn peek<const N: usize>(self) -> Option<&'a [u8; N]> {
        self.bytes.first_chunk()
    }

    /// Steps over `n` octets, captured or not; `None` where fewer are claimed.
    #[inline]
    pub fn skip(self, n: u32) -> Option<Self> {
        if let Some(bytes) = self.bytes.get(n as usize..) {
            return Some(Self { bytes, missing: self.missing });
        }
        let missing = self.missing.checked_sub(n - length(self.bytes))?;
        Some(Self { bytes: &[], missing })
    }

    /// The first `n` octets, where a header claims that many. A claim beyond the capture makes the rest `missing`.
    #[inline]
    pub fn claim(self, n: u32) -> Self {
        match self.bytes.get(..n as usize) {
            Some(bytes) => Self { bytes, missing: 0 },
            None => Self { bytes: self.bytes, missing: n - length(self.bytes) },
        }
    }
}

/// Frames are far below 4 GiB; a longer slice would only be counted short.
#[inline]
fn length(bytes: &[u8]) -> u32 {
    bytes.len() as u32
}
