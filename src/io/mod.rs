//! Floor 1: the operating system. Everything that asks the kernel for something is here.
//!
//! Contract: `io` knows bytes, times and handles, not what they mean; it sees nothing but [`crate::base`]. It is used
//! by `app`, `main`, `cli`, `console` and `system` alone; floors 2 to 7 that need files get them through [`crate::base::disk`]. `unsafe` is
//! in `packet_ring` and `kernel` only, but for one call in `heap`.

pub mod boot;
pub mod capture_file;
pub mod datagrams;
pub mod disk;
pub mod heap;
pub mod host;
pub mod interfaces;
pub mod kernel;
pub mod links;
pub mod logger;
pub mod net;
pub mod offload;
pub mod packet_ring;
pub mod pinned;
pub mod signals;
pub mod terminal;
pub mod tls;
