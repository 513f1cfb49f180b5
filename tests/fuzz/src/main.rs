//! One fuzzer for all parsers: `FUZZ_TARGET` names which (see `tests/fuzz/run`).
//!
//! To add a target: write `pub fn fuzz_x(bytes: &[u8])` with an assertion beside the parser, call it from a unit test over
//! a few inputs, and name it here.
#![no_main]

use std::sync::LazyLock;

type Target = fn(&[u8]);

/// Every target by name.
const TARGETS: &[(&str, Target)] = &[
    ("http_chunked", weir::http::chunked::fuzz_chunked),
    ("http_head", weir::http::connection::fuzz_http_head),
    ("capture_file", |bytes| _ = weir::io::capture_file::fuzz_capture_file(bytes)),
    ("filter", weir::filter::fuzz_filter),
    ("signed", weir::auth::signer::fuzz_signed),
    ("pvql", weir::query::pvql::fuzz_pvql),
    ("pvx_arguments", weir::dialect::pvx::arguments::fuzz_arguments),
    ("varint", |bytes| _ = weir::base::Cursor::new(bytes).varint().ok()),
    ("journal", weir::store::fuzz_journal),
    ("exports", weir::wire::exporter::fuzz_exports),
    ("netflow5", weir::wire::exporter::fuzz_netflow5),
    ("netflow9", weir::wire::exporter::fuzz_netflow9),
    ("ipfix", weir::wire::exporter::fuzz_ipfix),
    ("ipfix_stream", weir::wire::exporter::fuzz_ipfix_stream),
    ("export", weir::export::fuzz_export),
    ("packet", weir::wire::fuzz_packet),
    ("segment", weir::store::fuzz_segment),
    ("dns", weir::wire::dns::fuzz_dns),
    ("client_hello", weir::wire::tls::fuzz_client_hello),
    ("http_host", weir::wire::http1::fuzz_http_host),
    ("geo_file", weir::enrich::geo::fuzz_geo),
    ("config", weir::config::fuzz_config),
    ("update_bundle", weir::update::bundle::fuzz_bundle),
    ("x509", weir::wire::x509::fuzz_x509),
    ("sflow", weir::wire::sflow::fuzz_sflow),
    ("dhcp", weir::system::dhcp::fuzz_dhcp),
    ("sntp", weir::system::sntp::fuzz_sntp),
    ("mdns", weir::system::mdns::fuzz_mdns),
    ("partition", weir::system::partition::fuzz_partition),
    ("notify", weir::system::notify::fuzz_notify),
    ("door", weir::system::door::fuzz_door),
    ("zone", weir::base::zone::fuzz_zone),
    ("rollup", weir::rollup::summary::fuzz_summary),
];

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => *target,
        None => {
            for (known, _) in TARGETS {
                println!("{known}");
            }
            std::process::exit(if name == "list" { 0 } else { 2 });
        }
    }
});

libfuzzer_sys::fuzz_target!(init: { LazyLock::force(&CHOSEN); }, |bytes: &[u8]| CHOSEN(bytes));
