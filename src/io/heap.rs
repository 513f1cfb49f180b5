//! The heap gives back what is free.
//!
//! glibc learns from what a program frees: after a block of 9 MiB it keeps everything up to that size in its heap, where it
//! falls to pieces. Measured with a full flow table, a flood and clients that list and log in: 5 MiB less at the start and
//! 8 at the peak when blocks of [`MAPPED`] bytes are always mapped and unmapped by themselves, and threads share one heap
//! (there are few, and only one of them allocates much). Other libraries do so anyway.
//!
//! # Rejected
//! Allocators of their own, under the same load: mimalloc 94 MiB at the peak, dlmalloc's port to Rust 92 (it writes
//! zeros where the kernel gives some, and sled asks for 21 MiB that it does not touch); glibc as it is 67. jemalloc comes to what this
//! does, with 0.4 MB of code. The environment can say the same, but not to a program with capabilities of its file.
#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "no crate wraps mallopt"))]

/// From how many bytes on a block of memory is mapped by itself: pages are lost by halves at its end.
pub const MAPPED: i32 = 128 << 10;

/// Makes it so; before the first thread starts.
pub fn give_back_what_is_free() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(nix::libc::M_MMAP_THRESHOLD, MAPPED), (nix::libc::M_ARENA_MAX, 1)] {
        // SAFETY: mallopt takes two numbers and may be called at any time; an option that it refuses changes nothing.
        unsafe { nix::libc::mallopt(option, value) };
    }
}
