//! What the administrator says of an exporter and its interfaces, in place of what is learned.

use crate::base::SmallMap;

/// The ring whose interfaces are ignored.
pub const IGNORED: u8 = 15;

/// What was set for an exporter; what is none is learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExporterSettings {
    /// One packet in this many is sampled, whatever it tells.
    pub sampling: Option<u32>,
    /// Whether the times it tells are put right by how far its clock is off.
    pub correct_clock: bool,
    /// Of its interfaces, those of which something was set; 0 stands for the exporter as a whole.
    pub interfaces: SmallMap<u32, InterfaceSettings>,
}

/// What was set for an interface; what is none is learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceSettings {
    /// Its name.
    pub name: Option<String>,
    /// The most it takes in and sends out, in bits a second.
    pub bit_rates: [Option<u64>; 2],
    /// 0 none, 1 uplink or border, 2 and 3 edge, 8 and 9 core, 15 ignored.
    pub ring: u8,
}

impl ExporterSettings {
    /// Whether nothing was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
