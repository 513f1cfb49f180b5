//! The contract as files: what weir takes and gives changes only together with `tests/golden/registry`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn the_table_of_operations_is_the_golden_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/registry");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut files = BTreeSet::new();
    for (area, contract) in weir::schema::registry::contract() {
        let file = format!("{area}.json");
        let now = format!("{contract:#}\n");
        if update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(&file), &now).unwrap();
        }
        let golden = fs::read_to_string(folder.join(&file)).unwrap_or_default();
        assert!(now == golden, "{area} changed; look at the diff after UPDATE_GOLDEN=1 cargo test --test contract");
        files.insert(file);
    }
    let kept = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(kept.collect::<BTreeSet<_>>(), files, "a file without an area");
}
