//! The program of an update that hangs: it loads its kernel modules, arms the watchdog, and does nothing more.
//!
//! Compiled by the test that needs it, alone: `rustc -C target-feature=+crt-static`.

use std::ffi::{CString, c_char, c_int, c_long, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;

unsafe extern "C" {
    fn mount(source: *const c_char, at: *const c_char, kind: *const c_char, flags: c_ulong, data: *const c_void) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn ioctl(file: c_int, request: c_ulong, ...) -> c_int;
}

const FINIT_MODULE: c_long = 313;
const SET_TIMEOUT: c_ulong = 0xc004_5706;

fn main() {
    let text = |text: &str| CString::new(text).unwrap();
    let (kind, at) = (text("devtmpfs"), text("/dev"));
    // SAFETY: C strings that live until the call returns.
    unsafe { mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    let mut console = OpenOptions::new().write(true).open("/dev/console").unwrap();
    for name in std::fs::read_to_string("/lib/modules.load").unwrap_or_default().lines() {
        if let Ok(file) = File::open(format!("/lib/modules/{name}")) {
            // SAFETY: an open file and an empty C string.
            unsafe { syscall(FINIT_MODULE, file.as_raw_fd(), c"".as_ptr(), 0) };
        }
    }
    let mut watchdog = OpenOptions::new().write(true).open("/dev/watchdog").unwrap();
    let mut seconds: c_int = 4;
    // SAFETY: the call reads and writes one int.
    unsafe { ioctl(watchdog.as_raw_fd(), SET_TIMEOUT, &raw mut seconds) };
    watchdog.write_all(b".").unwrap();
    writeln!(console, "this update hangs").unwrap();
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3_600));
    }
}
