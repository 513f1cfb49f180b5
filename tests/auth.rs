//! Who gets in, who does not, and for how long: users, keys, remembered passwords and first contact on a real disk.

#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it should be")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weir::auth::{Auth, Credential, From, Identity, Refusal, SessionKind, Settings, SetupCode, Step, password};
use weir::base::Time;
use weir::base::disk::{Disk, read_all, replace};
use weir::io::disk::OsDisk;

const PASSWORD: &str = "a good long password";
const OWN_UID: u32 = 999;

fn at(seconds: u64) -> Time {
    Time::from_secs(1_700_000_000 + seconds)
}

fn stranger() -> From {
    From::Address("192.0.2.7".parse().unwrap())
}

fn disk(folder: &tempfile::TempDir) -> Arc<dyn Disk> {
    Arc::new(OsDisk::open(folder.path()).unwrap())
}

fn open(folder: &tempfile::TempDir) -> (Auth, Option<SetupCode>) {
    let settings = Settings { key_age: Duration::from_secs(3_600), keys: 4, own_uid: OWN_UID };
    Auth::open(disk(folder), settings).unwrap()
}

/// A box whose administrator has [`PASSWORD`].
fn set_up(folder: &tempfile::TempDir) -> Auth {
    let (mut auth, _) = open(folder);
    auth.begin_setup(at(0), From::Local(0), None, PASSWORD).unwrap();
    set_password(&mut auth, at(0), From::Local(0), PASSWORD);
    auth
}

fn set_password(auth: &mut Auth, now: Time, from: From, password: &str) {
    let saving = auth.finish_setup(now, from, password::hash(password).unwrap()).unwrap();
    let (ticket, write) = saving.into_parts();
    auth.saved(now, ticket, write()).unwrap();
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::Password { user: user.into(), password: password.into() }
}

/// Both steps of a login, and whether a hash was needed.
fn login(auth: &mut Auth, now: Time, from: From, credential: Credential) -> (Result<Identity, Refusal>, bool) {
    match auth.begin(now, from, credential) {
        Step::Known(identity) => (Ok(identity), false),
        Step::Refused(refusal) => (Err(refusal), false),
        Step::Verify(check) => {
            let (ticket, work) = check.into_parts();
            let verified = work();
            (auth.finish(now, ticket, Some(verified)), true)
        }
    }
}

#[test]
fn until_set_up_nobody_gets_in_but_over_the_local_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (mut auth, code) = open(&folder);
    assert!(code.is_some() && !auth.is_set_up());
    for credential in [Credential::None, basic("admin", ""), Credential::Key("0".repeat(32))] {
        assert_eq!(login(&mut auth, at(0), stranger(), credential).0, Err(Refusal::NotSetUp));
    }
    for uid in [0, OWN_UID] {
        assert_eq!(login(&mut auth, at(0), From::Local(uid), Credential::None).0.unwrap().user.as_ref(), "admin");
    }
    assert_eq!(login(&mut auth, at(0), From::Local(1_000), Credential::None).0, Err(Refusal::NoCredential));
    assert!(Refusal::NotSetUp.to_string().contains("weir setup"), "says what to do");
}

#[test]
fn the_code_sets_the_password_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut auth, code) = open(&folder);
    let code = code.unwrap().to_string();
    assert_eq!(auth.begin_setup(at(0), stranger(), None, PASSWORD), Err(Refusal::Wrong));
    assert_eq!(auth.begin_setup(at(0), stranger(), Some("0000-0000-0000"), PASSWORD), Err(Refusal::Wrong));
    assert!(matches!(auth.begin_setup(at(0), stranger(), Some(&code), "short"), Err(Refusal::WeakPassword(_))));
    auth.begin_setup(at(0), stranger(), Some(&code), PASSWORD).unwrap();
    auth.begin_setup(at(0), stranger(), Some(&code), "somebody else's one").unwrap();
    let saving = auth.finish_setup(at(0), stranger(), password::hash(PASSWORD).unwrap()).unwrap();
    let other = auth.finish_setup(at(0), stranger(), password::hash("somebody else's one").unwrap());
    assert_eq!(other.unwrap_err(), Refusal::Busy, "two at once: the first stands");
    let (ticket, write) = saving.into_parts();
    assert!(!auth.is_set_up(), "not before it is written");
    auth.saved(at(0), ticket, write()).unwrap();
    let late = auth.finish_setup(at(0), stranger(), password::hash("somebody else's one").unwrap());
    assert_eq!(late.unwrap_err(), Refusal::AlreadySetUp);
    assert_eq!(auth.begin_setup(at(1), stranger(), Some(&code), PASSWORD), Err(Refusal::AlreadySetUp));
    assert!(login(&mut auth, at(1), stranger(), basic("admin", PASSWORD)).0.is_ok());
}

#[test]
fn guessing_the_code_is_throttled() {
    let folder = tempfile::tempdir().unwrap();
    let (mut auth, code) = open(&folder);
    for _ in 0..10 {
        assert_eq!(auth.begin_setup(at(0), stranger(), Some("0000-0000-0000"), PASSWORD), Err(Refusal::Wrong));
    }
    let code = code.unwrap().to_string();
    let wait = Duration::from_secs(6);
    assert_eq!(auth.begin_setup(at(0), stranger(), Some(&code), PASSWORD), Err(Refusal::Throttled { wait }));
    assert_eq!(auth.begin_setup(at(6), stranger(), Some(&code), PASSWORD), Ok(()));
}

#[test]
fn the_password_outlives_a_restart_and_keys_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = set_up(&folder);
    let (identity, _) = login(&mut auth, at(1), stranger(), basic("admin", PASSWORD));
    let key = auth.create_key(at(1), stranger(), &identity.unwrap(), SessionKind::Key).unwrap();
    assert!(login(&mut auth, at(2), stranger(), Credential::Key(key.clone())).0.is_ok());

    let (mut auth, code) = open(&folder);
    assert!(auth.is_set_up() && code.is_none());
    assert_eq!(login(&mut auth, at(3), stranger(), Credential::Key(key)).0, Err(Refusal::Wrong));
    assert!(login(&mut auth, at(3), stranger(), basic("admin", PASSWORD)).0.is_ok());
    let file = read_all(&*disk(&folder), Path::new("users.json")).unwrap().unwrap();
    assert!(!String::from_utf8(file).unwrap().contains(PASSWORD));
}

#[test]
fn a_verified_password_is_known_for_a_minute_without_hashing() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = set_up(&folder);
    let good = basic("admin", PASSWORD);
    let (first, hashed) = login(&mut auth, at(0), stranger(), good.clone());
    assert!(first.is_ok() && hashed);
    assert!(!login(&mut auth, at(59), stranger(), good.clone()).1);
    assert!(login(&mut auth, at(60), stranger(), good).1, "then it is hashed again");
}

#[test]
fn a_change_of_the_password_ends_keys_remembered_ones_and_logins_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = set_up(&folder);
    let old = basic("admin", PASSWORD);
    let identity = login(&mut auth, at(0), stranger(), old.clone()).0.unwrap();
    let key = auth.create_key(at(0), stranger(), &identity, SessionKind::Key).unwrap();
    let Step::Verify(under_way) = auth.begin(at(61), stranger(), old.clone()) else { panic!("must hash") };

    set_password(&mut auth, at(61), From::Local(0), "another long password");
    let (ticket, work) = under_way.into_parts();
    let verified = work();
    assert!(verified, "against the hash it was begun with");
    assert_eq!(auth.finish(at(61), ticket, Some(verified)), Err(Refusal::Wrong));
    assert_eq!(login(&mut auth, at(61), stranger(), Credential::Key(key)).0, Err(Refusal::Wrong));
    assert_eq!(login(&mut auth, at(61), stranger(), old).0, Err(Refusal::Wrong));
    assert!(login(&mut auth, at(61), stranger(), basic("admin", "another long password")).0.is_ok());
}

#[test]
fn wrong_passwords_and_unknown_users_look_the_same_and_are_throttled() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = set_up(&folder);
    for _ in 0..5 {
        assert_eq!(login(&mut auth, at(0), stranger(), basic("admin", "wrong")), (Err(Refusal::Wrong), true));
        assert_eq!(login(&mut auth, at(0), stranger(), basic("nobody", PASSWORD)), (Err(Refusal::Wrong), true));
    }
    let (refusal, hashed) = login(&mut auth, at(0), stranger(), basic("admin", PASSWORD));
    assert_eq!((refusal, hashed), (Err(Refusal::Throttled { wait: Duration::from_secs(6) }), false));
    let other = From::Address("192.0.2.8".parse().unwrap());
    assert!(
        login(&mut auth, at(0), other, basic("admin", PASSWORD)).0.is_ok(),
        "the owner elsewhere is not locked out"
    );
    assert_eq!(auth.counters().refused, 11);
}

#[test]
fn a_full_hashing_queue_is_no_miss() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = set_up(&folder);
    for _ in 0..50 {
        let Step::Verify(check) = auth.begin(at(0), stranger(), basic("admin", PASSWORD)) else { panic!("throttled") };
        assert_eq!(auth.finish(at(0), check.into_parts().0, None), Err(Refusal::Busy));
    }
}

#[test]
fn logins_are_written_once_an_hour_at_most_and_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = set_up(&folder);
    let last = |auth: &Auth| auth.users().unwrap().find("admin").unwrap().last_login;
    let write = |auth: &mut Auth, now: Time, at_once: bool| {
        let saving = auth.save_logins(now, at_once);
        saving.is_some_and(|saving| {
            let (ticket, write) = saving.into_parts();
            let written = write();
            auth.saved(now, ticket, written).is_ok()
        })
    };
    for seconds in [10, 100, 3_000] {
        assert!(login(&mut auth, at(seconds), stranger(), basic("admin", PASSWORD)).0.is_ok());
        assert!(!write(&mut auth, at(seconds), false));
    }
    assert!(!write(&mut auth, at(3_609), false) && write(&mut auth, at(3_610), false));
    assert!(!write(&mut auth, at(9_000), true), "once");
    assert_eq!(last(&open(&folder).0), at(3_000));
    assert!(login(&mut auth, at(9_000), stranger(), basic("admin", PASSWORD)).0.is_ok());
    assert!(write(&mut auth, at(9_001), true));
    assert_eq!(last(&open(&folder).0), at(9_000), "where weir ends in order");
}

#[test]
fn a_damaged_users_file_lets_nobody_set_the_box_up_anew_over_the_network() {
    let folder = tempfile::tempdir().unwrap();
    drop(set_up(&folder));
    replace(&*disk(&folder), Path::new("users.json"), b"{\"format\":1,\"us").unwrap();
    let (mut auth, code) = open(&folder);
    assert!(code.is_none() && !auth.is_set_up());
    assert_eq!(login(&mut auth, at(0), stranger(), basic("admin", PASSWORD)).0, Err(Refusal::UsersUnreadable));
    assert_eq!(auth.begin_setup(at(0), stranger(), Some(""), PASSWORD), Err(Refusal::AlreadySetUp));
    auth.begin_setup(at(0), From::Local(OWN_UID), None, PASSWORD).unwrap();
    set_password(&mut auth, at(0), From::Local(OWN_UID), PASSWORD);
    assert!(login(&mut auth, at(0), stranger(), basic("admin", PASSWORD)).0.is_ok());
}

#[test]
fn nothing_that_is_shown_for_debugging_tells_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = set_up(&folder);
    let Step::Verify(check) = auth.begin(at(0), stranger(), basic("admin", PASSWORD)) else { panic!("must hash") };
    for text in
        [format!("{check:?}"), format!("{:?}", basic("a", PASSWORD)), format!("{:?}", Credential::Key("k3y".into()))]
    {
        assert!(!text.contains(PASSWORD) && !text.contains("k3y"), "{text}");
    }
}

#[test]
fn a_clock_that_is_set_makes_no_key_live_longer_or_shorter() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = set_up(&folder);
    let (identity, _) = login(&mut auth, at(0), stranger(), basic("admin", PASSWORD));
    let key = auth.create_key(at(0), stranger(), &identity.unwrap(), SessionKind::Key).unwrap();
    let alive = |auth: &mut Auth, now| login(auth, now, stranger(), Credential::Key(key.clone())).0.is_ok();
    let year: u32 = 365 * 86_400;
    auth.clock_stepped(i64::from(year) * 1_000_000);
    let later = at(0) + Duration::from_secs(u64::from(year));
    assert!(alive(&mut auth, later + Duration::from_secs(3_599)), "set forward by a year");
    auth.clock_stepped(-2 * i64::from(year) * 1_000_000);
    let earlier = at(0) - Duration::from_secs(u64::from(year));
    assert!(alive(&mut auth, earlier + Duration::from_secs(3_599 + 3_599)), "and back by two");
    assert!(!alive(&mut auth, earlier + Duration::from_secs(3_599 + 3_599 + 3_600)), "an hour is an hour");
}
