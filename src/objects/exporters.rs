//! What the administrator says of exporters and their interfaces: names, rates, rings, sampling.
//!
//! Stored apart for each exporter (a key of its 16 octets) and each interface (the same, and its number in 4), as JSON. What the
//! exporters tell of themselves is not stored: they tell it again.
//!
//! Bounds: [`MOST_EXPORTERS`] and [`MOST_INTERFACES`] of which something was set.

use crate::base::SmallMap;

use serde_json::{Map, Value, json};

use super::Trouble;
use crate::base::Ip;
use crate::flow::exporters::{ExporterSettings, InterfaceSettings};
use crate::store::State;

/// Most exporters of which something was set.
pub const MOST_EXPORTERS: usize = 1_024;
/// Most interfaces of which something was set, of all exporters.
pub const MOST_INTERFACES: usize = 8_192;
/// The longest name, in characters.
pub const LONGEST_NAME: usize = 126;
/// The highest ring.
const HIGHEST_RING: u8 = 15;

const GROUP: &str = "exporters";
/// Version of the stored form.
const VERSION: u8 = 1;

/// What was set, by exporter.
#[derive(Debug, Default)]
pub struct ExporterBook {
    by_address: SmallMap<Ip, ExporterSettings>,
}

impl ExporterBook {
    /// That of the state. What cannot be read is left out and logged.
    #[must_use]
    pub fn load(state: &State) -> Self {
        let stored = state.scan(GROUP, b"").unwrap_or_else(|error| {
            log::error!("exporters: {error}");
            Vec::new()
        });
        let mut made = Self::default();
        for (key, value) in stored {
            let content = (value.version == VERSION).then(|| serde_json::from_slice(&value.bytes).ok()).flatten();
            if content.and_then(|content: Value| made.read(&key, &content)).is_none() {
                log::error!("exporters: what is stored under {key:02x?} cannot be read");
            }
        }
        made
    }

    fn read(&mut self, key: &[u8], content: &Value) -> Option<()> {
        let (ip, index) = key.split_first_chunk::<16>()?;
        let settings = self.by_address.entry(Ip::v6(*ip)).or_default();
        if index.is_empty() {
            settings.sampling = content["sampling"].as_u64().and_then(|n| u32::try_from(n).ok());
            settings.correct_clock = content["correct_clock"].as_bool()?;
        } else {
            let interface = InterfaceSettings {
                name: content["name"].as_str().map(str::to_owned),
                bit_rates: ["bit_rate_in", "bit_rate_out"].map(|name| content[name].as_u64()),
                ring: u8::try_from(content["ring"].as_u64()?).ok()?,
            };
            settings.interfaces.insert(u32::from_be_bytes(index.try_into().ok()?), interface);
        }
        Some(())
    }

    /// What was set for an exporter.
    #[must_use]
    pub fn get(&self, ip: Ip) -> Option<&ExporterSettings> {
        self.by_address.get(&ip)
    }

    /// All of which something was set.
    pub fn iter(&self) -> impl Iterator<Item = (Ip, &ExporterSettings)> {
        self.by_address.iter().map(|(ip, settings)| (*ip, settings))
    }

    /// Sets all there is to say of an exporter.
    ///
    /// # Errors
    /// Why not; nothing is changed then.
    pub fn put(&mut self, state: &mut State, ip: Ip, mut settings: ExporterSettings) -> Result<(), Trouble> {
        settings.interfaces.retain(|_, interface| *interface != InterfaceSettings::default());
        check(&settings)?;
        let before = self.by_address.get(&ip).cloned().unwrap_or_default();
        if before.is_empty() && !settings.is_empty() && self.by_address.len() >= MOST_EXPORTERS {
            return Err(Trouble::Full(format!(
                "Of {MOST_EXPORTERS} exporters something was set already: more are not kept"
            )));
        }
        let interfaces: usize = self.by_address.values().map(|settings| settings.interfaces.len()).sum();
        if interfaces - before.interfaces.len() + settings.interfaces.len() > MOST_INTERFACES {
            return Err(Trouble::Full(format!(
                "Of {MOST_INTERFACES} interfaces something was set already: more are not kept"
            )));
        }
        let key = |index: u32| [&ip.octets()[..], &index.to_be_bytes()].concat();
        for index in before.interfaces.keys().filter(|index| !settings.interfaces.contains_key(index)) {
            state.remove(GROUP, &key(*index))?;
        }
        for (index, interface) in &settings.interfaces {
            if before.interfaces.get(index) != Some(interface) {
                state.put(GROUP, &key(*index), VERSION, stored(interface).to_string().as_bytes())?;
            }
        }
        let general = json!({ "sampling": settings.sampling, "correct_clock": settings.correct_clock });
        if settings.is_empty() {
            state.remove(GROUP, &ip.octets())?;
            self.by_address.remove(&ip);
        } else {
            state.put(GROUP, &ip.octets(), VERSION, general.to_string().as_bytes())?;
            self.by_address.insert(ip, settings);
        }
        Ok(())
    }
}

fn stored(interface: &InterfaceSettings) -> Value {
    let [bits_in, bits_out] = interface.bit_rates;
    let mut out = Map::from_iter([("ring".to_owned(), json!(interface.ring))]);
    out.extend(interface.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
    out.extend(bits_in.map(|bits| ("bit_rate_in".to_owned(), json!(bits))));
    out.extend(bits_out.map(|bits| ("bit_rate_out".to_owned(), json!(bits))));
    Value::Object(out)
}

fn check(settings: &ExporterSettings) -> Result<(), Trouble> {
    let wrong = |property, why: String| Err(Trouble::Wrong { property, why });
    if settings.sampling == Some(0) {
        return wrong("sampling", "must be a positive integer".to_owned());
    }
    for interface in settings.interfaces.values() {
        if interface.name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            return wrong("name", format!("must have at most {LONGEST_NAME} characters"));
        }
        if interface.bit_rates[0] == Some(0) {
            return wrong("bit_rate_in", "must be a positive integer".to_owned());
        }
        if interface.bit_rates[1] == Some(0) {
            return wrong("bit_rate_out", "must be a positive integer".to_owned());
        }
        if interface.ring > HIGHEST_RING {
            return wrong("ring", format!("must be from 0 to {HIGHEST_RING}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u16) -> Ip {
        let [a, b] = n.to_be_bytes();
        Ip::v4([10, 0, a, b])
    }

    fn named(name: &str) -> InterfaceSettings {
        InterfaceSettings { name: Some(name.to_owned()), ..InterfaceSettings::default() }
    }

    fn with(interfaces: impl IntoIterator<Item = (u32, InterfaceSettings)>) -> ExporterSettings {
        ExporterSettings { interfaces: interfaces.into_iter().collect(), ..ExporterSettings::default() }
    }

    #[test]
    fn what_was_set_comes_back_after_a_restart_and_what_was_taken_back_does_not() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(&scratch.path().join("state")).unwrap();
        let mut book = ExporterBook::default();
        let core = InterfaceSettings { bit_rates: [Some(1 << 40), None], ring: 9, ..named("core") };
        let all = ExporterSettings { sampling: Some(512), correct_clock: true, ..with([(0, named("x")), (7, core)]) };
        book.put(&mut state, ip(1), all.clone()).unwrap();
        book.put(&mut state, ip(2), all.clone()).unwrap();
        book.put(&mut state, ip(3), all.clone()).unwrap();
        book.put(&mut state, ip(2), with([(7, named("only"))])).unwrap();
        book.put(&mut state, ip(3), ExporterSettings::default()).unwrap();
        let again = ExporterBook::load(&state);
        let read: Vec<_> = again.iter().map(|(ip, settings)| (ip, settings.clone())).collect();
        assert_eq!(read, [(ip(1), all), (ip(2), with([(7, named("only"))]))]);
    }

    #[test]
    fn the_guides_limits_hold() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(&scratch.path().join("state")).unwrap();
        let mut book = ExporterBook::default();
        let mut fits = |interface: InterfaceSettings| book.put(&mut state, ip(1), with([(1, interface)])).is_ok();
        for (length, good) in [(0, true), (125, true), (126, true), (127, false)] {
            assert_eq!(fits(named(&"ü".repeat(length))), good, "{length}");
        }
        for (ring, good) in [(0, true), (15, true), (16, false)] {
            assert_eq!(fits(InterfaceSettings { ring, ..named("x") }), good, "{ring}");
        }
        for (bits, good) in [(0, false), (1, true), (u64::MAX, true)] {
            assert_eq!(fits(InterfaceSettings { bit_rates: [Some(bits), None], ..named("x") }), good, "{bits}");
            assert_eq!(fits(InterfaceSettings { bit_rates: [None, Some(bits)], ..named("x") }), good, "{bits}");
        }
        for (sampling, good) in [(0, false), (1, true), (u32::MAX, true)] {
            let settings = ExporterSettings { sampling: Some(sampling), ..ExporterSettings::default() };
            assert_eq!(book.put(&mut state, ip(1), settings).is_ok(), good, "{sampling}");
        }
    }

    #[test]
    fn no_more_is_kept_than_the_bounds_and_what_is_there_can_still_be_changed() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut state, _) = State::open(&scratch.path().join("state")).unwrap();
        let mut book = ExporterBook::default();
        let eight = |name: &str| with((1..=8).map(|index| (index, named(name))));
        for n in 0..1_024 {
            book.put(&mut state, ip(n), eight("a")).unwrap();
        }
        assert!(book.put(&mut state, ip(5_000), eight("a")).is_err(), "an exporter more");
        assert!(book.put(&mut state, ip(0), with((1..=9).map(|i| (i, named("a"))))).is_err(), "an interface more");
        book.put(&mut state, ip(0), eight("b")).unwrap();
        book.put(&mut state, ip(1), ExporterSettings::default()).unwrap();
        book.put(&mut state, ip(5_000), eight("a")).unwrap();
    }
}
