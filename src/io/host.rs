//! What the kernel says of the machine: names, load, memory, disk (`/proc`, proc(5)). What cannot be read stays at its default.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::statvfs::statvfs;

use crate::base::{Host, Process};

/// Looks at the machine.
#[derive(Debug)]
pub struct HostReader {
    data: PathBuf,
    /// Time slices of all cores when it was looked last: busy, all.
    slices: Cell<(u64, u64)>,
}

impl HostReader {
    /// A reader that tells of the file system that holds this folder.
    #[must_use]
    pub const fn new(data: PathBuf) -> Self {
        Self { data, slices: Cell::new((0, 0)) }
    }

    /// The machine now. A few small files of the kernel's; some ten microseconds.
    #[must_use]
    pub fn read(&self) -> Host {
        let mut host = Host::default();
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let name = text("/proc/sys/kernel/hostname");
        let name = name.trim().split('.').next().unwrap_or_default();
        if is_label(name) {
            host.name = name.to_owned();
        }
        host.kernel = text("/proc/version")
            .split_whitespace()
            .filter(|word| *word != "version")
            .take(2)
            .collect::<Vec<_>>()
            .join(" ");
        host.cores = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
        for (at, word) in text("/proc/loadavg").split_whitespace().take(3).enumerate() {
            if let (Some(load), Ok(number)) = (host.load.get_mut(at), word.parse()) {
                *load = number;
            }
        }
        host.uptime = text("/proc/uptime").split('.').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        let memory = text("/proc/meminfo");
        let entry = |name: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
        };
        (host.memory, host.memory_available) = (entry("MemTotal"), entry("MemAvailable"));
        host.process = process(&text("/proc/self/status"));
        if let Some(slices) = slices(&text("/proc/stat")) {
            let before = self.slices.replace(slices);
            host.busy = share(before, slices);
        }
        if let Ok(seen) = statvfs(&self.data) {
            let block = wide(seen.fragment_size());
            (host.disk, host.disk_free) = (wide(seen.blocks()) * block, wide(seen.blocks_available()) * block);
        }
        host
    }
}

/// The kernel's numbers are as wide as the machine's words.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// One label of a host name: what can stand in a path.
fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
}

/// Busy and all time slices of all cores: the line `cpu` of `/proc/stat`. Idle are the fourth and the fifth (waiting for a disk).
fn slices(stat: &str) -> Option<(u64, u64)> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let numbers: Vec<u64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
    let all: u64 = numbers.iter().sum();
    let idle = numbers.get(3)? + numbers.get(4)?;
    Some((all - idle, all))
}

fn share((busy_before, all_before): (u64, u64), (busy, all): (u64, u64)) -> f64 {
    let (busy, all) = (busy.saturating_sub(busy_before), all.saturating_sub(all_before));
    if all == 0 { 0.0 } else { busy as f64 / all as f64 }
}

/// What this program takes; its memory as `/proc/self/status` has it.
fn process(status: &str) -> Process {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default();
    let cpu = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID);
    Process { resident: kibibytes * 1024, cpu: cpu.map(Duration::from).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_that_runs_this_has_a_name_memory_and_a_disk() {
        let host = HostReader::new(std::env::temp_dir()).read();
        assert!(is_label(&host.name) && host.kernel.starts_with("Linux "), "{host:?}");
        assert!(host.cores >= 1 && host.uptime > 0);
        assert!(host.memory >= host.memory_available && host.memory_available > 0);
        assert!(host.disk >= host.disk_free && host.disk > 0);
        assert!((0.0..=1.0).contains(&host.busy));
    }

    #[test]
    fn how_busy_is_counted_between_two_looks() {
        let (first, second) =
            (slices("cpu  10 0 10 70 10 0 0 0 0 0\n"), slices("cpu  15 0 10 80 15 0 0 0 0 0\ncpu0 1\n"));
        assert_eq!((first, second), (Some((20, 100)), Some((25, 120))));
        assert!((share((20, 100), (25, 120)) - 0.25).abs() < 1e-9);
        assert_eq!(share((20, 100), (20, 100)).to_bits(), 0.0_f64.to_bits());
        for bad in ["", "cpu", "cpu  1 2", "cpu  a b c d e", "intr 1"] {
            assert_eq!(slices(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_that_could_not_stand_in_a_path_is_none() {
        assert!(is_label("box-1") && is_label("A"));
        for bad in ["", "a/b", "a b", "-a", "ä", &"x".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
