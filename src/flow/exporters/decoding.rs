//! The decoder of one sender: all datagrams of an address, or all messages of a connection. It is made when it is needed.

use crate::base::Time;
use crate::wire::exported::{Protocol, Told};
use crate::wire::exporter::{Decoder, Limits, Refusal, protocol};

/// See the module doc.
#[derive(Debug, Default)]
pub struct Decoding {
    decoder: Option<Box<Decoder>>,
    limits: Limits,
}

/// What was lost of what a sender sent, as its own numbers say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Flows, datagrams or records: what the protocol counts.
    pub units: u64,
    /// Gaps in the numbers.
    pub gaps: u64,
}

impl std::ops::Add for Lost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { units: self.units + other.units, gaps: self.gaps + other.gaps }
    }
}

/// What a decoder holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Templates in force.
    pub templates: usize,
    /// Sets of data that wait for their template.
    pub waiting: usize,
}

impl Decoding {
    /// One that keeps within these bounds.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        if let Some(decoder) = &mut self.decoder {
            decoder.set_limits(limits);
        }
    }

    /// Tells what is in a datagram, and of which protocol it is; none where nothing of it could be read.
    pub(super) fn decode(
        &mut self,
        now: Time,
        datagram: &[u8],
        tell: &mut impl FnMut(Protocol, Told<'_>),
    ) -> Option<Protocol> {
        let spoken = protocol(datagram)?;
        let decoder = self.decoder.get_or_insert_with(|| Box::new(Decoder::new(self.limits)));
        decoder.decode(datagram, now, &mut |told| tell(spoken, told)).ok()
    }

    /// What was lost on the way.
    #[must_use]
    pub fn lost(&self) -> Lost {
        let mut lost = Lost::default();
        for stream in self.decoder.iter().flat_map(|decoder| decoder.streams()) {
            lost.units += stream.sequence.lost;
            lost.gaps += stream.sequence.gaps;
        }
        lost
    }

    pub(super) fn held(&self) -> Held {
        let Some(decoder) = &self.decoder else { return Held::default() };
        let (waiting, _, _) = decoder.waiting();
        Held { templates: decoder.domains().iter().map(|domain| domain.templates().len()).sum(), waiting }
    }

    /// What was not understood, by reason, of what occurred; what was let go that waited for its template, and what was lost.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Lost { units, gaps } = self.lost();
        let understood = self.decoder.iter().flat_map(|decoder| {
            let counters = decoder.counters();
            let reasons = Refusal::ALL.iter().map(|reason| (reason.name(), counters.refused(*reason)));
            let (_, let_go, _) = decoder.waiting();
            let bounds = [
                ("template_missing_let_go", let_go),
                ("templates_evicted", counters.templates_evicted),
                ("domains_evicted", counters.domains_evicted),
            ];
            reasons.chain(bounds)
        });
        understood.chain([("lost", units), ("gaps", gaps)]).filter(|(_, n)| *n > 0)
    }
}
