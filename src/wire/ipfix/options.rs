//! Options data: what an exporter says about itself (RFC 3954 section 6, RFC 7011 section 4, RFC 5476, RFC 5610, RFC 6759).
//!
//! Understood: sampling rates (of the domain, of a sampler or selector, of a template, of an interface), interface names,
//! application names, the exporter's boot time, and types of vendors' elements. Anything else is shown as a record and
//! otherwise ignored.

use crate::base::Time;
use crate::wire::exported::{SamplerKey, Told};

use super::element::{ElementId, Type};
use super::program::{rate, text};
use super::record::{Record, unsigned};
use super::template::SCOPE;

/// What one record taught that the decoder itself needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Learned<'a> {
    /// A sampling rate, and of what.
    pub sampler: Option<(SamplerKey, u32)>,
    /// When the exporter started.
    pub boot: Option<Time>,
    /// An application's number and name.
    pub application: Option<(&'a [u8], &'a str)>,
    /// A vendor's element and its name.
    pub element: Option<(ElementId, &'a str)>,
}

/// Reads a record of options data, and tells the sink what it says.
pub fn learn<'a>(record: &Record<'a>, sink: &mut impl FnMut(Told<'_>)) -> Learned<'a> {
    let mut said = Said::default();
    for (id, octets) in record.values() {
        said.take(id, octets);
    }
    let learned = said.learned();
    if let Some((key, rate)) = learned.sampler {
        sink(Told::Sampler { key, rate });
    }
    if let Some((id, name)) = learned.application {
        sink(Told::Application { id, name });
    }
    let is_named = !said.is_of_another && (said.name.is_some() || said.description.is_some());
    if let (Some(index), true) = (said.interface, is_named) {
        let (name, description) = (said.name.unwrap_or(""), said.description.unwrap_or(""));
        sink(Told::Interface { index, name, description, speed: 0 });
    }
    if let Some((id, name)) = learned.element {
        sink(Told::Element { id, kind: type_of(said.element_type), name });
    }
    learned
}

/// The fields that matter, as they come.
#[derive(Default)]
struct Said<'a> {
    interface: Option<u32>,
    name: Option<&'a str>,
    description: Option<&'a str>,
    sampler: Option<u64>,
    template: Option<u16>,
    scoped_interface: Option<u32>,
    /// It tells of an exporter whose flows this one hands on.
    is_of_another: bool,
    direct: u32,
    interval: u32,
    space: u32,
    size: u32,
    population: u32,
    probability: Option<f64>,
    boot: Option<Time>,
    application: Option<&'a [u8]>,
    application_name: Option<&'a str>,
    enterprise: Option<u32>,
    element: Option<u16>,
    element_type: u64,
    element_name: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn take(&mut self, id: ElementId, octets: &'a [u8]) {
        let number = unsigned(octets).unwrap_or(0);
        let small = u32::try_from(number).unwrap_or(u32::MAX);
        match (id.enterprise, id.number) {
            (SCOPE, 2) => (self.interface, self.scoped_interface) = (Some(small), Some(small)),
            (SCOPE, 5) | (0, 145) => self.template = Some(number as u16),
            (0, 10 | 14 | 252 | 253) => self.interface = self.interface.or(Some(small)),
            (0, 34 | 50) => self.direct = small,
            (0, 48 | 302) => self.sampler = Some(number),
            (0, 82) => self.name = text(octets),
            (0, 83) => self.description = text(octets),
            (0, 95) => self.application = Some(octets),
            (0, 96) => self.application_name = text(octets),
            (0, 160) if number > 0 => self.boot = Some(Time::from_micros(number.saturating_mul(1000))),
            (0, 403 | 404) => self.is_of_another = true,
            (0, 303) => self.element = Some(number as u16),
            (0, 305) => self.interval = small,
            (0, 306) => self.space = small,
            (0, 309) => self.size = small,
            (0, 310) => self.population = small,
            (0, 311) => self.probability = octets.try_into().ok().map(f64::from_be_bytes),
            (0, 339) => self.element_type = number,
            (0, 341) => self.element_name = text(octets),
            (0, 346) => self.enterprise = Some(small),
            _ => {}
        }
    }

    fn learned(&self) -> Learned<'a> {
        let by_probability = self
            .probability
            .filter(|probability| *probability > 0.0 && *probability <= 1.0)
            .map(|probability| (1.0 / probability).round() as u32);
        let rate = rate(self.interval, self.space, self.size, self.population)
            .or(Some(self.direct).filter(|rate| *rate > 0))
            .or(by_probability);
        let key = match (self.sampler, self.template, self.scoped_interface) {
            (Some(id), _, _) => SamplerKey::Id(id),
            (None, Some(template), _) => SamplerKey::Template(template),
            (None, None, Some(interface)) => SamplerKey::Interface(interface),
            (None, None, None) => SamplerKey::Domain,
        };
        Learned {
            sampler: rate.map(|rate| (key, rate)),
            boot: self.boot,
            application: self.application.zip(self.application_name),
            element: self
                .enterprise
                .zip(self.element)
                .zip(self.element_name)
                .map(|((enterprise, number), name)| (ElementId { enterprise, number: number & 0x7fff }, name)),
        }
    }
}

/// `informationElementDataType` (RFC 5610, section 3.1).
fn type_of(number: u64) -> Type {
    match number {
        1..=4 => Type::Unsigned,
        5..=8 => Type::Signed,
        9 | 10 => Type::Float,
        11 => Type::Boolean,
        12 => Type::MacAddress,
        13 => Type::String,
        14 => Type::Seconds,
        15 => Type::Milliseconds,
        16 => Type::Microseconds,
        17 => Type::Nanoseconds,
        18 => Type::Ipv4Address,
        19 => Type::Ipv6Address,
        20 => Type::BasicList,
        21 => Type::SubTemplateList,
        22 => Type::SubTemplateMultiList,
        _ => Type::OctetArray,
    }
}
