//! Calls of the kernel that no crate wraps, for what PID 1 does on an image: watchdog, partition and file system sizes, a restart
//! with a word for the firmware.
//!
//! Everything else that `system/` asks of the kernel goes through safe wrappers. Each call here takes an open file and plain
//! numbers, and gives the kernel's answer.
#![expect(unsafe_code, reason = "ioctls and a reboot with an argument, which no crate wraps")]

use std::ffi::{CStr, c_int};
use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;

// linux/watchdog.h: _IOWR('W', 6, int), _IOW('f', 16, __u64) of fs/ext4/ext4.h, _IO(0x12, 105) of linux/blkpg.h. The two
// directions' bits are where they are on x86 and ARM.
const SET_TIMEOUT: libc::c_ulong = 0xc004_5706;
const RESIZE_FS: libc::c_ulong = 0x4008_6610;
const BLKPG: libc::c_ulong = 0x1269;
const BLKPG_RESIZE_PARTITION: c_int = 3;

/// `struct blkpg_partition` of linux/blkpg.h.
#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: c_int,
    names: [u8; 128],
}

/// `struct blkpg_ioctl_arg` of the same.
#[repr(C)]
struct PartitionCall {
    what: c_int,
    flags: c_int,
    length: c_int,
    partition: *mut Partition,
}

/// Sets after how long without a sign of life the watchdog resets the machine, in whole seconds; says what it took.
///
/// # Errors
/// What the driver says.
pub fn set_watchdog_timeout(watchdog: &File, timeout: Duration) -> io::Result<Duration> {
    let mut seconds = c_int::try_from(timeout.as_secs()).unwrap_or(c_int::MAX);
    // SAFETY: the call reads and writes one int, which lives until it returns; on what is no watchdog it fails.
    let result = unsafe { libc::ioctl(watchdog.as_raw_fd(), SET_TIMEOUT as _, &raw mut seconds) };
    answer(result)?;
    Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Tells the kernel that a partition of this disk has another size, while it is in use. Start and length in bytes.
///
/// # Errors
/// What the kernel says: the partition is not there, starts elsewhere, or would overlap another.
pub fn resize_partition(disk: &File, number: u32, start: u64, length: u64) -> io::Result<()> {
    let wide = |bytes| i64::try_from(bytes).map_err(io::Error::other);
    let number = c_int::try_from(number).map_err(io::Error::other)?;
    let mut partition = Partition { start: wide(start)?, length: wide(length)?, number, names: [0; 128] };
    let mut call = PartitionCall {
        what: BLKPG_RESIZE_PARTITION,
        flags: 0,
        length: size_of::<Partition>() as c_int,
        partition: &raw mut partition,
    };
    // SAFETY: both structures are laid out as the kernel has them and live until the call returns.
    answer(unsafe { libc::ioctl(disk.as_raw_fd(), BLKPG as _, &raw mut call) })
}

/// Grows the ext4 file system that holds this file to so many of its blocks, while it is mounted.
///
/// # Errors
/// What the file system says.
pub fn resize_ext4(inside: &File, blocks: u64) -> io::Result<()> {
    // SAFETY: the call reads one 64-bit number, which lives until it returns; other file systems refuse it.
    answer(unsafe { libc::ioctl(inside.as_raw_fd(), RESIZE_FS as _, &raw const blocks) })
}

/// Restarts the machine at once with a word for its firmware. Returns only where that failed.
#[must_use]
pub fn restart_with(word: &CStr) -> io::Error {
    // SAFETY: the two magic numbers and the command are those of linux/reboot.h; the word is a C string.
    let result = unsafe {
        libc::syscall(
            libc::SYS_reboot,
            libc::LINUX_REBOOT_MAGIC1,
            libc::LINUX_REBOOT_MAGIC2,
            libc::LINUX_REBOOT_CMD_RESTART2,
            word.as_ptr(),
        )
    };
    if result == 0 { io::Error::other("the kernel returned") } else { io::Error::last_os_error() }
}

fn answer(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_watchdog_no_disk_and_no_ext4_refuses() {
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        let refused = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        assert_eq!(refused(set_watchdog_timeout(&null, Duration::from_secs(30)).map(drop)), Some(libc::ENOTTY));
        assert_eq!(refused(resize_partition(&null, 1, 0, 512)), Some(libc::ENOTTY));
        let shared = File::open("/dev/shm").unwrap();
        assert_eq!(refused(resize_ext4(&shared, 1)), Some(libc::ENOTTY));
    }

    #[test]
    fn structures_are_as_long_as_the_kernel_s() {
        assert_eq!(size_of::<Partition>(), 152);
        assert_eq!(size_of::<PartitionCall>(), if cfg!(target_pointer_width = "64") { 24 } else { 16 });
    }
}
