//! pcapng: a chain of blocks; sections describe interfaces, and packets name theirs.

use super::input::Input;
use super::{CaptureError, Fault, Frame, MAX_FRAME, MAX_INTERFACES, Order, too_short};
use crate::base::{Cursor, Time};

/// Type of the Section Header Block: the same in both byte orders, for it comes before the order is known.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 0x0000_0001;
const PACKET: u32 = 0x0000_0002;
const SIMPLE_PACKET: u32 = 0x0000_0003;
const ENHANCED_PACKET: u32 = 0x0000_0006;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Type and length before the body, length after it.
const OVERHEAD: u32 = 12;
const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// The section being read.
#[derive(Default)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Time of the last packet that had one.
    last: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interface {
    link: u16,
    tick: Tick,
    snap_len: u32,
    /// Seconds to add to each time stamp.
    offset: i64,
}

/// What one count of a time stamp is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tick {
    Microsecond,
    Nanosecond,
    /// 10 to the power of minus this, in seconds.
    Decimal(u8),
    /// 2 to the power of minus this, in seconds.
    Binary(u8),
}

impl Pcapng {
    pub(super) fn next<'a>(&mut self, input: &'a mut Input) -> Result<Option<Frame<'a>>, CaptureError> {
        loop {
            let offset = input.offset();
            let Some(&[a, b, c, d, e, f, g, h]) = input.need_or_end()? else { return Ok(None) };
            if [a, b, c, d] == SECTION_HEADER.to_be_bytes() {
                self.begin_section(input)?;
                continue;
            }
            let block = Block { offset, kind: self.order.u32([a, b, c, d]), len: self.order.u32([e, f, g, h]) };
            let padded = block.padded()?;
            match block.kind {
                INTERFACE_DESCRIPTION => {
                    let body = block.body(input.need_slice(padded)?, self.order)?;
                    let interface = self.interface(&block, body)?;
                    if self.interfaces.len() >= MAX_INTERFACES {
                        return Err(CaptureError { offset, fault: Fault::TooManyInterfaces });
                    }
                    self.interfaces.push(interface);
                    input.skip(padded as u64)?;
                }
                ENHANCED_PACKET | PACKET | SIMPLE_PACKET => {
                    let body = block.body(input.take(padded)?, self.order)?;
                    return self.packet(&block, body).map(Some);
                }
                _ => {
                    input.skip(padded as u64 - 4)?;
                    let trailer = self.order.u32(*input.need()?);
                    block.check(trailer)?;
                    input.skip(4)?;
                }
            }
        }
    }

    fn begin_section(&mut self, input: &mut Input) -> Result<(), CaptureError> {
        let offset = input.offset();
        let mut fields = Cursor::new(input.need_slice(16)?);
        let cut = || too_short(offset, 16);
        fields.skip(4).map_err(cut())?;
        let len = fields.array().map_err(cut())?;
        let magic: [u8; 4] = fields.array().map_err(cut())?;
        let order = if magic == BYTE_ORDER.to_le_bytes() {
            Order::Little
        } else if magic == BYTE_ORDER.to_be_bytes() {
            Order::Big
        } else {
            let fault = Fault::ByteOrder(u32::from_be_bytes(magic));
            return Err(CaptureError { offset: offset + 8, fault });
        };
        let major = order.u16(fields.array().map_err(cut())?);
        let minor = order.u16(fields.array().map_err(cut())?);
        if major != 1 {
            return Err(CaptureError { offset: offset + 12, fault: Fault::Version(major, minor) });
        }
        let block = Block { offset, kind: SECTION_HEADER, len: order.u32(len) };
        let padded = block.padded()?;
        // Byte order, version and section length are the least that the body has.
        if block.len < OVERHEAD + 16 {
            return Err(CaptureError { offset: offset + 4, fault: Fault::BlockLength(block.len) });
        }
        input.skip(padded as u64 - 4)?;
        block.check(order.u32(*input.need()?))?;
        input.skip(4)?;
        self.order = order;
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&self, block: &Block, body: &[u8]) -> Result<Interface, CaptureError> {
        let order = self.order;
        let cut = || too_short(block.offset + 8, block.len);
        let mut fields = Cursor::new(body);
        let link = order.u16(fields.array().map_err(cut())?);
        fields.skip(2).map_err(cut())?;
        let snap_len = order.u32(fields.array().map_err(cut())?);
        let mut interface = Interface { link, tick: Tick::Microsecond, snap_len, offset: 0 };
        // Options may end without an end mark.
        while fields.remaining() >= 4 {
            let code = order.u16(fields.array().map_err(cut())?);
            let len = order.u16(fields.array().map_err(cut())?);
            if code == OPTION_END {
                break;
            }
            let value = fields.take(usize::from(len)).map_err(cut())?;
            match (code, value) {
                (OPTION_TSRESOL, &[resolution]) => interface.tick = Tick::new(resolution),
                (OPTION_TSOFFSET, value) => {
                    if let Ok(seconds) = value.try_into() {
                        interface.offset = order.i64(seconds);
                    }
                }
                _ => {}
            }
            let padding = usize::from(len).wrapping_neg() % 4;
            fields.skip(padding.min(fields.remaining())).map_err(cut())?;
        }
        Ok(interface)
    }

    fn packet<'a>(&mut self, block: &Block, body: &'a [u8]) -> Result<Frame<'a>, CaptureError> {
        let order = self.order;
        let cut = || too_short(block.offset + 8, block.len);
        let mut fields = Cursor::new(body);
        let number = match block.kind {
            SIMPLE_PACKET => 0,
            // The upper half counts drops.
            PACKET => {
                let number = order.u16(fields.array().map_err(cut())?);
                fields.skip(2).map_err(cut())?;
                u32::from(number)
            }
            _ => order.u32(fields.array().map_err(cut())?),
        };
        let Some(interface) = self.interfaces.get(number as usize) else {
            return Err(CaptureError { offset: block.offset + 8, fault: Fault::UnknownInterface(number) });
        };
        let (captured, wire_len) = if block.kind == SIMPLE_PACKET {
            let wire_len = order.u32(fields.array().map_err(cut())?);
            let snapped = if interface.snap_len == 0 { wire_len } else { wire_len.min(interface.snap_len) };
            (snapped as usize, wire_len)
        } else {
            let high = order.u32(fields.array().map_err(cut())?);
            let low = order.u32(fields.array().map_err(cut())?);
            self.last = interface.time(u64::from(high) << 32 | u64::from(low));
            let captured = order.u32(fields.array().map_err(cut())?);
            (captured as usize, order.u32(fields.array().map_err(cut())?))
        };
        if captured > MAX_FRAME {
            let fault = Fault::TooLong { claimed: captured as u64, limit: MAX_FRAME as u64 };
            return Err(CaptureError { offset: block.offset, fault });
        }
        let bytes = fields.take(captured).map_err(cut())?;
        Ok(Frame { time: self.last, link: u32::from(interface.link), interface: number, wire_len, bytes })
    }
}

/// The head of a block.
struct Block {
    offset: u64,
    kind: u32,
    /// Length of the whole block as it claims.
    len: u32,
}

impl Block {
    /// Length of the whole block, which must have room for its own lengths.
    fn padded(&self) -> Result<usize, CaptureError> {
        match self.len.checked_next_multiple_of(4) {
            Some(padded) if padded >= OVERHEAD => Ok(padded as usize),
            _ => Err(CaptureError { offset: self.offset + 4, fault: Fault::BlockLength(self.len) }),
        }
    }

    /// What stands between type and length at the start and length at the end.
    fn body<'a>(&self, whole: &'a [u8], order: Order) -> Result<&'a [u8], CaptureError> {
        match whole.get(8..).and_then(<[u8]>::split_last_chunk) {
            Some((body, trailer)) => self.check(order.u32(*trailer)).map(|()| body),
            None => Err(CaptureError { offset: self.offset, fault: Fault::BlockLength(self.len) }),
        }
    }

    /// The length after the body repeats the one before it.
    fn check(&self, trailer: u32) -> Result<(), CaptureError> {
        if trailer == self.len {
            Ok(())
        } else {
            Err(CaptureError { offset: self.offset, fault: Fault::BlockLength(trailer) })
        }
    }
}

impl Interface {
    /// The moment that a time stamp of this interface means; saturates.
    fn time(&self, count: u64) -> Time {
        let micros = self.tick.micros(count);
        if self.offset == 0 {
            return Time::from_micros(micros);
        }
        Time::from_micros(micros.saturating_add_signed(self.offset.saturating_mul(1_000_000)))
    }
}

impl Tick {
    fn new(resolution: u8) -> Self {
        match resolution {
            6 => Self::Microsecond,
            9 => Self::Nanosecond,
            power if power & 0x80 != 0 => Self::Binary(power & 0x7f),
            power => Self::Decimal(power),
        }
    }

    fn micros(self, count: u64) -> u64 {
        match self {
            Self::Microsecond => count,
            Self::Nanosecond => count / 1_000,
            Self::Decimal(power @ 0..6) => count.saturating_mul(10u64.pow(6 - u32::from(power))),
            Self::Decimal(power) => 10u64.checked_pow(u32::from(power) - 6).map_or(0, |unit| count / unit),
            Self::Binary(power) => {
                let micros = (u128::from(count) * 1_000_000).checked_shr(u32::from(power)).unwrap_or(0);
                u64::try_from(micros).unwrap_or(u64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_of_every_resolution_become_microseconds() {
        let one_and_a_half = [(0x06, 1_500_000), (0x09, 1_500_000_000), (0x01, 15), (0x81, 3), (0xa0, 3 << 31)];
        for (resolution, count) in one_and_a_half {
            assert_eq!(Tick::new(resolution).micros(count), 1_500_000, "resolution {resolution:#04x}");
        }
        assert_eq!(Tick::new(0).micros(u64::MAX), u64::MAX);
        assert_eq!(Tick::new(0x7f).micros(u64::MAX), 0);
        assert_eq!(Tick::new(0xff).micros(u64::MAX), 0);
    }

    #[test]
    fn a_time_offset_is_added_in_seconds_and_saturates() {
        let at = |offset| Interface { link: 1, tick: Tick::Nanosecond, snap_len: 0, offset }.time(1_000_000_000);
        assert_eq!(at(2), Time::from_secs(3));
        assert_eq!(at(-1), Time::ZERO);
        assert_eq!(at(i64::MIN), Time::ZERO);
        assert!(at(i64::MAX) > Time::from_secs(1 << 40));
    }
}
