//! The contract as a file: what weir takes and gives changes only together with `tests/golden/registry.json`.

use std::path::Path;

#[test]
fn the_table_of_operations_is_the_golden_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/registry.json");
    let now = format!("{:#}\n", weir::schema::registry::contract());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(now == golden, "the contract changed; look at the diff after UPDATE_GOLDEN=1 cargo test --test contract");
}
