//! `weir install` and `weir uninstall`: a service of an ordinary Linux, under systemd.
//!
//! What is to be done is made as a list of [`Step`]s first; `--dry-run` prints the very list that is carried out otherwise.
//! `--root DIR` does it inside a folder that holds a system, for makers of images; nothing is started there.
//!
//! # Decisions
//!
//! - A user of its own rather than systemd's dynamic one: the data may lie on another disk, where its owner must stay the same.
//! - What was said when it was installed is read from the unit when it is installed again or uninstalled: nobody has to say it twice.
//! - A data folder that holds something else is refused, because `uninstall --purge` removes the folder with all that is in it.

use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, chown, geteuid};

use crate::config::versions;

/// The user and group of the service.
const USER: &str = "weir";
const UNIT: &str = "/etc/systemd/system/weir.service";
const TEMPLATE: &str = include_str!("install/weir.service");
/// The unit's first line begins so: one that does not is somebody else's.
const OURS: &str = "# Made by weir install";
/// What allows ports below 1024, behind what allows capturing.
const BIND: &str = " CAP_NET_BIND_SERVICE";
/// Where the program goes, where `--prefix` does not say otherwise.
pub const PREFIX: &str = "/usr/local";
/// Where the data goes, where `--data` does not say otherwise; commands look there, too.
pub const DATA: &str = "/var/lib/weir";

/// `weir install`. What is not said stays as it was installed before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Install {
    /// The program goes to `bin` in here.
    pub prefix: Option<PathBuf>,
    /// Data folder.
    pub data: Option<PathBuf>,
    /// Board profile.
    pub board: Option<String>,
    /// Allow ports below 1024.
    pub low_ports: bool,
    /// How and where.
    pub how: How,
}

/// `weir uninstall`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uninstall {
    /// Remove what weir kept, too, and its user.
    pub purge: bool,
    /// How and where.
    pub how: How,
}

/// How both are done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct How {
    /// The system to change, where it is not this one.
    pub root: Option<PathBuf>,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// Why it was not done, or not to the end.
#[derive(Debug)]
pub enum InstallError {
    /// The options make no sense here.
    Refused(String),
    /// This step failed; those before it are done.
    Failed(String, String),
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Failed(step, why) => write!(f, "could not {step}: {why}"),
        }
    }
}

impl std::error::Error for InstallError {}

/// One thing to do. Paths are those of the system that is changed, `root` is where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// This program goes there.
    Copy(PathBuf, PathBuf),
    /// A text goes there.
    Write(PathBuf, String),
    /// A folder for the service's user alone.
    DataFolder(PathBuf),
    /// A file is removed; an absent one is no failure.
    Remove(PathBuf),
    /// A folder is removed with all that is in it.
    RemoveFolder(PathBuf),
    /// A program is run.
    Run(Vec<String>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy(from, to) => write!(f, "copy {} to {}", from.display(), to.display()),
            Self::Write(path, _) => write!(f, "write {}", path.display()),
            Self::DataFolder(path) => write!(f, "make the folder {} for the user {USER}", path.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
            Self::RemoveFolder(path) => write!(f, "remove {} and everything in it", path.display()),
            Self::Run(words) => write!(f, "run {}", words.join(" ")),
        }
    }
}

/// Makes weir a service; gives what to tell the user.
///
/// # Errors
/// [`InstallError`]
pub fn install(options: &Install) -> Result<String, InstallError> {
    let how = &options.how;
    check_rights(how)?;
    if let Some(prefix) = &options.prefix {
        check_path("--prefix", prefix, 1)?;
    }
    let before = fs::read_to_string(how.at(Path::new(UNIT))).ok().and_then(|unit| Service::of(&unit));
    let service = before.unwrap_or_default().with(options);
    check_path("--data", &service.data, 2)?;
    check_data(&how.at(&service.data))?;
    let own = std::env::current_exe().map_err(|e| InstallError::Refused(format!("where is this program? {e}")))?;
    let steps = how.install_steps(&service, own);
    let next = format!(
        "\nweir runs and starts with the machine. Where it serves, and its certificate's fingerprint:\n  \
         sudo journalctl -u weir\nNext, set the administrator's password:\n  sudo {program} setup\n\
         Then open https://ADDRESS-OF-THIS-MACHINE:8443/, or ask here:\n  sudo {program} get /info\n\
         To remove it: sudo {program} uninstall\n",
        program = service.program.display(),
    );
    carry_out(&steps, how, if how.root.is_none() { &next } else { "" })
}

/// Takes it away again; gives what to tell the user.
///
/// # Errors
/// [`InstallError`]
pub fn uninstall(options: &Uninstall) -> Result<String, InstallError> {
    let how = &options.how;
    check_rights(how)?;
    let unit = how.at(Path::new(UNIT));
    let text = match fs::read_to_string(&unit) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(InstallError::Refused(format!("weir is not installed: there is no {}", unit.display())));
        }
        Err(error) => return Err(InstallError::Refused(format!("{}: {error}", unit.display()))),
    };
    let Some(service) = Service::of(&text) else {
        return Err(InstallError::Refused(format!(
            "{} was not made by weir install: remove it by hand, if it may go",
            unit.display()
        )));
    };
    let kept = format!("{} is kept, with all its history; --purge removes it, too\n", service.data.display());
    let steps = how.uninstall_steps(options.purge, service);
    carry_out(&steps, how, if options.purge { "" } else { &kept })
}

/// Where an installed weir keeps its data; none where none is installed.
#[must_use]
pub fn installed_data() -> Option<PathBuf> {
    Service::of(&fs::read_to_string(UNIT).ok()?).map(|service| service.data)
}

/// What a unit of ours says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Service {
    program: PathBuf,
    data: PathBuf,
    board: Option<String>,
    low_ports: bool,
}

impl Default for Service {
    fn default() -> Self {
        Self { program: program(Path::new(PREFIX)), data: DATA.into(), board: None, low_ports: false }
    }
}

impl Service {
    /// None where the unit is not ours.
    fn of(unit: &str) -> Option<Self> {
        let line = |start| unit.lines().find_map(|line| line.strip_prefix(start));
        let words: Vec<_> = line("ExecStart=").filter(|_| unit.starts_with(OURS))?.split(' ').collect();
        let after = |option| words.iter().skip_while(|word| **word != option).nth(1).copied();
        let (program, data) = (PathBuf::from(words.first()?), PathBuf::from(after("--data")?));
        let is_good = check_path("", &program, 1).and_then(|()| check_path("", &data, 2)).is_ok();
        let low_ports = line("AmbientCapabilities=").is_some_and(|all| all.contains(BIND));
        is_good.then(|| Self { program, data, board: after("--board").map(str::to_owned), low_ports })
    }

    /// The same with what the options say.
    fn with(self, options: &Install) -> Self {
        Self {
            program: options.prefix.as_deref().map_or(self.program, program),
            data: options.data.clone().unwrap_or(self.data),
            board: options.board.clone().or(self.board),
            low_ports: options.low_ports || self.low_ports,
        }
    }

    fn unit(&self) -> String {
        let (bind, and) = if self.low_ports { (BIND, ", and ports below 1024 used") } else { ("", "") };
        // A folder below a home would not be there otherwise.
        let is_home = ["/home", "/root"].iter().any(|home| self.data.starts_with(home));
        let board = self.board.as_ref().map(|board| format!(" --board {board}")).unwrap_or_default();
        TEMPLATE
            .replace("@PROGRAM@", &self.program.to_string_lossy())
            .replace("@DATA@", &self.data.to_string_lossy())
            .replace("@OPTIONS@", &board)
            .replace("@CAPABILITIES@", &format!("CAP_NET_RAW{bind}"))
            .replace("@AND@", and)
            .replace("@HOMES@", if is_home { "no" } else { "yes" })
    }
}

fn program(prefix: &Path) -> PathBuf {
    prefix.join("bin/weir")
}

impl How {
    /// Where a path of the system is for us.
    fn at(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// `systemctl` with what the system is, if it is not this one.
    fn systemctl(&self, words: &[&str]) -> Step {
        self.tool("systemctl", words)
    }

    fn tool(&self, tool: &str, words: &[&str]) -> Step {
        let root = self.root.iter().map(|root| format!("--root={}", root.display()));
        Step::Run(std::iter::once(tool.to_owned()).chain(root).chain(words.iter().map(|&w| w.to_owned())).collect())
    }

    fn install_steps(&self, service: &Service, own: PathBuf) -> Vec<Step> {
        let mut steps = Vec::new();
        // Installed once more by the installed program itself: only the unit changes.
        if own != self.at(&service.program) {
            steps.push(Step::Copy(own, service.program.clone()));
        }
        steps.extend([
            self.tool(
                "systemd-sysusers",
                &["--inline", &format!("u {USER} - \"flow visibility\" {}", service.data.display())],
            ),
            Step::DataFolder(service.data.clone()),
            Step::Write(UNIT.into(), service.unit()),
        ]);
        if self.root.is_none() {
            steps.push(self.systemctl(&["daemon-reload"]));
        }
        steps.push(self.systemctl(&["enable", "weir.service"]));
        if self.root.is_none() {
            // Waits until it says that it is ready; one that ran already is replaced.
            steps.push(self.systemctl(&["restart", "weir.service"]));
        }
        steps
    }

    fn uninstall_steps(&self, purge: bool, service: Service) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.root.is_none() {
            steps.push(self.systemctl(&["stop", "weir.service"]));
        }
        steps.extend([
            self.systemctl(&["disable", "weir.service"]),
            Step::Remove(UNIT.into()),
            Step::Remove(service.program),
        ]);
        if self.root.is_none() {
            steps.push(self.systemctl(&["daemon-reload"]));
        }
        if purge {
            steps.push(Step::RemoveFolder(service.data));
            let prefix = self.root.iter().flat_map(|root| ["--prefix".to_owned(), root.display().to_string()]);
            let words = std::iter::once("userdel".to_owned()).chain(prefix).chain([USER.to_owned()]);
            steps.push(Step::Run(words.collect()));
        }
        steps
    }

    fn perform(&self, step: &Step) -> Result<(), String> {
        let told = |e: io::Error| e.to_string();
        match step {
            Step::Copy(from, to) => put(&self.at(to), &fs::read(from).map_err(told)?, 0o755).map_err(told),
            Step::Write(path, text) => put(&self.at(path), text.as_bytes(), 0o644).map_err(told),
            Step::DataFolder(path) => {
                let (uid, gid) = self.ids()?;
                let path = self.at(path);
                fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(told)?;
                if !path.is_dir() {
                    fs::DirBuilder::new().mode(0o700).create(&path).map_err(told)?;
                }
                chown(&path, Some(uid), Some(gid)).map_err(|e| e.to_string())
            }
            Step::Remove(path) => match fs::remove_file(self.at(path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
                _ => Ok(()),
            },
            Step::RemoveFolder(path) => match fs::remove_dir_all(self.at(path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
                _ => Ok(()),
            },
            Step::Run(words) => run(words),
        }
    }

    /// The service's user and group in the system that is changed, whose users need not be known here.
    fn ids(&self) -> Result<(Uid, Gid), String> {
        let users = fs::read_to_string(self.at(Path::new("/etc/passwd"))).map_err(|e| e.to_string())?;
        let ids = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_ours = fields.next() == Some(USER);
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            is_ours.then_some((Uid::from_raw(uid), Gid::from_raw(gid)))
        });
        ids.ok_or_else(|| format!("there is no user {USER}"))
    }
}

/// Tells of each step and does it; or tells only.
fn carry_out(steps: &[Step], how: &How, end: &str) -> Result<String, InstallError> {
    let mut told = String::new();
    for step in steps {
        if how.dry_run {
            let _ = writeln!(told, "would {step}");
            if let Step::Write(_, text) = step {
                text.lines().for_each(|line| {
                    let _ = writeln!(told, "    {line}");
                });
            }
        } else {
            how.perform(step).map_err(|why| InstallError::Failed(step.to_string(), why))?;
            let _ = writeln!(told, "{step}");
        }
    }
    if !how.dry_run {
        told.push_str(end);
    }
    Ok(told)
}

/// A file as a whole, in place of what was there; a program that runs is replaced too.
fn put(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(folder)?;
    let fresh = folder.join(format!(".{}.new", name.to_string_lossy()));
    fs::write(&fresh, content)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
    fs::File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, path)
}

fn run(words: &[String]) -> Result<(), String> {
    let [program, arguments @ ..] = words else { return Ok(()) };
    let output = Command::new(program).args(arguments).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let hint = if words.iter().any(|word| word == "restart") { "; sudo journalctl -u weir says why" } else { "" };
    Err(format!("{}{hint}", said.trim().replace('\n', "; ")))
}

fn check_rights(how: &How) -> Result<(), InstallError> {
    let refused = |why: &str| Err(InstallError::Refused(why.to_owned()));
    if how.dry_run {
        return Ok(());
    }
    if !geteuid().is_root() {
        return refused("this changes the system: run it with sudo (--dry-run shows what it does, as anybody)");
    }
    if how.root.is_none() && !Path::new("/run/systemd/system").exists() {
        return refused(
            "this machine does not run systemd: start `weir run --data DIR` by what it has instead, as a user of its own \
             with CAP_NET_RAW (--dry-run shows the unit that systemd would get)",
        );
    }
    Ok(())
}

/// Paths stand in the unit, where some characters mean something else. A data folder is at least the second below the root:
/// what is above it is not weir's to remove.
fn check_path(option: &str, path: &Path, depth: usize) -> Result<(), InstallError> {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let is_whole = path.is_absolute() && path.components().count() > depth;
    if !is_whole || !text.chars().all(plain) || path.components().any(|part| part == Component::ParentDir) {
        return Err(InstallError::Refused(format!(
            "{option} {text}: a whole path is expected, such as {DATA}, of letters, digits and . _ - +"
        )));
    }
    Ok(())
}

/// An empty folder is good, and one that weir has used.
fn check_data(path: &Path) -> Result<(), InstallError> {
    let is_ours = ["lock", versions::FILE].iter().any(|name| path.join(name).exists());
    let is_empty = fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
    if is_ours || is_empty {
        return Ok(());
    }
    Err(InstallError::Refused(format!(
        "--data {}: there is something else in it; name a folder of its own",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_says_where_everything_is_and_is_known_again() {
        let service = Service::default();
        let text = service.unit();
        assert!(text.contains("ExecStart=/usr/local/bin/weir run --data /var/lib/weir\n"), "{text}");
        assert!(text.contains("\nCapabilityBoundingSet=CAP_NET_RAW\n"), "{text}");
        assert_eq!(text.matches('@').count(), ["@system-service", "@privileged", "@resources"].len(), "{text}");
        assert_eq!(Service::of(&text), Some(service));
        let service = Service {
            program: "/opt/bin/weir".into(),
            data: "/home/pi/flows".into(),
            board: Some("rpi-armv6".to_owned()),
            low_ports: true,
        };
        let text = service.unit();
        assert!(text.contains("ExecStart=/opt/bin/weir run --data /home/pi/flows --board rpi-armv6\n"), "{text}");
        assert!(text.contains("\nAmbientCapabilities=CAP_NET_RAW CAP_NET_BIND_SERVICE\n"), "{text}");
        assert!(text.contains("\nProtectHome=no\n"), "{text}");
        assert_eq!(Service::of(&text), Some(service));
    }

    #[test]
    fn what_is_not_said_again_stays_as_it_was_installed() {
        let first = Install {
            prefix: Some("/opt".into()),
            data: Some("/srv/flows".into()),
            board: Some("rpi-armv6".to_owned()),
            low_ports: true,
            how: How::default(),
        };
        let service = Service::default().with(&first);
        assert_eq!(service.clone().with(&Install::default()), service);
        let moved = service.with(&Install { data: Some("/mnt/disk/flows".into()), ..Install::default() });
        assert_eq!((moved.data, moved.program), ("/mnt/disk/flows".into(), "/opt/bin/weir".into()));
    }

    #[test]
    fn a_unit_of_somebody_else_is_not_taken_for_ours() {
        assert_eq!(Service::of("[Service]\nExecStart=/usr/bin/weir run --data /var/lib/weir\n"), None);
        assert_eq!(Service::of(&format!("{OURS}\nExecStart=/usr/local/bin/weir run --data /\n")), None);
        assert_eq!(Service::of(&format!("{OURS}\nExecStart=/usr/local/bin/weir run\n")), None);
        assert_eq!(Service::of(""), None);
    }

    #[test]
    fn paths_that_mean_something_else_in_a_unit_are_refused() {
        for (path, good) in [
            ("/var/lib/weir", true),
            ("/mnt/disk-1/weir_2.0", true),
            ("/", false),
            ("/data", false),
            ("weir", false),
            ("/var/lib/my flows", false),
            ("/var/lib/%h", false),
            ("/var/lib/../x", false),
            ("/var/lib/\"x\"", false),
        ] {
            assert_eq!(check_path("--data", Path::new(path), 2).is_ok(), good, "{path}");
        }
    }

    #[test]
    fn a_folder_with_something_else_in_it_is_no_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_data(folder.path()).is_ok() && check_data(&folder.path().join("new")).is_ok());
        fs::write(folder.path().join("letter"), "x").unwrap();
        assert!(check_data(folder.path()).is_err());
        fs::write(folder.path().join("lock"), "").unwrap();
        assert!(check_data(folder.path()).is_ok());
    }

    #[test]
    fn the_steps_of_another_system_start_nothing() {
        let there = How { root: Some("/x".into()), dry_run: false };
        let service = Service::default();
        let told: Vec<String> = there.install_steps(&service, "/tmp/weir".into()).iter().map(Step::to_string).collect();
        assert_eq!(
            told,
            [
                "copy /tmp/weir to /usr/local/bin/weir",
                "run systemd-sysusers --root=/x --inline u weir - \"flow visibility\" /var/lib/weir",
                "make the folder /var/lib/weir for the user weir",
                "write /etc/systemd/system/weir.service",
                "run systemctl --root=/x enable weir.service",
            ]
        );
        let here = How::default();
        let steps = here.install_steps(&service, "/usr/local/bin/weir".into());
        assert_eq!(steps.last().unwrap().to_string(), "run systemctl restart weir.service");
        assert!(!steps.iter().any(|step| matches!(step, Step::Copy(..))), "it is there already");
    }
}
