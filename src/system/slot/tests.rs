//! Slots in a folder and in plain files, with bundles signed by a key of the test's own.

use super::*;
use crate::update::bundle::testing::Vendor;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// What writing gives, whatever is wrong.
fn write(slots: &Slots, bundle: &[u8]) -> Result<Reboot, SlotError> {
    let opened = Bundle::open(bundle, &Vendor::new(1).keys())?;
    let packed = &bundle[usize::try_from(opened.head).unwrap()..];
    slots.write(&opened, &mut &*packed, |_| ())
}

fn bundle(version: &str, system: &[u8]) -> Vec<u8> {
    Vendor::new(1).bundle(system, |manifest| manifest["version"] = version.into())
}

/// One whose system is not what was signed: found only when it is unpacked.
fn lying() -> Vec<u8> {
    Vendor::new(1).bundle(&[7; 100_000], |manifest| manifest["sha256"] = "00".repeat(32).into())
}

struct Esp(tempfile::TempDir);

impl Esp {
    fn with(names: &[&str]) -> Self {
        let esp = Self(tempfile::tempdir().unwrap());
        for name in names {
            fs::write(esp.0.path().join(name), name).unwrap();
        }
        esp
    }

    fn running(&self, running: &str) -> Slots {
        Slots::Efi(Efi { folder: self.0.path().to_owned(), running: version(running) })
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What systemd-boot does with the newest that has tries left: starts it, one try less. Gives its version.
    fn boot(&self) -> String {
        let mut entries: Vec<_> = self.names().iter().filter_map(|name| Entry::parse(name)).collect();
        entries.sort_by_key(|entry| (entry.left != Some(0), entry.version));
        let entry = entries.pop().unwrap();
        if let Some(left) = entry.left.filter(|left| *left > 0) {
            let counted = format!("weir_{}+{}-{}.efi", entry.version, left - 1, TRIES - left + 1);
            fs::rename(self.0.path().join(entry.name), self.0.path().join(counted)).unwrap();
        }
        entry.version.to_string()
    }
}

#[test]
fn a_new_efi_system_is_tried_and_stays_when_blessed() {
    let esp = Esp::with(&["weir_1.0.0.efi", "other.efi"]);
    let slots = esp.running("1.0.0");
    assert_eq!(write(&slots, &bundle("1.1.0", b"new")).unwrap(), Reboot::Plain);
    assert_eq!(esp.names(), ["other.efi", "weir_1.0.0.efi", "weir_1.1.0+1.efi"]);
    assert_eq!(esp.boot(), "1.1.0");
    let slots = esp.running("1.1.0");
    assert!(slots.state().unwrap().is_trial);
    assert!(slots.bless().unwrap());
    assert!(!slots.state().unwrap().is_trial);
    assert!(!slots.bless().unwrap(), "there is nothing more to bless");
    for _ in 0..5 {
        assert_eq!(esp.boot(), "1.1.0");
    }
    assert_eq!(fs::read(esp.0.path().join("weir_1.1.0.efi")).unwrap(), b"new");
}

#[test]
fn an_efi_system_that_is_not_blessed_falls_back_at_the_next_boot() {
    let esp = Esp::with(&["weir_1.0.0.efi"]);
    write(&esp.running("1.0.0"), &bundle("1.1.0", b"bad")).unwrap();
    assert_eq!([esp.boot(), esp.boot()], ["1.1.0", "1.0.0"]);
    let state = esp.running("1.0.0").state().unwrap();
    assert_eq!((state.is_trial, state.failed), (false, vec![version("1.1.0")]));
    write(&esp.running("1.0.0"), &bundle("1.2.0", b"mended")).unwrap();
    assert_eq!(esp.names(), ["weir_1.0.0.efi", "weir_1.2.0+1.efi"], "the failed one made room");
}

#[test]
fn going_back_tries_the_older_efi_system_and_falls_back_to_the_newer() {
    let esp = Esp::with(&["weir_1.0.0.efi", "weir_1.1.0.efi", "weir_1.2.0+0-1.efi"]);
    assert_eq!(esp.running("1.1.0").back().unwrap(), (Reboot::Plain, Some(version("1.0.0"))));
    assert_eq!(esp.boot(), "1.0.0");
    assert!(esp.running("1.0.0").state().unwrap().is_trial);
    let failed = Esp::with(&["weir_1.0.0+0-1.efi", "weir_1.1.0+0.efi"]);
    assert_eq!(failed.boot(), "1.1.0", "where the older one does not prove itself");
    assert!(failed.running("1.1.0").bless().unwrap());
    assert!(esp.running("1.0.0").bless().unwrap());
    assert_eq!([esp.boot(), esp.boot()], ["1.0.0", "1.0.0"]);
    assert!(matches!(esp.running("1.0.0").back(), Err(SlotError::NoOther)));
}

#[test]
fn nothing_is_written_while_a_system_is_on_trial() {
    let esp = Esp::with(&["weir_1.0.0.efi", "weir_1.1.0+2-1.efi"]);
    assert!(matches!(write(&esp.running("1.1.0"), &bundle("1.2.0", b"x")), Err(SlotError::OnTrial)));
    assert_eq!(esp.names(), ["weir_1.0.0.efi", "weir_1.1.0+2-1.efi"]);
}

#[test]
fn an_efi_system_that_is_not_what_was_signed_leaves_nothing_behind() {
    let esp = Esp::with(&["weir_1.0.0.efi"]);
    assert!(matches!(write(&esp.running("1.0.0"), &lying()), Err(SlotError::Refused(Refusal::Altered))));
    assert_eq!(esp.names(), ["weir_1.0.0.efi"]);
}

#[test]
fn names_that_no_image_gave_are_left_alone() {
    for name in ["weir_1.0.efi", "weir_1.0.0+x.efi", "weir_1.0.0", "linux.efi", "weir_.efi", "weir_1.0.0+.efi"] {
        assert_eq!(Entry::parse(name), None, "{name}");
    }
    assert_eq!(Entry::parse("weir_1.0.0+0-3.efi").unwrap().left, Some(0));
}

struct Card(tempfile::TempDir);

impl Card {
    fn new() -> Self {
        let card = Self(tempfile::tempdir().unwrap());
        fs::write(card.0.path().join("autoboot.txt"), autoboot(2)).unwrap();
        fs::write(card.0.path().join("p2"), [2; 4096]).unwrap();
        fs::write(card.0.path().join("p3"), [0; 4096]).unwrap();
        card
    }

    fn running(&self, running: u32, is_trial: bool) -> Slots {
        let path = |name| self.0.path().join(name);
        Slots::Pi(Pi { choice: path("autoboot.txt"), slots: [path("p2"), path("p3")], running, is_trial })
    }

    /// What the firmware does.
    fn boots(&self, trial: bool) -> u32 {
        let text = fs::read_to_string(self.0.path().join("autoboot.txt")).unwrap();
        let (all, tryboot) = text.split_once("[tryboot]").unwrap();
        let chosen = if trial { tryboot } else { all };
        chosen.lines().find_map(|line| line.strip_prefix("boot_partition=")).unwrap().parse().unwrap()
    }
}

#[test]
fn a_new_pi_system_is_tried_once_and_stays_when_blessed() {
    let card = Card::new();
    let system: Vec<u8> = (0..4096_u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(write(&card.running(2, false), &bundle("1.1.0", &system)).unwrap(), Reboot::Try);
    assert_eq!(fs::read(card.0.path().join("p3")).unwrap(), system);
    assert_eq!((card.boots(true), card.boots(false)), (3, 2), "any other reset boots the old one");
    assert!(card.running(3, true).bless().unwrap());
    assert_eq!((card.boots(true), card.boots(false)), (2, 3));
    assert!(!card.running(3, false).bless().unwrap());
}

#[test]
fn a_pi_slot_that_was_not_written_to_its_end_is_no_file_system() {
    let card = Card::new();
    assert!(matches!(write(&card.running(2, false), &lying()), Err(SlotError::Refused(Refusal::Altered))));
    assert_eq!(fs::read(card.0.path().join("p3")).unwrap()[..SECTOR], [0; SECTOR]);
    assert_eq!(fs::read(card.0.path().join("p2")).unwrap(), [2; 4096], "what runs is untouched");
}

#[test]
fn going_back_on_a_pi_tries_the_other_partition_where_there_is_a_system() {
    let card = Card::new();
    assert!(matches!(card.running(2, false).back(), Err(SlotError::NoOther)));
    let mut system = [0; 4096];
    system[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(card.0.path().join("p3"), system).unwrap();
    assert_eq!(card.running(2, false).back().unwrap(), (Reboot::Try, None));
    assert!(matches!(card.running(3, true).back(), Err(SlotError::OnTrial)));
}

#[test]
fn autoboot_has_the_same_length_for_both() {
    assert_eq!(autoboot(2).len(), autoboot(3).len());
    let card = Card::new();
    fs::write(card.0.path().join("autoboot.txt"), "[all]\n").unwrap();
    assert!(card.running(3, true).bless().is_err());
}
