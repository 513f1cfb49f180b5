//! The columns of a block, one by one, in the order of `LAYOUT`.

use std::sync::Arc;

use super::super::batch::{Batch, Dict};
use super::super::column::{Malformed, Number, Packer, Unpacker};
use super::super::order::{self, ROW_BITS, row_of};
use crate::base::cursor::{Cursor, put_varint, unzigzag, zigzag};
use crate::base::{Ip, Mac, Time};
use crate::flow::{Origin, Side};

/// Which way a column's rows follow from another's.
#[repr(u8)]
enum Codes {
    /// One code per row.
    PerRow = 0,
    /// One code per value of the parent column: what is known of an address is the same in every row.
    PerParent = 1,
}

/// Writes the columns of a batch, one after the other.
pub(super) struct Writer<'a> {
    pub(super) packer: &'a mut Packer,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) scratch: Vec<u64>,
}

impl Writer<'_> {
    pub(super) fn column(&mut self, k: usize, b: &Batch) {
        match k {
            0 => self.numbers(b.last.iter().map(|t| t.micros())),
            1 => self.addresses(&b.addresses[0]),
            2 => self.addresses(&b.addresses[1]),
            3 | 4 => self.numbers(b.bytes[k - 3].iter().copied()),
            5 | 6 => self.numbers(b.packets[k - 5].iter().copied()),
            7 => self.numbers(b.ports[1].iter().map(|&p| u64::from(p))),
            8 => self.numbers(b.protocol.iter().map(|&p| u64::from(p))),
            9 => self.numbers(b.application.iter().map(|&a| u64::from(a))),
            10 => self.numbers(b.ports[0].iter().map(|&p| u64::from(p))),
            11 => self.previous(b),
            12 => self.gaps(&b.last, &b.first),
            13 => self.numbers(b.ordinal.iter().map(|&o| u64::from(o))),
            14 => self.gaps(&b.first, &b.start),
            15 => self.numbers(by_time(&b.start).map(|row| b.id[usize::from(row)])),
            16 => self.numbers(b.end.iter().map(|&e| u64::from(e))),
            17 | 18 => self.beyond(&b.total_packets[k - 17], &b.packets[k - 17]),
            19 | 20 => self.beyond(&b.total_bytes[k - 19], &b.bytes[k - 19]),
            21 | 22 => self.numbers(b.vlans[k - 21].iter().map(|&v| u64::from(v))),
            23 => self.octet_pairs(&b.tcp_flags),
            24 => self.octet_pairs(&b.tos),
            25 => self.numbers(b.rtt.iter().map(|&r| u64::from(r))),
            26 | 27 => self.numbers(b.retransmits[k - 26].iter().map(|&r| u64::from(r))),
            28 | 29 => {
                let dict = &b.macs[k - 28];
                self.count(dict.values.len());
                self.numbers(dict.values.iter().map(|m| mac_to_number(*m)));
                self.codes(&dict.codes, &b.addresses[k - 28]);
            }
            30 | 31 => {
                let dict = &b.sides[k - 30];
                self.count(dict.values.len());
                self.numbers(dict.values.iter().map(|s| u64::from(u16::from_be_bytes(s.country))));
                self.numbers(dict.values.iter().map(|s| u64::from(s.asn)));
                self.numbers(dict.values.iter().map(|s| u64::from(s.mask)));
                self.numbers(dict.values.iter().map(|s| u64::from(s.group)));
                self.codes(&dict.codes, &b.addresses[k - 30]);
            }
            32 => self.origins(&b.origin),
            _ => self.names(&b.server_name),
        }
    }

    fn numbers(&mut self, values: impl Iterator<Item = u64>) {
        self.scratch.clear();
        self.scratch.extend(values);
        self.packer.numbers(self.out, &self.scratch);
    }

    fn count(&mut self, count: usize) {
        put_varint(self.out, count as u64);
    }

    /// How long before `from` each of `earlier` is.
    fn gaps(&mut self, from: &[Time], earlier: &[Time]) {
        self.numbers(from.iter().zip(earlier).map(|(a, b)| a.micros().wrapping_sub(b.micros())));
    }

    /// Totals as what goes beyond the update: nothing, in a session's first update.
    fn beyond(&mut self, totals: &[u64], deltas: &[u64]) {
        self.numbers(totals.iter().zip(deltas).map(|(total, delta)| total.wrapping_sub(*delta)));
    }

    /// 0 for never, else 1 + how long before `first`.
    fn previous(&mut self, b: &Batch) {
        let gap = |first: Time, previous: Time| first.micros().wrapping_sub(previous.micros());
        self.numbers(b.first.iter().zip(&b.previous).map(|(first, previous)| match *previous {
            Time::ZERO => 0,
            previous => zigzag(gap(*first, previous).cast_signed()).wrapping_add(1),
        }));
    }

    fn octet_pairs(&mut self, pairs: &[Vec<u8>; 2]) {
        let [a, b] = pairs;
        self.numbers(a.iter().zip(b).map(|(&a, &b)| u64::from(u16::from_be_bytes([a, b]))));
    }

    fn addresses(&mut self, dict: &Dict<Ip>) {
        self.count(dict.values.len());
        self.halves(dict.values.iter().copied());
        self.numbers(dict.codes.iter().map(|&c| u64::from(c)));
    }

    fn halves(&mut self, addresses: impl Iterator<Item = Ip> + Clone) {
        let number = |ip: Ip| u128::from_be_bytes(ip.octets());
        self.numbers(addresses.clone().map(|ip| (number(ip) >> 64) as u64));
        self.numbers(addresses.map(|ip| number(ip) as u64));
    }

    fn codes(&mut self, codes: &[u16], parent: &Dict<Ip>) {
        if let Some(map) = follows(codes, parent) {
            self.out.push(Codes::PerParent as u8);
            self.numbers(map.iter().map(|&c| u64::from(c)));
        } else {
            self.out.push(Codes::PerRow as u8);
            self.numbers(codes.iter().map(|&c| u64::from(c)));
        }
    }

    fn origins(&mut self, dict: &Dict<Origin>) {
        let values = &dict.values;
        self.count(values.len());
        self.halves(values.iter().map(|o| o.exporter));
        self.numbers(values.iter().map(|o| u64::from(o.version)));
        self.numbers(values.iter().map(|o| u64::from(o.partition)));
        self.numbers(values.iter().map(|o| u64::from(o.sampling)));
        self.numbers(values.iter().map(|o| u64::from(o.if_in)));
        self.numbers(values.iter().map(|o| u64::from(o.if_out)));
        self.numbers(values.iter().map(|o| u64::from(o.ring)));
        self.numbers(dict.codes.iter().map(|&c| u64::from(c)));
    }

    fn names(&mut self, dict: &Dict<Arc<str>>) {
        self.count(dict.values.len());
        self.numbers(dict.values.iter().map(|n| n.len() as u64));
        let octets: Vec<u8> = dict.values.iter().flat_map(|n| n.bytes()).collect();
        self.packer.plane(self.out, &octets);
        self.numbers(dict.codes.iter().map(|&c| u64::from(c)));
    }
}

/// The rows in order of time. Ids are given in the order in which sessions start, so in this order they are nearly
/// consecutive and cost next to nothing.
fn by_time(times: &[Time]) -> impl Iterator<Item = u16> {
    let micros = || times.iter().map(|time| time.micros());
    let (low, high) = micros().fold((u64::MAX, 0), |(low, high), time| (low.min(time), high.max(time)));
    let mut rows: Vec<u64> = if high.saturating_sub(low) >> (u64::BITS - ROW_BITS) == 0 {
        micros().zip(0..).map(|(time, row)| (time - low) << ROW_BITS | row).collect()
    } else {
        // More than a century: the moments by their rank.
        let mut ranked: Vec<(u64, u64)> = micros().zip(0..).collect();
        ranked.sort_unstable();
        ranked.into_iter().zip(0..).map(|((_, row), rank)| rank << ROW_BITS | row).collect()
    };
    order::sort(&mut rows);
    rows.into_iter().map(row_of)
}

/// The code of each of the parent's values, where all rows of one value have the same.
fn follows(codes: &[u16], parent: &Dict<Ip>) -> Option<Vec<u16>> {
    let mut map = vec![None; parent.values.len()];
    for (&code, &of) in codes.iter().zip(&parent.codes) {
        let slot = map.get_mut(usize::from(of))?;
        if *slot.get_or_insert(code) != code {
            return None;
        }
    }
    map.into_iter().collect()
}

fn mac_to_number(mac: Mac) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

fn mac_from_number(number: u64) -> Mac {
    let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
    Mac([a, b, c, d, e, f])
}

/// Reads one column of a block.
pub(super) struct Reader<'a> {
    pub(super) unpacker: &'a mut Unpacker,
    pub(super) from: Cursor<'a>,
    pub(super) rows: usize,
}

impl Reader<'_> {
    pub(super) fn column(&mut self, k: usize, b: &mut Batch) -> Result<(), Malformed> {
        match k {
            0 => b.last = self.rows::<u64>()?.into_iter().map(Time::from_micros).collect(),
            1 | 2 => b.addresses[k - 1] = self.addresses()?,
            3 | 4 => b.bytes[k - 3] = self.rows()?,
            5 | 6 => b.packets[k - 5] = self.rows()?,
            7 => b.ports[1] = self.rows()?,
            8 => b.protocol = self.rows()?,
            9 => b.application = self.rows()?,
            10 => b.ports[0] = self.rows()?,
            // Decoded with `first`, which comes after it in the block.
            11 => b.previous = self.rows::<u64>()?.into_iter().map(Time::from_micros).collect(),
            12 => {
                b.first = self.gaps(&b.last)?;
                for (previous, first) in b.previous.iter_mut().zip(&b.first) {
                    if let Some(gap) = previous.micros().checked_sub(1) {
                        let gap = unzigzag(gap).cast_unsigned();
                        *previous = Time::from_micros(first.micros().wrapping_sub(gap));
                    }
                }
            }
            13 => b.ordinal = self.rows()?,
            14 => b.start = self.gaps(&b.first)?,
            15 => {
                let ids: Vec<u64> = self.rows()?;
                b.id = vec![0; self.rows];
                for (row, id) in by_time(&b.start).zip(ids) {
                    b.id[usize::from(row)] = id;
                }
            }
            16 => b.end = self.rows()?,
            17 | 18 => b.total_packets[k - 17] = self.beyond(&b.packets[k - 17])?,
            19 | 20 => b.total_bytes[k - 19] = self.beyond(&b.bytes[k - 19])?,
            21 | 22 => b.vlans[k - 21] = self.rows()?,
            23 => b.tcp_flags = self.octet_pairs()?,
            24 => b.tos = self.octet_pairs()?,
            25 => b.rtt = self.rows()?,
            26 | 27 => b.retransmits[k - 26] = self.rows()?,
            28 | 29 => {
                let count = self.count()?;
                let values = self.numbers::<u64>(count)?.into_iter().map(mac_from_number).collect();
                b.macs[k - 28] = self.with_codes(values, &b.addresses[k - 28])?;
            }
            30 | 31 => {
                let values = self.sides()?;
                b.sides[k - 30] = self.with_codes(values, &b.addresses[k - 30])?;
            }
            32 => {
                let values = self.origins()?;
                b.origin = self.per_row(values)?;
            }
            _ => {
                let values = self.names()?;
                b.server_name = self.per_row(values)?;
            }
        }
        Ok(())
    }

    fn numbers<T: Number>(&mut self, n: usize) -> Result<Vec<T>, Malformed> {
        self.unpacker.numbers(&mut self.from, n)
    }

    fn rows<T: Number>(&mut self) -> Result<Vec<T>, Malformed> {
        self.numbers(self.rows)
    }

    /// How many distinct values there are: at least one, at most one per row.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.from.varint()?;
        usize::try_from(count).ok().filter(|c| (1..=self.rows).contains(c)).ok_or(Malformed)
    }

    fn gaps(&mut self, from: &[Time]) -> Result<Vec<Time>, Malformed> {
        let gaps = self.rows::<u64>()?;
        Ok(from.iter().zip(gaps).map(|(from, gap)| Time::from_micros(from.micros().wrapping_sub(gap))).collect())
    }

    fn beyond(&mut self, deltas: &[u64]) -> Result<Vec<u64>, Malformed> {
        let mut totals = self.rows::<u64>()?;
        totals.iter_mut().zip(deltas).for_each(|(total, delta)| *total = total.wrapping_add(*delta));
        Ok(totals)
    }

    fn octet_pairs(&mut self) -> Result<[Vec<u8>; 2], Malformed> {
        let pairs = self.rows::<u16>()?;
        Ok([pairs.iter().map(|p| p.to_be_bytes()[0]).collect(), pairs.iter().map(|p| p.to_be_bytes()[1]).collect()])
    }

    fn addresses(&mut self) -> Result<Dict<Ip>, Malformed> {
        let count = self.count()?;
        let values = self.halves(count)?;
        self.per_row(values)
    }

    fn halves(&mut self, count: usize) -> Result<Vec<Ip>, Malformed> {
        let (high, low) = (self.numbers::<u64>(count)?, self.numbers::<u64>(count)?);
        let whole = |(high, low): (u64, u64)| Ip::v6((u128::from(high) << 64 | u128::from(low)).to_be_bytes());
        Ok(high.into_iter().zip(low).map(whole).collect())
    }

    fn per_row<T>(&mut self, values: Vec<T>) -> Result<Dict<T>, Malformed> {
        let codes: Vec<u16> = self.rows()?;
        Self::checked(values, codes)
    }

    fn with_codes<T>(&mut self, values: Vec<T>, parent: &Dict<Ip>) -> Result<Dict<T>, Malformed> {
        if self.from.u8()? == Codes::PerRow as u8 {
            return self.per_row(values);
        }
        let map: Vec<u16> = self.numbers(parent.values.len())?;
        let codes = parent.codes.iter().map(|&of| map.get(usize::from(of)).copied().ok_or(Malformed));
        let codes = codes.collect::<Result<_, _>>()?;
        Self::checked(values, codes)
    }

    fn checked<T>(values: Vec<T>, codes: Vec<u16>) -> Result<Dict<T>, Malformed> {
        let high = codes.iter().fold(0, |high, &c| high.max(c));
        if usize::from(high) < values.len() { Ok(Dict { values, codes }) } else { Err(Malformed) }
    }

    fn sides(&mut self) -> Result<Vec<Side>, Malformed> {
        let n = self.count()?;
        let (countries, asns): (Vec<u16>, Vec<u32>) = (self.numbers(n)?, self.numbers(n)?);
        let (masks, groups): (Vec<u8>, Vec<u16>) = (self.numbers(n)?, self.numbers(n)?);
        let sides = countries.into_iter().zip(asns).zip(masks).zip(groups);
        Ok(sides
            .map(|(((country, asn), mask), group)| Side { country: country.to_be_bytes(), asn, mask, group })
            .collect())
    }

    fn origins(&mut self) -> Result<Vec<Origin>, Malformed> {
        let n = self.count()?;
        let exporters = self.halves(n)?;
        let (versions, partitions): (Vec<u8>, Vec<u16>) = (self.numbers(n)?, self.numbers(n)?);
        let (samplings, ins): (Vec<u32>, Vec<u32>) = (self.numbers(n)?, self.numbers(n)?);
        let (outs, rings): (Vec<u32>, Vec<u8>) = (self.numbers(n)?, self.numbers(n)?);
        Ok((0..n)
            .map(|i| Origin {
                exporter: exporters[i],
                version: versions[i],
                partition: partitions[i],
                sampling: samplings[i],
                if_in: ins[i],
                if_out: outs[i],
                ring: rings[i],
            })
            .collect())
    }

    fn names(&mut self) -> Result<Vec<Arc<str>>, Malformed> {
        let count = self.count()?;
        let lengths: Vec<u8> = self.numbers(count)?;
        let total = lengths.iter().map(|&len| usize::from(len)).sum();
        let octets = self.unpacker.octets(&mut self.from, total)?;
        let mut from = Cursor::new(&octets);
        lengths
            .iter()
            .map(|&len| {
                let name = from.take(usize::from(len))?;
                std::str::from_utf8(name).map(Arc::from).map_err(|_| Malformed)
            })
            .collect()
    }
}
