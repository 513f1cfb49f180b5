//! What stands on the screen before anybody logs in: which box this is, and how it is reached.

use std::path::Path;

use serde_json::{Value, json};

use super::words::{self, call};
use crate::base::time;
use crate::io::tls;
use crate::system::door;
use crate::update::Version;

/// Which image this is, where it is one.
const IMAGE: &str = "/etc/weir";

/// The banner.
pub(super) fn text(data: &Path) -> String {
    // On an image PID 1 knows more, also where weir does not answer.
    if let Ok(told) = door::ask(&json!({ "order": "status" }), &[])
        && let Some(banner) = told["banner"].as_str()
    {
        return banner.to_owned();
    }
    let answered = |target: &str| call(data, target);
    let listen = answered("/api2/rest/config?path=http.listen");
    let certificate = answered("/api2/rest/config/certificate");
    let status = answered("/api2/rest/status");
    let now = words::zone(data).show(time::now());
    made(&Facts {
        now,
        version: version(),
        board: of_image("board"),
        host: host_name(),
        addresses: tls::own_addresses().iter().map(ToString::to_string).collect(),
        ports: ports(&listen.unwrap_or_default()["value"]),
        fingerprint: certificate.ok().and_then(|found| Some(found["fingerprint"].as_str()?.to_owned())),
        trouble: match &status {
            Ok(status) => texts(&status["trouble"]),
            Err(why) => vec![format!("weir does not answer: {why}")],
        },
    })
}

/// The version of the image, else of this program.
pub(super) fn version() -> String {
    of_image("version").unwrap_or_else(|| Version::own().to_string())
}

/// A line that `image/build` put into the image.
fn of_image(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new(IMAGE).join(name)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "weir".to_owned(), |name| name.trim().to_owned())
}

/// What the banner tells.
#[derive(Default)]
struct Facts {
    now: String,
    version: String,
    board: Option<String>,
    host: String,
    addresses: Vec<String>,
    ports: Vec<u16>,
    fingerprint: Option<String>,
    trouble: Vec<String>,
}

fn made(facts: &Facts) -> String {
    let board = facts.board.as_ref().map_or_else(String::new, |board| format!(" on {board}"));
    let mut text = format!("weir {}{board}: {}\n", facts.version, facts.host);
    for address in &facts.addresses {
        let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
        for port in &facts.ports {
            let port = if *port == 443 { String::new() } else { format!(":{port}") };
            text.push_str(&format!("  https://{address}{port}/\n"));
        }
    }
    if facts.addresses.is_empty() {
        text.push_str("  no network address yet\n");
    }
    if let Some(fingerprint) = &facts.fingerprint {
        text.push_str(&format!("  certificate: SHA-256 {fingerprint}\n"));
    }
    text.push_str(&format!("  {}\n", facts.now));
    for trouble in &facts.trouble {
        text.push_str(&format!("  ! {trouble}\n"));
    }
    text
}

/// The ports of a list of addresses.
fn ports(listen: &Value) -> Vec<u16> {
    let mut ports: Vec<u16> = texts(listen).iter().filter_map(|at| at.rsplit_once(':')?.1.parse().ok()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_tells_where_the_box_is_and_what_troubles_it() {
        let facts = Facts {
            now: "2026-01-02T03:04:05Z".into(),
            version: "1.2.3".into(),
            board: Some("rpi-arm64".into()),
            host: "weir-0a1b".into(),
            addresses: vec!["192.0.2.7".into(), "2001:db8::7".into()],
            ports: vec![443, 8006],
            fingerprint: Some("AB:CD".into()),
            trouble: vec!["The disk is full".into()],
        };
        let expected = "weir 1.2.3 on rpi-arm64: weir-0a1b\n  https://192.0.2.7/\n  https://192.0.2.7:8006/\n  https://[2001:db8::7]/\n  \
                        https://[2001:db8::7]:8006/\n  certificate: SHA-256 AB:CD\n  2026-01-02T03:04:05Z\n  ! The disk is full\n";
        assert_eq!(made(&facts), expected);
        assert!(made(&Facts::default()).contains("no network address yet"));
    }

    #[test]
    fn ports_are_told_once() {
        assert_eq!(ports(&serde_json::json!(["[::]:443", "0.0.0.0:443", "[::]:8006"])), [443, 8006]);
        assert_eq!(ports(&Value::Null), [0_u16; 0]);
    }
}
