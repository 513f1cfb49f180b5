//! The heap gives back what is free: blocks of [`MAPPED`] bytes and more are mapped and unmapped by themselves.
//!
//! With glibc this is a setting. It learns from what a program frees: after a block of 9 MiB it keeps everything up to that
//! size in its heap, where it falls to pieces. Measured with a full flow table, a flood and clients that list and log in:
//! 5 MiB less at the start and 8 at the peak when the threshold stands still, and threads share one heap (there are few, and only
//! one of them allocates much). Other libraries do so anyway.
//!
//! With musl it is an allocator before musl's, because not every build of musl leaves fresh pages alone: sled asks for
//! 21 MiB of zeros that it does not touch, and where `calloc` writes them they are resident.
//!
//! # Rejected
//! Allocators of their own, under the same load: mimalloc 94 MiB at the peak, dlmalloc's port to Rust 92 (it writes
//! zeros where the kernel gives some); glibc as it is 67. jemalloc comes to what this
//! does, with 0.4 MB of code. The environment can say the same, but not to a program with capabilities of its file.
#![expect(unsafe_code, reason = "no crate wraps mallopt, and an allocator is unsafe by its nature")]

/// From how many bytes on a block of memory is mapped by itself: pages are lost by halves at its end.
pub const MAPPED: usize = 64 << 10;

/// Makes it so; before the first thread starts.
pub fn give_back_what_is_free() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(nix::libc::M_MMAP_THRESHOLD, MAPPED as i32), (nix::libc::M_ARENA_MAX, 1)] {
        // SAFETY: mallopt takes two numbers and may be called at any time; an option that it refuses changes nothing.
        unsafe { nix::libc::mallopt(option, value) };
    }
}

#[cfg(target_env = "musl")]
mod mapped {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::ptr::null_mut;

    use nix::libc::{
        MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, MREMAP_MAYMOVE, PROT_READ, PROT_WRITE, mmap, mremap, munmap,
    };

    #[global_allocator]
    static HEAP: Heap = Heap;

    struct Heap;

    /// Whether a block of this layout is mapped by itself: a mapping begins with a page.
    const fn is_mapped(layout: Layout) -> bool {
        layout.size() >= super::MAPPED && layout.align() <= 4096
    }

    // SAFETY: a layout says which of the two gave the block, and that one takes it back. `mmap` gives zeroed pages that
    // nothing else has; what the kernel refuses is null, as the trait asks for.
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if !is_mapped(layout) {
                // SAFETY: what our caller promises.
                return unsafe { System.alloc(layout) };
            }
            let (access, kind) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
            // SAFETY: a new mapping, wherever there is room.
            let block = unsafe { mmap(null_mut(), layout.size(), access, kind, -1, 0) };
            if block == MAP_FAILED { null_mut() } else { block.cast() }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: what our caller promises; pages are zeroed.
            unsafe { if is_mapped(layout) { self.alloc(layout) } else { System.alloc_zeroed(layout) } }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: what our caller promises: the block has this layout, so it is a whole mapping or the system's.
            unsafe {
                if is_mapped(layout) {
                    munmap(block.cast(), layout.size());
                } else {
                    System.dealloc(block, layout);
                }
            }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: our caller promises that `size` is not too large for the alignment.
            let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            // SAFETY: the block has this layout; it moves between the two by copying what both sizes hold.
            unsafe {
                match (is_mapped(layout), is_mapped(new)) {
                    (false, false) => System.realloc(block, layout, size),
                    (true, true) => {
                        let moved = mremap(block.cast(), layout.size(), size, MREMAP_MAYMOVE);
                        if moved == MAP_FAILED { null_mut() } else { moved.cast() }
                    }
                    _ => {
                        let to = self.alloc(new);
                        if !to.is_null() {
                            to.copy_from_nonoverlapping(block, layout.size().min(size));
                            self.dealloc(block, layout);
                        }
                        to
                    }
                }
            }
        }
    }
}
