//! Floor 5: the config tree.
//!
//! Every leaf has a type, bounds, a unit and a default, in [`leaves::LEAVES`]. A value comes from the first of: the command
//! line, the file `config.json`, the image (its maker's defaults), the board profile, the default. Loading reports every fault at once with its path and
//! names keys that it does not know. The file is plain JSON, replaced atomically, and its last 32 versions are kept
//! ([`versions`]). [`Book`] leads a change from its proposal to its version, or back when nobody confirms it. Pure but for
//! [`versions`] and [`Book`], which write through [`crate::base::disk::Disk`].
//!
//! To add a leaf: a field below, an entry in [`leaves::LEAVES`]. To add a board: `board/NAME/profile.json`, an entry in
//! [`board::BOARDS`].

pub mod board;
mod book;
mod content;
pub mod leaves;
pub mod versions;

pub use book::{Book, Broken, Job, Occupied, OpenError, Trial, Tried};
pub use content::{Content, fuzz_config, is_within, nest, unknown};

use crate::base::{SmallMap, Zone};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::collector::{self, Collector};
use crate::filter::{self, Net};
use crate::schema::{Fault, Problem, verify};
use leaves::{LEAVES, Leaf};

/// The whole tree, checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Board profile.
    pub board: String,
    /// Packet capture.
    pub capture: Capture,
    /// Who may export to us, and how many.
    pub collect: Collect,
    /// NetFlow and IPFIX; FlowTraq's stanza of that name.
    pub netflow: NetFlow,
    /// sFlow; FlowTraq's stanza of that name.
    pub sflow: SFlow,
    /// The session table and what belongs to it.
    pub flow: Flow,
    /// What words of the filter language mean.
    pub filter: Filter,
    /// When sessions end; FlowTraq's stanza of that name.
    pub sessiontables: SessionTables,
    /// What is kept on disk.
    pub storage: Storage,
    /// The HTTPS server.
    pub http: Http,
    /// Flow records for other collectors.
    pub export: Export,
    /// Numbers for other monitors.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
    /// The machine, where weir is all that runs on it: an image.
    pub system: System,
    /// Its management network, on an image.
    pub network: Network,
    /// Users and their keys; FlowTraq's stanza of that name.
    pub userdata: UserData,
    /// `alyvix`: calls without credentials.
    pub alyvix: Alyvix,
}

/// `capture`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Capture {
    /// Interfaces to capture on; none means all that are up.
    pub interfaces: Vec<String>,
    /// Whether the innermost IP header of a tunnel makes the session, in place of the outermost.
    pub inner_tunnels: bool,
    /// Whether traffic of our own API is left out.
    pub exclude_self: bool,
    /// Whether frames for others are captured too.
    pub promiscuous: bool,
    /// Bytes of each interface's packet ring.
    pub ring_bytes: usize,
}

/// `collect`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collect {
    /// Whose exports are taken.
    pub accept: Arc<[Net]>,
    /// Most exporters known at once.
    pub exporters: usize,
    /// Most sessions that they told of.
    pub sessions: usize,
    /// Most templates of an exporter.
    pub templates: usize,
    /// How long a template is good that came over UDP and was not sent again.
    pub template_life: Duration,
    /// Bytes of an exporter's data that wait for their template.
    pub waiting_bytes: usize,
    /// Connections that export, over TCP and TLS.
    pub connections: usize,
    /// The same from one address.
    pub connections_per_address: usize,
}

/// `netflow`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NetFlow {
    /// UDP ports.
    pub netflowport: Vec<u16>,
    /// TCP ports for IPFIX.
    pub ipfixtcpport: Vec<u16>,
    /// TCP ports for IPFIX over TLS.
    pub ipfixtlsport: Vec<u16>,
    /// Certificates in PEM that must have signed those of exporters; where empty they need none.
    pub ipfixtlsca: String,
    /// Bytes that the kernel keeps for each UDP port until we read them.
    pub bufsize: usize,
    /// Whether flows that ended long ago are left out.
    pub ignoreoldnetflows: bool,
}

/// `sflow`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SFlow {
    /// UDP ports.
    pub sflowport: Vec<u16>,
    /// Bytes that the kernel keeps for each UDP port until we read them.
    pub bufsize: usize,
}

/// `flow`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flow {
    /// Most sessions in memory.
    pub sessions: usize,
    /// Most fragmented datagrams whose ports are remembered.
    pub fragments: usize,
    /// Most addresses whose names are remembered.
    pub hosts: usize,
}

/// `filter`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// The internal netblocks. FlowTraq applies a change of them to new sessions only; here they are looked at when a
    /// question is asked, so a change holds for what is stored too.
    pub internal: Arc<[Net]>,
}

/// `sessiontables`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionTables {
    /// A session without packets for this long has ended.
    pub timeout: Duration,
    /// A session as long as this is ended; what follows is another.
    pub toolong: Duration,
}

/// `storage`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Storage {
    /// The most that a power cut may lose.
    pub storageinterval: Duration,
    /// Bytes of flow history to keep.
    pub budget: u64,
    /// Bytes of live rollups to keep.
    pub rollups: u64,
}

/// `http`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Http {
    /// Where HTTPS is served.
    pub listen: Vec<SocketAddr>,
    /// Where plain HTTP is sent on to HTTPS.
    pub redirect: Vec<SocketAddr>,
    /// Where the API is served without TLS.
    pub plain: Vec<SocketAddr>,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// For a request's head to arrive.
    pub head_time: Duration,
    /// For a request's body to arrive, beside what its length adds.
    pub body_time: Duration,
    /// Between two requests of a connection.
    pub idle_time: Duration,
    /// Connections from the network.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_address: usize,
    /// TLS handshakes under way at a time.
    pub handshakes: usize,
    /// How long TLS handshakes may hold the thread.
    pub handshake_slice: Duration,
}

/// `export`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Export {
    /// Where to; the filters in them parse.
    pub collectors: Vec<Collector>,
    /// What they have in common.
    pub settings: collector::Settings,
}

/// `metrics`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// How many rows rankings have; 0 for none.
    pub top: usize,
}

/// `log`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// `system`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct System {
    /// The machine's name; where empty, it is made of the hardware address.
    pub hostname: String,
    /// Time servers after those that DHCP names.
    pub ntp: Vec<String>,
    /// In which times are shown to people at the box.
    pub timezone: Zone,
}

/// `network`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Where the IPv4 addresses come from.
    pub method: Method,
    /// The management interface; where empty, the first that is connected.
    pub interface: String,
    /// The VLAN of it that management is on; 0 is none.
    pub vlan: u16,
    /// Addresses and prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Ways to everywhere else, one of each family.
    pub gateways: Vec<IpAddr>,
    /// Whether the name is answered for in the local network.
    pub mdns: bool,
}

/// `network.method`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// A DHCP server.
    #[default]
    Dhcp,
    /// The config.
    Static,
}

/// Calls in Alyvix's words that bring no credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alyvix {
    /// Where they may come from; none where they are refused.
    pub networks: Vec<Net>,
    /// Whom they act as.
    pub user: String,
}

/// `userdata`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserData {
    /// How long a session key lives after its last use.
    pub maxsessionkeyage: Duration,
    /// Most session keys alive at once.
    pub sessionkeys: usize,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The board profile.
    Board,
    /// The image's maker.
    Image,
    /// The config file.
    File,
    /// The command line.
    CommandLine,
}

impl Origin {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Board => "board",
            Self::Image => "image",
            Self::File => "file",
            Self::CommandLine => "command line",
        }
    }
}

/// The tree and where each leaf came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The tree.
    pub config: Config,
    /// By path.
    pub origins: SmallMap<&'static str, Origin>,
}

/// Everything that is wrong with a config, one line each.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigError {
    /// The source and its fault.
    pub faults: Vec<(Origin, Fault)>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (origin, fault)) in self.faults.iter().enumerate() {
            let line_end = if at == 0 { "" } else { "\n" };
            write!(f, "{line_end}config ({}): {fault}", origin.name())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A leaf's path and value that come from elsewhere than the file.
pub type Given = (Origin, &'static str, Value);

/// Loads the tree from the file's text (`None` where there is no file) and from what the command line and the image say.
///
/// # Errors
/// Every fault of every source.
pub fn load(file: Option<&[u8]>, given: &[Given]) -> Result<Loaded, ConfigError> {
    match file.map_or(Ok(Content::default()), Content::parse) {
        Ok(content) => resolve(&content, given),
        Err(mut faults) => {
            // What the command line has wrong is told along.
            let others = resolve(&Content::default(), given).err().map(|error| error.faults);
            let mut all = others.unwrap_or_default();
            all.append(&mut faults.faults);
            Err(ConfigError { faults: all })
        }
    }
}

/// The tree that a file's content makes, under what the command line says and over what the image says.
///
/// # Errors
/// Every fault of what is given, and of the whole.
pub fn resolve(content: &Content, given: &[Given]) -> Result<Loaded, ConfigError> {
    let mut faults = Vec::new();
    let mut layer = |wanted| {
        let mut flat = Flat::new();
        for (origin, path, value) in given.iter().filter(|(origin, ..)| *origin == wanted) {
            check(path, value, *origin, &mut flat, &mut faults);
        }
        (wanted, flat)
    };
    let (command_line, image) = (layer(Origin::CommandLine), layer(Origin::Image));
    let mut layers: Vec<(Origin, Flat)> = vec![command_line, (Origin::File, content.flat().clone()), image];

    let board = layers.iter().find_map(|(_, flat)| flat.get("board")).and_then(Value::as_str).unwrap_or(board::DEFAULT);
    match board::settings(board) {
        Ok(profiles) => {
            for profile in profiles {
                let mut flat = Flat::new();
                flatten("", &profile, Origin::Board, &mut flat, &mut faults);
                layers.push((Origin::Board, flat));
            }
        }
        Err(message) => faults.push((Origin::Board, conflict("board", message))),
    }

    let mut loaded = Loaded { config: Config::default(), origins: SmallMap::new() };
    for leaf in LEAVES {
        let found = layers.iter().find_map(|(origin, flat)| Some((*origin, flat.get(leaf.path)?.clone())));
        let (origin, value) = found.unwrap_or_else(|| (Origin::Default, leaf.default_value()));
        (leaf.set)(&mut loaded.config, &value);
        loaded.origins.insert(leaf.path, origin);
    }
    let tables = &loaded.config.sessiontables;
    if tables.toolong < tables.timeout && faults.is_empty() {
        let origin = loaded.origins.get("sessiontables.toolong").copied().unwrap_or(Origin::Default);
        let message = "must not be less than sessiontables.timeout".to_owned();
        faults.push((origin, conflict("sessiontables.toolong", message)));
    }
    if faults.is_empty() { Ok(loaded) } else { Err(ConfigError { faults }) }
}

/// The leaves whose values differ.
#[must_use]
pub fn changed(before: &Config, after: &Config) -> Vec<&'static Leaf> {
    LEAVES.iter().filter(|leaf| (leaf.get)(before) != (leaf.get)(after)).collect()
}

/// Values by path.
type Flat = SmallMap<&'static str, Value>;

fn flatten(at: &str, object: &Map<String, Value>, origin: Origin, flat: &mut Flat, faults: &mut Vec<(Origin, Fault)>) {
    for (name, value) in object {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let stanza = format!("{path}.");
        match value {
            Value::Object(inner) if LEAVES.iter().any(|leaf| leaf.path.starts_with(&stanza)) => {
                flatten(&path, inner, origin, flat, faults);
            }
            _ => check(&path, value, origin, flat, faults),
        }
    }
}

fn check(path: &str, value: &Value, origin: Origin, flat: &mut Flat, faults: &mut Vec<(Origin, Fault)>) {
    let Some(leaf) = leaves::find(path) else {
        faults.push((origin, Fault { path: path.to_owned(), problem: Problem::Unknown(leaves::nearest(path)) }));
        return;
    };
    let wrong = verify(&leaf.schema, value).into_iter();
    let before = faults.len();
    faults.extend(wrong.map(|fault| (origin, Fault { path: format!("{path}{}", fault.path), problem: fault.problem })));
    if faults.len() == before && leaf.path == leaves::COLLECTORS {
        faults.extend(collector_faults(value).map(|fault| (origin, fault)));
    }
    if faults.len() == before {
        flat.insert(leaf.path, value.clone());
    }
}

/// What the schema cannot say of collectors.
fn collector_faults(value: &Value) -> impl Iterator<Item = Fault> {
    value.as_array().into_iter().flatten().enumerate().filter_map(|(at, text)| {
        let wrong = match text.as_str().unwrap_or_default().parse::<Collector>() {
            Ok(collector) => filter::Filter::parse(&collector.filter).err()?.to_string(),
            Err(error) => error.to_string(),
        };
        Some(conflict(&format!("{}[{at}]", leaves::COLLECTORS), wrong))
    })
}

fn conflict(path: &str, message: String) -> Fault {
    Fault { path: path.to_owned(), problem: Problem::Other(message) }
}

#[cfg(test)]
mod tests;
