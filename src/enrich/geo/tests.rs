//! The files are written here, from the public description of the format (MaxMind DB version 2.0), so that none of
//! anybody's data is needed.

use super::*;

const NODE_EMPTY: usize = usize::MAX;

/// Writes a file of IP version 6 with 24-bit records; IPv4 networks lie below `::/96`, as in MaxMind's own.
struct Writer {
    /// Children: another node, or (from `DATA`) an entry of `data`.
    nodes: Vec<[usize; 2]>,
    data: Vec<u8>,
}

const DATA: usize = 1 << 32;

impl Writer {
    fn new() -> Self {
        Self { nodes: vec![[NODE_EMPTY; 2]], data: Vec::new() }
    }

    fn network(mut self, network: &str, value: &[u8]) -> Self {
        let (ip, bits) = network.split_once('/').unwrap();
        let mut bits: usize = bits.parse().unwrap();
        let address = match ip.parse().unwrap() {
            IpAddr::V4(v4) => {
                bits += 96;
                u128::from(u32::from(v4))
            }
            IpAddr::V6(v6) => u128::from(v6),
        };
        let leaf = DATA + self.data.len();
        self.data.extend(value);
        let mut node = 0;
        for depth in 0..bits {
            let side = (address >> (127 - depth) & 1) as usize;
            if depth == bits - 1 {
                self.nodes[node][side] = leaf;
            } else {
                if self.nodes[node][side] == NODE_EMPTY {
                    self.nodes.push([NODE_EMPTY; 2]);
                    self.nodes[node][side] = self.nodes.len() - 1;
                }
                node = self.nodes[node][side];
            }
        }
        self
    }

    fn finish(self, kind: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for child in self.nodes.iter().flatten() {
            let record = match *child {
                NODE_EMPTY => self.nodes.len(),
                leaf if leaf >= DATA => self.nodes.len() + 16 + (leaf - DATA),
                node => node,
            };
            out.extend(&(record as u32).to_be_bytes()[1..]);
        }
        out.extend([0; 16]);
        out.extend(&self.data);
        out.extend(b"\xab\xcd\xefMaxMind.com");
        out.extend(map(&[
            ("binary_format_major_version", number(5, 2)),
            ("binary_format_minor_version", number(5, 0)),
            ("build_epoch", number(9, 1_700_000_000)),
            ("database_type", text(kind)),
            ("description", map(&[])),
            ("ip_version", number(5, 6)),
            ("languages", vec![0, 4]),
            ("node_count", number(6, self.nodes.len() as u64)),
            ("record_size", number(5, 24)),
        ]));
        out
    }
}

/// Types: 2 string, 5 unsigned 16, 6 unsigned 32, 7 map, 9 unsigned 64; those above 7 have a second type byte.
fn header(kind: u8, size: usize) -> Vec<u8> {
    assert!(size < 285);
    let (low, more) = if size < 29 { (size as u8, None) } else { (29, Some((size - 29) as u8)) };
    let mut out = if kind > 7 { vec![low, kind - 7] } else { vec![kind << 5 | low] };
    out.extend(more);
    out
}

fn text(value: &str) -> Vec<u8> {
    [header(2, value.len()), value.as_bytes().to_vec()].concat()
}

fn number(kind: u8, value: u64) -> Vec<u8> {
    let bytes: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
    [header(kind, bytes.len()), bytes].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = header(7, entries.len());
    for (key, value) in entries {
        out.extend(text(key));
        out.extend(value);
    }
    out
}

fn country(code: &str) -> Vec<u8> {
    map(&[("country", map(&[("geoname_id", number(6, 99)), ("iso_code", text(code))]))])
}

fn autonomous_system(asn: u64) -> Vec<u8> {
    map(&[("autonomous_system_number", number(6, asn)), ("autonomous_system_organization", text("Example"))])
}

fn country_file() -> Vec<u8> {
    Writer::new()
        .network("192.0.2.0/24", &country("NO"))
        .network("198.51.100.0/24", &map(&[("registered_country", map(&[("iso_code", text("se"))]))]))
        .network("203.0.113.0/24", &country("too long"))
        .network("2001:db8::/32", &country("FI"))
        .finish("Test-Country")
}

fn as_file() -> Vec<u8> {
    Writer::new()
        .network("192.0.2.128/25", &autonomous_system(64_496))
        .network("2001:db8:1::/48", &autonomous_system(4_200_000_001))
        .finish("Test-ASN")
}

fn geo(files: &[(&str, Vec<u8>)]) -> (Geo, Vec<BadGeoFile>) {
    let mut geo = Geo::new(HashKey(1, 2));
    let bad = geo.load(files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect());
    (geo, bad)
}

fn side(geo: &mut Geo, ip: &str) -> Side {
    geo.side(ip.parse().unwrap())
}

#[test]
fn country_as_and_netblock_come_from_the_files_together() {
    let (mut geo, bad) = geo(&[("c.mmdb", country_file()), ("a.mmdb", as_file())]);
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(side(&mut geo, "192.0.2.130"), Side { country: *b"NO", asn: 64_496, mask: 25, group: 0 });
    assert_eq!(side(&mut geo, "192.0.2.1"), Side { country: *b"NO", ..Side::default() });
    let v6 = Side { country: *b"FI", asn: 4_200_000_001, mask: 48, group: 0 };
    assert_eq!(side(&mut geo, "2001:db8:1::7"), v6);
    assert_eq!(side(&mut geo, "10.0.0.1"), Side::default());
    let shown: Vec<_> = geo.files().iter().map(|file| (file.name(), file.kind(), file.built().secs())).collect();
    assert_eq!(shown, [("c.mmdb", "Test-Country", 1_700_000_000), ("a.mmdb", "Test-ASN", 1_700_000_000)]);
}

#[test]
fn the_registered_country_serves_where_no_other_is_known() {
    let (mut geo, _) = geo(&[("c.mmdb", country_file())]);
    assert_eq!(side(&mut geo, "198.51.100.1").country, *b"SE", "in capitals");
    assert_eq!(side(&mut geo, "203.0.113.1").country, [0; 2], "a code that is none is not shown");
}

#[test]
fn a_damaged_file_is_refused_and_the_others_serve() {
    let mut torn = as_file();
    torn.truncate(100);
    let (mut geo, bad) = geo(&[("torn.mmdb", torn), ("c.mmdb", country_file()), ("empty.mmdb", Vec::new())]);
    let names: Vec<_> = bad.iter().map(|bad| bad.name.as_str()).collect();
    assert_eq!(names, ["torn.mmdb", "empty.mmdb"]);
    assert!(bad[0].to_string().starts_with("torn.mmdb: "));
    assert_eq!(side(&mut geo, "192.0.2.130").country, *b"NO");
}

#[test]
fn loading_again_forgets_old_answers() {
    let (mut geo, _) = geo(&[("c.mmdb", country_file())]);
    assert_eq!(side(&mut geo, "192.0.2.1").country, *b"NO");
    geo.load(vec![("c.mmdb".to_owned(), Writer::new().network("192.0.2.0/24", &country("DK")).finish("T"))]);
    assert_eq!(side(&mut geo, "192.0.2.1").country, *b"DK");
    geo.load(Vec::new());
    assert_eq!(side(&mut geo, "192.0.2.1"), Side::default());
}

#[test]
fn remembered_answers_stay_below_their_ceiling() {
    let (mut geo, _) = geo(&[("c.mmdb", country_file())]);
    for n in 0..CACHED_ADDRESSES as u32 + 10 {
        geo.side(Ip::v4(n.to_be_bytes()));
    }
    assert_eq!((geo.cache.len(), geo.cache.evicted()), (CACHED_ADDRESSES, 10));
}

#[test]
fn no_flipped_byte_or_cut_panics() {
    let file = as_file();
    fuzz_geo(&file);
    for at in 0..file.len() {
        fuzz_geo(&file[..at]);
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = file.clone();
            bytes[at] ^= flip;
            fuzz_geo(&bytes);
        }
    }
}
