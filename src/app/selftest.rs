//! `weir selftest`: does this program work on this machine? A line for each check, with what was found and how long it took.
//!
//! Everything is done by the code that does it in earnest, in a folder that is removed in the end: keys, TLS over the
//! loopback, sled, packets and exports that are built in, the store closed and opened again, questions. It needs no
//! privileges, so that it also runs under the emulation of another processor; what this user or kernel does not allow (a
//! packet ring) is told and is no failure.

mod exchange;
mod traffic;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ring::digest;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::scratch::Scratch;
use super::{Exit, chain, complain, say};
use crate::auth::password;
use crate::base::{Time, time};
use crate::cli;
use crate::io::interfaces::Interfaces;
use crate::io::packet_ring::{Ring, RingConfig};
use crate::store::State;
use traffic::Traffic;

/// SHA-256 of "abc" begins so (FIPS 180-2, appendix B.1), and CRC-32C of "123456789" is this (RFC 3720's polynomial).
const SHA_256: [u8; 4] = [0xba, 0x78, 0x16, 0xbf];
const CRC_32C: u32 = 0xe306_9283;
/// A moment that 32 bits of seconds do not hold: in 2040.
const FAR: Duration = Duration::from_secs(2_220_000_000);

/// What a check found, or why it failed.
type Found = Result<String, String>;
type Check = fn(&mut Selftest) -> Found;

struct Selftest {
    scratch: Scratch,
    traffic: Traffic,
}

/// Runs every check; one that fails keeps none of the others from running.
pub fn main(options: &cli::Selftest) -> Exit {
    let parent: PathBuf = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = match Scratch::new(&parent, "weir-selftest") {
        Ok(scratch) => scratch,
        Err(error) => {
            complain(&format!("weir: {}: {error}; --folder names another", parent.display()));
            return Exit::Failure;
        }
    };
    let bits = usize::BITS;
    let start = say(&format!("weir {} for {}, {bits} bits\n", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH));
    if start != Exit::Success {
        return start;
    }
    let mut test = Selftest { scratch, traffic: Traffic::default() };
    let checks: [(&str, Check); 11] = [
        ("clock", |_| clock()),
        ("digests", |_| digests()),
        ("signatures", |_| signatures()),
        ("password", |_| hashed_password()),
        ("files", Selftest::files),
        ("tls", |test| exchange::tls(&test.scratch.path().join("tls")).map_err(told)),
        ("state", Selftest::state),
        ("packets", |test| test.traffic.packets()),
        ("exports", |test| test.traffic.exports()),
        ("history", |test| test.traffic.history(&test.scratch.path().join("history"))),
        ("capture", |_| capture()),
    ];
    let (began, mut failed) = (time::monotonic(), 0);
    for (name, check) in checks {
        let since = time::monotonic();
        let found = check(&mut test);
        let took = since.elapsed().as_secs_f64() * 1e3;
        let (word, text) = match found {
            Ok(text) => ("ok", text),
            Err(why) => {
                failed += 1;
                ("FAILED", why)
            }
        };
        let _ = writeln!(io::stdout(), "{word:<7} {name:<11} {took:8.1} ms  {text}");
    }
    let all = began.elapsed().as_secs_f64() * 1e3;
    let _ = writeln!(io::stdout(), "{} checks, {failed} failed, {all:.0} ms", checks.len());
    if failed == 0 { Exit::Success } else { Exit::Failure }
}

fn told(error: impl Display) -> String {
    error.to_string()
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    holds.then_some(()).ok_or_else(|| what.to_owned())
}

fn clock() -> Found {
    let (before, uptime) = (time::monotonic(), time::uptime());
    std::thread::sleep(Duration::from_millis(2));
    ensure(before.elapsed() >= Duration::from_millis(2), "the monotonic clock stands still")?;
    ensure(time::uptime() > uptime, "the time since boot stands still")?;
    let now = time::now();
    let set = if now < Time::from_secs(1_700_000_000) { ", not set" } else { "" };
    Ok(format!("{now}{set}"))
}

fn digests() -> Found {
    ensure(digest::digest(&digest::SHA256, b"abc").as_ref().starts_with(&SHA_256), "SHA-256 is wrong")?;
    ensure(crc32c::crc32c(b"123456789") == CRC_32C, "CRC-32C is wrong")?;
    Ok("SHA-256, CRC-32C".to_owned())
}

fn signatures() -> Found {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(told)?;
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(told)?;
    let (text, other) = (b"weir", b"wier");
    let signature = key.sign(text);
    let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
    ensure(public.verify(text, signature.as_ref()).is_ok(), "a good Ed25519 signature is refused")?;
    ensure(public.verify(other, signature.as_ref()).is_err(), "a wrong Ed25519 signature is taken")?;
    Ok("Ed25519".to_owned())
}

fn hashed_password() -> Found {
    let hash = password::hash("correct horse battery")?;
    ensure(password::verify(&hash, "correct horse battery"), "a password is not known by its hash")?;
    Ok("Argon2id, hashed and known again".to_owned())
}

/// A ring on the loopback, where this user may have one.
fn capture() -> Found {
    let interfaces = Interfaces::watch().map_err(told)?;
    let names: Vec<_> = interfaces.all().map(|interface| interface.name.as_str()).collect();
    let Some(loopback) = interfaces.by_name("lo") else { return Ok(format!("no loopback among {}", names.join(" "))) };
    let ring = async_io::block_on(async { Ring::open(loopback, &RingConfig::default()) });
    Ok(match ring {
        Ok(ring) => format!("{} MiB of ring; interfaces {}", ring.bytes() >> 20, names.join(" ")),
        Err(error) => format!("none here: {}", chain(&error)),
    })
}

impl Selftest {
    /// A file with a far date.
    fn files(&mut self) -> Found {
        let path = self.scratch.path().join("file");
        let far = SystemTime::UNIX_EPOCH + FAR;
        let written = || -> io::Result<SystemTime> {
            std::fs::write(&path, [0xa5; 4096])?;
            let file = std::fs::File::options().write(true).open(&path)?;
            file.set_modified(far)?;
            file.sync_all()?;
            file.metadata()?.modified()
        };
        let holds = written().is_ok_and(|read| read == far);
        ensure(std::fs::read(&path).map_err(told)? == [0xa5; 4096], "a file does not hold what was written")?;
        let reach = if holds { "dates beyond 2038" } else { "no dates beyond 2038 in this build" };
        Ok(format!("{}, {reach}", self.scratch.path().display()))
    }

    /// sled: written, flushed, closed, opened again.
    fn state(&mut self) -> Found {
        let folder = self.scratch.path().join("state");
        let open = || State::open(&folder).map(|(state, _)| state).map_err(|error| chain(&error));
        let mut state = open()?;
        for number in 0..500_u32 {
            state.put("selftest", &number.to_be_bytes(), 1, &[0x5a; 100]).map_err(|error| chain(&error))?;
        }
        state.flush().ok_or("no flush is to be had")?.run().map_err(told)?;
        drop(state);
        let kept = open()?.scan("selftest", b"").map_err(|error| chain(&error))?;
        let holds = kept.iter().zip(0_u32..).all(|((key, value), number)| {
            *key == number.to_be_bytes() && value.version == 1 && value.bytes == [0x5a; 100]
        });
        ensure(kept.len() == 500 && holds, "sled does not hold what was written")?;
        Ok(format!("{} values of sled", kept.len()))
    }
}
