//! The machine that weir runs on, as it is at a moment.

use std::time::Duration;

/// What of the machine clients ask for. All sizes in octets.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its name, without a domain.
    pub name: String,
    /// The kernel and its version.
    pub kernel: String,
    /// Processor cores.
    pub cores: u32,
    /// How busy they were since the last look, from 0 to 1.
    pub busy: f64,
    /// Mean number of runnable tasks over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Memory there is.
    pub memory: u64,
    /// Memory that could be had now.
    pub memory_available: u64,
    /// Seconds since the machine started.
    pub uptime: u64,
    /// Size of the file system that holds the data.
    pub disk: u64,
    /// Free octets on it.
    pub disk_free: u64,
    /// This program.
    pub process: Process,
}

/// What this program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Process {
    /// Octets of memory that it holds.
    pub resident: u64,
    /// Time that it spent on the processor.
    pub cpu: Duration,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            name: "weir".to_owned(),
            kernel: String::new(),
            cores: 1,
            busy: 0.0,
            load: [0.0; 3],
            memory: 0,
            memory_available: 0,
            uptime: 0,
            disk: 0,
            disk_free: 0,
            process: Process::default(),
        }
    }
}
