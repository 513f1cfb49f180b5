//! Columns as bytes: numbers by frame of reference, difference or dictionary, split into byte planes, each plane
//! compressed by itself.
//!
//! ```text
//! numbers = 0 varint(value)                                        all the same
//!         | 1 varint(lowest) width planes                          value - lowest
//!         | 2 varint(first) width planes                           zigzag(value - value before), 0 for the first
//!         | 3 count-1 varint(lowest) varint(step).. plane          index into up to 256 values in order
//! planes  = plane of the least significant octets, .. , `width` of them
//! plane   = 0 octets | 1 octet (all the same) | 2 varint(length) zstd frame without its magic number
//! ```
//!
//! A plane by itself has an alphabet of its own: the low octets of a counter look random and are stored as they are, the
//! high ones are nearly always zero and vanish. Decoding is a loop without branches per plane.
//!
//! # Decisions
//! zstd at its level 1 rather than lz4 for the planes, because what planes need is entropy coding, which lz4 has none of.
//! Measured on the planes of 2 KiB and more (16 MB) of the sessions of a mixed capture, one core, other work beside it:
//!
//! | | octets | of it | packed at | unpacked at |
//! |---|---|---|---|---|
//! | as they are | 16.0 MB | 100 % | | |
//! | lz4 (`lz4_flex` 0.11) | 4.36 MB | 27 % | 950 MB/s | 1,610 MB/s |
//! | zstd, level 1 | 3.46 MB | 22 % | 350 MB/s | 960 MB/s |
//!
//! A fifth less flash for the same history.
//!
//! Which form is the shortest is tried with a sample, in one block of [`TRUSTED`]: what a column holds changes slowly, and to try cost a third of
//! what writing does.

use std::fmt;

use zstd::bulk::{Compressor, Decompressor};

use super::few::Few;
use crate::base::cursor::{Cursor, Truncated, put_varint, unzigzag, zigzag};

/// What every zstd frame begins with; not stored.
const MAGIC: [u8; 4] = 0xfd2f_b528u32.to_le_bytes();
/// The most values a column has; more is malformed.
const MOST: usize = super::BATCH_ROWS;
/// Compression below this many octets is not worth its frame.
const WORTH_COMPRESSING: usize = 48;

/// How many numbers the forms are tried on.
const SAMPLE: usize = 512;
/// So many blocks are written in the forms that were the shortest in the first of them.
const TRUSTED: u32 = 8;

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Offsets,
    Steps,
    Coded,
}

impl Form {
    /// [`Form::Coded`], which holds few distinct numbers only, is the last.
    const ALL: [Self; 3] = [Self::Offsets, Self::Steps, Self::Coded];
}

/// Why a column cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<Truncated> for Malformed {
    fn from(_: Truncated) -> Self {
        Self
    }
}

/// A number that a column may hold.
pub(super) trait Number: Copy {
    /// The largest one.
    const MAX: u64;
    /// From a value known to be at most [`Number::MAX`].
    fn narrow(value: u64) -> Self;
}

macro_rules! numbers {
    ($($type:ty),+) => {
        $(impl Number for $type {
            const MAX: u64 = <$type>::MAX as u64;
            #[inline]
            fn narrow(value: u64) -> Self {
                value as Self
            }
        })+
    };
}
numbers!(u8, u16, u32, u64);

/// Writes columns. Holds a compression context (some 100 KiB) and scratch space to use again.
pub(super) struct Packer {
    zstd: Compressor<'static>,
    trial: Vec<u8>,
    steps: Vec<u64>,
    plane: Vec<u8>,
    frame: Vec<u8>,
    /// The shortest form of each column, in the order in which they are written, where it was tried.
    forms: Vec<Option<Form>>,
    /// The column that is written next.
    next: usize,
    blocks: u32,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packer")
    }
}

impl Packer {
    /// A packer; fails only where memory does.
    pub(super) fn new() -> std::io::Result<Self> {
        let mut zstd = Compressor::new(LEVEL)?;
        zstd.include_contentsize(false)?;
        Ok(Self {
            zstd,
            trial: Vec::new(),
            steps: Vec::new(),
            plane: Vec::new(),
            frame: Vec::new(),
            forms: Vec::new(),
            next: 0,
            blocks: 0,
        })
    }

    /// What follows are the columns of a block, from the first.
    pub(super) fn begin_block(&mut self) {
        if self.blocks.is_multiple_of(TRUSTED) {
            self.forms.clear();
        }
        self.blocks = self.blocks.wrapping_add(1);
        self.next = 0;
    }

    /// Appends the numbers of the next column, in the shortest of the forms.
    pub(super) fn numbers(&mut self, out: &mut Vec<u8>, values: &[u64]) {
        let column = self.next;
        self.next += 1;
        let first = values.first().copied().unwrap_or(0);
        if values.iter().all(|value| *value == first) {
            out.push(0);
            put_varint(out, first);
            return;
        }
        let low = values.iter().fold(first, |low, value| low.min(*value));
        let is_long = values.len() > SAMPLE;
        let known = self.forms.get(column).copied().flatten().filter(|_| is_long);
        if known.is_some_and(|form| self.form(out, form, values, low)) {
            return;
        }
        let best = self.shortest(values, low);
        if is_long {
            self.forms.resize(self.forms.len().max(column + 1), None);
            self.forms[column] = Some(best);
        }
        if !self.form(out, best, values, low) {
            self.form(out, Form::Offsets, values, low);
        }
    }

    /// The form in which a sample of the numbers is the shortest.
    fn shortest(&mut self, values: &[u64], low: u64) -> Form {
        let sample = values.len() / 2..(values.len() / 2 + SAMPLE).min(values.len());
        self.steps.clear();
        self.steps.extend_from_slice(&values[sample.clone()]);
        self.steps.sort_unstable();
        self.steps.dedup();
        let forms: &[Form] = if self.steps.len() <= 256 { &Form::ALL } else { &Form::ALL[..2] };
        let shortest = forms.iter().copied().min_by_key(|form| {
            self.trial.clear();
            let mut trial = std::mem::take(&mut self.trial);
            let fits = self.form(&mut trial, *form, &values[sample.clone()], low);
            let len = if fits { trial.len() } else { usize::MAX };
            self.trial = trial;
            len
        });
        shortest.unwrap_or(Form::Offsets)
    }

    /// Appends the numbers in that form; says no where it cannot hold them.
    fn form(&mut self, out: &mut Vec<u8>, form: Form, values: &[u64], low: u64) -> bool {
        match form {
            Form::Offsets => {
                out.push(1);
                put_varint(out, low);
                self.planes(out, values.iter().map(|v| v - low));
            }
            Form::Steps => {
                let mut before = values.first().copied().unwrap_or(0);
                out.push(2);
                put_varint(out, before);
                let mut steps = std::mem::take(&mut self.steps);
                steps.clear();
                steps.extend(values.iter().map(|&value| {
                    let before = std::mem::replace(&mut before, value);
                    zigzag(value.wrapping_sub(before).cast_signed())
                }));
                self.planes(out, steps.iter().copied());
                self.steps = steps;
            }
            Form::Coded => {
                let Some(few) = Few::of(values.iter().copied(), 256) else { return false };
                out.push(3);
                out.push((few.values.len() - 1) as u8);
                let mut before = 0;
                for &(value, _) in &few.values {
                    put_varint(out, value - before);
                    before = value;
                }
                let codes: Vec<u8> = few.codes.iter().map(|code| *code as u8).collect();
                self.plane(out, &codes);
            }
        }
        true
    }

    fn planes(&mut self, out: &mut Vec<u8>, values: impl Iterator<Item = u64> + Clone) {
        let all = values.clone().fold(0, |all, v| all | v);
        let width = 8 - all.leading_zeros() / 8;
        out.push(width as u8);
        let mut plane = std::mem::take(&mut self.plane);
        for k in 0..width {
            plane.clear();
            plane.extend(values.clone().map(|v| (v >> (8 * k)) as u8));
            self.plane(out, &plane);
        }
        self.plane = plane;
    }

    /// Appends octets whose number the reader knows, compressed where that helps.
    pub(super) fn plane(&mut self, out: &mut Vec<u8>, octets: &[u8]) {
        if let Some(&first) = octets.first()
            && octets.iter().all(|&o| o == first)
        {
            out.extend([1, first]);
            return;
        }
        if octets.len() >= WORTH_COMPRESSING {
            self.frame.clear();
            self.frame.reserve(zstd::zstd_safe::compress_bound(octets.len()));
            let fits = self.zstd.compress_to_buffer(octets, &mut self.frame);
            if let Ok(len) = fits
                && let Some(frame) = self.frame.get(MAGIC.len()..len)
                && frame.len() + 2 < octets.len()
            {
                out.push(2);
                put_varint(out, frame.len() as u64);
                out.extend_from_slice(frame);
                return;
            }
        }
        out.push(0);
        out.extend_from_slice(octets);
    }
}

/// See the module doc.
const LEVEL: i32 = 1;

/// Reads columns. Holds a decompression context (some 100 KiB) and scratch space to use again.
pub(super) struct Unpacker {
    zstd: Decompressor<'static>,
    frame: Vec<u8>,
    plane: Vec<u8>,
    wide: Vec<u64>,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unpacker")
    }
}

impl Unpacker {
    /// An unpacker; fails only where memory does.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { zstd: Decompressor::new()?, frame: Vec::new(), plane: Vec::new(), wide: Vec::new() })
    }

    /// Reads `n` numbers.
    pub(super) fn numbers<T: Number>(&mut self, from: &mut Cursor<'_>, n: usize) -> Result<Vec<T>, Malformed> {
        if n > MOST {
            return Err(Malformed);
        }
        match from.u8()? {
            0 => {
                let value = from.varint()?;
                if value > T::MAX { Err(Malformed) } else { Ok(vec![T::narrow(value); n]) }
            }
            1 => {
                let lowest = from.varint()?;
                self.planes(from, n)?;
                self.wide.iter_mut().for_each(|v| *v = v.wrapping_add(lowest));
                self.narrowed()
            }
            2 => {
                let mut value = from.varint()?;
                self.planes(from, n)?;
                for v in &mut self.wide {
                    value = value.wrapping_add(unzigzag(*v).cast_unsigned());
                    *v = value;
                }
                self.narrowed()
            }
            3 => {
                let count = usize::from(from.u8()?) + 1;
                let mut values = [0u64; 256];
                let mut value = 0u64;
                for slot in values.iter_mut().take(count) {
                    value = value.checked_add(from.varint()?).filter(|v| *v <= T::MAX).ok_or(Malformed)?;
                    *slot = value;
                }
                self.plane(from, n)?;
                if self.plane.iter().any(|&code| usize::from(code) >= count) {
                    return Err(Malformed);
                }
                Ok(self.plane.iter().map(|&code| T::narrow(values[usize::from(code)])).collect())
            }
            _ => Err(Malformed),
        }
    }

    fn narrowed<T: Number>(&self) -> Result<Vec<T>, Malformed> {
        let high = self.wide.iter().fold(0, |high, &v| high.max(v));
        if high > T::MAX { Err(Malformed) } else { Ok(self.wide.iter().map(|&v| T::narrow(v)).collect()) }
    }

    fn planes(&mut self, from: &mut Cursor<'_>, n: usize) -> Result<(), Malformed> {
        let width = u32::from(from.u8()?);
        if width > 8 {
            return Err(Malformed);
        }
        self.wide.clear();
        self.wide.resize(n, 0);
        for k in 0..width {
            self.plane(from, n)?;
            for (v, &octet) in self.wide.iter_mut().zip(&self.plane) {
                *v |= u64::from(octet) << (8 * k);
            }
        }
        Ok(())
    }

    /// Reads `n` octets into `self.plane`.
    fn plane(&mut self, from: &mut Cursor<'_>, n: usize) -> Result<(), Malformed> {
        self.plane.clear();
        match from.u8()? {
            0 => self.plane.extend_from_slice(from.take(n)?),
            1 => self.plane.resize(n, from.u8()?),
            2 => {
                let len = usize::try_from(from.varint()?).map_err(|_| Malformed)?;
                self.frame.clear();
                self.frame.extend_from_slice(&MAGIC);
                self.frame.extend_from_slice(from.take(len)?);
                self.plane.resize(n, 0);
                let got = self.zstd.decompress_to_buffer(&self.frame, self.plane.as_mut_slice());
                if got.ok() != Some(n) {
                    return Err(Malformed);
                }
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    /// Reads `n` octets that [`Packer::plane`] wrote.
    pub(super) fn octets(&mut self, from: &mut Cursor<'_>, n: usize) -> Result<Vec<u8>, Malformed> {
        self.plane(from, n)?;
        Ok(std::mem::take(&mut self.plane))
    }
}
