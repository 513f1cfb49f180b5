//! Live frames of one interface, through a ring of memory that is shared with the kernel (AF_PACKET, TPACKET_V3).
//!
//! ```no_run
//! use weir::io::packet_ring::{Ring, RingConfig};
//!
//! # async fn example(interface: &weir::io::interfaces::Interface) -> Result<(), Box<dyn std::error::Error>> {
//! let mut ring = Ring::open(interface, &RingConfig::default())?;
//! let mut octets = 0;
//! loop {
//!     ring.readable().await?;
//!     while ring.drain(8, |frames| frames.for_each(|frame| octets += u64::from(frame.wire_len))) {
//!         smol::future::yield_now().await;
//!     }
//! }
//! # }
//! ```
//!
//! The kernel fills blocks; a block is ours when it is full or [`RingConfig::retire`] has passed since its first frame,
//! and the kernel's again when [`Ring::drain`] has gone through it. Frames are slices of the ring: nothing is copied
//! here. Needs CAP_NET_RAW ([`RingError::is_forbidden`]).
//!
//! A ring outlives its interface going down, coming up and being renamed; only an interface that was removed needs a new
//! ring. On loopback, where every packet passes twice, only the incoming copy is taken.
//!
//! # Decisions
//!
//! The defaults were measured (user and system time of the draining process, several runs on a machine with neighbours). Each
//! wake-up costs as much as a thousand frames: at 10,000 frames a second 0.19 to 0.24 us a frame where blocks retire after
//! 100 ms, half as much again after 50 ms, and little less after more. At 300,000 a second blocks fill before they retire:
//! 0.06 to 0.11 us a frame, the lower figures with frames kept short, the same for blocks of 256 KiB and of 1 MiB; with smaller
//! ones a late reader loses less of the ring at once.
//!
//! This is the one file with `unsafe`: mapping the ring, calling setsockopt and ioctl with structures, and two views of
//! the mapping (a block's status word, and the bytes of a block that is ours). Everything in a block is read
//! through checked slices, so that a kernel that wrote nonsense would cost frames and not memory safety.
#![expect(unsafe_code, reason = "memory shared with the kernel, and socket options that no crate wraps")]

mod filter;

use std::ffi::c_int;
use std::fmt;
use std::io;
use std::mem::{offset_of, size_of};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_io::Async;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

use super::interfaces::Interface;
use crate::base::Time;

pub use filter::Snap;

/// How a ring is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingConfig {
    /// Bytes of the ring; rounded to whole blocks. All of it counts as resident memory of this process.
    pub bytes: usize,
    /// Bytes of a block: a power of two from 128 KiB (the largest frame must fit) to 4 MiB.
    pub block: usize,
    /// How long a block that is not full may wait for more frames. Whole milliseconds.
    pub retire: Duration,
    /// How many bytes of each frame are kept.
    pub snap: Snap,
    /// Take frames that are not for this machine.
    pub promiscuous: bool,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            block: 256 << 10,
            retire: Duration::from_millis(100),
            snap: Snap::default(),
            promiscuous: true,
        }
    }
}

/// One frame as the kernel saw it.
#[derive(Debug, Clone, Copy)]
pub struct RingFrame<'a> {
    /// When the kernel saw it.
    pub time: Time,
    /// The bytes kept, from the link header on (from the IP header where the link has none).
    pub bytes: &'a [u8],
    /// Octets it had: more than the MTU where the network card or the kernel merged packets.
    pub wire_len: u32,
    /// Tag that the kernel took out of the frame: tag protocol (`0x8100`, `0x88a8`) and tag control information.
    pub vlan: Option<(u16, u16)>,
    /// This machine sent it.
    pub outgoing: bool,
    /// Index of the interface.
    pub interface: u32,
    /// `LINKTYPE_` number: how `bytes` begin.
    pub link: u32,
}

/// What the kernel counted since the ring was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RingStatistics {
    /// Frames it put into the ring or dropped.
    pub frames: u64,
    /// Frames it dropped because the ring was full.
    pub drops: u64,
    /// How many times the ring became full.
    pub freezes: u64,
    /// Blocks that made no sense and were left out from there on.
    pub damaged_blocks: u64,
}

/// The ring of one interface.
#[derive(Debug)]
pub struct Ring {
    socket: Async<Socket>,
    blocks: Mapping,
    /// The block that will be filled next.
    next: usize,
    interface: u32,
    link: u32,
    statistics: RingStatistics,
}

impl Ring {
    /// Opens a ring on an interface.
    ///
    /// # Errors
    /// Says which step the kernel refused; without CAP_NET_RAW it is the first.
    pub fn open(interface: &Interface, config: &RingConfig) -> Result<Self, RingError> {
        let (index, link) = (interface.index, interface.link.unwrap_or(UNKNOWN));
        let at = |step| move |error: io::Error| RingError { step, error };
        // Protocol 0: nothing comes before all is set up and `bind` names the protocol.
        let socket =
            Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0))).map_err(at("open a packet socket"))?;
        let block = config.block.clamp(128 << 10, 4 << 20).next_power_of_two();
        let count = (config.bytes / block).max(2);
        let version = libc::tpacket_versions::TPACKET_V3 as c_int;
        set(&socket, libc::PACKET_VERSION, &version).map_err(at("choose the ring's version"))?;
        if interface.loopback {
            set(&socket, libc::PACKET_IGNORE_OUTGOING, &1).map_err(at("leave out outgoing frames"))?;
        }
        let frame = 2_048;
        let request = libc::tpacket_req3 {
            tp_block_size: block as u32,
            tp_block_nr: count as u32,
            tp_frame_size: frame,
            tp_frame_nr: (count * block) as u32 / frame,
            tp_retire_blk_tov: u32::try_from(config.retire.as_millis()).unwrap_or(u32::MAX).max(1),
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::PACKET_RX_RING, &request).map_err(at("make the ring"))?;
        let blocks = Mapping::new(&socket, block, count).map_err(at("map the ring"))?;
        socket.attach_filter(&config.snap.program(link)).map_err(at("attach the filter"))?;
        socket.bind(&address(index)).map_err(at("bind to the interface"))?;
        if config.promiscuous {
            let request = libc::packet_mreq {
                mr_ifindex: index.cast_signed(),
                mr_type: libc::PACKET_MR_PROMISC as u16,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            set(&socket, libc::PACKET_ADD_MEMBERSHIP, &request).map_err(at("make the interface promiscuous"))?;
        }
        let socket = Async::new(socket).map_err(at("watch the socket"))?;
        Ok(Self { socket, blocks, next: 0, interface: index, link, statistics: RingStatistics::default() })
    }

    /// Index of the interface.
    #[must_use]
    pub fn interface(&self) -> u32 {
        self.interface
    }

    /// `LINKTYPE_` number of the frames.
    #[must_use]
    pub fn link(&self) -> u32 {
        self.link
    }

    /// Bytes of memory that the ring takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.block * self.blocks.count
    }

    /// Waits until there is a block to drain. May be cancelled.
    ///
    /// # Errors
    /// [`io::ErrorKind::NetworkDown`] once when the interface goes down (or is down at first): the ring stays good, and a
    /// further call waits for frames after it came up again. Other errors are the end of this ring.
    pub async fn readable(&self) -> io::Result<()> {
        if self.blocks.is_ours(self.next) {
            return Ok(());
        }
        self.socket.readable().await?;
        self.socket.get_ref().take_error()?.map_or(Ok(()), Err)
    }

    /// Gives the frames of the blocks that are ready, `max_blocks` at most, one block a call of `each`, and gives the
    /// blocks back to the kernel. Says whether more blocks are ready.
    pub fn drain(&mut self, max_blocks: usize, mut each: impl FnMut(&mut Frames<'_>)) -> bool {
        for _ in 0..max_blocks {
            let Some(block) = self.blocks.take(self.next) else { return false };
            let mut frames = Frames::new(block, self.interface, self.link);
            each(&mut frames);
            self.statistics.damaged_blocks += u64::from(frames.damaged);
            self.blocks.give_back(self.next);
            self.next = (self.next + 1) % self.blocks.count;
        }
        self.blocks.is_ours(self.next)
    }

    /// What the kernel counted so far. One system call.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn statistics(&mut self) -> io::Result<RingStatistics> {
        // The kernel's counters begin anew at each reading.
        let new = take_statistics(self.socket.get_ref())?;
        self.statistics.frames += u64::from(new.tp_packets);
        self.statistics.drops += u64::from(new.tp_drops);
        self.statistics.freezes += u64::from(new.tp_freeze_q_cnt);
        Ok(self.statistics)
    }
}

/// The frames of one block.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    block: &'a [u8],
    /// Frames left, by the kernel's claim.
    left: u32,
    /// Where the next frame's header is.
    at: usize,
    interface: u32,
    link: u32,
    damaged: bool,
}

/// Where things are in a block (linux/if_packet.h), fixed by the kernel's interface.
mod layout {
    use super::{libc, offset_of, size_of};

    const DESCRIPTION: usize = offset_of!(libc::tpacket_block_desc, hdr);
    pub(super) const STATUS: usize = DESCRIPTION + offset_of!(libc::tpacket_hdr_v1, block_status);
    pub(super) const COUNT: usize = DESCRIPTION + offset_of!(libc::tpacket_hdr_v1, num_pkts);
    pub(super) const FIRST: usize = DESCRIPTION + offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt);

    pub(super) const NEXT: usize = offset_of!(libc::tpacket3_hdr, tp_next_offset);
    pub(super) const SECONDS: usize = offset_of!(libc::tpacket3_hdr, tp_sec);
    pub(super) const NANOSECONDS: usize = offset_of!(libc::tpacket3_hdr, tp_nsec);
    pub(super) const CAPTURED: usize = offset_of!(libc::tpacket3_hdr, tp_snaplen);
    pub(super) const WIRE: usize = offset_of!(libc::tpacket3_hdr, tp_len);
    pub(super) const FRAME_STATUS: usize = offset_of!(libc::tpacket3_hdr, tp_status);
    pub(super) const LINK_HEADER: usize = offset_of!(libc::tpacket3_hdr, tp_mac);
    pub(super) const NETWORK_HEADER: usize = offset_of!(libc::tpacket3_hdr, tp_net);
    const VARIANT: usize = offset_of!(libc::tpacket3_hdr, hv1);
    pub(super) const TAG_CONTROL: usize = VARIANT + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci);
    pub(super) const TAG_PROTOCOL: usize = VARIANT + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid);
    /// The sender's address follows the header.
    pub(super) const PACKET_TYPE: usize = size_of::<libc::tpacket3_hdr>() + offset_of!(libc::sockaddr_ll, sll_pkttype);
    pub(super) const HEADER: usize = libc::TPACKET3_HDRLEN;
}

impl<'a> Frames<'a> {
    fn new(block: &'a [u8], interface: u32, link: u32) -> Self {
        let head: Option<&[u8; 48]> = block.first_chunk();
        let (left, at) = head.map_or((0, 0), |head| (u32_at(head, layout::COUNT), u32_at(head, layout::FIRST)));
        Self { block, left, at: at as usize, interface, link, damaged: head.is_none() }
    }

    /// The frame at `self.at`; `None` where the block makes no sense.
    #[inline]
    fn frame(&mut self) -> Option<RingFrame<'a>> {
        let frame = self.block.get(self.at..)?;
        let head: &[u8; layout::HEADER] = frame.first_chunk()?;
        let captured = u32_at(head, layout::CAPTURED) as usize;
        let link_header = usize::from(u16_at(head, layout::LINK_HEADER));
        let network_header = usize::from(u16_at(head, layout::NETWORK_HEADER));
        let bytes = frame.get(link_header..)?.get(..captured)?;
        // Drivers of interfaces without a link header differ in what they put before the IP header.
        let skipped = if self.link == RAW { network_header.saturating_sub(link_header).min(captured) } else { 0 };
        let status = u32_at(head, layout::FRAME_STATUS);
        let vlan = (status & libc::TP_STATUS_VLAN_VALID != 0).then(|| {
            let protocol = u16_at(head, layout::TAG_PROTOCOL);
            let known = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
            (if known { protocol } else { 0x8100 }, u32_at(head, layout::TAG_CONTROL) as u16)
        });
        let (seconds, nanoseconds) = (u32_at(head, layout::SECONDS), u32_at(head, layout::NANOSECONDS));
        let next = u32_at(head, layout::NEXT) as usize;
        // Frames follow each other, or a wrong count would have us read the same one for hours.
        if next < layout::HEADER && self.left > 0 {
            return None;
        }
        self.at += next;
        Some(RingFrame {
            time: Time::from_micros(u64::from(seconds) * 1_000_000 + u64::from(nanoseconds / 1_000)),
            bytes: bytes.get(skipped..)?,
            wire_len: u32_at(head, layout::WIRE).saturating_sub(skipped as u32),
            vlan,
            outgoing: head.get(layout::PACKET_TYPE) == Some(&libc::PACKET_OUTGOING),
            interface: self.interface,
            link: self.link,
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = RingFrame<'a>;

    #[inline]
    fn next(&mut self) -> Option<RingFrame<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let frame = self.frame();
        if frame.is_none() {
            (self.left, self.damaged) = (0, true);
        }
        frame
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}

/// `LINKTYPE_RAW`: frames begin with an IP header.
const RAW: u32 = 101;
/// No link type: frames of an interface whose hardware type we do not know.
const UNKNOWN: u32 = u32::MAX;

#[inline]
fn u32_at<const N: usize>(head: &[u8; N], at: usize) -> u32 {
    head.get(at..at + 4).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

#[inline]
fn u16_at<const N: usize>(head: &[u8; N], at: usize) -> u16 {
    head.get(at..at + 2).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_ne_bytes(*bytes))
}

/// Why a ring could not be opened.
#[derive(Debug)]
pub struct RingError {
    step: &'static str,
    error: io::Error,
}

impl RingError {
    /// Whether this process lacks CAP_NET_RAW.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.error.kind() == io::ErrorKind::PermissionDenied
    }

    /// Whether the interface is not there (any more).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.error.raw_os_error() == Some(libc::ENODEV)
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.step)
    }
}

impl std::error::Error for RingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The memory shared with the kernel: `count` blocks of `block` bytes.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    block: usize,
    count: usize,
}

impl Mapping {
    /// Maps the ring that the socket has.
    fn new(socket: &Socket, block: usize, count: usize) -> io::Result<Self> {
        let bytes = NonZeroUsize::new(block * count).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping where the kernel chooses the address touches no memory that is in use.
        let start = unsafe { mmap(None, bytes, access, MapFlags::MAP_SHARED, socket.as_fd(), 0) }?;
        Ok(Self { start: start.cast(), block, count })
    }

    fn status(&self, index: usize) -> &AtomicU32 {
        let offset = index % self.count * self.block + layout::STATUS;
        // SAFETY: the offset is inside the mapping (a block is far longer than its header), which lives as long as
        // `self`; it is a multiple of 4; both sides only ever access this word atomically while it may change.
        unsafe { AtomicU32::from_ptr(self.start.add(offset).cast().as_ptr()) }
    }

    /// Whether the kernel gave us this block. Acquires what it wrote.
    fn is_ours(&self, index: usize) -> bool {
        self.status(index).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// The bytes of a block, where it is ours.
    fn take(&mut self, index: usize) -> Option<&[u8]> {
        if !self.is_ours(index) {
            return None;
        }
        let offset = index % self.count * self.block;
        // SAFETY: the block is inside the mapping. It is ours, so the kernel writes nothing in it until `give_back`,
        // which needs `&mut self` and so comes after the slice is gone. All bytes are initialised: the kernel zeroes
        // the ring when it makes it.
        Some(unsafe { std::slice::from_raw_parts(self.start.add(offset).as_ptr(), self.block) })
    }

    /// Gives a block back to the kernel, with all our reads before it.
    fn give_back(&mut self, index: usize) {
        self.status(index).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is what `new` mapped, and no slice of it outlives `self`.
        unsafe { munmap(self.start.cast(), self.block * self.count) }.ok();
    }
}

/// Sets an option of a packet socket; `T` must be what the kernel expects for it.
fn set<T: Copy>(socket: &Socket, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes from a live, initialised `T`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads and resets the kernel's counters.
fn take_statistics(socket: &Socket) -> io::Result<libc::tpacket_stats_v3> {
    let mut value = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
    let mut len = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `value`, whose every bit pattern is valid.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            std::ptr::from_mut(&mut value).cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// The address of all protocols on one interface.
fn address(interface: u32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: a `sockaddr_ll` is a socket address, and no longer than the storage.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = interface.cast_signed();
    // SAFETY: the family says what was filled in, and the length is that structure's.
    unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t) }
}

/// What merges packets on an interface; `None` where the driver does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merging {
    /// Received packets are merged before they are seen (GRO, LRO).
    pub received: Option<bool>,
    /// Sent packets are seen before they are cut (TSO, GSO).
    pub sent: Option<bool>,
}

impl Merging {
    /// Asks the driver of an interface. Needs no privilege.
    #[must_use]
    pub fn of(interface: &str) -> Self {
        const GET_TSO: u32 = 0x1e;
        const GET_GSO: u32 = 0x23;
        const GET_FLAGS: u32 = 0x25;
        const GET_GRO: u32 = 0x2b;
        const FLAG_LRO: u32 = 1 << 15;
        let Ok(socket) = Socket::new(Domain::UNIX, Type::DGRAM, None) else { return Self::default() };
        let ask = |command| ethtool(&socket, interface, command);
        let either = |a: Option<bool>, b: Option<bool>| a.map(|a| a || b == Some(true)).or(b);
        Self {
            received: either(ask(GET_GRO).map(|on| on != 0), ask(GET_FLAGS).map(|flags| flags & FLAG_LRO != 0)),
            sent: either(ask(GET_TSO).map(|on| on != 0), ask(GET_GSO).map(|on| on != 0)),
        }
    }
}

/// Asks the driver of an interface for one number.
fn ethtool(socket: &Socket, interface: &str, command: u32) -> Option<u32> {
    /// `struct ethtool_value`.
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    /// `struct ifreq`, whose union is 24 bytes long at most.
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        data: *mut Value,
        rest: [u8; 16],
    }
    let mut name = [0; libc::IFNAMSIZ];
    name.get_mut(..interface.len()).filter(|name| name.len() < libc::IFNAMSIZ)?.copy_from_slice(interface.as_bytes());
    let mut value = Value { command, data: 0 };
    let mut request = Request { name, data: &raw mut value, rest: [0; 16] };
    // SAFETY: the request is as long as the kernel's, and points to a live `ethtool_value`, which is what the "get"
    // commands above write.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    (result == 0).then_some(value.data)
}

#[cfg(test)]
mod tests;
