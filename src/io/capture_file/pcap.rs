//! pcap: a file header, then records of a small header and a frame each.

use super::input::Input;
use super::{CaptureError, Fault, Frame, MAX_FRAME, Order, too_short};
use crate::base::{Cursor, Time};

const FILE_HEADER: usize = 24;

/// What the file header says.
pub(super) struct Pcap {
    order: Order,
    /// Fractions of a second are nanoseconds.
    nano: bool,
    /// Bytes of a record's header.
    header: usize,
    lengths: Lengths,
    link: u32,
}

/// In which order a record's header has the captured and the wire length.
#[derive(PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// Before version 2.3.
    WireFirst,
    /// Version 2.3 came in both: the captured length is the lesser.
    Either,
}

impl Pcap {
    /// Reads the file header.
    pub(super) fn open(magic: [u8; 4], input: &mut Input) -> Result<Self, CaptureError> {
        let order = match magic {
            [0xa1, 0xb2, ..] => Order::Big,
            _ => Order::Little,
        };
        let (nano, header) = match order.u32(magic) {
            0xa1b2_c3d4 => (false, 16),
            0xa1b2_3c4d => (true, 16),
            0xa1b2_cd34 => (false, 24),
            _ => return Err(CaptureError { offset: 0, fault: Fault::NotACapture(magic) }),
        };
        let mut fields = Cursor::new(input.take(FILE_HEADER)?);
        let cut = || too_short(0, FILE_HEADER as u32);
        fields.skip(4).map_err(cut())?;
        let major = order.u16(fields.array().map_err(cut())?);
        let minor = order.u16(fields.array().map_err(cut())?);
        let lengths = match (major, minor) {
            (2, 0..=2) => Lengths::WireFirst,
            (2, 3) => Lengths::Either,
            (2, _) => Lengths::CapturedFirst,
            // DG/UX wrote its own number into files of version 2.2.
            (543, 0) => Lengths::WireFirst,
            _ => return Err(CaptureError { offset: 4, fault: Fault::Version(major, minor) }),
        };
        // Time zone, accuracy, snap length: no writer fills the first two, and the last is not always true.
        fields.skip(12).map_err(cut())?;
        // The upper bits tell of a frame check sequence at the end of each frame, which lengths in headers exclude.
        let link = order.u32(fields.array().map_err(cut())?) & 0xffff;
        Ok(Self { order, nano, header, lengths, link })
    }

    /// `LINKTYPE_` number of all frames.
    pub fn link(&self) -> u32 {
        self.link
    }

    #[inline]
    pub(super) fn next<'a>(&mut self, input: &'a mut Input) -> Result<Option<Frame<'a>>, CaptureError> {
        // Nearly every record lies in the window already.
        if let Some(&head) = input.held().first_chunk() {
            let head = self.head(head);
            let record = self.header + head.captured as usize;
            if head.captured as usize <= MAX_FRAME && record <= input.held().len() {
                return Ok(Some(self.frame(head, input.take_held(record))));
            }
        }
        self.next_beyond(input)
    }

    /// A record that is not in the window as a whole, that is too long, or the end.
    #[cold]
    fn next_beyond<'a>(&mut self, input: &'a mut Input) -> Result<Option<Frame<'a>>, CaptureError> {
        let offset = input.offset();
        let Some(&head) = input.need_or_end()? else { return Ok(None) };
        let head = self.head(head);
        if head.captured as usize > MAX_FRAME {
            let fault = Fault::TooLong { claimed: u64::from(head.captured), limit: MAX_FRAME as u64 };
            return Err(CaptureError { offset, fault });
        }
        Ok(Some(self.frame(head, input.take(self.header + head.captured as usize)?)))
    }

    #[inline]
    fn head(&self, head: [u8; 16]) -> RecordHead {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = head;
        let order = self.order;
        let (first, second) = (order.u32([i, j, k, l]), order.u32([m, n, o, p]));
        let (captured, wire_len) = match self.lengths {
            Lengths::WireFirst => (second, first),
            Lengths::Either if first > second => (second, first),
            _ => (first, second),
        };
        RecordHead { seconds: order.u32([a, b, c, d]), fraction: order.u32([e, f, g, h]), captured, wire_len }
    }

    #[inline]
    fn frame<'a>(&self, head: RecordHead, record: &'a [u8]) -> Frame<'a> {
        let micros = if self.nano { head.fraction / 1_000 } else { head.fraction };
        Frame {
            time: Time::from_micros(u64::from(head.seconds) * 1_000_000 + u64::from(micros)),
            link: self.link,
            interface: 0,
            wire_len: head.wire_len,
            bytes: record.get(self.header..).unwrap_or_default(),
        }
    }
}

/// The part of a record's header that all variants have.
#[derive(Clone, Copy)]
struct RecordHead {
    seconds: u32,
    fraction: u32,
    captured: u32,
    wire_len: u32,
}
