//! Applications: a number that is stored, a name that is shown, and the rules that choose it.
//!
//! A rule is a server's name (`youtube.com` and everything below it), a port, or an IP protocol. The name decides before
//! the port, the port before the protocol.
//!
//! # To add an application
//!
//! Append a line with the next number of its block: 1 to 255 protocols and ports, from 256 services known by name. A number
//! is in the stored history: it is never used for something else, and a name that scripts may use is never changed.

use std::collections::HashMap;
use std::sync::LazyLock;

/// `NUMBER NAME RULES..`; a rule is `PORT/tcp`, `PORT/udp`, `PORT/both`, `ip/PROTOCOL`, or the end of a server's name.
const TABLE: &str = "
1 icmp ip/1 ip/58
2 igmp ip/2
3 ipip ip/4 ip/41
4 gre ip/47
5 ipsec ip/50 ip/51 500/udp 4500/udp
6 ospf ip/89
7 vrrp ip/112
8 pim ip/103
9 eigrp ip/88
10 l2tp ip/115 1701/udp
11 sctp ip/132
12 http 80/both 8080/both 8000/tcp 8008/tcp 8081/tcp 8888/tcp 3128/tcp
13 https 443/both 8443/tcp 8006/tcp
14 dns 53/both
15 dns-over-tls 853/both
16 ssh 22/tcp
17 telnet 23/tcp 992/tcp
18 ftp 20/tcp 21/tcp 989/tcp 990/tcp
19 tftp 69/udp
20 smtp 25/tcp 465/tcp 587/tcp
21 pop3 110/tcp 995/tcp
22 imap 143/tcp 993/tcp
23 ntp 123/udp
24 dhcp 67/udp 68/udp 546/udp 547/udp 647/tcp
25 snmp 161/both 162/both
26 syslog 514/udp 6514/both
27 ldap 389/both 636/both 3268/both 3269/both
28 kerberos 88/both 464/both 749/both
29 smb 445/both 139/both
30 netbios 137/both 138/both
31 msrpc 135/both 593/tcp
32 rdp 3389/both
33 vnc 5900/tcp 5901/tcp 5800/tcp
34 nfs 2049/both 111/both
35 rsync 873/tcp
36 git 9418/tcp
37 bgp 179/tcp
38 rip 520/udp 521/udp
39 ldp 646/both
40 bfd 3784/udp
41 radius 1812/both 1813/both 1645/udp 1646/udp 2083/both 3799/udp
42 tacacs 49/both
43 sip 5060/both 5061/both
44 rtp 5004/both 5005/both
45 rtsp 554/both 8554/both
46 rtmp 1935/both
47 h323 1719/udp 1720/tcp
48 mgcp 2427/udp
49 stun 3478/both 5349/both
50 xmpp 5222/tcp 5269/tcp
51 irc 194/both 6667/tcp 6697/tcp 994/tcp
52 mqtt 1883/both 8883/both
53 amqp 5671/both 5672/both
54 coap 5683/both 5684/both
55 modbus 502/tcp
56 bacnet 47808/both
57 dnp3 20000/both
58 iec-104 2404/tcp
59 opc-ua 4840/both
60 ethernet-ip 44818/both 2222/tcp
61 profinet 34962/both
62 s7 102/tcp
63 ipp 631/both 9100/tcp 515/tcp
64 mdns 5353/udp
65 llmnr 5355/both
66 ssdp 1900/udp
67 ws-discovery 3702/udp
68 mysql 3306/tcp
69 postgresql 5432/tcp
70 mssql 1433/both 1434/both
71 oracle 1521/both 2483/both 2484/both
72 mongodb 27017/tcp
73 redis 6379/tcp
74 memcached 11211/both
75 cassandra 9042/tcp
76 elasticsearch 9200/tcp 9300/tcp
77 influxdb 8086/tcp
78 kafka 9092/tcp
79 zookeeper 2181/tcp
80 etcd 2379/tcp 2380/tcp
81 kubernetes 6443/tcp 10250/tcp
82 docker 2375/tcp 2376/tcp 2377/tcp
83 iscsi 3260/tcp 860/tcp
84 openvpn 1194/both
85 wireguard 51820/udp
86 pptp 1723/tcp
87 socks 1080/both
88 tor 9001/tcp 9050/tcp
89 vxlan 4789/udp 8472/udp
90 geneve 6081/udp
91 gtp 2123/udp 2152/udp
92 teredo 3544/udp
93 netflow 2055/udp 9995/udp 9996/udp
94 ipfix 4739/both 4740/both
95 sflow 6343/both
96 capwap 5246/udp 5247/udp
97 bittorrent 6881/both 6882/both 6883/both 6889/both 6969/both 51413/both
98 zabbix 10050/tcp 10051/tcp
99 nrpe 5666/tcp
100 winrm 5985/tcp 5986/tcp
101 ipmi 623/udp
102 svn 3690/both
103 cwmp 7547/both
104 openflow 6633/tcp 6653/both
105 minecraft 25565/tcp 19132/udp
106 iperf 5001/both 5201/both
107 nntp 119/tcp 563/tcp
108 whois 43/tcp
109 finger 79/tcp
110 nat-pmp 5351/udp
111 hsrp 1985/udp
112 db2 50000/tcp
113 citrix 1494/both 2598/tcp
114 diameter 3868/both
115 iax 4569/udp
116 zerotier 9993/udp
117 syncthing 22000/both
118 x11 6000/tcp 6001/tcp
119 chargen 19/both
120 echo 7/both
121 discard 9/both
122 afp 548/tcp
123 rlogin 512/tcp 513/tcp 514/tcp
124 netconf 830/tcp
125 bitcoin 8333/both
126 ha-cluster 694/udp
127 mumble 64738/both
256 youtube youtube.com youtu.be googlevideo.com ytimg.com youtube-nocookie.com youtubei.googleapis.com
257 netflix netflix.com netflix.net nflxvideo.net nflximg.net nflxext.com nflxso.net
258 whatsapp whatsapp.com whatsapp.net
259 facebook facebook.com facebook.net fbcdn.net fbsbx.com messenger.com
260 instagram instagram.com cdninstagram.com
261 tiktok tiktok.com tiktokcdn.com tiktokv.com ttwstatic.com tiktokcdn-us.com
262 twitter twitter.com twimg.com x.com t.co
263 snapchat snapchat.com sc-cdn.net snap-dev.net
264 telegram telegram.org t.me telegram.me
265 signal signal.org whispersystems.org
266 discord discord.com discord.gg discordapp.com discordapp.net discord.media
267 slack slack.com slack-edge.com slack-msgs.com
268 teams teams.microsoft.com teams.live.com skype.com
269 zoom zoom.us zoom.com zoomgov.com
270 webex webex.com wbx2.com
271 google google.com gstatic.com googleapis.com googleusercontent.com google-analytics.com ggpht.com
272 gmail mail.google.com gmail.com
273 google-drive drive.google.com docs.google.com
274 google-play play.google.com play.googleapis.com android.clients.google.com
275 google-ads doubleclick.net googlesyndication.com googleadservices.com googletagmanager.com
276 apple apple.com icloud.com icloud-content.com mzstatic.com cdn-apple.com aaplimg.com
277 microsoft microsoft.com live.com msftconnecttest.com msn.com bing.com azure.com windows.net
278 office365 office.com office365.com office.net outlook.com sharepoint.com onmicrosoft.com microsoftonline.com
279 onedrive onedrive.com onedrive.live.com 1drv.com
280 windows-update windowsupdate.com update.microsoft.com delivery.mp.microsoft.com
281 amazon amazon.com amazon.de amazon.co.uk media-amazon.com ssl-images-amazon.com
282 aws amazonaws.com aws.amazon.com cloudfront.net
283 prime-video primevideo.com aiv-cdn.net pv-cdn.net aiv-delivery.net
284 disney-plus disneyplus.com disney-plus.net dssott.com bamgrid.com
285 hulu hulu.com hulustream.com huluim.com
286 spotify spotify.com scdn.co spotifycdn.com spotify.map.fastly.net
287 twitch twitch.tv ttvnw.net jtvnw.net
288 steam steampowered.com steamcommunity.com steamcontent.com steamserver.net steamstatic.com
289 xbox xboxlive.com xbox.com
290 playstation playstation.net playstation.com sonyentertainmentnetwork.com
291 nintendo nintendo.net nintendo.com
292 epic-games epicgames.com epicgames.dev unrealengine.com
293 roblox roblox.com rbxcdn.com
294 dropbox dropbox.com dropboxusercontent.com dropboxapi.com dropboxstatic.com
295 box box.com boxcdn.net
296 github github.com githubusercontent.com githubassets.com ghcr.io
297 gitlab gitlab.com gitlab.io
298 wikipedia wikipedia.org wikimedia.org
299 linkedin linkedin.com licdn.com
300 reddit reddit.com redd.it redditmedia.com redditstatic.com
301 pinterest pinterest.com pinimg.com
302 yahoo yahoo.com yimg.com
303 openai openai.com chatgpt.com oaistatic.com oaiusercontent.com
304 cloudflare cloudflare.com cloudflare-dns.com cloudflareinsights.com one.one.one.one
305 akamai akamai.net akamaiedge.net akamaihd.net akamaized.net edgesuite.net edgekey.net
306 fastly fastly.net fastlylb.net
307 salesforce salesforce.com force.com
308 adobe adobe.com adobe.io adobedtm.com typekit.net
309 debian debian.org
310 ubuntu ubuntu.com canonical.com
311 docker-hub docker.io docker.com
312 mozilla mozilla.org mozilla.com mozilla.net firefox.com
313 dns-over-https dns.google dns.quad9.net doh.opendns.com mozilla.cloudflare-dns.com chrome.cloudflare-dns.com dns.nextdns.io
314 paypal paypal.com paypalobjects.com
315 ebay ebay.com ebaystatic.com
316 vimeo vimeo.com vimeocdn.com
317 teamviewer teamviewer.com 5938/both
318 anydesk anydesk.com net.anydesk.com
319 bbc bbc.co.uk bbc.com bbci.co.uk
320 tor-project torproject.org
";

/// No server name is longer (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 255;

const TCP: u8 = 6;
const UDP: u8 = 17;

struct Index {
    /// (number, name), by number.
    names: Vec<(u16, &'static str)>,
    by_name: HashMap<&'static str, u16>,
    /// (protocol and port, number), sorted.
    by_port: Vec<(u32, u16)>,
    by_protocol: [u16; 256],
    by_suffix: HashMap<&'static str, u16>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index {
        names: Vec::new(),
        by_name: HashMap::new(),
        by_port: Vec::new(),
        by_protocol: [0; 256],
        by_suffix: HashMap::new(),
    };
    for (number, name, rules) in rows() {
        index.names.push((number, name));
        index.by_name.insert(name, number);
        for rule in rules.split_ascii_whitespace() {
            index.add(rule, number);
        }
    }
    index.names.sort_unstable();
    index.by_port.sort_unstable();
    index
});

impl Index {
    fn add(&mut self, rule: &'static str, number: u16) {
        let Some((what, transport)) = rule.split_once('/') else {
            self.by_suffix.insert(rule, number);
            return;
        };
        if what == "ip" {
            if let Some(slot) = transport.parse().ok().and_then(|protocol: usize| self.by_protocol.get_mut(protocol)) {
                *slot = number;
            }
            return;
        }
        let Ok(port) = what.parse() else { return };
        if transport != "udp" {
            self.by_port.push((port_key(TCP, port), number));
        }
        if transport != "tcp" {
            self.by_port.push((port_key(UDP, port), number));
        }
    }
}

/// The application's name; none for 0 and for a number that this version does not know.
#[must_use]
pub fn name(number: u16) -> Option<&'static str> {
    let at = INDEX.names.binary_search_by_key(&number, |&(number, _)| number).ok()?;
    INDEX.names.get(at).map(|&(_, name)| name)
}

/// The application of that name, in upper or lower case.
#[must_use]
pub fn by_name(name: &str) -> Option<u16> {
    INDEX.by_name.get(name.to_ascii_lowercase().as_str()).copied()
}

/// The application that an exporter means by its name for it and its `applicationId` (RFC 6759), where the table has it: the
/// name goes before the number, whose engines 1 and 3 hold IANA's numbers of protocols and ports.
#[must_use]
pub fn of_exported(protocol: u8, id: Option<&[u8]>, name: Option<&str>) -> Option<u16> {
    let of_id = |id: &[u8]| {
        let (engine, selector) = id.split_first()?;
        let number =
            selector.iter().try_fold(0_u32, |number, octet| number.checked_mul(256)?.checked_add((*octet).into()))?;
        match engine {
            1 => of_ports(u8::try_from(number).ok()?, 0, 0),
            3 => of_ports(protocol, 0, u16::try_from(number).ok()?),
            _ => None,
        }
    };
    name.and_then(of_vendors_name).or_else(|| id.and_then(of_id))
}

/// An application by what vendors call it: as we do, `tls.youtube` (the protocol, then the service), `secure-imap`.
fn of_vendors_name(name: &str) -> Option<u16> {
    let mut buffer = [0; LONGEST_NAME];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let name = std::str::from_utf8(lower).ok()?;
    let known = |name: &str| {
        let alias = ALIASES.iter().find(|(theirs, _)| *theirs == name);
        INDEX.by_name.get(alias.map_or(name, |(_, ours)| ours)).copied()
    };
    let last = || name.rsplit_once('.').and_then(|(before, last)| known(last).or_else(|| known(before)));
    known(name).or_else(last).or_else(|| known(name.strip_prefix("secure-")?))
}

/// Names of Cisco's NBAR and of Palo Alto's App-ID that differ from ours.
const ALIASES: &[(&str, &str)] = &[
    ("secure-http", "https"),
    ("web-browsing", "http"),
    ("cifs", "smb"),
    ("ms-ds-smb", "smb"),
    ("ms-rdp", "rdp"),
    ("ms-rpc", "msrpc"),
    ("sqlserver", "mssql"),
    ("sqlnet", "oracle"),
    ("postgres", "postgresql"),
];

/// Every application, by number.
pub fn all() -> impl Iterator<Item = (u16, &'static str)> {
    INDEX.names.iter().copied()
}

/// The application of a server of that name: of the longest end of it that the table knows.
#[must_use]
pub fn of_server(server: &str) -> Option<u16> {
    let server = server.strip_suffix('.').unwrap_or(server);
    let mut buffer = [0; LONGEST_NAME];
    let lower = buffer.get_mut(..server.len())?;
    lower.copy_from_slice(server.as_bytes());
    lower.make_ascii_lowercase();
    let mut rest = std::str::from_utf8(lower).ok()?;
    loop {
        if let Some(&number) = INDEX.by_suffix.get(rest) {
            return Some(number);
        }
        (_, rest) = rest.split_once('.')?;
    }
}

/// The application of a protocol and its ports. The client's port counts only where the server's says nothing and it is
/// privileged (below 1024): no client draws such a port at random, so the sides were taken the wrong way round.
#[must_use]
pub fn of_ports(protocol: u8, client_port: u16, server_port: u16) -> Option<u16> {
    let of_port = |port: u16| {
        let at = INDEX.by_port.binary_search_by_key(&port_key(protocol, port), |&(key, _)| key).ok()?;
        INDEX.by_port.get(at).map(|&(_, number)| number)
    };
    let by_protocol = || INDEX.by_protocol.get(usize::from(protocol)).copied().filter(|&number| number != 0);
    if !matches!(protocol, TCP | UDP) {
        return by_protocol();
    }
    of_port(server_port).or_else(|| if client_port < 1024 { of_port(client_port) } else { None })
}

fn port_key(protocol: u8, port: u16) -> u32 {
    u32::from(protocol) << 16 | u32::from(port)
}

fn rows() -> impl Iterator<Item = (u16, &'static str, &'static str)> {
    TABLE.lines().filter_map(|line| {
        let (number, rest) = line.split_once(' ')?;
        let (name, rules) = rest.split_once(' ')?;
        Some((number.parse().ok()?, name, rules))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_names_and_rules_of_the_table_are_unique_and_well_formed() {
        assert_eq!(rows().count(), TABLE.lines().filter(|line| !line.is_empty()).count());
        let (mut numbers, mut names, mut rules) = (HashSet::new(), HashSet::new(), HashSet::new());
        for (number, name, its_rules) in rows() {
            assert!(number != 0 && numbers.insert(number), "{number}");
            assert!(names.insert(name) && name == name.to_lowercase(), "{name}");
            for rule in its_rules.split(' ') {
                assert!(rules.insert(rule), "{rule} twice");
                match rule.split_once('/') {
                    Some(("ip", protocol)) => assert!(protocol.parse::<u8>().is_ok(), "{rule}"),
                    Some((port, transport)) => {
                        assert!(port.parse::<u16>().is_ok() && ["tcp", "udp", "both"].contains(&transport), "{rule}");
                    }
                    None => assert!(rule.contains('.') && rule == rule.to_lowercase(), "{rule}"),
                }
            }
        }
        let unique: HashSet<_> = INDEX.by_port.iter().map(|(key, _)| key).collect();
        assert_eq!(unique.len(), INDEX.by_port.len(), "a port of a protocol has one application");
    }

    /// The numbers below are in stored histories.
    #[test]
    fn numbers_do_not_move() {
        let pinned = [(1, "icmp"), (13, "https"), (14, "dns"), (127, "mumble"), (256, "youtube"), (320, "tor-project")];
        for (number, name_then) in pinned {
            assert_eq!(name(number), Some(name_then));
            assert_eq!(by_name(&name_then.to_uppercase()), Some(number));
        }
        assert_eq!((name(0), name(u16::MAX), by_name("")), (None, None, None));
    }

    #[test]
    fn the_longest_known_end_of_a_servers_name_decides() {
        let app = |server| of_server(server).and_then(name);
        assert_eq!(app("r3---sn-4g5e6nez.googlevideo.com"), Some("youtube"));
        assert_eq!(app("WWW.Google.COM."), Some("google"));
        assert_eq!(app("mail.google.com"), Some("gmail"));
        assert_eq!(app("notyoutube.com"), None, "labels, not letters");
        assert_eq!((app(""), app("."), app("com"), app(&"a.".repeat(200))), (None, None, None, None));
    }

    #[test]
    fn the_servers_port_decides_then_a_privileged_client_port_then_the_protocol() {
        let app = |protocol, client, server| of_ports(protocol, client, server).and_then(name);
        assert_eq!(app(TCP, 50_000, 443), Some("https"));
        assert_eq!(app(UDP, 53, 40_000), Some("dns"), "a reply seen first");
        assert_eq!(app(UDP, 51_820, 40_000), None, "a random client port is no service");
        assert_eq!(app(47, 0, 0), Some("gre"));
        assert_eq!(app(58, 0, 0x8000), Some("icmp"));
        assert_eq!(app(255, 0, 0), None);
    }

    #[test]
    fn what_exporters_call_an_application_is_found_among_ours() {
        let named = |theirs: &str| of_exported(TCP, None, Some(theirs)).and_then(name);
        for (theirs, ours) in [
            ("https", "https"),
            ("HTTP", "http"),
            ("secure-http", "https"),
            ("secure-imap", "imap"),
            ("TLS.YouTube", "youtube"),
            ("DNS.Something", "dns"),
            ("web-browsing", "http"),
        ] {
            assert_eq!(named(theirs), Some(ours), "{theirs}");
        }
        for unknown in ["", "TLS", "secure-", ".", "no such thing", &"x".repeat(300)] {
            assert_eq!(named(unknown), None, "{unknown}");
        }
        let numbered = |protocol, id: &[u8]| of_exported(protocol, Some(id), None).and_then(name);
        assert_eq!(numbered(UDP, &[3, 0, 0, 53]), Some("dns"), "engine 3: IANA's ports");
        assert_eq!(numbered(TCP, &[3, 1, 0xbb]), Some("https"), "of reduced size");
        assert_eq!(numbered(TCP, &[1, 0, 0, 89]), Some("ospf"), "engine 1: IANA's protocols");
        let none: [&[u8]; 6] = [&[], &[3], &[3, 1, 0, 53], &[13, 0, 0, 80], &[3, 255, 255, 255, 255, 255], &[1, 1, 0]];
        assert!(none.iter().all(|id| numbered(TCP, id).is_none()));
        assert_eq!(of_exported(TCP, Some(&[3, 0, 0, 53]), Some("ssh")).and_then(name), Some("ssh"));
    }
}
