//! Observation domains: the templates, samplers and sequence of one stream of an exporter.

use std::time::Duration;

use crate::base::Time;
use crate::wire::exported::{Flow, Protocol, SamplerKey};
use crate::wire::sequence::Sequence;

use super::template::Template;

/// One observation domain (IPFIX) or source (NetFlow v9) of an exporter. The same number in both protocols is two domains.
#[derive(Debug)]
pub struct Domain {
    /// NetFlow v9 or IPFIX.
    pub protocol: Protocol,
    /// Its number.
    pub id: u32,
    /// What was lost.
    pub sequence: Sequence,
    /// When the exporter started, where options data said.
    pub boot: Option<Time>,
    /// Last datagram.
    pub used: Time,
    /// By number.
    pub(super) templates: Vec<Template>,
    pub(super) samplers: Samplers,
}

impl Domain {
    pub(super) fn new(protocol: Protocol, id: u32, now: Time) -> Self {
        Self {
            protocol,
            id,
            sequence: Sequence::default(),
            boot: None,
            used: now,
            templates: Vec::new(),
            samplers: Samplers::default(),
        }
    }

    /// The templates that are in force.
    #[must_use]
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    pub(super) fn position(&self, template: u16) -> Result<usize, usize> {
        self.templates.binary_search_by_key(&template, |known| known.id)
    }

    /// Lets go of a template that was not refreshed for so long (zero: for ever); says whether it did.
    pub(super) fn expire(&mut self, template: u16, now: Time, life: Duration) -> bool {
        let Ok(at) = self.position(template) else { return false };
        let is_old =
            life > Duration::ZERO && self.templates.get(at).is_some_and(|known| now.since(known.refreshed) > life);
        if is_old {
            self.templates.remove(at);
        }
        is_old
    }

    /// When the template that was refreshed longest ago was, and its number.
    pub(super) fn oldest(&self) -> Option<(Time, u16)> {
        self.templates.iter().map(|known| (known.refreshed, known.id)).min()
    }
}

/// Sampling rates, by what they are tied to.
#[derive(Debug, Default)]
pub struct Samplers {
    /// Sorted by key.
    rates: Vec<(SamplerKey, u32)>,
}

impl Samplers {
    /// Learns a rate; says whether there was room for it.
    pub fn set(&mut self, key: SamplerKey, rate: u32, limit: usize) -> bool {
        match self.rates.binary_search_by_key(&key, |(known, _)| *known) {
            Ok(at) => {
                if let Some(known) = self.rates.get_mut(at) {
                    known.1 = rate;
                }
                true
            }
            Err(at) if self.rates.len() < limit => {
                self.rates.insert(at, (key, rate));
                true
            }
            Err(_) => false,
        }
    }

    /// The rate that holds for a flow which does not say itself: the nearest thing that a rate is tied to, or the only rate there
    /// is. 0 where nothing fits.
    #[inline]
    #[must_use]
    pub fn rate(&self, flow: &Flow<'_>, template: u16) -> u32 {
        match self.rates.as_slice() {
            [] => 0,
            [(_, rate)] => *rate,
            _ => self.nearest(flow, template),
        }
    }

    fn nearest(&self, flow: &Flow<'_>, template: u16) -> u32 {
        let keys = [
            flow.sampler.map(SamplerKey::Id),
            Some(SamplerKey::Template(template)),
            Some(SamplerKey::Interface(flow.if_in)),
            Some(SamplerKey::Domain),
        ];
        let found = keys.into_iter().flatten().find_map(|key| {
            let at = self.rates.binary_search_by_key(&key, |(known, _)| *known).ok()?;
            self.rates.get(at)
        });
        found.map_or(0, |(_, rate)| *rate)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (SamplerKey, u32)> + '_ {
        self.rates.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rate_holds_and_the_only_one_always() {
        let mut samplers = Samplers::default();
        let flow = |sampler, if_in| Flow { sampler, if_in, ..Flow::default() };
        assert_eq!(samplers.rate(&flow(Some(1), 5), 300), 0);
        assert!(samplers.set(SamplerKey::Id(1), 100, 9));
        assert_eq!(samplers.rate(&flow(None, 5), 300), 100);
        for (key, rate) in [
            (SamplerKey::Domain, 7),
            (SamplerKey::Interface(5), 50),
            (SamplerKey::Template(300), 30),
            (SamplerKey::Id(2), 200),
        ] {
            assert!(samplers.set(key, rate, 9));
        }
        let cases = [(Some(2), 5, 300, 200), (Some(9), 5, 300, 30), (None, 5, 301, 50), (Some(9), 6, 301, 7)];
        for (sampler, if_in, template, rate) in cases {
            assert_eq!(samplers.rate(&flow(sampler, if_in), template), rate);
        }
    }

    #[test]
    fn rates_are_bounded_and_change_at_the_limit() {
        let mut samplers = Samplers::default();
        assert!(samplers.set(SamplerKey::Id(1), 10, 2) && samplers.set(SamplerKey::Id(2), 20, 2));
        assert!(!samplers.set(SamplerKey::Id(3), 30, 2));
        assert!(samplers.set(SamplerKey::Id(2), 25, 2));
        assert_eq!(samplers.iter().map(|(_, rate)| rate).collect::<Vec<_>>(), [10, 25]);
    }
}
