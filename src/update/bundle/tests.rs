//! Bundles good and bad, signed with a key of the test's own.

use serde_json::json;

use super::testing::Vendor;
use super::*;

const RUNNING: &str = "1.2.3";

fn system() -> Vec<u8> {
    (0..300_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
}

/// What a box does with a bundle: the system that it would boot.
fn install(bundle: &[u8], keys: &Keys) -> Result<Vec<u8>, Refusal> {
    let opened = Bundle::open(&bundle[..bundle.len().min(LONGEST_HEAD)], keys)?;
    opened.suits("x86-64", RUNNING.parse().unwrap())?;
    let packed = &bundle[usize::try_from(opened.head).unwrap()..];
    opened.check(&mut &*packed, |_| ())?;
    let mut written = Vec::new();
    opened.unpack(&mut &*packed, &mut written, |_| ())?;
    Ok(written)
}

#[test]
fn a_good_bundle_gives_its_system() {
    let vendor = Vendor::new(1);
    let bundle = vendor.bundle(&system(), |_| ());
    assert_eq!(install(&bundle, &vendor.keys()).unwrap(), system());
    let opened = Bundle::open(&bundle, &vendor.keys()).unwrap();
    assert_eq!((opened.len(), opened.system_size()), (bundle.len() as u64, 1_200_000));
}

#[test]
fn either_of_two_keys_may_sign_and_a_third_may_not() {
    let (active, next, stranger) = (Vendor::new(1), Vendor::new(2), Vendor::new(3));
    let keys = Keys([active.keys().0, next.keys().0].concat());
    assert!(install(&active.bundle(&system(), |_| ()), &keys).is_ok());
    assert!(install(&next.bundle(&system(), |_| ()), &keys).is_ok());
    assert!(matches!(install(&stranger.bundle(&system(), |_| ()), &keys), Err(Refusal::Signature)));
    assert!(matches!(install(&active.bundle(&system(), |_| ()), &Keys::default()), Err(Refusal::Signature)));
}

#[test]
fn every_flipped_bit_of_the_head_and_of_the_content_is_refused() {
    let vendor = Vendor::new(1);
    let bundle = vendor.bundle(b"a small system", |_| ());
    for at in 0..bundle.len() {
        let mut altered = bundle.clone();
        altered[at] ^= 1;
        assert!(install(&altered, &vendor.keys()).is_err(), "octet {at}");
    }
}

#[test]
fn a_cut_bundle_and_one_with_something_behind_it_are_refused() {
    let vendor = Vendor::new(1);
    let bundle = vendor.bundle(b"a small system", |_| ());
    for length in 0..bundle.len() {
        assert!(install(&bundle[..length], &vendor.keys()).is_err(), "{length} octets");
    }
    let longer = [bundle.as_slice(), b"x"].concat();
    assert!(matches!(install(&longer, &vendor.keys()), Err(Refusal::Altered)));
}

#[test]
fn another_board_and_what_is_not_newer_are_refused() {
    let vendor = Vendor::new(1);
    let refused = |board: &str, version: &str| {
        let bundle = vendor.bundle(b"x", |manifest| {
            manifest["board"] = json!(board);
            manifest["version"] = json!(version);
        });
        install(&bundle, &vendor.keys()).map(drop).map_err(|refusal| refusal.to_string())
    };
    assert!(refused("x86-64", "1.2.4").is_ok());
    assert!(refused("x86-64", RUNNING).unwrap_err().contains("not newer"));
    assert!(refused("x86-64", "1.2.2").unwrap_err().contains("not newer"));
    assert!(refused("rpi-arm64", "1.3.0").unwrap_err().contains("rpi-arm64"));
}

#[test]
fn a_signed_manifest_that_lies_is_refused_too() {
    let vendor = Vendor::new(1);
    let sizes = [0, LARGEST + 1, 13, 15];
    for size in sizes {
        let bundle = vendor.bundle(b"a small system", |manifest| manifest["size"] = json!(size));
        assert!(install(&bundle, &vendor.keys()).is_err(), "size {size}");
    }
    for absent in ["board", "version", "size", "sha256", "packed"] {
        let bundle = vendor.bundle(b"x", |manifest| _ = manifest.as_object_mut().unwrap().remove(absent));
        assert!(matches!(install(&bundle, &vendor.keys()), Err(Refusal::Malformed(_))), "{absent}");
    }
    let long = |length: usize| {
        vendor.bundle(b"x", |manifest| {
            let rest = length - manifest.to_string().len() - r#","note":"""#.len();
            manifest["note"] = json!("n".repeat(rest));
        })
    };
    assert!(install(&long(LONGEST_MANIFEST), &vendor.keys()).is_ok());
    assert!(matches!(install(&long(LONGEST_MANIFEST + 1), &vendor.keys()), Err(Refusal::Malformed(_))));
}

#[test]
fn the_fuzz_body_holds_on_a_bundle_of_anothers() {
    let bundle = Vendor::new(9).bundle(b"x", |_| ());
    fuzz_bundle(&bundle);
    fuzz_bundle(&[]);
    fuzz_bundle(MAGIC);
}
