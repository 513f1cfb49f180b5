//! weir measures the flows that pass a network box, keeps them, and answers questions about them over TLS.
//!
//! ```text
//!   NIC ---> io::packet_ring --> wire::Packet --> flow::meter --> FlowRecord
//!   file --> io::capture_file --^                                    |
//!                                                                    v
//!                                                   enrich --> rollup --> store (segments, sled)
//!                                                                    |
//!                                                                    v
//!   client <-- io::tls <-- http <-- dialect <-- api <-- schema   query, filter
//! ```
//!
//! Imports point down only; `tests/layers.rs` reads every `use crate::` and fails on an arrow that points up.
//! `io` is for the faces and the composition root alone: what lies between reaches files through `base::disk`.
//!
//! | floor | modules |
//! |---|---|
//! | 9 | [`app`] (and `main.rs`): arguments to exit code, the composition root |
//! | 8 | [`http`], [`cli`], [`console`]: the faces; [`system`]: what PID 1 does on an image |
//! | 7 | [`dialect`]: other systems' words for our operations |
//! | 6 | [`api`]: the one path of a call |
//! | 5 | [`query`], [`auth`], [`config`], [`export`], [`objects`], [`update`]: services that do not see each other |
//! | 4 | [`store`]: journal, segments, rollups and state on disk |
//! | 3 | [`rollup`]: records to counters per dimension and window |
//! | 2 | [`flow`], [`filter`], [`enrich`]: sessions, the filter language, what is added on arrival |
//! | 1 | [`wire`], [`schema`], [`io`]: packet formats, operations as data, the operating system |
//! | 0 | [`base`]: newtypes, time, cursors, bounded collections, the disk trait |

pub mod api;
pub mod app;
pub mod auth;
pub mod base;
pub mod cli;
pub mod config;
pub mod console;
pub mod dialect;
pub mod enrich;
pub mod export;
pub mod filter;
pub mod flow;
pub mod http;
pub mod io;
pub mod objects;
pub mod query;
pub mod rollup;
pub mod schema;
pub mod store;
pub mod system;
pub mod update;
pub mod wire;
