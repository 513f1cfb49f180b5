//! The heap gives back what is free: blocks of [`MAPPED`] bytes and more are mapped and unmapped by themselves.
//!
//! With glibc this is a setting. It learns from what a program frees: after a block of 9 MiB it keeps everything up to that
//! size in its heap, where it falls to pieces. Measured with a full flow table, a flood and clients that list and log in:
//! 5 MiB less at the start and 8 at the peak when the threshold stands still, and threads share one heap (there are few, and only
//! one of them allocates much). Other libraries do so anyway.
//!
//! With musl it is an allocator before musl's, because not every build of musl leaves fresh pages alone: sled asks for
//! 21 MiB of zeros that it does not touch, and where `calloc` writes them they are resident. Blocks of a page and more are mapped by
//! themselves too: musl puts several of a size into one mapping, which stays as long as one of them is used (a megabyte with a full
//! table). Such blocks, and smaller ones, that are freed wait on shelves for who asks next for one of their size, half a megabyte of them
//! at most: musl itself takes its time, and gives pages back to the kernel and asks for them again within each answer. A small one
//! cost 59 us of CPU without shelves, 28 with those of musl's classes and `cross/mem.c`, 15 with those of pages too; one of 27 KB
//! 300, 140 and 100. The shelves are for one thread at a time; another that comes meanwhile does without.
//!
//! # Rejected
//! Other allocators, under the same load: mimalloc 94 MiB at the peak, dlmalloc's port to Rust 92 (it writes
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

#[cfg(any(test, target_env = "musl"))]
mod layers {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::libc::{
        MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, MREMAP_MAYMOVE, PROT_READ, PROT_WRITE, mmap, mremap, munmap,
    };

    use super::MAPPED;

    #[cfg_attr(target_env = "musl", global_allocator)]
    static HEAP: Heap = Heap {
        taken: AtomicBool::new(false),
        shelves: [const { Shelf::empty() }; CLASSES],
        shelved_pages: Cell::new(0),
    };

    /// How many units each class of musl's blocks has, and of how many octets a unit is, some of the last one musl's own.
    const UNITS: [u16; 26] =
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 20, 25, 31, 36, 42, 50, 63, 72, 84, 102, 127, 146, 170];
    const LARGEST: usize = UNITS[UNITS.len() - 1] as usize;
    const UNIT: usize = 16;
    const OWN: usize = 4;
    /// What every block of musl's is aligned to.
    const ALIGNED: usize = 2 * size_of::<usize>();

    /// Pages of the classes beyond musl's, which are mapped.
    const PAGES: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16];
    const PAGE: usize = 4096;
    const CLASSES: usize = UNITS.len() + PAGES.len();

    /// What lies on one shelf: so many octets, or one block, and not more than so many blocks.
    const SHELF: usize = 4 << 10;
    const BLOCKS: usize = 16;
    /// Octets on the shelves of pages together.
    const SHELVED_PAGES: usize = 384 << 10;

    struct Heap {
        taken: AtomicBool,
        shelves: [Shelf; CLASSES],
        shelved_pages: Cell<usize>,
    }

    /// Free blocks of one class, each with the address of the next at its start.
    struct Shelf {
        first: Cell<*mut u8>,
        blocks: Cell<usize>,
    }

    // SAFETY: the cells are only touched by the thread that has `taken`.
    unsafe impl Sync for Heap {}

    /// Who has a block of a layout.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Keeper {
        /// It is a mapping: one begins with a page.
        Kernel,
        /// It has the size of this class.
        Class(usize),
        /// It is aligned more than musl's blocks are.
        Musl,
    }

    impl Keeper {
        #[inline]
        fn of(layout: Layout) -> Self {
            if layout.size() >= MAPPED && layout.align() <= PAGE {
                return Self::Kernel;
            }
            if layout.align() > ALIGNED {
                return Self::Musl;
            }
            // After the first ten there are four classes to each power of two.
            let units = (layout.size() + OWN).div_ceil(UNIT).max(1);
            let class = match units {
                ..=10 => units - 1,
                11..=LARGEST => {
                    let power = 4 * units.ilog2() as usize - 4;
                    power + UNITS[power..].iter().take_while(|&&class| usize::from(class) < units).count()
                }
                _ => UNITS.len() + PAGES.iter().take_while(|&&pages| usize::from(pages) * PAGE < layout.size()).count(),
            };
            Self::Class(class)
        }
    }

    const fn is_mapped(class: usize) -> bool {
        class >= UNITS.len()
    }

    const fn octets(class: usize) -> usize {
        if is_mapped(class) { PAGES[class - UNITS.len()] as usize * PAGE } else { UNITS[class] as usize * UNIT - OWN }
    }

    impl Shelf {
        const fn empty() -> Self {
            Self { first: Cell::new(null_mut()), blocks: Cell::new(0) }
        }
    }

    impl Heap {
        /// Does it with a shelf, or says that another thread is at the shelves.
        #[inline]
        fn with<T>(&self, class: usize, work: impl FnOnce(&Shelf) -> Option<T>) -> Option<T> {
            if self.taken.swap(true, Ordering::Acquire) {
                return None;
            }
            let done = work(&self.shelves[class]);
            self.taken.store(false, Ordering::Release);
            done
        }

        #[inline]
        fn take(&self, class: usize) -> Option<*mut u8> {
            self.with(class, |shelf| {
                let block = shelf.first.get();
                if block.is_null() {
                    return None;
                }
                // SAFETY: a block on a shelf is free and begins with the next one's address; blocks are aligned for it.
                shelf.first.set(unsafe { block.cast::<*mut u8>().read() });
                shelf.blocks.set(shelf.blocks.get() - 1);
                if is_mapped(class) {
                    self.shelved_pages.set(self.shelved_pages.get() - octets(class));
                }
                Some(block)
            })
        }

        #[inline]
        fn put(&self, class: usize, block: *mut u8) -> Option<()> {
            self.with(class, |shelf| {
                if is_mapped(class) {
                    let pages = self.shelved_pages.get() + octets(class);
                    if pages > SHELVED_PAGES {
                        return None;
                    }
                    self.shelved_pages.set(pages);
                } else if shelf.blocks.get() >= (SHELF / octets(class)).clamp(1, BLOCKS) {
                    return None;
                }
                // SAFETY: the block is free, no smaller than an address and aligned for one.
                unsafe { block.cast::<*mut u8>().write(shelf.first.get()) };
                shelf.first.set(block);
                shelf.blocks.set(shelf.blocks.get() + 1);
                Some(())
            })
        }
    }

    /// The layout of a whole block of one of musl's classes; musl aligns it more than that asks for.
    fn whole(class: usize) -> Layout {
        // SAFETY: the alignment is a power of two, and no class comes near the most that there may be.
        unsafe { Layout::from_size_align_unchecked(octets(class), size_of::<usize>()) }
    }

    /// Zeroed pages of the kernel's.
    fn map(octets: usize) -> *mut u8 {
        let (access, kind) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        // SAFETY: a new mapping, wherever there is room.
        let block = unsafe { mmap(null_mut(), octets, access, kind, -1, 0) };
        if block == MAP_FAILED { null_mut() } else { block.cast() }
    }

    /// A block of a class from where it comes from.
    fn fresh(class: usize) -> *mut u8 {
        // SAFETY: the layout is of more than no octets.
        if is_mapped(class) { map(octets(class)) } else { unsafe { System.alloc(whole(class)) } }
    }

    // SAFETY: a layout says who gave the block, and that one takes it back; what musl has of a class always has its whole
    // size. `mmap` gives zeroed pages that nothing else has; what the kernel refuses is null, as the trait asks for.
    unsafe impl GlobalAlloc for Heap {
        // Who calls these are many: in each of them they would be 300 KB of the program.
        #[inline(never)]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            match Keeper::of(layout) {
                Keeper::Class(class) => self.take(class).unwrap_or_else(|| fresh(class)),
                // SAFETY: what our caller promises.
                Keeper::Musl => unsafe { System.alloc(layout) },
                Keeper::Kernel => map(layout.size()),
            }
        }

        #[inline(never)]
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            match Keeper::of(layout) {
                // SAFETY: the layout is of more than no octets, and a block of its class is not smaller.
                Keeper::Class(class) => unsafe {
                    match self.take(class) {
                        Some(block) => {
                            block.write_bytes(0, layout.size());
                            block
                        }
                        None if is_mapped(class) => fresh(class),
                        None => System.alloc_zeroed(whole(class)),
                    }
                },
                // SAFETY: what our caller promises.
                Keeper::Musl => unsafe { System.alloc_zeroed(layout) },
                Keeper::Kernel => map(layout.size()),
            }
        }

        #[inline(never)]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: what our caller promises: the block has this layout, so it is a whole mapping or musl's.
            unsafe {
                match Keeper::of(layout) {
                    Keeper::Class(class) => {
                        if self.put(class, block).is_none() {
                            if is_mapped(class) {
                                munmap(block.cast(), octets(class));
                            } else {
                                System.dealloc(block, whole(class));
                            }
                        }
                    }
                    Keeper::Musl => System.dealloc(block, layout),
                    Keeper::Kernel => {
                        munmap(block.cast(), layout.size());
                    }
                }
            }
        }

        #[inline(never)]
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: our caller promises that `size` is not too large for the alignment.
            let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            // SAFETY: the block has this layout; it moves between keepers by copying what both sizes hold.
            unsafe {
                match (Keeper::of(layout), Keeper::of(new)) {
                    (Keeper::Class(old), Keeper::Class(new)) if old == new => block,
                    (Keeper::Kernel, Keeper::Kernel) => {
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

    #[cfg(test)]
    mod tests {
        use super::*;

        fn layout(size: usize, align: usize) -> Layout {
            Layout::from_size_align(size, align).unwrap()
        }

        #[test]
        fn a_class_is_the_smallest_that_holds_a_layout() {
            for size in 1..MAPPED {
                let Keeper::Class(class) = Keeper::of(layout(size, 8)) else {
                    panic!("{size} octets are of no class");
                };
                assert!(octets(class) >= size, "{size}");
                assert!(class == 0 || octets(class - 1) < size, "{size}");
            }
            assert!(Keeper::of(layout(MAPPED, 8)) == Keeper::Kernel);
            assert!(Keeper::of(layout(MAPPED - 1, 64)) == Keeper::Musl);
        }

        /// A block of ours: each octet is its number.
        struct Block {
            at: *mut u8,
            layout: Layout,
            number: u8,
        }

        impl Block {
            fn is_as_written(&self, octets: usize) -> bool {
                // SAFETY: the block has at least so many octets, all of them written.
                unsafe { std::slice::from_raw_parts(self.at, octets) }.iter().all(|&octet| octet == self.number)
            }

            fn fill(&self) {
                // SAFETY: it is ours and has the size of its layout.
                unsafe { self.at.write_bytes(self.number, self.layout.size()) };
            }
        }

        /// Blocks of all keepers come, grow, shrink and go, two threads at the shelves; whoever had a block twice would write over it.
        #[test]
        fn blocks_keep_what_is_in_them() {
            std::thread::scope(|scope| {
                for seed in 1..=2 {
                    scope.spawn(move || come_and_go(seed));
                }
            });
            let pages = (0..CLASSES).filter(|&class| is_mapped(class));
            let shelved: usize = pages.map(|class| HEAP.shelves[class].blocks.get() * octets(class)).sum();
            assert!(shelved == HEAP.shelved_pages.get() && (PAGE..=SHELVED_PAGES).contains(&shelved), "{shelved}");
        }

        fn come_and_go(seed: u64) {
            let mut random = crate::base::testing::Random::new(seed);
            let mut blocks: Vec<Block> = Vec::new();
            for number in 0..20_000u64 {
                let most = [200, 3000, 70_000, 300_000][random.below(4) as usize];
                let size = 1 + random.below(most) as usize;
                let place = random.below(blocks.len() as u64) as usize;
                match random.below(4) {
                    0 | 1 if blocks.len() < 100 => {
                        let layout = layout(size, [1, 8, 16, 64][random.below(4) as usize]);
                        let is_zeroed = random.below(2) == 0;
                        // SAFETY: the layout is of more than no octets.
                        let at = unsafe { if is_zeroed { HEAP.alloc_zeroed(layout) } else { HEAP.alloc(layout) } };
                        assert!(!at.is_null() && at.addr().is_multiple_of(layout.align()), "{layout:?}");
                        let mut block = Block { at, layout, number: 0 };
                        assert!(!is_zeroed || block.is_as_written(size), "{layout:?} is not zeros");
                        block.number = number as u8;
                        block.fill();
                        blocks.push(block);
                    }
                    2 if !blocks.is_empty() => {
                        let block = &mut blocks[place];
                        // SAFETY: the block is the heap's and has this layout.
                        block.at = unsafe { HEAP.realloc(block.at, block.layout, size) };
                        assert!(!block.at.is_null() && block.is_as_written(size.min(block.layout.size())));
                        block.layout = layout(size, block.layout.align());
                        block.fill();
                    }
                    _ if !blocks.is_empty() => free(blocks.swap_remove(place)),
                    _ => {}
                }
            }
            blocks.into_iter().for_each(free);
        }

        fn free(block: Block) {
            assert!(block.is_as_written(block.layout.size()), "somebody else wrote into {:?}", block.layout);
            // SAFETY: the block is the heap's, has this layout and is used no more.
            unsafe { HEAP.dealloc(block.at, block.layout) };
        }
    }
}
