//! The decoders of one sender: all datagrams of an address, or all messages of a connection.
//!
//! What a datagram is, its first octets say, whatever port it came to. Decoders are made when they are needed.

use serde_json::Value;

use crate::base::Time;
use crate::base::lru::HashKey;
use crate::wire::exported::{Protocol, Told};
use crate::wire::exporter::{self, Decoder, Limits, Refusal};
use crate::wire::{Tunnels, sflow};

/// See the module doc.
#[derive(Debug, Default)]
pub struct Decoding {
    netflow: Option<Box<Decoder>>,
    sflow: Option<Box<sflow::Decoder>>,
    limits: Limits,
}

/// What was lost of what a sender sent, as its own numbers say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// NetFlow and IPFIX: flows, datagrams or records, whatever the protocol counts.
    pub units: u64,
    /// Gaps in the numbers.
    pub gaps: u64,
}

impl Decoding {
    /// The decoders of a connection: templates live as long as it does.
    #[must_use]
    pub fn of_stream() -> Self {
        Self { limits: Limits::default().of_stream(), ..Self::default() }
    }

    /// Tells what is in a datagram, and of which protocol it is; none where nothing of it could be read.
    pub(super) fn decode(
        &mut self,
        now: Time,
        datagram: &[u8],
        tell: &mut impl FnMut(Protocol, Told<'_>),
    ) -> Option<Protocol> {
        let protocol = exporter::protocol(datagram)?;
        let mut tell = |told: Told<'_>| tell(protocol, told);
        let is_read = match protocol {
            Protocol::SFlow5 => {
                let make = || Box::new(sflow::Decoder::new(Tunnels::Outer, HashKey::random()));
                self.sflow.get_or_insert_with(make).decode(datagram, &mut tell).is_ok()
            }
            _ => {
                let decoder = self.netflow.get_or_insert_with(|| Box::new(Decoder::new(self.limits)));
                decoder.decode(datagram, now, &mut tell).is_ok()
            }
        };
        is_read.then_some(protocol)
    }

    /// What was lost on the way.
    #[must_use]
    pub fn lost(&self) -> Lost {
        let mut lost = Lost::default();
        if let Some(netflow) = &self.netflow {
            for stream in netflow.streams() {
                lost.units += stream.sequence.lost;
                lost.gaps += stream.sequence.gaps;
            }
        }
        if let Some(sflow) = &self.sflow {
            lost.units += sflow.counters().lost_datagrams;
            lost.gaps += u64::from(sflow.counters().lost_datagrams > 0);
        }
        lost
    }

    /// What was not understood, by reason, of what occurred; and what waits for its template or was let go.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (String, Value)> {
        let netflow = self.netflow.iter().flat_map(|decoder| {
            let reasons = Refusal::ALL.iter().map(|reason| (reason.name(), decoder.counters().refused(*reason)));
            let (waiting, let_go, _) = decoder.waiting();
            let templates = [("template_missing_waiting", waiting as u64), ("template_missing_let_go", let_go)];
            reasons.chain(templates)
        });
        let sflow = self.sflow.iter().flat_map(|decoder| decoder.refused().map(|(reason, n)| (reason.name(), n)));
        let Lost { units, gaps } = self.lost();
        let lost = [("lost", units), ("gaps", gaps)];
        let all = netflow.chain(sflow).chain(lost).filter(|(_, n)| *n > 0);
        all.map(|(name, n)| (name.to_owned(), n.into())).collect::<Vec<_>>().into_iter()
    }
}
