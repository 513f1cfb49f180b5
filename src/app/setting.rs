//! From the data folder and the config to what the parts want to know; shared by the commands.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::auth;
use crate::base::Time;
use crate::base::disk::Disk;
use crate::config::{self, Book, Config, ConfigError, Content, Given, Loaded, OpenError, Origin, versions};
use crate::export::Exporter;
use crate::filter::{Filter, Internal};
use crate::flow::{IntakeConfig, MeterConfig};
use crate::http;
use crate::io::disk::{Lock, OsDisk};
use crate::io::net;
use crate::schema::Fault;
use crate::store::rollups::RollupStore;
use crate::store::{self, rollups};
use crate::store::{Found, State};

/// The rollups' folder in the data folder.
const ROLLUPS: &str = "rollups";
/// The state's folder in the data folder.
const STATE: &str = "state";

/// Opens the data folder and keeps other processes out of it.
pub fn open_data(folder: &Path) -> Result<(OsDisk, Lock), String> {
    let wrong = |error: std::io::Error| {
        let way_out = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "; everything weir keeps is written there: --data names another folder"
            }
            _ => "",
        };
        format!("data folder {}: {error}{way_out}", folder.display())
    };
    let disk = OsDisk::open(folder).map_err(wrong)?;
    match disk.try_lock().map_err(wrong)? {
        Some(lock) => Ok((disk, lock)),
        None => Err(format!("another weir works in {}; stop it or choose another --data", folder.display())),
    }
}

/// The config file of the data folder under what the command line says.
pub fn load_config(disk: &dyn Disk, folder: &Path, given: &[Given]) -> Result<Loaded, String> {
    let path = folder.join(versions::FILE);
    let file = versions::read(disk).map_err(|e| format!("{}: {e}", path.display()))?;
    config::load(file.as_deref(), given).map_err(|error| faults_told(&path, &error))
}

/// The same to work with it: where the file is broken, the last good version of it.
pub fn open_book(disk: &Arc<dyn Disk>, folder: &Path, given: Vec<Given>, now: Time) -> Result<(Book, Loaded), String> {
    let path = folder.join(versions::FILE);
    Book::open(Arc::clone(disk), given, now).map_err(|error| match error {
        OpenError::Config(error) => faults_told(&path, &error),
        OpenError::File(error) => format!("{}: {error}", path.display()),
    })
}

/// What the image's maker says, out of a file like a config file.
pub fn image_defaults(file: &Path) -> Result<Vec<Given>, String> {
    let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let content = Content::parse(&bytes).map_err(|error| faults_told(file, &error))?;
    Ok(content.values().map(|(path, value)| (Origin::Image, path, value.clone())).collect())
}

/// Everything that is wrong, a line each, in the words of who wrote it.
fn faults_told(path: &Path, error: &ConfigError) -> String {
    let told = |(origin, fault): &(Origin, Fault)| match origin {
        Origin::File => format!("{}: {fault}", path.display()),
        Origin::CommandLine => format!("{}: {}", option_of(&fault.path), fault.problem),
        // The profiles themselves are part of the program: what is wrong is the name.
        Origin::Image | Origin::Board | Origin::Default => fault.problem.to_string(),
    };
    error.faults.iter().map(told).collect::<Vec<_>>().join("\n")
}

/// This program's file, for commands that are shown to be typed.
pub fn own_path() -> String {
    std::env::current_exe().map_or_else(|_| "weir".to_owned(), |path| path.display().to_string())
}

/// The option of `weir run` that stands for a leaf.
fn option_of(path: &str) -> &str {
    match path.split('[').next() {
        Some("board") => "--board",
        Some("log.level") => "--log",
        Some("http.listen") => "--listen",
        Some("capture.interfaces") => "--interface",
        _ => path,
    }
}

pub fn level(config: &Config) -> log::LevelFilter {
    config.log.level.parse().unwrap_or(log::LevelFilter::Info)
}

pub fn store_settings(config: &Config) -> store::Settings {
    store::Settings {
        budget_bytes: config.storage.budget,
        storage_interval: config.storage.storageinterval,
        ..store::Settings::default()
    }
}

/// Makes the exporter send to whom the config says, on a device that was booted then; `internal` is what `INT` means.
pub fn configure_export(exporter: &mut Exporter, config: &Config, internal: &Arc<Internal>, booted: Time) {
    let wanted = &config.export;
    let filter = |text: &str| {
        let filter = Filter::parse(text).ok().filter(|filter| !filter.is_empty());
        filter.map(|filter| filter.with_internal(Arc::clone(internal)))
    };
    let collectors = wanted.collectors.iter().map(|collector| (collector.clone(), filter(&collector.filter))).collect();
    exporter.configure(collectors, &wanted.settings, booted);
}

pub fn auth_settings(config: &Config) -> auth::Settings {
    auth::Settings {
        key_age: config.userdata.maxsessionkeyage,
        keys: config.userdata.sessionkeys,
        own_uid: net::own_uid(),
    }
}

pub fn http_limits(config: &Config) -> http::Limits {
    let http = &config.http;
    http::Limits {
        head_bytes: http.head_bytes,
        headers: http.headers,
        head_time: http.head_time,
        body_time: http.body_time,
        idle_time: http.idle_time,
        connections: http.connections,
        connections_per_address: http.connections_per_address,
        handshakes: http.handshakes,
        handshake_slice: http.handshake_slice,
        ..http::Limits::default()
    }
}

/// Without the first session's id.
pub fn meter_config(config: &Config) -> MeterConfig {
    MeterConfig {
        capacity: u32::try_from(config.flow.sessions).unwrap_or(u32::MAX),
        idle_timeout: config.sessiontables.timeout,
        too_long: config.sessiontables.toolong,
        fragments: config.flow.fragments,
        hosts: config.flow.hosts,
        ..MeterConfig::default()
    }
}

/// The same.
pub fn intake_config(config: &Config) -> IntakeConfig {
    IntakeConfig {
        capacity: u32::try_from(config.collect.sessions).unwrap_or(u32::MAX),
        exporters: config.collect.exporters,
        idle_timeout: config.sessiontables.timeout,
        too_long: config.sessiontables.toolong,
        ..IntakeConfig::default()
    }
}

pub fn rollup_settings(config: &Config) -> rollups::Settings {
    rollups::Settings { budget: config.storage.rollups, ..rollups::Settings::default() }
}

/// Opens the rollups. Without them weir still runs: the history answers, more slowly.
pub fn open_rollups(data: &Path, config: &Config, now: Time) -> Option<RollupStore> {
    match RollupStore::open(&data.join(ROLLUPS), rollup_settings(config), now) {
        Ok((store, found)) => {
            if let Found::Damaged { why, aside } = found {
                log::error!("rollups: {why}; kept as {}, counting them anew from the history", aside.display());
            }
            Some(store)
        }
        Err(error) => {
            log::error!("rollups: {error}; going on without them");
            None
        }
    }
}

/// Opens the state. Without it weir still runs: there are no traffic groups and no preferences then.
pub fn open_state(data: &Path) -> Option<State> {
    match State::open(&data.join(STATE)) {
        Ok((state, found)) => {
            if let Found::Damaged { why, aside } = found {
                log::error!("state: {why}; kept as {}, beginning anew", aside.display());
            }
            Some(state)
        }
        Err(error) => {
            log::error!("state: {error}; going on without traffic groups and preferences");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::leaves;

    #[test]
    fn the_config_says_the_http_server_s_own_limits_by_default() {
        let config = config::load(None, &[]).unwrap().config;
        assert_eq!(http_limits(&config), http::Limits::default());
    }

    #[test]
    fn a_config_file_that_cannot_be_read_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::open(folder.path()).unwrap());
        std::fs::create_dir(folder.path().join(versions::FILE)).unwrap();
        let (book, loaded) = open_book(&disk, folder.path(), Vec::new(), Time::ZERO).unwrap();
        let broken = book.broken().unwrap().to_string();
        assert!(broken.contains("config.json: ") && broken.contains("cannot be read: "), "{broken}");
        assert_eq!(loaded.config, config::load(None, &[]).unwrap().config);
    }

    #[test]
    fn no_more_header_fields_can_be_configured_than_a_head_can_hold() {
        let leaf = leaves::find("http.headers").unwrap();
        let faults = |n: usize| crate::schema::verify(&leaf.schema, &serde_json::json!(n)).len();
        assert_eq!((faults(http::Limits::MAX_HEADERS), faults(http::Limits::MAX_HEADERS + 1)), (0, 1));
    }
}
