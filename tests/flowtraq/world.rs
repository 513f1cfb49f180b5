//! A small box in memory: a few sessions in the history, one still being captured, and a client that calls it through the
//! router as HTTP does.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tiny_http::Method;
use weir::api::{Api, Parts, World};
use weir::auth::{self, Auth, SetupCode};
use weir::base::disk::Disk;
use weir::base::lru::HashKey;
use weir::base::{Connection, Ip, Mac, Time};
use weir::config;
use weir::dialect::message::header;
use weir::dialect::{Answer, Body, Chunk, Peer, Reply, Request, Router, Service};
use weir::enrich::Enricher;
use weir::flow::{Counters, End, FlowKey, FlowRecord, Intake, IntakeConfig, Meter, MeterConfig, Origin, Side, Source};
use weir::io::disk::OsDisk;
use weir::objects::Objects;
use weir::rollup::Rollups;
use weir::store::{Settings, State, Store};
use weir::wire::{self, LinkType, Tunnels};

/// 2026-11-22T12:00:00Z
pub const NOW: u64 = 1_795_348_800;
pub const PASSWORD: &str = "a good long password";

pub fn at(seconds_before_now: u64) -> Time {
    Time::from_secs(NOW - seconds_before_now)
}

/// The box.
pub struct Box_ {
    pub world: Rc<World>,
    pub router: Router,
    pub code: Option<SetupCode>,
    _folder: tempfile::TempDir,
}

/// What came back.
pub struct Got {
    pub status: u16,
    pub body: String,
    pub retry_after: Option<String>,
    #[allow(dead_code, reason = "of use to one dialect")]
    pub location: Option<String>,
    /// `WWW-Authenticate` or `Allow`: how it would have gone.
    #[allow(dead_code, reason = "of use to one dialect")]
    pub hint: Option<String>,
    pub streamed: bool,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Box_ {
    /// Before first contact, without sessions.
    pub fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(folder.path()).unwrap());
        let settings = auth::Settings { key_age: Duration::from_secs(3_600), keys: 16, own_uid: 999 };
        let (auth, code) = Auth::open(disk.clone(), settings).unwrap();
        let (state, _) = State::open(&folder.path().join("state")).unwrap();
        let (store, recovery) = Store::open(disk.clone(), Settings::default(), Time::from_secs(NOW - 10_000)).unwrap();
        let (book, config) = config::Book::open(disk, Vec::new(), at(0)).unwrap();
        let parts = Parts {
            config,
            book,
            auth,
            meter: Meter::new(&MeterConfig { first_id: 100, capacity: 64, ..MeterConfig::default() }, HashKey(1, 2)),
            intake: Intake::new(&IntakeConfig { capacity: 64, ..IntakeConfig::default() }, HashKey(1, 2)),
            enricher: Enricher::new(HashKey(1, 2)),
            rollups: Rollups::new(HashKey(1, 2), at(10_000)),
            rollup_store: None,
            store,
            damaged: recovery.damaged,
            objects: Objects::load(Some(state)),
        };
        let world = Rc::new(World::new(at(10_000), parts));
        let router = Router::new(Api::new(Rc::clone(&world)));
        Self { world, router, code, _folder: folder }
    }

    /// Set up, with the sessions of [`records`] and one that is still being captured.
    pub fn with_sessions() -> Self {
        let made = Self::fresh();
        made.set_up();
        for record in records() {
            made.world.store.borrow_mut().append(record.last, &record);
        }
        made.observe_dns_query();
        made
    }

    pub fn set_up(&self) {
        let from = auth::From::Local(0);
        let hash = auth::password::hash(PASSWORD).unwrap();
        let mut auth = self.world.auth.borrow_mut();
        let (ticket, write) = auth.finish_setup(at(0), from, hash).unwrap().into_parts();
        auth.saved(at(0), ticket, write()).unwrap();
    }

    /// 10.0.0.9 asks 192.0.2.53, 30 s before now; the session is still open.
    fn observe_dns_query(&self) {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 9, 0x08, 0x00];
        frame.extend([0x45, 0, 0, 40, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 9, 192, 0, 2, 53]);
        frame.extend([0xc3, 0x50, 0, 53, 0, 20, 0, 0]);
        frame.extend([0; 12]);
        let packet = wire::parse(LinkType::ETHERNET, &frame, frame.len() as u32, Tunnels::Outer).unwrap();
        self.world.meter.borrow_mut().observe(at(30), &packet, Source { if_index: 2, mtu: 1500 });
    }

    /// A GET over the local socket, which needs no credentials.
    pub fn get(&self, target: &str) -> Got {
        self.call(at(0), Method::Get, target, &[], b"", Peer::Local { uid: 0 })
    }

    /// A call over the network.
    pub fn remote(&self, now: Time, method: Method, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Got {
        self.call(now, method, target, fields, body, tcp("192.0.2.200:40000"))
    }

    pub fn call(
        &self,
        now: Time,
        method: Method,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
        peer: Peer,
    ) -> Got {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = fields.iter().map(|(name, value)| header(name, value).unwrap()).collect();
        let (path, query, body) = (path.to_owned(), query.to_owned(), body.to_vec());
        assert!(body.len() <= self.router.body_limit(&method, &path), "HTTP would refuse the body");
        let request = Request { method, path, query, headers, body, peer, connection: Connection::begin() };
        got(now, replied(now, self.router.call(now, request)).0)
    }

    /// A call whose hashing finds the queue full.
    pub fn remote_with_full_queue(&self, target: &str, fields: &[(&str, &str)]) -> Got {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = fields.iter().map(|(name, value)| header(name, value).unwrap()).collect();
        let request = Request {
            method: Method::Get,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: Vec::new(),
            peer: tcp("192.0.2.200:40000"),
            connection: Connection::begin(),
        };
        let Answer::Hash { resume, .. } = self.router.call(at(0), request) else { panic!("nothing to hash") };
        let Answer::Reply(reply) = resume(at(0), None) else { panic!("no reply") };
        got(at(0), reply)
    }
}

fn tcp(remote: &str) -> Peer {
    let local: SocketAddr = "192.0.2.2:8443".parse().unwrap();
    Peer::Tcp { remote: remote.parse().unwrap(), local, tls: true }
}

/// The reply that an answer comes to, and how long the client is made to wait for it.
pub fn replied(now: Time, mut answer: Answer) -> (Reply, Duration) {
    loop {
        answer = match answer {
            Answer::Reply(reply) => return (reply, Duration::ZERO),
            Answer::Later { wait, reply } => return (reply, wait),
            Answer::Busy(step) => step(now),
            Answer::Hash { work, resume, .. } => resume(now, Some(work())),
            Answer::Upgrade(_) => panic!("nothing here asks for that"),
            Answer::Save { work, resume } => resume(now, work()),
        };
    }
}

/// A body as text; no piece of it is large.
pub fn text_of(now: Time, body: Body) -> String {
    let bytes = match body {
        Body::Empty => Vec::new(),
        Body::Full(bytes) => bytes,
        Body::Stream(mut pieces) => {
            let mut bytes = Vec::new();
            loop {
                match pieces.next_chunk(now) {
                    Chunk::Data(piece) => {
                        assert!(piece.len() <= 64 * 1024, "a piece of {} octets", piece.len());
                        bytes.extend(piece);
                    }
                    Chunk::Busy => {}
                    Chunk::End => break bytes,
                    Chunk::Failed(why) => panic!("{why}"),
                }
            }
        }
    };
    String::from_utf8(bytes).unwrap()
}

fn got(now: Time, reply: Reply) -> Got {
    let field = |name: &str| {
        reply.headers.iter().find(|h| h.field.as_str().as_str().eq_ignore_ascii_case(name)).map(|h| h.value.to_string())
    };
    let (retry_after, location) = (field("Retry-After"), field("Location"));
    let hint = field("WWW-Authenticate").or_else(|| field("Allow"));
    let streamed = matches!(reply.body, Body::Stream(_));
    Got { status: reply.status.0, body: text_of(now, reply.body), retry_after, location, hint, streamed }
}

/// A number of packets and bytes each way.
fn counted(client: (u64, u64), server: (u64, u64)) -> [Counters; 2] {
    [client, server].map(|(packets, bytes)| Counters { packets, bytes })
}

fn ip(text: &str) -> Ip {
    text.parse().unwrap()
}

/// The sessions of the history: an HTTPS download in two updates, a DNS answer, a ping, and one of which everything is known.
pub fn records() -> Vec<FlowRecord> {
    let web = FlowRecord {
        id: 1,
        ordinal: 1,
        key: FlowKey {
            client: ip("10.0.0.1"),
            server: ip("192.0.2.80"),
            client_port: 50_000,
            server_port: 443,
            protocol: 6,
            ..FlowKey::default()
        },
        start: at(600),
        first: at(600),
        last: at(545),
        delta: counted((10, 1_000), (20, 20_000)),
        total: counted((10, 1_000), (20, 20_000)),
        tcp_flags: [0x1a, 0x1a],
        tos: [0, 0],
        macs: [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 0x80])],
        origin: Origin { if_in: 2, sampling: 1, ..Origin::default() },
        application: weir::enrich::apps::by_name("https").unwrap_or_default(),
        ..FlowRecord::default()
    };
    let web_end = FlowRecord {
        ordinal: 2,
        end: Some(End::Tcp),
        previous: at(545),
        first: at(540),
        last: at(500),
        delta: counted((5, 500), (10, 10_000)),
        total: counted((15, 1_500), (30, 30_000)),
        tcp_flags: [0x1b, 0x1b],
        ..web.clone()
    };
    let dns = FlowRecord {
        id: 2,
        ordinal: 1,
        end: Some(End::Idle),
        key: FlowKey {
            client: ip("10.0.0.2"),
            server: ip("192.0.2.53"),
            client_port: 53_000,
            server_port: 53,
            protocol: 17,
            vlan: 10,
            ..FlowKey::default()
        },
        start: at(400),
        first: at(400),
        last: at(400) + Duration::from_micros(1_500),
        delta: counted((1, 60), (1, 120)),
        total: counted((1, 60), (1, 120)),
        origin: Origin { if_in: 2, sampling: 1, ..Origin::default() },
        ..FlowRecord::default()
    };
    let ping = FlowRecord {
        id: 3,
        ordinal: 1,
        end: Some(End::Idle),
        key: FlowKey {
            client: ip("10.0.0.1"),
            server: ip("192.0.2.1"),
            server_port: 8 * 256,
            protocol: 1,
            ..FlowKey::default()
        },
        start: at(300),
        first: at(300),
        last: at(299),
        delta: counted((2, 168), (2, 168)),
        total: counted((2, 168), (2, 168)),
        origin: Origin { if_in: 2, sampling: 1, ..Origin::default() },
        ..FlowRecord::default()
    };
    let known = FlowRecord {
        id: 4,
        ordinal: 3,
        key: FlowKey {
            client: ip("2001:db8::1"),
            server: ip("2001:db8:1::2"),
            client_port: 40_000,
            server_port: 22,
            protocol: 6,
            vlan: 20,
            inner_vlan: 21,
        },
        start: at(7_000),
        previous: at(260),
        first: at(250),
        last: at(200),
        delta: counted((7, 700), (8, 800)),
        total: counted((70, 7_000), (80, 8_000)),
        tcp_flags: [0x18, 0x10],
        tos: [0x10, 0],
        macs: [Mac([2, 0, 0, 0, 0, 3]), Mac([2, 0, 0, 0, 0, 4])],
        application: weir::enrich::apps::by_name("ssh").unwrap_or_default(),
        origin: Origin {
            exporter: ip("198.51.100.1"),
            version: 9,
            partition: 0,
            sampling: 10,
            if_in: 1,
            if_out: 2,
            ring: 8,
        },
        sides: [
            Side { country: *b"DE", asn: 64_500, mask: 32, group: 1 },
            Side { country: *b"FR", asn: 64_501, mask: 48, group: 2 },
        ],
        ..FlowRecord::default()
    };
    let opened = FlowRecord { ordinal: 1, previous: Time::ZERO, first: at(7_000), last: at(6_950), ..known.clone() };
    let went_on = FlowRecord { ordinal: 2, previous: at(6_950), first: at(300), last: at(260), ..known.clone() };
    vec![opened, web, web_end, dns, ping, went_on, known]
}

/// Compares with a golden file; `UPDATE_GOLDEN=1` writes it.
pub fn assert_golden(name: &str, got: &Got) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/flowtraq").join(name);
    let mut json = got.json();
    // How the history is cut into blocks is not the dialect's affair.
    for counter in ["blocks_read", "blocks_skipped"] {
        json["honesty"].as_object_mut().unwrap().remove(counter);
    }
    let now = format!("{json:#}\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(now == golden, "{name} changed; look at the diff after UPDATE_GOLDEN=1");
}
