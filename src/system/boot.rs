//! The first second of an image: file systems of the kernel's, the console, kernel modules, what the last run left behind.
//!
//! Nothing here ends the boot: what fails is said, and the box goes on as far as it can.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::termios::{InputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Modules in the order in which they are loaded, one a line: a file name, then parameters.
const MODULES: &str = "/lib/modules.load";
/// Where the kernel keeps what it said before it died.
const KEPT: &str = "/sys/fs/pstore";
/// Octets of it that are looked at, of the file that says most.
const LAST_WORDS: u64 = 64 << 10;
/// Lines of it that are shown.
const SHOWN: usize = 24;

/// Mounts what the kernel shows as files.
pub fn mount_all() {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let none = quiet | MsFlags::MS_NODEV;
    for (kind, at, flags, data) in [
        ("devtmpfs", "/dev", quiet, "mode=0755"),
        ("proc", "/proc", none, ""),
        ("sysfs", "/sys", none, ""),
        ("tmpfs", "/run", none, "mode=0755,size=8m"),
        ("tmpfs", "/tmp", none, "mode=1777,size=8m"),
        ("pstore", KEPT, none, ""),
        ("efivarfs", "/sys/firmware/efi/efivars", none | MsFlags::MS_RDONLY, ""),
    ] {
        // Those of /sys are there where the kernel has something to show.
        if !Path::new(at).exists() && (at.starts_with("/sys/") || fs::create_dir_all(at).is_err()) {
            continue;
        }
        match mount(Some(kind), at, Some(kind), flags, Some(data).filter(|data| !data.is_empty())) {
            Ok(()) | Err(Errno::EBUSY) => {}
            // The module may come later, or never.
            Err(Errno::ENODEV) if at.starts_with("/sys/") => {}
            Err(error) => log::error!("boot: {kind} on {at}: {error}"),
        }
    }
}

/// Makes the console standard input, output and error. A Ctrl-S typed there must not stop the box.
pub fn take_console() {
    let Ok(console) = OpenOptions::new().read(true).write(true).open("/dev/console") else { return };
    if let Ok(mut settings) = tcgetattr(&console) {
        settings.input_flags.remove(InputFlags::IXON | InputFlags::IXOFF);
        let _ = tcsetattr(&console, SetArg::TCSANOW, &settings);
    }
    let _ = (dup2_stdin(&console), dup2_stdout(&console), dup2_stderr(&console));
}

/// Says on the kernel's log what this process says when it panics: it is kept over the restart that follows.
pub fn tell_the_kernel_of_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if let Ok(mut kernel) = OpenOptions::new().write(true).open("/dev/kmsg") {
            let _ = writeln!(kernel, "<2>weir: PID 1 {panic}");
        }
        before(panic);
    }));
}

/// Loads the kernel modules; each file is removed then, which gives its memory back.
pub fn load_modules() {
    let Ok(list) = fs::read_to_string(MODULES) else { return };
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let (mut loaded, mut absent) = (0, 0);
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, parameters) = line.split_once(' ').unwrap_or((line, ""));
        let parameters = with_those_of_the_command_line(name, parameters, &command_line);
        let path = Path::new("/lib/modules").join(name);
        let result = File::open(&path).map_err(|error| error.to_string()).and_then(|file| {
            let parameters = CString::new(parameters).unwrap_or_default();
            match finit_module(&file, &parameters, ModuleInitFlags::empty()) {
                Ok(()) => Ok(true),
                Err(Errno::EEXIST | Errno::ENODEV) => Ok(false),
                Err(error) => Err(error.to_string()),
            }
        });
        match result {
            Ok(true) => loaded += 1,
            Ok(false) => absent += 1,
            Err(error) => log::warn!("boot: module {name}: {error}"),
        }
        let _ = fs::remove_file(&path);
    }
    log::info!("boot: {loaded} kernel modules loaded, {absent} for hardware that is not there");
}

/// Parameters of a module, and then those that the kernel's command line has for it (`MODULE.PARAMETER=VALUE`): the kernel itself heeds
/// them only for what is built in.
fn with_those_of_the_command_line(file: &str, parameters: &str, command_line: &str) -> String {
    let plain = |name: &str| name.replace('-', "_");
    let module = plain(file.split('.').next().unwrap_or_default());
    let given = command_line.split_whitespace().filter_map(|word| {
        let (name, parameter) = word.split_once('.')?;
        (plain(name) == module).then_some(parameter)
    });
    std::iter::once(parameters).chain(given).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The end of what the kernel said before it died, if it did. It is forgotten there, so that the next one has room.
pub fn last_words() -> Option<String> {
    // The pstore module may have been among those that were loaded just now.
    let _ = mount(Some("pstore"), KEPT, Some("pstore"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, None::<&str>);
    let mut files: Vec<PathBuf> = fs::read_dir(KEPT).ok()?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut words = String::new();
    for path in &files {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LAST_WORDS).read_to_end(&mut bytes));
        let is_dump = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dmesg"));
        if read.is_ok() && is_dump && words.len() < LAST_WORDS as usize {
            words.push_str(&String::from_utf8_lossy(&bytes));
        }
        let _ = fs::remove_file(path);
    }
    (!words.is_empty()).then(|| gist(&words))
}

/// The lines that tell most: from the panic's own on, or the last ones.
fn gist(words: &str) -> String {
    let lines: Vec<&str> = words.lines().filter(|line| !line.trim().is_empty()).collect();
    let tells = |line: &&str| {
        ["PID 1", "Kernel panic", "BUG:", "Oops", "sysrq: Trigger"].iter().any(|word| line.contains(word))
    };
    let from = lines.iter().position(tells).unwrap_or(lines.len().saturating_sub(SHOWN));
    lines.iter().skip(from).take(SHOWN).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_told_what_the_command_line_has_for_it() {
        let line = "quiet ramoops.mem_size=0x1000 weir.proof=5 panic=5 ramoops.ecc=1 i6300esb.heartbeat=3 usb-storage.quirks=a:b:c";
        for (file, own, expected) in [
            ("ramoops.ko", "", "mem_size=0x1000 ecc=1"),
            ("ramoops.ko", "dump_oops=1", "dump_oops=1 mem_size=0x1000 ecc=1"),
            ("usb_storage.ko", "", "quirks=a:b:c"),
            ("usb-storage.ko", "", "quirks=a:b:c"),
            ("ext4.ko", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(with_those_of_the_command_line(file, own, line), expected, "{file}");
        }
    }

    #[test]
    fn the_gist_of_last_words_begins_with_the_panic() {
        let before: String = (0..50).map(|n| format!("<6>[{n}] chatter\n")).collect();
        let words = format!("Panic#1 Part1\n{before}<0>[51] Kernel panic - not syncing: x\n<0>[52] trace\n\n");
        assert_eq!(gist(&words), "<0>[51] Kernel panic - not syncing: x\n<0>[52] trace");
        assert_eq!(gist(&before).lines().count(), SHOWN);
    }
}
